"""CloudWatch metrics: what is put comes back exact, with any percentile and with metric math."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.metric_math import MathError, NotCarriedMath, Series
from infra.rehearsal.cloud.metric_queries import expressions_of, metric_of
from infra.rehearsal.cloud.metrics import Metric, is_statistic
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page

MOST_DATAPOINTS = 1440
"""Of one GetMetricStatistics answer (API reference)."""
_LARGEST = 2.0**360
"""Values beyond plus or minus 2^360 are refused (API reference, MetricDatum)."""
_OLDEST = timedelta(weeks=2)
_NEWEST = timedelta(hours=2)


@handler("cloudwatch", "PutMetricData")
def put_metric_data(call: Call) -> dict[str, Any]:
    """Stores values under the caller's namespace. `AWS/` namespaces belong to the services themselves."""
    namespace = call.params["Namespace"]
    if namespace.startswith("AWS/"):
        raise AwsError("InvalidParameterValue", f"The value {namespace} for parameter Namespace is invalid.")
    data = [*call.params.get("MetricData", ())]
    for group in call.params.get("EntityMetricData", ()):
        data += group.get("MetricData", ())
    if not data:
        raise AwsError("MissingParameter", "The parameter MetricData is required.")
    for position, datum in enumerate(data, start=1):
        _check_datum(call, datum, f"MetricData.member.{position}")
    for datum in data:
        _store(call, namespace, datum)
    return {}


def _check_datum(call: Call, datum: Mapping[str, Any], where: str) -> None:
    forms = [form for form in ("Value", "Values", "StatisticValues") if datum.get(form) is not None]
    if len(forms) != 1:
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameters {where}.Value, {where}.Values and {where}.StatisticValues are mutually exclusive and one "
            "of them must be specified.",
        )
    numbers = [datum["Value"]] if "Value" in forms else [*datum.get("Values", ())]
    numbers += datum.get("StatisticValues", {}).values()
    if any(math.isnan(number) or abs(number) > _LARGEST for number in numbers):
        raise AwsError("InvalidParameterValue", f"The value for parameter {where}.Value is invalid.")
    counts = datum.get("Counts")
    if counts is not None and len(counts) != len(datum.get("Values", ())):
        raise AwsError(
            "InvalidParameterValue", f"The parameters {where}.Values and {where}.Counts must be of the same size."
        )
    at = datum.get("Timestamp")
    if at is not None and not call.cloud.clock.now() - _OLDEST <= _aware(at) <= call.cloud.clock.now() + _NEWEST:
        raise AwsError(
            "InvalidParameterValue",
            f"The parameter {where}.Timestamp must specify a time within the past two weeks and no more than two hours "
            "in the future.",
        )


def _store(call: Call, namespace: str, datum: Mapping[str, Any]) -> None:
    at = datum.get("Timestamp")
    where: dict[str, Any] = {
        "region": call.region,
        "dimensions": {entry["Name"]: entry["Value"] for entry in datum.get("Dimensions", ())},
        "unit": datum.get("Unit") or "None",
        "at": None if at is None else _aware(at),
        "resolution_seconds": 1 if datum.get("StorageResolution") == 1 else 60,
    }
    store = call.cloud.metrics
    if datum.get("StatisticValues") is not None:
        values = datum["StatisticValues"]
        store.put_set(
            namespace,
            datum["MetricName"],
            count=values["SampleCount"],
            total=values["Sum"],
            minimum=values["Minimum"],
            maximum=values["Maximum"],
            **where,
        )
        return
    values = [datum["Value"]] if datum.get("Value") is not None else datum["Values"]
    for value, count in zip(values, datum.get("Counts") or [1.0] * len(values), strict=True):
        store.put(namespace, datum["MetricName"], value, count=count, **where)


@handler("cloudwatch", "GetMetricStatistics")
def get_metric_statistics(call: Call) -> dict[str, Any]:
    """Datapoints of one metric, in no promised order on AWS; here in order of time."""
    asked = call.params
    simple, extended = asked.get("Statistics") or [], asked.get("ExtendedStatistics") or []
    if not simple and not extended:
        raise AwsError("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics.")
    for statistic in extended:
        _check_statistic(statistic, "ExtendedStatistics")
    start, end, period = _aware(asked["StartTime"]), _aware(asked["EndTime"]), asked["Period"]
    _check_span(start, end, period)
    points = (end - start).total_seconds() / period
    if points > MOST_DATAPOINTS:
        raise AwsError(
            "InvalidParameterCombination",
            f"You have requested up to {math.ceil(points):,} datapoints, which exceeds the limit of "
            f"{MOST_DATAPOINTS:,}. You may reduce the datapoints requested by increasing Period, or decreasing the "
            "time range.",
        )
    found = call.cloud.metrics.datapoints(
        metric_of(asked), region=call.region, start=start, end=end, period_seconds=period, unit=asked.get("Unit")
    )
    datapoints = []
    for point in found:
        answer: dict[str, Any] = {"Timestamp": point.timestamp, "Unit": point.unit}
        answer |= {statistic: point.values.statistic(statistic) for statistic in simple}
        percentiles = {statistic: point.values.statistic(statistic) for statistic in extended}
        known = {statistic: value for statistic, value in percentiles.items() if value is not None}
        datapoints.append({**answer, **({"ExtendedStatistics": known} if known else {})})
    return {"Label": asked["MetricName"], "Datapoints": datapoints}


@handler("cloudwatch", "GetMetricData")
def get_metric_data(call: Call) -> dict[str, Any]:
    """Time series of metrics and of metric math over them. An array of series gives a result for each."""
    asked = call.params
    start, end = _aware(asked["StartTime"]), _aware(asked["EndTime"])
    queries = asked["MetricDataQueries"]
    _check_queries(queries, start, end)
    results: list[dict[str, Any]] = []
    current = ""
    try:
        expressions = expressions_of(call.cloud.metrics, queries, region=call.region, start=start, end=end)
        for query in queries:
            current = query["Id"]
            if query.get("ReturnData", True):
                results += [_result(call, query, series) for series in expressions.series(current)]
    except NotCarriedMath as refusal:
        raise AwsError("NotCarried", f"The emulated CloudWatch does not carry {refusal}.", 501) from refusal
    except MathError as refusal:
        # The beginning is AWS's, the reasons are not confirmed.
        raise AwsError("ValidationError", f"Error in expression '{current}': {refusal}") from refusal
    return {"MetricDataResults": results, "Messages": []}


def _check_queries(queries: Sequence[Mapping[str, Any]], start: datetime, end: datetime) -> None:
    seen: set[str] = set()
    for query in queries:
        name, wanted = query["Id"], query.get("MetricStat")
        if name in seen:
            raise AwsError("ValidationError", f"The value {name} for parameter MetricDataQueries.Id is duplicated.")
        seen.add(name)
        if bool(wanted) == bool(query.get("Expression")):
            raise AwsError(
                "ValidationError", f"MetricDataQueries '{name}' must have exactly one of MetricStat and Expression."
            )
        if wanted:
            _check_statistic(wanted["Stat"], "MetricStat.Stat")
            _check_span(start, end, wanted["Period"])


def _result(call: Call, query: Mapping[str, Any], series: Series) -> dict[str, Any]:
    metric = query.get("MetricStat", {}).get("Metric", {})
    oldest_first = call.params.get("ScanBy") == "TimestampAscending"
    points = sorted(series.points.items(), reverse=not oldest_first)
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or metric.get("MetricName") or query["Id"],
        "Timestamps": [datetime.fromtimestamp(second, UTC) for second, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


@handler("cloudwatch", "ListMetrics")
def list_metrics(call: Call) -> dict[str, Any]:
    """The metrics that have values, 500 a page (API reference)."""
    asked = call.params
    since = call.cloud.clock.now() - timedelta(hours=3) if asked.get("RecentlyActive") == "PT3H" else None
    found = call.cloud.metrics.metrics(
        region=call.region,
        namespace=asked.get("Namespace"),
        name=asked.get("MetricName"),
        dimensions=[(entry["Name"], entry.get("Value")) for entry in asked.get("Dimensions", ())],
        since=since,
    )
    metrics, token = page([described(metric) for metric in found], asked.get("NextToken"), 500)
    return {"Metrics": metrics, **({"NextToken": token} if token else {})}


def described(metric: Metric) -> dict[str, Any]:
    """A metric as the API writes it."""
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
    }


def _check_statistic(name: str, where: str) -> None:
    if is_statistic(name):
        return
    if re.fullmatch(r"(?i)(tm|wm|tc|ts|pr|iqm)\W?.*", name):
        raise AwsError("NotCarried", f"{where}: the emulated CloudWatch does not carry {name!r}; use p0 to p100", 501)
    raise AwsError("InvalidParameterValue", f"The value {name} for parameter {where} is not supported.")


def _check_span(start: datetime, end: datetime, period: int) -> None:
    if period not in (1, 5, 10, 20, 30) and period % 60:
        raise AwsError(
            "InvalidParameterValue",
            "The parameter Period must be 1, 5, 10, 20, 30 or a value that is a multiple of 60.",
        )
    if start >= end:
        raise AwsError(
            "InvalidParameterCombination", "The parameter StartTime must be less than the parameter EndTime."
        )


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
