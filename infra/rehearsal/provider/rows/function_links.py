"""Permissions and event sources of functions: internal/service/lambda/permission.go, event_source_mapping.go.

Event sources that are streams or Kafka have arguments that are in no call here: Check refuses them by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import ALL, Row, between, conflicts, matches, step
from infra.rehearsal.provider.tags import by_arn, mapped_tagging, optional
from infra.rehearsal.provider.translate import Call

_GONE = ("ResourceNotFoundException",)

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

ROWS = (PERMISSION, EVENT_SOURCE_MAPPING)
