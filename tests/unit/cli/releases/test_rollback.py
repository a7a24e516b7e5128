"""`mainstage model rollback`: what it changes, says and refuses."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json

from cli import Run, error, said
from release_world import World, taken_back

SECOND = "  2. release it: mainstage up --env dev\n"


def test_a_rollback_asks_for_the_version_before(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6, 5]\n")
    world.serve(7)
    told = said(run("model", "rollback", "iris"))
    assert "stable: 6\nkeep: [7, 5]\n" in world.file.read_text()
    assert told.endswith("Next:\n  1. commit stacks/models/iris.yaml\n" + SECOND)
    assert world.calls == []  # the live endpoint is the next up's
    # Not a second step back while 7 still serves.
    again = said(run("model", "rollback", "iris"))
    assert "asks for version 6 already; nothing was changed\n" in again
    world.serve(6)
    said(run("model", "rollback", "iris"))
    assert "stable: 5\nkeep: [6, 7]\n" in world.file.read_text()


def test_after_a_release_was_taken_back_a_rollback_asks_for_what_serves(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [5, 6]\n")
    world.serve(6)
    world.history.add(taken_back(7, serves=6))
    told = said(run("model", "rollback", "iris"))
    assert "stable: 6\nkeep: [5, 7]\n" in world.file.read_text()  # 7 is refused by up: it stands in nobody's way
    assert told.endswith(
        "Next:\n  1. commit stacks/models/iris.yaml\n  2. then nothing is left to release: mainstage up --env dev\n"
    )


def test_a_rollback_during_a_release_says_to_take_it_back(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(6)
    world.bake(7)
    assert json.loads(run("model", "rollback", "iris", "--json").out)["next"] == [
        "take back what is being released: mainstage model abort iris",
        "commit stacks/models/iris.yaml",
        "release it: mainstage up --env dev",
    ]


def test_a_rollback_to_nowhere_is_refused(run: Run, world: World) -> None:
    world.serve(6)
    assert error(run("model", "rollback", "iris")) == (
        "nothing is kept beside version 6, so there is nothing to go back to; a registered version can be released as any "
        "other, with its canary"
    )
    world.write("stable: 6\nkeep: [5]\n")
    assert error(run("model", "rollback", "iris", "--to", "4")) == (
        "version 4 is not kept (kept are: 5), so it stands nowhere any more; a registered version can be promoted like a new one"
    )
    world.history.add(taken_back(5, serves=6))
    assert error(run("model", "rollback", "iris")) == (
        "of those kept (5) every older one was taken back itself; say which one: --to VERSION"
    )
    assert error(run("model", "rollback", "iris", "--to", "5")).startswith("iris: version 5 was taken back on")


def test_the_next_rollback_goes_past_what_was_taken_back(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6, 5]\n")
    world.serve(6)
    world.history.add(taken_back(7, serves=6))
    said(run("model", "rollback", "iris"))
    assert "stable: 6\nkeep: [5, 7]\n" in world.file.read_text()
    # 6 serves, is asked for, and is not well either.
    said(run("model", "rollback", "iris"))
    assert "stable: 5\nkeep: [6, 7]\n" in world.file.read_text()


def test_what_serves_is_kept_first_even_where_up_would_refuse_it(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6, 5]\n")
    world.serve(7)  # somebody moved the endpoint back to it in the console
    world.history.add(taken_back(7, serves=6))
    said(run("model", "rollback", "iris", "--to", "6"))
    assert "stable: 6\nkeep: [7, 5]\n" in world.file.read_text()


def test_after_the_way_back_was_taken_back_a_rollback_asks_for_what_serves(run: Run, world: World) -> None:
    world.write("stable: 6\nkeep: [7]\n")
    world.serve(7)
    world.history.add(taken_back(6, serves=7))
    said(run("model", "rollback", "iris"))
    assert "stable: 7\nkeep: [6]\n" in world.file.read_text()


def test_what_serves_can_always_be_asked_for(run: Run, world: World) -> None:
    """up sends nothing then, so it has nothing to refuse."""
    world.write("stable: 6\nkeep: [5]\n")
    world.history.add(taken_back(7, serves=6))
    world.serve(7)  # somebody moved it there in the console
    told = said(run("model", "rollback", "iris"))
    assert "stable: 7\nkeep: [6, 5]\n" in world.file.read_text()
    assert told.endswith("  2. then nothing is left to release: mainstage up --env dev\n")
