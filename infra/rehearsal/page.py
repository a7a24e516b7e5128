"""`rehearsal.html`: one self-contained page that shows what a rehearsal did. It loads nothing from anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from infra.rehearsal.drill_plot import plot_drill
from infra.rehearsal.drills.drill import Outcome
from infra.rehearsal.graph import Graph, graph_of
from infra.rehearsal.report import REAL, Report, StackReport
from infra.rehearsal.traffic import Sample, Traffic

TEMPLATE, DRILLS_TEMPLATE = "rehearsal.html.j2", "drills_page.html.j2"
PLOT_WIDTH, PLOT_HEIGHT = 860, 260
NODE_WIDTH, NODE_HEIGHT, COLUMN_GAP, ROW_GAP = 250, 52, 90, 14
MOST_POINTS = 4000
"""Points of a latency plot; more traffic is thinned evenly, the slowest hundred always drawn."""

WHY = {
    "good": "a prediction is made",
    "bad": "refused: names field, value and rule",
    "unicode": "several scripts and control characters",
    "oversized": "refused: above the body limit",
    "unsigned": "refused by the gateway: nobody signed it",
}


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    status: int
    title: str


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Plot:
    """A latency plot: dots over time, latency on a logarithmic scale."""

    dots: Sequence[Dot]
    across: Sequence[Tick]
    up: Sequence[Tick]
    width: int = PLOT_WIDTH
    height: int = PLOT_HEIGHT


@dataclass(frozen=True)
class Bar:
    """A phase of the rehearsal in the timeline, in percent of the whole."""

    name: str
    left: float
    width: float
    seconds: float


@dataclass(frozen=True)
class Box:
    """A component in the drawing of the graph."""

    x: float
    y: float
    name: str
    kind: str
    contents: str
    count: int


@dataclass(frozen=True)
class Drawing:
    stack: str
    boxes: Sequence[Box]
    lines: Sequence[str]
    """Paths from the component that takes a value to the one that gives it."""
    ends: Sequence[tuple[int, int]]
    """The boxes of each line."""
    width: float
    height: float
    box_width: int = NODE_WIDTH
    box_height: int = NODE_HEIGHT


def render(report: Report) -> str:
    """The page as text. Everything that comes from outside is escaped."""
    return _template(TEMPLATE).render(
        report=report,
        drills=[plot_drill(each) for each in report.drills],
        drawings=[drawing_of(each) for each in report.stacks],
        plots={each.model: plot_of(each) for each in report.traffic},
        bars=bars_of(report),
        total_seconds=sum(report.seconds.values()),
        resource_count=sum(len(each.resources) for each in report.stacks),
        call_count=sum(report.calls.values()),
        why=WHY,
        real=REAL,
        emulated=report.emulated,
    )


def render_drills(outcomes: Sequence[Outcome]) -> str:
    """A page of drills alone."""
    return _template(DRILLS_TEMPLATE).render(
        plots=[plot_drill(each) for each in outcomes],
        engine=next((each.engine for each in outcomes), ""),
        kept=sum(each.kept for each in outcomes),
        seconds=sum(each.seconds for each in outcomes),
    )


def _template(name: str) -> jinja2.Template:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def bars_of(report: Report) -> list[Bar]:
    total = sum(report.seconds.values()) or 1.0
    bars, at = [], 0.0
    for name, seconds in report.seconds.items():
        bars.append(Bar(name, round(at / total * 100, 3), round(seconds / total * 100, 3), seconds))
        at += seconds
    return bars


def plot_of(traffic: Traffic) -> Plot:
    """Where each reply stands: time from left to right, latency from 1 ms at the bottom, each line ten times more."""
    shown = _thinned(traffic.samples)
    end = max((each.at_seconds for each in shown), default=1.0) or 1.0
    decades = max(2, math.ceil(math.log10(max((each.latency_ms for each in shown), default=100.0))))
    dots = [
        Dot(
            round(each.at_seconds / end * PLOT_WIDTH, 1),
            round(PLOT_HEIGHT * (1 - min(max(math.log10(max(each.latency_ms, 1.0)), 0) / decades, 1)), 1),
            each.status,
            f"{each.status} after {each.latency_ms:.1f} ms, {each.kind}",
        )
        for each in shown
    ]
    seconds = [end * part / 4 for part in range(5)]
    across = [Tick(round(at / end * PLOT_WIDTH, 1), f"{at:.1f} s") for at in seconds]
    up = [
        Tick(round(PLOT_HEIGHT * (1 - each / decades), 1), f"{10**each} ms" if each < 3 else f"{10 ** (each - 3)} s")
        for each in range(decades + 1)
    ]
    return Plot(dots, across, up)


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    if len(samples) <= MOST_POINTS:
        return list(samples)
    slowest = sorted(samples, key=lambda each: each.latency_ms)[-100:]
    step = math.ceil(len(samples) / (MOST_POINTS - len(slowest)))
    return [*samples[::step], *slowest]


def drawing_of(stack: StackReport) -> Drawing:
    graph: Graph = graph_of(stack.resources)
    boxes = [
        Box(
            node.column * (NODE_WIDTH + COLUMN_GAP),
            node.row * (NODE_HEIGHT + ROW_GAP),
            node.name,
            node.kind,
            ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in sorted(node.resources.items())),
            node.count,
        )
        for node in graph.nodes
    ]
    lines = []
    for taker, giver in graph.edges:
        start_x, start_y = boxes[giver].x + NODE_WIDTH, boxes[giver].y + NODE_HEIGHT / 2
        end_x, end_y = boxes[taker].x, boxes[taker].y + NODE_HEIGHT / 2
        bend = max(30.0, abs(end_x - start_x) / 2)
        lines.append(
            f"M{start_x:g},{start_y:g} C{start_x + bend:g},{start_y:g} {end_x - bend:g},{end_y:g} {end_x:g},{end_y:g}"
        )
    return Drawing(
        stack.stack,
        boxes,
        lines,
        graph.edges,
        graph.columns * (NODE_WIDTH + COLUMN_GAP) - COLUMN_GAP,
        graph.rows * (NODE_HEIGHT + ROW_GAP) - ROW_GAP,
    )
