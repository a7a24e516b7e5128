"""`mainstage model history`: what a person reads of what happened."""

from __future__ import annotations

import json

import pytest
from cli import Run, lines
from mainstage_runtime.release_history import STARTED, TAKEN_BACK
from release_world import (
    ALARM,
    HOSTILE,
    SHOWN,
    World,
    event,
)

pytestmark = pytest.mark.usefixtures("in_service")


def test_the_history_is_told_newest_first(run: Run, world: World) -> None:
    assert lines(run("model", "history", "iris")) == ["iris: nothing was released here yet"]
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    world.history.add(event(TAKEN_BACK, 7, serves=6, alarm=ALARM, requests=1200, reason=HOSTILE))
    told = lines(run("model", "history", "iris"))
    text = "\n".join(told)
    assert "dev-iris-guard-errors" in text
    assert SHOWN in text
    assert text.index("taken_back") < text.index("started")
    newest = json.loads(run("model", "history", "iris", "--limit", "1", "--json").out)
    assert [(each["kind"], each["version"], each["requests"]) for each in newest] == [("taken_back", 7, 1200)]
    assert lines(run("model", "history", "iris", "--limit", "1"))[-1] == "1 older: --limit 2"


def test_the_history_of_no_model(run: Run) -> None:
    ended = run("model", "history", "isis")
    assert ended.code == 1
    assert "model 'isis' is not in the catalog" in ended.err
