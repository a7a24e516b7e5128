"""Each link of the path from a client to the function, changed with boto3; each refusal of the management API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from gateway_world import ACCOUNT_ID, FUNCTION, FUNCTION_ARN, PATH, REGION, ROUTE_KEY, SERVER_ERROR, World

GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/apigateway/x"
LOG = {"DestinationArn": GROUP_ARN, "Format": "$context.requestId"}
OTHER_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:other"


def broken(world: World) -> None:
    count = len(world.function.events)
    reply = world.send()
    assert (reply.status, reply.body) == (500, SERVER_ERROR)
    assert len(world.function.events) == count


def test_without_a_permission_on_the_function(world: World) -> None:
    world.cloud.client("lambda").remove_permission(FunctionName=FUNCTION, StatementId="gateway")
    broken(world)
    world.allow_gateway(f"$default/POST{PATH}")
    assert world.send().status == 200


@pytest.mark.parametrize(
    "source", ["$default/GET" + PATH, "dev/*", "$default/POST/v1/models/rose/predictions", "*/$default"]
)
def test_a_permission_for_another_route(world: World, source: str) -> None:
    world.cloud.client("lambda").remove_permission(FunctionName=FUNCTION, StatementId="gateway")
    world.allow_gateway(source)
    broken(world)


def test_a_permission_for_another_service(world: World) -> None:
    functions = world.cloud.client("lambda")
    functions.remove_permission(FunctionName=FUNCTION, StatementId="gateway")
    functions.add_permission(
        FunctionName=FUNCTION, StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com"
    )
    broken(world)


def test_another_api_may_not_call_the_function(world: World) -> None:
    first = world.api_id
    world.open_api("second")
    world.route()
    world.stage()
    broken(world)
    world.api_id = first
    assert world.send().status == 200


def test_a_function_that_is_not_there(world: World) -> None:
    """AWS does not check the function when the integration is made; calls fail."""
    integration = world.gateway.get_integrations(ApiId=world.api_id)["Items"][0]["IntegrationId"]
    update = world.gateway.update_integration
    update(ApiId=world.api_id, IntegrationId=integration, IntegrationUri=OTHER_ARN)
    broken(world)
    invoke_arn = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{FUNCTION_ARN}/invocations"
    update(ApiId=world.api_id, IntegrationId=integration, IntegrationUri=invoke_arn)
    assert world.send().status == 200


def test_the_target_of_a_route(world: World) -> None:
    route = world.gateway.get_routes(ApiId=world.api_id)["Items"][0]
    other = world.integration(OTHER_ARN)
    target = f"integrations/{other}"
    world.gateway.update_route(ApiId=world.api_id, RouteId=route["RouteId"], Target=target)
    broken(world)
    world.gateway.update_route(ApiId=world.api_id, RouteId=route["RouteId"], Target=route["Target"])
    assert world.send().status == 200


def test_the_authorisation_of_a_route(world: World) -> None:
    route = world.gateway.get_routes(ApiId=world.api_id)["Items"][0]["RouteId"]
    world.gateway.update_route(ApiId=world.api_id, RouteId=route, AuthorizationType="AWS_IAM")
    assert world.send().status == 403
    authorizer = make_authorizer(world)
    world.gateway.update_route(
        ApiId=world.api_id,
        RouteId=route,
        AuthorizationType="JWT",
        AuthorizerId=authorizer,
        AuthorizationScopes=["predict"],
    )
    assert world.send().status == 401
    world.gateway.update_route(
        ApiId=world.api_id, RouteId=route, AuthorizationType="NONE", AuthorizerId="", AuthorizationScopes=[]
    )
    assert world.send().status == 200
    assert world.gateway.get_route(ApiId=world.api_id, RouteId=route).get("AuthorizationScopes") in ([], None)


def test_a_throttled_function_is_503(world: World) -> None:
    from infra.rehearsal.cloud.api import AwsError

    def throttled(event: dict[str, Any]) -> Any:
        raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429)

    world.function.answer = throttled
    reply = world.send()
    assert (reply.status, reply.body) == (503, b'{"message":"Service Unavailable"}')


def make_authorizer(world: World, **changes: Any) -> str:
    asked = {
        "ApiId": world.api_id,
        "Name": "people",
        "AuthorizerType": "JWT",
        "IdentitySource": ["$request.header.Authorization"],
        "JwtConfiguration": {"Issuer": "https://issuer.example", "Audience": ["predictions"]},
    }
    return world.gateway.create_authorizer(**{**asked, **changes})["AuthorizerId"]


# -- what AWS refuses -----------------------------------------------------------------------------------------


def refused(call: Any, code: str, text: str) -> None:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]


ROUTES: list[tuple[dict[str, Any], str, str]] = [
    ({"RouteKey": "predictions"}, "BadRequestException", "the form is"),
    ({"RouteKey": "FETCH /a"}, "BadRequestException", "the form is"),
    ({"RouteKey": "POST a"}, "BadRequestException", "the form is"),
    ({"RouteKey": "POST /a b"}, "BadRequestException", "the form is"),
    ({"RouteKey": "GET /a{b}"}, "BadRequestException", "fills a whole segment"),
    ({"RouteKey": "GET /{a+}/b"}, "BadRequestException", "at the end of the path"),
    ({"RouteKey": "GET /{a}/{a}"}, "BadRequestException", "stands twice"),
    ({"RouteKey": ROUTE_KEY}, "ConflictException", f"Route with key {ROUTE_KEY} already exists for this API"),
    ({"Target": "integrations/missing"}, "BadRequestException", "names the integration integrations/missing"),
    ({"Target": "functions/x"}, "BadRequestException", "write integrations/ID"),
    ({"AuthorizationType": "JWT"}, "BadRequestException", "AuthorizerId is required"),
    ({"AuthorizationType": "JWT", "AuthorizerId": "missing"}, "BadRequestException", "names the authorizer missing"),
    ({"AuthorizationScopes": ["a"]}, "BadRequestException", "for AuthorizationType JWT only"),
    ({"AuthorizationType": "CUSTOM"}, "NotCarried", "AuthorizationType CUSTOM"),
    ({"ApiKeyRequired": True}, "BadRequestException", "not currently supported for HTTP APIs"),
    ({"RequestModels": {"a": "b"}}, "NotCarried", "RequestModels"),
    ({"AuthorizationScopes": [str(n) for n in range(11)]}, "BadRequestException", "at most 10"),
    ({"ApiId": "missing"}, "NotFoundException", "missing"),
]


@pytest.mark.parametrize(("change", "code", "text"), ROUTES)
def test_routes_that_aws_refuses(world: World, change: dict[str, Any], code: str, text: str) -> None:
    asked = {"ApiId": world.api_id, "RouteKey": "GET /new", **change}
    refused(lambda: world.gateway.create_route(**asked), code, text)


INTEGRATIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"TimeoutInMillis": 60_000}, "BadRequestException", "30000"),
    ({"IntegrationUri": "https://example.com"}, "BadRequestException", "Invalid integration URI"),
    ({"IntegrationUri": None}, "BadRequestException", "IntegrationUri is required"),
    ({"PayloadFormatVersion": None}, "BadRequestException", "PayloadFormatVersion is a required"),
    ({"PayloadFormatVersion": "1.0"}, "NotCarried", "PayloadFormatVersion 1.0"),
    ({"PayloadFormatVersion": "3.0"}, "BadRequestException", "PayloadFormatVersion must be"),
    ({"IntegrationType": "HTTP_PROXY"}, "NotCarried", "IntegrationType HTTP_PROXY"),
    ({"IntegrationSubtype": "SQS-SendMessage"}, "NotCarried", "IntegrationSubtype"),
    ({"ConnectionType": "VPC_LINK"}, "NotCarried", "ConnectionType VPC_LINK"),
    ({"CredentialsArn": f"arn:aws:iam::{ACCOUNT_ID}:role/x"}, "NotCarried", "CredentialsArn"),
    ({"IntegrationMethod": "GET"}, "BadRequestException", "must be POST"),
]


@pytest.mark.parametrize(("change", "code", "text"), INTEGRATIONS)
def test_integrations_that_aws_refuses(world: World, change: dict[str, Any], code: str, text: str) -> None:
    asked = {
        "ApiId": world.api_id,
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": FUNCTION_ARN,
        "PayloadFormatVersion": "2.0",
        **change,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    refused(lambda: world.gateway.create_integration(**given), code, text)


STAGES: list[tuple[dict[str, Any], str, str]] = [
    ({"StageName": "$default"}, "ConflictException", "Stage already exists"),
    ({"StageName": "a b"}, "BadRequestException", "is no stage name"),
    ({"AccessLogSettings": LOG}, "BadRequestException", f"names the log group {GROUP_ARN}, which does not exist"),
    ({"AccessLogSettings": {**LOG, "Format": "$context.requestId\n"}}, "BadRequestException", "single line"),
    ({"AccessLogSettings": {**LOG, "Format": "$context.status"}}, "BadRequestException", "at least $context.requestId"),
    ({"AccessLogSettings": {"DestinationArn": GROUP_ARN}}, "BadRequestException", "needs both"),
    (
        {"AccessLogSettings": {**LOG, "DestinationArn": "arn:aws:s3:::bucket"}},
        "BadRequestException",
        "not the ARN of a log group",
    ),
    ({"DeploymentId": "missing"}, "NotFoundException", "missing"),
    ({"DeploymentId": "x", "AutoDeploy": True}, "BadRequestException", "AutoDeploy"),
    ({"ClientCertificateId": "x"}, "NotCarried", "ClientCertificateId"),
    ({"DefaultRouteSettings": {"ThrottlingRateLimit": -1}}, "BadRequestException", "at least 0"),
    ({"DefaultRouteSettings": {"DataTraceEnabled": True}}, "BadRequestException", "WebSocket APIs only"),
    ({"RouteSettings": {"nonsense": {}}}, "BadRequestException", "is no route key"),
]


@pytest.mark.parametrize(("change", "code", "text"), STAGES)
def test_stages_that_aws_refuses(world: World, change: dict[str, Any], code: str, text: str) -> None:
    asked = {"ApiId": world.api_id, "StageName": "new", **change}
    refused(lambda: world.gateway.create_stage(**asked), code, text)


AUTHORIZERS: list[tuple[dict[str, Any], str, str]] = [
    ({"AuthorizerType": "REQUEST"}, "NotCarried", "AuthorizerType REQUEST"),
    ({"JwtConfiguration": {"Issuer": "http://plain.example", "Audience": ["a"]}}, "BadRequestException", "https URL"),
    ({"JwtConfiguration": {"Issuer": "https://i.example"}}, "BadRequestException", "at least one audience"),
    ({"JwtConfiguration": {"Audience": ["a"]}}, "BadRequestException", "Issuer: is required"),
    ({"IdentitySource": ["header"]}, "BadRequestException", "is no source"),
    ({"IdentitySource": ["$request.header.A", "$request.header.B"]}, "BadRequestException", "has one"),
    ({"Name": "people"}, "ConflictException", "already exists"),
]


@pytest.mark.parametrize(("change", "code", "text"), AUTHORIZERS)
def test_authorizers_that_aws_refuses(world: World, change: dict[str, Any], code: str, text: str) -> None:
    make_authorizer(world)
    refused(lambda: make_authorizer(world, **{"Name": "new", **change}), code, text)


APIS: list[tuple[dict[str, Any], str]] = [
    ({"ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}, "ProtocolType WEBSOCKET"),
    ({"Target": FUNCTION_ARN}, "Target (quick create)"),
    ({"RouteKey": "GET /"}, "RouteKey (quick create)"),
    ({"CorsConfiguration": {"AllowOrigins": ["*"]}}, "CorsConfiguration"),
    ({"IpAddressType": "dualstack"}, "IpAddressType dualstack"),
]


@pytest.mark.parametrize(("change", "text"), APIS)
def test_apis_that_are_not_carried(world: World, change: dict[str, Any], text: str) -> None:
    asked = {"Name": "x", "ProtocolType": "HTTP", **change}
    refused(lambda: world.gateway.create_api(**asked), "NotCarried", text)


def test_operations_that_would_have_no_effect_are_refused(world: World) -> None:
    gateway, api = world.gateway, {"ApiId": world.api_id}
    for call, arguments in {
        "import_api": {"Body": "{}"},
        "reimport_api": {**api, "Body": "{}"},
        "create_domain_name": {"DomainName": "api.example.com"},
        "create_api_mapping": {**api, "DomainName": "api.example.com", "Stage": "$default"},
        "create_vpc_link": {"Name": "x", "SubnetIds": ["subnet-1"]},
        "create_model": {**api, "Name": "x", "Schema": "{}"},
        "create_route_response": {**api, "RouteId": "x", "RouteResponseKey": "$default"},
        "create_integration_response": {**api, "IntegrationId": "x", "IntegrationResponseKey": "$default"},
        "update_deployment": {**api, "DeploymentId": "x"},
    }.items():
        operation = "".join(word.capitalize() for word in call.split("_"))
        text = f"apigatewayv2.{operation}"
        refused(lambda call=call, given=arguments: getattr(gateway, call)(**given), "NotCarried", text)


def test_what_is_in_use_is_not_deleted(world: World) -> None:
    gateway, api = world.gateway, {"ApiId": world.api_id}
    authorizer = make_authorizer(world)
    integration = world.integration()
    route = world.route("GET /x", integration, AuthorizationType="JWT", AuthorizerId=authorizer)
    refused(lambda: gateway.delete_integration(**api, IntegrationId=integration), "ConflictException", route)
    refused(lambda: gateway.delete_authorizer(**api, AuthorizerId=authorizer), "ConflictException", "GET /x")
    deployment = gateway.get_stage(**api, StageName="$default")["DeploymentId"]
    refused(lambda: gateway.delete_deployment(**api, DeploymentId=deployment), "BadRequestException", "must be moved")
    gateway.delete_route(**api, RouteId=route)
    gateway.delete_integration(**api, IntegrationId=integration)
    gateway.delete_authorizer(**api, AuthorizerId=authorizer)
    # The stage has moved on.
    gateway.delete_deployment(**api, DeploymentId=deployment)
    left = [one["DeploymentId"] for one in gateway.get_deployments(**api)["Items"]]
    assert deployment not in left
    assert left[0] == gateway.get_stage(**api, StageName="$default")["DeploymentId"]


def test_what_is_gone_is_404(world: World) -> None:
    gateway, api = world.gateway, {"ApiId": world.api_id}
    for call, ids in {
        "delete_route": {"RouteId": "x"},
        "get_route": {"RouteId": "x"},
        "update_route": {"RouteId": "x"},
        "delete_integration": {"IntegrationId": "x"},
        "update_integration": {"IntegrationId": "x"},
        "delete_authorizer": {"AuthorizerId": "x"},
        "update_authorizer": {"AuthorizerId": "x"},
        "delete_stage": {"StageName": "x"},
        "update_stage": {"StageName": "x"},
        "get_deployment": {"DeploymentId": "x"},
        "delete_deployment": {"DeploymentId": "x"},
    }.items():
        refused(lambda call=call, ids=ids: getattr(gateway, call)(**api, **ids), "NotFoundException", "nvalid")
    refused(lambda: gateway.delete_api(ApiId="x"), "NotFoundException", "x")


def test_deployments_by_hand(empty: World) -> None:
    empty.open_api()
    refused(lambda: empty.gateway.create_deployment(ApiId=empty.api_id), "BadRequestException", "At least one route")
    empty.route()
    empty.stage(auto_deploy=True)
    refused(
        lambda: empty.gateway.create_deployment(ApiId=empty.api_id, StageName="$default"),
        "BadRequestException",
        "AutoDeploy",
    )


def test_tags_of_apis_and_stages(world: World) -> None:
    for arn in (
        f"arn:aws:apigateway:{REGION}::/apis/{world.api_id}",
        f"arn:aws:apigateway:{REGION}::/apis/{world.api_id}/stages/$default",
    ):
        world.gateway.tag_resource(ResourceArn=arn, Tags={"team": "ml", "cost": "1"})
        world.gateway.untag_resource(ResourceArn=arn, TagKeys=["cost"])
        assert world.gateway.get_tags(ResourceArn=arn)["Tags"] == {"team": "ml"}
    assert world.gateway.get_api(ApiId=world.api_id)["Tags"] == {"team": "ml"}
    assert world.gateway.get_stage(ApiId=world.api_id, StageName="$default")["Tags"] == {"team": "ml"}
    missing = f"arn:aws:apigateway:{REGION}::/apis/{world.api_id}/stages/missing"
    refused(lambda: world.gateway.get_tags(ResourceArn=missing), "NotFoundException", "missing")


def test_rights_of_whoever_deploys(world: World) -> None:
    """Verbs on paths of the management API; a stage's access log wants log delivery too."""
    iam = world.cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    stages = f"arn:aws:apigateway:{REGION}::/apis/{world.api_id}/stages/*"
    grants = [{"Effect": "Allow", "Action": "apigateway:PATCH", "Resource": stages}]

    def put() -> None:
        policy = json.dumps({"Version": "2012-10-17", "Statement": grants})
        iam.put_role_policy(RoleName="deployer", PolicyName="own", PolicyDocument=policy)

    put()
    keys = world.cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    session = world.cloud.session(world.cloud.principals.of(keys["AccessKeyId"]))
    gateway: Any = session.client("apigatewayv2")
    world.cloud.client("logs").create_log_group(logGroupName="/aws/apigateway/x")
    stage = {"ApiId": world.api_id, "StageName": "$default"}
    gateway.update_stage(**stage, Description="allowed")
    refused(lambda: gateway.create_stage(**{**stage, "StageName": "y"}), "AccessDeniedException", "apigateway:POST")
    refused(lambda: gateway.update_stage(**stage, AccessLogSettings=LOG), "AccessDeniedException", "logs:CreateLog")
    delivery = [
        *("logs:CreateLogDelivery", "logs:CreateLogGroup", "logs:DeleteLogDelivery", "logs:DescribeResourcePolicies"),
        *("logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"),
    ]
    grants.append({"Effect": "Allow", "Action": delivery, "Resource": "*"})  # pyright: ignore[reportArgumentType]
    put()
    gateway.update_stage(**stage, AccessLogSettings=LOG)
