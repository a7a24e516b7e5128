"""PutCompositeAlarm.

Sources: CloudWatch API reference, PutCompositeAlarm; awsdocs/aws-cloudformation-user-guide issue 911 has the words for
alarms that do not exist. Suppressors of actions are not carried.
"""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.composite_rules import NotCarriedRule, RuleError, alarms_in, parse
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.alarm_store import COMPOSITE, alarms_of
from infra.rehearsal.cloud.overlay.answers import arn, tags_of

_NOT_CARRIED = (
    "ActionConfiguration",
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
)


@handler("cloudwatch", "PutCompositeAlarm")
def put_composite_alarm(call: Call) -> dict[str, Any]:
    """A new alarm starts in INSUFFICIENT_DATA and is evaluated at once; an existing one keeps its state and its tags,
    and is evaluated too. Alarms may name each other in a circle, as in AWS: then no evaluation goes round, and none of
    them can be deleted."""
    asked = call.params
    for member in _NOT_CARRIED:
        if asked.get(member) is not None:
            text = f"The emulated CloudWatch does not carry composite alarms with {member}."
            raise AwsError("NotCarried", text, 501)
    try:
        rule = parse(asked["AlarmRule"])
    except RuleError as refusal:
        raise AwsError("ValidationError", str(refusal)) from refusal
    except NotCarriedRule as refusal:
        text = f"The emulated CloudWatch does not carry {refusal} in rules of composite alarms."
        raise AwsError("NotCarried", text, 501) from refusal
    name, alarms = asked["AlarmName"], alarms_of(call.cloud)
    found = alarms.get(call.region, name)
    if found is not None and found.kind != COMPOSITE:
        # A name stands once in a region (API reference); the words are unconfirmed.
        raise AwsError("ValidationError", f"A metric alarm with the name {name} exists")
    missing = [named for named in alarms_in(rule) if not _is_there(call, named)]
    if missing:
        listed = ", ".join(missing)
        raise AwsError(
            "ValidationError", f"Could not save the composite alarm as alarms [{listed}] in the alarm rule do not exist"
        )
    alarms.put_composite(call.region, arn(call, f"alarm:{name}"), asked, tags_of(asked.get("Tags")))
    return {}


def _is_there(call: Call, named: str) -> bool:
    """By name, or by an ARN of this account and region."""
    name = named.removeprefix(arn(call, "alarm:"))
    return alarms_of(call.cloud).get(call.region, name) is not None
