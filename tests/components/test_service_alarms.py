"""ServiceAlarms: one page when clients get less than promised, tickets when instances are full."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moto
import pytest
from mainstage._burn_rate import BURN_RATES
from mainstage._instance_types import vcpus
from mainstage.service_alarms import SERVICE_RUNBOOK_SLUGS

from infra.catalog.schema import instance_types
from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]

METRIC = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
PAGE = "arn:aws:sns:eu-west-1:111111111111:mainstage-page"
TICKET = "arn:aws:sns:eu-west-1:111111111111:mainstage-ticket"
VARIANT = {"EndpointName": "prod-iris", "VariantName": "stable"}


def named(result: Result) -> dict[str, dict[str, Any]]:
    return {alarm.name.removeprefix("thing-"): alarm.inputs for alarm in result.of_type(METRIC)}


def test_one_alarm_pages_and_it_names_all_that_is_a_symptom(build: Build) -> None:
    result = build("ServiceAlarms")
    page = result.one(COMPOSITE).inputs
    assert page == {
        "alarmName": "prod-iris-page",
        "alarmRule": '(ALARM("prod-iris-burn-1h") AND ALARM("prod-iris-burn-5m")) OR '
        '(ALARM("prod-iris-burn-6h") AND ALARM("prod-iris-burn-30m")) OR '
        'ALARM("prod-iris-slow") OR ALARM("prod-iris-floor")',
        "alarmDescription": "Clients of prod-iris get less than they are promised. "
        "Runbook: https://example.com/runbooks/service-page.md",
        "actionsEnabled": True,
        "alarmActions": [PAGE],
        "okActions": [PAGE],
        "insufficientDataActions": [],
        "tags": {"team": "ml"},
    }
    tells = {name: alarm["alarmActions"] for name, alarm in named(result).items()}
    tickets = {name: told for name, told in tells.items() if told}
    assert tickets == {"cpu": [TICKET], "memory": [TICKET], "concurrency": [TICKET]}
    assert set(tells) - set(tickets) == {"burn-1h", "burn-5m", "burn-6h", "burn-30m", "slow", "floor"}
    names = ("page", "burn-1h", "burn-5m", "burn-6h", "burn-30m", "slow", "floor", "cpu", "memory", "concurrency")
    assert result.outputs["alarm_names"] == [f"prod-iris-{alarm}" for alarm in names]


def test_the_page_is_made_after_its_parts(build: Build) -> None:
    result = build("ServiceAlarms")
    (page,) = result.of_type(COMPOSITE)
    after = {urn.rpartition("thing-")[2] for urn in page.options.depends_on if "thing-" in urn}
    assert after == {"burn-1h", "burn-5m", "burn-6h", "burn-30m", "slow", "floor"}


def test_what_has_no_limit_is_not_watched(build: Build) -> None:
    result = build("ServiceAlarms", limits=None)
    assert {"floor", "concurrency"}.isdisjoint(named(result))
    assert "floor" not in result.one(COMPOSITE).inputs["alarmRule"]


def test_missing_data_is_judged_by_what_it_means(build: Build) -> None:
    """No requests: nobody is failed and nothing is full, and that is what the floor looks for."""
    policies = {name: alarm["treatMissingData"] for name, alarm in named(build("ServiceAlarms")).items()}
    assert policies.pop("floor") == "breaching"
    assert set(policies.values()) == {"notBreaching"}


def test_the_pairs_are_those_of_the_workbook() -> None:
    """https://sre.google/workbook/alerting-on-slos/, table 5-8: 2 % of the budget of 30 days in an hour, 5 % in six."""
    budget_hours = 30 * 24
    assert [(rate.rate, [window.seconds for window in rate.windows]) for rate in BURN_RATES] == [
        (pytest.approx(0.02 * budget_hours / 1), [3600, 300]),
        (pytest.approx(0.05 * budget_hours / 6), [21600, 1800]),
    ]
    assert all(long.seconds == 12 * short.seconds for long, short in (rate.windows for rate in BURN_RATES))


@pytest.mark.parametrize(
    ("name", "period", "threshold"), [("burn-1h", 3600, 14.4), ("burn-5m", 300, 14.4), ("burn-6h", 21600, 6.0)]
)
def test_a_window_is_one_period_of_one_alarm(build: Build, name: str, period: int, threshold: float) -> None:
    alarm = named(build("ServiceAlarms"))[name]
    metrics = [query["metric"] for query in alarm["metricQueries"] if "metric" in query]
    assert {metric["period"] for metric in metrics} == {period}
    assert [(metric["metricName"], metric["dimensions"]) for metric in metrics] == [
        ("Invocations", VARIANT),
        ("InvocationModelErrors", VARIANT),
        ("Invocation4XXErrors", VARIANT),
        ("Served", {"LogName": "prod-iris"}),
        ("Replies5XX", {"LogName": "prod-iris"}),
    ]
    assert (alarm["evaluationPeriods"], alarm["datapointsToAlarm"], alarm["threshold"]) == (1, 1, threshold)
    (told,) = [query for query in alarm["metricQueries"] if query["returnData"]]
    assert told["expression"] == "IF(asked >= 20, failed, 0) / IF(asked >= 20, asked, 1) / 0.01"


def test_a_loose_promise_can_still_be_broken(build: Build) -> None:
    """At a promise of one failure in five, 14.4 times as many are more than there are requests."""
    slo = {"p95_ms": 300.0, "p99_ms": 800.0, "error_ratio": 0.2}
    alarm = named(build("ServiceAlarms", slo=slo))["burn-5m"]
    assert alarm["threshold"] == 4.5


def test_without_a_front_door_the_endpoint_alone_is_asked(build: Build) -> None:
    alarms = named(build("ServiceAlarms", log=None))
    metrics = {query["metric"]["namespace"] for query in alarms["burn-5m"]["metricQueries"] if "metric" in query}
    assert metrics == {"AWS/SageMaker"}
    assert (alarms["slow"]["metricName"], alarms["slow"]["threshold"]) == ("ModelLatency", 800_000)


def test_use_of_the_processors_is_the_sum_over_them(build: Build) -> None:
    alarms = named(build("ServiceAlarms"))
    assert (alarms["cpu"]["threshold"], alarms["cpu"]["dimensions"]) == (4 * 85, VARIANT)
    assert alarms["memory"]["threshold"] == 90
    assert alarms["concurrency"]["threshold"] == 8
    assert "85 % of its 4 vCPUs" in alarms["cpu"]["alarmDescription"]


def test_every_alarm_obeys_the_rules_that_only_the_service_checks(build: Build) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    for name, alarm in named(build("ServiceAlarms")).items():
        metrics = [query["metric"] for query in alarm.get("metricQueries", ()) if "metric" in query]
        assert len(metrics) <= 10, name
        period = alarm["period"] if not metrics else metrics[0]["period"]
        assert period % 60 == 0, name
        assert alarm["datapointsToAlarm"] <= alarm["evaluationPeriods"], name
        longest = 604_800 if period >= 3600 else 86_400
        assert period * alarm["evaluationPeriods"] <= longest, name
        assert len(alarm["alarmDescription"]) <= 1024, name


def test_built_twice(build: Build) -> None:
    first, second = build("ServiceAlarms"), build("ServiceAlarms", name="other")
    assert len(first.resources) == len(second.resources) == 11


@pytest.mark.parametrize("slug", sorted(set(SERVICE_RUNBOOK_SLUGS.values())))
def test_every_alarm_has_a_runbook(root: Path, slug: str) -> None:
    text = (root / "docs" / "runbooks" / f"{slug}.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## What it means", "## First look", "## Act", "## Afterwards"]


def test_refusals(refused: Refused) -> None:
    found = refused(
        "ServiceAlarms",
        instance_type="ml.u-6tb1.metal",
        limits={"cpu_percent": 101, "requests_per_hour_at_least": 0, "cpu": 1},
        page_topic_arn="page",
    )
    assert [(field, got) for field, got, _, _ in found] == [
        ("instance_type", "'ml.u-6tb1.metal'"),
        ("limits.cpu", "1"),
        ("limits.requests_per_hour_at_least", "0"),
        ("limits.cpu_percent", "101"),
        ("page_topic_arn", "'page'"),
    ]


def test_vcpus_are_those_of_ec2s_own_list() -> None:
    """Every type that SageMaker hosts has a number, and the same as EC2's DescribeInstanceTypes."""
    path = Path(moto.__file__).parent / "ec2" / "resources" / "instance_types.json.gz"
    listed = json.loads(gzip.decompress(path.read_bytes()))
    differing, unlisted = {}, []
    for name in instance_types():
        found = vcpus(name)
        assert found is not None, name
        if name.removeprefix("ml.") not in listed:
            unlisted.append(name)
        elif found != (there := listed[name.removeprefix("ml.")]["VCpuInfo"]["DefaultVCpus"]):
            differing[name] = (found, there)
    assert differing == {}
    assert len(unlisted) < 10
