"""HTTP APIs: internal/service/apigatewayv2/api.go, stage.go, route.go, integration.go, authorizer.go.

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
_GONE = ("NotFoundException",)


def _changed(op: Operation, call: Call, empty: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """The parameters of what changed. empty: what the provider sends for an argument that left, by argument."""
    params = op.params(replace(call, only=(call.only or frozenset()) & op.changed))
    for name, (member, value) in empty.items():
        if name in op.changed and op.inputs.get(name) in (None, "", []):
            params[member] = value
    return params


def _of_api(id: str) -> tuple[str, Mapping[str, Any]]:
    """Import ids are API-ID/ID."""
    api, _, own = id.partition("/")
    return own, {"apiId": api}


def _api_id(op: Operation) -> str:
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
    params = _changed(
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
    api = op.found(lambda: op.call(SERVICE, "GetApi", ApiId=op.id), *_GONE)
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
    op.gone(lambda: op.call(SERVICE, "DeleteApi", ApiId=op.id), *_GONE)


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
    op.call(SERVICE, "GetApi", ApiId=_api_id(op))
    name = op.name_from()
    op.send(_CREATE_STAGE, StageName=name, **optional("Tags", op.wanted_tags()))
    op.created(name)


def _update_stage(op: Operation) -> None:
    api = {"ApiId": _api_id(op), "StageName": op.id}
    op.call(SERVICE, "GetApi", ApiId=api["ApiId"])
    params = _changed(
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
                op.gone(lambda key=key: op.call(SERVICE, "DeleteRouteSettings", **api, RouteKey=key), *_GONE)
    if "stageVariables" in op.changed:
        before, after = op.state.get("stageVariables") or {}, op.inputs.get("stageVariables") or {}
        removed = {key: "" for key in before if key not in after}
        added = {key: value for key, value in after.items() if before.get(key) != value}
        params["StageVariables"] = removed | added
    op.call(SERVICE, "UpdateStage", **api, **params)


def _read_stage(op: Operation) -> Mapping[str, Any] | None:
    api_id = _api_id(op)
    stage = op.found(lambda: op.call(SERVICE, "GetStage", ApiId=api_id, StageName=op.id), *_GONE)
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
    op.gone(lambda: op.call(SERVICE, "DeleteStage", ApiId=_api_id(op), StageName=op.id), *_GONE)


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
    from_id=_of_api,
)

# -- aws:apigatewayv2/integration:Integration ---------------------------------------------------------------

_INTEGRATION_RULES = {"timeoutMilliseconds": "TimeoutInMillis"}
_INTEGRATION_CHANGES = frozenset(
    {
        "connectionType",
        "description",
        "integrationMethod",
        "integrationUri",
        "passthroughBehavior",
        "payloadFormatVersion",
        "timeoutMilliseconds",
    }
)
_CREATE_INTEGRATION = Call(
    SERVICE,
    "CreateIntegration",
    rules=_INTEGRATION_RULES,
    only=_INTEGRATION_CHANGES | {"apiId", "integrationType"},
)
_UPDATE_INTEGRATION = Call(SERVICE, "UpdateIntegration", rules=_INTEGRATION_RULES, only=_INTEGRATION_CHANGES)


def _create_integration(op: Operation) -> None:
    op.created(op.send(_CREATE_INTEGRATION)["IntegrationId"])


def _update_integration(op: Operation) -> None:
    op.call(
        SERVICE,
        "UpdateIntegration",
        ApiId=_api_id(op),
        IntegrationId=op.id,
        IntegrationType=op.inputs["integrationType"],
        **_changed(op, _UPDATE_INTEGRATION, {"description": ("Description", "")}),
    )


def _read_integration(op: Operation) -> Mapping[str, Any] | None:
    api_id = _api_id(op)
    found = op.found(lambda: op.call(SERVICE, "GetIntegration", ApiId=api_id, IntegrationId=op.id), *_GONE)
    if found is None:
        return None
    return op.described(SERVICE, "GetIntegration", "", found, _INTEGRATION_RULES) | {
        "apiId": api_id,
        "integrationResponseSelectionExpression": found.get("IntegrationResponseSelectionExpression") or "",
        "passthroughBehavior": found.get("PassthroughBehavior") or "",
    }


def _delete_integration(op: Operation) -> None:
    op.gone(lambda: op.call(SERVICE, "DeleteIntegration", ApiId=_api_id(op), IntegrationId=op.id), *_GONE)


INTEGRATION = Row(
    type="aws:apigatewayv2/integration:Integration",
    source="apigatewayv2/integration.go",
    label="API Gateway v2 integration",
    create=_create_integration,
    read=_read_integration,
    delete=_delete_integration,
    calls=(_CREATE_INTEGRATION,),
    steps=(step(_update_integration, *sorted(_INTEGRATION_CHANGES)),),
    force_new=frozenset({"apiId", "integrationType"}),
    # POST is what an integration with Lambda has when nothing is said.
    computed=frozenset({"integrationMethod", "timeoutMilliseconds"}),
    defaults={"connectionType": "INTERNET", "passthroughBehavior": "WHEN_NO_MATCH", "payloadFormatVersion": "1.0"},
    # HTTP APIs have none, and the provider suppresses its own default.
    equal={"passthroughBehavior": lambda old, new: old == "" and new == "WHEN_NO_MATCH"},
    rules=(
        one_of("integrationType", "AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK"),
        one_of("connectionType", "INTERNET", "VPC_LINK"),
        one_of("passthroughBehavior", "WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"),
        one_of("payloadFormatVersion", "1.0", "2.0"),
        one_of("integrationMethod", "ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"),
    ),
    from_id=_of_api,
)

# -- aws:apigatewayv2/route:Route ---------------------------------------------------------------------------

_ROUTE_CHANGES = frozenset(
    {
        "apiKeyRequired",
        "authorizationScopes",
        "authorizationType",
        "authorizerId",
        "operationName",
        "routeKey",
        "target",
    }
)
_CREATE_ROUTE = Call(SERVICE, "CreateRoute", only=_ROUTE_CHANGES | {"apiId"})
_UPDATE_ROUTE = Call(SERVICE, "UpdateRoute", only=_ROUTE_CHANGES)


def _create_route(op: Operation) -> None:
    op.created(op.send(_CREATE_ROUTE)["RouteId"])


def _update_route(op: Operation) -> None:
    params = _changed(
        op,
        _UPDATE_ROUTE,
        {
            "authorizationScopes": ("AuthorizationScopes", []),
            "authorizerId": ("AuthorizerId", ""),
            "operationName": ("OperationName", ""),
            "target": ("Target", ""),
        },
    )
    if "authorizerId" in op.changed:
        params["AuthorizationType"] = op.inputs["authorizationType"]
    op.call(SERVICE, "UpdateRoute", ApiId=_api_id(op), RouteId=op.id, **params)


def _read_route(op: Operation) -> Mapping[str, Any] | None:
    api_id = _api_id(op)
    found = op.found(lambda: op.call(SERVICE, "GetRoute", ApiId=api_id, RouteId=op.id), *_GONE)
    if found is None:
        return None
    parameters = [
        {"requestParameterKey": key, "required": bool(told.get("Required"))}
        for key, told in sorted((found.get("RequestParameters") or {}).items())
    ]
    return op.described(SERVICE, "GetRoute", "", found) | {"apiId": api_id, "requestParameters": parameters}


def _delete_route(op: Operation) -> None:
    op.gone(lambda: op.call(SERVICE, "DeleteRoute", ApiId=_api_id(op), RouteId=op.id), *_GONE)


ROUTE = Row(
    type="aws:apigatewayv2/route:Route",
    source="apigatewayv2/route.go",
    label="API Gateway v2 Route",
    create=_create_route,
    read=_read_route,
    delete=_delete_route,
    calls=(_CREATE_ROUTE,),
    steps=(step(_update_route, *sorted(_ROUTE_CHANGES)),),
    force_new=frozenset({"apiId"}),
    defaults={"apiKeyRequired": False, "authorizationType": "NONE"},
    sets=frozenset({"authorizationScopes"}),
    rules=(
        one_of("authorizationType", "NONE", "AWS_IAM", "CUSTOM", "JWT"),
        matches("operationName", r".{1,64}", "operationName takes 1 to 64 characters"),
        matches("target", r".{1,128}", "target takes 1 to 128 characters"),
    ),
    from_id=_of_api,
)

# -- aws:apigatewayv2/authorizer:Authorizer -----------------------------------------------------------------

_AUTHORIZER_RULES = {"identitySources": "IdentitySource"}
_AUTHORIZER_CHANGES = frozenset({"authorizerType", "identitySources", "jwtConfiguration", "name"})
_CREATE_AUTHORIZER = Call(SERVICE, "CreateAuthorizer", rules=_AUTHORIZER_RULES, only=_AUTHORIZER_CHANGES | {"apiId"})
_UPDATE_AUTHORIZER = Call(SERVICE, "UpdateAuthorizer", rules=_AUTHORIZER_RULES, only=_AUTHORIZER_CHANGES)


def _create_authorizer(op: Operation) -> None:
    op.call(SERVICE, "GetApi", ApiId=_api_id(op))
    op.created(op.send(_CREATE_AUTHORIZER, Name=op.name_from())["AuthorizerId"])


def _update_authorizer(op: Operation) -> None:
    params = _changed(op, _UPDATE_AUTHORIZER, {"identitySources": ("IdentitySource", [])})
    op.call(SERVICE, "UpdateAuthorizer", ApiId=_api_id(op), AuthorizerId=op.id, **params)


def _read_authorizer(op: Operation) -> Mapping[str, Any] | None:
    api_id = _api_id(op)
    found = op.found(lambda: op.call(SERVICE, "GetAuthorizer", ApiId=api_id, AuthorizerId=op.id), *_GONE)
    if found is None:
        return None
    return op.described(SERVICE, "GetAuthorizer", "", found, _AUTHORIZER_RULES) | {"apiId": api_id}


def _delete_authorizer(op: Operation) -> None:
    op.retry(
        lambda: op.gone(lambda: op.call(SERVICE, "DeleteAuthorizer", ApiId=_api_id(op), AuthorizerId=op.id), *_GONE),
        lambda error: error.is_code("ConflictException"),
        "30 min",
    )


AUTHORIZER = Row(
    type="aws:apigatewayv2/authorizer:Authorizer",
    source="apigatewayv2/authorizer.go",
    label="API Gateway v2 Authorizer",
    create=_create_authorizer,
    read=_read_authorizer,
    delete=_delete_authorizer,
    calls=(_CREATE_AUTHORIZER,),
    steps=(step(_update_authorizer, *sorted(_AUTHORIZER_CHANGES)),),
    name=AutoName(max_length=128),
    force_new=frozenset({"apiId"}),
    computed=frozenset({"name"}),
    sets=frozenset({"identitySources", "jwtConfiguration.audiences"}),
    rules=(
        one_of("authorizerType", "JWT", "REQUEST"),
        matches("name", r"(?s).{1,128}", "name takes 1 to 128 characters"),
    ),
    from_id=_of_api,
)

ROWS = (API, STAGE, INTEGRATION, ROUTE, AUTHORIZER)
