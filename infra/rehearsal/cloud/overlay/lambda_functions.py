"""Functions in moto, mended: fields that it drops, changes that it does not make, packages that Lambda refuses.

Sources: Lambda API reference (CreateFunction, UpdateFunctionConfiguration, UpdateFunctionCode, PutFunctionConcurrency);
terraform-provider-aws, internal/service/lambda/function.go, for what a reader expects to find.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.s3.models import s3_backends

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.functions.deployment import MOST_UNZIPPED_BYTES, check_zip
from infra.rehearsal.cloud.functions.host import ACCOUNT_CONCURRENCY, functions_of
from infra.rehearsal.cloud.overlay import after, before, handler
from infra.rehearsal.cloud.overlay.lambda_settings import forget_settings, settings_of

LEAST_UNRESERVED = 100
"""What an account must leave to functions without a reservation (developer guide, "Configuring reserved
concurrency")."""
TOTAL_CODE_BYTES, ZIPPED_BYTES = 75 * 1024**3, 50 * 1024**2
"""An account's code storage, and a package that is uploaded directly (developer guide, "Lambda quotas")."""
_UNCARRIED = ("DurableConfig", "TenancyConfig", "CapacityProviderConfig", "FileSystemConfigs", "CodeSigningConfigArn")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400, Type="User")


def function_named(call: Call) -> Any:
    """moto's function that the call names. AwsError ResourceNotFoundException."""
    name = call.params["FunctionName"].rpartition(":function:")[2]
    try:
        return get_backend(call.account_id, call.region).get_function(name, call.params.get("Qualifier"))
    except UnknownFunctionException as missing:
        raise AwsError("ResourceNotFoundException", str(missing.message), 404, Type="User") from None


@before("lambda", "CreateFunction")
@before("lambda", "UpdateFunctionConfiguration")
def carried(call: Call) -> None:
    """Refuses by name what is neither kept nor run here."""
    for name in _UNCARRIED:
        if call.params.get(name):
            raise AwsError("NotCarried", f"The emulated cloud does not carry lambda.{call.operation} with {name}.", 501)
    if (call.params.get("LoggingConfig") or {}).get("LogFormat") == "JSON":
        raise AwsError("NotCarried", "The emulated cloud does not carry functions with LogFormat JSON.", 501)
    if (call.params.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions":
        raise AwsError("NotCarried", "The emulated cloud does not carry SnapStart.", 501)


@before("lambda", "PutFunctionEventInvokeConfig")
@before("lambda", "UpdateFunctionEventInvokeConfig")
def destinations(call: Call) -> None:
    """Dead-letter targets are carried, destinations are not."""
    if any((call.params.get("DestinationConfig") or {}).values()):
        text = f"The emulated cloud does not carry lambda.{call.operation} with DestinationConfig."
        raise AwsError("NotCarried", text, 501)


@before("lambda", "CreateFunction")
@before("lambda", "UpdateFunctionCode")
def package(call: Call) -> None:
    """The deployment package must be a zip that Lambda can unpack."""
    code: dict[str, Any] = call.params.get("Code") or call.params
    data = _package_of(call, code)
    if data is None:
        return
    try:
        check_zip(data)
    except ValueError as problem:
        raise _invalid(str(problem)) from None


def _package_of(call: Call, code: dict[str, Any]) -> bytes | None:
    data = code.get("ZipFile")
    if isinstance(data, str):
        return base64.b64decode(data)
    if data is not None:
        return bytes(data)
    if not code.get("S3Bucket"):
        return None
    owner = s3_backends.bucket_accounts.get(code["S3Bucket"])
    bucket = s3_backends[owner[1]][owner[0]].buckets.get(code["S3Bucket"]) if owner else None
    if bucket is None:
        raise _invalid(
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does"
            " not exist"
        )
    assert owner is not None
    key = s3_backends[owner[1]][owner[0]].get_object(
        code["S3Bucket"], code["S3Key"], version_id=code.get("S3ObjectVersion")
    )
    if key is None:
        raise _invalid(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not"
            " exist."
        )
    # Read as the caller, whose permission Lambda uses.
    options = {"VersionId": code["S3ObjectVersion"]} if code.get("S3ObjectVersion") else {}
    s3: Any = call.cloud.session(call.principal).client("s3", region_name=call.region)
    return s3.get_object(Bucket=code["S3Bucket"], Key=code["S3Key"], **options)["Body"].read()


def _mended(change: Callable[[Call, Any], None] | None = None) -> Callable[[Call, dict[str, Any]], dict[str, Any]]:
    def mend(call: Call, output: dict[str, Any]) -> dict[str, Any]:
        function = function_named(call)
        if change is not None:
            change(call, function)
        return _shown(call, function, output)

    return mend


def _keep(call: Call, function: Any) -> None:
    """What moto drops of a create or an update."""
    params = call.params
    settings = settings_of(call.cloud, call.region, function.function_name)
    if params.get("LoggingConfig") is not None:
        settings.logging = {name: value for name, value in params["LoggingConfig"].items() if value}
    if params.get("DeadLetterConfig") is not None:
        settings.dead_letter_target = params["DeadLetterConfig"].get("TargetArn") or ""
    if call.operation == "UpdateFunctionConfiguration":
        if params.get("KMSKeyArn") is not None:
            function.kms_key_arn = params["KMSKeyArn"] or None
        if params.get("TracingConfig") is not None:
            function.tracing_config = params["TracingConfig"]
        if params.get("EphemeralStorage") is not None:
            function.ephemeral_storage = params["EphemeralStorage"]["Size"]


def _code_changed(call: Call, function: Any) -> None:
    if call.params.get("Architectures"):
        function.architectures = call.params["Architectures"]


def _forget_older(call: Call, function: Any) -> None:
    """A function of this name that has been deleted has left nothing."""
    forget_settings(call.cloud, call.region, function.function_name)
    _keep(call, function)


def _shown(call: Call, function: Any, output: dict[str, Any]) -> dict[str, Any]:
    settings = settings_of(call.cloud, call.region, function.function_name)
    live = function.get_configuration(on_create=call.operation == "CreateFunction")
    shown = {
        **output,
        "KMSKeyArn": function.kms_key_arn,
        "TracingConfig": function.tracing_config,
        "EphemeralStorage": live["EphemeralStorage"],
        "Architectures": live["Architectures"],
        "LoggingConfig": settings.logging_config(function.function_name),
        "DeadLetterConfig": {"TargetArn": settings.dead_letter_target} if settings.dead_letter_target else None,
        "RevisionId": output.get("RevisionId"),
    }
    return {name: value for name, value in shown.items() if value not in (None, "")}


for _operation, _change in (
    ("CreateFunction", _forget_older),
    ("UpdateFunctionConfiguration", _keep),
    ("UpdateFunctionCode", _code_changed),
    ("GetFunctionConfiguration", None),
):
    after("lambda", _operation)(_mended(_change))


@after("lambda", "GetFunction")
def got(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Configuration as above; a reservation of 0, which moto takes for none."""
    function = function_named(call)
    shown = {**output, "Configuration": _shown(call, function, output["Configuration"])}
    if function.reserved_concurrency is not None:
        shown["Concurrency"] = {"ReservedConcurrentExecutions": int(function.reserved_concurrency)}
    return shown


@before("lambda", "PutFunctionConcurrency")
def reservation(call: Call) -> None:
    """The account must keep 100 executions unreserved."""
    asked = call.params["ReservedConcurrentExecutions"]
    others = _reserved(call, but=function_named(call).function_name)
    if ACCOUNT_CONCURRENCY - others - asked < LEAST_UNRESERVED:
        raise _invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution"
            f" below its minimum value of [{LEAST_UNRESERVED}]."
        )


def _reserved(call: Call, *, but: str = "") -> int:
    """What the region's functions have reserved, all or all but one."""
    return sum(
        int(function.reserved_concurrency)
        for function in get_backend(call.account_id, call.region).list_functions()
        if function.reserved_concurrency is not None and function.function_name != but
    )


@handler("lambda", "GetAccountSettings")
def account(call: Call) -> dict[str, Any]:
    """The limits of an account that has asked for nothing (developer guide, "Lambda quotas"), and what is used."""
    functions = get_backend(call.account_id, call.region).list_functions()
    return {
        "AccountLimit": {
            "TotalCodeSize": TOTAL_CODE_BYTES,
            "CodeSizeUnzipped": MOST_UNZIPPED_BYTES,
            "CodeSizeZipped": ZIPPED_BYTES,
            "ConcurrentExecutions": ACCOUNT_CONCURRENCY,
            "UnreservedConcurrentExecutions": ACCOUNT_CONCURRENCY - _reserved(call),
        },
        "AccountUsage": {
            "TotalCodeSize": sum(function.code_size for function in functions),
            "FunctionCount": len({function.function_name for function in functions}),
        },
    }


@handler("lambda", "GetFunctionConcurrency")
def concurrency(call: Call) -> dict[str, Any]:
    """Nothing when none is reserved."""
    call.cloud.to_moto(call)
    reserved = function_named(call).reserved_concurrency
    return {} if reserved is None else {"ReservedConcurrentExecutions": int(reserved)}


@after("lambda", "DeleteFunction")
def deleted(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Environments end with their function, or with its version."""
    name, _, version = call.params["FunctionName"].rpartition(":function:")[2].partition(":")
    version = call.params.get("Qualifier") or version
    functions_of(call.cloud).forget(call.region, name, version or None)
    if not version:
        forget_settings(call.cloud, call.region, name)
    return output
