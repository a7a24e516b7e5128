"""Routes, integrations and authorizers of HTTP APIs: what AWS refuses and moto takes, and the automatic deployment.

Sources: API reference v2 and the developer guide's pages on HTTP APIs. Only what a rehearsal can serve is carried:
Lambda proxies with payload format 2.0, and NONE, AWS_IAM and JWT authorisation. Codes and words of refusals are
unconfirmed where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.gateway.deployment import function_of
from infra.rehearsal.cloud.overlay import after, before, handler
from infra.rehearsal.cloud.overlay.apigateway_apis import api_of, not_carried, not_found
from infra.rehearsal.cloud.overlay.apigateway_stages import deploy_changes

MOST: Mapping[str, int] = {"routes": 300, "integrations": 300, "authorizers": 10}
"""Of one API ("Quotas for HTTP APIs")."""
_NO_ROUTE_MEMBERS = (
    *("ModelSelectionExpression", "RequestModels", "RequestParameters", "RouteResponseSelectionExpression"),
)
_NO_INTEGRATION_MEMBERS = (
    *("ConnectionId", "ContentHandlingStrategy", "CredentialsArn", "IntegrationSubtype", "RequestParameters"),
    *("RequestTemplates", "ResponseParameters", "TemplateSelectionExpression", "TlsConfig"),
)
_NO_AUTHORIZER_MEMBERS = (
    *("AuthorizerCredentialsArn", "AuthorizerPayloadFormatVersion", "AuthorizerUri", "EnableSimpleResponses"),
    "IdentityValidationExpression",
)


def _bad_request(message: str) -> AwsError:
    return AwsError("BadRequestException", message, 400)


def _without(call: Call, members: tuple[str, ...]) -> None:
    for member in members:
        if call.params.get(member):
            raise not_carried(call, member)


def _room(call: Call, records: Mapping[str, Any], kind: str) -> None:
    if len(records) >= MOST[kind]:
        raise _bad_request(f"An API has at most {MOST[kind]} {kind}")


# -- routes -------------------------------------------------------------------------------------------------------


@before("apigatewayv2", "CreateRoute")
def route_fits(call: Call) -> None:
    api = api_of(call)
    _room(call, api.routes, "routes")
    _check_route(call, api, None)


@before("apigatewayv2", "UpdateRoute")
def route_still_fits(call: Call) -> None:
    api = api_of(call)
    _check_route(call, api, _record(call, api.routes, "Route"))


def _check_route(call: Call, api: Any, known: Any) -> None:
    params = call.params
    _without(call, _NO_ROUTE_MEMBERS)
    if params.get("ApiKeyRequired"):
        raise _bad_request("ApiKeyRequired is not currently supported for HTTP APIs")
    key = params.get("RouteKey")
    if key is not None and any(route.route_key == key and route is not known for route in list(api.routes.values())):
        # The words: hashicorp/terraform-provider-aws issues on aws_apigatewayv2_route.
        raise AwsError("ConflictException", f"Route with key {key} already exists for this API", 409)
    kind = params.get("AuthorizationType") or (known.authorization_type if known is not None else "NONE") or "NONE"
    authorizer = params.get("AuthorizerId", known.authorizer_id if known is not None else None)
    scopes = params.get("AuthorizationScopes", known.authorization_scopes if known is not None else None)
    if kind == "CUSTOM":
        raise not_carried(call, "AuthorizationType CUSTOM")
    if kind == "JWT" and not authorizer:
        raise _bad_request("AuthorizerId is required for AuthorizationType JWT")
    if kind != "JWT" and params.get("AuthorizerId"):
        raise _bad_request(f"AuthorizerId is not allowed for AuthorizationType {kind}")
    if kind != "JWT" and scopes:
        raise _bad_request("AuthorizationScopes are allowed for AuthorizationType JWT only")


@after("apigatewayv2", "UpdateRoute")
def route_changed(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """moto keeps scopes that an empty list takes away."""
    route = api_of(call).routes[call.params["RouteId"]]
    if "AuthorizationScopes" in call.params:
        route.authorization_scopes = call.params["AuthorizationScopes"]
        output = {**output, "AuthorizationScopes": call.params["AuthorizationScopes"]}
    return output


@before("apigatewayv2", "DeleteRoute")
def route_is_there(call: Call) -> None:
    _record(call, api_of(call).routes, "Route")


# -- integrations -------------------------------------------------------------------------------------------------


@before("apigatewayv2", "CreateIntegration")
def integration_fits(call: Call) -> None:
    api, params = api_of(call), call.params
    _room(call, api.integrations, "integrations")
    if not params.get("PayloadFormatVersion"):
        # API reference: "Required for HTTP APIs".
        raise _bad_request("PayloadFormatVersion is a required parameter for integration")
    if not params.get("IntegrationUri"):
        raise _bad_request("IntegrationUri is required for AWS_PROXY integrations")
    _check_integration(call)


@before("apigatewayv2", "UpdateIntegration")
def integration_still_fits(call: Call) -> None:
    _record(call, api_of(call).integrations, "Integration")
    _check_integration(call)


def _check_integration(call: Call) -> None:
    params = call.params
    _without(call, _NO_INTEGRATION_MEMBERS)
    if params.get("IntegrationType", "AWS_PROXY") != "AWS_PROXY":
        raise not_carried(call, f"IntegrationType {params['IntegrationType']}")
    if params.get("ConnectionType", "INTERNET") != "INTERNET":
        raise not_carried(call, f"ConnectionType {params['ConnectionType']}")
    version = params.get("PayloadFormatVersion", "2.0")
    if version == "1.0":
        raise not_carried(call, "PayloadFormatVersion 1.0")
    if version != "2.0":
        raise _bad_request("PayloadFormatVersion must be 1.0 or 2.0")
    if params.get("IntegrationMethod", "POST") != "POST":
        # Lambda is called by POST (developer guide, "Create AWS Lambda proxy integrations for HTTP APIs").
        raise _bad_request("IntegrationMethod must be POST for AWS_PROXY integrations")
    uri = params.get("IntegrationUri")
    if uri is not None and not function_of(uri):
        raise _bad_request(f"Invalid integration URI specified: {uri}")


def _integration_shown(output: dict[str, Any]) -> dict[str, Any]:
    """Without PassthroughBehavior, which HTTP APIs do not have (terraform-provider-aws apigatewayv2/integration.go)."""
    return {name: value for name, value in output.items() if name != "PassthroughBehavior"}


@after("apigatewayv2", "CreateIntegration")
@after("apigatewayv2", "UpdateIntegration")
@after("apigatewayv2", "GetIntegration")
def show_integration(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return _integration_shown(output)


@after("apigatewayv2", "GetIntegrations")
def show_integrations(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return {**output, "Items": [_integration_shown(item) for item in output.get("Items", ())]}


@before("apigatewayv2", "DeleteIntegration")
def integration_is_free(call: Call) -> None:
    api = api_of(call)
    _record(call, api.integrations, "Integration")
    name = call.params["IntegrationId"]
    for route in list(api.routes.values()):
        if route.target == f"integrations/{name}":
            raise AwsError(
                "ConflictException",
                f"Cannot delete Integration '{name}'. Found a Route '{route.route_id}' using it as a target.",
                409,
            )


# -- authorizers --------------------------------------------------------------------------------------------------


@before("apigatewayv2", "CreateAuthorizer")
def authorizer_fits(call: Call) -> None:
    api, params = api_of(call), call.params
    _room(call, api.authorizers, "authorizers")
    if any(authorizer.name == params["Name"] for authorizer in list(api.authorizers.values())):
        raise AwsError("ConflictException", f"Authorizer {params['Name']} already exists for this API", 409)
    _check_authorizer(call)


@before("apigatewayv2", "UpdateAuthorizer")
def authorizer_still_fits(call: Call) -> None:
    _record(call, api_of(call).authorizers, "Authorizer")
    _check_authorizer(call)


def _check_authorizer(call: Call) -> None:
    _without(call, _NO_AUTHORIZER_MEMBERS)
    if call.params.get("AuthorizerType", "JWT") != "JWT":
        raise not_carried(call, f"AuthorizerType {call.params['AuthorizerType']}")


@before("apigatewayv2", "DeleteAuthorizer")
def authorizer_is_free(call: Call) -> None:
    """One that a route uses cannot go (the provider retries the ConflictException: apigatewayv2/authorizer.go)."""
    api = api_of(call)
    _record(call, api.authorizers, "Authorizer")
    for route in list(api.routes.values()):
        if route.authorizer_id == call.params["AuthorizerId"] and route.authorization_type == "JWT":
            raise AwsError(
                "ConflictException",
                f"Cannot delete authorizer '{call.params['AuthorizerId']}', is referenced by route: {route.route_key}",
                409,
            )


@handler("apigatewayv2", "GetAuthorizers")
def get_authorizers(call: Call) -> dict[str, Any]:
    client = call.cloud.client("apigatewayv2", call.region)
    api_id = call.params["ApiId"]
    found = [client.get_authorizer(ApiId=api_id, AuthorizerId=name) for name in list(api_of(call).authorizers)]
    return {"Items": [{k: v for k, v in one.items() if k != "ResponseMetadata"} for one in found]}


def _record(call: Call, records: Mapping[str, Any], kind: str) -> Any:
    name = call.params[f"{kind}Id"]
    record = records.get(name)
    if record is None:
        raise not_found(kind, name)
    return record


# -- what a change brings about ----------------------------------------------------------------------------------


def changes_deployed(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """After whatever else mends a record: the deployment is of what it is by then."""
    deploy_changes(call)
    return output


for _changed in ("Create", "Update", "Delete"):
    for _kind in ("Route", "Integration", "Authorizer"):
        after("apigatewayv2", f"{_changed}{_kind}")(changes_deployed)
