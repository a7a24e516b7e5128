"""How a function answers a route of an HTTP API: permission, integration, route."""

from typing import Optional

import pulumi
import pulumi_aws as aws

from ._policy import Text, join

API_GATEWAY_SERVICE = "apigateway.amazonaws.com"

LONGEST_INTEGRATION_MS = 30_000
"""An HTTP API gives up after that: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""


def answer_route(
    name: str,
    *,
    parent: pulumi.Resource,
    api_id: Text,
    function: "aws.lambda_.Function",
    source_arn: Text,
    route_key: str,
    timeout_ms: int,
    authorization_type: str,
    authorizer_id: Optional[Text],
) -> "aws.apigatewayv2.Route":
    """Makes `<name>-permission`, `<name>-integration` and `<name>-route`.

    The route comes last, so that no request finds it before the function may be called.

    `source_arn` says which route of which API may call the function, as in
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    child = pulumi.ResourceOptions(parent=parent)
    permission = aws.lambda_.Permission(
        f"{name}-permission",
        action="lambda:InvokeFunction",
        function=function.name,
        principal=API_GATEWAY_SERVICE,
        source_arn=source_arn,
        opts=child,
    )
    integration = aws.apigatewayv2.Integration(
        f"{name}-integration",
        api_id=api_id,
        integration_type="AWS_PROXY",
        integration_method="POST",
        integration_uri=function.invoke_arn,
        connection_type="INTERNET",
        # Left out, it is 1.0, whose events and answers look different.
        payload_format_version="2.0",
        timeout_milliseconds=timeout_ms,
        opts=child,
    )
    return aws.apigatewayv2.Route(
        f"{name}-route",
        api_id=api_id,
        route_key=route_key,
        target=join("integrations/", integration.id),
        authorization_type=authorization_type,
        authorizer_id=authorizer_id if authorization_type == "JWT" else None,
        api_key_required=False,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[permission]),
    )
