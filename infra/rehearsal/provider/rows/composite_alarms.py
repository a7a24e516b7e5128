"""Composite alarms: internal/service/cloudwatch/composite_alarm.go.

Trap: actionsEnabled replaces, and pulumi-aws neither makes the name itself nor deletes first (provider/resources.go).
So a composite that somebody has muted is made anew under the name that it has (an upsert), and the late delete takes
away the one alarm that is left, until the next `up` misses it. Whoever registers one sets delete_before_replace.

Suppressors of actions are refused by Check, by name: the emulated cloud does not carry them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, step
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call

_ACTIONS = ("alarmActions", "insufficientDataActions", "okActions")
_MOST_ACTIONS = 5
_LONGEST = {"alarmDescription": 1024, "alarmName": 255, "alarmRule": 10_240}
_RULES = {"okActions": "OKActions"}
_PUT = Call(
    "cloudwatch",
    "PutCompositeAlarm",
    rules=_RULES,
    only=frozenset({"actionsEnabled", "alarmDescription", "alarmName", "alarmRule", *_ACTIONS}),
)


def _put(op: Operation) -> None:
    """Always the whole alarm; a foreign composite alarm of that name is overwritten in silence."""
    params = {name: value for name, value in op.params(_PUT).items() if value not in ("", [])}
    tags = {} if op.id else optional("Tags", tag_list(op.wanted_tags()))
    op.call("cloudwatch", "PutCompositeAlarm", **params, **tags)
    op.created(params["AlarmName"])


def _read(op: Operation) -> Mapping[str, Any] | None:
    found = op.call("cloudwatch", "DescribeAlarms", AlarmNames=[op.id], AlarmTypes=["CompositeAlarm"])
    if not found["CompositeAlarms"]:
        return None
    alarm = found["CompositeAlarms"][0]
    tags = op.call("cloudwatch", "ListTagsForResource", ResourceARN=alarm["AlarmArn"]).get("Tags")
    return op.shown_tags(tag_map(tags)) | {
        "actionsEnabled": alarm["ActionsEnabled"],
        "actionsSuppressor": None,
        "alarmActions": alarm["AlarmActions"],
        "alarmDescription": alarm.get("AlarmDescription") or "",
        "alarmName": alarm["AlarmName"],
        "alarmRule": alarm["AlarmRule"],
        "arn": alarm["AlarmArn"],
        "insufficientDataActions": alarm["InsufficientDataActions"],
        "okActions": alarm["OKActions"],
    }


def _delete(op: Operation) -> None:
    op.gone(lambda: op.call("cloudwatch", "DeleteAlarms", AlarmNames=[op.id]), "ResourceNotFound")


def _rules(inputs: Inputs) -> Iterable[Problem]:
    for name in _ACTIONS:
        if len(inputs.get(name) or []) > _MOST_ACTIONS:
            yield name, f"{name} takes at most {_MOST_ACTIONS} actions, got {len(inputs[name])}"
    for name, most in _LONGEST.items():
        if len(inputs.get(name) or "") > most:
            yield name, f"expected length of {name} to be at most {most}, got {len(inputs[name])}"


COMPOSITE_ALARM = Row(
    type="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    source="cloudwatch/composite_alarm.go",
    label="CloudWatch Composite Alarm",
    create=_put,
    read=_read,
    delete=_delete,
    calls=(_PUT,),
    steps=(step(_put, "alarmDescription", "alarmRule", *_ACTIONS),),
    force_new=frozenset({"actionsEnabled", "alarmName"}),
    defaults={"actionsEnabled": True},
    sets=frozenset(_ACTIONS),
    rules=(_rules,),
    tagging=listed_tagging("cloudwatch", "TagResource", "UntagResource", "ResourceARN", by_arn),
    from_id=lambda id: (id, {"alarmName": id}),
)

ROWS = (COMPOSITE_ALARM,)
