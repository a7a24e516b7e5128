"""Messages of queues: sent, received, hidden and deleted one call at a time, counted, within SQS's limits.

Sources: SQS API reference (SendMessage, SendMessageBatch, ReceiveMessage); SQS Developer Guide, "Amazon SQS message
quotas", "Available CloudWatch metrics for Amazon SQS".
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.sqs_store import Queues, queues_of

MOST_BYTES = 1_048_576
"""Of a message, and of all messages of a batch together."""
_ALLOWED = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""


def name_of(call: Call) -> str:
    """The queue's name, from its URL."""
    return str(call.params["QueueUrl"]).rstrip("/").rpartition("/")[2]


def size_of(message: Mapping[str, Any]) -> int:
    """Bytes of the body and of the attributes: names, types and values."""
    total = len(message["MessageBody"].encode("utf-8", "surrogatepass"))
    for name, attribute in (message.get("MessageAttributes") or {}).items():
        value = attribute.get("StringValue", "").encode() or attribute.get("BinaryValue") or b""
        total += len(name.encode()) + len(attribute.get("DataType", "")) + len(value)
    return total


def _check_characters(message: Mapping[str, Any]) -> None:
    if not _ALLOWED.fullmatch(message["MessageBody"]):
        raise AwsError(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD"
            " | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            400,
        )


def _limit(queues: Queues, call: Call) -> int:
    queue = queues.queue(call.region, name_of(call))
    return int(queue.maximum_message_size) if queue is not None else MOST_BYTES


def _too_long(limit: int) -> AwsError:
    text = f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
    return AwsError("InvalidParameterValue", text, 400)


@handler("sqs", "SendMessage")
def send(call: Call) -> dict[str, Any]:
    """One message."""
    queues = queues_of(call.cloud)
    _check_characters(call.params)
    size, limit = size_of(call.params), _limit(queues, call)
    if size > limit:
        raise _too_long(limit)
    with queues.changed:
        output = call.cloud.to_moto(call)
        queues.changed.notify_all()
        _sent(queues, call, [size])
    return output


@handler("sqs", "SendMessageBatch")
def send_batch(call: Call) -> dict[str, Any]:
    """Up to ten messages. One that is too long or has bad characters refuses the whole batch here as moto refuses it
    (SQS may report it among Failed: unconfirmed)."""
    queues = queues_of(call.cloud)
    entries = call.params["Entries"]
    sizes = {entry["Id"]: size_of(entry) for entry in entries}
    limit = _limit(queues, call)
    if sum(sizes.values()) > MOST_BYTES:
        text = f"Batch requests cannot be longer than {MOST_BYTES} bytes. You have sent {sum(sizes.values())} bytes."
        raise AwsError("AWS.SimpleQueueService.BatchRequestTooLong", text, 400)
    for entry in entries:
        _check_characters(entry)
        if sizes[entry["Id"]] > limit:
            raise _too_long(limit)
    with queues.changed:
        output = call.cloud.to_moto(call)
        queues.changed.notify_all()
        _sent(queues, call, [sizes[entry["Id"]] for entry in output.get("Successful", ())])
    return output


def _sent(queues: Queues, call: Call, sizes: list[int]) -> None:
    name = name_of(call)
    for size in sizes:
        queues.count(call.region, name, "NumberOfMessagesSent", 1)
        queues.count(call.region, name, "SentMessageSize", size, unit="Bytes")
    queues.gauge(call.region, name)


@handler("sqs", "ReceiveMessage")
def receive(call: Call) -> dict[str, Any]:
    """Messages, or none; a long poll waits for the first one without keeping others from the queue."""
    queues = queues_of(call.cloud)
    name = name_of(call)
    queue = queues.queue(call.region, name)
    seconds = call.params.get("WaitTimeSeconds")
    if seconds is None:
        seconds = int(queue.receive_message_wait_time_seconds) if queue is not None else 0
    if not 0 <= seconds <= 20:
        text = f"Value {seconds} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided."
        raise AwsError("InvalidParameterValue", text, 400)
    at_once = replace(call, request=UNPARSED, params={**call.params, "WaitTimeSeconds": 0})
    deadline = time.monotonic() + seconds
    with queues.changed:
        while True:
            # Looked at before it is asked again: the wait itself must cost nothing.
            while queue is not None and not queue.messages and (left := deadline - time.monotonic()) > 0:
                queues.wait(left)
            output = call.cloud.to_moto(at_once)
            left = deadline - time.monotonic()
            if output.get("Messages") or left <= 0:
                break
            queues.wait(left)  # what is visible may be held back: a message of a FIFO group that is being worked on
        received = len(output.get("Messages") or ())
        if received:
            queues.count(call.region, name, "NumberOfMessagesReceived", 1, times=received)
        else:
            queues.count(call.region, name, "NumberOfEmptyReceives", 1)
        queues.gauge(call.region, name)
        dead = getattr(queues.queue(call.region, name), "dead_letter_queue", None)
        if dead is not None:
            queues.gauge(call.region, dead.name)
    return output


@handler("sqs", "DeleteMessage")
@handler("sqs", "DeleteMessageBatch")
def delete(call: Call) -> dict[str, Any]:
    """Counted also for a message that has been deleted before, as SQS counts."""
    queues = queues_of(call.cloud)
    with queues.changed:
        output = call.cloud.to_moto(call)
        deleted = len(output.get("Successful", ())) if call.operation == "DeleteMessageBatch" else 1
        if deleted:
            queues.count(call.region, name_of(call), "NumberOfMessagesDeleted", 1, times=deleted)
        queues.gauge(call.region, name_of(call))
    return output


@handler("sqs", "ChangeMessageVisibility")
@handler("sqs", "ChangeMessageVisibilityBatch")
@handler("sqs", "PurgeQueue")
def change(call: Call) -> dict[str, Any]:
    """Messages that become visible wake those who wait."""
    queues = queues_of(call.cloud)
    with queues.changed:
        output = call.cloud.to_moto(call)
        queues.changed.notify_all()
        queues.gauge(call.region, name_of(call))
    return output
