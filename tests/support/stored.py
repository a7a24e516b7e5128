"""Everything that a rehearsal has stored anywhere, to be searched for a value that must not be there."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet

from infra.rehearsal.rehearse import Rehearsal

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


@dataclass(frozen=True)
class Piece:
    """Something that is stored: in which store, where in it, and the readable bytes of it."""

    store: str
    place: str
    data: bytes

    def holds(self, value: str) -> bool:
        """Whether the value is in it: as it is, in JSON, in an address, in capitals or small letters."""
        forms = {value, json.dumps(value)[1:-1], quote(value, safe="")}
        small = self.data.lower()
        return any(form.lower().encode() in small for form in forms)


def pieces(rehearsal: Rehearsal) -> Iterator[Piece]:
    """All of it. Parquet is read, what is packed is unpacked, what is in base64 is also given as it was."""
    for store, place, data in _raw(rehearsal):
        yield Piece(store, place, b"\n".join(_readable(data)))


def _raw(rehearsal: Rehearsal) -> Iterator[tuple[str, str, bytes]]:
    cloud = rehearsal.cloud
    for folder in {rehearsal.folder, cloud.directory}:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield "disk", str(path), path.read_bytes()
    yield from _buckets(cloud.client("s3"))
    yield from _logs(cloud.client("logs"))
    sqs = cloud.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=0)
        for message in got.get("Messages", []):
            yield "queue", url, message["Body"].encode()
    cloudwatch = cloud.client("cloudwatch")
    for page in cloudwatch.get_paginator("list_metrics").paginate():
        yield "metrics", "names and dimensions", repr(page["Metrics"]).encode()
    alarms = cloudwatch.describe_alarms()
    yield "alarms", "states", repr([alarms["MetricAlarms"], alarms["CompositeAlarms"]]).encode()
    yield "topics", "messages", repr(cloud.messages).encode()
    yield "calls", "journal", repr(cloud.journal.entries()).encode()


def _buckets(s3: Any) -> Iterator[tuple[str, str, bytes]]:
    for bucket in (each["Name"] for each in s3.list_buckets()["Buckets"]):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in page.get("Versions", []):
                got = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
                place = f"{bucket}/{each['Key']}"
                yield "bucket", place, got["Body"].read() + b"\n" + f"{each['Key']} {got['Metadata']}".encode()


def _logs(logs: Any) -> Iterator[tuple[str, str, bytes]]:
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in (each["logGroupName"] for each in page["logGroups"]):
            events = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            lines = [event["message"] for each in events for event in each["events"]]
            yield "log", group, "\n".join(lines).encode()


def _readable(data: bytes) -> Iterator[bytes]:
    yield data
    if data[:4] == b"PAR1":
        end = data.rindex(b"PAR1") + 4
        yield repr(pyarrow.parquet.read_table(io.BytesIO(data[:end])).to_pylist()).encode()
    elif data[:2] == b"\x1f\x8b":
        # Something may stand behind what is packed.
        with io.BytesIO(data) as packed, gzip.GzipFile(fileobj=packed) as unpacked:
            try:
                yield unpacked.read()
            except (EOFError, gzip.BadGzipFile):
                return
    else:
        for found in _BASE64.findall(data):
            yield from _of_base64(found)


def _of_base64(text: bytes) -> Iterator[bytes]:
    padded = text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4)
    for alphabet in (b"+/", b"-_"):
        try:
            yield base64.b64decode(padded, altchars=alphabet, validate=True)
        except (binascii.Error, ValueError):
            continue
