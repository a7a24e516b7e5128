"""Targets of EventBridge rules: functions, topics and queues. Others are refused as not carried.

Sources: EventBridge API reference, PutTargets, RemoveTargets, ListTargetsByRule; quotas: five targets a rule.
"""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.events.rules import rules_of
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page
from infra.rehearsal.cloud.overlay.events_rules import rule_named

MOST_TARGETS = 5
_CARRIED = ("lambda", "sns", "sqs")
_MEMBERS = frozenset(
    {"Id", "Arn", "Input", "InputPath", "InputTransformer", "SqsParameters", "DeadLetterConfig", "RetryPolicy"}
)
_MOST_LISTED = 100


@handler("events", "PutTargets")
def put_targets(call: Call) -> dict[str, Any]:
    """Adds targets, or replaces those of the same ids. EventBridge answers the entries that failed; here none fails
    that the call did not refuse as a whole."""
    rule = rule_named(call, call.params["Rule"])
    targets = call.params["Targets"]
    for target in targets:
        _check_carried(target)
    with rules_of(call.cloud).lock:
        if len({*rule.targets, *(target["Id"] for target in targets)}) > MOST_TARGETS:
            raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        for target in targets:
            rule.targets[target["Id"]] = dict(target)
    return {"FailedEntryCount": 0, "FailedEntries": []}


def _check_carried(target: dict[str, Any]) -> None:
    parts = arns.split(target["Arn"])
    service = parts.service if parts is not None else target["Arn"]
    if service not in _CARRIED:
        text = f"The emulated EventBridge delivers to functions, topics and queues; not to {target['Arn']}."
        raise AwsError("NotCarried", text, 501)
    others = sorted(name for name, value in target.items() if value is not None and name not in _MEMBERS)
    if others:
        # Functions, topics and queues are reached by their own policies (User Guide, eb-use-resource-based).
        text = f"The emulated EventBridge does not carry targets with {', '.join(others)}."
        raise AwsError("NotCarried", text, 501)


@handler("events", "RemoveTargets")
def remove_targets(call: Call) -> dict[str, Any]:
    """An id that is not there is no error."""
    rule = rule_named(call, call.params["Rule"])
    with rules_of(call.cloud).lock:
        for target_id in call.params["Ids"]:
            rule.targets.pop(target_id, None)
    return {"FailedEntryCount": 0, "FailedEntries": []}


@handler("events", "ListTargetsByRule")
def list_targets_by_rule(call: Call) -> dict[str, Any]:
    rule = rule_named(call, call.params["Rule"])
    with rules_of(call.cloud).lock:
        found = [dict(target) for target in rule.targets.values()]
    entries, token = page(found, call.params.get("NextToken"), call.params.get("Limit") or _MOST_LISTED)
    return {"Targets": entries, **({"NextToken": token} if token else {})}
