"""Every alarm of every stack: somebody hears it, a page says what to do, and missing data has a written meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from policy_cases import graph

from policies.rules import Resource

METRIC = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
STACKS = [f"{layer}-{environment}" for layer in ("platform", "models") for environment in ("dev", "staging", "prod")]


@cache
def alarms(stack: str) -> tuple[Resource, ...]:
    return tuple(graph(stack).of_type(METRIC, COMPOSITE))


def name_of(alarm: Resource) -> str:
    return alarm.get("alarmName" if alarm.type == COMPOSITE else "name")


def named_by_pages(stack: str) -> Iterator[str]:
    for alarm in alarms(stack):
        if alarm.type == COMPOSITE and alarm.get("alarmActions"):
            yield from re.findall(r'ALARM\("([^"]+)"\)', alarm.get("alarmRule"))


@pytest.mark.parametrize("stack", STACKS)
def test_somebody_hears_it(stack: str) -> None:
    """Itself, or through the one alarm that pages for many; and whoever hears that it began hears that it is over."""
    assert stack.startswith("platform-") or len(alarms(stack)) > 30
    heard = set(named_by_pages(stack))
    for alarm in alarms(stack):
        told = alarm.get("alarmActions")
        assert told or name_of(alarm) in heard, alarm.name
        assert alarm.get("okActions") == told, alarm.name
        assert alarm.get("actionsEnabled") is True, alarm.name


@pytest.mark.parametrize("stack", STACKS)
def test_it_has_a_page_that_says_what_to_do(stack: str, root: Path) -> None:
    for alarm in alarms(stack):
        found = re.fullmatch(
            r".+ Runbook: https://\S+/docs/runbooks/([a-z-]+)\.md", alarm.get("alarmDescription"), re.S
        )
        assert found, (alarm.name, alarm.get("alarmDescription"))
        text = (root / "docs" / "runbooks" / f"{found[1]}.md").read_text(encoding="utf-8")
        headings = [line for line in text.splitlines() if line.startswith("## ")]
        assert headings == ["## What it means", "## First look", "## Act", "## Afterwards"], found[1]


@pytest.mark.parametrize("stack", STACKS)
def test_missing_data_has_a_written_meaning(stack: str) -> None:
    for alarm in alarms(stack):
        if alarm.type == METRIC:
            assert alarm.get("treatMissingData") in ("breaching", "notBreaching", "ignore", "missing"), alarm.name


@pytest.mark.parametrize("stack", STACKS)
def test_its_name_says_whose_it_is(stack: str) -> None:
    """It begins with the environment: a page is read on a telephone. No two of a stack are called alike."""
    environment = stack.partition("-")[2]
    names = [name_of(alarm) for alarm in alarms(stack)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.match(rf"(mainstage-)?{environment}-", name)] == []


@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack.startswith("models-")])
def test_one_alarm_pages_for_what_clients_get(stack: str) -> None:
    """Those of iris that wake a person: one for clients, and what nobody else tells of."""
    page = [name_of(each) for each in alarms(stack) if any(arn.endswith("-page") for arn in each.get("alarmActions"))]
    environment = stack.partition("-")[2]
    of_iris = sorted(name for name in page if name.startswith(f"{environment}-iris-"))
    assert of_iris == [
        f"{environment}-iris-guard-confidence",
        f"{environment}-iris-guard-drift",
        f"{environment}-iris-log-loss",
        f"{environment}-iris-page",
    ]


def test_every_page_belongs_to_something(root: Path) -> None:
    """A page that no alarm links to would not be found at night. The others are linked by messages."""
    linked = {
        re.search(r"/([a-z-]+)\.md$", alarm.get("alarmDescription"))[1]  # pyright: ignore[reportOptionalSubscript]  # tested above
        for stack in STACKS
        for alarm in alarms(stack)
    }
    files = {path.stem for path in (root / "docs" / "runbooks").glob("*.md")} - {"README"}
    # A floor is set where somebody knows the traffic; the rest stand in messages of an update, the watch and the CLI.
    by_message = {name for name in files if name.startswith("release-")} | {"pager-test", "service-floor"}
    assert files - linked <= by_message
