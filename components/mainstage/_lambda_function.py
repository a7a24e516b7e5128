"""A function of the runtime in Lambda: its archive, its log group, its role, and the function itself.

The archive holds the modules of `mainstage_runtime` that the function needs and `mainstage.json`, its configuration.
Pulumi hashes an archive by the names and contents of its members
(https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/archive/archive.go), so that two checkouts give one
hash. Where the files lie on the machine that deploys reaches neither names nor hashes.
"""

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Optional, Union

import pulumi
import pulumi_aws as aws

from ._account import Account
from ._names import fingerprint
from ._patterns import Pattern
from ._policy import Statement, Text
from ._roles import ServiceRole, service_role

RUNTIME = "python3.13"
ARCHITECTURE = "arm64"
PACKAGE = "mainstage_runtime"
CONFIG_FILE = "mainstage.json"

_IMPORT = re.compile(
    rf"^[ \t]*(?:(?:from|import) {PACKAGE}\.(?P<module>\w+)"
    rf"|from {PACKAGE} import (?:\((?P<listed>[^)]*)\)|(?P<line>[^(#\n]*)))",
    re.MULTILINE,
)

LAMBDA_SERVICE = "lambda.amazonaws.com"

_LONGEST_ROLE_NAME = 64
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

FUNCTION_NAME = Pattern(
    # https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html, FunctionName
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    "a name of a-z, 0-9 and hyphen, first and last a letter or digit",
    maximum=64,
)


def function_archive(modules: Sequence[str], config: Optional[Mapping[str, Any]] = None) -> pulumi.AssetArchive:
    """The archive of a function: `mainstage_runtime/<module>.py` for each module and for what these import of the
    package, its `__init__.py`, and `config` as `mainstage.json` when there is one.

    Raises ValueError for a module that the package does not have.
    """
    assets: dict[str, Union[pulumi.Asset, pulumi.Archive]] = {
        f"{PACKAGE}/{module}.py": pulumi.FileAsset(str(_module_path(module))) for module in archive_modules(modules)
    }
    if config is not None:
        text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        assets[CONFIG_FILE] = pulumi.StringAsset(text)
    return pulumi.AssetArchive(assets)


def archive_modules(modules: Sequence[str]) -> list[str]:
    """The modules with everything that they import of the package, by name, in order. A function that lacked one would
    fail at its first call."""
    found: set[str] = set()
    waiting = ["__init__", *modules]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imports(module)
    return sorted(found)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """What a module imports of its own package, wherever the import stands in it.

    By pattern, not by Python's parser: in 3.11 that one may fail while another thread of the program parses too
    ("AST constructor recursion depth mismatch"; https://github.com/python/cpython/issues/106905).
    """
    named: list[str] = []
    for found in _IMPORT.finditer(_module_path(module).read_text(encoding="utf-8")):
        listed = found["listed"] or found["line"]
        named += [one.split()[0] for one in listed.split(",") if one.strip()] if listed else [found["module"]]
    return tuple(named)


@cache
def _module_path(module: str) -> Path:
    """Where a module of the runtime package lies: beside this library, or wherever it is installed. It is not imported.

    Raises ValueError when there is none.
    """
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder).resolve() / f"{module}.py"
        if path.is_file():
            return path
    raise ValueError(f"{PACKAGE} has no module {module}")


def function_log_group_name(function_name: str) -> str:
    """Where Lambda writes what a function prints: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html"""
    return f"/aws/lambda/{function_name}"


def function_arn(account: Account, function_name: str) -> str:
    """ARN of a function, known before it is made."""
    return account.arn("lambda", f"function:{function_name}")


def function_log_group(
    name: str,
    *,
    parent: pulumi.Resource,
    function_name: str,
    retention_days: int,
    kms_key_arn: Text,
    deletion_protection: bool,
    tags: Mapping[str, Text],
) -> "aws.cloudwatch.LogGroup":
    """Makes `<name>-logs`. It comes before the function: Lambda makes a group that is missing, without a key and for
    ever, and a group that is there cannot be declared any more."""
    return aws.cloudwatch.LogGroup(
        f"{name}-logs",
        name=function_log_group_name(function_name),
        # Left out, logs are kept for ever.
        retention_in_days=retention_days,
        kms_key_id=kms_key_arn,
        log_group_class="STANDARD",
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent, protect=deletion_protection, retain_on_delete=deletion_protection),
    )


def function_role(
    name: str,
    *,
    parent: pulumi.Resource,
    account: Account,
    function_name: str,
    description: str,
    statements: Sequence[Statement],
    boundary: Optional[Text],
    tags: Mapping[str, Text],
) -> ServiceRole:
    """Makes `<name>-role` and `<name>-policy`: the given statements, and writing to the function's own log group.

    Nothing about the key of the environment is in it: Lambda decrypts the variables with a grant that it makes when the
    function is created, with the permissions of whoever creates it.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
    """
    streams = account.arn("logs", f"log-group:{function_log_group_name(function_name)}:*")
    own_logs = Statement(
        sid="WriteOwnLogs",
        reason="what the function prints, its metrics among it, goes to its own log group, and to no other",
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[streams],
    )
    return service_role(
        name,
        parent=parent,
        # IAM knows no regions, hence the region.
        role_name=function_role_name(function_name, account.region),
        service=LAMBDA_SERVICE,
        account_id=account.account_id,
        # That Lambda says which function it assumes a role for is not documented; which account is.
        source_arn=None,
        description=description,
        statements=[*statements, own_logs],
        boundary=boundary,
        tags=tags,
    )


def function_role_name(function_name: str, region: str) -> str:
    """Name of a function's role. IAM takes 64 characters: a longer one is cut, and a fingerprint keeps it apart."""
    full = f"{function_name}-{region}"
    if len(full) <= _LONGEST_ROLE_NAME:
        return full
    tail = f"-{fingerprint({'function': function_name})}-{region}"
    return function_name[: _LONGEST_ROLE_NAME - len(tail)].rstrip("-") + tail


def runtime_function(
    name: str,
    *,
    parent: pulumi.Resource,
    function_name: str,
    handler: str,
    modules: Sequence[str],
    config: Optional[Mapping[str, Any]],
    environment: Mapping[str, Text],
    timeout_seconds: int,
    memory_mib: int,
    role: ServiceRole,
    log_group: "aws.cloudwatch.LogGroup",
    kms_key_arn: Text,
    description: str,
    tags: Mapping[str, Text],
    dead_letter_arn: Optional[Text] = None,
) -> "aws.lambda_.Function":
    """Makes `<name>-function`. It comes after its log group and its role's policy.

    `handler` is a dotted name such as `mainstage_runtime.front_door.handler`; `config` becomes `mainstage.json`.
    `timeout_seconds` 1 to 900, `memory_mib` 128 to 10,240. `dead_letter_arn`: the queue that takes the events of
    asynchronous invocations that failed to the end; the role may send to it.
    """
    return aws.lambda_.Function(
        f"{name}-function",
        name=function_name,
        description=description,
        package_type="Zip",
        runtime=RUNTIME,
        architectures=[ARCHITECTURE],
        handler=handler,
        code=function_archive(modules, config),
        role=role.role.arn,
        timeout=timeout_seconds,
        memory_size=memory_mib,
        environment={"variables": dict(environment)} if environment else None,
        kms_key_arn=kms_key_arn,
        dead_letter_config=None if dead_letter_arn is None else {"target_arn": dead_letter_arn},
        # Left out, tracing stays as it was.
        tracing_config={"mode": "PassThrough"},
        # Text, not JSON: a metric in the embedded format has to be a line of its own, as the function prints it.
        logging_config={"log_format": "Text", "log_group": log_group.name},
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[log_group, role.policy]),
    )
