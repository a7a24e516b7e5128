"""What the tests of components share: complete arguments for each component, and a run that records."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import mainstage
import pulumi
import pytest

from infra.rehearsal.engine import Registered, Result, record

ACCOUNT = {"account_id": "111111111111", "region": "eu-west-1"}
KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
BOUNDARY_ARN = "arn:aws:iam::111111111111:policy/mainstage-boundary"
PAGE = "arn:aws:sns:eu-west-1:111111111111:mainstage-page"
TICKET = "arn:aws:sns:eu-west-1:111111111111:mainstage-ticket"
RUNBOOKS = "https://example.com/runbooks"
NETWORK = {
    "vpc_id": "vpc-0123456789abcdef0",
    "cidr_block": "10.20.0.0/16",
    "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "s3_prefix_list_id": "pl-6da54004",
}
SLO = {"p95_ms": 300.0, "p99_ms": 800.0, "error_ratio": 0.01}
FRONT_DOOR = {
    "api_id": "a1b2c3d4e5",
    "api_endpoint": "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
    "execution_arn": "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5",
    "authorizer_id": "",
    "authorization_type": "AWS_IAM",
    "stage_name": "$default",
}
LOG = {
    "log_name": "prod-iris",
    "stream_name": "prod-iris-predictions",
    "stream_arn": "arn:aws:firehose:eu-west-1:111111111111:deliverystream/prod-iris-predictions",
    "spool_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/prod-iris-spool",
    "spool_arn": "arn:aws:sqs:eu-west-1:111111111111:prod-iris-spool",
    "kms_key_arn": KEY_ARN,
}
PSEUDONYM_KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000002"
IDENTITY = {
    "endpoint_name": "prod-iris",
    "endpoint_arn": "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/prod-iris",
    "endpoint_config_name": "prod-iris-v7-0123abcd",
    "variant_name": "stable",
    "model_name": "iris",
    "guard_alarm_names": {
        guard: f"prod-iris-guard-{guard}"
        for guard in ("errors", "p95", "p99", "front-door-p99", "drift", "confidence", "stop")
    },
}
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"

SIGNATURE = {
    "inputs": [
        {"name": "sepal_length", "type": "double", "minimum": 0.0, "maximum": 30.0, "description": "in centimetres"},
        {"name": "Petal_Width", "type": "double", "nullable": True},
    ],
    "outputs": [
        {"name": "species", "type": "string", "categories": ["setosa", "virginica"]},
        {"name": "confidence", "type": "double"},
    ],
    "confidence": "confidence",
}

COMPLETE: dict[str, dict[str, Any]] = {
    "EncryptionKey": {**ACCOUNT, "alias": "mainstage", "tags": {"team": "ml"}},
    "SecureBucket": {
        **ACCOUNT,
        "bucket_name": "mainstage-archive",
        "kms_key_arn": KEY_ARN,
        "write_once_prefixes": ["models/"],
        "expire_days": 365.0,
        "tags": {"team": "ml"},
    },
    "PseudonymKey": {**ACCOUNT, "alias": "mainstage-pseudonyms", "tags": {"team": "ml"}},
    "FrontDoor": {
        **ACCOUNT,
        "api_name": "mainstage-prod",
        "kms_key_arn": KEY_ARN,
        "throttle_requests_per_second": 500.0,
        "throttle_burst": 800.0,
        "log_retention_days": 30.0,
        "permissions_boundary_arn": BOUNDARY_ARN,
        "tags": {"team": "ml"},
    },
    "ModelRoute": {
        **ACCOUNT,
        "route_name": "prod-iris",
        "model": "iris",
        "environment_label": "prod",
        "front_door": FRONT_DOOR,
        "signature": SIGNATURE,
        "endpoint": IDENTITY,
        "configurations": {"7": "prod-iris-v7-0123abcd", "6": "prod-iris-v6-4567cdef"},
        "log": LOG,
        "pseudonym_key_arn": PSEUDONYM_KEY_ARN,
        "kms_key_arn": KEY_ARN,
        "permissions_boundary_arn": BOUNDARY_ARN,
        "log_retention_days": 30.0,
        "tags": {"team": "ml"},
    },
    "ReleaseWatch": {
        **ACCOUNT,
        "watch_name": "mainstage-prod-release-watch",
        "environment_label": "prod",
        "endpoint_prefix": "prod-",
        "registry_bucket_name": "mainstage-registry",
        "registry_bucket_arn": "arn:aws:s3:::mainstage-registry",
        "page_topic_arn": PAGE,
        "ticket_topic_arn": TICKET,
        "runbook_base_url": RUNBOOKS,
        "kms_key_arn": KEY_ARN,
        "permissions_boundary_arn": BOUNDARY_ARN,
        "log_retention_days": 30.0,
        "tags": {"team": "ml"},
    },
    "RoleBoundary": {**ACCOUNT, "bucket_names": ["mainstage-registry", "mainstage-capture"]},
    "Pager": {**ACCOUNT, "kms_key_arn": KEY_ARN},
    "Network": {
        **ACCOUNT,
        "cidr_block": "10.20.0.0/16",
        "availability_zones": ["eu-west-1a", "eu-west-1b"],
        "nat": "per_zone",
        "interface_endpoints": ["ecr.api", "logs"],
        "flow_log_retention_days": 30.0,
        "kms_key_arn": KEY_ARN,
        "permissions_boundary_arn": BOUNDARY_ARN,
    },
    "ModelRegistry": {
        **ACCOUNT,
        "bucket_name": "mainstage-registry",
        "kms_key_arn": KEY_ARN,
        "models": ["iris", "wine"],
    },
    "GuardAlarms": {
        "identity": {
            "endpoint_name": "iris",
            "endpoint_arn": "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/iris",
            "endpoint_config_name": "iris-v7-0123abcd",
            "variant_name": "stable",
            "model_name": "iris",
            "guard_alarm_names": {
                guard: f"iris-guard-{guard}"
                for guard in ("errors", "p95", "p99", "front-door-p99", "drift", "confidence", "stop")
            },
        },
        "slo": SLO,
        "page_topic_arn": PAGE,
        "ticket_topic_arn": TICKET,
        "runbook_base_url": RUNBOOKS,
    },
    "ServiceAlarms": {
        "identity": IDENTITY,
        "slo": SLO,
        "instance_type": "ml.m5.xlarge",
        "log": LOG,
        "limits": {"requests_per_hour_at_least": 60.0, "concurrent_requests_per_instance": 8.0},
        "page_topic_arn": PAGE,
        "ticket_topic_arn": TICKET,
        "runbook_base_url": RUNBOOKS,
        "tags": {"team": "ml"},
    },
    "SageMakerEndpoint": {
        **ACCOUNT,
        "model_name": "iris",
        "endpoint_name": "iris",
        "version": 7.0,
        "image_uri": IMAGE,
        "model_data_url": "s3://mainstage-registry/models/iris/7/model.tar.gz",
        "container_environment": {"MAINSTAGE_MODEL_VERSION": "7"},
        "registry_bucket_arn": "arn:aws:s3:::mainstage-registry",
        "repository_arns": ["arn:aws:ecr:eu-west-1:141502667606:repository/sagemaker-scikit-learn"],
        "kms_key_arn": KEY_ARN,
        "network": NETWORK,
        "instance_type": "ml.m5.large",
        "instance_count": 2.0,
        "autoscaling": {"minimum": 2.0, "maximum": 6.0, "invocations_per_instance_per_minute": 600.0},
        "data_capture": {
            "s3_uri": "s3://mainstage-capture/predictions",
            "bucket_arn": "arn:aws:s3:::mainstage-capture",
            "percent": 20.0,
        },
        "deployment": {"strategy": "canary", "percent": 10.0, "bake_minutes": 15.0},
        "slo": SLO,
        "page_topic_arn": PAGE,
        "ticket_topic_arn": TICKET,
        "runbook_base_url": RUNBOOKS,
        "permissions_boundary_arn": BOUNDARY_ARN,
        "log_retention_days": 30.0,
        "tags": {"team": "ml"},
    },
    "Dashboard": {
        **ACCOUNT,
        "dashboard_name": "mainstage-dev-iris",
        "models": [
            {
                "model": "iris",
                "log": {**LOG, "log_name": "dev-iris"},
                "function_name": "dev-iris-front-door",
                "workgroup_name": "mainstage-dev-iris",
                "endpoint": {
                    "endpoint_name": "dev-iris",
                    "endpoint_arn": "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/dev-iris",
                    "endpoint_config_name": "dev-iris-v7-0123abcd",
                    "variant_name": "stable",
                    "model_name": "iris",
                    "guard_alarm_names": {"errors": "dev-iris-guard-errors", "p99": "dev-iris-guard-p99"},
                },
                "configurations": {"10": "dev-iris-v10-4567cdef", "7": "dev-iris-v7-0123abcd"},
                "alarm_names": ["dev-iris-page", "dev-iris-cpu"],
            }
        ],
        "runbook_base_url": RUNBOOKS,
    },
    "PredictionLog": {
        **ACCOUNT,
        "log_name": "dev-iris",
        "model": "iris",
        "signature": SIGNATURE,
        "bucket_name": "mainstage-predictions",
        "bucket_arn": "arn:aws:s3:::mainstage-predictions",
        "kms_key_arn": KEY_ARN,
        "page_topic_arn": PAGE,
        "ticket_topic_arn": TICKET,
        "runbook_base_url": RUNBOOKS,
        "permissions_boundary_arn": BOUNDARY_ARN,
        "log_retention_days": 30.0,
        "tags": {"team": "ml"},
    },
    "ModelService": {
        **ACCOUNT,
        "model": "iris",
        "owner": "ml-team",
        "runtime": "sklearn-1.4-2",
        "stable": 7.0,
        "keep": [{"version": 6.0}],
        "rollout": {"strategy": "all_at_once", "bake_minutes": 5.0},
        "capacity": {"instance_type": "ml.m5.large"},
        "slo": SLO,
        "environment_label": "prod",
        "signature": SIGNATURE,
        "front_door": FRONT_DOOR,
        "deadline_ms": 5000.0,
        "prediction_log": {
            "bucket_name": "mainstage-predictions",
            "bucket_arn": "arn:aws:s3:::mainstage-predictions",
            "buffer_seconds": 120.0,
        },
        "pseudonym_key_arn": PSEUDONYM_KEY_ARN,
        "registry_bucket_name": "mainstage-registry",
        "registry_bucket_arn": "arn:aws:s3:::mainstage-registry",
        "kms_key_arn": KEY_ARN,
        "network": NETWORK,
        "page_topic_arn": PAGE,
        "ticket_topic_arn": TICKET,
        "runbook_base_url": RUNBOOKS,
        "permissions_boundary_arn": BOUNDARY_ARN,
    },
}

Build = Callable[..., Result]


def arguments(component: str, **changes: Any) -> dict[str, Any]:
    """Complete arguments of a component, with changes; a change to None takes an argument away."""
    args = copy.deepcopy(COMPLETE[component]) | changes
    return {key: value for key, value in args.items() if value is not None}


@pytest.fixture
def args() -> Callable[..., dict[str, Any]]:
    return arguments


@pytest.fixture
def build() -> Build:
    """Records one component. `build("Pager", topic_prefix="x")`; options: `name`, `preview`, `check`."""

    def built(
        component: str, /, *, name: str = "thing", preview: bool = False, check: bool = True, **changes: Any
    ) -> Result:
        def program() -> None:
            made = getattr(mainstage, component)(name, arguments(component, **changes))
            for output in outputs_of(component):
                pulumi.export(output, getattr(made, output))

        result = record(program, stack="somewhere", preview=preview)
        return result.check() if check else result

    return built


@pytest.fixture
def refused() -> Callable[..., list[tuple[str, str, str, str]]]:
    """The problems that a component's arguments have: (field, got, allowed, fix). Nothing is registered."""

    def problems(component: str, /, **changes: Any) -> list[tuple[str, str, str, str]]:
        raised: list[BaseException] = []

        def program() -> None:
            try:
                getattr(mainstage, component)("thing", arguments(component, **changes))
            except ValueError as error:
                raised.append(error)

        result = record(program, stack="somewhere").check()
        assert [resource.type for resource in result.resources] == [f"mainstage:index:{component}"] * bool(
            result.resources
        )
        if not raised:
            return []
        (error,) = raised
        return [(p.field, p.got, p.allowed, p.fix) for p in error.problems]  # pyright: ignore[reportAttributeAccessIssue]  # a ComponentArgsError

    return problems


def outputs_of(component: str) -> list[str]:
    """The names of a component's annotated outputs."""
    annotated: Mapping[str, Any] = getattr(mainstage, component).__annotations__
    return [name for name in annotated if not name.startswith("_")]


@pytest.fixture
def tree() -> Callable[[Result], list[tuple[str, str, str]]]:
    """What was registered, in the order of names: (type, name, name of the parent)."""

    def shown(result: Result) -> list[tuple[str, str, str]]:
        names = {resource.urn: resource.name for resource in result.resources}
        return sorted((r.type, r.name, names.get(r.parent, "")) for r in result.resources)

    return shown


@pytest.fixture
def inputs() -> Callable[[Result, str], dict[str, Any]]:
    """The inputs of the resource with a name."""

    def of(result: Result, name: str) -> dict[str, Any]:
        found: Registered = result.named(name)
        return found.inputs

    return of
