"""What a status says of alarms."""

from __future__ import annotations

import pytest

from infra.registry.status import ModelStatus


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], "none"),
        (["INSUFFICIENT_DATA"] * 3, "without data yet: errors-0, errors-1, errors-2"),
        (["OK"] * 5 + ["INSUFFICIENT_DATA"] * 2, "5 OK; without data yet: errors-5, errors-6"),
        (["OK"] * 7, "7 OK"),
        (["OK"] * 5 + ["INSUFFICIENT_DATA", "ALARM"], "ALARM: errors-6; 5 OK; without data yet: errors-5"),
    ],
)
def test_every_alarm_that_is_not_ok_is_named(states: list[str], said: str) -> None:
    alarms = {f"dev-iris-guard-errors-{number}": state for number, state in enumerate(states)}
    assert ModelStatus("iris", "dev", "version 1", "dev-iris", "InService", alarms=alarms).alarms_text == said
