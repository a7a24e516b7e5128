"""Log groups and metric alarms: internal/service/logs/group.go, cloudwatch/metric_alarm.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, conflicts, matches, one_of, step
from infra.rehearsal.provider.tags import by_arn, listed_tagging, mapped_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call, To

# -- aws:cloudwatch/logGroup:LogGroup -----------------------------------------------------------------------

_GONE = ("ResourceNotFoundException",)
_CREATE_GROUP = Call(
    "logs",
    "CreateLogGroup",
    rules={"name": "logGroupName"},
    only=frozenset({"kmsKeyId", "logGroupClass", "name"}),
)
_RETENTION = Call(
    "logs",
    "PutRetentionPolicy",
    rules={"name": "logGroupName"},
    only=frozenset({"name", "retentionInDays"}),
)
RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def _create_group(op: Operation) -> None:
    name = op.name_from()
    op.send(_CREATE_GROUP, logGroupName=name, **optional("tags", op.wanted_tags()))
    op.created(name)
    if op.inputs.get("retentionInDays") and op.inputs.get("logGroupClass") != "DELIVERY":
        _set_retention(op)
    if op.inputs.get("deletionProtectionEnabled"):
        _set_protection(op)


def _set_retention(op: Operation) -> None:
    days = op.inputs.get("retentionInDays")
    if days:
        op.call("logs", "PutRetentionPolicy", logGroupName=op.id, retentionInDays=days)
    else:  # 0 = for ever
        op.call("logs", "DeleteRetentionPolicy", logGroupName=op.id)


def _set_protection(op: Operation) -> None:
    op.call(
        "logs",
        "PutLogGroupDeletionProtection",
        logGroupIdentifier=op.id,
        deletionProtectionEnabled=bool(op.inputs.get("deletionProtectionEnabled")),
    )


def _set_key(op: Operation) -> None:
    if op.inputs.get("kmsKeyId"):
        op.call("logs", "AssociateKmsKey", logGroupName=op.id, kmsKeyId=op.inputs["kmsKeyId"])
    else:
        op.call("logs", "DisassociateKmsKey", logGroupName=op.id)


def _read_group(op: Operation) -> Mapping[str, Any] | None:
    pages = op.call("logs", "DescribeLogGroups", logGroupNamePrefix=op.id)
    group = next((one for one in pages["logGroups"] if one["logGroupName"] == op.id), None)
    if group is None:
        return None
    arn = group["arn"].removesuffix(":*")
    tags = op.call("logs", "ListTagsForResource", resourceArn=arn).get("tags") or {}
    return op.shown_tags(tags) | {
        "arn": arn,
        "deletionProtectionEnabled": bool(group.get("deletionProtectionEnabled")),
        "kmsKeyId": group.get("kmsKeyId") or "",
        "logGroupClass": group.get("logGroupClass") or "STANDARD",
        "name": op.id,
        "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
        "retentionInDays": group.get("retentionInDays") or 0,
    }


def _delete_group(op: Operation) -> None:
    if not op.state.get("skipDestroy"):
        op.gone(lambda: op.call("logs", "DeleteLogGroup", logGroupName=op.id), *_GONE)


LOG_GROUP = Row(
    type="aws:cloudwatch/logGroup:LogGroup",
    source="logs/group.go",
    label="CloudWatch Logs Log Group",
    create=_create_group,
    read=_read_group,
    delete=_delete_group,
    calls=(_CREATE_GROUP, _RETENTION),
    steps=(
        step(_set_retention, "retentionInDays"),
        step(_set_protection, "deletionProtectionEnabled"),
        step(_set_key, "kmsKeyId"),
    ),
    name=AutoName(max_length=512),
    # A new class deletes the history, unless skipDestroy or deletion protection stands in the way.
    force_new=frozenset({"logGroupClass", "name", "namePrefix"}),
    computed=frozenset({"deletionProtectionEnabled", "logGroupClass", "name", "namePrefix"}),
    defaults={"retentionInDays": 0, "skipDestroy": False},
    state_only=frozenset({"skipDestroy"}),
    never_sent=frozenset({"namePrefix", "deletionProtectionEnabled"}),
    checked_late=frozenset({"retentionInDays"}),
    rules=(
        one_of("retentionInDays", *RETENTION_DAYS),
        one_of("logGroupClass", "STANDARD", "INFREQUENT_ACCESS", "DELIVERY"),
        matches("name", r"[.\-_/#A-Za-z0-9]{1,512}", "name takes 1 to 512 of letters, digits and . - _ / #"),
    ),
    tagging=mapped_tagging("logs", "resourceArn", by_arn, keys="tagKeys", tags_member="tags"),
)

# -- aws:cloudwatch/metricAlarm:MetricAlarm -----------------------------------------------------------------


def _dimensions(values: Mapping[str, str]) -> list[dict[str, str]]:
    return tag_list(values, "Name", "Value")


def _dimensions_back(values: list[dict[str, Any]]) -> dict[str, str]:
    return tag_map(values, "Name", "Value")


def _queries(values: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """metricQueries as the API's MetricDataQueries: the metric's fields move into MetricStat."""
    queries = []
    for value in values:
        query: dict[str, Any] = {"Id": value["id"]}
        for name, member in (("accountId", "AccountId"), ("expression", "Expression"), ("label", "Label")):
            if value.get(name):
                query[member] = value[name]
        if value.get("period"):
            query["Period"] = value["period"]
        query["ReturnData"] = bool(value.get("returnData"))
        metric = value.get("metric")
        if metric:
            query["MetricStat"] = {
                "Metric": {
                    "MetricName": metric["metricName"],
                    **optional("Namespace", metric.get("namespace")),
                    **optional("Dimensions", _dimensions(metric.get("dimensions") or {})),
                },
                "Period": metric["period"],
                "Stat": metric["stat"],
                **optional("Unit", metric.get("unit")),
            }
        queries.append(query)
    return queries


def _queries_back(values: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for value in values:
        query: dict[str, Any] = {"id": value["Id"], "returnData": bool(value.get("ReturnData"))}
        for name, member in (
            ("accountId", "AccountId"),
            ("expression", "Expression"),
            ("label", "Label"),
            ("period", "Period"),
        ):
            if value.get(member):
                query[name] = value[member]
        stat = value.get("MetricStat")
        if stat:
            metric = stat["Metric"]
            query["metric"] = {
                "metricName": metric.get("MetricName"),
                "namespace": metric.get("Namespace", ""),
                "dimensions": _dimensions_back(metric.get("Dimensions") or []),
                "period": stat["Period"],
                "stat": stat["Stat"],
                "unit": stat.get("Unit", ""),
            }
        shown.append(query)
    return shown


_RULES = {
    "name": "AlarmName",
    "dimensions": To("Dimensions", via=_dimensions, back=_dimensions_back),
    "metricQueries": To("Metrics", via=_queries, back=_queries_back),
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
}
_PUT = Call(
    "cloudwatch",
    "PutMetricAlarm",
    rules=_RULES,
    only=frozenset(
        {
            "actionsEnabled",
            "alarmActions",
            "alarmDescription",
            "comparisonOperator",
            "datapointsToAlarm",
            "dimensions",
            "evaluateLowSampleCountPercentiles",
            "evaluationPeriods",
            "extendedStatistic",
            "insufficientDataActions",
            "metricName",
            "metricQueries",
            "name",
            "namespace",
            "okActions",
            "period",
            "statistic",
            "threshold",
            "thresholdMetricId",
            "treatMissingData",
            "unit",
        }
    ),
)


def _put_alarm(op: Operation) -> None:
    """Always the whole alarm; a foreign alarm of that name is overwritten in silence."""
    params = op.params(_PUT)
    if not params.get("ThresholdMetricId"):
        params.setdefault("Threshold", 0.0)
    elif "Threshold" in params:
        del params["Threshold"]
    tags = {} if op.id else optional("Tags", tag_list(op.wanted_tags()))
    op.call("cloudwatch", "PutMetricAlarm", **params, **tags)
    op.created(params["AlarmName"])


def _read_alarm(op: Operation) -> Mapping[str, Any] | None:
    alarms = op.call("cloudwatch", "DescribeAlarms", AlarmNames=[op.id], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    live = op.described("cloudwatch", "DescribeAlarms", "MetricAlarms", alarm, _RULES)
    tags = op.call("cloudwatch", "ListTagsForResource", ResourceARN=alarm["AlarmArn"]).get("Tags")
    live.setdefault("actionsEnabled", True)
    live["treatMissingData"] = alarm.get("TreatMissingData") or "missing"
    if not alarm.get("Metrics"):
        live.pop("metricQueries", None)
    return live | op.shown_tags(tag_map(tags)) | {"arn": alarm["AlarmArn"]}


def _delete_alarm(op: Operation) -> None:
    op.gone(lambda: op.call("cloudwatch", "DeleteAlarms", AlarmNames=[op.id]), "ResourceNotFound")


def _alarm_rules(inputs: Inputs) -> Iterable[Problem]:
    given = [name for name in ("evaluationCriteria", "metricName", "metricQueries") if inputs.get(name)]
    if len(given) != 1:
        got = ", ".join(given) or "none"
        yield "metricName", f"exactly one of evaluationCriteria, metricName, metricQueries must be given, got: {got}"
    if not inputs.get("evaluationCriteria"):
        for name in ("comparisonOperator", "evaluationPeriods"):
            if inputs.get(name) is None:
                yield name, f"{name} is needed for an alarm on a metric"
    if inputs.get("metricName") and not inputs.get("statistic") and not inputs.get("extendedStatistic"):
        yield "statistic", "one of statistic and extendedStatistic must be set for an alarm on one metric"
    for name in ("okActions", "insufficientDataActions"):
        if len(inputs.get(name) or []) > 5:
            yield name, f"{name} takes at most 5 actions, got {len(inputs[name])}"
    for index, query in enumerate(inputs.get("metricQueries") or []):
        if isinstance(query, Mapping) and query.get("expression") and query.get("metric"):
            yield f"metricQueries[{index}]", "a query has an expression or a metric, not both"


METRIC_ALARM = Row(
    type="aws:cloudwatch/metricAlarm:MetricAlarm",
    source="cloudwatch/metric_alarm.go",
    label="CloudWatch Metric Alarm",
    create=_put_alarm,
    read=_read_alarm,
    delete=_delete_alarm,
    calls=(_PUT,),
    steps=(step(_put_alarm, *sorted((_PUT.only or frozenset()) - {"name"})),),
    name=AutoName(),
    force_new=frozenset({"name"}),
    computed=frozenset({"evaluateLowSampleCountPercentiles"}),
    defaults={"actionsEnabled": True, "metricQueries.returnData": False, "treatMissingData": "missing"},
    sets=frozenset({"alarmActions", "insufficientDataActions", "metricQueries", "okActions"}),
    rules=(
        _alarm_rules,
        conflicts("statistic", "extendedStatistic"),
        conflicts("metricQueries", "dimensions", "extendedStatistic", "namespace", "period", "statistic"),
        conflicts("threshold", "thresholdMetricId"),
        one_of("treatMissingData", "breaching", "notBreaching", "ignore", "missing"),
    ),
    tagging=listed_tagging("cloudwatch", "TagResource", "UntagResource", "ResourceARN", by_arn),
)

ROWS = (LOG_GROUP, METRIC_ALARM)
