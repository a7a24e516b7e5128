"""The alarms of a cloud, metric and composite: their settings, their states, what a change of state sets off.

A state changes by an evaluation (`alarm_evaluation.py`; of a composite alarm when one of its alarms comes to another
state) or by SetAlarmState, which holds until the next evaluation. A change runs the actions of the new state as
CloudWatch does it: a publish to SNS as cloudwatch.amazonaws.com, which the topic's policy and key must allow, and which
the alarm's history shows, also when it failed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.alarm_words import stamp
from infra.rehearsal.cloud.composite_rules import Expression, alarms_in, holds, parse
from infra.rehearsal.cloud.overlay.alarm_actions import Outcome, run_action
from infra.rehearsal.cloud.overlay.alarm_evaluation import Evaluated, Evaluator, Quiet, interval
from infra.rehearsal.cloud.overlay.answers import picked
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
ACTION_LISTS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_INITIAL_REASON = "Unchecked: Initial alarm creation"
_SHARED = ("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions")
_METRIC_SETTINGS = (
    *_SHARED,
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
_DEFAULTS: Mapping[str, Any] = {"ActionsEnabled": True, **{name: [] for name in ACTION_LISTS.values()}}


@dataclass
class Alarm:
    """One metric alarm."""

    arn: str
    settings: dict[str, Any]
    """The members of PutMetricAlarm, defaults filled in."""
    configured: datetime
    due: datetime
    """When it is evaluated next."""
    quiet: Quiet | None = None
    """See `alarm_evaluation.Evaluated`."""
    state: str = "INSUFFICIENT_DATA"
    reason: str = _INITIAL_REASON
    reason_data: str = ""
    state_set: datetime = field(kw_only=True)
    state_changed: datetime = field(kw_only=True)
    tags: dict[str, str] = field(default_factory=dict)

    kind = METRIC

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


@dataclass
class Composite(Alarm):
    """One composite alarm. It is due when an alarm of its rule changes, never by the clock."""

    rule: Expression = field(kw_only=True)

    kind = COMPOSITE

    @property
    def children(self) -> set[str]:
        """The names of the alarms in its rule."""
        return {_name_of(each) for each in alarms_in(self.rule)}


@dataclass(frozen=True)
class _Change:
    """An alarm that has come to another state, and how it was described then."""

    region: str
    alarm: Alarm
    old: str
    at: datetime
    described: dict[str, Any]


class Alarms:
    """The alarms of a cloud, by region and name, and their history, which outlives them (API reference)."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.alarms: dict[tuple[str, str], Alarm] = {}
        self.composites: dict[tuple[str, str], Composite] = {}
        self.history: list[tuple[str, dict[str, Any]]] = []
        self.watchers: list[Callable[[str, str, str], None]] = []
        """Called with region, name and new state of an alarm that has come to another state, in the thread that changed
        it: the alarm may have changed again since."""
        self.evaluator = Evaluator(cloud, self)

    def close(self) -> None:
        self.evaluator.close()

    def every(self) -> list[tuple[str, Evaluated]]:
        """All metric alarms with their regions, in order of region and name."""
        with self.lock:
            return [(key[0], self.alarms[key]) for key in sorted(self.alarms)]

    def of(self, region: str, *kinds: str) -> list[Alarm]:
        """The region's alarms of these kinds, metric alarms when none is named, in order of name."""
        wanted = kinds or (METRIC,)
        with self.lock:
            found = [*self.alarms.items(), *self.composites.items()]
        return sorted(
            (alarm for key, alarm in found if key[0] == region and alarm.kind in wanted), key=lambda each: each.name
        )

    def get(self, region: str, name: str) -> Alarm | None:
        """The alarm of this name, of whatever kind: a name stands once in a region (API reference)."""
        with self.lock:
            return self.alarms.get((region, name)) or self.composites.get((region, name))

    def parents(self, region: str, name: str) -> list[Composite]:
        """The composite alarms whose rules name an alarm, in order of name."""
        with self.lock:
            found = [each for (where, _), each in self.composites.items() if where == region and name in each.children]
        return sorted(found, key=lambda each: each.name)

    def put(self, region: str, alarm_arn: str, settings: Mapping[str, Any], tags: Mapping[str, str]) -> Alarm:
        """Makes the metric alarm, or overwrites its settings. State and tags of an existing alarm stay as they are."""
        now = self.cloud.clock.now()
        kept = {**_DEFAULTS, "Dimensions": [], **picked(settings, _METRIC_SETTINGS)}
        due = now.replace(microsecond=0) + timedelta(seconds=interval(kept))
        with self.lock:
            alarm = self.alarms.get((region, kept["AlarmName"]))
            if alarm is None:
                alarm = Alarm(alarm_arn, kept, now, due, state_set=now, state_changed=now, tags=dict(tags))
                self.alarms[region, alarm.name] = alarm
                self._note_put(region, alarm, "Create")
            else:
                alarm.settings, alarm.configured, alarm.due = kept, now, due
                self._note_put(region, alarm, "Update")
        self.evaluator.start()
        return alarm

    def put_composite(self, region: str, alarm_arn: str, settings: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Makes the composite alarm, or overwrites its settings, and evaluates it at once. Its rule is valid."""
        now = self.cloud.clock.now()
        kept = {**_DEFAULTS, **picked(settings, (*_SHARED, "AlarmRule"))}
        rule = parse(kept["AlarmRule"])
        with self.lock:
            alarm = self.composites.get((region, kept["AlarmName"]))
            doing = "created" if alarm is None else "updated"
            if alarm is None:
                alarm = Composite(
                    alarm_arn, kept, now, now, state_set=now, state_changed=now, tags=dict(tags), rule=rule
                )
                self.composites[region, alarm.name] = alarm
                self._note_put(region, alarm, "Create")
            else:
                alarm.settings, alarm.configured, alarm.rule = kept, now, rule
                self._note_put(region, alarm, "Update")
        self._evaluate(region, alarm, doing, ())

    def delete(self, region: str, name: str) -> None:
        with self.lock:
            found = self.alarms if (region, name) in self.alarms else self.composites
            alarm = found.pop((region, name))
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
        on_the_way: tuple[str, ...] = (),
    ) -> None:
        """Sets a state. Actions run when the state is another than before (user guide, "Alarm actions"), and composite
        alarms that name the alarm are evaluated.

        settings: those that the state was found with; nothing happens when the alarm has others by now, or is gone.
        on_the_way: alarms whose change has led here; none of them is evaluated again.
        """
        with self.lock:
            alarm = self.get(region, name)
            if alarm is None or settings not in (None, alarm.settings):
                return
            change = self._set(region, alarm, value, reason, reason_data)
        if change is not None:
            self._follow(change, on_the_way)

    def _set(self, region: str, alarm: Alarm, value: str, reason: str, reason_data: str) -> _Change | None:
        """The change, when it is one. The lock is held."""
        now = self.cloud.clock.now()
        old, old_reason, old_data = alarm.state, alarm.reason, alarm.reason_data
        alarm.state, alarm.reason, alarm.reason_data, alarm.state_set = value, reason, reason_data, now
        if old == value:
            return None
        alarm.state_changed = now
        data = {"oldState": _state(old, old_reason, old_data), "newState": _state(value, reason, reason_data)}
        self.note(region, alarm, "StateUpdate", f"Alarm updated from {old} to {value}", data)
        return _Change(region, alarm, old, now, alarm.described())

    def _follow(self, change: _Change, on_the_way: tuple[str, ...]) -> None:
        """What a change sets off, of which the alarm may have changed again meanwhile."""
        region, alarm, name, value = change.region, change.alarm, change.alarm.name, change.described["StateValue"]
        for watcher in tuple(self.watchers):
            watcher(region, name, value)
        for action in change.described[ACTION_LISTS[value]] if change.described["ActionsEnabled"] else ():
            outcome = run_action(self.cloud, region, change.described, change.old, action)
            self._note_action(region, alarm, outcome, change.at)
        for parent in self.parents(region, name):
            cause = f"{alarm.arn} transitioned to {value} at {_day(change.at)}"
            self._evaluate(region, parent, cause, (*on_the_way, name))

    def _evaluate(self, region: str, alarm: Composite, cause: str, on_the_way: tuple[str, ...]) -> None:
        """Finds a composite alarm's state. cause: "created", "updated", or what happened to one of its alarms.

        "The evaluation of composite alarms stops if CloudWatch detects a cycle" (API reference, PutCompositeAlarm).
        """
        if alarm.name in on_the_way:
            return
        with self.lock:
            if self.composites.get((region, alarm.name)) is not alarm:
                return
            told = [each for name in sorted(alarm.children) if (each := self.get(region, name)) is not None]
            value = "ALARM" if holds(alarm.rule, lambda named: self._state_of(region, named)) else "OK"
            if value == alarm.state:
                return
            if cause in ("created", "updated"):
                cause = f"{alarm.arn} was {cause} and its alarm rule evaluates to {value}"
            else:
                told = [each for each in told if each.name == on_the_way[-1]]
            triggering = [
                {"arn": each.arn, "state": {"value": each.state, "timestamp": stamp(each.state_changed)}}
                for each in told
            ]
            data = json.dumps({"triggeringAlarms": triggering}, separators=(",", ":"))
            # Set before one of its alarms can change again, or that change would find the state as it was.
            change = self._set(region, alarm, value, cause, data)
        if change is not None:
            self._follow(change, on_the_way)

    def _state_of(self, region: str, named: str) -> str:
        found = self.get(region, _name_of(named))
        return found.state if found is not None else "INSUFFICIENT_DATA"

    def _note_action(self, region: str, alarm: Alarm, outcome: Outcome, changed: datetime) -> None:
        data: dict[str, Any] = {
            "actionState": "Failed" if outcome.error else "Succeeded",
            "stateUpdateTimestamp": int(changed.timestamp() * 1000),
            "notificationResource": outcome.action,
            "publishedMessage": outcome.message,
        }
        summary = f"Successfully executed action {outcome.action}"
        if outcome.error:
            data["error"] = outcome.error
            summary = f'Failed to execute action {outcome.action}. Received error: "{outcome.error}"'
        with self.lock:
            self.note(region, alarm, "Action", summary, data)

    def _note_put(self, region: str, alarm: Alarm, kind: str) -> None:
        summary = f'Alarm "{alarm.name}" {kind.lower()}d'
        self.note(region, alarm, "ConfigurationUpdate", summary, {"type": kind})

    def note(self, region: str, alarm: Alarm, kind: str, summary: str, data: Mapping[str, Any]) -> None:
        item = {
            "AlarmName": alarm.name,
            "AlarmType": alarm.kind,
            "Timestamp": self.cloud.clock.now(),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", **data}),
        }
        self.history.append((region, item))


def _name_of(named: str) -> str:
    """The alarm's name in what a rule says: a name, or an ARN."""
    return named.partition(":alarm:")[2] or named


def _day(moment: datetime) -> str:
    """As composite alarms tell times: "Wednesday 10 November, 2021 02:45:55 UTC"."""
    return f"{moment:%A %d %B, %Y %H:%M:%S} UTC"


def _state(value: str, reason: str, reason_data: str) -> dict[str, Any]:
    """A state as the history writes it."""
    data = {"stateReasonData": json.loads(reason_data)} if reason_data else {}
    return {"stateValue": value, "stateReason": reason, **data}


def alarms_of(cloud: Cloud) -> Alarms:
    return state_of(cloud, Alarms)
