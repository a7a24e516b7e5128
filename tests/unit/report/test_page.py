"""The page of a rehearsal: it says what happened, loads nothing, and nothing of outside becomes markup."""

from __future__ import annotations

import re

from outline import Outline

from infra.rehearsal import page
from infra.rehearsal.report import LogCheck, Refusal, Report, ResourceLine, StackReport, VersionLatency
from infra.rehearsal.traffic import Sample, Traffic


def report() -> Report:
    traffic = Traffic("iris")
    traffic.samples = [Sample(number / 100, 5.0 + number, 200, "good", f"id-{number}", "1") for number in range(100)]
    traffic.samples += [Sample(1.0, 2.0, 413, "oversized", "id-413", "unknown")]
    traffic.samples += [Sample(1.1, 1.0, 403, "unsigned", "", "")]
    lines = [
        ResourceLine("stack", "", "pulumi:pulumi:Stack", "platform-dev"),
        ResourceLine("key", "stack", "mainstage:index:EncryptionKey", "key"),
        ResourceLine("k", "key", "aws:kms/key:Key", "key-key"),
    ]
    return Report(
        "dev",
        "111111111111",
        "eu-west-1",
        stacks=[StackReport("platform-dev", {"create": 3}, lines, 1.5)],
        traffic=[traffic],
        logs={"iris": LogCheck(101, 101, latencies=[VersionLatency("1", 100, 54.5, 99.0, 103.0)])},
        published_invocations={"iris": 100},
        seconds={"platform": 3.0, "predictions": 1.0},
        calls={"overlay": 10, "moto": 5},
    )


def test_every_element_is_closed_and_nothing_is_loaded() -> None:
    text = page.render(report())
    assert Outline(text).addresses == []
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?://", text)


def test_it_says_what_was_measured() -> None:
    text = page.render(report())
    assert "everything answered as it had to be" in text
    assert "<b>3</b>resources in 1 stack" in text
    assert "101 of 101</b>request ids of iris in the log, each once" in text
    assert re.search(r"<td>1</td><td>the clients</td><td class=\"n\">100</td><td class=\"n\">54\.0</td>", text)
    assert re.search(r"<td>the log, by SQL</td><td class=\"n\">100</td><td class=\"n\">54\.5</td>", text)
    assert "1 × 413" in text
    assert text.count('<circle class="dot') == 102
    assert text.count('<g class="box"') == 1
    assert "No AWS call was refused" in text


def test_a_lost_record_is_a_problem_and_stands_on_the_page() -> None:
    told = report()
    told.logs["iris"].missing = ["id-7"]
    assert told.problems == ["iris: 1 of 101 requests are not in the log: id-7, …"]
    text = page.render(told)
    assert "1 of 101 requests are not in the log: id-7" in text
    assert "everything answered" not in text.partition("</head>")[2]


def test_records_that_nobody_sent_and_rows_that_repeat_are_problems() -> None:
    told = report()
    told.logs["iris"].unknown = ["id-8", "id-9"]
    told.logs["iris"].repeated = 3
    assert told.problems == [
        "iris: the log holds 2 requests that no client made: id-8, …",
        "iris: 3 rows of the log repeat a request id",
    ]


def test_what_came_from_outside_is_text() -> None:
    told = report()
    told.not_served["evil"] = "<script>alert(1)</script>"
    told.refusals = [Refusal("s3:GetObject", "AccessDenied", "<img src=x onerror=alert(1)>", 2)]
    text = page.render(told)
    assert text.count("<script>") == 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_a_report_without_traffic_has_a_page_too() -> None:
    text = page.render(Report("dev", "111111111111", "eu-west-1"))
    assert "Rehearsal of dev" in text


def test_a_plot_is_thinned_and_keeps_the_slowest() -> None:
    traffic = Traffic("iris", [Sample(number / 1000, 10.0, 200, "good", "", "1") for number in range(20_000)])
    traffic.samples[777] = Sample(0.777, 9000.0, 200, "good", "", "1")
    plot = page.plot_of(traffic)
    assert len(plot.dots) <= page.MOST_POINTS + 100
    assert "200 after 9000.0 ms, good" in {dot.title for dot in plot.dots}
    assert all(0 <= dot.x <= page.PLOT_WIDTH and 0 <= dot.y <= page.PLOT_HEIGHT for dot in plot.dots)
