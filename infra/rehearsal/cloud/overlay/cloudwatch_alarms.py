"""CloudWatch alarms through the API: what is put, described and deleted, metric alarms and composite ones.

The alarms themselves are in `alarm_store.py`; composite alarms are put in `cloudwatch_composites.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.alarm_evaluation import check_evaluable
from infra.rehearsal.cloud.overlay.alarm_store import ACTION_LISTS, COMPOSITE, METRIC, Alarm, alarms_of
from infra.rehearsal.cloud.overlay.answers import arn, page, picked, tag_list, tags_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

__all__ = ["alarms_of", "evaluate_now"]


def evaluate_now(cloud: Cloud) -> None:
    """Evaluates every alarm of the cloud at once, over the periods that are over, instead of waiting for its minute."""
    alarms_of(cloud).evaluator.evaluate_now()


@handler("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(call: Call) -> dict[str, Any]:
    """A new alarm starts in INSUFFICIENT_DATA; an existing one keeps its state and its tags (API reference)."""
    name = call.params["AlarmName"]
    found = alarms_of(call.cloud).get(call.region, name)
    if found is not None and found.kind != METRIC:
        # A name stands once in a region (API reference); the words are unconfirmed.
        raise AwsError("ValidationError", f"A composite alarm with the name {name} exists")
    check_evaluable(call.cloud.metrics, call.params, region=call.region, now=call.cloud.clock.now())
    alarms_of(call.cloud).put(call.region, arn(call, f"alarm:{name}"), call.params, tags_of(call.params.get("Tags")))
    return {}


@handler("cloudwatch", "DescribeAlarms")
def describe_alarms(call: Call) -> dict[str, Any]:
    """Alarms in order of name, 100 a page unless asked for fewer. Metric alarms only, unless AlarmTypes says more."""
    asked = call.params
    if asked.get("AlarmNames") and asked.get("AlarmNamePrefix"):
        raise AwsError(
            "ValidationError", "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive; give one of them."
        )
    if asked.get("ChildrenOfAlarmName") or asked.get("ParentsOfAlarmName"):
        return _relatives(call)
    found = [
        alarm
        for alarm in alarms_of(call.cloud).of(call.region, *(asked.get("AlarmTypes") or (METRIC,)))
        if (not asked.get("AlarmNames") or alarm.name in asked["AlarmNames"])
        and alarm.name.startswith(asked.get("AlarmNamePrefix") or "")
        and asked.get("StateValue") in (None, alarm.state)
        and (
            not asked.get("ActionPrefix")
            or any(
                action.startswith(asked["ActionPrefix"])
                for kind in ACTION_LISTS.values()
                for action in alarm.settings[kind]
            )
        )
    ]
    return _described(call, [(alarm.kind, alarm.described()) for alarm in found])


_RELATIVE = ("ChildrenOfAlarmName", "ParentsOfAlarmName", "MaxRecords", "NextToken")


def _relatives(call: Call) -> dict[str, Any]:
    """What a composite alarm names, or what names an alarm: no more than who they are (API reference)."""
    asked = {name: value for name, value in call.params.items() if value is not None}
    if not set(asked) <= set(_RELATIVE) or {"ChildrenOfAlarmName", "ParentsOfAlarmName"} <= set(asked):
        text = "ChildrenOfAlarmName and ParentsOfAlarmName go with MaxRecords and NextToken only."
        raise AwsError("ValidationError", text)
    alarms = alarms_of(call.cloud)
    name = asked.get("ChildrenOfAlarmName") or asked["ParentsOfAlarmName"]
    if alarms.get(call.region, name) is None:
        raise AwsError("ResourceNotFound", f"Unknown alarm {name}", 404)
    if "ParentsOfAlarmName" in asked:
        members = ("AlarmName", "AlarmArn")
        found: list[Alarm] = [*alarms.parents(call.region, name)]
    else:
        members = ("AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp")
        found = [
            each
            for each in alarms.of(call.region, METRIC, COMPOSITE)
            if name in {parent.name for parent in alarms.parents(call.region, each.name)}
        ]
    return _described(call, [(alarm.kind, picked(alarm.described(), members)) for alarm in found])


def _described(call: Call, found: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    asked = call.params
    entries = [{"kind": kind, "alarm": alarm} for kind, alarm in found]
    shown, token = page(entries, asked.get("NextToken"), asked.get("MaxRecords") or 100, error="InvalidNextToken")
    return {
        "MetricAlarms": [each["alarm"] for each in shown if each["kind"] == METRIC],
        "CompositeAlarms": [each["alarm"] for each in shown if each["kind"] == COMPOSITE],
        **({"NextToken": token} if token else {}),
    }


@handler("cloudwatch", "DescribeAlarmsForMetric")
def describe_alarms_for_metric(call: Call) -> dict[str, Any]:
    """The alarms on one metric; dimensions must be the same set."""

    def dimensions(entries: list[dict[str, str]] | None) -> set[tuple[str, str]]:
        return {(entry["Name"], entry["Value"]) for entry in entries or ()}

    asked = call.params
    found = [
        alarm.described()
        for alarm in alarms_of(call.cloud).of(call.region)
        if alarm.settings.get("MetricName") == asked["MetricName"]
        and alarm.settings.get("Namespace") == asked["Namespace"]
        and dimensions(alarm.settings["Dimensions"]) == dimensions(asked.get("Dimensions"))
        and all(
            asked.get(member) in (None, alarm.settings.get(member))
            for member in ("Statistic", "ExtendedStatistic", "Period", "Unit")
        )
    ]
    return {"MetricAlarms": found}


@handler("cloudwatch", "DeleteAlarms")
def delete_alarms(call: Call) -> dict[str, Any]:
    """Deletes all named alarms, or none when one of them does not exist (API reference: "no alarms are deleted").

    An alarm that a composite alarm names stays: cloud-custodian issue 7763 and aws-nuke issue 462 have the words. At
    most one composite alarm goes with a call (API reference; the words are unconfirmed). That one call may delete a
    composite alarm together with those that it names is unconfirmed.
    """
    alarms = alarms_of(call.cloud)
    names = list(dict.fromkeys(call.params["AlarmNames"]))
    _check_known(call, names)
    if sum(alarm.kind == COMPOSITE for name in names if (alarm := alarms.get(call.region, name))) > 1:
        raise AwsError("ValidationError", "You can delete at most one composite alarm in one operation.")
    held = [name for name in names if any(parent.name not in names for parent in alarms.parents(call.region, name))]
    if held:
        whom = "it" if len(held) == 1 else "them"
        text = f"Cannot delete {','.join(held)} as there are composite alarm(s) depending on {whom}."
        raise AwsError("ValidationError", text)
    for name in names:
        alarms.delete(call.region, name)
    return {}


@handler("cloudwatch", "SetAlarmState")
def set_alarm_state(call: Call) -> dict[str, Any]:
    asked = call.params
    if alarms_of(call.cloud).get(call.region, asked["AlarmName"]) is None:
        raise AwsError("ResourceNotFound", "Alarm not found", 404)
    data = asked.get("StateReasonData") or ""
    if data:
        try:
            json.loads(data)
        except ValueError:
            raise AwsError("InvalidFormat", "StateReasonData is not valid JSON") from None
    alarms_of(call.cloud).set_state(call.region, asked["AlarmName"], asked["StateValue"], asked["StateReason"], data)
    return {}


@handler("cloudwatch", "EnableAlarmActions")
def enable_alarm_actions(call: Call) -> dict[str, Any]:
    return _switch_actions(call, enabled=True)


@handler("cloudwatch", "DisableAlarmActions")
def disable_alarm_actions(call: Call) -> dict[str, Any]:
    return _switch_actions(call, enabled=False)


def _switch_actions(call: Call, *, enabled: bool) -> dict[str, Any]:
    for name in call.params["AlarmNames"]:
        alarm = alarms_of(call.cloud).get(call.region, name)
        if alarm is not None:
            # Other settings of the same alarm: an evaluation that runs now has read the old ones.
            alarm.settings = {**alarm.settings, "ActionsEnabled": enabled}
    return {}


@handler("cloudwatch", "DescribeAlarmHistory")
def describe_alarm_history(call: Call) -> dict[str, Any]:
    """History of one alarm or of all, newest first unless asked otherwise; of metric alarms, unless AlarmTypes says
    more. It outlives the alarm."""
    asked = call.params
    kinds = asked.get("AlarmTypes") or [METRIC]
    alarms = alarms_of(call.cloud)
    with alarms.lock:
        items = [item for region, item in alarms.history if region == call.region and item["AlarmType"] in kinds]
    start, end = asked.get("StartDate"), asked.get("EndDate")
    found = [
        item
        for item in items
        if asked.get("AlarmName") in (None, item["AlarmName"])
        and asked.get("HistoryItemType") in (None, item["HistoryItemType"])
        and (start is None or item["Timestamp"] >= start)
        and (end is None or item["Timestamp"] <= end)
    ]
    if asked.get("ScanBy") != "TimestampAscending":
        found.reverse()
    entries, token = page(found, asked.get("NextToken"), asked.get("MaxRecords") or 100, error="InvalidNextToken")
    return {"AlarmHistoryItems": entries, **({"NextToken": token} if token else {})}


@handler("cloudwatch", "TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    _tagged(call).tags.update(tags_of(call.params["Tags"]))
    return {}


@handler("cloudwatch", "UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    tags = _tagged(call).tags
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@handler("cloudwatch", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    return {"Tags": tag_list(_tagged(call).tags)}


def _tagged(call: Call) -> Alarm:
    """The alarm that a tag call names. Tags of dashboards and rules are not carried."""
    wanted = call.params["ResourceARN"]
    for alarm in alarms_of(call.cloud).of(call.region, METRIC, COMPOSITE):
        if alarm.arn == wanted:
            return alarm
    raise AwsError("ResourceNotFoundException", f"Unknown resource: {wanted}", 404)


def _check_known(call: Call, names: list[str]) -> None:
    missing = [name for name in names if alarms_of(call.cloud).get(call.region, name) is None]
    if missing:
        raise AwsError("ResourceNotFound", f"Alarm not found: {', '.join(missing)}", 404)
