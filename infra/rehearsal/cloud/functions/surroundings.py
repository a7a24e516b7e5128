"""What a function's process finds around it: environment variables, importable packages, the key of its variables."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.functions.deployment import Deployment
from infra.rehearsal.cloud.functions.environment import GUARD
from infra.rehearsal.cloud.iam.keys import find_key
from infra.rehearsal.cloud.iam.principals import Credentials

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ASSUMED_BY = "lambda.amazonaws.com"
SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What Lambda's Python runtimes bring: the SDK and what it needs (developer guide, "Building Lambda functions with
Python: runtime-included SDK versions"). Nothing else of this installation can be imported."""


def runtime_folder(folder: Path) -> Path:
    """The stand-in for /var/runtime: links to the SDK, and the network guard for Python programs that a function
    starts."""
    folder.mkdir(parents=True)
    for name in SDK_PACKAGES:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise RuntimeError(f"{name} is not installed beside the rehearsal; functions need it")
        origin = Path(found.origin)
        source = origin.parent if found.submodule_search_locations else origin
        (folder / source.name).symlink_to(source)
    (folder / "sitecustomize.py").symlink_to(GUARD)
    return folder


def variables_of(
    deployment: Deployment,
    credentials: Credentials,
    *,
    endpoint_url: str,
    stream: str,
    task: Path,
    folder: Path,
    packages: Path,
) -> dict[str, str]:
    """The whole environment of the process but the Runtime API's address. Nothing of ours leaks into it."""
    reserved: Mapping[str, str] = {
        "_HANDLER": deployment.handler,
        "AWS_DEFAULT_REGION": deployment.region,
        "AWS_REGION": deployment.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{deployment.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": deployment.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployment.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": deployment.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": deployment.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "LAMBDA_TASK_ROOT": str(task),
        "LAMBDA_RUNTIME_DIR": str(packages),
    }
    return {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "PYTHONPATH": str(packages),
        "PYTHONUTF8": "1",
        # Not of Lambda: they keep this machine's AWS settings and folders away from the function.
        "HOME": str(folder / "tmp"),
        "TMPDIR": str(folder / "tmp"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **dict(deployment.variables),
        **reserved,
        "AWS_ENDPOINT_URL": endpoint_url,
    }


def check_key(cloud: Cloud, deployment: Deployment) -> None:
    """The key of the function's variables must be usable when an environment starts (API reference, Invoke: errors).

    Lambda decrypts under a grant that it got when the function was configured, so the role needs no permission.
    """
    if not deployment.kms_key_arn:
        return
    key = find_key(cloud.account_id, deployment.region, deployment.kms_key_arn)
    words = "Lambda was unable to decrypt the environment variables because the KMS key"
    if key is None:
        raise AwsError("KMSNotFoundException", f"{words} was not found. {_CHECK}", 502, Type="User")
    if key.key_state == "Disabled":
        raise AwsError("KMSDisabledException", f"{words} used is disabled. {_CHECK}", 502, Type="User")
    if key.key_state != "Enabled":
        raise AwsError("KMSInvalidStateException", f"{words} used is in an invalid state. {_CHECK}", 502, Type="User")


_CHECK = "Please check the function's KMS key settings."
