"""Functions: internal/service/lambda/function.go. What hangs on them is in function_links.py.

Arguments that are in no call here (images, layers, VPCs, durable and tenant-isolated functions, streams and Kafka as
event sources) are refused by Check, by name: the emulated cloud does not run them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import (
    Inputs,
    Problem,
    Row,
    between,
    one_of,
    required_one_of,
    step,
)
from infra.rehearsal.provider.rows import function_links
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

ROWS = (FUNCTION, *function_links.ROWS)
