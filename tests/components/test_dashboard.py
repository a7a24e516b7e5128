"""Dashboard: a body that CloudWatch takes, percentiles by version, and no metric that nobody publishes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mainstage
import mainstage_runtime
import pulumi
import pulumi_aws as aws
import pytest
from mainstage._dashboard_body import WIDTH, named_metrics
from mainstage._log_alarms import LOG_RUNBOOK_SLUGS
from mainstage.guard_alarms import RUNBOOK_SLUGS
from mainstage.prediction_queries import NAMED_QUERIES
from mainstage.service_alarms import SERVICE_RUNBOOK_SLUGS

from infra.rehearsal.cloud.dashboards import validate
from infra.rehearsal.engine import Result, record

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Arguments = Callable[..., dict[str, Any]]

API = {
    "api_id": "a1b2c3d4e5",
    "api_endpoint": "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
    "execution_arn": "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5",
    "authorizer_id": "",
    "authorization_type": "AWS_IAM",
    "stage_name": "$default",
}

# What AWS publishes, by namespace: the dimensions of each set, and the page that lists the metrics.
PUBLISHED = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
    "AWS/ApiGateway": ({("ApiId", "Stage")}, {"Count", "4xx", "5xx", "Latency", "IntegrationLatency"}),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ({("FunctionName",)}, {"ConcurrentExecutions", "Errors", "Throttles"}),
    # https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
    "AWS/Firehose": (
        {("DeliveryStreamName",)},
        {"DeliveryToS3.DataFreshness", "DeliveryToS3.Records", "FailedConversion.Records", "ThrottledRecords"},
    ),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": ({("QueueName",)}, {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}),
    # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    "AWS/SageMaker": (
        {("EndpointName", "VariantName"), ("EndpointConfigName", "EndpointName", "VariantName")},
        {
            "Invocation4XXErrors",
            "Invocation5XXErrors",
            "InvocationModelErrors",
            "Invocations",
            "ModelLatency",
            "OverheadLatency",
        },
    ),
    "/aws/sagemaker/Endpoints": (
        {("EndpointName", "VariantName")},
        {"CPUUtilization", "DiskUtilization", "MemoryUtilization"},
    ),
}


def second_model(args: Arguments) -> dict[str, Any]:
    """A model that awaits its first version."""
    (iris,) = args("Dashboard")["models"]
    log = {**iris["log"], "log_name": "dev-fraud"}
    return {
        "model": "fraud",
        "log": log,
        "function_name": "dev-fraud-front-door",
        "workgroup_name": "mainstage-dev-fraud",
    }


def body_of(result: Result) -> dict[str, Any]:
    return json.loads(result.named("thing-dashboard").inputs["dashboardBody"])


@pytest.fixture
def bodies(build: Build, args: Arguments) -> dict[str, dict[str, Any]]:
    """The body of each kind of dashboard."""
    (iris,) = args("Dashboard")["models"]
    return {
        "model": body_of(build("Dashboard")),
        "awaiting": body_of(build("Dashboard", models=[second_model(args)])),
        "platform": body_of(build("Dashboard", models=[iris, second_model(args)], front_door=API)),
        "empty platform": body_of(build("Dashboard", models=[], front_door=API)),
    }


def lines(body: dict[str, Any]) -> list[list[Any]]:
    return [line for widget in body["widgets"] for line in widget["properties"].get("metrics", ())]


@pytest.mark.parametrize("kind", ["model", "platform"])
def test_the_body_is_the_golden_one(bodies: dict[str, dict[str, Any]], root: Path, kind: str) -> None:
    """After a wanted change: write the body that the failure shows into the file, and look at the diff."""
    golden = root / "tests" / "goldens" / f"dashboard-{kind}.json"
    assert bodies[kind] == json.loads(golden.read_text())


def test_the_same_arguments_give_the_same_text(build: Build, args: Arguments) -> None:
    (iris,) = args("Dashboard")["models"]
    shuffled = {key: iris[key] for key in reversed(iris)}
    shuffled["configurations"] = {"7": "dev-iris-v7-0123abcd", "10": "dev-iris-v10-4567cdef"}
    one, other = build("Dashboard"), build("Dashboard", models=[shuffled])
    texts = [result.named("thing-dashboard").inputs for result in (one, other)]
    assert texts[0] == texts[1]
    assert texts[0]["dashboardName"] == "mainstage-dev-iris"
    assert set(texts[0]) == {"dashboardName", "dashboardBody"}


def test_cloudwatch_takes_every_body_without_a_warning(bodies: dict[str, dict[str, Any]]) -> None:
    for kind, body in bodies.items():
        found = validate(json.dumps(body))
        assert (list(found.errors), list(found.warnings), list(found.uncarried)) == ([], [], []), kind


def test_widgets_lie_beside_each_other_and_never_on_each_other(bodies: dict[str, dict[str, Any]]) -> None:
    for body in bodies.values():
        taken: set[tuple[int, int]] = set()
        for widget in body["widgets"]:
            assert widget["x"] + widget["width"] <= WIDTH
            here = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            assert not here & taken
            taken |= here


def test_latency_is_percentiles_by_version_and_nothing_is_an_average(bodies: dict[str, dict[str, Any]]) -> None:
    for body in bodies.values():
        for line in lines(body):
            if isinstance(line[0], str):
                stat = line[-1]["stat"]
                assert re.fullmatch(r"p\d\d|Sum|Maximum", stat)
                assert (stat[0] == "p") == line[1].endswith("Latency"), line
    door = [line for line in lines(bodies["model"]) if line[1:2] == ["FrontDoorLatency"]]
    assert [(line[2:6], line[6]["stat"]) for line in door] == [
        (["EndpointName", "dev-iris", "ModelVersion", version], stat)
        for version in ("7", "10")
        for stat in ("p50", "p99")
    ]
    fleet = [line for line in lines(bodies["model"]) if line[1:2] == ["ModelLatency"]]
    assert [(line[7], line[8]["stat"], line[8]["visible"]) for line in fleet] == [
        (name, stat, False) for name in ("dev-iris-v7-0123abcd", "dev-iris-v10-4567cdef") for stat in ("p50", "p99")
    ]


def test_microseconds_are_drawn_as_milliseconds(bodies: dict[str, dict[str, Any]]) -> None:
    (graph,) = [
        w for w in bodies["model"]["widgets"] if w["properties"].get("title", "").startswith("Latency of the model")
    ]
    found = graph["properties"]["metrics"]
    hidden = [line[-1]["id"] for line in found if len(line) > 1]
    drawn = [line[0]["expression"] for line in found if len(line) == 1]
    assert drawn == [f"{query_id} / 1000" for query_id in hidden]
    assert len(set(hidden)) == len(hidden) == 5


def test_every_metric_is_one_that_something_publishes(bodies: dict[str, dict[str, Any]]) -> None:
    (folder,) = mainstage_runtime.__path__
    source = "".join(path.read_text() for path in Path(folder).glob("*.py"))
    seen = set()
    for body in bodies.values():
        for namespace, name, dimensions in named_metrics(body):
            keys = tuple(key for key, _ in dimensions)
            seen.add(namespace)
            if namespace == "Mainstage":
                assert f'"{name}"' in source, name
                assert keys in {("LogName",), ("EndpointName",), ("EndpointName", "ModelVersion")}
            else:
                sets, names = PUBLISHED[namespace]
                assert keys in sets, (namespace, name, keys)
                assert name in names, (namespace, name)
    assert seen == {"Mainstage", *PUBLISHED}


def test_alarms_are_those_of_endpoint_and_log(bodies: dict[str, dict[str, Any]]) -> None:
    def alarms(kind: str) -> list[str]:
        (widget,) = [w for w in bodies[kind]["widgets"] if w["type"] == "alarm"]
        prefix = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:"
        assert all(arn.startswith(prefix) for arn in widget["properties"]["alarms"])
        return [arn.removeprefix(prefix) for arn in widget["properties"]["alarms"]]

    logs = [f"log-{alarm}" for alarm in LOG_RUNBOOK_SLUGS]
    first = ("page", "cpu", "guard-errors", "guard-p99")
    iris = [f"dev-iris-{name}" for name in (*first, *logs)]
    fraud = [f"dev-fraud-{name}" for name in logs]
    assert alarms("model") == iris
    assert alarms("awaiting") == fraud
    assert alarms("platform") == [*iris, *fraud]


def test_an_alarm_widget_has_at_most_a_hundred(build: Build, args: Arguments) -> None:
    models = [{**second_model(args), "model": f"m{number}"} for number in range(20)]
    body = body_of(build("Dashboard", models=models, front_door=API))
    assert [len(w["properties"]["alarms"]) for w in body["widgets"] if w["type"] == "alarm"] == [100, 20]


def test_the_text_links_every_runbook_and_names_every_query(bodies: dict[str, dict[str, Any]]) -> None:
    text = bodies["model"]["widgets"][0]["properties"]["markdown"]
    slugs = {*RUNBOOK_SLUGS.values(), *LOG_RUNBOOK_SLUGS.values(), *SERVICE_RUNBOOK_SLUGS.values()}
    for slug in {*slugs, "release-rolled-back"}:
        assert f"[{slug}](https://example.com/runbooks/{slug}.md)" in text
    for slug in NAMED_QUERIES:
        assert f"`dev-iris-{slug}`" in text
    assert "workgroup `mainstage-dev-iris`" in text
    assert "awaits its first version" in bodies["awaiting"]["widgets"][0]["properties"]["markdown"]


def test_an_awaiting_model_has_no_graph_of_an_endpoint(bodies: dict[str, dict[str, Any]]) -> None:
    namespaces = {namespace for namespace, _, _ in named_metrics(bodies["awaiting"])}
    assert namespaces == {"Mainstage", "AWS/Lambda", "AWS/Firehose", "AWS/SQS"}


def test_dimensions_that_become_known_later_are_filled_in(args: Arguments) -> None:
    def program() -> None:
        topic = aws.sns.Topic("seed", name="dev-iris-v7-later")
        given = args("Dashboard")
        given["models"][0]["configurations"] = {"7": topic.name}
        pulumi.export("name", mainstage.Dashboard("thing", given).dashboard_name)  # pyright: ignore[reportArgumentType]

    result = record(program, stack="somewhere").check()
    text = result.named("thing-dashboard").inputs["dashboardBody"]
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    fleets = [dict(dimensions) for _, name, dimensions in named_metrics(json.loads(text)) if name == "ModelLatency"]
    assert [fleet["EndpointConfigName"] for fleet in fleets] == ["dev-iris-v7-later"]


def test_refusals_come_together(refused: Refused, args: Arguments) -> None:
    iris = args("Dashboard")["models"][0]
    del iris["endpoint"]
    iris["configurations"] = {"newest": "dev-iris-v7-0123abcd"}
    found = refused("Dashboard", models=[iris], dashboard_name="no spaces", runbook_base_url="http://wiki")
    assert [(field, got) for field, got, _, _ in found] == [
        ("runbook_base_url", "'http://wiki'"),
        ("models[0].configurations", "'newest'"),
        ("models[0].configurations", "['newest']"),
        ("dashboard_name", "'no spaces'"),
    ]
    ((field, got, _, _),) = refused("Dashboard", models=[])
    assert (field, got) == ("models", "[]")


def test_what_cloudwatch_would_not_take_is_refused(refused: Refused, args: Arguments) -> None:
    models = [{**second_model(args), "model": f"m{number}"} for number in range(120)]
    ((field, got, allowed, _),) = refused("Dashboard", models=models)
    assert (field, got, allowed) == ("models", "'120 models'", "960 widgets; CloudWatch takes 500")
    many = [{**second_model(args), "model": f"m{number}"} for number in range(501)]
    ((_, got, allowed, _),) = refused("Dashboard", models=many, front_door=API)
    assert (got, allowed) == ("'501 models'", "501 metrics in one graph; CloudWatch takes 500")
