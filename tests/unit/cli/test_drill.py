"""`mainstage drill`: which drills there are, which engine plays them, and how a run of them ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli import Ended, runner

from infra.cli import common, drill
from infra.rehearsal.drills import run, world
from infra.rehearsal.drills.drill import Drill, Outcome


@pytest.fixture
def mainstage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    monkeypatch.setattr(common, "root", lambda: tmp_path)
    monkeypatch.setattr(drill, "leave", sys.exit)  # its own ends the process
    return runner(monkeypatch, capsys, {})


def test_the_list_says_which_engines_play_each(mainstage: Callable[..., Ended]) -> None:
    listed = json.loads(mainstage("drill", "list", "--json").out)
    assert [each["name"] for each in listed] == [each.name for each in run.DRILLS]
    assert {tuple(each["engines"]) for each in listed} == {("in-process", "pulumi")}
    assert mainstage("drill", "list").out.rstrip().endswith(drill.PLAYED_BY)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the drills to play, or give --all"),
        (("erring-canary", "--all"), "name the drills to play, or give --all"),
        (("erring-canary", "--engine", "other"), "--engine 'other': allowed are in-process, pulumi"),
        (("nothing",), "no drill is called nothing; there are: good-canary, "),
    ],
)
def test_a_command_line_that_plays_nothing_says_why(
    mainstage: Callable[..., Ended], words: Sequence[str], said: str, tmp_path: Path
) -> None:
    ended = mainstage("drill", "run", *words)
    assert ended.code == 1
    assert said in ended.err
    assert not (tmp_path / drill.PAGE).exists()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was asked for. quota's promise is broken, every other one is kept."""
    asked: dict[str, Any] = {}

    @contextmanager
    def opened(models: Sequence[str], **options: Any) -> Iterator[None]:
        asked["real"] = options["real_engine"]
        yield

    def play(each: Drill, _: object) -> Outcome:
        if each.name == "sold-out" and "break off" in asked:
            raise KeyboardInterrupt
        broken = each.name == "quota"
        return Outcome(each.name, each.title, each.promise, "", not broken, "pulumi", "it changed" if broken else "")

    monkeypatch.setattr(world, "opened", opened)
    monkeypatch.setattr(run, "play", play)
    return asked


@pytest.mark.parametrize(("engine", "real"), [("in-process", False), ("pulumi", True)])
def test_a_run_ends_0_when_every_promise_was_kept(
    mainstage: Callable[..., Ended], played: dict[str, Any], engine: str, real: bool
) -> None:
    ended = mainstage("drill", "run", "abort", "--engine", engine, "--json")
    assert (ended.code, played["real"]) == (0, real)
    told = json.loads(ended.out)
    assert (told["ok"], told["engine"], [each["ok"] for each in told["drills"]]) == (True, engine, [True])


def test_a_broken_promise_ends_with_1_and_the_others_are_played(
    mainstage: Callable[..., Ended], played: dict[str, Any], tmp_path: Path
) -> None:
    ended = mainstage("drill", "run", "--all")
    assert ended.code == 1
    assert "quota: it changed" in ended.err
    assert f"{len(run.DRILLS) - 1} of {len(run.DRILLS)} promises kept" in (tmp_path / drill.PAGE).read_text()


def test_a_run_that_is_broken_off_leaves_the_page_of_what_was_played(
    mainstage: Callable[..., Ended], played: dict[str, Any], tmp_path: Path
) -> None:
    played["break off"] = True
    assert mainstage("drill", "run", "abort", "quota", "sold-out").code != 0
    assert "1 of 2 promises kept" in (tmp_path / drill.PAGE).read_text()
