"""Replays the spool: records that Firehose did not take go to it again, marked as replayed.

A message leaves the queue only when Firehose took its record: the others are named in `batchItemFailures` and come
again (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). A record may so be delivered
twice; the view `predictions` has one row a request id. A message that is no record goes on as it is: the transform
refuses it, and it lies among the rejected ones, where it can be looked at.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mainstage_runtime import clients, emf

LONGEST_BATCH_BYTES = 4 * 1024 * 1024
LONGEST_BATCH = 500
"""PutRecordBatch: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html"""

Message = tuple[str, bytes]
"""Message id and record."""


class Replay:
    """Puts messages of the spool into the stream."""

    def __init__(self, firehose: Any, *, log_name: str, stream_name: str) -> None:
        self._firehose, self._log_name, self._stream_name = firehose, log_name, stream_name

    def handle(self, event: Any) -> dict[str, Any]:
        """Replies to an SQS batch. Never raises: an exception would bring the whole batch back."""
        messages = [(message["messageId"], marked(message.get("body") or "")) for message in event["Records"]]
        failed: list[str] = []
        for batch in batches(messages):
            failed += self._put(batch)
        replayed = len(messages) - len(failed)
        if messages:
            counted = {"Replayed": replayed, "ReplayFailed": len(failed)}
            emf.publish(time.time_ns() // 1_000_000, [(counted, [{"LogName": self._log_name}])])
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _put(self, batch: Sequence[Message]) -> list[str]:
        """The ids of the messages whose records were not taken."""
        try:
            reply = self._firehose.put_record_batch(
                DeliveryStreamName=self._stream_name, Records=[{"Data": record} for _, record in batch]
            )
            told = reply["RequestResponses"]
            if len(told) == len(batch):
                codes = {
                    message_id: each["ErrorCode"]
                    for (message_id, _), each in zip(batch, told, strict=True)
                    if each.get("ErrorCode")
                }
                if codes:
                    emf.note("replay_failed", error=", ".join(sorted(set(codes.values()))), records=len(codes))
                return list(codes)
            emf.note("replay_failed", error="an answer of another length")
        except Exception as error:
            emf.note("replay_failed", error=emf.error_name(error), records=len(batch))
        return [message_id for message_id, _ in batch]


def marked(body: str) -> bytes:
    """The record with `replayed` set; what is no record as it is."""
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        record = None
    if type(record) is not dict:
        return body.encode("utf-8", "surrogatepass")
    record["replayed"] = True
    return json.dumps(record, separators=(",", ":")).encode("ascii")


def batches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The messages in order, in batches that PutRecordBatch takes. A record that is too long for any goes alone."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        length = len(message[1])
        if batch and (len(batch) == LONGEST_BATCH or size + length > LONGEST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


_deployed: Replay | None = None


def _start() -> Replay:
    return Replay(
        clients.client("firehose", read_seconds=10),
        log_name=os.environ["MAINSTAGE_LOG_NAME"],
        stream_name=os.environ["MAINSTAGE_STREAM_NAME"],
    )


def handler(event: Any, context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    global _deployed
    if _deployed is None:
        _deployed = _start()
    return _deployed.handle(event)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # Lambda's Init phase
    _deployed = _start()
