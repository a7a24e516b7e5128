"""HTTP APIs and their stages: internal/service/apigatewayv2/api.go, stage.go. Routes are in http_routes.py.

Arguments that only WebSocket APIs and other integrations have are in no call, so Check refuses them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, matches, one_of, step
from infra.rehearsal.provider.tags import by_arn, mapped_tagging, optional
from infra.rehearsal.provider.translate import Call, To

SERVICE = "apigatewayv2"
GONE = ("NotFoundException",)


def changed_of(op: Operation, call: Call, empty: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """The parameters of what changed. empty: what the provider sends for an argument that left, by argument."""
    params = op.params(replace(call, only=(call.only or frozenset()) & op.changed))
    for name, (member, value) in empty.items():
        if name in op.changed and op.inputs.get(name) in (None, "", []):
            params[member] = value
    return params


def from_api_and_id(id: str) -> tuple[str, Mapping[str, Any]]:
    """Import ids are API-ID/ID."""
    api, _, own = id.partition("/")
    return own, {"apiId": api}


def api_of(op: Operation) -> str:
    return str(op.inputs.get("apiId") or op.state["apiId"])


def _api_arn(op: Operation, api_id: str) -> str:
    return f"arn:aws:apigateway:{op.region}::/apis/{api_id}"


def _execution_arn(op: Operation, api_id: str) -> str:
    return f"arn:aws:execute-api:{op.region}:{op.account.account_id}:{api_id}"


# -- aws:apigatewayv2/api:Api -------------------------------------------------------------------------------

_API_CHANGES = frozenset(
    {
        "apiKeySelectionExpression",
        "corsConfiguration",
        "description",
        "disableExecuteApiEndpoint",
        "ipAddressType",
        "name",
        "routeSelectionExpression",
        "version",
    }
)
_ONCE = frozenset({"credentialsArn", "protocolType", "routeKey", "target"})
_CREATE_API = Call(SERVICE, "CreateApi", only=_API_CHANGES | _ONCE)
_UPDATE_API = Call(SERVICE, "UpdateApi", only=_API_CHANGES)


def _create_api(op: Operation) -> None:
    answer = op.send(_CREATE_API, Name=op.name_from(), **optional("Tags", op.wanted_tags()))
    op.created(answer["ApiId"])


def _update_api(op: Operation) -> None:
    params = changed_of(
        op,
        _UPDATE_API,
        {
            "description": ("Description", ""),
            "disableExecuteApiEndpoint": ("DisableExecuteApiEndpoint", False),
            "version": ("Version", ""),
        },
    )
    if "corsConfiguration" in op.changed and not op.inputs.get("corsConfiguration"):
        op.call(SERVICE, "DeleteCorsConfiguration", ApiId=op.id)
    if params:
        op.call(SERVICE, "UpdateApi", ApiId=op.id, **params)


def _read_api(op: Operation) -> Mapping[str, Any] | None:
    api = op.found(lambda: op.call(SERVICE, "GetApi", ApiId=op.id), *GONE)
    if api is None:
        return None
    live = op.described(SERVICE, "GetApi", "", {name: value for name, value in api.items() if name != "Tags"})
    return (
        live
        | op.shown_tags(api.get("Tags") or {})
        | {
            "apiEndpoint": api["ApiEndpoint"],
            "arn": _api_arn(op, op.id),
            "executionArn": _execution_arn(op, op.id),
        }
    )


def _delete_api(op: Operation) -> None:
    op.gone(lambda: op.call(SERVICE, "DeleteApi", ApiId=op.id), *GONE)


API = Row(
    type="aws:apigatewayv2/api:Api",
    source="apigatewayv2/api.go",
    label="API Gateway v2 API",
    create=_create_api,
    read=_read_api,
    delete=_delete_api,
    calls=(_CREATE_API,),
    steps=(step(_update_api, *sorted(_API_CHANGES)),),
    name=AutoName(max_length=128),
    force_new=_ONCE,
    computed=frozenset({"ipAddressType", "name"}),
    defaults={
        "apiKeySelectionExpression": "$request.header.x-api-key",
        "routeSelectionExpression": "$request.method $request.path",
    },
    sets=frozenset(
        f"corsConfiguration.{name}" for name in ("allowHeaders", "allowMethods", "allowOrigins", "exposeHeaders")
    ),
    # Quick create: never read back.
    state_only=frozenset({"credentialsArn", "routeKey", "target"}),
    rules=(
        one_of("apiKeySelectionExpression", "$context.authorizer.usageIdentifierKey", "$request.header.x-api-key"),
        one_of("protocolType", "HTTP", "WEBSOCKET"),
        one_of("ipAddressType", "ipv4", "dualstack"),
        matches("name", r"(?s).{1,128}", "name takes 1 to 128 characters"),
        matches("version", r"(?s).{1,64}", "version takes 1 to 64 characters"),
        matches("description", r"(?s).{0,1024}", "description takes at most 1024 characters"),
    ),
    tagging=mapped_tagging(SERVICE, "ResourceArn", by_arn),
)

# -- aws:apigatewayv2/stage:Stage ---------------------------------------------------------------------------


def _settings(block: Any) -> dict[str, Any]:
    """As the provider expands a block of an HTTP API: throttles always, so a block without them stops everything."""
    found = (block[0] if block else {}) if isinstance(block, list) else block or {}
    return {
        "DetailedMetricsEnabled": bool(found.get("detailedMetricsEnabled")),
        "ThrottlingBurstLimit": int(found.get("throttlingBurstLimit") or 0),
        "ThrottlingRateLimit": float(found.get("throttlingRateLimit") or 0),
    }


def _settings_back(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dataTraceEnabled": bool(settings.get("DataTraceEnabled")),
        "detailedMetricsEnabled": bool(settings.get("DetailedMetricsEnabled")),
        "loggingLevel": settings.get("LoggingLevel") or "",
        "throttlingBurstLimit": settings.get("ThrottlingBurstLimit") or 0,
        "throttlingRateLimit": settings.get("ThrottlingRateLimit") or 0,
    }


def _by_route(blocks: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {block["routeKey"]: _settings(block) for block in blocks}


def _by_route_back(settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"routeKey": key, **_settings_back(settings[key])} for key in sorted(settings)]


_STAGE_RULES = {
    "name": "StageName",
    "defaultRouteSettings": To("DefaultRouteSettings", via=_settings, back=_settings_back),
    "routeSettings": To("RouteSettings", via=_by_route, back=_by_route_back),
}
_STAGE_CHANGES = frozenset(
    {
        "accessLogSettings",
        "autoDeploy",
        "clientCertificateId",
        "defaultRouteSettings",
        "deploymentId",
        "description",
        "routeSettings",
        "stageVariables",
    }
)
_CREATE_STAGE = Call(SERVICE, "CreateStage", rules=_STAGE_RULES, only=_STAGE_CHANGES | {"apiId", "name"})
_UPDATE_STAGE = Call(SERVICE, "UpdateStage", rules=_STAGE_RULES, only=_STAGE_CHANGES)


def _create_stage(op: Operation) -> None:
    # The provider reads the API first, for its protocol.
    op.call(SERVICE, "GetApi", ApiId=api_of(op))
    name = op.name_from()
    op.send(_CREATE_STAGE, StageName=name, **optional("Tags", op.wanted_tags()))
    op.created(name)


def _update_stage(op: Operation) -> None:
    api = {"ApiId": api_of(op), "StageName": op.id}
    op.call(SERVICE, "GetApi", ApiId=api["ApiId"])
    params = changed_of(
        op,
        _UPDATE_STAGE,
        {
            "accessLogSettings": ("AccessLogSettings", {}),
            "description": ("Description", ""),
            "routeSettings": ("RouteSettings", {}),
        },
    )
    if "routeSettings" in op.changed:
        kept = _by_route(op.inputs.get("routeSettings") or [])
        for key, settings in _by_route(op.state.get("routeSettings") or []).items():
            if kept.get(key) != settings:  # a moment without its throttle
                op.gone(lambda key=key: op.call(SERVICE, "DeleteRouteSettings", **api, RouteKey=key), *GONE)
    if "stageVariables" in op.changed:
        before, after = op.state.get("stageVariables") or {}, op.inputs.get("stageVariables") or {}
        removed = {key: "" for key in before if key not in after}
        added = {key: value for key, value in after.items() if before.get(key) != value}
        params["StageVariables"] = removed | added
    op.call(SERVICE, "UpdateStage", **api, **params)


def _read_stage(op: Operation) -> Mapping[str, Any] | None:
    api_id = api_of(op)
    stage = op.found(lambda: op.call(SERVICE, "GetStage", ApiId=api_id, StageName=op.id), *GONE)
    if stage is None:
        return None
    plain = {name: value for name, value in stage.items() if name != "Tags"}
    endpoint = op.call(SERVICE, "GetApi", ApiId=api_id)["ApiEndpoint"]
    return (
        op.described(SERVICE, "GetStage", "", plain, _STAGE_RULES)
        | op.shown_tags(stage.get("Tags") or {})
        | {
            "apiId": api_id,
            "arn": f"{_api_arn(op, api_id)}/stages/{op.id}",
            "autoDeploy": bool(stage.get("AutoDeploy")),
            "executionArn": f"{_execution_arn(op, api_id)}/{op.id}",
            # The provider builds it from the API's id; the emulated API listens elsewhere.
            "invokeUrl": f"{endpoint}/{'' if op.id == '$default' else op.id}",
        }
    )


def _delete_stage(op: Operation) -> None:
    op.gone(lambda: op.call(SERVICE, "DeleteStage", ApiId=api_of(op), StageName=op.id), *GONE)


STAGE = Row(
    type="aws:apigatewayv2/stage:Stage",
    source="apigatewayv2/stage.go",
    label="API Gateway v2 Stage",
    create=_create_stage,
    read=_read_stage,
    delete=_delete_stage,
    calls=(_CREATE_STAGE,),
    steps=(step(_update_stage, *sorted(_STAGE_CHANGES)),),
    name=AutoName(max_length=128),
    force_new=frozenset({"apiId", "name"}),
    # A removed block of default settings is suppressed; an automatic deployment moves the id.
    computed=frozenset(
        {"defaultRouteSettings", "defaultRouteSettings.loggingLevel", "deploymentId", "name"}
        | {"routeSettings.loggingLevel"}
    ),
    defaults={
        "autoDeploy": False,
        "defaultRouteSettings.dataTraceEnabled": False,
        "defaultRouteSettings.detailedMetricsEnabled": False,
        "routeSettings.dataTraceEnabled": False,
        "routeSettings.detailedMetricsEnabled": False,
    },
    sets=frozenset({"routeSettings"}),
    rules=(
        one_of("defaultRouteSettings.loggingLevel", "ERROR", "INFO", "OFF"),
        one_of("routeSettings.loggingLevel", "ERROR", "INFO", "OFF"),
        matches("name", r".{1,128}", "name takes 1 to 128 characters"),
        matches("description", r"(?s).{0,1024}", "description takes at most 1024 characters"),
    ),
    tagging=mapped_tagging(SERVICE, "ResourceArn", by_arn),
    from_id=from_api_and_id,
)

ROWS = (API, STAGE)
