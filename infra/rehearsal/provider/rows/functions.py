"""Functions, their permissions and event sources: internal/service/lambda/function.go, permission.go,
event_source_mapping.go.

Arguments that are in no call here (images, layers, VPCs, durable and tenant-isolated functions, streams and Kafka as
event sources) are refused by Check, by name: the emulated cloud does not run them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import (
    ALL,
    Inputs,
    Problem,
    Row,
    between,
    conflicts,
    matches,
    one_of,
    required_one_of,
    step,
)
from infra.rehearsal.provider.tags import by_arn, mapped_tagging, optional
from infra.rehearsal.provider.translate import Call
from infra.rehearsal.provider.values import asset_bytes, is_unknown

_GONE = ("ResourceNotFoundException",)

# -- aws:lambda/function:Function ---------------------------------------------------------------------------

_CONFIGURATION = frozenset(
    {
        "deadLetterConfig",
        "description",
        "environment",
        "ephemeralStorage",
        "handler",
        "kmsKeyArn",
        "loggingConfig",
        "memorySize",
        "role",
        "runtime",
        "timeout",
        "tracingConfig",
    }
)
_CODE = frozenset({"code", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash", "architectures"})
_IN_S3 = frozenset({"s3Bucket", "s3Key", "s3ObjectVersion"})
_CREATE = Call(
    "lambda",
    "CreateFunction",
    rules={
        "name": "FunctionName",
        "s3Bucket": "Code.S3Bucket",
        "s3Key": "Code.S3Key",
        "s3ObjectVersion": "Code.S3ObjectVersion",
    },
    only=_CONFIGURATION | _IN_S3 | {"architectures", "name", "packageType"},
)
_CONFIGURE = Call("lambda", "UpdateFunctionConfiguration", only=_CONFIGURATION)
_NEW_CODE = Call("lambda", "UpdateFunctionCode", only=_IN_S3)
_REMOVED: Mapping[str, tuple[str, Any]] = {
    "deadLetterConfig": ("DeadLetterConfig", {"TargetArn": ""}),
    "description": ("Description", ""),
    "environment": ("Environment", {"Variables": {}}),
    "kmsKeyArn": ("KMSKeyArn", ""),
}
"""What is sent for an argument that left; for the others, nothing."""


def _not_ready(error: ApiError) -> bool:
    """retryFunctionOp: the role is not there yet, or another change is under way. A name that is taken looks alike."""
    return (
        error.is_code("ResourceConflictException")
        or (error.is_code("InvalidParameterValueException") and error.says("cannot be assumed by Lambda"))
        or (error.is_code("InvalidParameterValueException") and error.says("does not have permissions"))
        or (error.is_code("InvalidParameterValueException") and error.says("KMS key is invalid for CreateGrant"))
    )


def _zip(op: Operation) -> dict[str, Any]:
    return {"ZipFile": asset_bytes(op.inputs["code"])} if op.inputs.get("code") is not None else {}


def _create(op: Operation) -> None:
    params = op.params(_CREATE)
    params["Code"] = {**params.get("Code", {}), **_zip(op)}
    if not (params.get("Environment") or {}).get("Variables"):
        params.pop("Environment", None)
    params.update(optional("Tags", op.wanted_tags()))
    op.retry(lambda: op.call("lambda", "CreateFunction", **params), _not_ready, "5 min")
    op.created(op.inputs["name"])
    _wait(op, "create")
    if op.inputs["reservedConcurrentExecutions"] >= 0:
        _reserve(op)


def _wait(op: Operation, doing: str) -> None:
    def state() -> str:
        found = op.call("lambda", "GetFunction", FunctionName=op.id)["Configuration"]
        return str(found.get("State") if doing == "create" else found.get("LastUpdateStatus"))

    pending, target = ("Pending", "Active") if doing == "create" else ("InProgress", "Successful")
    op.wait(state, pending=(pending,), target=(target,), timeout_seconds=600, what=f"Lambda Function ({op.id}) {doing}")


def _configure(op: Operation) -> None:
    changed = op.changed & _CONFIGURATION
    if "kmsKeyArn" in changed:
        changed |= {"environment"}  # the whole environment is encrypted anew
    params = op.params(replace(_CONFIGURE, only=changed))
    for name, (member, value) in _REMOVED.items():
        if name in changed and op.inputs.get(name) in (None, "", []):
            params[member] = value
    if not params:
        return  # a block that left and sends nothing (ephemeralStorage, tracingConfig)
    op.retry(
        lambda: op.call("lambda", "UpdateFunctionConfiguration", FunctionName=op.id, **params), _not_ready, "5 min"
    )
    _wait(op, "configuration update")


def _upload(op: Operation) -> None:
    params = {**op.params(_NEW_CODE), **_zip(op)}
    if "architectures" in op.changed and op.inputs.get("architectures"):
        params["Architectures"] = op.inputs["architectures"]
    op.call("lambda", "UpdateFunctionCode", FunctionName=op.id, **params)
    _wait(op, "code update")


def _reserve(op: Operation) -> None:
    wanted = op.inputs["reservedConcurrentExecutions"]
    if wanted >= 0:
        op.call("lambda", "PutFunctionConcurrency", FunctionName=op.id, ReservedConcurrentExecutions=wanted)
    else:
        op.call("lambda", "DeleteFunctionConcurrency", FunctionName=op.id)


def _read(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("lambda", "GetFunction", FunctionName=op.id), *_GONE)
    if answer is None:
        return None
    found = answer["Configuration"]
    arn = found["FunctionArn"]
    latest = op.call("lambda", "ListVersionsByFunction", FunctionName=op.id)["Versions"][-1]
    signing = op.call("lambda", "GetFunctionCodeSigningConfig", FunctionName=op.id)
    live = op.described("lambda", "GetFunction", "Configuration", found, {"name": "FunctionName"})
    return (
        live
        | op.shown_tags(answer.get("Tags") or {})
        | {
            "arn": arn,
            "codeSigningConfigArn": signing.get("CodeSigningConfigArn") or "",
            "deadLetterConfig": live.get("deadLetterConfig"),
            "description": found.get("Description") or "",
            "environment": live.get("environment"),
            "imageUri": answer.get("Code", {}).get("ImageUri") or "",
            "invokeArn": _invoke_arn(op, arn),
            "kmsKeyArn": found.get("KMSKeyArn") or "",
            "layers": [layer["Arn"] for layer in found.get("Layers", ())],
            "name": found["FunctionName"],
            "qualifiedArn": latest["FunctionArn"],
            "qualifiedInvokeArn": _invoke_arn(op, latest["FunctionArn"]),
            "reservedConcurrentExecutions": answer.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
            "responseStreamingInvokeArn": _invoke_arn(op, arn, "2021-11-15", "response-streaming-invocations"),
            "signingJobArn": found.get("SigningJobArn") or "",
            "signingProfileVersionArn": found.get("SigningProfileVersionArn") or "",
            "snapStart": None,
            "sourceCodeSize": found["CodeSize"],
            "tracingConfig": live.get("tracingConfig") or {"mode": "PassThrough"},
            "version": latest["Version"],
        }
    )


def _invoke_arn(op: Operation, arn: str, api: str = "2015-03-31", path: str = "invocations") -> str:
    """What API Gateway takes as an integration's URI (lambda/arn.go)."""
    return f"arn:{op.account.partition}:apigateway:{op.region}:lambda:path/{api}/functions/{arn}/{path}"


def _delete(op: Operation) -> None:
    if not op.state.get("skipDestroy"):
        op.gone(lambda: op.call("lambda", "DeleteFunction", FunctionName=op.id), *_GONE)


def _function_rules(inputs: Inputs) -> Iterable[Problem]:
    for name in ("handler", "runtime"):
        # checkHandlerRuntimeForZipFunction: even a value that only the apply knows is refused in a preview.
        if not inputs.get(name) or is_unknown(inputs[name]):
            yield name, "handler and runtime must be set when PackageType is Zip"
    if inputs.get("publish") and not is_unknown(inputs["publish"]):
        yield "publish", "the rehearsal's provider publishes no versions; leave publish out or false"
    if bool(inputs.get("s3Bucket")) != bool(inputs.get("s3Key")):
        yield "s3Key", "s3Bucket and s3Key go together"
    if inputs.get("s3ObjectVersion") and inputs.get("code") is not None:
        yield "s3ObjectVersion", "s3ObjectVersion excludes code: give one of them"


def _same_asset(old: Any, new: Any) -> bool:
    """The bridge writes an archive to a file that is named by its hash: equal content is no change."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("hash") and new.get("hash"):
        return old["hash"] == new["hash"]
    return old == new


FUNCTION = Row(
    type="aws:lambda/function:Function",
    source="lambda/function.go",
    label="Lambda Function",
    create=_create,
    read=_read,
    delete=_delete,
    calls=(_CREATE,),
    steps=(
        step(_configure, *_CONFIGURATION),
        step(_upload, *_CODE),
        step(_reserve, "reservedConcurrentExecutions"),
    ),
    name=AutoName(max_length=64),
    force_new=frozenset({"name", "packageType"}),
    computed=frozenset(
        {"architectures", "codeSha256", "ephemeralStorage", "loggingConfig", "sourceCodeHash", "tracingConfig"}
    ),
    defaults={
        "memorySize": 128,
        "packageType": "Zip",
        "publish": False,
        "reservedConcurrentExecutions": -1,
        "skipDestroy": False,
        "timeout": 3,
    },
    equal={"code": _same_asset},
    # Nothing of the code is read back: a foreign change shows as codeSha256 only.
    state_only=frozenset({"code", "publish", "s3Bucket", "s3Key", "s3ObjectVersion", "skipDestroy", "sourceCodeHash"}),
    rules=(
        required_one_of("code", "s3Bucket"),
        between("memorySize", 128, 10240),
        between("timeout", 1, 900),
        between("ephemeralStorage.size", 512, 10240),
        one_of("packageType", "Zip"),
        one_of("loggingConfig.logFormat", "JSON", "Text"),
        _function_rules,
    ),
    tagging=mapped_tagging("lambda", "Resource", by_arn),
    from_id=lambda id: (id, {"name": id}),
)

# -- aws:lambda/permission:Permission -----------------------------------------------------------------------

_ALLOW = Call(
    "lambda",
    "AddPermission",
    rules={"function": "FunctionName", "principalOrgId": "PrincipalOrgID"},
    only=frozenset(
        {
            "action",
            "function",
            "functionUrlAuthType",
            "principal",
            "principalOrgId",
            "qualifier",
            "sourceAccount",
            "sourceArn",
            "statementId",
        }
    ),
)


def _allow(op: Operation) -> None:
    params = {**op.params(_ALLOW), "StatementId": op.name_from("statementId", "statementIdPrefix")}
    op.retry(
        lambda: op.call("lambda", "AddPermission", **params),
        lambda error: error.is_code("ResourceConflictException", "ResourceNotFoundException"),
        "5 min",
    )
    op.created(params["StatementId"])


def _place(op: Operation) -> dict[str, Any]:
    """The function, and the alias or version, whose policy holds the statement."""
    asked = {**op.state, **op.inputs}
    return {"FunctionName": asked["function"], **optional("Qualifier", asked.get("qualifier"))}


def _read_permission(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("lambda", "GetPolicy", **_place(op)), *_GONE)
    statements = json.loads(answer["Policy"])["Statement"] if answer is not None else []
    found = next((one for one in statements if one.get("Sid") == op.id), None)
    if found is None:
        return None
    asked = {**op.state, **op.inputs}
    principal = found["Principal"]
    equals = found.get("Condition", {}).get("StringEquals", {})
    name, _, qualifier = found["Resource"].rpartition(":function:")[2].partition(":")
    by_name = found["Resource"].removesuffix(f":{qualifier}") if asked["function"].startswith("arn:") else name
    return {
        "action": found["Action"],
        "function": by_name,
        "functionUrlAuthType": equals.get("lambda:FunctionUrlAuthType"),
        "principal": principal if isinstance(principal, str) else principal.get("AWS") or principal.get("Service"),
        "principalOrgId": equals.get("aws:PrincipalOrgID"),
        "qualifier": qualifier or None,
        "sourceAccount": equals.get("AWS:SourceAccount"),
        "sourceArn": found.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn"),
        "statementId": found["Sid"],
        "statementIdPrefix": asked.get("statementIdPrefix") or "",
    }


def _forbid(op: Operation) -> None:
    op.gone(lambda: op.call("lambda", "RemovePermission", StatementId=op.id, **_place(op)), *_GONE)


def _permission_from(id: str) -> tuple[str, Mapping[str, Any]]:
    """Import ids are FUNCTION/SID or FUNCTION:QUALIFIER/SID."""
    function, _, sid = id.partition("/")
    name, _, qualifier = function.partition(":")
    return sid, {"function": name, "statementId": sid, **optional("qualifier", qualifier)}


PERMISSION = Row(
    type="aws:lambda/permission:Permission",
    source="lambda/permission.go",
    label="Lambda Permission",
    create=_allow,
    read=_read_permission,
    delete=_forbid,
    calls=(_ALLOW,),
    name=AutoName(field="statementId", prefix_field="statementIdPrefix", max_length=100),
    force_new=frozenset({ALL}),
    computed=frozenset({"statementId", "statementIdPrefix"}),
    never_sent=frozenset({"statementIdPrefix"}),
    rules=(
        conflicts("statementId", "statementIdPrefix"),
        matches("statementId", r"[A-Za-z0-9_-]{1,100}", "statementId takes 1 to 100 letters, digits, - and _"),
        matches("action", r"lambda:[A-Za-z]*[*]?|[*]", "action is an action of Lambda, such as lambda:InvokeFunction"),
        matches("sourceAccount", r"\d{12}", "sourceAccount is an account id"),
    ),
    from_id=_permission_from,
)

# -- aws:lambda/eventSourceMapping:EventSourceMapping -------------------------------------------------------

_MAPPED = frozenset(
    {
        "batchSize",
        "enabled",
        "functionName",
        "functionResponseTypes",
        "maximumBatchingWindowInSeconds",
        "scalingConfig",
    }
)
_MAP = Call("lambda", "CreateEventSourceMapping", only=_MAPPED | {"eventSourceArn"})
_REMAP = Call("lambda", "UpdateEventSourceMapping", only=_MAPPED)


def _role_lags(error: ApiError) -> bool:
    return error.is_code("InvalidParameterValueException") and error.says(
        "cannot be assumed by Lambda", "execution role does not have permissions", "ensure the role can perform"
    )


def _map(op: Operation) -> None:
    params = {**op.params(_MAP), **optional("Tags", op.wanted_tags())}
    answer = op.retry(lambda: op.call("lambda", "CreateEventSourceMapping", **params), _role_lags, "5 min")
    op.created(answer["UUID"])
    _wait_mapping(op, "create", "Creating")


def _wait_mapping(op: Operation, doing: str, pending: str) -> None:
    op.wait(
        lambda: str(op.call("lambda", "GetEventSourceMapping", UUID=op.id)["State"]),
        pending=(pending, "Enabling", "Disabling"),
        target=("Enabled", "Disabled"),
        timeout_seconds=600,
        what=f"Lambda Event Source Mapping ({op.id}) {doing}",
    )


def _remap(op: Operation) -> None:
    params = op.params(replace(_REMAP, only=_MAPPED & op.changed))
    if "scalingConfig" in op.changed and not op.inputs.get("scalingConfig"):
        params["ScalingConfig"] = {}
    if "functionResponseTypes" in op.changed and not op.inputs.get("functionResponseTypes"):
        params["FunctionResponseTypes"] = []
    if "maximumBatchingWindowInSeconds" in op.changed and op.inputs.get("maximumBatchingWindowInSeconds") is None:
        params["MaximumBatchingWindowInSeconds"] = 0
    op.retry(lambda: op.call("lambda", "UpdateEventSourceMapping", UUID=op.id, **params), _role_lags, "5 min")
    _wait_mapping(op, "update", "Updating")


def _read_mapping(op: Operation) -> Mapping[str, Any] | None:
    found = op.found(lambda: op.call("lambda", "GetEventSourceMapping", UUID=op.id), *_GONE)
    if found is None:
        return None
    tags = op.call("lambda", "ListTags", Resource=found["EventSourceMappingArn"]).get("Tags")
    live = op.described("lambda", "GetEventSourceMapping", "", found)
    return (
        live
        | op.shown_tags(tags or {})
        | {
            "arn": found["EventSourceMappingArn"],
            "enabled": found["State"] in ("Enabled", "Enabling"),
            "functionArn": found["FunctionArn"],
            "functionName": found["FunctionArn"],
            "functionResponseTypes": found.get("FunctionResponseTypes") or None,
            "lastProcessingResult": found.get("LastProcessingResult") or "",
            "maximumBatchingWindowInSeconds": found.get("MaximumBatchingWindowInSeconds") or None,
            "scalingConfig": live.get("scalingConfig") or None,
            "stateTransitionReason": found.get("StateTransitionReason") or "",
            "uuid": found["UUID"],
        }
    )


def _unmap(op: Operation) -> None:
    op.gone(lambda: op.call("lambda", "DeleteEventSourceMapping", UUID=op.id), *_GONE)


def _same_function(old: Any, new: Any) -> bool:
    """A name and the ARN that ends with it mean one function."""
    left, right = str(old), str(new)
    return left == right or left.endswith(f":function:{right}") or right.endswith(f":function:{left}")


EVENT_SOURCE_MAPPING = Row(
    type="aws:lambda/eventSourceMapping:EventSourceMapping",
    source="lambda/event_source_mapping.go",
    label="Lambda Event Source Mapping",
    create=_map,
    read=_read_mapping,
    delete=_unmap,
    calls=(_MAP,),
    steps=(step(_remap, *_MAPPED),),
    force_new=frozenset({"eventSourceArn"}),
    computed=frozenset({"batchSize"}),
    defaults={"enabled": True},
    sets=frozenset({"functionResponseTypes"}),
    equal={"functionName": _same_function},
    rules=(between("maximumBatchingWindowInSeconds", 0, 300), between("scalingConfig.maximumConcurrency", 2, 1000)),
    tagging=mapped_tagging("lambda", "Resource", by_arn),
)

ROWS = (FUNCTION, PERMISSION, EVENT_SOURCE_MAPPING)
