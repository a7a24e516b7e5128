"""Throttles, metrics and access log."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from gateway_world import FUNCTION, FUNCTION_ARN, PATH, REGION, ROUTE_KEY, World

from infra.rehearsal.cloud.gateway import flush_access_logs
from infra.rehearsal.cloud.gateway.integration import NOT_ALLOWED
from infra.rehearsal.cloud.gateway.throttle import Bucket

TOO_MANY = b'{"message":"Too Many Requests"}'
GROUP = "/aws/apigateway/mainstage-dev"
GROUP_ARN = f"arn:aws:logs:{REGION}:111111111111:log-group:{GROUP}"
FORMAT = json.dumps(
    {"id": "$context.requestId", "route": "$context.routeKey", "agent": "$context.identity.userAgent", "status": "S"}
).replace('"S"', "$context.status")


def test_a_bucket() -> None:
    now = [0.0]
    bucket = Bucket(2.0, 3, lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    now[0] = 100
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert Bucket(0.0, 0).take() is False


def throttle(world: World, rate: float, burst: int, **more: Any) -> None:
    settings = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}
    world.gateway.update_stage(ApiId=world.api_id, StageName="$default", DefaultRouteSettings=settings, **more)


def test_beyond_burst_and_rate_is_429(world: World) -> None:
    throttle(world, 0.01, 3)
    replies = [world.send() for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert replies[-1].body == TOO_MANY
    assert len(world.function.events) == 3
    # A change elsewhere gives no tokens.
    world.gateway.update_stage(ApiId=world.api_id, StageName="$default", Description="the same")
    world.route("GET /other")
    assert world.send().status == 429
    throttle(world, 0.01, 4)
    assert world.send().status == 200


def test_a_route_has_limits_of_its_own(world: World) -> None:
    world.route("GET /other")
    own = {ROUTE_KEY: {"ThrottlingRateLimit": 0.01, "ThrottlingBurstLimit": 1}}
    throttle(world, 100.0, 100, RouteSettings=own)
    assert [world.send().status for _ in range(2)] == [200, 429]
    assert [world.send("GET", "/other", body=b"").status for _ in range(3)] == [200, 200, 200]
    world.gateway.delete_route_settings(ApiId=world.api_id, StageName="$default", RouteKey=ROUTE_KEY)
    assert [world.send().status for _ in range(2)] == [200, 200]


def test_zero_stops_everything(world: World) -> None:
    """What the provider sends for a block that names no throttle."""
    throttle(world, 0, 0)
    assert (world.send().status, world.send().body) == (429, TOO_MANY)
    assert world.send("GET", "/nothing").status == 404


def statistic(world: World, name: str, which: str = "Sum", **dimensions: str) -> float | None:
    return world.cloud.metrics.statistic(
        "AWS/ApiGateway", name, which, region=REGION, dimensions={"ApiId": world.api_id, **dimensions}
    )


def test_metrics(world: World) -> None:
    world.function.answer = lambda event: time.sleep(0.02) or {"statusCode": 200, "body": "12345"}
    assert world.send(body=b"1234567").status == 200
    world.function.answer = lambda event: {"statusCode": 503, "body": ""}
    world.send(body=b"")
    world.send("GET", "/nowhere", body=b"")
    for dimensions in ({}, {"Stage": "$default"}):
        assert statistic(world, "Count", **dimensions) == 3
        assert statistic(world, "4xx", **dimensions) == 1
        assert statistic(world, "5xx", **dimensions) == 1
        assert statistic(world, "5xx", "Average", **dimensions) == pytest.approx(1 / 3)
        assert statistic(world, "Latency", "SampleCount", **dimensions) == 3
        assert statistic(world, "IntegrationLatency", "SampleCount", **dimensions) == 2
        slowest, of_function = (statistic(world, n, "Maximum", **dimensions) for n in ("Latency", "IntegrationLatency"))
        assert slowest is not None
        assert of_function is not None
        assert 20 <= of_function <= slowest
        assert statistic(world, "DataProcessed", **dimensions) == 7 + 5 + len(b'{"message":"Not Found"}')
    assert statistic(world, "Count", Stage="$default", Method="POST", Resource=PATH) is None


def test_detailed_metrics(world: World) -> None:
    world.gateway.update_stage(
        ApiId=world.api_id, StageName="$default", DefaultRouteSettings={"DetailedMetricsEnabled": True}
    )
    world.send()
    assert statistic(world, "Count", Stage="$default", Method="POST", Resource=PATH) == 1


def test_without_a_stage_only_the_api_counts(empty: World) -> None:
    empty.open_api()
    empty.send()
    assert statistic(empty, "4xx") == 1
    assert statistic(empty, "4xx", Stage="$default") is None


def lines(world: World) -> list[str]:
    flush_access_logs(world.cloud, world.api_id)
    found = world.cloud.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    return [event["message"] for event in found]


@pytest.fixture
def logged(world: World) -> World:
    world.cloud.client("logs").create_log_group(logGroupName=GROUP)
    log_to(world, FORMAT)
    return world


def log_to(world: World, text: str) -> None:
    settings = {"DestinationArn": GROUP_ARN, "Format": text}
    world.gateway.update_stage(ApiId=world.api_id, StageName="$default", AccessLogSettings=settings)


def test_the_access_log(logged: World) -> None:
    replies = [
        logged.send(headers={"user-agent": 'say "hi"\\'}),
        logged.send("GET", "/nowhere", body=b""),
        logged.send(body=b"x" * (10 * 1024 * 1024 + 1)),
    ]
    assert [json.loads(line) for line in lines(logged)] == [
        {"id": replies[0].headers["apigw-requestid"], "status": 200, "route": ROUTE_KEY, "agent": 'say "hi"\\'},
        {"id": replies[1].headers["apigw-requestid"], "status": 404, "route": "-", "agent": "-"},
        {"id": replies[2].headers["apigw-requestid"], "status": 413, "route": "-", "agent": "-"},
    ]


def test_further_variables(logged: World) -> None:
    names = "requestId integrationLatency error.message authorizer.error responseLength httpMethod path stage unknown"
    log_to(logged, " | ".join(f"$context.{name}" for name in names.split()))
    logged.send()
    logged.route("GET /secret", AuthorizationType="AWS_IAM")
    logged.send("GET", "/secret", body=b"")
    first, second = (line.split(" | ") for line in lines(logged))
    assert first[1].isdecimal()
    assert first[2:] == ["-", "-", "2", "POST", PATH, "$default", "-"]
    assert second[1:] == [
        "-", "Forbidden", "the request is not signed", "23", "GET", "/secret", "$default", "-"
    ]  # fmt: skip


def test_what_went_wrong_behind_the_gateway(logged: World) -> None:
    names = ("status", "integrationStatus", "integration.integrationStatus", "integrationErrorMessage")
    log_to(logged, "$context.requestId | " + " | ".join(f"$context.{name}" for name in names))
    logged.function.answer = lambda event: {"statusCode": 422}
    logged.send()
    logged.function.error = "Unhandled"
    logged.send()
    logged.function.error, logged.function.answer = "", lambda event: b"no JSON"
    logged.send()
    logged.cloud.client("lambda").remove_permission(FunctionName=FUNCTION, StatementId="gateway")
    logged.send()
    assert [line.split(" | ")[1:] for line in lines(logged)] == [
        ["422", "200", "422", "-"],
        ["500", "200", "-", f'{FUNCTION_ARN} failed: {{\\"statusCode\\": 422}}'],
        ["500", "200", "-", f"{FUNCTION_ARN} answered what is no answer of format 2.0"],
        ["500", "-", "-", NOT_ALLOWED],
    ]


def test_a_log_is_taken_away(logged: World) -> None:
    logged.send()
    logged.gateway.delete_access_log_settings(ApiId=logged.api_id, StageName="$default")
    assert "AccessLogSettings" not in logged.gateway.get_stage(ApiId=logged.api_id, StageName="$default")
    logged.send()
    assert len(lines(logged)) == 1
    log_to(logged, FORMAT)
    logged.gateway.update_stage(ApiId=logged.api_id, StageName="$default", AccessLogSettings={})
    logged.send()
    assert len(lines(logged)) == 1


def test_a_group_that_is_gone_fails_no_request(logged: World, caplog: pytest.LogCaptureFixture) -> None:
    logged.send()
    assert len(lines(logged)) == 1
    logs = logged.cloud.client("logs")
    logs.delete_log_group(logGroupName=GROUP)
    with caplog.at_level(logging.WARNING):
        assert logged.send().status == 200
        flush_access_logs(logged.cloud, logged.api_id)
    assert f"access log {GROUP}: 1 lines are lost" in caplog.text
    logs.create_log_group(logGroupName=GROUP)
    assert logged.send().status == 200
    assert len(lines(logged)) == 1
