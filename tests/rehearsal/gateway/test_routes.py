"""Which route and which stage a request takes, and what is deployed."""

from __future__ import annotations

import pytest
from gateway_world import NOT_FOUND, PATH, World

from infra.rehearsal.cloud.gateway import base_url
from infra.rehearsal.cloud.gateway.routes import Table

# The first five: the developer guide's example ("Create routes for HTTP APIs").
KEYS = ["GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default", "POST /pets/{kind}"]


@pytest.mark.parametrize(
    ("method", "path", "key", "variables"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("GET", "/", "$default", {}),
        ("POST", "/pets/c%20t", "POST /pets/{kind}", {"kind": "c t"}),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/pets/dog/1/", "GET /pets/{proxy+}", {"proxy": "dog/1/"}),
    ],
)
def test_precedence(method: str, path: str, key: str, variables: dict[str, str]) -> None:
    found = Table(KEYS).find(method, path)
    assert found is not None
    assert (found[0].key, found[1]) == (key, variables)


def test_without_a_default_what_fits_nothing_is_not_found() -> None:
    table = Table(["GET /a/{b}", "POST /a"])
    assert table.find("GET", "/a") is None
    assert table.find("GET", "/a/") is None
    assert table.find("PUT", "/a") is None
    assert table.find("GET", "/a/b/c") is None


def test_unknown_routes_are_404(world: World) -> None:
    for method, path in (("GET", PATH), ("POST", f"{PATH}/"), ("POST", "/v1/models/rose/predictions")):
        reply = world.send(method, path)
        assert (reply.status, reply.body) == (404, NOT_FOUND)
        assert len(reply.headers["apigw-requestid"]) == 16
    assert world.function.events == []


def test_the_default_route_takes_the_rest(world: World) -> None:
    world.route("$default")
    reply = world.send("DELETE", "/anything/at%20all", body=b"")
    assert (reply.status, reply.body) == (200, b"ok")
    event = world.function.events[-1]
    assert (event["routeKey"], event["rawPath"]) == ("$default", "/anything/at all")
    assert world.function.callers[-1].context["aws:SourceArn"].endswith(f":{world.api_id}/$default/$default")


def test_nothing_serves_without_a_stage(empty: World) -> None:
    empty.open_api()
    empty.allow_gateway()
    empty.route()
    assert empty.send().status == 404
    empty.stage(auto_deploy=True)
    assert empty.send().status == 200
    empty.gateway.delete_stage(ApiId=empty.api_id, StageName="$default")
    assert empty.send().status == 404


def test_a_route_serves_when_it_is_deployed(empty: World) -> None:
    empty.open_api()
    empty.allow_gateway()
    first = empty.route()
    empty.stage(auto_deploy=False)
    assert (empty.send().status, empty.send().body) == (404, NOT_FOUND)

    deployment = empty.gateway.create_deployment(ApiId=empty.api_id, StageName="$default", Description="one")
    assert (deployment["AutoDeployed"], deployment["DeploymentStatus"]) == (False, "DEPLOYED")
    assert empty.send().status == 200
    assert (
        empty.gateway.get_stage(ApiId=empty.api_id, StageName="$default")["DeploymentId"] == deployment["DeploymentId"]
    )

    # A change waits for the next deployment: the old route still serves, the new one not yet.
    empty.gateway.update_route(ApiId=empty.api_id, RouteId=first, RouteKey="POST /v2")
    assert (empty.send().status, empty.send(path="/v2").status) == (200, 404)
    second = empty.gateway.create_deployment(ApiId=empty.api_id)["DeploymentId"]
    assert (empty.send().status, empty.send(path="/v2").status) == (200, 404)
    empty.gateway.update_stage(ApiId=empty.api_id, StageName="$default", DeploymentId=second)
    assert (empty.send().status, empty.send(path="/v2").status) == (404, 200)
    empty.gateway.update_stage(ApiId=empty.api_id, StageName="$default", DeploymentId=deployment["DeploymentId"])
    assert (empty.send().status, empty.send(path="/v2").status) == (200, 404)
    listed = empty.gateway.get_deployments(ApiId=empty.api_id)["Items"]
    assert [one["DeploymentId"] for one in listed] == [second, deployment["DeploymentId"]]


def test_automatic_deployment_follows_each_change(world: World) -> None:
    before = world.gateway.get_stage(ApiId=world.api_id, StageName="$default")["DeploymentId"]
    route = world.route("GET /health")
    assert world.send("GET", "/health", body=b"").status == 200
    after = world.gateway.get_stage(ApiId=world.api_id, StageName="$default")["DeploymentId"]
    assert before != after
    assert world.gateway.get_deployment(ApiId=world.api_id, DeploymentId=after)["AutoDeployed"] is True
    world.gateway.delete_route(ApiId=world.api_id, RouteId=route)
    assert world.send("GET", "/health", body=b"").status == 404
    world.gateway.update_stage(ApiId=world.api_id, StageName="$default", AutoDeploy=False)
    world.route("GET /health")
    assert world.send("GET", "/health", body=b"").status == 404
    world.gateway.update_stage(ApiId=world.api_id, StageName="$default", AutoDeploy=True)
    assert world.send("GET", "/health", body=b"").status == 200


def test_named_stages_lie_below_the_root(empty: World) -> None:
    empty.open_api()
    empty.allow_gateway()
    empty.route()
    empty.stage("dev", StageVariables={"color": "blue"})
    assert empty.send().status == 404
    assert empty.send(path=f"/dev{PATH}").status == 200
    event = empty.function.events[-1]
    assert event["requestContext"]["stage"] == "dev"
    assert event["rawPath"] == f"/dev{PATH}"
    assert event["stageVariables"] == {"color": "blue"}
    assert empty.function.callers[-1].context["aws:SourceArn"].endswith(f"/dev/POST{PATH}")
    empty.stage("$default")
    assert empty.send().status == 200


def test_the_endpoint_goes_where_the_api_goes(world: World) -> None:
    shown = world.gateway.get_api(ApiId=world.api_id)["ApiEndpoint"]
    assert shown == world.url == world.gateway.get_apis()["Items"][0]["ApiEndpoint"]
    assert shown.startswith("http://127.0.0.1:")
    other = world.gateway.create_api(Name="second", ProtocolType="HTTP")
    assert other["ApiEndpoint"] != shown
    world.gateway.update_api(ApiId=world.api_id, DisableExecuteApiEndpoint=True)
    assert (world.send().status, world.send().body) == (404, NOT_FOUND)
    world.gateway.update_api(ApiId=world.api_id, DisableExecuteApiEndpoint=False)
    assert world.send().status == 200
    world.gateway.delete_api(ApiId=world.api_id)
    with pytest.raises(ConnectionRefusedError):
        world.send(url=shown)
    with pytest.raises(KeyError, match="no HTTP API"):
        base_url(world.cloud, world.api_id)


def test_a_reset_closes_every_port(world: World) -> None:
    url = world.url
    world.cloud.reset()
    with pytest.raises(ConnectionRefusedError):
        world.send(url=url)
