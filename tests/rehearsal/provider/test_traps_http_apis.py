"""Traps of HTTP APIs, stages, routes, integrations and authorizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import ACCOUNT_ID, REGION, CheckFailed, Driver
from provider_world import SAMPLES, World

from infra.rehearsal.provider import ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

API = "aws:apigatewayv2/api:Api"
STAGE = "aws:apigatewayv2/stage:Stage"
ROUTE = "aws:apigatewayv2/route:Route"
INTEGRATION = "aws:apigatewayv2/integration:Integration"
AUTHORIZER = "aws:apigatewayv2/authorizer:Authorizer"


def live_stage(cloud: Cloud, world: World) -> dict[str, Any]:
    return cloud.client("apigatewayv2").get_stage(ApiId=world.http_api.id, StageName="$default")


def test_an_api_says_where_it_listens(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(API, "a", name="mainstage-dev", protocolType="HTTP")
    endpoint = cloud.client("apigatewayv2").get_api(ApiId=made.id)["ApiEndpoint"]
    assert made.outputs["apiEndpoint"] == endpoint
    assert made.outputs["executionArn"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{made.id}"
    changed = engine.update(made, name="other", protocolType="HTTP", description="new", disableExecuteApiEndpoint=True)
    assert changed.id == made.id
    live = cloud.client("apigatewayv2").get_api(ApiId=made.id)
    assert (live["Name"], live["Description"], live["DisableExecuteApiEndpoint"]) == ("other", "new", True)
    back = engine.update(changed, name="other", protocolType="HTTP")
    live = cloud.client("apigatewayv2").get_api(ApiId=made.id)
    assert (live["Description"], live["DisableExecuteApiEndpoint"]) == ("", False)
    assert engine.changed(back, name="other", protocolType="WEBSOCKET") == {"protocolType": True}


def test_a_block_without_throttles_stops_everything(engine: Driver, world: World, cloud: Cloud) -> None:
    engine.create(STAGE, "s", apiId=world.http_api.id, name="$default", defaultRouteSettings={})
    settings = live_stage(cloud, world)["DefaultRouteSettings"]
    assert (settings["ThrottlingBurstLimit"], settings["ThrottlingRateLimit"]) == (0, 0.0)


def test_a_removed_block_of_defaults_is_no_change(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = {"apiId": world.http_api.id, "name": "$default"}
    limits = {"throttlingBurstLimit": 5, "throttlingRateLimit": 2.5}
    made = engine.create(STAGE, "s", **inputs, defaultRouteSettings=limits)
    assert live_stage(cloud, world)["DefaultRouteSettings"]["ThrottlingRateLimit"] == 2.5
    assert engine.changed(made, **inputs) == {}


def test_a_stage_is_told_by_its_name_and_imported_by_both(engine: Driver, world: World) -> None:
    inputs = SAMPLES[STAGE](world)
    made = engine.create(STAGE, "s", **inputs)
    assert made.id == "$default"
    assert made.outputs["invokeUrl"] == world.http_api.outputs["apiEndpoint"] + "/"
    imported = engine.imported(STAGE, "s", f"{world.http_api.id}/$default")
    assert imported is not None
    assert (imported.id, imported.outputs["apiId"]) == ("$default", world.http_api.id)
    assert engine.changed(made, **{**inputs, "name": "dev"})["name"] is True
    named = engine.create(STAGE, "n", apiId=world.http_api.id, name="dev")
    assert named.outputs["invokeUrl"] == f"{world.http_api.outputs['apiEndpoint']}/dev"


def test_what_leaves_a_stage_is_taken_away(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[STAGE](world)
    made = engine.create(STAGE, "s", **inputs)
    routes = [{"routeKey": "GET /x", "throttlingBurstLimit": 3, "throttlingRateLimit": 4}]
    news = {**inputs, "routeSettings": routes, "stageVariables": {"shape": "round"}, "tags": {"team": "ops"}}
    del news["accessLogSettings"]
    changed = engine.update(made, **news)
    live = live_stage(cloud, world)
    assert "AccessLogSettings" not in live
    assert live["StageVariables"] == {"shape": "round"}
    assert list(live["RouteSettings"]) == ["GET /x"]
    assert live["Tags"] == {"team": "ops"}
    assert engine.changed(changed, **news) == {}


def test_automatic_deployment_moves_the_deployment(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[STAGE](world)
    made = engine.create(STAGE, "s", **inputs)
    engine.create(ROUTE, "r", **SAMPLES[ROUTE](world))
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.outputs["deploymentId"] != made.outputs["deploymentId"]
    assert engine.changed(refreshed, **inputs) == {}


def test_an_integration_defaults_to_format_1_which_is_not_carried(engine: Driver, world: World) -> None:
    inputs = SAMPLES[INTEGRATION](world)
    del inputs["payloadFormatVersion"]
    with pytest.raises(ProviderError, match=r"PayloadFormatVersion 1\.0"):
        engine.create(INTEGRATION, "i", **inputs)


def test_an_integrations_time_out_changes_in_place(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[INTEGRATION](world)
    made = engine.create(INTEGRATION, "i", **inputs)
    assert made.outputs["integrationMethod"] == "POST"
    news = {**inputs, "timeoutMilliseconds": 29000, "description": "slower"}
    assert engine.changed(made, **news) == {"timeoutMilliseconds": False, "description": False}
    engine.update(made, **news)
    live = cloud.client("apigatewayv2").get_integration(ApiId=world.http_api.id, IntegrationId=made.id)
    assert (live["TimeoutInMillis"], live["Description"]) == (29000, "slower")
    with pytest.raises(CheckFailed, match="30000"):
        engine.check(INTEGRATION, "i", {**inputs, "timeoutMilliseconds": 60000})


def test_a_routes_authorisation_changes_in_place(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[ROUTE](world)
    made = engine.create(ROUTE, "r", **inputs)
    key, target = inputs["routeKey"], inputs["target"]
    plain = {"apiId": world.http_api.id, "routeKey": key, "target": target, "authorizationType": "AWS_IAM"}
    changed = engine.update(made, **plain)
    live = cloud.client("apigatewayv2").get_route(ApiId=world.http_api.id, RouteId=made.id)
    assert (live["AuthorizationType"], live.get("AuthorizerId", ""), live["AuthorizationScopes"]) == ("AWS_IAM", "", [])
    assert engine.changed(changed, **plain) == {}
    assert engine.changed(changed, **{**plain, "apiId": "another"})["apiId"] is True
    imported = engine.imported(ROUTE, "r", f"{world.http_api.id}/{made.id}")
    assert imported is not None
    assert imported.outputs["routeKey"] == key


def test_arguments_of_websocket_apis_are_refused_by_name(engine: Driver, world: World) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check(ROUTE, "r", {**SAMPLES[ROUTE](world), "modelSelectionExpression": "x"})
    assert list(caught.value.failures) == ["modelSelectionExpression"]


def test_an_authorizer_that_a_route_uses_stays(engine: Driver, world: World, cloud: Cloud) -> None:
    engine.create(ROUTE, "r", **SAMPLES[ROUTE](world))
    with pytest.raises(ProviderError, match=r"ConflictException.*retried for .* 30 min"):
        engine.delete(world.authorizer)
    inputs = {**world.authorizer.inputs, "jwtConfiguration": {"issuer": "https://new.example", "audiences": ["a"]}}
    given = {name: value for name, value in inputs.items() if not name.startswith("__")}
    engine.update(world.authorizer, **given)
    live = cloud.client("apigatewayv2").get_authorizer(ApiId=world.http_api.id, AuthorizerId=world.authorizer.id)
    assert live["JwtConfiguration"] == {"Issuer": "https://new.example", "Audience": ["a"]}
