"""CloudWatch alarms, log groups, Application Auto Scaling."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.rehearsal.cloud.composite_rules import NotCarriedRule, RuleError, parse
from infra.rehearsal.cloud.validator.findings import Finding, choices, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

_SECONDS_A_DAY = 86_400
_SHORT_PERIODS = (10, 20, 30)
_MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")
_PERCENTILE = r"p(?:\d{1,2}(?:\.\d{1,10})?|100)"
_TRIMMED = r"(?:tm|wm|tc|ts)(?:\d{1,2}(?:\.\d{1,10})?|100)"
_RANGED = r"(?:TM|WM|TC|TS|PR)\(\d*(?:\.\d+)?%?:\d*(?:\.\d+)?%?\)"
_EXTENDED_STATISTIC = re.compile(f"{_PERCENTILE}|{_TRIMMED}|{_RANGED}|IQM")
_SOURCE_OF_PERIOD = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"


@rule("cloudwatch", "PutMetricAlarm")
def alarm(params: Params, partial: bool) -> Iterator[Finding]:
    """Windows and statistics of an alarm (API_PutMetricAlarm)."""
    period, periods, datapoints = (params.get(name) for name in ("Period", "EvaluationPeriods", "DatapointsToAlarm"))
    if datapoints is not None and periods is not None and datapoints > periods:
        yield Finding("DatapointsToAlarm", f"is {datapoints}, more than EvaluationPeriods ({periods})")
    if period is not None:
        yield from _period("Period", period)
    longest = 7 * _SECONDS_A_DAY if period is not None and period >= 3600 else _SECONDS_A_DAY
    if period is not None and periods is not None and period * periods > longest:
        yield Finding(
            "EvaluationPeriods",
            f"times Period is {period * periods} s, at most {longest} s are allowed"
            " (a day; seven days from a period of an hour on)",
        )
    missing = params.get("TreatMissingData")
    if missing is not None and missing not in _MISSING_DATA:
        yield Finding("TreatMissingData", f"{shown(missing)} is not allowed; {choices(missing, _MISSING_DATA)}")
    extended = params.get("ExtendedStatistic")
    if extended is not None and not _EXTENDED_STATISTIC.fullmatch(extended):
        yield Finding("ExtendedStatistic", f"{shown(extended)} is no statistic; write a percentile as p99 or p99.9")
    yield from _alarm_source(params, partial)


def _alarm_source(params: Params, partial: bool) -> Iterator[Finding]:
    single = [name for name in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic") if params.get(name)]
    if "Statistic" in single and "ExtendedStatistic" in single:
        yield Finding("ExtendedStatistic", "and Statistic exclude each other")
    metrics = params.get("Metrics")
    if metrics and single:
        yield Finding("Metrics", f"and {', '.join(single)} exclude each other")
    if metrics:
        ids = [query.get("Id") for query in metrics]
        for name in sorted({str(name) for name in ids if name is not None and ids.count(name) > 1}):
            yield Finding("Metrics", f"has the id {name!r} more than once")
        returned = [query for query in metrics if query.get("ReturnData", True)]
        if len(returned) != 1 and not partial and not params.get("ThresholdMetricId"):
            yield Finding("Metrics", f"has {len(returned)} queries with ReturnData true, exactly one is needed")
        for index, query in enumerate(metrics):
            period = (query.get("MetricStat") or query).get("Period")
            if period is not None:
                yield from _period(f"Metrics[{index}].Period", period)
    elif not partial and not params.get("EvaluationCriteria"):
        for name in ("MetricName", "Namespace", "Period", "EvaluationPeriods", "ComparisonOperator"):
            if params.get(name) is None:
                yield Finding(name, "is required for an alarm on a single metric")
        if "Statistic" not in single and "ExtendedStatistic" not in single:
            yield Finding("Statistic", "or ExtendedStatistic is required for an alarm on a single metric")
        if params.get("Threshold") is None:
            yield Finding("Threshold", "is required for an alarm on a single metric")


def _period(path: str, period: int) -> Iterator[Finding]:
    if period not in _SHORT_PERIODS and (period <= 0 or period % 60):
        yield Finding(path, f"is {period} s; allowed are 10, 20, 30 and multiples of 60 ({_SOURCE_OF_PERIOD})")


@rule("cloudwatch", "PutCompositeAlarm")
def composite_alarm(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html"""
    if params.get("AlarmRule"):
        try:
            parse(params["AlarmRule"])
        except RuleError as refusal:
            yield Finding("AlarmRule", str(refusal))
        except NotCarriedRule:
            pass  # the overlay says so
    periods = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
    for name in periods:
        if params.get("ActionsSuppressor") and params.get(name) is None and not partial:
            yield Finding(name, "is required with ActionsSuppressor")


@rule("logs", "PutRetentionPolicy")
def retention(params: Params, partial: bool) -> Iterator[Finding]:
    days = params.get("retentionInDays")
    if days is not None and days not in RETENTION_DAYS:
        yield Finding("retentionInDays", f"is {days}; allowed: {', '.join(map(str, RETENTION_DAYS))}")


@rule("application-autoscaling", "RegisterScalableTarget")
def scalable_target(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html"""
    least, most = params.get("MinCapacity"), params.get("MaxCapacity")
    if least is not None and most is not None and least > most:
        yield Finding("MinCapacity", f"is {least}, more than MaxCapacity ({most})")
    for name, value in (("MinCapacity", least), ("MaxCapacity", most)):
        if value is not None and value < 0:
            yield Finding(name, f"is {value}, at least 0 is needed")
    yield from _variant_id(params)


@rule("application-autoscaling", "PutScalingPolicy")
def scaling_policy(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html"""
    kind = params.get("PolicyType")
    tracking = params.get("TargetTrackingScalingPolicyConfiguration")
    if kind == "TargetTrackingScaling" and tracking is None and not partial:
        yield Finding("TargetTrackingScalingPolicyConfiguration", "is required for a TargetTrackingScaling policy")
    if tracking is not None:
        given = [
            name
            for name in ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
            if tracking.get(name) is not None
        ]
        if len(given) > 1 or (not given and not partial):
            yield Finding(
                "TargetTrackingScalingPolicyConfiguration",
                "needs exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification",
            )
        target = tracking.get("TargetValue")
        if target is not None and target <= 0:
            yield Finding("TargetTrackingScalingPolicyConfiguration.TargetValue", f"is {target}; must be above 0")
    yield from _variant_id(params)


def _variant_id(params: Params) -> Iterator[Finding]:
    resource, dimension = params.get("ResourceId"), params.get("ScalableDimension")
    if (
        dimension == "sagemaker:variant:DesiredInstanceCount"
        and resource is not None
        and not re.fullmatch(r"endpoint/[^/]+/variant/[^/]+", resource)
    ):
        yield Finding("ResourceId", f"{shown(resource)} is no variant; write endpoint/NAME/variant/NAME")
