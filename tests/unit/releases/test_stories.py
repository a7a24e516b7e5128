"""One story a release, whoever wrote it down and in whichever order."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import pytest
from release_world import ALARM, event

from infra.releases.stories import Story, last_verdict, stories

ANN = "arn:aws:iam::111111111111:user/ann"


def kinds(found: list[Story]) -> list[list[str]]:
    return [[each.kind for each in story.events] for story in found]


def test_what_the_hook_and_the_watch_say_of_one_end_is_one_story() -> None:
    began = event("started", 7, at="12:00:00", serves=6)
    watch = event("released", 7, at="12:20:01", serves=7, by="watch", reason="the watch counts no requests")
    hook = event("unproven", 7, at="12:20:02", serves=7, reason="8 requests in a minute", requests=51)
    for ends in itertools.permutations([watch, hook]):
        (story,) = stories([began, *ends])
        assert story.began is began
        assert story.told == event("unproven", 7, at="12:20:01", serves=7, reason="8 requests in a minute", requests=51)
        assert story.as_json() == {
            **asdict(story.told),
            "began": "2026-11-21T12:00:00.000Z",
            "events": [asdict(each) for each in (began, *ends)],
        }


def test_the_watch_s_alarm_and_the_hook_s_count_are_both_told() -> None:
    began = event("started", 7, at="12:00:00", serves=6)
    hook = event("taken_back", 7, at="12:11:00", serves=6, reason="an alarm rang", requests=120)
    watch = event("taken_back", 7, at="12:10:00", serves=6, by="watch", alarm=ALARM)
    (story,) = stories([began, watch, hook])
    assert story.told == event(
        "taken_back", 7, at="12:10:00", serves=6, reason="an alarm rang", requests=120, alarm=ALARM
    )


def test_a_release_whose_up_was_killed_is_that_of_who_began_it() -> None:
    began = event("started", 7, at="12:00:00", serves=6)
    watch = event("taken_back", 7, at="12:10:00", serves=6, by="watch", alarm=ALARM, reason="errors")
    (story,) = stories([began, watch])
    assert story.told == event("taken_back", 7, at="12:10:00", serves=6, by=ANN, alarm=ALARM, reason="errors")


def test_what_was_unknown_is_told_once_it_is_known() -> None:
    began, unseen = event("started", 7, at="12:00:00"), event("unknown", 7, at="12:30:00", reason="throttled")
    (story,) = stories([began, unseen])
    assert (story.told.kind, story.told.at[11:19], story.told.reason) == ("unknown", "12:30:00", "throttled")
    watch = event("released", 7, at="12:10:00", by="watch", reason="it came into service")
    for ends in itertools.permutations([unseen, watch]):
        (story,) = stories([began, *ends])
        assert (story.told.kind, story.told.at[11:19], story.told.reason) == (
            "released", "12:10:00", "it came into service",
        )  # fmt: skip


def test_a_release_that_nobody_has_told_the_end_of_has_begun() -> None:
    began = event("started", 7, at="12:00:00", serves=6)
    (story,) = stories([began])
    assert (story.verdict, story.told) == (None, began)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        # The same version once more.
        (
            ["started 7", "taken_back 7", "retry 7", "started 7", "released 7"],
            [["started", "taken_back"], ["retry"], ["started", "released"]],
        ),
        # An endpoint's first release has no beginning, and may be made anew.
        (["released 7", "released 7"], [["released"], ["released"]]),
        # What came into service and broke later.
        (["started 7", "released 7", "failed 7 watch"], [["started", "released"], ["failed"]]),
        # Moved away from, and told late.
        (
            ["started 7", "unproven 7", "rolled_back 7", "released 7 watch"],
            [["started", "unproven", "released"], ["rolled_back"]],
        ),
        # Somebody else's configuration is no release of ours.
        (["started 7", "released 7", "taken_back 5 watch"], [["started", "released"], ["taken_back"]]),
        # What nobody asked for is found by the hook and by the watch.
        (["released 6", "unasked 5", "unasked 5 watch", "unasked 4"], [["released"], ["unasked"] * 2, ["unasked"]]),
        (["unasked 5", "retry 6", "unasked 5"], [["unasked"], ["retry"], ["unasked"]]),
        ([], []),
    ],
)
def test_what_is_another_thing_is_another_story(events: list[str], told: list[list[str]]) -> None:
    given = []
    for minute, words in enumerate(events):
        kind, version, *watch = words.split()
        given.append(event(kind, int(version), at=f"12:{minute:02}:00", by=watch[0] if watch else ANN))
    found = stories(given)
    assert kinds(found) == told
    assert sorted((each for story in found for each in story.events), key=lambda each: each.at) == given


def test_the_last_verdict() -> None:
    assert last_verdict([event("started", 7)]) is None
    told = [event("released", 6), event("started", 7), event("taken_back", 7), event("retry", 7), event("unasked", 5)]
    assert last_verdict(told) == told[2]
