"""The store by itself: statistics against plain arithmetic over the same values."""

from __future__ import annotations

import math
import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.metrics import Distribution, Metric, MetricStore, is_statistic, percentile_of

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HERE = {"region": "eu-west-1"}


class Clock:
    def __init__(self):
        self.time = START

    def now(self):
        return self.time


@pytest.fixture
def store():
    return MetricStore(Clock())


def distribution(values):
    made = Distribution()
    for value in values:
        made.add(value)
    return made


numbers = st.lists(st.floats(0, 1e9), min_size=1, max_size=60)


@given(numbers, st.floats(0, 100))
def test_a_percentile_lies_between_the_values_around_its_rank(values, percent):
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    found = distribution(values).percentile(percent)
    slack = 1e-9 * ordered[-1]
    assert ordered[math.floor(rank)] - slack <= found <= ordered[math.ceil(rank)] + slack


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=60))
def test_percentiles_are_those_of_the_standard_library(values):
    quantiles = statistics.quantiles(values, n=100, method="inclusive")
    made = distribution(values)
    for percent in (1, 25, 50, 90, 99):
        assert made.percentile(percent) == pytest.approx(quantiles[percent - 1], abs=1e-6)


@given(numbers, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_rise_from_minimum_to_maximum(values, one, other):
    made = distribution(values)
    low, high = sorted((one, other))
    # Interpolation of equal values may differ in the last bit.
    below, above = made.percentile(low), made.percentile(high)
    assert below is not None
    assert above is not None
    assert below <= above * (1 + 1e-12)
    assert made.percentile(0) == min(values)
    assert made.percentile(100) == max(values)


@given(numbers, numbers)
def test_merging_is_the_same_as_adding_all(some, others):
    merged, both = distribution(some), distribution([*some, *others])
    merged.merge(distribution(others))
    for name in ("SampleCount", "Minimum", "Maximum", "Sum", "Average", "p50", "p99.9"):
        assert merged.statistic(name) == pytest.approx(both.statistic(name))


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 5)), min_size=1, max_size=20), st.floats(0, 100))
def test_a_count_is_as_good_as_that_many_values(pairs, percent):
    counted, one_by_one = Distribution(), Distribution()
    for value, count in pairs:
        counted.add(value, count)
        for _ in range(count):
            one_by_one.add(value)
    assert counted.sample_count == one_by_one.sample_count
    assert counted.percentile(percent) == one_by_one.percentile(percent)


def test_no_values_no_statistics():
    assert Distribution().statistic("Sum") is None
    assert Distribution().statistic("p50") is None


def test_a_statistic_set_has_no_percentiles_unless_it_is_one_value():
    made = Distribution()
    made.add_set(count=3, total=9, minimum=1, maximum=5)
    assert made.statistic("Average") == 3
    assert made.statistic("Maximum") == 5
    assert made.statistic("p50") is None
    same = Distribution()
    same.add_set(count=3, total=6, minimum=2, maximum=2)
    assert same.statistic("p50") == 2


def test_negative_values_have_no_percentiles():
    assert distribution([-1, 1]).statistic("p50") is None
    assert distribution([-1, 1]).statistic("Sum") == 0


@pytest.mark.parametrize(("name", "percent"), [("p0", 0), ("p50", 50), ("p99.99", 99.99), ("p100", 100)])
def test_percentile_names(name, percent):
    assert percentile_of(name) == percent


@pytest.mark.parametrize("name", ["p101", "p", "P50", "p-1", "tm90", "median", "p50 "])
def test_names_that_are_no_statistics(name):
    assert not is_statistic(name)
    with pytest.raises(ValueError, match="no statistic that is carried"):
        percentile_of(name)


def test_periods_start_at_the_start_and_its_end_is_outside(store):
    for minute in range(5):
        store.put("N", "m", minute, at=START + timedelta(minutes=minute), **HERE)
    points = store.datapoints(
        Metric.of("N", "m"),
        start=START + timedelta(minutes=1),
        end=START + timedelta(minutes=4),
        period_seconds=120,
        **HERE,
    )
    assert [(point.timestamp, point.values.statistic("Sum")) for point in points] == [
        (START + timedelta(minutes=1), 3.0),
        (START + timedelta(minutes=3), 3.0),
    ]


def test_a_start_within_a_minute_is_rounded_down(store):
    store.put("N", "m", 1, at=START + timedelta(seconds=5), **HERE)
    points = store.datapoints(
        Metric.of("N", "m"),
        start=START + timedelta(seconds=30),
        end=START + timedelta(hours=1),
        period_seconds=60,
        **HERE,
    )
    assert [point.timestamp for point in points] == [START]


def test_high_resolution_values_keep_their_second(store):
    for second in (3, 13, 14):
        store.put("N", "m", second, at=START + timedelta(seconds=second), resolution_seconds=1, **HERE)
    points = store.datapoints(
        Metric.of("N", "m"), start=START, end=START + timedelta(minutes=1), period_seconds=10, **HERE
    )
    assert [(point.timestamp.second, point.values.statistic("Sum")) for point in points] == [(0, 3.0), (10, 27.0)]


def test_units_stay_apart_unless_they_are_merged(store):
    store.put("N", "m", 1, unit="Seconds", **HERE)
    store.put("N", "m", 2, unit="Count", **HERE)

    def sums(**options):
        points = store.datapoints(
            Metric.of("N", "m"), start=START, end=START + timedelta(minutes=1), period_seconds=60, **HERE, **options
        )
        return [(point.unit, point.values.statistic("Sum")) for point in points]

    assert sums() == [("Count", 2.0), ("Seconds", 1.0)]
    assert sums(unit="Seconds") == [("Seconds", 1.0)]
    assert sums(merge_units=True) == [("", 3.0)]


def test_dimensions_and_regions_make_other_metrics(store):
    store.put("N", "m", 1, dimensions={"a": "1"}, **HERE)
    store.put("N", "m", 2, dimensions={"b": "2", "a": "1"}, **HERE)
    store.put("N", "m", 4, dimensions={"a": "1"}, region="us-east-1")
    assert store.statistic("N", "m", "Sum", dimensions={"a": "1"}, **HERE) == 1
    assert store.statistic("N", "m", "Sum", dimensions={"a": "1", "b": "2"}, **HERE) == 2
    assert store.statistic("N", "m", "Sum", **HERE) is None
    found = list(store.metrics(dimensions=[("a", None)], **HERE))
    assert [dict(metric.dimensions) for metric in found] == [{"a": "1"}, {"a": "1", "b": "2"}]
    assert len(list(store.metrics(dimensions=[("b", "2")], **HERE))) == 1
    assert list(store.metrics(dimensions=[("b", "3")], **HERE)) == []


def test_a_reset_forgets_all(store):
    store.put("N", "m", 1, **HERE)
    store.reset()
    assert list(store.metrics(**HERE)) == []


def test_the_order_of_dimensions_does_not_count(store):
    store.put("N", "m", 1, dimensions={"a": "1", "b": "2"}, **HERE)
    store.put("N", "m", 2, dimensions={"b": "2", "a": "1"}, **HERE)
    assert store.statistic("N", "m", "Sum", dimensions={"b": "2", "a": "1"}, **HERE) == 3
    store.reset()
    store.put("N", "m", 4, dimensions={"b": "2", "a": "1"}, **HERE)
    assert store.statistic("N", "m", "Sum", dimensions={"a": "1", "b": "2"}, **HERE) == 4


def test_counts_that_are_no_whole_numbers_weigh_as_they_are():
    made = Distribution()
    made.add(1.0, 0.5)
    made.add(2.0, 1.5)
    assert (made.sample_count, made.percentile(0), made.percentile(100)) == (2.0, 1.0, 2.0)


def test_what_is_read_does_not_change_with_later_values(store):
    store.put("N", "m", 1, **HERE)
    span = {"start": START, "end": START + timedelta(minutes=1), "period_seconds": 60}
    (before,) = store.datapoints(Metric.of("N", "m"), **span, **HERE)
    store.put("N", "m", 2, **HERE)
    assert before.values.statistic("Sum") == 1


def test_thousands_of_points_a_second_are_cheap(store):
    """A put took 2 µs when this was written; ten times that is a mistake."""
    started = time.thread_time()
    for value in range(20_000):
        store.put("N", "m", value / 7, dimensions={"EndpointName": "iris", "ModelVersion": "1"}, at=START, **HERE)
    assert time.thread_time() - started < 1
    assert store.statistic(
        "N", "m", "p50", dimensions={"EndpointName": "iris", "ModelVersion": "1"}, **HERE
    ) == pytest.approx(19_999 / 14)
