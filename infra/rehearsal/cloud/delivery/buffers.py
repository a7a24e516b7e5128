"""Records on their way to an object: a buffer that fills, and the object that is made of it."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from infra.rehearsal.cloud.delivery import prefixes
from infra.rehearsal.cloud.delivery.journal import Entry
from infra.rehearsal.cloud.delivery.settings import Settings

PROCESSING_FAILED = "processing-failed"
CONVERSION_FAILED = "format-conversion-failed"
PARTITIONS_EXCEEDED = "activePartitionExceeded"
MOST_PARTITIONS = 500
"""https://docs.aws.amazon.com/firehose/latest/dev/buffering.html"""

Key = tuple[str, tuple[tuple[str, str], ...]]
"""(type of error or "", partition keys): records with the same one share objects."""


@dataclass(frozen=True)
class Item:
    """A record as it will be written. Several items may stem from none but one record."""

    number: int
    arrived_us: int
    data: bytes


@dataclass
class Buffer:
    since: datetime
    items: list[Item] = field(default_factory=list)
    size: int = 0

    def add(self, item: Item) -> None:
        self.items.append(item)
        self.size += len(item.data)

    def due(self, settings: Settings, now: datetime) -> bool:
        return self.size >= settings.size_bytes or (now - self.since).total_seconds() >= settings.interval_seconds


@dataclass
class Sealed:
    """A full buffer on its way to S3, with its attempts."""

    key: Key
    items: list[Item]
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    body: bytes | None = None
    """What is written; None until it was made."""
    attempts: int = 0
    next_try: datetime | None = None
    """None: at once."""
    first_failure: datetime | None = None

    @property
    def error_type(self) -> str:
        return self.key[0]

    def name(self, settings: Settings) -> str:
        """The object's name. Its times are the oldest record's arrival."""
        oldest = min(item.arrived_us for item in self.items)
        at = datetime.fromtimestamp(oldest / 1_000_000, UTC).astimezone(ZoneInfo(settings.zone))
        if self.error_type:
            prefix = prefixes.error_prefix(settings.prefix, settings.error_output_prefix)
            extension = ""
        else:
            prefix = settings.prefix if settings.partitioned else prefixes.with_default_time(settings.prefix)
            extension = settings.extension
        evaluated = prefixes.evaluate(prefix, at, keys=dict(self.key[1]), error_type=self.error_type, uid=self.uid)
        return evaluated + prefixes.suffix(settings.stream, settings.version, at, self.uid, extension)


def processing_error(
    number: int, arrived_us: int, data: bytes, *, code: str, message: str, attempts: int, now: datetime, function: str
) -> Item:
    """A line of a processing-failed object (guide, "Handle failure in data transformation")."""
    line: dict[str, Any] = {
        "attemptsMade": attempts,
        "arrivalTimestamp": arrived_us // 1000,
        "errorCode": code,
        "errorMessage": message,
        "attemptEndingTimestamp": int(now.timestamp() * 1000),
        "rawData": base64.b64encode(data).decode(),
    }
    if function:
        line["lambdaArn"] = function
    return Item(number, arrived_us, _line(line))


def conversion_error(item: Item, *, code: str, message: str, now: datetime, table: Mapping[str, Any]) -> Item:
    """A line of a format-conversion-failed object (guide, "Handling errors for data format conversion")."""
    return Item(
        item.number,
        item.arrived_us,
        _line(
            {
                "attemptsMade": 1,
                "arrivalTimestamp": item.arrived_us // 1000,
                "lastErrorCode": code,
                "lastErrorMessage": message,
                "attemptEndingTimestamp": int(now.timestamp() * 1000),
                "rawData": base64.b64encode(item.data).decode(),
                "sequenceNumber": str(item.number),
                "subSequenceNumber": None,
                "dataCatalogTable": dict(table),
            }
        ),
    )


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def first_batch(entries: list[Entry], size_bytes: int) -> list[Entry]:
    """As many of the first entries as a batch takes, one at least."""
    size = 0
    for index, entry in enumerate(entries):
        size += len(entry.data)
        if index and size > size_bytes:
            return entries[:index]
    return entries


def arrival(arrived_us: int) -> datetime:
    return datetime.fromtimestamp(arrived_us / 1_000_000, UTC)
