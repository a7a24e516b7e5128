"""Metric math against the examples of AWS's guide and against plain Python."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.metric_math import Expressions, MathError, NotCarriedMath, Series, ids_in

START = 1_700_000_040 // 60 * 60
"""The beginning of some minute."""


def at(position):
    return START + 60 * position


def series(values, period=60):
    points = {START + period * place: float(value) for place, value in enumerate(values) if value is not None}
    return Series(points, period, metric=True)


def request(expression, length=5, **metrics):
    made = {name: series(values) if isinstance(values, list) else values for name, values in metrics.items()}

    def grid(period):
        return range(START, START + 60 * length, period)

    return Expressions({"e": expression}, made, grid=grid, period=60)


def result(expression, length=5, **metrics):
    """The values of the only series of a result, None where a point is missing."""
    (found,) = request(expression, length, **metrics).series("e")
    assert set(found.points) <= {at(place) for place in range(length)}
    return [found.points.get(at(place)) for place in range(length)]


# The examples of the guide: "-" there is None here.
GUIDE = [
    ("m1 < m2", {"m1": [30, 20, 0, 0], "m2": [20, None, 20, None]}, [0, 0, 1, 0]),
    ("m1 >= 30", {"m1": [30, 20, 0, 0]}, [1, 0, 0, 0]),
    ("m1 > 15 AND m2 > 15", {"m1": [30, 20, 0, 0], "m2": [20, None, 20, None]}, [1, 0, 0, 0]),
    (
        "IF(m1, m2, m3)",
        {"m1": [1, 1, 0, 0, None], "m2": [30, None, 0, 0, 30], "m3": [0, 0, 20, None, 20]},
        [30, 0, 20, None, None],
    ),
    ("IF(m1, 5, m3)", {"m1": [1, 1, 0, 0, None], "m3": [0, 0, 20, None, 20]}, [5, 5, 20, None, None]),
    ("IF(m1, m2, 5)", {"m1": [1, 1, 0, 0, None], "m2": [30, None, 0, 0, 30]}, [30, 0, 5, 5, None]),
]


@pytest.mark.parametrize(("expression", "metrics", "expected"), GUIDE)
def test_the_examples_of_the_guide(expression, metrics, expected):
    assert result(expression, len(expected), **metrics) == expected


A, B = [1, None, 3, 4, None], [10, 20, None, 0, None]
FLAT: dict[str, Any] = {"a": A, "b": B}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", [11, 20, 3, 4, None]),
        ("a - b", [-9, -20, 3, 4, None]),
        ("a / b", [0.1, 0, None, None, None]),
        ("b / a", [10, None, 0, 0, None]),
        ("-a ^ 2", [-1, None, -9, -16, None]),
        ("2 ^ -a", [0.5, None, 0.125, 0.0625, None]),
        ("2 * a + 1", [3, None, 7, 9, None]),
        ("2 * (a + 1)", [4, None, 8, 10, None]),
        ("10 - a - 1", [8, None, 6, 5, None]),
        ("a == 3 || a == 1", [1, None, 1, 0, None]),
        ("a > 1 && a < 4 OR a == 1", [1, None, 1, 0, None]),
        ("a != 3", [1, None, 0, 1, None]),
        ("FILL(a, 0)", [1, 0, 3, 4, 0]),
        ("FILL(a, REPEAT)", [1, 1, 3, 4, 4]),
        ("FILL(b, LINEAR)", [10, 20, 10, 0, None]),
        ("FILL(a, b)", [1, 20, 3, 4, None]),
        ("FILL(a, MIN(a))", [1, 1, 3, 4, 1]),
        ("FILL(a, 0) - FILL(b, 0)", [-9, -20, 3, 4, 0]),
        ("SUM([a, b])", [11, 20, 3, 4, None]),
        ("AVG([a, b])", [5.5, 10, 1.5, 2, None]),
        ("MIN(METRICS())", [1, 20, 3, 0, None]),
        ("MAX([a, b])", [10, 20, 3, 4, None]),
        ("SUM(100 / [a, b])", [110, 5, pytest.approx(100 / 3), 25, None]),
        ("SUM(-[a, b])", [-11, -20, -3, -4, None]),
        ("SUM(METRICS('a'))", [1, None, 3, 4, None]),
        ("DATAPOINT_COUNT([a, b])", [2, 1, 1, 2, None]),
        ("a / PERIOD(a)", [1 / 60, None, 0.05, 4 / 60, None]),
        ("a * METRIC_COUNT(METRICS())", [2, None, 6, 8, None]),
        ("RUNNING_SUM(a)", [1, None, 4, 8, None]),
        ("DIFF(a)", [None, None, 2, 1, None]),
        ("DIFF_TIME(a)", [None, None, 120, 60, None]),
        ("RATE(a)", [None, None, 2 / 120, 1 / 60, None]),
        ("ABS(a - 3)", [2, None, 0, 1, None]),
        ("CEIL(a / 2)", [1, None, 2, 2, None]),
        ("FLOOR(a / 2)", [0, None, 1, 2, None]),
        ("LOG(b)", [pytest.approx(math.log(10)), pytest.approx(math.log(20)), None, None, None]),
        ("LOG10(b)", [1, pytest.approx(math.log10(20)), None, None, None]),
        ("TIME_SERIES(7)", [7, 7, 7, 7, 7]),
        ("TIME_SERIES(MAX(a))", [4, 4, 4, 4, 4]),
        ("IF(SUM(a) > 7, a, b)", [1, None, 3, 4, None]),
        ("IF(SUM(a) > 8, a, b)", [10, 20, None, 0, None]),
        ("IF(SUM(a) > 8, a)", [None, None, None, None, None]),
        ("IF(a > 1, a)", [None, None, 3, 4, None]),
        ("FIRST(SORT(METRICS(), SUM, DESC))", [10, 20, None, 0, None]),
        ("LAST(SORT(METRICS(), SUM, DESC))", [1, None, 3, 4, None]),
        ("SUM(SORT(METRICS(), MIN, ASC, 1))", [10, 20, None, 0, None]),
        ("SUM(SLICE(METRICS(), 1))", [10, 20, None, 0, None]),
        ("SUM(SLICE(METRICS(), 0, 1))", [1, None, 3, 4, None]),
        ("SUM(REMOVE_EMPTY(METRICS()))", [11, 20, 3, 4, None]),
        ("EPOCH(a) - EPOCH(a)", [0, 0, 0, 0, 0]),
        ("MINUTE(a)", [(START // 60 + place) % 60 for place in range(5)]),
        ("a - AVG(a)", [pytest.approx(1 - 8 / 3), None, pytest.approx(1 / 3), pytest.approx(4 / 3), None]),
    ],
)
def test_functions_and_operators(expression, expected):
    assert result(expression, **FLAT) == expected


def test_the_guards_error_ratio():
    failed = "FILL(model_errors, 0) - FILL(client_errors, 0)"
    ratio = f"IF(FILL(requests, 0) >= 20, ({failed}) / requests, 0)"
    metrics: dict[str, Any] = {
        "requests": [100, 10, None, 40, None],
        "model_errors": [5, 5, None, None, None],
        "client_errors": [1, None, None, None, None],
    }
    assert result(ratio, **metrics) == [0.04, 0, 0, 0, 0]
    assert ids_in(ratio) == set(metrics)


def test_a_metric_without_any_point_is_filled_with_a_number_only():
    assert result("FILL(a, 0)", a=[]) == [0, 0, 0, 0, 0]
    assert result("FILL(a, REPEAT)", a=[]) == [None] * 5
    assert result("FILL(a, LINEAR)", a=[]) == [None] * 5
    assert result("a + 1", a=[]) == [None] * 5


def test_an_expression_of_an_expression_is_computed_once():
    made = Expressions(
        {"e": "half + half", "half": "a / 2"},
        {"a": series([4])},
        grid=lambda period: range(START, at(1), 60),
        period=60,
    )
    (found,) = made.series("e")
    assert dict(found.points) == {START: 4}


def test_an_array_is_several_series():
    found = request("[a, b] * 2", **FLAT).series("e")
    assert [list(each.points.values()) for each in found] == [[2, 6, 8], [20, 40, 0]]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("a +", "ends too early"),
        ("a b", "Unexpected 'b'"),
        ("a # b", "Unexpected '#'"),
        ("(a", "ends too early"),
        ("", "ends too early"),
        ("nothing + 1", "The id nothing is not defined"),
        ("NOPE(a)", "The function NOPE does not exist"),
        ("FILL(a)", "FILL takes 2 arguments, 1 given"),
        ("FILL(a, MAX)", "FILL takes a value, REPEAT or LINEAR, not MAX"),
        ("SUM(a)", "must be a time series, this one is a scalar"),
        ("1 + 1", "must be a time series, this one is a scalar"),
        ("PERIOD(a + 1) * a", "PERIOD takes the id of a metric"),
        ("e + a", "refer to each other in a circle"),
        ("[a, b] + [a, b]", "does not take an array"),
        ("[a, b] > 1", "does not take an array"),
        ("IF([a, b], 1)", "IF takes no array"),
        ("SORT(METRICS(), P99, ASC)", "SORT sorts by AVG, MIN, MAX or SUM"),
        ("(" * 100 + "a" + ")" * 100, "nested deeper than"),
        ("AND(a)", "The function AND does not exist"),
    ],
)
def test_expressions_that_are_refused(expression, says):
    with pytest.raises(MathError) as caught:
        request(expression, **FLAT).series("e")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("SEARCH('{App} m', 'Sum', 60)", "the function SEARCH"),
        ("ANOMALY_DETECTION_BAND(a, 2)", "the function ANOMALY_DETECTION_BAND"),
        ("SELECT AVG(m) FROM App", "Metrics Insights queries"),
        ("a + slow", "expressions over periods of 60 s and 300 s at once"),
    ],
)
def test_what_is_not_carried_is_named(expression, what):
    with pytest.raises(NotCarriedMath) as caught:
        request(expression, **FLAT, slow=series([1], period=300)).series("e")
    assert str(caught.value) == what


# -- laws ----------------------------------------------------------------------------------------------------------

sparse = st.lists(st.none() | st.integers(-1000, 1000), min_size=5, max_size=5)
SIGNS = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: None if other == 0 else one / other,
    "<": lambda one, other: float(one < other),
    ">=": lambda one, other: float(one >= other),
    "==": lambda one, other: float(one == other),
    "AND": lambda one, other: float(one != 0 and other != 0),
    "OR": lambda one, other: float(one != 0 or other != 0),
}


@given(sparse, sparse, st.sampled_from(sorted(SIGNS)))
def test_two_series_point_by_point_with_what_is_missing_as_zero(one, other, sign):
    expected = [
        None if left is None and right is None else SIGNS[sign](left or 0, right or 0)
        for left, right in zip(one, other, strict=True)
    ]
    assert result(f"a {sign} b", a=one, b=other) == expected


@given(sparse, st.integers(-9, 9), st.sampled_from(sorted(SIGNS)))
def test_a_series_and_a_scalar_only_where_the_series_has_points(values, number, sign):
    expected = [None if value is None else SIGNS[sign](value, number) for value in values]
    assert result(f"a {sign} ({number})", a=values) == expected


@given(sparse, sparse, sparse)
def test_aggregates_of_an_array(one, other, third):
    columns = [[value for value in column if value is not None] for column in zip(one, other, third, strict=True)]
    metrics: dict[str, Any] = {"a": one, "b": other, "c": third}
    for name, compute in {
        "SUM": sum,
        "AVG": lambda found: sum(found) / 3,
        "MIN": min,
        "MAX": max,
        "STDDEV": statistics.pstdev,
        "DATAPOINT_COUNT": len,
    }.items():
        expected = [pytest.approx(compute(found)) if found else None for found in columns]
        assert result(f"{name}(METRICS())", **metrics) == expected


@given(sparse)
def test_aggregates_of_one_series_are_scalars(values):
    known = [value for value in values if value is not None]
    for name, compute in {"SUM": sum, "AVG": statistics.fmean, "MIN": min, "MAX": max}.items():
        expected = [pytest.approx(compute(known))] * 5 if known else [None] * 5
        assert result(f"TIME_SERIES({name}(a))", a=values) == expected


@given(sparse)
def test_filling_keeps_every_point_and_leaves_no_gap(values):
    zeroes = result("FILL(a, 0)", a=values)
    assert zeroes == [0 if value is None else value for value in values]
    repeated, before = result("FILL(a, REPEAT)", a=values), None
    for value, found in zip(values, repeated, strict=True):
        before = before if value is None else value
        assert found == before


@given(sparse)
def test_a_running_sum_undoes_a_difference(values):
    known = [value for value in values if value is not None]
    differences = [value for value in result("RUNNING_SUM(DIFF(a))", a=values) if value is not None]
    assert differences == [value - known[0] for value in known[1:]]
