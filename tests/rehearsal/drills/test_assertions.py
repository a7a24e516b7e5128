"""How long a drill waits for records, whatever the speed of the machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.rehearsal.drills import assertions
from infra.rehearsal.drills.assertions import SPOOL_MINUTES, every_record_names_who_answered
from infra.rehearsal.drills.drill import DrillFailed
from infra.rehearsal.drills.minute import SECONDS, Answer


class Stage:
    """One answered request whose record comes after so many of the cloud's minutes."""

    def __init__(self, comes_after: int):
        self.comes_after, self.minutes = comes_after, 0
        self.answers = [Answer(200, 5.0, "r-1", "2", "2")]
        self.model = "iris"
        cloud = SimpleNamespace(clock=SimpleNamespace(advance=self.advance))
        self.world = SimpleNamespace(cloud=cloud, target=SimpleNamespace(environment="dev"))

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
    monkeypatch.setattr(assertions.time, "sleep", lambda _: None)


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
