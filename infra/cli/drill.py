"""`mainstage drill …`: scripted incidents in the emulated cloud, each with the promise that it holds Mainstage to."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from infra.cli import common
from infra.cli.output import emit, fail
from infra.cli.rehearse import leave, showing
from infra.cli.screen import as_text
from infra.rehearsal.drills.drill import ENGINES, IN_PROCESS, PULUMI
from infra.rehearsal.progress import Progress

if TYPE_CHECKING:  # what drills need takes a second to import: only when one is played
    from infra.rehearsal.drills.drill import Outcome

app = typer.Typer(help="Play scripted incidents offline, and see that the platform keeps its promises.")

PAGE = "drills.html"
PLAYED_BY = (
    f"Each is played by both engines: --engine {IN_PROCESS}, the default, and --engine {PULUMI}, the real CLI. "
    "How long they take: docs/guides/drills.md"
)


class WrongDrills(ValueError):
    """A command line that names no drills, or an engine that there is not."""


@app.command("list")
def list_command(as_json: common.JsonOption = False) -> None:
    """List the drills, with the promise of each. Each engine plays all of them.

    --json prints a list. Of each drill: name, title, promise, protection,
    engines (what can play it).
    """
    from infra.rehearsal.drills.run import DRILLS

    value = [
        {
            "name": each.name,
            "title": each.title,
            "promise": each.promise,
            "protection": each.protection.what,
            "engines": list(ENGINES),
        }
        for each in DRILLS
    ]
    emit(value, as_json=as_json, render=_list_table)
    if not as_json:
        emit(PLAYED_BY, as_json=False, render=as_text)


@app.command("run")
def run_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which drills, as `mainstage drill list` names them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    engine: Annotated[str, typer.Option(help="What brings the stack up: in-process, or the real pulumi.")] = IN_PROCESS,
    as_json: common.JsonOption = False,
) -> None:
    """Play drills in an emulated AWS; ends 0 when every promise was kept, else 1. drills.html shows each as a timeline.

    --json prints {ok, engine, seconds, page, drills}. Of each drill:
    name, title, promise, protection, engine, ok, problem, seconds, minutes,
    marks.
    Of each minute: number, requests, failed, p99_ms, versions (answers by
    each), new_fleet (requests that reached the fleet being released),
    endpoint (its status), alarms (state of each guard).
    Of each mark: minute, text, kind (done, told or seen).
    """
    from infra.rehearsal import page
    from infra.rehearsal.drills.run import DRILLS, models_of, named, play
    from infra.rehearsal.drills.world import opened

    if bool(names) == every:
        raise WrongDrills("name the drills to play, or give --all; mainstage drill list shows them")
    if engine not in ENGINES:
        raise WrongDrills(f"--engine {engine!r}: allowed are {', '.join(ENGINES)}")
    chosen = list(DRILLS) if every else named(names or [])
    root, began, outcomes = common.root(), time.monotonic(), []
    with showing() as tell, contextlib.ExitStack() as until_the_end:
        tell(Progress("platform"))
        opening = opened(models_of(chosen), checkout=root, real_engine=engine == PULUMI)
        world = until_the_end.enter_context(opening)
        for number, drill in enumerate(chosen, 1):
            tell(Progress("drills", drill.title, number, len(chosen)))
            outcomes.append(play(drill, world))
            # After each: who breaks off what takes a quarter of an hour keeps what was seen.
            (root / PAGE).write_text(page.render_drills(outcomes), encoding="utf-8")
    kept = all(each.kept for each in outcomes)
    value = {
        "ok": kept,
        "engine": engine,
        "seconds": round(time.monotonic() - began, 1),
        "page": PAGE,
        "drills": [each.as_dict() for each in outcomes],
    }
    emit(value if as_json else outcomes, as_json=as_json, render=_outcome_table)
    for each in outcomes:
        if not each.kept:
            fail(f"{each.name}: {each.problem}")
    if not as_json:
        emit(f"Each as a timeline: {PAGE}", as_json=False, render=as_text)
    leave(0 if kept else 1)


def _list_table(drills: list[dict[str, str]]) -> Table:
    table = Table("drill", "promise", box=None, header_style="bold")
    for each in drills:
        table.add_row(as_text(each["name"]), as_text(each["promise"]))
    return table


def _outcome_table(outcomes: list[Outcome]) -> Table:
    table = Table("drill", "promise", "minutes", "requests", "failed", "seconds", box=None, header_style="bold")
    for each in outcomes:
        line = each.timeline
        table.add_row(
            as_text(each.name),
            as_text("kept", "green") if each.kept else as_text("broken", "red"),
            str(len(line.minutes)),
            f"{line.requests:,}",
            f"{line.failed:,}",
            f"{each.seconds:.1f}",
        )
    return table
