"""The drawing of a drill says what its minutes hold, in the page of a rehearsal and in a page of drills alone."""

from __future__ import annotations

import re

from outline import Outline

from infra.rehearsal import page
from infra.rehearsal.drill_plot import ERRORS_HEIGHT, SHARE_HEIGHT, WIDTH, plot_drill
from infra.rehearsal.drills.drill import Outcome
from infra.rehearsal.drills.timeline import Mark, Minute, Timeline
from infra.rehearsal.report import Report


def outcome(**changed: object) -> Outcome:
    minutes = [
        Minute(0, 60, 0, 20.0, {"1": 60}, 0, "InService", {"errors": "INSUFFICIENT_DATA", "p99": "OK"}),
        Minute(1, 60, 6, 40.0, {"1": 30, "2": 24}, 30, "Updating", {"errors": "OK", "p99": "OK"}),
        Minute(2, 60, 0, 400.0, {"1": 60}, 0, "RollingBack", {"errors": "ALARM", "p99": "OK"}),
        Minute(3, 0, 0, 0.0, {}, 0, "InService", {"errors": "OK", "p99": "OK"}),
    ]
    marks = [Mark(1, "catalog: version 2"), Mark(1, "up <began>"), Mark(3, "up refused", "told")]
    drill = Outcome("erring", "A canary that fails", "It goes back.", "the errors guard", True)
    drill.timeline = Timeline(minutes, marks)
    for name, value in changed.items():
        setattr(drill, name, value)
    return drill


def test_each_minute_stands_in_its_place_with_its_parts():
    plot = plot_drill(outcome())
    step = WIDTH / 4
    second = [each for each in plot.rects if each.title.startswith("minute 1:")]
    assert {each.x for each in second} == {step}
    shares = {each.kind: each.height for each in second[:3]}
    assert shares == {"v0": SHARE_HEIGHT / 2, "v1": round(SHARE_HEIGHT * 0.4, 1), "error": round(SHARE_HEIGHT * 0.1, 1)}
    assert [each.title for each in second] == [
        "minute 1: version 1: 30 of 60 requests",
        "minute 1: version 2: 24 of 60 requests",
        "minute 1: failed: 6 of 60 requests",
        "minute 1: 6 of 60 failed (10.0 %)",
    ]
    assert second[3].height == ERRORS_HEIGHT
    assert not [each for each in plot.rects if each.title.startswith("minute 3:")]


def test_only_guards_that_rang_have_a_row_and_flags_of_one_moment_stand_apart():
    plot = plot_drill(outcome())
    assert [panel.name for panel in plot.panels] == ["traffic", "errors", "p99", "errors guard"]
    rows = [(each.kind, each.title) for each in plot.rects if each.kind in ("ring", "blind")]
    assert rows == [("blind", "minute 0: errors: INSUFFICIENT_DATA"), ("ring", "minute 2: errors: ALARM")]
    assert [(flag.x, flag.number) for flag in plot.flags] == [(215.0, 1), (229.0, 2), (645.0, 3)]
    assert plot.summary == "4 emulated minutes, 180 requests, 6 failed; in ALARM at a minute's end: errors"


def test_a_drill_without_a_minute_is_drawn_too():
    plot = plot_drill(outcome(timeline=Timeline()))
    assert (plot.rects, plot.p99, plot.summary) == (
        [],
        "",
        "0 emulated minutes, 0 requests, 0 failed; in ALARM at a minute's end: no guard",
    )


def test_the_page_of_drills_loads_nothing_and_shows_promise_and_problem():
    text = page.render_drills([outcome(), outcome(name="other", kept=False, problem="version 2 <b>serves</b>")])
    assert Outline(text).addresses == ["#drill-erring", "#drill-other"]
    assert not re.search(r"url\(|@import|https?://", text)
    assert "1 of 2 promises kept" in text
    assert "brought up by the rehearsal's own engine;" in Outline(text).words
    assert "brought up by the real pulumi;" in Outline(page.render_drills([outcome(engine="pulumi")])).words
    assert text.count("It goes back.") == 2
    assert "version 2 &lt;b&gt;serves&lt;/b&gt;" in text
    assert "up &lt;began&gt;" in text


def test_a_rehearsal_s_page_has_them_and_a_broken_promise_is_a_problem():
    told = Report("dev", "111111111111", "eu-west-1", drills=[outcome(kept=False, problem="it serves")])
    text = page.render(told)
    assert Outline(text).addresses == []
    assert '<h3 id="drill-erring">A canary that fails' in text
    assert told.problems == ["drill erring: it serves"]
    assert '<h3 id="drill-' not in page.render(Report("dev", "111111111111", "eu-west-1"))
