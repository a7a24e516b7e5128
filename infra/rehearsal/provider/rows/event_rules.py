"""EventBridge rules and their targets: internal/service/events/rule.go, target.go.

Arguments that are in no call here (schedules, roles, targets that are neither functions nor topics nor queues) are
refused by Check, by name: the emulated cloud does not run them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_json
from infra.rehearsal.provider.row import Inputs, Problem, Row, between, conflicts, matches, one_of, step, valid_json
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call
from infra.rehearsal.provider.values import is_unknown

BUS = "default"
_GONE = ("ResourceNotFoundException",)
_NAME = r"[0-9A-Za-z_.-]{1,64}"
_LONGEST_PATTERN = 4096

# -- aws:cloudwatch/eventRule:EventRule ---------------------------------------------------------------------

_PUT_RULE = Call("events", "PutRule", only=frozenset({"description", "eventBusName", "eventPattern", "name", "state"}))


def _put_rule(op: Operation) -> None:
    """Always the whole rule; a foreign rule of that name is overwritten in silence.

    Where the program gives neither state nor isEnabled none is sent, and AWS then enables the rule: one that somebody
    has switched off is seen by no refresh and switched on by the next change of anything else.
    """
    given = {} if op.inputs.get("state") or op.inputs.get("isEnabled") is None else {"State": _state(op)}
    op.send(
        _PUT_RULE,
        Name=op.id.rpartition("/")[2] or op.name_from(),
        EventPattern=_normalised(op.inputs["eventPattern"]),
        **given,
        **optional("Tags", tag_list(op.wanted_tags())),
    )


def _state(op: Operation) -> str:
    return "ENABLED" if op.inputs["isEnabled"] else "DISABLED"


def _normalised(text: str) -> str:
    """Compact JSON with keys in order, as the provider sends it and keeps it (ruleEventPatternJSONDecoder)."""
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _create_rule(op: Operation) -> None:
    _put_rule(op)
    bus, name = op.inputs["eventBusName"], op.name_from()
    op.created(name if bus == BUS else f"{bus}/{name}")


def _rule_place(op: Operation) -> dict[str, str]:
    bus, _, name = op.id.rpartition("/")
    return {"Name": name, "EventBusName": bus or BUS}


def _read_rule(op: Operation) -> Mapping[str, Any] | None:
    place = _rule_place(op)
    found = op.found(lambda: op.call("events", "DescribeRule", **place), *_GONE)
    if found is None:
        return None
    tags = op.call("events", "ListTagsForResource", ResourceARN=found["Arn"]).get("Tags")
    asked = {**op.state, **op.inputs}
    return op.shown_tags(tag_map(tags)) | {
        "arn": found["Arn"],
        "description": found.get("Description") or "",
        "eventBusName": place["EventBusName"],
        "eventPattern": _normalised(found["EventPattern"]) if found.get("EventPattern") else "",
        "isEnabled": found["State"] != "DISABLED",
        "name": found["Name"],
        "namePrefix": asked.get("namePrefix") or "",
        "roleArn": found.get("RoleArn") or "",
        "scheduleExpression": found.get("ScheduleExpression") or "",
        "state": found["State"],
    }


def _delete_rule(op: Operation) -> None:
    """Targets that others put there stand in the way: the provider waits for them to go, and then gives up."""
    force = {"Force": True} if op.state.get("forceDestroy") else {}
    op.gone(
        lambda: op.retry(
            lambda: op.call("events", "DeleteRule", **_rule_place(op), **force),
            lambda error: error.says("Rule can't be deleted since it has targets"),
            "5 min",
        ),
        *_GONE,
    )


def _rule_rules(inputs: Inputs) -> Iterable[Problem]:
    pattern = inputs.get("eventPattern")
    if not pattern and not inputs.get("scheduleExpression"):
        yield "eventPattern", "one of eventPattern and scheduleExpression must be given"
    if isinstance(pattern, str) and not is_unknown(pattern) and len(pattern) > _LONGEST_PATTERN:
        try:
            length = len(_normalised(pattern))
        except ValueError:
            return
        if length > _LONGEST_PATTERN:
            yield "eventPattern", f"eventPattern takes at most {_LONGEST_PATTERN} characters, got {length}"


def _rule_from(id: str) -> tuple[str, Mapping[str, Any]]:
    bus, _, name = id.rpartition("/")
    return id, {"name": name, "eventBusName": bus or BUS}


EVENT_RULE = Row(
    type="aws:cloudwatch/eventRule:EventRule",
    source="events/rule.go",
    label="EventBridge Rule",
    create=_create_rule,
    read=_read_rule,
    delete=_delete_rule,
    calls=(_PUT_RULE,),
    steps=(step(_put_rule, "description", "eventPattern", "isEnabled", "state"),),
    name=AutoName(max_length=64),
    force_new=frozenset({"eventBusName", "name", "namePrefix"}),
    # What a refresh finds of both is no change where the program names neither.
    computed=frozenset({"isEnabled", "name", "namePrefix", "state"}),
    defaults={"eventBusName": BUS, "forceDestroy": False},
    equal={"eventPattern": same_json},
    state_only=frozenset({"forceDestroy"}),
    never_sent=frozenset({"isEnabled", "namePrefix"}),
    rules=(
        _rule_rules,
        valid_json("eventPattern"),
        conflicts("isEnabled", "state"),
        conflicts("name", "namePrefix"),
        matches("name", _NAME, "name takes 1 to 64 of letters, digits and . - _"),
        one_of("state", "ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"),
    ),
    tagging=listed_tagging("events", "TagResource", "UntagResource", "ResourceARN", by_arn),
    from_id=_rule_from,
)

# -- aws:cloudwatch/eventTarget:EventTarget -----------------------------------------------------------------

_PUT_TARGETS = Call("events", "PutTargets", only=frozenset({"eventBusName", "rule"}))
_OF_THE_TARGET = frozenset(
    {"arn", "deadLetterConfig", "input", "inputPath", "inputTransformer", "retryPolicy", "sqsTarget"}
)
_READ_WHERE_FOUND = {
    "deadLetterConfig": ("DeadLetterConfig", {"arn": "Arn"}),
    "inputTransformer": ("InputTransformer", {"inputPaths": "InputPathsMap", "inputTemplate": "InputTemplate"}),
    "retryPolicy": (
        "RetryPolicy",
        {"maximumEventAgeInSeconds": "MaximumEventAgeInSeconds", "maximumRetryAttempts": "MaximumRetryAttempts"},
    ),
    "sqsTarget": ("SqsParameters", {"messageGroupId": "MessageGroupId"}),
}
"""Blocks: where AWS has one it is read; where AWS has none the state keeps what it had, so that a dead-letter queue or
a retry policy that somebody took away is seen by no refresh."""


def _target(op: Operation, target_id: str) -> dict[str, Any]:
    asked = op.inputs
    target: dict[str, Any] = {
        "Id": target_id,
        "Arn": asked["arn"],
        **optional("Input", asked.get("input")),
        **optional("InputPath", asked.get("inputPath")),
    }
    for name, (member, members) in _READ_WHERE_FOUND.items():
        block = asked.get(name)
        if block:
            target[member] = {ours: block[theirs] for theirs, ours in members.items() if block.get(theirs) is not None}
    if asked.get("retryPolicy"):
        # A half policy is filled with zeros: no retry at all where only the age is given, and where only the number of
        # retries is given an age that AWS refuses (expandRetryPolicyParameters).
        target["RetryPolicy"] = {"MaximumEventAgeInSeconds": 0, "MaximumRetryAttempts": 0, **target["RetryPolicy"]}
    return target


def _put_target(op: Operation) -> None:
    """Always the whole target; a foreign one of that id is overwritten in silence."""
    target_id = op.name_from("targetId", "")
    answer = op.send(_PUT_TARGETS, Targets=[_target(op, target_id)])
    for failed in answer.get("FailedEntries") or ():
        raise ApiError("events", "PutTargets", failed.get("ErrorCode") or "", f"{target_id}: {failed['ErrorMessage']}")
    bus, rule = op.inputs["eventBusName"], op.inputs["rule"]
    op.created("-".join([*([] if bus == BUS else [bus]), rule, target_id]))


def _target_place(op: Operation) -> tuple[dict[str, str], str]:
    """The rule as calls name it, and the target's id: the resource's own id cannot be taken apart."""
    asked = {**op.state, **op.inputs}
    rule, bus = str(asked["rule"]), str(asked.get("eventBusName") or BUS)
    own = asked.get("targetId") or op.id.removeprefix("" if bus == BUS else f"{bus}-").removeprefix(f"{rule}-")
    return {"Rule": rule, "EventBusName": bus}, str(own)


def _read_target(op: Operation) -> Mapping[str, Any] | None:
    place, target_id = _target_place(op)
    # A rule that is gone takes its targets along; so does a validation error, by the provider's own reading of it.
    answer = op.found(lambda: op.call("events", "ListTargetsByRule", **place, Limit=100), *_GONE, "ValidationException")
    found = next((one for one in (answer or {}).get("Targets", ()) if one["Id"] == target_id), None)
    if found is None:
        return None
    live = {
        "arn": found["Arn"],
        "eventBusName": place["EventBusName"],
        "input": found.get("Input") or "",
        "inputPath": found.get("InputPath") or "",
        "roleArn": found.get("RoleArn") or "",
        "rule": place["Rule"],
        "targetId": target_id,
    }
    for name, (member, members) in _READ_WHERE_FOUND.items():
        block = found.get(member)
        live[name] = (
            {theirs: block[ours] for theirs, ours in members.items() if block.get(ours) is not None}
            if block
            else op.inputs.get(name)
        )
    return live


def _remove_target(op: Operation) -> None:
    place, target_id = _target_place(op)
    force = {"Force": True} if op.state.get("forceDestroy") else {}
    op.gone(lambda: op.call("events", "RemoveTargets", **place, Ids=[target_id], **force), *_GONE)


def _target_from(id: str) -> tuple[str, Mapping[str, Any]]:
    """Import ids are RULE/TARGET or BUS/RULE/TARGET."""
    *bus, rule, target_id = id.split("/")
    name = bus[0] if bus else BUS
    own = "-".join([*([] if name == BUS else [name]), rule, target_id])
    return own, {"rule": rule, "targetId": target_id, "eventBusName": name}


EVENT_TARGET = Row(
    type="aws:cloudwatch/eventTarget:EventTarget",
    source="events/target.go",
    label="EventBridge Target",
    create=_put_target,
    read=_read_target,
    delete=_remove_target,
    calls=(_PUT_TARGETS,),
    steps=(step(_put_target, *sorted(_OF_THE_TARGET)),),
    name=AutoName(field="targetId", prefix_field="", max_length=255),
    force_new=frozenset({"eventBusName", "rule", "targetId"}),
    computed=frozenset({"targetId"}),
    defaults={"eventBusName": BUS, "forceDestroy": False},
    state_only=frozenset({"forceDestroy"}),
    never_sent=frozenset({"targetId"}),
    rules=(
        valid_json("input"),
        conflicts("input", "inputPath", "inputTransformer"),
        conflicts("inputPath", "inputTransformer"),
        between("retryPolicy.maximumEventAgeInSeconds", 0, 86_400),
        between("retryPolicy.maximumRetryAttempts", 0, 185),
        matches("rule", _NAME, "rule takes 1 to 64 of letters, digits and . - _"),
        matches("targetId", _NAME, "targetId takes 1 to 64 of letters, digits and . - _"),
    ),
    from_id=_target_from,
)

ROWS = (EVENT_RULE, EVENT_TARGET)
