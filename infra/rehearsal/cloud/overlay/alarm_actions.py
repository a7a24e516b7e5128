"""What an alarm does when its state changes: the message that CloudWatch publishes, as CloudWatch itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.alarm_words import stamp
from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.door import UNPARSED

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

SERVICE = "cloudwatch.amazonaws.com"
_REGION_NAMES = {
    "eu-central-1": "EU (Frankfurt)",
    "eu-west-1": "EU (Ireland)",
    "us-east-1": "US East (N. Virginia)",
    "us-west-2": "US West (Oregon)",
}
"""As CloudWatch writes them in messages; other regions appear by their code."""


@dataclass(frozen=True)
class Outcome:
    """How one action ended: `error` is empty when it worked, `message` is what was published."""

    action: str
    message: str
    error: str = ""


def run_action(cloud: Cloud, region: str, alarm: Mapping[str, Any], old_state: str, action: str) -> Outcome:
    """Runs one action of an alarm that has just changed its state. Only SNS topics are carried."""
    message = json.dumps(alarm_message(alarm, old_state, account_id=cloud.account_id, region=region))
    if action.split(":")[2:3] != ["sns"]:
        return Outcome(action, "", f"The emulated cloud runs SNS actions only; {action} was not executed")
    principal = Principal(
        kind="service",
        arn=SERVICE,
        account_id=cloud.account_id,
        context={"aws:SourceArn": alarm["AlarmArn"], "aws:SourceAccount": cloud.account_id},
    )
    subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {_REGION_NAMES.get(region, region)}'
    # A subject is at most 100 characters long (SNS API reference, Publish); alarm names may have 255.
    asked = {"TopicArn": action, "Subject": subject[:100], "Message": message}
    try:
        cloud.answer(Call(cloud, "sns", "Publish", asked, action.split(":")[3], principal, UNPARSED))
    except AwsError as refusal:
        return Outcome(action, message, _worded(cloud, refusal, alarm["AlarmArn"], action))
    return Outcome(action, message)


def _worded(cloud: Cloud, refusal: AwsError, alarm_arn: str, topic_arn: str) -> str:
    """The error as an alarm's history shows it (repost.aws, cloudwatch-receive-sns-for-alarm-trigger).

    A topic that is gone admits nobody any more; that it is gone is what a person must hear (SNS's own words; that
    CloudWatch shows them is unconfirmed).
    """
    if refusal.code not in ("AuthorizationError", "AccessDenied", "AccessDeniedException"):
        return refusal.message
    try:
        cloud.client("sns", topic_arn.split(":")[3]).get_topic_attributes(TopicArn=topic_arn)
    except ClientError as missing:
        return missing.response["Error"]["Message"]
    return f"Resource: {alarm_arn} is not authorized to perform: SNS:Publish on resource: {topic_arn}"


def alarm_message(alarm: Mapping[str, Any], old_state: str, *, account_id: str, region: str) -> dict[str, Any]:
    """The JSON text of an alarm notification: the members that CloudWatch sends to a topic."""
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": account_id,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": stamp(alarm["StateTransitionedTimestamp"]),
        "Region": _REGION_NAMES.get(region, region),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old_state,
        "OKActions": alarm["OKActions"],
        "AlarmActions": alarm["AlarmActions"],
        "InsufficientDataActions": alarm["InsufficientDataActions"],
        **(_composed(alarm) if "AlarmRule" in alarm else {"Trigger": _trigger(alarm)}),
    }


def _composed(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """What a composite alarm tells instead of a metric (messages that users have published)."""
    triggering = json.loads(alarm.get("StateReasonData") or "{}").get("triggeringAlarms", ())
    children = [
        {
            "Arn": each["arn"],
            "State": {"Value": each["state"]["value"], "Timestamp": each["state"]["timestamp"]},
        }
        for each in triggering
    ]
    return {"AlarmRule": alarm["AlarmRule"], "TriggeringChildren": children}


def _trigger(alarm: Mapping[str, Any]) -> dict[str, Any]:
    trigger: dict[str, Any] = {
        "Period": alarm.get("Period"),
        "EvaluationPeriods": alarm.get("EvaluationPeriods"),
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm"),
        "ComparisonOperator": alarm.get("ComparisonOperator"),
        "Threshold": alarm.get("Threshold"),
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": alarm.get("EvaluateLowSampleCountPercentile", ""),
    }
    if alarm.get("Metrics"):
        return {**trigger, "Metrics": alarm["Metrics"]}
    extended = alarm.get("ExtendedStatistic")
    return {
        "MetricName": alarm.get("MetricName"),
        "Namespace": alarm.get("Namespace"),
        "StatisticType": "ExtendedStatistic" if extended else "Statistic",
        **({"ExtendedStatistic": extended} if extended else {"Statistic": str(alarm.get("Statistic")).upper()}),
        "Unit": alarm.get("Unit"),
        "Dimensions": [{"value": entry["Value"], "name": entry["Name"]} for entry in alarm["Dimensions"]],
        **trigger,
    }
