"""What holds records while Firehose cannot take them: the spool queue, its dead letters, and the replay function."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from ._account import Account
from ._lambda_function import function_log_group, function_role, runtime_function
from ._log_names import LogNames
from ._policy import Statement, Text, document, via_service

REPLAY_MODULES = ("clients", "emf", "replay")
REPLAY_HANDLER = "mainstage_runtime.replay.handler"
REPLAY_TIMEOUT_SECONDS = 30
REPLAY_MEMORY_MIB = 256
REPLAY_CONCURRENCY = 5
"""Most replays at once: a full spool must not take the account's concurrency from the front doors."""
BATCH = 10
"""Messages in one replay, at most; fewer when they are long (Lambda takes 6 MB)."""

VISIBILITY_SECONDS = 6 * REPLAY_TIMEOUT_SECONDS
"""AWS asks for six times the function's time-out.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
RETENTION_SECONDS = 14 * 24 * 3600
"""The longest that SQS keeps a message. It counts from the first send, also in the dead-letter queue.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
RECEIVES = 20
"""Tries before a message is a dead letter: about an hour."""
LARGEST_MESSAGE_BYTES = 1024 * 1024
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""

_QUEUE_USE = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")


@dataclass(frozen=True, kw_only=True)
class Spool:
    """What the spool is made for."""

    account: Account
    log_name: str
    stream_arn: str
    kms_key_arn: Text
    log_retention_days: int
    boundary: Optional[Text]
    deletion_protection: bool
    tags: Mapping[str, Text]

    @property
    def queue_name(self) -> str:
        return LogNames(self.log_name).spool

    @property
    def queue_arn(self) -> str:
        return self.account.arn("sqs", self.queue_name)

    @property
    def dead_name(self) -> str:
        return LogNames(self.log_name).dead_letters

    @property
    def dead_arn(self) -> str:
        return self.account.arn("sqs", self.dead_name)

    @property
    def replay_name(self) -> str:
        return LogNames(self.log_name).replay


def replay_statements(spool: Spool) -> list[Statement]:
    """What the replay function needs, and the event source mapping, which polls under its role."""
    return [
        Statement(
            sid="TakeFromSpool",
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
            reason="Lambda receives and deletes messages under the function's role",
            actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            resources=[spool.queue_arn],
        ),
        Statement(
            sid="DecryptSpool",
            reason="SQS decrypts a message with the permissions of whoever receives it",
            actions=["kms:Decrypt"],
            resources=[spool.kms_key_arn],
            conditions=via_service("sqs", spool.account.region),
        ),
        Statement(
            sid="PutAgain",
            reason="what waited is put into the stream",
            actions=["firehose:PutRecordBatch"],
            resources=[spool.stream_arn],
        ),
    ]


def make_queues(
    name: str, spool: Spool, *, parent: pulumi.Resource
) -> "tuple[aws.sqs.Queue, Sequence[aws.sqs.QueuePolicy]]":
    """Makes `<name>-spool-dead` and `<name>-spool`, each with its policy. Returns the spool and the two policies."""
    dead = _queue(
        f"{name}-spool-dead",
        spool,
        spool.dead_name,
        parent,
        redrive_allow_policy=json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [spool.queue_arn]}),
    )
    queue = _queue(
        f"{name}-spool",
        spool,
        spool.queue_name,
        parent,
        redrive_policy=json.dumps({"deadLetterTargetArn": spool.dead_arn, "maxReceiveCount": RECEIVES}),
        depends_on=[dead],
    )
    policies = [
        _policy(f"{name}-spool-dead-policy", dead, spool.dead_arn, parent),
        _policy(f"{name}-spool-policy", queue, spool.queue_arn, parent),
    ]
    return queue, policies


def make_replay(
    name: str,
    spool: Spool,
    queue: "aws.sqs.Queue",
    stream: "aws.kinesis.FirehoseDeliveryStream",
    *,
    parent: pulumi.Resource,
) -> "aws.lambda_.EventSourceMapping":
    """Makes `<name>-replay-…` and `<name>-replay-source`: what waits in the spool is put into the stream again."""
    child = f"{name}-replay"
    logs = function_log_group(
        child,
        parent=parent,
        function_name=spool.replay_name,
        retention_days=spool.log_retention_days,
        kms_key_arn=spool.kms_key_arn,
        deletion_protection=spool.deletion_protection,
        tags=spool.tags,
    )
    role = function_role(
        child,
        parent=parent,
        account=spool.account,
        function_name=spool.replay_name,
        description=f"What the replay of the prediction log {spool.log_name} may do",
        statements=replay_statements(spool),
        boundary=spool.boundary,
        tags=spool.tags,
    )
    function = runtime_function(
        child,
        parent=parent,
        function_name=spool.replay_name,
        handler=REPLAY_HANDLER,
        modules=REPLAY_MODULES,
        config=None,
        environment={"MAINSTAGE_LOG_NAME": spool.log_name, "MAINSTAGE_STREAM_NAME": stream.name},
        timeout_seconds=REPLAY_TIMEOUT_SECONDS,
        memory_mib=REPLAY_MEMORY_MIB,
        role=role,
        log_group=logs,
        kms_key_arn=spool.kms_key_arn,
        description=f"Puts spooled prediction records of {spool.log_name} into the stream again",
        tags=spool.tags,
    )
    return aws.lambda_.EventSourceMapping(
        f"{child}-source",
        event_source_arn=queue.arn,
        function_name=function.name,
        enabled=True,
        batch_size=BATCH,
        # Left out, one bad message brings its whole batch back.
        function_response_types=["ReportBatchItemFailures"],
        scaling_config={"maximum_concurrency": REPLAY_CONCURRENCY},
        tags=dict(spool.tags),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[role.policy]),
    )


def _queue(
    name: str,
    spool: Spool,
    queue_name: str,
    parent: pulumi.Resource,
    *,
    redrive_policy: Optional[str] = None,
    redrive_allow_policy: Optional[str] = None,
    depends_on: Sequence[pulumi.Resource] = (),
) -> "aws.sqs.Queue":
    return aws.sqs.Queue(
        name,
        name=queue_name,
        fifo_queue=False,
        delay_seconds=0,
        max_message_size=LARGEST_MESSAGE_BYTES,
        message_retention_seconds=RETENTION_SECONDS,
        receive_wait_time_seconds=20,
        visibility_timeout_seconds=VISIBILITY_SECONDS,
        kms_master_key_id=spool.kms_key_arn,
        kms_data_key_reuse_period_seconds=300,
        redrive_policy=redrive_policy,
        redrive_allow_policy=redrive_allow_policy,
        tags=dict(spool.tags),
        # With a queue go the predictions that wait in it.
        opts=pulumi.ResourceOptions(parent=parent, protect=spool.deletion_protection, depends_on=list(depends_on)),
    )


def _policy(name: str, queue: "aws.sqs.Queue", queue_arn: str, parent: pulumi.Resource) -> "aws.sqs.QueuePolicy":
    return aws.sqs.QueuePolicy(
        name,
        queue_url=queue.url,
        policy=document(
            [
                Statement(
                    sid="RefusePlainHttp",
                    reason="what a prediction says never crosses the network in the clear",
                    effect="Deny",
                    principals={"*": []},
                    actions=[*_QUEUE_USE, "sqs:SendMessage"],
                    resources=[queue_arn],
                    conditions={"Bool": {"aws:SecureTransport": "false"}},
                )
            ]
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )
