"""Queries of GetMetricData and of metric math alarms: metrics read from the store, expressions computed over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.rehearsal.cloud.metric_math import Expressions, NotCarriedMath, Series
from infra.rehearsal.cloud.metrics import Metric, MetricStore, aligned

DEFAULT_PERIOD = 60
"""Of an expression with neither a period nor a metric. Unconfirmed."""


@dataclass(frozen=True)
class Reading:
    """A metric over a span: its values, and how many samples are behind each."""

    series: Series
    samples: Mapping[int, float]


def metric_of(asked: Mapping[str, Any]) -> Metric:
    """The metric that a structure with Namespace, MetricName and Dimensions names."""
    dimensions = {entry["Name"]: entry["Value"] for entry in asked.get("Dimensions") or ()}
    return Metric.of(asked["Namespace"], asked["MetricName"], dimensions)


def read(
    store: MetricStore,
    metric: Metric,
    *,
    stat: str,
    period: int,
    unit: str | None,
    region: str,
    start: datetime,
    end: datetime,
    name: str = "",
    posted_by: datetime | None = None,
) -> Reading:
    """One statistic of one metric over the span; periods that have no value of it are missing points.

    posted_by: see `MetricStore.datapoints`.
    """
    points, samples = {}, {}
    found = store.datapoints(
        metric,
        region=region,
        start=start,
        end=end,
        period_seconds=period,
        unit=unit,
        merge_units=True,
        posted_by=posted_by,
    )
    for point in found:
        value = point.values.statistic(stat)
        if value is not None:
            second = int(point.timestamp.timestamp())
            points[second], samples[second] = value, point.values.sample_count
    return Reading(Series(points, period, name, metric=True), samples)


def expressions_of(
    store: MetricStore,
    queries: Sequence[Mapping[str, Any]],
    *,
    region: str,
    start: datetime,
    end: datetime,
    posted_by: datetime | None = None,
) -> Expressions:
    """The queries' metrics read, their expressions parsed. MathError and NotCarriedMath as metric math has them."""
    metrics = {}
    for query in queries:
        if query.get("AccountId"):
            raise NotCarriedMath("metrics of other accounts")
        wanted = query.get("MetricStat")
        if wanted:
            metrics[query["Id"]] = read(
                store,
                metric_of(wanted["Metric"]),
                stat=wanted["Stat"],
                period=wanted["Period"],
                unit=wanted.get("Unit"),
                region=region,
                start=start,
                end=end,
                name=query["Id"],
                posted_by=posted_by,
            ).series
    texts = {query["Id"]: query["Expression"] for query in queries if query.get("Expression")}
    return Expressions(
        texts,
        metrics,
        grid=lambda period: range(aligned(start, period), int(end.timestamp()), period),
        period=period_of(queries),
    )


def period_of(queries: Sequence[Mapping[str, Any]]) -> int:
    """The period of the queries' results: what an expression asks for, else the shortest of the metrics."""
    asked = [query["Period"] for query in queries if query.get("Expression") and query.get("Period")]
    metrics = [query["MetricStat"]["Period"] for query in queries if query.get("MetricStat")]
    return min(asked or metrics or [DEFAULT_PERIOD])
