"""PutRecord and PutRecordBatch: acknowledged when it lies in the stream's journal.

Sources: API reference, PutRecord and PutRecordBatch (1,000 KiB a record, 500 records, 4 MiB); guide, "Monitor Amazon
Data Firehose with CloudWatch metrics". The sentence of a batch that is too large is unconfirmed.
"""

from __future__ import annotations

import time
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.delivery.process import NAMESPACE
from infra.rehearsal.cloud.delivery.transform import record_id
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.firehose_encryption import check_key, is_encrypted
from infra.rehearsal.cloud.overlay.firehose_store import Stream, stream_named

BATCH_BYTES = 4 * 1024 * 1024


@handler("firehose", "PutRecord")
def put_record(call: Call) -> dict[str, Any]:
    started = time.perf_counter()
    stream = stream_named(call)
    first = _put(call, stream, [call.params["Record"]["Data"]], "PutRecord", started)
    return {"RecordId": record_id(first), "Encrypted": is_encrypted(stream)}


@handler("firehose", "PutRecordBatch")
def put_record_batch(call: Call) -> dict[str, Any]:
    """All records are taken or none: a part of a batch fails on AWS only by throttling, which a fault plants."""
    started = time.perf_counter()
    stream = stream_named(call)
    records = [record["Data"] for record in call.params["Records"]]
    if sum(map(len, records)) > BATCH_BYTES:
        raise AwsError("InvalidArgumentException", "Records size exceeds 4 MB limit")
    first = _put(call, stream, records, "PutRecordBatch", started)
    return {
        "FailedPutCount": 0,
        "Encrypted": is_encrypted(stream),
        "RequestResponses": [{"RecordId": record_id(first + index)} for index in range(len(records))],
    }


def _put(call: Call, stream: Stream, records: list[bytes], operation: str, started: float) -> int:
    check_key(call, stream)
    cloud = call.cloud
    at = cloud.clock.now()
    try:
        first = stream.journal.append(int(at.timestamp() * 1_000_000), records)
    except ValueError:  # it was deleted meanwhile
        raise AwsError(
            "ResourceNotFoundException", f"Firehose {stream.name} under account {call.account_id} not found."
        ) from None
    stream.process.ensure()
    size = sum(map(len, records))
    metrics: list[tuple[str, float, str]] = [
        ("IncomingRecords", len(records), "Count"),
        ("IncomingBytes", size, "Bytes"),
        ("IncomingPutRequests", 1, "Count"),
        ("ThrottledRecords", 0, "Count"),
        (f"{operation}.Requests", 1, "Count"),
        (f"{operation}.Bytes", size, "Bytes"),
        (f"{operation}.Latency", (time.perf_counter() - started) * 1000, "Milliseconds"),
    ]
    if operation == "PutRecordBatch":
        metrics.append(("PutRecordBatch.Records", len(records), "Count"))
    dimensions = {"DeliveryStreamName": stream.name}
    for name, value, unit in metrics:
        cloud.metrics.put(NAMESPACE, name, value, region=stream.region, dimensions=dimensions, unit=unit, at=at)
    return first
