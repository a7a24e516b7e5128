"""What a prediction log hands to those who write to it, and what their roles need for that."""

from dataclasses import dataclass
from typing import TypedDict

import pulumi

from ._patterns import ARN, KEY_ARN, RESOURCE_NAME, Pattern
from ._policy import Statement, Text, via_service
from ._resolve import Reader

STREAM_NAME = Pattern(
    # https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html
    r"[a-zA-Z0-9_.-]+",
    "the name of a Firehose stream: letters, digits, _ . and -",
    maximum=64,
)
QUEUE_URL = Pattern(r"https?://[^\s/]+(/\S*)?", "the URL of an SQS queue: https://sqs.…/…/…")


class PredictionLogIdentity(TypedDict):
    """Names, ARNs and addresses of a prediction log. Whoever writes to it takes this and never rebuilds a name."""

    log_name: str
    """Name of the log; metric dimension `LogName`. Known always: names of alarms and functions follow from it."""
    stream_name: pulumi.Input[str]
    """Firehose stream that takes the records."""
    stream_arn: pulumi.Input[str]
    """ARN of the stream."""
    spool_url: pulumi.Input[str]
    """URL of the queue that takes a record when the stream does not."""
    spool_arn: pulumi.Input[str]
    """ARN of that queue."""
    kms_key_arn: pulumi.Input[str]
    """Key that the queue's messages are encrypted with."""


@dataclass(frozen=True, kw_only=True)
class LogIdentity:
    """A checked `PredictionLogIdentity`."""

    log_name: str
    stream_name: Text
    stream_arn: Text
    spool_url: Text
    spool_arn: Text
    kms_key_arn: Text


def read_log_identity(reader: Reader, field: str) -> LogIdentity:
    """Reads an argument of type `PredictionLogIdentity`. A missing one is refused when it is required."""
    section = reader.section(field, PredictionLogIdentity)
    if section is None:
        return LogIdentity(log_name="", stream_name="", stream_arn="", spool_url="", spool_arn="", kms_key_arn="")
    return LogIdentity(
        log_name=section.plain("log_name", RESOURCE_NAME),
        stream_name=section.text("stream_name", STREAM_NAME),
        stream_arn=section.text("stream_arn", ARN),
        spool_url=section.text("spool_url", QUEUE_URL),
        spool_arn=section.text("spool_arn", ARN),
        kms_key_arn=section.text("kms_key_arn", KEY_ARN),
    )


def log_write_statements(log: LogIdentity, region: str) -> list[Statement]:
    """What a role needs that writes to a log: the stream, the spool, and the spool's key."""
    return [
        Statement(
            sid="PutRecords",
            reason="each answered request becomes one record in the log's stream, and in no other",
            actions=["firehose:PutRecord"],
            resources=[log.stream_arn],
        ),
        Statement(
            sid="SpoolRecords",
            reason="a record that the stream does not take waits in the log's queue",
            actions=["sqs:SendMessage"],
            resources=[log.spool_arn],
        ),
        Statement(
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
            sid="EncryptSpooledRecords",
            reason="the queue is encrypted with this key, and SQS asks for its data keys as whoever sends",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[log.kms_key_arn],
            conditions=via_service("sqs", region),
        ),
    ]
