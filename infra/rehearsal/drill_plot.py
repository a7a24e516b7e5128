"""Where everything stands in the drawing of a drill: emulated minutes from left to right, one panel below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.rehearsal.drills.drill import Outcome
from infra.rehearsal.drills.timeline import Minute, Timeline

WIDTH = 860
SHARE_HEIGHT, ERRORS_HEIGHT, P99_HEIGHT, ALARM_HEIGHT = 64, 40, 40, 14
GAP = 22
LEAST_ERROR_PERCENT, LEAST_P99_MS = 5.0, 100.0
"""The scales' ends when less was seen: a flat line says that nothing happened."""


@dataclass(frozen=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    kind: str
    """Its class: v0, v1 … for versions in the order in which they answered, error, ring, blind."""
    title: str


@dataclass(frozen=True)
class Line:
    """A panel's base line, with its name at the left and its scale's end."""

    y: float
    name: str
    most: str = ""
    top: float = 0.0


@dataclass(frozen=True)
class Flag:
    x: float
    number: int


@dataclass(frozen=True)
class DrillPlot:
    """A drill's drawing."""

    outcome: Outcome
    rects: Sequence[Rect]
    p99: str
    """Points of the p99's line."""
    panels: Sequence[Line]
    ticks: Sequence[tuple[float, int]]
    flags: Sequence[Flag]
    versions: Sequence[str]
    height: float
    width: int = WIDTH

    @property
    def blind(self) -> bool:
        """Whether a guard is drawn that had no data for a while."""
        return any(each.kind == "blind" for each in self.rects)

    @property
    def summary(self) -> str:
        """In words what the drawing shows, for who cannot see it."""
        line = self.outcome.timeline
        rang = f"in ALARM at a minute's end: {', '.join(line.guards) or 'no guard'}"
        return f"{len(line.minutes)} emulated minutes, {line.requests:,} requests, {line.failed:,} failed; {rang}"


def plot_drill(outcome: Outcome) -> DrillPlot:
    """Draws the minutes of a drill."""
    line = outcome.timeline
    step = WIDTH / max(1, len(line.minutes))
    rects: list[Rect] = []
    panels: list[Line] = []
    y = 0.0
    rects += _shares(line, step, y)
    panels.append(Line(y + SHARE_HEIGHT, "traffic", "100 %", y))
    y += SHARE_HEIGHT + GAP
    worst = max([LEAST_ERROR_PERCENT, *(100 * each.error_ratio for each in line.minutes)])
    rects += _errors(line.minutes, step, y, worst)
    panels.append(Line(y + ERRORS_HEIGHT, "errors", f"{worst:.0f} %", y))
    y += ERRORS_HEIGHT + GAP
    slowest = max([LEAST_P99_MS, *(each.p99_ms for each in line.minutes)])
    panels.append(Line(y + P99_HEIGHT, "p99", f"{slowest:,.0f} ms", y))
    points = _points(line.minutes, step, y, slowest)
    y += P99_HEIGHT + GAP
    for guard in line.guards:
        rects += _states(line.minutes, guard, step, y)
        panels.append(Line(y + ALARM_HEIGHT, f"{guard} guard"))
        y += ALARM_HEIGHT + 8
    every = max(1, round(len(line.minutes) / 12))
    ticks = [(round(number * step, 1), number) for number in range(0, len(line.minutes) + 1, every)]
    flags = [
        Flag(round(min(mark.minute, len(line.minutes)) * step, 1), number) for number, mark in enumerate(line.marks, 1)
    ]
    return DrillPlot(outcome, rects, points, panels, ticks, _apart(flags), line.versions, round(y, 1))


def _shares(line: Timeline, step: float, top: float) -> list[Rect]:
    """Each minute's requests: every version's part on top of the other, the failed ones last."""
    rects = []
    for each in line.minutes:
        y = top + SHARE_HEIGHT
        parts = [
            (f"v{number % 4}", version, each.versions.get(version, 0)) for number, version in enumerate(line.versions)
        ]
        for kind, name, count in [*parts, ("error", "", each.failed)]:
            height = SHARE_HEIGHT * count / each.requests if each.requests else 0.0
            if not height:
                continue
            y -= height
            who = f"version {name}" if name else "failed"
            rects.append(_rect(each, step, y, height, kind, f"{who}: {count} of {each.requests} requests"))
    return rects


def _errors(minutes: Sequence[Minute], step: float, top: float, worst: float) -> list[Rect]:
    rects = []
    for each in minutes:
        percent = 100 * each.error_ratio
        height = ERRORS_HEIGHT * percent / worst
        if height:
            title = f"{each.failed} of {each.requests} failed ({percent:.1f} %)"
            rects.append(_rect(each, step, top + ERRORS_HEIGHT - height, height, "error", title))
    return rects


def _points(minutes: Sequence[Minute], step: float, top: float, slowest: float) -> str:
    return " ".join(
        f"{(each.number + 0.5) * step:.1f},{top + P99_HEIGHT * (1 - each.p99_ms / slowest):.1f}" for each in minutes
    )


def _states(minutes: Sequence[Minute], guard: str, step: float, top: float) -> list[Rect]:
    kinds = {"ALARM": "ring", "INSUFFICIENT_DATA": "blind"}
    return [
        _rect(each, step, top, ALARM_HEIGHT, kinds[state], f"{guard}: {state}")
        for each in minutes
        if (state := each.alarms.get(guard, "")) in kinds
    ]


def _rect(minute: Minute, step: float, y: float, height: float, kind: str, title: str) -> Rect:
    x, width = minute.number * step, max(step - 1, 1)
    return Rect(round(x, 1), round(y, 1), round(width, 1), round(height, 1), kind, f"minute {minute.number}: {title}")


def _apart(flags: Sequence[Flag]) -> list[Flag]:
    """Flags of one moment stand beside each other."""
    placed: list[Flag] = []
    for flag in flags:
        x = max(flag.x, placed[-1].x + 14 if placed else flag.x)
        placed.append(Flag(round(min(x, WIDTH), 1), flag.number))
    return placed
