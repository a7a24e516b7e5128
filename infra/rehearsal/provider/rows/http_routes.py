"""Routes, integrations and authorizers of HTTP APIs: internal/service/apigatewayv2/route.go, integration.go,
authorizer.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, matches, one_of, step
from infra.rehearsal.provider.rows.http_apis import GONE, SERVICE, api_of, changed_of, from_api_and_id
from infra.rehearsal.provider.translate import Call

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
        ApiId=api_of(op),
        IntegrationId=op.id,
        IntegrationType=op.inputs["integrationType"],
        **changed_of(op, _UPDATE_INTEGRATION, {"description": ("Description", "")}),
    )


def _read_integration(op: Operation) -> Mapping[str, Any] | None:
    api_id = api_of(op)
    found = op.found(lambda: op.call(SERVICE, "GetIntegration", ApiId=api_id, IntegrationId=op.id), *GONE)
    if found is None:
        return None
    return op.described(SERVICE, "GetIntegration", "", found, _INTEGRATION_RULES) | {
        "apiId": api_id,
        "integrationResponseSelectionExpression": found.get("IntegrationResponseSelectionExpression") or "",
        "passthroughBehavior": found.get("PassthroughBehavior") or "",
    }


def _delete_integration(op: Operation) -> None:
    op.gone(lambda: op.call(SERVICE, "DeleteIntegration", ApiId=api_of(op), IntegrationId=op.id), *GONE)


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
    from_id=from_api_and_id,
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
    params = changed_of(
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
    op.call(SERVICE, "UpdateRoute", ApiId=api_of(op), RouteId=op.id, **params)


def _read_route(op: Operation) -> Mapping[str, Any] | None:
    api_id = api_of(op)
    found = op.found(lambda: op.call(SERVICE, "GetRoute", ApiId=api_id, RouteId=op.id), *GONE)
    if found is None:
        return None
    parameters = [
        {"requestParameterKey": key, "required": bool(told.get("Required"))}
        for key, told in sorted((found.get("RequestParameters") or {}).items())
    ]
    return op.described(SERVICE, "GetRoute", "", found) | {"apiId": api_id, "requestParameters": parameters}


def _delete_route(op: Operation) -> None:
    op.gone(lambda: op.call(SERVICE, "DeleteRoute", ApiId=api_of(op), RouteId=op.id), *GONE)


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
    from_id=from_api_and_id,
)

# -- aws:apigatewayv2/authorizer:Authorizer -----------------------------------------------------------------

_AUTHORIZER_RULES = {"identitySources": "IdentitySource"}
_AUTHORIZER_CHANGES = frozenset({"authorizerType", "identitySources", "jwtConfiguration", "name"})
_CREATE_AUTHORIZER = Call(SERVICE, "CreateAuthorizer", rules=_AUTHORIZER_RULES, only=_AUTHORIZER_CHANGES | {"apiId"})
_UPDATE_AUTHORIZER = Call(SERVICE, "UpdateAuthorizer", rules=_AUTHORIZER_RULES, only=_AUTHORIZER_CHANGES)


def _create_authorizer(op: Operation) -> None:
    op.call(SERVICE, "GetApi", ApiId=api_of(op))
    op.created(op.send(_CREATE_AUTHORIZER, Name=op.name_from())["AuthorizerId"])


def _update_authorizer(op: Operation) -> None:
    params = changed_of(op, _UPDATE_AUTHORIZER, {"identitySources": ("IdentitySource", [])})
    op.call(SERVICE, "UpdateAuthorizer", ApiId=api_of(op), AuthorizerId=op.id, **params)


def _read_authorizer(op: Operation) -> Mapping[str, Any] | None:
    api_id = api_of(op)
    found = op.found(lambda: op.call(SERVICE, "GetAuthorizer", ApiId=api_id, AuthorizerId=op.id), *GONE)
    if found is None:
        return None
    return op.described(SERVICE, "GetAuthorizer", "", found, _AUTHORIZER_RULES) | {"apiId": api_id}


def _delete_authorizer(op: Operation) -> None:
    op.retry(
        lambda: op.gone(lambda: op.call(SERVICE, "DeleteAuthorizer", ApiId=api_of(op), AuthorizerId=op.id), *GONE),
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
    from_id=from_api_and_id,
)

ROWS = (INTEGRATION, ROUTE, AUTHORIZER)
