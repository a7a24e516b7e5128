"""Pager: one encrypted topic for each severity. Whoever is on call subscribes; alarms publish."""

from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._patterns import KEY_ARN, RESOURCE_NAME
from ._policy import Statement, document
from ._resolve import Reader

SEVERITIES = ("page", "ticket")
"""`page` wakes a person; `ticket` waits for the morning. Nothing else: a third severity is one that nobody acts on."""


class PagerArgs(AccountArgs):
    """Arguments of Pager."""

    kms_key_arn: pulumi.Input[str]
    """Key that encrypts the messages. Its policy has to let `cloudwatch.amazonaws.com` use it, or no page arrives."""
    topic_prefix: NotRequired[str]
    """The topics are called `<prefix>-page` and `<prefix>-ticket`. Omitted: the component's name."""
    deletion_protection: NotRequired[bool]
    """True: the topics are neither deleted nor replaced; with a topic go all its subscriptions. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    kms_key_arn: pulumi.Input[str]
    topic_prefix: str
    deletion_protection: bool
    tags: dict[str, pulumi.Input[str]]


def _resolve(name: str, args: PagerArgs) -> _Resolved:
    reader = Reader("Pager", name, args, PagerArgs)
    resolved = _Resolved(
        account=read_account(reader),
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        topic_prefix=reader.plain("topic_prefix", RESOURCE_NAME, default=name),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def topic_policy(account: Account, topic_arn: str) -> list[Statement]:
    """Who may publish. Subscribing is left to the policies of this account's people."""
    return [
        Statement(
            sid="AlarmsOfThisAccountPublish",
            reason="an alarm's action publishes as CloudWatch, not as a role: only the topic's policy can let it in",
            principals={"Service": ["cloudwatch.amazonaws.com"]},
            actions=["sns:Publish"],
            resources=[topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": account.account_id},
                "ArnLike": {"aws:SourceArn": account.arn("cloudwatch", "alarm:*")},
            },
        ),
        Statement(
            sid="RefusePlainHttp",
            reason="what a page says never crosses the network in the clear",
            effect="Deny",
            principals={"*": []},
            actions=["sns:Publish"],
            resources=[topic_arn],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
    ]


class Pager(pulumi.ComponentResource):
    """Two encrypted SNS topics, `page` and `ticket`, which this account's alarms may publish to."""

    page_topic_arn: pulumi.Output[str]
    """ARN of the topic that wakes a person. It comes after the policy that lets alarms publish."""
    ticket_topic_arn: pulumi.Output[str]
    """ARN of the topic that waits for the morning. It comes after the policy that lets alarms publish."""

    def __init__(self, name: str, args: PagerArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:Pager", name, {}, opts)
        resolved = _resolve(name, args)
        arns = {severity: self._topic(name, severity, resolved) for severity in SEVERITIES}
        self.page_topic_arn = arns["page"]
        self.ticket_topic_arn = arns["ticket"]
        self.register_outputs({"page_topic_arn": self.page_topic_arn, "ticket_topic_arn": self.ticket_topic_arn})

    def _topic(self, name: str, severity: str, resolved: _Resolved) -> pulumi.Output[str]:
        topic_name = f"{resolved.topic_prefix}-{severity}"
        topic = aws.sns.Topic(
            f"{name}-{severity}",
            name=topic_name,
            display_name=topic_name,
            kms_master_key_id=resolved.kms_key_arn,
            # Version 2 signs messages with SHA-256; left out, SNS signs with SHA-1.
            signature_version=2,
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=resolved.deletion_protection),
        )
        policy = aws.sns.TopicPolicy(
            f"{name}-{severity}-policy",
            arn=topic.arn,
            policy=document(topic_policy(resolved.account, resolved.account.arn("sns", topic_name))),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return pulumi.Output.all(topic.arn, policy.id).apply(lambda parts: parts[0])
