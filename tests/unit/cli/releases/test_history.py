"""`mainstage model history`: what a person reads of what happened."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cli import Run, error, lines
from mainstage_runtime.release_history import RELEASED, RETRY, STARTED, TAKEN_BACK, UNASKED, UNPROVEN, AlarmSeen
from release_world import ALARM, BUCKET, ENDPOINT, HOSTILE, SHOWN, World, event

pytestmark = pytest.mark.usefixtures("in_service")


def test_the_history_is_told_newest_first(run: Run, world: World) -> None:
    assert lines(run("model", "history", "iris")) == ["iris: nothing was released here yet"]
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    world.history.add(event(TAKEN_BACK, 7, serves=6, alarm=ALARM, requests=1200, reason=HOSTILE))
    world.history.add(event(RETRY, 7, at="12:40:00", serves=6, reason="the feature store was down"))
    assert lines(run("model", "history", "iris")) == [
        "at (UTC)             version  what         serves  requests  by",
        "2026-11-21 12:40:00        7  retry             6         -  ann",
        "    the feature store was down",
        "2026-11-21 12:30:00        7  taken_back        6     1,200  ann",
        f"    began at 12:00:00; dev-iris-guard-errors (2 of 3 minutes above 0.01); {SHOWN}",
    ]


def test_one_release_is_one_row_whoever_wrote_of_it(run: Run, world: World) -> None:
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    world.history.add(event(RELEASED, 7, at="12:20:00", serves=7, by="watch", reason="the watch counts no requests"))
    world.history.add(event(UNPROVEN, 7, at="12:20:01", serves=7, requests=51, reason="at most 8 in a minute"))
    assert lines(run("model", "history", "iris"))[1:] == [
        "2026-11-21 12:20:00        7  unproven          7        51  ann",
        "    began at 12:00:00; at most 8 in a minute",
    ]
    (told,) = json.loads(run("model", "history", "iris", "--json").out)
    assert (told["kind"], told["at"], told["began"], told["requests"]) == (
        "unproven", "2026-11-21T12:20:00.000Z", "2026-11-21T12:00:00.000Z", 51,
    )  # fmt: skip
    assert [each["kind"] for each in told["events"]] == ["started", "released", "unproven"]


def test_every_column_has_room_on_a_screen_of_80(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    person = "arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Deployer_0123456789abcdef/ann.of.the.platform@example.com"
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6, by=person))
    world.history.add(
        event(TAKEN_BACK, 7, serves=6, by=person, alarm=ALARM, requests=120_000, reason="0.05 was above 0.01, " * 3)
    )
    theirs = event(UNASKED, 5, at="13:00:00", by="watch")
    world.history.add(replace(theirs, version=None, configuration="somebody-s", serves="somebody-s"))
    assert lines(run("model", "history", "iris")) == [
        "at (UTC)             version  what         serves  requests  by",
        "2026-11-21 13:00:00        -  unasked       other         -  watch",
        "    somebody-s serves",
        "2026-11-21 12:30:00        7  taken_back        6   120,000  ann.of.the.platfor…",
        "    by ann.of.the.platform@example.com; began at 12:00:00; dev-iris-guard-errors",
        "    (2 of 3 minutes above 0.01); 0.05 was above 0.01, 0.05 was above 0.01, 0.05",
        "    was above 0.01,",
    ]


def test_a_beginning_of_another_day_says_its_day(run: Run, world: World) -> None:
    world.history.add(event(STARTED, 7, at="23:55:00", serves=6))
    late = replace(event(RELEASED, 7, serves=7), at="2026-11-22T00:10:00.000Z", requests=2)
    world.history.add(late)
    assert lines(run("model", "history", "iris"))[2] == "    began at 2026-11-21 23:55:00"


def test_of_a_release_that_a_person_stopped_the_history_has_the_person_s_words(run: Run, world: World) -> None:
    stop = AlarmSeen(
        name=f"{ENDPOINT}-guard-stop",
        window="Maximum of StopRequested above 0 in 1 of 1 minutes",
        value_told="answers look wrong; by arn:aws:iam::111111111111:user/ann with mainstage model abort",
    )
    world.history.add(event(TAKEN_BACK, 7, serves=6, alarm=stop))
    assert lines(run("model", "history", "iris"))[2] == (
        "    dev-iris-guard-stop: answers look wrong; by arn:aws:iam::111111111111:user/ann with mainstage model abort"
    )
    world.write("stable: 7\nkeep: [6]\n")
    assert any(
        "(alarm dev-iris-guard-stop: answers look wrong; by arn:aws:iam::111111111111:user/ann with" in line
        for line in lines(run("model", "status", "iris"))
    )


def test_a_release_under_way_has_begun(run: Run, world: World) -> None:
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    assert lines(run("model", "history", "iris"))[1:] == [
        "2026-11-21 12:00:00        7  started           6         -  ann"
    ]


def test_only_the_newest_are_told(run: Run, world: World) -> None:
    world.history.add(event(STARTED, 6, at="11:00:00", serves=5))
    world.history.add(event(RELEASED, 6, at="11:30:00", serves=6))
    world.history.add(event(RETRY, 7, at="12:00:00", serves=6, reason="x"))
    newest = json.loads(run("model", "history", "iris", "--limit", "1", "--json").out)
    assert [(each["kind"], each["version"], each["began"]) for each in newest] == [("retry", 7, None)]
    assert lines(run("model", "history", "iris", "--limit", "1"))[-1] == "1 older: --limit 2"
    assert len(lines(run("model", "history", "iris", "--limit", "2"))) == 5


def test_an_object_that_is_no_event_is_one_error(run: Run, world: World) -> None:
    world.objects["releases/dev-iris/1.json"] = b"[]"
    told = error(run("model", "history", "iris"))
    assert told.startswith(f"s3://{BUCKET}/releases/dev-iris/1.json is no release event: ")


def test_the_history_of_no_model(run: Run) -> None:
    ended = run("model", "history", "isis")
    assert ended.code == 1
    assert "model 'isis' is not in the catalog" in ended.err
