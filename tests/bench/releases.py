"""How soon a bad canary is taken back, in emulated seconds beside its guard's window, and what clients met meanwhile.

The cloud's clock passes a minute at a time and guards are looked at each minute, so that all times are whole minutes:
they say what the alarms and CloudWatch's delay make of it, and nothing of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.minute import SECONDS
from infra.rehearsal.drills.stage import Stage
from infra.rehearsal.drills.timeline import Minute
from infra.rehearsal.drills.world import opened

Figures = dict[str, float]


@dataclass(frozen=True)
class Canary:
    """A bad version, and the guard that has to notice it."""

    name: str
    behaviour: Behaviour
    guard: str
    requests: int
    """A minute's traffic. CloudWatch looks at a p95 from 200 samples on, and the canary gets half."""
    slo: dict[str, float]


CANARIES = (
    Canary("fails-5", Behaviour(fails_every=20), "errors", 60, {"p95_ms": 3000, "p99_ms": 4000, "error_ratio": 0.01}),
    Canary("fails-all", Behaviour(fails_every=1), "errors", 60, {"p95_ms": 3000, "p99_ms": 4000, "error_ratio": 0.01}),
    Canary(
        "slow-p95",
        Behaviour(slow_every=5, slow_seconds=1.0),
        "p95",
        300,
        {"p95_ms": 600, "p99_ms": 4000, "error_ratio": 0.01},
    ),
)


def releases(figures: Figures) -> None:
    """Releases each bad canary over a version that works, with half of the traffic for five minutes."""
    with opened([canary.name for canary in CANARIES]) as world:
        for canary in CANARIES:
            stage = Stage(world, canary.name)
            stage.requests = canary.requests
            stage.serve(1, slo=canary.slo)
            stage.minutes(1)
            old = stage.serving
            stage.register(2, canary.behaviour)
            stage.ask_for(2, keep=(1,))
            went = stage.up()
            stage.minutes(2)  # CloudWatch posts a minute late
            stage.count_the_new_fleet()
            if went.ok or stage.serving != old or f"{stage.endpoint}-guard-{canary.guard}" not in went.told:
                raise RuntimeError(f"{canary.name} was not taken back by its guard {canary.guard}:\n{went.told}")
            figures.update(_figures(canary, stage))
            world.forget([canary.name])


def _figures(canary: Canary, stage: Stage) -> Iterator[tuple[str, float]]:
    minutes = stage.timeline.minutes
    released = [each for each in minutes if each.new_fleet]
    first = next(each.number for each in released if _bad(each, canary))
    back = next(each.number for each in minutes if each.endpoint == "RollingBack")
    # A minute's traffic comes at its beginning, the guards are looked at when it ends.
    yield f"release {canary.name}: first bad answer to rollback, emulated s", (back - first + 1) * SECONDS
    yield f"release {canary.name}: guard's own window (baseline), emulated s", _window_seconds(stage, canary.guard)
    requests = sum(each.requests for each in released)
    yield (
        f"release {canary.name}: clients' requests that failed meanwhile, %",
        (100 * sum(each.failed for each in released) / requests),
    )
    reached = sum(each.new_fleet for each in released)
    yield f"release {canary.name}: the canary's share of the traffic (baseline), %", 100 * reached / requests


def _bad(minute: Minute, canary: Canary) -> bool:
    return minute.failed > 0 if canary.guard == "errors" else minute.p99_ms > canary.slo["p95_ms"]


def _window_seconds(stage: Stage, guard: str) -> float:
    """The fewest seconds of bad minutes that ring the guard: M of its N periods."""
    [alarm] = stage.client("cloudwatch").describe_alarms(AlarmNames=[f"{stage.endpoint}-guard-{guard}"])["MetricAlarms"]
    return alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) * _period_seconds(alarm)


def _period_seconds(alarm: Mapping[str, Any]) -> int:
    if "Period" in alarm:
        return alarm["Period"]
    return max(each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each)


def show(figures: Figures) -> None:
    for canary in CANARIES:
        stem = f"release {canary.name}: "
        seconds, window = (
            figures[stem + "first bad answer to rollback, emulated s"],
            figures[stem + "guard's own window (baseline), emulated s"],
        )
        failed, share = (
            figures[stem + "clients' requests that failed meanwhile, %"],
            figures[stem + "the canary's share of the traffic (baseline), %"],
        )
        print(
            f"{canary.name}: taken back {seconds:.0f} s after the first bad answer, its guard needs {window:.0f} s and "
            f"CloudWatch's delay; {failed:.1f} % of the clients' requests failed, the canary had {share:.0f} %"
        )
