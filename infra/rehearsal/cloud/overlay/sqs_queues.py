"""Attributes of queues that moto drops or shows wrongly, and whom a dead-letter queue serves.

Sources: SQS API reference, CreateQueue, SetQueueAttributes, GetQueueAttributes; SQS Developer Guide, "Dead-letter
queues".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.resource_policies import find_queue
from infra.rehearsal.cloud.overlay import after, before, handler
from infra.rehearsal.cloud.overlay.sqs_messages import name_of
from infra.rehearsal.cloud.overlay.sqs_store import queues_of

REDRIVE_PERMISSIONS = ("allowAll", "byQueue", "denyAll")


def _invalid(name: str, value: Any, reason: str = "") -> AwsError:
    text = f"Value {value} for parameter {name} is invalid." + (f" Reason: {reason}" if reason else "")
    return AwsError("InvalidParameterValue", text, 400)


@before("sqs", "CreateQueue")
@before("sqs", "SetQueueAttributes")
def attributes(call: Call) -> None:
    """Redrive policies must fit each other; both kinds of encryption exclude each other."""
    queues_of(call.cloud)
    asked: Mapping[str, str] = call.params.get("Attributes") or {}
    if asked.get("KmsMasterKeyId") and asked.get("SqsManagedSseEnabled") == "true":
        raise AwsError(
            "InvalidAttributeValue",
            "You can use one type of server-side encryption (SSE) at one time. You can either "
            "enable KMS SSE or SQS SSE.",
            400,
        )
    name = call.params.get("QueueName") or name_of(call)
    if asked.get("RedriveAllowPolicy"):
        _check_allow_policy(asked["RedriveAllowPolicy"])
    if asked.get("RedrivePolicy"):
        _check_redrive(call, name, asked["RedrivePolicy"])


def _parsed(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _invalid(name, text, "Redrive policy is not a valid JSON map.")
    return found


def _check_allow_policy(text: str) -> None:
    policy = _parsed("RedriveAllowPolicy", text)
    if policy.get("redrivePermission") not in REDRIVE_PERMISSIONS:
        raise _invalid(
            "RedriveAllowPolicy", text, f"redrivePermission must be one of {', '.join(REDRIVE_PERMISSIONS)}."
        )
    sources = policy.get("sourceQueueArns")
    if (policy["redrivePermission"] == "byQueue") != bool(sources):
        raise _invalid("RedriveAllowPolicy", text, "sourceQueueArns goes with byQueue, and only with it.")
    if len(sources or ()) > 10:
        raise _invalid("RedriveAllowPolicy", text, "at most 10 sourceQueueArns.")


def _check_redrive(call: Call, name: str, text: str) -> None:
    policy = _parsed("RedrivePolicy", text)
    target = policy.get("deadLetterTargetArn")
    count = str(policy.get("maxReceiveCount", ""))
    if not target or not count:
        return  # moto says which is missing
    if not count.isdecimal() or not 1 <= int(count) <= 1000:
        raise _invalid("RedrivePolicy", text, "Invalid value for maxReceiveCount: must be between 1 and 1000.")
    parts = arns.split(target)
    if parts is None or parts.region != call.region or parts.account_id != call.account_id:
        raise _invalid("RedrivePolicy", text, "Dead-letter target owner should be same as the source.")
    dead = find_queue(target)
    if dead is None:
        raise _invalid("RedrivePolicy", text, "Dead letter target does not exist.")
    allow = json.loads(getattr(dead, "redrive_allow_policy", None) or "{}")
    own = f"{target.rpartition(':')[0]}:{name}"
    kind = allow.get("redrivePermission", "allowAll")
    if kind == "denyAll" or (kind == "byQueue" and own not in allow.get("sourceQueueArns", ())):
        raise _invalid(
            "RedrivePolicy", text, "Queue is not allowed to use this dead-letter queue: its RedriveAllowPolicy."
        )


@handler("sqs", "GetQueueAttributes")
def shown(call: Call) -> dict[str, Any]:
    """With RedriveAllowPolicy, which moto does not know, and without claiming SQS's own encryption beside KMS."""
    queue = queues_of(call.cloud).queue(call.region, name_of(call))
    names = list(call.params.get("AttributeNames") or ())
    extra = "RedriveAllowPolicy"
    if queue is None or extra not in names:
        output = call.cloud.to_moto(call)
    else:
        output = _without(call, [name for name in names if name != extra])
    found = dict(output.get("Attributes") or {})
    allow = getattr(queue, "redrive_allow_policy", None)
    if allow and {extra, "All"} & set(names):
        found[extra] = allow
    if getattr(queue, "kms_master_key_id", None) and "SqsManagedSseEnabled" in found:
        found["SqsManagedSseEnabled"] = "false"
    return {"Attributes": found} if found else {}


def _without(call: Call, names: list[str]) -> dict[str, Any]:
    if not names:
        return {}
    return call.cloud.to_moto(replace(call, request=UNPARSED, params={**call.params, "AttributeNames": names}))


@handler("sqs", "SetQueueAttributes")
def change(call: Call) -> dict[str, Any]:
    """moto takes the policy away whenever another attribute is set. An empty text takes an attribute away; the two
    encryptions switch each other off."""
    queues = queues_of(call.cloud)
    asked = call.params.get("Attributes") or {}
    with queues.changed:
        queue = queues.queue(call.region, name_of(call))
        policy = queue.policy if queue is not None else None
        output = call.cloud.to_moto(call)
        if queue is not None:
            if "Policy" not in asked:
                queue.policy = policy
            if asked.get("KmsMasterKeyId"):
                queue.sqs_managed_sse_enabled = False
            elif asked.get("SqsManagedSseEnabled") == "true":
                queue.kms_master_key_id = None
            if asked.get("RedriveAllowPolicy") == "":
                queue.redrive_allow_policy = None
        queues.changed.notify_all()
    return output


@after("sqs", "CreateQueue")
def filled(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """A queue begins with gauges, as SQS publishes them from its first activity on."""
    queues_of(call.cloud).gauge(call.region, call.params["QueueName"])
    return output
