"""Physical names that more than one layer or tool has to know. Fixed by environment, account and region alone."""

from __future__ import annotations


def registry_bucket_name(environment: str, account_id: str, region: str) -> str:
    """The model registry's bucket. Account and region are in it because bucket names are global."""
    return f"mainstage-{environment}-registry-{account_id}-{region}"


def capture_bucket_name(environment: str, account_id: str, region: str) -> str:
    """The bucket that data capture writes to."""
    return f"mainstage-{environment}-capture-{account_id}-{region}"


def endpoint_name(environment: str, model: str) -> str:
    """The endpoint of a model. The environment is in it so that two environments may share an account."""
    return f"{environment}-{model}"


def model_package_group_name(environment: str, model: str) -> str:
    """The SageMaker model package group that lists a model's versions."""
    return f"{environment}-{model}"


def platform_name(environment: str) -> str:
    """What the platform's own things are called: the key's alias, topics, the image repository, the role boundary."""
    return f"mainstage-{environment}"


def release_watch_name(environment: str) -> str:
    """The function and the rule that watch the environment's endpoints."""
    return f"{platform_name(environment)}-release-watch"


def endpoint_prefix(environment: str) -> str:
    """What the names of the environment's endpoints begin with."""
    return endpoint_name(environment, "")


def front_door_api_name(environment: str) -> str:
    """The HTTP API that clients call. The environment's tools find it by this name."""
    return platform_name(environment)


def predictions_bucket_name(environment: str, account_id: str, region: str) -> str:
    """The bucket of the prediction log: records, rejects, query results."""
    return f"mainstage-{environment}-predictions-{account_id}-{region}"


def pseudonym_key_alias(environment: str) -> str:
    """The alias, without `alias/`, of the key that personal data is hashed with."""
    return f"mainstage-{environment}-pseudonyms"


def log_name(environment: str, model: str) -> str:
    """What the prediction log of a model is called; its stream, queues and functions begin with it."""
    return endpoint_name(environment, model)


def database_name(environment: str, model: str) -> str:
    """The Glue database of a model's log. Athena's names take no hyphen."""
    return f"mainstage_{environment}_{model}".replace("-", "_")


def workgroup_name(environment: str, model: str) -> str:
    """The Athena workgroup that queries of a model's log run in."""
    return f"mainstage-{environment}-{model}"
