"""`mainstage model retry`: what was taken back is allowed again."""

from __future__ import annotations

from dataclasses import replace

from cli import TARGET, Run, error, said
from mainstage_runtime.release_history import blocked
from release_world import OPERATOR, World, configuration, taken_back


def test_a_retry_allows_what_was_taken_back_once(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(6)
    world.history.add(taken_back(7, serves=6))
    told = said(run("model", "retry", "iris", "--reason", "the feature store was down"))
    assert told == (
        f"iris: version 7 may be released again (by {OPERATOR}: the feature store was down)\n"
        "Next: release what the catalog asks for: mainstage up --env dev\n"
    )
    event = world.written()[-1]
    assert (event.kind, event.version, event.configuration, event.by) == ("retry", 7, configuration(7), OPERATOR)
    again = said(run("model", "retry", "iris", "--reason", "once more"))
    assert again.startswith(f"iris: version 7 was allowed already (by {OPERATOR}: the feature store was down)\n")
    assert len(world.written()) == 2


def test_a_retry_counts_although_the_clock_that_told_the_end_was_ahead(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(6)
    world.history.add(replace(taken_back(7, serves=6), at="2099-01-01T00:00:00.000Z"))
    said(run("model", "retry", "iris", "--reason", "the feature store was down"))
    assert blocked(world.written(), 7) is None
    assert world.written()[-1].at == "2099-01-01T00:00:00.001Z"


def test_a_retry_needs_a_reason_and_something_to_allow(run: Run, world: World) -> None:
    assert run("model", "retry", "iris").code == 2
    assert error(run("model", "retry", "iris", "--reason", " ")) == (
        "--reason is empty: say why it will go well this time; it stands in the history"
    )
    world.history.add(taken_back(7, serves=6))
    assert error(run("model", "retry", "iris", "--reason", "x")) == (
        f"iris: version 6 was not taken back in {TARGET}, so there is nothing to allow; versions that were: 7; "
        "say which one: --version 7"
    )
    world.write("awaiting: true\n")
    assert error(run("model", "retry", "iris", "--reason", "x")) == (
        "iris awaits its first version: there is nothing to allow (or say --version)"
    )


def test_a_retry_lets_up_release_over_what_nobody_asked_for(run: Run, world: World) -> None:
    world.history.add(taken_back(7, serves=6))
    world.serve(5)  # somebody moved it in the console
    told = said(run("model", "retry", "iris", "--reason", "5 was a test"))
    assert told.startswith(f"iris: version 6 may be released again (by {OPERATOR}: 5 was a test)\n")
    _, unasked, retry = world.written()
    assert (unasked.kind, unasked.configuration, unasked.version) == ("unasked", configuration(5), 5)
    assert (retry.kind, retry.version) == ("retry", 6)
    assert said(run("model", "retry", "iris", "--reason", "again")).startswith("iris: version 6 was allowed already")
    assert len(world.written()) == 3
