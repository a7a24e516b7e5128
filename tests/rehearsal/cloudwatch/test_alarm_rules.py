"""How datapoints make a state: the tables of AWS's guide, and the words of the reasons."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.alarm_rules import ALARM, INSUFFICIENT_DATA, MISSING, OK, Rule, fewest_samples, judge
from infra.rehearsal.cloud.alarm_words import Period, number, reason, reason_data

KEEPS = None
VALUES = {"0": 0.0, "X": 9.0, "-": None}

# "Configuring how CloudWatch alarms treat missing data": datapoints, how many are filled, and the state with missing,
# ignore, breaching, notBreaching.
THREE_OF_THREE = [
    ("0 - X - X", 0, OK, OK, OK, OK),
    ("0 - - - -", 2, OK, OK, OK, OK),
    ("- - - - -", 3, INSUFFICIENT_DATA, KEEPS, ALARM, OK),
    ("0 X X - X", 0, ALARM, ALARM, ALARM, ALARM),
    ("- - X - -", 2, ALARM, KEEPS, ALARM, OK),
]
TWO_OF_THREE = [
    ("0 - X - X", 0, ALARM, ALARM, ALARM, ALARM),
    ("0 0 X 0 X", 0, ALARM, ALARM, ALARM, ALARM),
    ("0 - X - -", 1, OK, OK, ALARM, OK),
    ("- - - - 0", 2, OK, OK, ALARM, OK),
    ("- - - X -", 2, ALARM, KEEPS, ALARM, OK),
]


def rule(*, periods=3, to_alarm=3, missing="missing", operator="GreaterThanThreshold", threshold=5.0):
    return Rule(operator, threshold, periods, to_alarm, missing)


def values(text):
    return [VALUES[sign] for sign in text.split()]


@pytest.mark.parametrize(
    ("to_alarm", "row"), [(3, row) for row in THREE_OF_THREE] + [(2, row) for row in TWO_OF_THREE], ids=str
)
def test_the_tables_of_the_guide(to_alarm, row):
    datapoints, filled, *states = row
    verdicts = [judge(rule(to_alarm=to_alarm, missing=missing), values(datapoints)) for missing in MISSING]
    assert [verdict.state for verdict in verdicts] == states
    # Of the second table's last row the guide fills two, as of every row with one datapoint.
    assert {verdict.filled for verdict in verdicts} == {filled}


@pytest.mark.parametrize("datapoints", ["- - - - X", "- - - X -"])
def test_no_premature_alarm(datapoints):
    """ "Avoiding premature transitions to alarm state"."""
    assert judge(rule(), values(datapoints)).state is KEEPS


def test_the_range_is_five_for_three():
    assert rule(periods=3).range == 5
    assert rule(periods=1).range == 3


@pytest.mark.parametrize(
    ("operator", "states"),
    [
        ("GreaterThanThreshold", [OK, OK, ALARM]),
        ("GreaterThanOrEqualToThreshold", [OK, ALARM, ALARM]),
        ("LessThanThreshold", [ALARM, OK, OK]),
        ("LessThanOrEqualToThreshold", [ALARM, ALARM, OK]),
    ],
)
def test_comparisons_at_the_threshold(operator, states):
    found = [judge(rule(periods=1, to_alarm=1, operator=operator), [None, None, value]) for value in (4.0, 5.0, 6.0)]
    assert [verdict.state for verdict in found] == states


@given(st.lists(st.sampled_from([0.0, 9.0]), min_size=7, max_size=7), st.integers(1, 5), st.sampled_from(MISSING))
def test_without_gaps_the_newest_periods_count_and_missing_data_does_not_matter(points, to_alarm, missing):
    expected = ALARM if points[-5:].count(9.0) >= to_alarm else OK
    assert judge(rule(periods=5, to_alarm=to_alarm, missing=missing), points).state == expected


@given(
    st.lists(st.sampled_from([0.0, 9.0, None]), min_size=5, max_size=5),
    st.integers(1, 3),
    st.sampled_from(["breaching", "notBreaching"]),
)
def test_breaching_and_not_breaching_are_values_that_stand_in(points, to_alarm, missing):
    real = [value for value in points if value is not None][-3:]
    stand_ins = [9.0 if missing == "breaching" else 0.0] * (3 - len(real))
    expected = ALARM if (real + stand_ins).count(9.0) >= to_alarm else OK
    assert judge(rule(to_alarm=to_alarm, missing=missing), points).state == expected


@pytest.mark.parametrize(
    ("percent", "samples"), [(50, 20), (95, 200), (99, 1000), (99.9, 10_000), (10, 100), (0, 0), (100, 0)]
)
def test_how_many_samples_a_percentile_needs(percent, samples):
    assert fewest_samples(percent) == samples


# -- words ---------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 21, 14, 20, tzinfo=UTC)


def told(asked, text, *, counted=True, zero=0.0, breach=9.0):
    points = [{"0": zero, "X": breach, "-": None}[sign] for sign in text.split()]
    first = NOON - timedelta(minutes=len(points) - 1)
    periods = [
        Period(first + timedelta(minutes=place), value, None if value is None else 1.0)
        for place, value in enumerate(points)
    ]
    verdict = judge(asked, points)
    data = json.loads(reason_data(asked, verdict, periods, {"Statistic": "Sum"}, 60, NOON + timedelta(seconds=75)))
    return reason(asked, verdict, periods, counted=counted), data


@pytest.mark.parametrize(
    ("asked", "text", "counted", "expected"),
    [
        (
            rule(periods=1, to_alarm=1, operator="GreaterThanOrEqualToThreshold", threshold=1.0),
            "- - X",
            True,
            "Threshold Crossed: 1 out of the last 1 datapoints [9.0 (21/11/26 14:20:00)] was greater than or equal to "
            "the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition).",
        ),
        (
            rule(periods=2, to_alarm=2),
            "0 0 0 0",
            True,
            "Threshold Crossed: 2 out of the last 2 datapoints [0.0 (21/11/26 14:20:00), 0.0 (21/11/26 14:19:00)] were "
            "not greater than the threshold (5.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (
            rule(to_alarm=2),
            "0 0 X 0 X",
            True,
            "Threshold Crossed: 2 out of the last 3 datapoints [9.0 (21/11/26 14:20:00), 9.0 (21/11/26 14:18:00)] were "
            "greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            rule(periods=1, to_alarm=1),
            "- - 0",
            False,
            "Threshold Crossed: 1 datapoint [0.0 (21/11/26 14:20:00)] was not greater than the threshold (5.0).",
        ),
        (
            rule(missing="notBreaching"),
            "- - - - -",
            True,
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
            "[NonBreaching].",
        ),
        (
            rule(periods=1, to_alarm=1, missing="breaching"),
            "- - -",
            True,
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
            "[Breaching].",
        ),
        (
            rule(periods=2, to_alarm=2, missing="breaching"),
            "- - 0 -",
            True,
            "Threshold Crossed: 1 datapoint [0.0 (21/11/26 14:19:00)] was not greater than the threshold (5.0) and 1 "
            "missing datapoint was treated as [Breaching].",
        ),
        (
            rule(to_alarm=2, missing="breaching"),
            "- - - - 0",
            True,
            "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as "
            "[Breaching].",
        ),
        (rule(), "- - - - -", True, "Insufficient Data: 3 datapoints were unknown."),
        (rule(periods=1, to_alarm=1), "- - -", True, "Insufficient Data: 1 datapoint was unknown."),
    ],
)
def test_reasons(asked, text, counted, expected):
    assert told(asked, text, counted=counted)[0] == expected


def test_reason_data_shows_what_was_evaluated_newest_first():
    _, data = told(rule(missing="breaching"), "- - X 0 -")
    assert data == {
        "version": "1.0",
        "queryDate": "2026-11-21T14:21:15.000+0000",
        "startDate": "2026-11-21T14:18:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [9.0, 0.0],
        "threshold": 5.0,
        "evaluatedDatapoints": [
            {"timestamp": "2026-11-21T14:20:00.000+0000"},
            {"timestamp": "2026-11-21T14:19:00.000+0000", "sampleCount": 1.0, "value": 0.0},
            {"timestamp": "2026-11-21T14:18:00.000+0000", "sampleCount": 1.0, "value": 9.0},
        ],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5.0"),
        (0.002, "0.002"),
        (34.5458984375, "34.5458984375"),
        (250000.0, "250000.0"),
        (1e7, "1.0E7"),
        (-12345678.9, "-1.23456789E7"),
        (0.0001, "1.0E-4"),
    ],
)
def test_numbers_as_java_writes_them(value, text):
    assert number(value) == text
