"""The delivering process of one stream. `python -m infra.rehearsal.cloud.delivery.worker`, started by process.py.

It speaks JSON lines with the cloud's process: its standard input brings what to do (start, settings, the clock's
offset, flush, credentials), its standard output takes what happened (metrics, flushed, asks for credentials). The end
of its standard input ends it, so that it never outlives the cloud. It holds nothing that the journal does not hold: it
may be killed at any moment.
"""

from __future__ import annotations

import gzip
import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.rehearsal.cloud import guard
from infra.rehearsal.cloud.delivery.buffers import (
    CONVERSION_FAILED,
    MOST_PARTITIONS,
    PARTITIONS_EXCEEDED,
    PROCESSING_FAILED,
    Buffer,
    Item,
    Key,
    Sealed,
    arrival,
    conversion_error,
    first_batch,
    processing_error,
)
from infra.rehearsal.cloud.delivery.channel import Channel
from infra.rehearsal.cloud.delivery.clients import Clients, NoSchema, RoleRefused, table_columns
from infra.rehearsal.cloud.delivery.journal import Delivered, Entry, Reader
from infra.rehearsal.cloud.delivery.prefixes import MissingKey, PrefixError, expressions
from infra.rehearsal.cloud.delivery.settings import Settings, Transform
from infra.rehearsal.cloud.delivery.transform import Failed, transform

TICK_SECONDS = 0.05
"""How often the journal, the buffers' ages and waiting repetitions are looked at."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
"""Between two attempts at an object, by the cloud's clock; AWS documents no interval."""
GIVE_UP_SECONDS = 24 * 3600
"""After a day of refusals by S3 the data is lost (guide, "Handle data delivery failures"); RetryOptions of a partition
end nothing before (unconfirmed). Error objects are tried for ever ("Handling errors for data format conversion")."""
FRESHNESS_SECONDS = 60


class Worker:
    def __init__(self, start: Mapping[str, Any], channel: Channel):
        folder = Path(start["folder"])
        self.channel = channel
        self.settings = Settings.from_json(start["settings"])
        self.offset = timedelta(seconds=start["offset"])
        self.clients = Clients(start["url"], channel.credentials, self.now)
        self.delivered = Delivered(folder)
        self.reader = Reader(folder, self.delivered.before())
        self.pending: dict[int, int] = {}
        """Arrival of every record that was read and not delivered, oldest first."""
        self.incoming: list[Entry] = []
        self.incoming_size = 0
        self.incoming_since = self.now()
        self.hold_until = self.incoming_since
        self.buffers: dict[Key, Buffer] = {}
        self.outbox: list[Sealed] = []
        self.fresh_at = self.now()

    def now(self) -> datetime:
        """The cloud's time: this machine's and the offset that the cloud's process tells."""
        return datetime.now(UTC) + self.offset

    def run(self) -> None:
        while True:
            for message in self.channel.messages(TICK_SECONDS):
                self.obey(message)
            self.step()

    def obey(self, message: Mapping[str, Any]) -> None:
        if "offset" in message:
            self.offset = timedelta(seconds=message["offset"])
        if "settings" in message:
            self.settings = Settings.from_json(message["settings"])
        if "flush" in message:
            self.flush()
            self.channel.send({"flushed": message["flush"], "left": len(self.pending)})

    def step(self) -> None:
        """What is due now."""
        self.take_journal()
        now = self.now()
        transforming = self.settings.transform
        if self.incoming and now >= self.hold_until:
            waited = (now - self.incoming_since).total_seconds()
            if transforming is None or waited >= transforming.interval_seconds:
                self.transform_incoming()
        for key in [key for key, buffer in self.buffers.items() if buffer.due(self.settings, now)]:
            self.seal(key)
        self.ship(forced=False)
        if self.pending and (now - self.fresh_at).total_seconds() >= FRESHNESS_SECONDS:
            self.post_freshness()

    def flush(self) -> None:
        """Everything that the journal holds now, whatever the buffers' hints say; one attempt at each object."""
        self.take_journal()
        if self.incoming:
            self.transform_incoming()
        for forced in (True, False):  # the first round may make error records
            for key in list(self.buffers):
                self.seal(key)
            self.ship(forced=forced)

    # -- from the journal through the transform ---------------------------------------------------------------

    def take_journal(self) -> None:
        while entries := self.reader.read():
            for entry in entries:
                self.pending[entry.number] = entry.arrived_us
                self.take(entry)

    def take(self, entry: Entry) -> None:
        transforming = self.settings.transform
        if transforming is None:
            self.route(entry, entry.data, {})
            return
        if not self.incoming:
            # A process that starts again does not begin the wait again.
            self.incoming_since = arrival(entry.arrived_us)
        elif self.incoming_size + len(entry.data) > transforming.size_bytes and self.now() >= self.hold_until:
            self.transform_incoming()
            self.incoming_since = arrival(entry.arrived_us)
        self.incoming.append(entry)
        self.incoming_size += len(entry.data)

    def transform_incoming(self) -> None:
        """Everything that came in, in batches of the processor's buffer size."""
        while self.incoming:
            transforming = self.settings.transform
            if transforming is None:  # taken away by an update
                batch = self.incoming
                for entry in batch:
                    self.route(entry, entry.data, {})
            else:
                batch = first_batch(self.incoming, transforming.size_bytes)
                try:
                    self.transform_batch(batch, transforming)
                except RoleRefused as refusal:
                    self.log("Lambda.AssumeRoleAccessDenied", str(refusal))
                    self.hold_until = self.now() + timedelta(seconds=FIRST_WAIT_SECONDS)
                    return
            self.incoming = self.incoming[len(batch) :]
            self.incoming_size -= sum(len(entry.data) for entry in batch)

    def transform_batch(self, batch: list[Entry], transforming: Transform) -> None:
        settings = self.settings
        outcome = transform(settings, batch, lambda: self.clients.client(transforming.role, "lambda", settings.region))
        metrics: list[tuple[str, float, str]] = []
        for successful, milliseconds in outcome.attempts:
            metrics.append(("ExecuteProcessing.Success", int(successful), "Count"))
            metrics.append(("ExecuteProcessing.Duration", milliseconds, "Milliseconds"))
        if outcome.ok or outcome.dropped:
            size = sum(len(one.data) for one in outcome.ok)
            metrics.append(("SucceedProcessing.Records", len(outcome.ok) + len(outcome.dropped), "Count"))
            metrics.append(("SucceedProcessing.Bytes", size, "Bytes"))
        self.post(metrics)
        if outcome.error is not None:
            self.log(outcome.error.code, outcome.error.message, processor=transforming.function)
        for failed in outcome.failed:
            self.fail(failed)
        for one in outcome.ok:
            self.route(one.entry, one.data, one.keys)
        self.finish([entry.number for entry in outcome.dropped])

    def fail(self, failed: Failed) -> None:
        item = processing_error(
            failed.entry.number,
            failed.entry.arrived_us,
            failed.entry.data,
            code=failed.code,
            message=failed.message,
            attempts=failed.attempts,
            now=self.now(),
            function=self.settings.transform.function if self.settings.transform else "",
        )
        self.buffer((PROCESSING_FAILED, ()), item)

    def route(self, entry: Entry, data: bytes, keys: Mapping[str, str]) -> None:
        """Into the buffer of its partition. A record without a partition key goes to the error prefix."""
        key: Key = ("", ())
        if self.settings.partitioned:
            wanted = [
                one.value for one in expressions(self.settings.prefix) if one.namespace.startswith("partitionKey")
            ]
            missing = [name for name in wanted if not keys.get(name)]
            if missing:
                self.reject(
                    entry, PROCESSING_FAILED, "DynamicPartitioning.MetadataExtractionFailed",
                    f"partitionKeys values must not be null or empty: {', '.join(missing)}",
                )  # fmt: skip
                return
            key = ("", tuple(sorted((name, keys[name]) for name in set(wanted))))
            active = sum(1 for error_type, _ in self.buffers if not error_type)
            if key not in self.buffers and active >= MOST_PARTITIONS:
                self.post([("PartitionCountExceeded", 1, "Count")])
                self.reject(
                    entry, PARTITIONS_EXCEEDED, "DynamicPartitioning.ActivePartitionLimitExceeded",
                    f"The stream has {MOST_PARTITIONS} active partitions.",
                )  # fmt: skip
                return
        since = self.now() if self.settings.transform else arrival(entry.arrived_us)
        self.buffer(key, Item(entry.number, entry.arrived_us, data), since)

    def reject(self, entry: Entry, error_type: str, code: str, message: str) -> None:
        item = processing_error(
            entry.number, entry.arrived_us, entry.data, code=code, message=message, attempts=1, now=self.now(),
            function="",
        )  # fmt: skip
        self.buffer((error_type, ()), item)

    def buffer(self, key: Key, item: Item, since: datetime | None = None) -> None:
        """since: from when on a new buffer waits; now when left out."""
        buffer = self.buffers.get(key)
        if buffer is None:
            buffer = self.buffers[key] = Buffer(since or self.now())
        buffer.add(item)
        if buffer.size >= self.settings.size_bytes:
            self.seal(key)

    def seal(self, key: Key) -> None:
        self.outbox.append(Sealed(key, self.buffers.pop(key).items))

    # -- to S3 ----------------------------------------------------------------------------------------------

    def ship(self, *, forced: bool) -> None:
        """Tries the objects whose time has come; all of them when forced."""
        now = self.now()
        trying = [sealed for sealed in self.outbox if forced or sealed.next_try is None or now >= sealed.next_try]
        if not trying:
            return
        if self.settings.partitioned:
            count = sum(1 for sealed in self.outbox if not sealed.error_type)
            self.post([("PartitionCount", count + sum(1 for kind, _ in self.buffers if not kind), "Count")])
        for sealed in trying:
            if self.try_object(sealed):
                self.outbox.remove(sealed)
        self.post_freshness()

    def try_object(self, sealed: Sealed) -> bool:
        """True when the object needs no further attempt."""
        sealed.attempts += 1
        try:
            self.make_body(sealed)
            if sealed.body is not None:
                self.put(sealed)
        except (ClientError, BotoCoreError, RoleRefused, NoSchema) as failure:
            return self.put_off(sealed, failure)
        except (MissingKey, PrefixError) as failure:
            for item in sealed.items:
                self.reject(
                    Entry(item.number, item.arrived_us, item.data), PROCESSING_FAILED,
                    "DynamicPartitioning.MetadataExtractionFailed", str(failure),
                )  # fmt: skip
            return True
        return True

    def put(self, sealed: Sealed) -> None:
        settings, body = self.settings, sealed.body
        assert body is not None
        s3 = self.clients.client(settings.role, "s3", settings.region)
        # The bucket's region comes first: the guide's policy for the role lists s3:GetBucketLocation.
        s3.get_bucket_location(Bucket=settings.bucket)
        options = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.key} if settings.key else {}
        s3.put_object(Bucket=settings.bucket, Key=sealed.name(settings), Body=body, **options)
        numbers = [item.number for item in sealed.items]
        self.finish(numbers)
        if not sealed.error_type:
            self.post(
                [
                    ("DeliveryToS3.Success", 1, "Count"),
                    ("DeliveryToS3.Records", len(numbers), "Count"),
                    ("DeliveryToS3.Bytes", len(body), "Bytes"),
                ]
            )

    def put_off(self, sealed: Sealed, failure: Exception) -> bool:
        now = self.now()
        code, message = _described(failure)
        self.log(code, message)
        if not sealed.error_type:
            self.post([("DeliveryToS3.Success", 0, "Count")])
        sealed.first_failure = sealed.first_failure or now
        if not sealed.error_type and (now - sealed.first_failure).total_seconds() >= GIVE_UP_SECONDS:
            self.finish([item.number for item in sealed.items])
            return True
        wait = min(FIRST_WAIT_SECONDS * 2 ** (sealed.attempts - 1), LONGEST_WAIT_SECONDS)
        sealed.next_try = now + timedelta(seconds=wait)
        return False

    def make_body(self, sealed: Sealed) -> None:
        """Converts once. Records that do not convert leave for the error prefix; with none left there is no body."""
        if sealed.body is not None:
            return
        conversion = self.settings.conversion
        if sealed.error_type or conversion is None:
            joined = b"".join(item.data for item in sealed.items)
            sealed.body = gzip.compress(joined) if self.settings.gzip else joined
            return
        from infra.rehearsal.cloud.delivery.parquet import converted  # pyarrow, where it is needed only

        columns = table_columns(conversion, self.clients.client(conversion.role, "glue", conversion.region))
        done = converted(conversion, sealed.items, columns)
        failed = [
            conversion_error(item, code=code, message=message, now=self.now(), table=done.table)
            for item, code, message in done.failed
        ]
        self.post(done.metrics)
        if done.failed:
            self.log(done.failed[0][1], done.failed[0][2])
        for item in failed:
            self.buffer((CONVERSION_FAILED, ()), item)
        sealed.items, sealed.body = done.items, done.body

    def finish(self, numbers: list[int]) -> None:
        """Notes records as delivered, on disk."""
        self.delivered.note(numbers)
        for number in numbers:
            self.pending.pop(number, None)
        self.reader.forget(next(iter(self.pending), self.reader.next))

    # -- what others see ------------------------------------------------------------------------------------

    def post(self, metrics: list[tuple[str, float, str]]) -> None:
        if metrics:
            self.channel.send({"metrics": metrics})

    def post_freshness(self) -> None:
        now = self.now()
        self.fresh_at = now
        oldest = next(iter(self.pending.values()), None)
        age = 0.0 if oldest is None else max(0.0, now.timestamp() - oldest / 1_000_000)
        self.post([("DeliveryToS3.DataFreshness", age, "Seconds")])

    def log(self, code: str, message: str, *, processor: str = "") -> None:
        """One line to the stream's error log, under its role. Firehose guarantees no error log: what Logs refuses is
        lost (guide, "Monitor Amazon Data Firehose using CloudWatch Logs"). Both group and stream must be there."""
        settings = self.settings
        if not settings.log_group or not settings.log_stream:
            return
        line = {
            "deliveryStreamARN": settings.arn,
            "destination": f"arn:aws:s3:::{settings.bucket}",
            "deliveryStreamVersionId": int(settings.version),
            "message": message,
            "errorCode": code,
            **({"processor": processor} if processor else {}),
        }
        event = {"timestamp": int(self.now().timestamp() * 1000), "message": json.dumps(line)}
        try:
            logs = self.clients.client(settings.role, "logs", settings.region)
            logs.put_log_events(logGroupName=settings.log_group, logStreamName=settings.log_stream, logEvents=[event])
        except (ClientError, BotoCoreError, RoleRefused) as refusal:
            print(f"{settings.stream}: an error log was refused: {refusal}", file=sys.stderr)


def _described(failure: Exception) -> tuple[str, str]:
    if isinstance(failure, ClientError):
        return f"S3.{failure.response['Error']['Code']}", failure.response["Error"]["Message"]
    if isinstance(failure, NoSchema):
        return failure.code, failure.message
    if isinstance(failure, RoleRefused):
        return "S3.AccessDenied", str(failure)
    return "InternalError", str(failure)


def main() -> None:
    guard.install()
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints must not disturb the reports
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            inbox.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, name="inbox", daemon=True).start()
    channel = Channel(inbox, reports)
    Worker(inbox.get(), channel).run()


if __name__ == "__main__":
    main()
