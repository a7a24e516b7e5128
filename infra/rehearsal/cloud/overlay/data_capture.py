"""Data capture: requests and answers of an endpoint as JSON Lines in S3, in SageMaker's format.

Developer guide, "Capture data from real-time endpoint": objects at
`<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/`, one JSON object a line. Objects are written under the model's
execution role; when the role may not, the records are lost, as on AWS, where capture never fails a call.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import logging
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.answers import stable_uuid
from infra.rehearsal.cloud.overlay.model_data import parse_location

if TYPE_CHECKING:
    import boto3

FLUSH_AFTER_SECONDS = 60
"""A file is written when its oldest record has this age by the cloud's clock. AWS documents no interval."""
FLUSH_AT_RECORDS = 5000
EVENT_VERSION = "0"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """One call and its answer, as they are captured."""

    request: bytes
    request_type: str
    answer: bytes
    answer_type: str
    at: datetime
    inference_id: str = ""


@dataclass
class Capture:
    """The capture of one variant. Safe for many threads."""

    config: Mapping[str, Any]
    endpoint: str
    variant: str
    session: boto3.Session
    region: str
    random: random.Random
    _records: list[tuple[datetime, str]] = field(default_factory=list)
    _count: int = 0
    _files: int = 0
    lost: int = 0
    """Records that could not be written."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.RLock = field(default_factory=threading.RLock)

    def add(self, exchange: Exchange) -> None:
        """Takes an exchange into the sample, or not."""
        with self._lock:
            # A draw from 0 to below 100: 100 percent takes all, 0 percent none.
            if self.random.random() * 100 >= self.config["InitialSamplingPercentage"]:
                return
            self._count += 1
            event_id = stable_uuid(self.endpoint, self.variant, exchange.at.isoformat(), self._count)
            line = json.dumps(record(self.config, exchange, event_id), separators=(",", ":"))
            self._records.append((exchange.at, line))
            full = len(self._records) >= FLUSH_AT_RECORDS
        if full:
            self.flush()

    def flush_old(self, now: datetime) -> None:
        """Writes what is old enough to be written. What another thread is writing has been written then."""
        with self._writing:
            with self._lock:
                due = bool(self._records) and (now - self._records[0][0]).total_seconds() >= FLUSH_AFTER_SECONDS
            if due:
                self.flush()

    def flush(self) -> None:
        """Writes all that is buffered: one object for each hour in which there were calls. Waits as `flush_old`."""
        with self._writing:
            with self._lock:
                records, self._records = self._records, []
            hours: dict[str, list[tuple[datetime, str]]] = {}
            for entry in records:
                hours.setdefault(entry[0].strftime("%Y/%m/%d/%H"), []).append(entry)
            for hour, entries in hours.items():
                self._write(hour, entries)

    def _write(self, hour: str, entries: list[tuple[datetime, str]]) -> None:
        first = entries[0][0]
        self._files += 1
        name = f"{first.strftime('%M-%S')}-{first.microsecond // 1000:03d}"
        name += f"-{stable_uuid(self.endpoint, self.variant, first.isoformat(), self._files)}.jsonl"
        destination = parse_location(self.config["DestinationS3Uri"].rstrip("/") + f"/{self.endpoint}/{self.variant}")
        options = {}
        if self.config.get("KmsKeyId"):
            options = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.config["KmsKeyId"]}
        try:
            self.session.client("s3", region_name=self.region).put_object(
                Bucket=destination.bucket,
                Key=f"{destination.key}/{hour}/{name}",
                Body="".join(f"{line}\n" for _, line in entries).encode(),
                **options,
            )
        except ClientError as refusal:
            self.lost += len(entries)
            log.warning("%s/%s: %d captured records are lost: %s", self.endpoint, self.variant, len(entries), refusal)


def record(config: Mapping[str, Any], exchange: Exchange, event_id: str) -> dict[str, Any]:
    """One line of a capture file, with the sides that CaptureOptions ask for."""
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side(config, "INPUT", exchange.request, exchange.request_type)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side(config, "OUTPUT", exchange.answer, exchange.answer_type)
    metadata = {"eventId": event_id}
    if exchange.inference_id:
        metadata["inferenceId"] = exchange.inference_id
    metadata["inferenceTime"] = exchange.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": EVENT_VERSION}


def _side(config: Mapping[str, Any], mode: str, body: bytes, content_type: str) -> dict[str, str]:
    encoding = encoding_of(config.get("CaptureContentTypeHeader") or {}, content_type)
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode("utf-8", errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def encoding_of(header: Mapping[str, Any], content_type: str) -> str:
    """CSV or JSON when the type is listed (a list may hold patterns such as text/*), BASE64 otherwise."""
    plain = content_type.split(";")[0].strip()
    for member, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        for pattern in header.get(member) or ():
            if fnmatch.fnmatchcase(content_type, pattern) or fnmatch.fnmatchcase(plain, pattern):
                return encoding
    return "BASE64"
