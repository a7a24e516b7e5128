"""One delivery of an event to a target, as events.amazonaws.com: the target's policy and its key must allow it.

Sources: EventBridge User Guide, "Using resource-based policies" (eb-use-resource-based.html), "How EventBridge retries
delivering events" (eb-rule-retry-policy.html) and "Using dead-letter queues" (eb-rule-dlq.html).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.iam import arns

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

SERVICE = "events.amazonaws.com"
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "KMSAccessDenied"})
_GONE = frozenset(
    {"ResourceNotFoundException", "NotFound", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
)


@dataclass
class Delivery:
    """An event on its way to one target."""

    region: str
    rule_arn: str
    target: dict[str, Any]
    text: str
    """What the target gets."""
    event: str
    """The whole event, which is what a dead-letter queue gets."""
    at: datetime
    attempts: int = 0


@dataclass(frozen=True)
class Refusal:
    """Why a delivery failed. `code` is that of a dead letter's ERROR_CODE."""

    code: str
    message: str
    retriable: bool = field(default=False)


def deliver(cloud: Cloud, delivery: Delivery) -> Refusal | None:
    """Tries once. None when the target took the event: for a function that is its queue, not its run."""
    target = arns.split(delivery.target["Arn"])
    assert target is not None
    try:
        if target.service == "lambda":
            name = delivery.target["Arn"]
            _call(
                cloud,
                delivery,
                "lambda",
                "Invoke",
                FunctionName=name,
                InvocationType="Event",
                Payload=delivery.text.encode(),
            )
        elif target.service == "sns":
            _call(cloud, delivery, "sns", "Publish", TopicArn=delivery.target["Arn"], Message=delivery.text)
        else:
            group = (delivery.target.get("SqsParameters") or {}).get("MessageGroupId")
            more = {"MessageGroupId": group} if group else {}
            _send(cloud, delivery, delivery.target["Arn"], MessageBody=delivery.text, **more)
    except AwsError as error:
        return _refusal(error)
    return None


def bury(cloud: Cloud, delivery: Delivery, refusal: Refusal, condition: str) -> Refusal | None:
    """Sends the event to the target's dead-letter queue. None when the queue took it. condition: which limit of the
    retries was met, empty for none."""
    told = {
        "RULE_ARN": delivery.rule_arn,
        "TARGET_ARN": delivery.target["Arn"],
        "ERROR_CODE": refusal.code,
        "ERROR_MESSAGE": refusal.message[:1024],
        "EXHAUSTED_RETRY_CONDITION": condition,
        "RETRY_ATTEMPTS": str(delivery.attempts - 1),
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items() if value}
    try:
        _send(
            cloud,
            delivery,
            delivery.target["DeadLetterConfig"]["Arn"],
            MessageBody=delivery.event,
            MessageAttributes=attributes,
        )
    except AwsError as error:
        return _refusal(error)
    return None


def _send(cloud: Cloud, delivery: Delivery, queue_arn: str, **params: Any) -> None:
    _, _, _, region, account, name = queue_arn.split(":")
    url = f"https://sqs.{region}.amazonaws.com/{account}/{name}"
    _call(cloud, delivery, "sqs", "SendMessage", QueueUrl=url, **params)


def _call(cloud: Cloud, delivery: Delivery, service: str, operation: str, /, **params: Any) -> None:
    principal = Principal(
        kind="service",
        arn=SERVICE,
        account_id=cloud.account_id,
        context={"aws:SourceArn": delivery.rule_arn, "aws:SourceAccount": cloud.account_id},
    )
    cloud.answer(Call(cloud, service, operation, params, delivery.region, principal, UNPARSED))


def _refusal(error: AwsError) -> Refusal:
    """Missing permissions and missing targets are not tried again (eb-rule-dlq.html)."""
    if error.code in _DENIED or error.code.endswith("AccessDeniedException"):
        return Refusal("NO_PERMISSIONS", error.message)
    if error.code in _GONE:
        return Refusal("NO_RESOURCE", error.message)
    if error.status == 429 or error.code.startswith("Throttl"):
        return Refusal("THROTTLING", error.message, retriable=True)
    return Refusal("ERROR_FROM_TARGET", error.message, retriable=error.status >= 500)
