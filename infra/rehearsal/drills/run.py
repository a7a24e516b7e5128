"""Plays drills in one world after another, and says what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from infra.rehearsal.drills import bad_canaries, capacity, good, interrupted, people
from infra.rehearsal.drills.drill import Drill, DrillFailed, Outcome
from infra.rehearsal.drills.stage import FEW, Stage
from infra.rehearsal.drills.world import World

DRILLS: tuple[Drill, ...] = (
    *good.DRILLS,
    *bad_canaries.DRILLS,
    *people.DRILLS,
    *capacity.DRILLS,
    *interrupted.DRILLS,
)


class NoSuchDrill(ValueError):
    """A name that no drill has; the message lists those there are."""


def named(names: Sequence[str]) -> list[Drill]:
    """The drills of these names, in the order of the list. Raises NoSuchDrill."""
    known = {drill.name: drill for drill in DRILLS}
    if unknown := [name for name in names if name not in known]:
        raise NoSuchDrill(f"no drill is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return [drill for drill in DRILLS if drill.name in names]


def models_of(drills: Iterable[Drill]) -> list[str]:
    """The names of the models that the drills use."""
    return [f"{drill.name}{end}" for drill in drills for end in ("", "-other")]


def play(drill: Drill, world: World, *, protected: bool = True) -> Outcome:
    """Plays one drill, with little traffic unless it asks for more. Not `protected`: without what keeps its promise.

    Its models are declared no more afterwards: the next drill's first `up` deletes them. ValueError for a drill that
    was played in this world before.
    """
    if drill.name in world.played:
        raise ValueError(f"{drill.name} was played in this world before: version 2 of its model has a history here")
    world.played.add(drill.name)
    stage = Stage(world, drill.name, requests=FEW)
    outcome = Outcome(
        drill.name,
        drill.title,
        drill.promise,
        drill.protection.what,
        kept=False,
        engine=world.engines.name,
        timeline=stage.timeline,
    )
    began = time.monotonic()
    if protected:
        _play(drill, stage, outcome)
    else:
        world.without = drill.name
        try:
            with drill.protection.removed():
                _play(drill, stage, outcome)
        finally:
            world.without = ""
    outcome.seconds = time.monotonic() - began
    return outcome


def _play(drill: Drill, stage: Stage, outcome: Outcome) -> None:
    world = stage.world
    try:
        drill.play(stage)
        outcome.kept = True
    except DrillFailed as failure:
        outcome.problem = str(failure)
    except Exception as failure:  # a promise that nobody has seen kept
        outcome.broke = True
        outcome.problem = f"{type(failure).__name__}: {failure}"
    finally:
        world.cloud.faults.clear()
        if not outcome.kept:
            stage.leave()
        world.forget(models_of([drill]))


def play_all(drills: Iterable[Drill], world: World, tell: Callable[[Outcome], None] = lambda _: None) -> list[Outcome]:
    outcomes = []
    for drill in drills:
        outcomes.append(play(drill, world))
        tell(outcomes[-1])
    return outcomes
