"""GuardAlarms: seven alarms with fixed names, each with its runbook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mainstage.guard_alarms import FIRING_SECONDS, GUARDS, RUNBOOK_SLUGS, guard_alarm_names

from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]

PAGE = "arn:aws:sns:eu-west-1:111111111111:mainstage-page"
TICKET = "arn:aws:sns:eu-west-1:111111111111:mainstage-ticket"
DIMENSIONS = {"EndpointName": "iris", "VariantName": "stable", "EndpointConfigName": "iris-v7-0123abcd"}


def test_children(build: Build, tree: Tree) -> None:
    alarms = [("aws:cloudwatch/metricAlarm:MetricAlarm", f"thing-{guard}", "thing") for guard in sorted(GUARDS)]
    assert tree(build("GuardAlarms")) == [*alarms, ("mainstage:index:GuardAlarms", "thing", "")]


def test_the_names_are_fixed_by_the_endpoint() -> None:
    assert guard_alarm_names("iris") == {
        "errors": "iris-guard-errors",
        "p95": "iris-guard-p95",
        "p99": "iris-guard-p99",
        "front-door-p99": "iris-guard-front-door-p99",
        "drift": "iris-guard-drift",
        "confidence": "iris-guard-confidence",
        "stop": "iris-guard-stop",
    }


def test_a_release_changes_what_they_watch_and_nothing_else(build: Build, args: Callable[..., dict[str, Any]]) -> None:
    before = build("GuardAlarms")
    identity = args("GuardAlarms")["identity"] | {"endpoint_config_name": "iris-v8-deadbeef"}
    after = build("GuardAlarms", identity=identity)
    # Children are registered side by side, in no fixed order.
    olds, news = (sorted(result.resources, key=lambda each: each.urn) for result in (before, after))
    assert [each.urn for each in olds] == [each.urn for each in news]
    for old, new in zip(olds, news, strict=True):
        differing = {key for key in new.inputs if new.inputs[key] != old.inputs[key]}
        assert differing <= {"dimensions", "metricQueries"}, new.name
        if new.type.startswith("aws:"):
            assert differing, new.name


@pytest.mark.parametrize(("guard", "statistic", "threshold"), [("p95", "p95", 300_000), ("p99", "p99", 800_000)])
def test_latency_is_in_microseconds_and_of_the_new_fleet(
    build: Build, inputs: Inputs, guard: str, statistic: str, threshold: int
) -> None:
    alarm = inputs(build("GuardAlarms"), f"thing-{guard}")
    description = alarm.pop("alarmDescription")
    assert description.endswith(" ms. Runbook: https://example.com/runbooks/guard-latency.md")
    assert alarm == {
        "name": f"iris-guard-{guard}",
        "actionsEnabled": True,
        "alarmActions": [TICKET],
        "okActions": [TICKET],
        "insufficientDataActions": [],
        "treatMissingData": "notBreaching",
        "tags": {},
        "namespace": "AWS/SageMaker",
        "metricName": "ModelLatency",
        "dimensions": DIMENSIONS,
        "extendedStatistic": statistic,
        "threshold": threshold,
        "comparisonOperator": "GreaterThanThreshold",
        "evaluateLowSampleCountPercentiles": "ignore",
        "period": 60,
        "evaluationPeriods": 3,
        "datapointsToAlarm": 2,
    }


def test_errors_are_a_ratio_with_a_minimum_of_requests(build: Build, inputs: Inputs) -> None:
    alarm = inputs(build("GuardAlarms"), "thing-errors")
    *metrics, ratio = alarm["metricQueries"]
    assert {query["id"]: query["metric"]["metricName"] for query in metrics} == {
        "requests": "Invocations",
        "model_errors": "InvocationModelErrors",
        "client_errors": "Invocation4XXErrors",
    }
    for query in metrics:
        assert query["returnData"] is False
        assert query["metric"]["dimensions"] == DIMENSIONS
        assert (query["metric"]["period"], query["metric"]["stat"]) == (60, "Sum")
    assert ratio == {
        "id": "error_ratio",
        "label": "share of failed requests",
        "expression": "IF(FILL(requests, 0) >= 20, (FILL(model_errors, 0) - FILL(client_errors, 0)) / requests, 0)",
        "returnData": True,
    }
    assert alarm["threshold"] == 0.01
    assert "metricName" not in alarm
    assert "period" not in alarm


@pytest.mark.parametrize(
    ("guard", "metric", "threshold", "topic"),
    [
        ("front-door-p99", "FrontDoorLatency", 1050, TICKET),
        ("drift", "DriftScore", 0.25, PAGE),
        ("confidence", "ConfidenceScore", 0.25, PAGE),
        ("stop", "StopRequested", 0, TICKET),
    ],
)
def test_guards_that_nothing_feeds_yet_exist_and_stay_silent(
    build: Build, inputs: Inputs, guard: str, metric: str, threshold: float, topic: str
) -> None:
    alarm = inputs(build("GuardAlarms"), f"thing-{guard}")
    assert (alarm["namespace"], alarm["metricName"]) == ("Mainstage", metric)
    assert alarm["dimensions"] == DIMENSIONS
    assert alarm["threshold"] == threshold
    assert alarm["treatMissingData"] == "notBreaching"
    assert alarm["alarmActions"] == alarm["okActions"] == [topic]


def test_every_alarm_obeys_the_rules_that_only_the_service_checks(build: Build) -> None:
    for alarm in build("GuardAlarms").of_type("aws:cloudwatch/metricAlarm:MetricAlarm"):
        periods, points = alarm.inputs["evaluationPeriods"], alarm.inputs["datapointsToAlarm"]
        assert points <= periods
        period = alarm.inputs.get("period", 60)
        assert period in (10, 20, 30) or period % 60 == 0
        assert period * periods <= 86_400
        if alarm.name in ("thing-errors", "thing-p95", "thing-p99"):
            # A minute has begun when the traffic moves, SageMaker posts a minute late, CloudWatch looks every minute.
            assert period * (points + 1) + 60 + 60 == FIRING_SECONDS == 300


@pytest.mark.parametrize("slug", sorted(set(RUNBOOK_SLUGS.values())))
def test_every_alarm_has_a_runbook(root: Path, slug: str) -> None:
    text = (root / "docs" / "runbooks" / f"{slug}.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## What it means", "## First look", "## Act", "## Afterwards"]


def test_every_runbook_belongs_to_an_alarm(root: Path) -> None:
    files = {path.stem for path in (root / "docs" / "runbooks").glob("guard-*.md")}
    assert files == set(RUNBOOK_SLUGS.values())


def test_refusals(refused: Refused, args: Callable[..., dict[str, Any]]) -> None:
    found = refused(
        "GuardAlarms",
        slo={"p95_ms": 900, "p99_ms": 800, "error_ratio": 0, "latency": 5},
        page_topic_arn="page",
        runbook_base_url="http://example.com",
    )
    assert [(field, got) for field, got, _, _ in found] == [
        ("slo.latency", "5"),
        ("slo.error_ratio", "0.0"),
        ("slo.p95_ms", "900.0"),
        ("page_topic_arn", "'page'"),
        ("runbook_base_url", "'http://example.com'"),
    ]
    identity = args("GuardAlarms")["identity"] | {"guard_alarm_names": {"errors": "other"}}
    ((field, _, _, fix),) = refused("GuardAlarms", identity=identity)
    assert (field, fix) == (
        "identity.guard_alarm_names",
        "pass the identity of SageMakerEndpoint on unchanged",
    )
