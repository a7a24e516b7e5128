"""The pager as a person uses it: who would be reached, and a page that says that nothing is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from mainstage.pager import SEVERITIES

from infra import settings
from infra.layers.names import platform_name
from infra.registry.target import Target

__all__ = ["SEVERITIES", "PagerError", "TestPage", "send_test_page"]

_MEANT_FOR = {"page": "whoever is woken at night", "ticket": "whoever looks in the morning"}


class PagerError(ValueError):
    """The pager is not there, or may not be used; the message says what to do."""


@dataclass(frozen=True)
class TestPage:
    """A test page that was sent."""

    __test__ = False
    """It is no test of pytest's."""

    severity: str
    topic_arn: str
    message_id: str
    confirmed: int
    """Subscriptions that receive it."""
    pending: int
    """Subscriptions whose receiver has not confirmed them: nothing arrives there."""

    @property
    def reaches_nobody(self) -> bool:
        return self.confirmed == 0


def topic_arn(target: Target, severity: str) -> str:
    """The topic of a severity in the target's account and region."""
    partition = target.session.get_partition_for_region(target.region)
    return f"arn:{partition}:sns:{target.region}:{target.account_id}:{platform_name(target.environment)}-{severity}"


def send_test_page(target: Target, root: Path, severity: str, now: datetime) -> TestPage:
    """Publishes a test page and counts who receives it. Raises PagerError.

    A subscription that its receiver has not confirmed has no ARN yet, but the words PendingConfirmation
    (https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html).
    """
    arn, sns = topic_arn(target, severity), target.client("sns")
    try:
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        arns = [each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]]
        sender = target.client("sts").get_caller_identity()["Arn"]
        subject, text = message(target, severity, arn, sender, _runbook(root, target.environment), now)
        sent = sns.publish(TopicArn=arn, Subject=subject, Message=text)
    except ClientError as error:
        raise PagerError(_why(error, arn, target)) from error
    confirmed = sum(each.startswith("arn:") for each in arns)
    return TestPage(severity, arn, sent["MessageId"], confirmed, pending=arns.count("PendingConfirmation"))


def message(target: Target, severity: str, arn: str, sender: str, runbook: str, now: datetime) -> tuple[str, str]:
    """Subject and text of a test page. Fewer than 100 characters, ASCII, begin with a letter or digit
    (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, Subject)."""
    lines: dict[str, Any] = {
        "Topic": arn,
        "Where": f"{target.environment}, account {target.account_id}, region {target.region}",
        "Sent": f"{now:%Y-%m-%d %H:%M:%S} UTC by {sender}",
        "Meant for": _MEANT_FOR[severity],
        "Do": "acknowledge it where your pager asks for it; nothing else",
        "Runbook": runbook,
    }
    text = "This is a test of the pager. Nothing is wrong.\n\n"
    return (
        f"TEST {platform_name(target.environment)} {severity}: nothing is wrong",
        text + "\n".join(f"{f'{name}:':<11}{value}" for name, value in lines.items()),
    )


def _runbook(root: Path, environment: str) -> str:
    stack = f"models-{environment}"
    loaded = settings.load(settings.stack_config(settings.stack_file(root, stack)), stack, root)
    assert isinstance(loaded, settings.ModelsSettings)
    return f"{loaded.runbook_base_url.rstrip('/')}/pager-test.md"


def _why(error: ClientError, arn: str, target: Target) -> str:
    code = error.response["Error"]["Code"]
    if code in ("NotFound", "NotFoundException"):
        return f"there is no topic {arn}; the platform layer makes it: {target.bring_up}"
    if code in ("AuthorizationError", "AccessDenied", "AccessDeniedException", "KMSAccessDenied"):
        return f"AWS refuses it ({error}); a test page needs sns:Publish on {arn} and kms:GenerateDataKey on its key"
    return str(error)
