"""What a status says of alarms."""

from __future__ import annotations

import pytest

from infra.registry.status import ModelStatus


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], "none"),
        (["INSUFFICIENT_DATA"] * 7, "7 without data yet"),
        (["OK"] * 5 + ["INSUFFICIENT_DATA"] * 2, "2 without data yet, 5 OK"),
        (["OK"] * 6 + ["ALARM"], "ALARM: guard-6"),
    ],
)
def test_a_ringing_alarm_is_named_the_others_are_counted(states: list[str], said: str) -> None:
    alarms = {f"guard-{number}": state for number, state in enumerate(states)}
    assert ModelStatus("iris", "dev", "version 1", "dev-iris", "InService", alarms=alarms).alarms_text == said
