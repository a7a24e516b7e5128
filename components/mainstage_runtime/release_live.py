"""Reads what an endpoint is doing: its description, its guard alarms, the requests of one configuration's fleet.

The clients are handed in. Times are AWS's own and are held against nothing but each other. Errors of AWS (botocore's
exceptions) reach the caller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mainstage_runtime.release_history import AlarmSeen, error_code
from mainstage_runtime.values import number_text

MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
"""States that an endpoint leaves by itself (SageMaker API reference, DescribeEndpoint, EndpointStatus)."""

IN_SERVICE = "InService"

_VERSION = re.compile(r".*-v(\d+)-[0-9a-f]{8}")
_LONGEST_VALUE_TOLD = 1023
"""All that CloudWatch keeps: who stopped a release stands at the end of it."""
_LONGEST_SPAN = timedelta(hours=23)
"""GetMetricStatistics answers at most 1,440 points, of a minute each here (API reference)."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """An endpoint as DescribeEndpoint shows it."""

    status: str
    configuration: str
    """The configuration that serves. During an update: the old one."""
    created: datetime
    modified: datetime
    failure_reason: str = ""
    instances: Mapping[str, int] = field(default_factory=dict)
    """Instances that each variant is to have, or has, whichever is more."""
    pending_configuration: str | None = None
    """What a deployment under way brings."""
    pending_since: datetime | None = None
    rollback_alarms: frozenset[str] = frozenset()
    """Alarms of the last deployment configuration; empty when the last update had none."""

    @property
    def at_rest(self) -> bool:
        """Nothing is under way."""
        return self.status not in MOVING and self.pending_since is None


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A guard alarm as DescribeAlarms shows it."""

    name: str
    state: str
    """`OK`, `ALARM` or `INSUFFICIENT_DATA`."""
    since: datetime
    told: str
    """CloudWatch's words for the state."""
    window: str
    """What it watches and when it fires, in words."""


def version_of(configuration: str | None) -> int | None:
    """The model version in the name of a configuration that Mainstage made; None for another name."""
    found = _VERSION.fullmatch(configuration or "")
    return None if found is None else int(found.group(1))


def read_live(sagemaker: Any, endpoint: str) -> Live | None:
    """The endpoint; None when there is none of this name."""
    try:
        told = sagemaker.describe_endpoint(EndpointName=endpoint)
    except Exception as error:
        # A missing endpoint is a ValidationException; only its words tell it apart (provider source, endpoint.go).
        if error_code(error) == "ValidationException" and "Could not find" in str(error):
            return None
        raise
    pending = told.get("PendingDeploymentSummary") or {}
    rollback = (told.get("LastDeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return Live(
        status=told["EndpointStatus"],
        # A failed creation can leave the endpoint without one.
        configuration=told.get("EndpointConfigName", ""),
        created=_utc(told["CreationTime"]),
        modified=_utc(told["LastModifiedTime"]),
        failure_reason=told.get("FailureReason", ""),
        instances={
            variant["VariantName"]: max(variant.get("DesiredInstanceCount", 0), variant.get("CurrentInstanceCount", 0))
            for variant in told.get("ProductionVariants") or ()
        },
        pending_configuration=pending.get("EndpointConfigName"),
        pending_since=None if not pending else _utc(pending.get("StartTime", told["LastModifiedTime"])),
        rollback_alarms=frozenset(alarm["AlarmName"] for alarm in rollback.get("Alarms") or ()),
    )


def _utc(moment: datetime) -> datetime:
    """botocore gives moments in the time zone of the machine."""
    return moment.astimezone(UTC)


def read_guards(cloudwatch: Any, names: Iterable[str]) -> list[Guard]:
    """The guard alarms that exist, in the order of `names` (at most 100)."""
    wanted = list(names)
    found = cloudwatch.describe_alarms(AlarmNames=wanted, AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    by_name = {alarm["AlarmName"]: alarm for alarm in found}
    return [_guard(by_name[name]) for name in wanted if name in by_name]


def _guard(alarm: Mapping[str, Any]) -> Guard:
    return Guard(
        name=alarm["AlarmName"],
        state=alarm["StateValue"],
        since=_utc(alarm["StateUpdatedTimestamp"]),
        told=alarm.get("StateReason", ""),
        window=window_text(alarm),
    )


_COMPARED = {
    "GreaterThanThreshold": "above",
    "GreaterThanOrEqualToThreshold": "at or above",
    "LessThanThreshold": "below",
    "LessThanOrEqualToThreshold": "at or below",
}


def window_text(alarm: Mapping[str, Any]) -> str:
    """What an alarm watches and when it fires: `p99 of ModelLatency above 800 ms in 2 of 3 minutes`."""
    threshold, metric = alarm.get("Threshold", 0.0), alarm.get("MetricName")
    unit = ""
    if metric in ("ModelLatency", "OverheadLatency"):
        threshold, unit = threshold / 1000, " ms"  # SageMaker's latencies are in microseconds
    elif metric == "FrontDoorLatency":
        unit = " ms"
    if metric:
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "")
        watched = f"{statistic} of {metric}"
        period = alarm.get("Period", 60)
    else:
        shown = next((query for query in alarm.get("Metrics", ()) if query.get("ReturnData", True)), {})
        watched = shown.get("Label") or shown.get("Expression") or "its metrics"
        period = next(
            (query["MetricStat"]["Period"] for query in alarm.get("Metrics", ()) if "MetricStat" in query), 60
        )
    periods = alarm.get("EvaluationPeriods", 1)
    several = f"{alarm.get('DatapointsToAlarm', periods)} of {periods}"
    spans = f"{several} minutes" if period == 60 else f"{several} periods of {period} seconds"
    compared = _COMPARED.get(alarm.get("ComparisonOperator", ""), "past")
    return f"{watched} {compared} {number_text(threshold)}{unit} in {spans}"


def fired(
    cloudwatch: Any,
    guards: Sequence[Guard],
    *,
    after: Mapping[str, datetime],
    until: datetime | None = None,
    told: str = "",
) -> AlarmSeen | None:
    """The guard that ended a release: one that SageMaker's `told` names, else the first that went into ALARM.

    `after`: by alarm, the moment from which on its changes count. `until`: the last moment that counts. Omitted: now.
    """
    found: list[tuple[datetime, AlarmSeen]] = []
    for guard in guards:
        since = after.get(guard.name)
        pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmName=guard.name,
            HistoryItemType="StateUpdate",
            ScanBy="TimestampAscending",
            **({} if since is None else {"StartDate": since}),
            **({} if until is None else {"EndDate": until}),
        )
        for item in (item for page in pages for item in page["AlarmHistoryItems"]):
            reason = _into_alarm(item)
            if reason is not None and (since is None or item["Timestamp"] > since):
                value = reason[:_LONGEST_VALUE_TOLD]
                found.append((item["Timestamp"], AlarmSeen(name=guard.name, window=guard.window, value_told=value)))
                break
    named = [seen for _, seen in sorted(found, key=lambda each: each[0]) if seen.name in told]
    if named:
        return named[0]
    return min(found, key=lambda each: each[0])[1] if found else None


def _into_alarm(item: Mapping[str, Any]) -> str | None:
    """CloudWatch's reason when the item tells a change into ALARM; None for another change."""
    try:
        new = json.loads(item.get("HistoryData") or "{}").get("newState", {})
    except ValueError:
        new = {}
    if new.get("stateValue") == "ALARM":
        return str(new.get("stateReason", ""))
    return "" if not new and str(item.get("HistorySummary", "")).endswith("to ALARM") else None


def requests_by_minute(
    cloudwatch: Any, *, endpoint: str, variant: str, configuration: str, start: datetime, end: datetime
) -> list[int]:
    """Requests that one configuration's fleet answered, minute by minute; minutes without any are left out."""
    told = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
            {"Name": "EndpointConfigName", "Value": configuration},
        ],
        StartTime=max(start, end - _LONGEST_SPAN),
        EndTime=end + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    points = sorted(told["Datapoints"], key=lambda point: point["Timestamp"])
    return [round(point["Sum"]) for point in points]
