"""Where AWS shows what an HTTP API sets. From the API Gateway version 2 API reference, by hand."""

from __future__ import annotations

from readback import IN_THE_CALL, At, Look, Row, Table, any_order

_GATEWAY = "apigatewayv2"


_DEFAULTS, _SETTINGS = "defaultRouteSettings", "DefaultRouteSettings"

HTTP_APIS: Table = {
    "aws:apigatewayv2/api:Api": Row(
        Look(_GATEWAY, "get_api", {"ApiId": "{id}"}),
        {
            "apiKeySelectionExpression": "ApiKeySelectionExpression",
            "description": "Description",
            "disableExecuteApiEndpoint": "DisableExecuteApiEndpoint",
            "name": "Name",
            "protocolType": "ProtocolType",
            "routeSelectionExpression": "RouteSelectionExpression",
        },
        tags=Look(_GATEWAY, "get_api", {"ApiId": "{id}"}, "Tags"),
    ),
    "aws:apigatewayv2/stage:Stage": Row(
        Look(_GATEWAY, "get_stage", {"ApiId": "{apiId}", "StageName": "{name}"}),
        {
            "accessLogSettings.destinationArn": "AccessLogSettings.DestinationArn",
            "accessLogSettings.format": "AccessLogSettings.Format",
            "apiId": IN_THE_CALL,
            "autoDeploy": "AutoDeploy",
            f"{_DEFAULTS}.detailedMetricsEnabled": f"{_SETTINGS}.DetailedMetricsEnabled",
            f"{_DEFAULTS}.throttlingBurstLimit": f"{_SETTINGS}.ThrottlingBurstLimit",
            f"{_DEFAULTS}.throttlingRateLimit": f"{_SETTINGS}.ThrottlingRateLimit",
            "description": "Description",
            "name": "StageName",
        },
        tags=Look(_GATEWAY, "get_stage", {"ApiId": "{apiId}", "StageName": "{name}"}, "Tags"),
    ),
    "aws:apigatewayv2/integration:Integration": Row(
        Look(_GATEWAY, "get_integration", {"ApiId": "{apiId}", "IntegrationId": "{id}"}),
        {
            "apiId": IN_THE_CALL,
            "connectionType": "ConnectionType",
            "description": "Description",
            "integrationMethod": "IntegrationMethod",
            "integrationType": "IntegrationType",
            "integrationUri": "IntegrationUri",
            "payloadFormatVersion": "PayloadFormatVersion",
            "timeoutMilliseconds": "TimeoutInMillis",
        },
    ),
    "aws:apigatewayv2/route:Route": Row(
        Look(_GATEWAY, "get_route", {"ApiId": "{apiId}", "RouteId": "{id}"}),
        {
            "apiId": IN_THE_CALL,
            "apiKeyRequired": "ApiKeyRequired",
            "authorizationScopes": any_order("AuthorizationScopes"),
            "authorizationType": "AuthorizationType",
            "authorizerId": At("AuthorizerId", asked=lambda value: value or None),
            "operationName": "OperationName",
            "routeKey": "RouteKey",
            "target": "Target",
        },
    ),
    "aws:apigatewayv2/authorizer:Authorizer": Row(
        Look(_GATEWAY, "get_authorizer", {"ApiId": "{apiId}", "AuthorizerId": "{id}"}),
        {
            "apiId": IN_THE_CALL,
            "authorizerType": "AuthorizerType",
            "identitySources": any_order("IdentitySource"),
            "jwtConfiguration.audiences": any_order("JwtConfiguration.Audience"),
            "jwtConfiguration.issuer": "JwtConfiguration.Issuer",
            "name": "Name",
        },
    ),
}
