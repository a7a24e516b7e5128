"""CloudWatch metric alarms: their settings, their states, and what a change of state sets off.

A state changes by an evaluation (`alarm_evaluation.py`) or by SetAlarmState, which holds until the next evaluation. A
change runs the actions of the new state as CloudWatch does it: a publish to SNS as cloudwatch.amazonaws.com, which the
topic's policy and key must allow, and which the alarm's history shows, also when it failed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.alarm_actions import Outcome, run_action
from infra.rehearsal.cloud.overlay.alarm_evaluation import Evaluated, Evaluator, check_evaluable, interval
from infra.rehearsal.cloud.overlay.answers import arn, page, picked, tag_list, tags_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_INITIAL_REASON = "Unchecked: Initial alarm creation"
_ACTION_LISTS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_SETTINGS = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
    "EvaluationCriteria",
    "EvaluationInterval",
)


@dataclass
class Alarm:
    """One metric alarm."""

    arn: str
    settings: dict[str, Any]
    """The members of PutMetricAlarm, defaults filled in."""
    configured: datetime
    due: datetime
    """When it is evaluated next."""
    quiet_since: int = -1
    """See `alarm_evaluation.Evaluated`."""
    state: str = "INSUFFICIENT_DATA"
    reason: str = _INITIAL_REASON
    reason_data: str = ""
    state_set: datetime = field(kw_only=True)
    state_changed: datetime = field(kw_only=True)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.settings["AlarmName"]

    def described(self) -> dict[str, Any]:
        """As DescribeAlarms gives it."""
        return {
            "AlarmArn": self.arn,
            **self.settings,
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.state,
            "StateReason": self.reason,
            **({"StateReasonData": self.reason_data} if self.reason_data else {}),
            "StateUpdatedTimestamp": self.state_set,
            "StateTransitionedTimestamp": self.state_changed,
        }


class Alarms:
    """The alarms of a cloud, by region and name, and their history, which outlives them (API reference)."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.alarms: dict[tuple[str, str], Alarm] = {}
        self.history: list[tuple[str, dict[str, Any]]] = []
        self.watchers: list[Callable[[str, str], None]] = []
        """Called with region and name of an alarm that has come to another state, in the thread that changed it."""
        self.evaluator = Evaluator(cloud, self)

    def close(self) -> None:
        self.evaluator.close()

    def every(self) -> list[tuple[str, Evaluated]]:
        """All alarms with their regions, in order of region and name."""
        with self.lock:
            return [(key[0], self.alarms[key]) for key in sorted(self.alarms)]

    def of(self, region: str) -> list[Alarm]:
        """The region's alarms in order of name."""
        with self.lock:
            return [self.alarms[key] for key in sorted(self.alarms) if key[0] == region]

    def get(self, region: str, name: str) -> Alarm | None:
        with self.lock:
            return self.alarms.get((region, name))

    def put(self, region: str, alarm_arn: str, settings: Mapping[str, Any], tags: Mapping[str, str]) -> Alarm:
        """Makes the alarm, or overwrites its settings. State and tags of an existing alarm stay as they are."""
        now = self.cloud.clock.now()
        kept = {
            "ActionsEnabled": True,
            "OKActions": [],
            "AlarmActions": [],
            "InsufficientDataActions": [],
            "Dimensions": [],
            **picked(settings, _SETTINGS),
        }
        due = now.replace(microsecond=0) + timedelta(seconds=interval(kept))
        with self.lock:
            alarm = self.alarms.get((region, kept["AlarmName"]))
            if alarm is None:
                alarm = Alarm(alarm_arn, kept, now, due, state_set=now, state_changed=now, tags=dict(tags))
                self.alarms[region, alarm.name] = alarm
                self.note(region, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" created', {"type": "Create"})
            else:
                alarm.settings, alarm.configured, alarm.due, alarm.quiet_since = kept, now, due, -1
                self.note(region, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" updated', {"type": "Update"})
        self.evaluator.start()
        return alarm

    def delete(self, region: str, name: str) -> None:
        with self.lock:
            alarm = self.alarms.pop((region, name))
            self.note(region, alarm, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"})

    def set_state(
        self,
        region: str,
        name: str,
        value: str,
        reason: str,
        reason_data: str,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Sets a state. Actions run when the state is another than before (user guide, "Alarm actions").

        settings: those that the state was found with; nothing happens when the alarm has others by now, or is gone.
        """
        now = self.cloud.clock.now()
        with self.lock:
            alarm = self.alarms.get((region, name))
            if alarm is None or settings not in (None, alarm.settings):
                return
            old, old_reason = alarm.state, alarm.reason
            old_data = alarm.reason_data
            alarm.state, alarm.reason, alarm.reason_data, alarm.state_set = value, reason, reason_data, now
            alarm.quiet_since = -1
            if old == value:
                return
            alarm.state_changed = now
            data = {"oldState": _state(old, old_reason, old_data), "newState": _state(value, reason, reason_data)}
            self.note(region, alarm, "StateUpdate", f"Alarm updated from {old} to {value}", data)
            actions = list(alarm.settings[_ACTION_LISTS[value]]) if alarm.settings["ActionsEnabled"] else []
        for watcher in tuple(self.watchers):
            watcher(region, name)
        for action in actions:
            self.note_action(region, alarm, run_action(self.cloud, region, alarm.described(), old, action))

    def note_action(self, region: str, alarm: Alarm, outcome: Outcome) -> None:
        data: dict[str, Any] = {
            "actionState": "Failed" if outcome.error else "Succeeded",
            "stateUpdateTimestamp": int(alarm.state_set.timestamp() * 1000),
            "notificationResource": outcome.action,
            "publishedMessage": outcome.message,
        }
        summary = f"Successfully executed action {outcome.action}"
        if outcome.error:
            data["error"] = outcome.error
            summary = f'Failed to execute action {outcome.action}. Received error: "{outcome.error}"'
        with self.lock:
            self.note(region, alarm, "Action", summary, data)

    def note(self, region: str, alarm: Alarm, kind: str, summary: str, data: Mapping[str, Any]) -> None:
        item = {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm",
            "Timestamp": self.cloud.clock.now(),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", **data}),
        }
        self.history.append((region, item))


def _state(value: str, reason: str, reason_data: str) -> dict[str, Any]:
    """A state as the history writes it."""
    data = {"stateReasonData": json.loads(reason_data)} if reason_data else {}
    return {"stateValue": value, "stateReason": reason, **data}


def alarms_of(cloud: Cloud) -> Alarms:
    return state_of(cloud, Alarms)


def evaluate_now(cloud: Cloud) -> None:
    """Evaluates every alarm of the cloud at once, over the periods that are over, instead of waiting for its minute."""
    alarms_of(cloud).evaluator.evaluate_now()


@handler("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(call: Call) -> dict[str, Any]:
    """A new alarm starts in INSUFFICIENT_DATA; an existing one keeps its state and its tags (API reference)."""
    name = call.params["AlarmName"]
    check_evaluable(call.cloud.metrics, call.params, region=call.region, now=call.cloud.clock.now())
    alarms_of(call.cloud).put(call.region, arn(call, f"alarm:{name}"), call.params, tags_of(call.params.get("Tags")))
    return {}


@handler("cloudwatch", "DescribeAlarms")
def describe_alarms(call: Call) -> dict[str, Any]:
    """Metric alarms, in order of name, 100 a page unless asked for fewer."""
    asked = call.params
    if asked.get("AlarmNames") and asked.get("AlarmNamePrefix"):
        raise AwsError(
            "ValidationError", "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive; give one of them."
        )
    if "MetricAlarm" not in (asked.get("AlarmTypes") or ["MetricAlarm"]):
        return {"MetricAlarms": [], "CompositeAlarms": []}
    found = [
        alarm.described()
        for alarm in alarms_of(call.cloud).of(call.region)
        if (not asked.get("AlarmNames") or alarm.name in asked["AlarmNames"])
        and alarm.name.startswith(asked.get("AlarmNamePrefix") or "")
        and asked.get("StateValue") in (None, alarm.state)
        and (
            not asked.get("ActionPrefix")
            or any(
                action.startswith(asked["ActionPrefix"])
                for kind in _ACTION_LISTS.values()
                for action in alarm.settings[kind]
            )
        )
    ]
    alarms, token = page(found, asked.get("NextToken"), asked.get("MaxRecords") or 100, error="InvalidNextToken")
    return {"MetricAlarms": alarms, "CompositeAlarms": [], **({"NextToken": token} if token else {})}


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
    """Deletes all named alarms, or none when one of them does not exist (API reference: "no alarms are deleted")."""
    alarms = alarms_of(call.cloud)
    names = call.params["AlarmNames"]
    _check_known(call, names)
    for name in dict.fromkeys(names):
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
    """History of one alarm or of all, newest first unless asked otherwise. It outlives the alarm."""
    asked = call.params
    if "MetricAlarm" not in (asked.get("AlarmTypes") or ["MetricAlarm"]):
        return {"AlarmHistoryItems": []}
    alarms = alarms_of(call.cloud)
    with alarms.lock:
        items = [item for region, item in alarms.history if region == call.region]
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
    for alarm in alarms_of(call.cloud).of(call.region):
        if alarm.arn == wanted:
            return alarm
    raise AwsError("ResourceNotFoundException", f"Unknown resource: {wanted}", 404)


def _check_known(call: Call, names: list[str]) -> None:
    missing = [name for name in names if alarms_of(call.cloud).get(call.region, name) is None]
    if missing:
        raise AwsError("ResourceNotFound", f"Alarm not found: {', '.join(missing)}", 404)
