"""How long a drill waits for records, whatever the speed of the machine."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from sleeps import sleeps_by

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.drills import assertions
from infra.rehearsal.drills.assertions import SPOOL_MINUTES, every_record_names_who_answered
from infra.rehearsal.drills.drill import DrillFailed
from infra.rehearsal.drills.minute import SECONDS, Answer
from infra.rehearsal.drills.timeline import Timeline

without_answer = assertions._lost_for_want_of_an_answer


class Stage:
    """One answered request whose record comes after so many of the cloud's minutes."""

    def __init__(self, comes_after: int):
        self.comes_after, self.minutes = comes_after, 0
        self.answers = [Answer(200, 5.0, "r-1", "2", "2")]
        self.model = "iris"
        self.timeline = Timeline()
        cloud = SimpleNamespace(clock=SimpleNamespace(advance=self.advance))
        self.world = SimpleNamespace(cloud=cloud, target=SimpleNamespace(environment="dev"))

    def minute(self) -> None:
        """A request of each minute is answered."""
        self.minutes += 1
        self.answers.append(Answer(200, 5.0, f"r-{len(self.answers) + 1}", "2", "2"))

    def advance(self, seconds: float) -> None:
        assert seconds == SECONDS
        self.minutes += 1


@pytest.fixture(autouse=True)
def a_machine_so_slow_that_its_time_is_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(stage: Any, _: Any) -> set[str]:
        return {"r-1"} if stage.minutes >= stage.comes_after else set()

    monkeypatch.setattr(assertions, "RECORD_SECONDS", -1)
    monkeypatch.setattr(assertions, "SPOOLED_AFTER_SECONDS", -1)
    monkeypatch.setattr(assertions, "_told_in_the_log", told)
    monkeypatch.setattr(assertions, "told_of_records", lambda _, route, __: f"1 × spooled by {route}")
    monkeypatch.setattr(assertions, "_lost_for_want_of_an_answer", lambda *_: set())
    sleeps_by(monkeypatch, assertions, lambda _: None)


def test_a_record_in_the_spool_is_waited_for():
    stage: Any = Stage(comes_after=SPOOL_MINUTES)
    every_record_names_who_answered(stage)
    assert stage.minutes == SPOOL_MINUTES


def test_one_that_does_not_come_is_told_with_what_the_front_door_noted():
    stage: Any = Stage(comes_after=SPOOL_MINUTES + 1)
    with pytest.raises(DrillFailed) as caught:
        every_record_names_who_answered(stage)
    assert str(caught.value) == (
        "1 of 1 answered requests have no record: r-1, …; the front door told of them: 1 × spooled by dev-iris"
    )
    assert stage.minutes == SPOOL_MINUTES


def test_records_that_a_standing_machine_lost_are_not_waited_for_when_those_after_it_come(
    monkeypatch: pytest.MonkeyPatch,
):
    """As the front door tells of them: its services gave no answer. Four requests come before they are asked again."""
    stage: Any = Stage(comes_after=0)
    lost = {"r-1", "r-2", "r-3", "r-4"}
    monkeypatch.setattr(
        assertions, "_told_in_the_log", lambda stage, _: {each.request_id for each in stage.answers} - lost
    )
    monkeypatch.setattr(assertions, "_lost_for_want_of_an_answer", lambda _, __, missing: missing & lost)
    every_record_names_who_answered(stage)
    assert [each.request_id for each in stage.answers] == ["r-1", "r-2", "r-3", "r-4", "r-5"]
    told = "the machine stood still, and the front door told of lost records: 1"
    assert [mark.text for mark in stage.timeline.marks] == [told] * 4


def test_nor_are_all_records_lost_for_ever(monkeypatch: pytest.MonkeyPatch):
    stage: Any = Stage(comes_after=10**6)
    monkeypatch.setattr(assertions, "_lost_for_want_of_an_answer", lambda _, __, missing: set(missing))
    with pytest.raises(DrillFailed, match="1 of 1 answered requests have no record: r-11, …"):
        every_record_names_who_answered(stage)


@pytest.mark.parametrize(
    ("note", "lost"),
    [
        ({"event": "record_lost", "stream": "ReadTimeoutError", "queue": "ReadTimeoutError"}, True),
        ({"event": "record_lost", "stream": "gave no answer a moment ago", "queue": "ConnectTimeoutError"}, True),
        ({"event": "record_lost", "stream": "ReadTimeoutError", "queue": "AccessDenied"}, False),
        ({"event": "record_lost", "record": "KeyError"}, False),
        ({"event": "spooled", "stream": "ReadTimeoutError"}, False),
    ],
)
def test_what_is_lost_for_want_of_an_answer(cloud: Cloud, note: dict[str, str], lost: bool):
    logs = cloud.client("logs")
    group = "/aws/lambda/dev-iris-front-door"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    lines = ["START", json.dumps({**note, "request_id": "r-1"}), json.dumps({**note, "request_id": "another"})]
    now = int(cloud.clock.now().timestamp() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    assert without_answer(cloud, "dev-iris", {"r-1"}) == ({"r-1"} if lost else set())
