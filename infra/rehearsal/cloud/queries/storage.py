"""Objects of a query: listed and read from the emulated S3 with the caller's rights, kept as files by their etag.

An object that is kept is still asked for each time, by HeadObject with its checksum, which needs the rights that
GetObject needs (s3:GetObject and the key's kms:Decrypt). So a permission that is gone shows at the next query.
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.queries.failures import QueryFailure

MOST_LISTED_ALONE = 16
"""More partitions than this are found by one listing of what their locations have in common."""


@dataclass(frozen=True)
class Object:
    """An object that a query may read."""

    bucket: str
    key: str
    etag: str
    size: int

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Footer:
    """What a Parquet file's footer says."""

    types: Mapping[str, pa.DataType]
    """By name in lower case."""
    names: Mapping[str, str]
    """A name in lower case: the name as it stands in the file."""
    bytes: Mapping[str, int]
    """Compressed length of each column, its nested parts together."""
    rows: int


class Cache:
    """Files by bucket, key and etag, with their footers. Thread-safe: a file appears whole or not at all."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._lock = threading.Lock()
        self._footers: dict[Object, Footer] = {}

    def path(self, item: Object) -> Path:
        name = hashlib.sha256(f"{item.bucket}\0{item.key}\0{item.etag}\0{item.size}".encode()).hexdigest()
        return self._directory / name[:2] / name

    def fetch(self, s3: Any, item: Object) -> Path:
        """The object as a file. QueryFailure when the caller may not read it or it is gone."""
        path = self.path(item)
        try:
            if path.exists():
                s3.head_object(Bucket=item.bucket, Key=item.key, IfMatch=item.etag, ChecksumMode="ENABLED")
                return path
            body = s3.get_object(Bucket=item.bucket, Key=item.key, IfMatch=item.etag)["Body"].read()
        except ClientError as error:
            raise unreadable(item.url, item.size, error) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        part.write_bytes(body)
        os.replace(part, path)
        return path

    def footer(self, item: Object, path: Path) -> Footer:
        """The footer of a fetched object. QueryFailure HIVE_BAD_DATA when it is no Parquet."""
        with self._lock:
            known = self._footers.get(item)
        if known is None:
            try:
                known = _footer(path)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                text = f"HIVE_BAD_DATA: Malformed Parquet file: {item.url}: {str(error).splitlines()[0]}"
                raise QueryFailure(text) from error
            with self._lock:
                self._footers[item] = known
        return known


def _footer(path: Path) -> Footer:
    metadata = pq.read_metadata(path)
    schema = metadata.schema.to_arrow_schema()
    sizes: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        chunks = metadata.row_group(group)
        for at in range(chunks.num_columns):
            chunk = chunks.column(at)
            top = chunk.path_in_schema.partition(".")[0].lower()
            sizes[top] = sizes.get(top, 0) + chunk.total_compressed_size
    return Footer(
        {field.name.lower(): field.type for field in schema},
        {field.name.lower(): field.name for field in schema},
        sizes,
        metadata.num_rows,
    )


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an S3 URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def objects(s3: Any, locations: Iterable[str]) -> dict[str, list[Object]]:
    """The objects below each location (an S3 URL that ends in a slash), in order of key.

    Names that begin with _ or . and empty objects are passed over, as Athena does.
    """
    found: dict[str, list[Object]] = {location: [] for location in locations}
    wanted: dict[str, dict[str, str]] = {}
    for location in found:
        bucket, key = split(location)
        wanted.setdefault(bucket, {})[key] = location
    for bucket, keys in wanted.items():
        prefixes = list(keys) if len(keys) <= MOST_LISTED_ALONE else [_common(list(keys))]
        for prefix in prefixes:
            for item in _listed(s3, bucket, prefix):
                own = keys.get(prefix) if len(prefixes) == len(keys) else _above(keys, item.key)
                if own is not None and item not in found[own]:
                    found[own].append(item)
    return found


def _common(prefixes: list[str]) -> str:
    low, high = min(prefixes), max(prefixes)
    same = next((at for at, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), len(low))
    return low[: low[:same].rfind("/") + 1]


def _above(keys: Mapping[str, str], key: str) -> str | None:
    """The location that a key lies in, however deep."""
    at = key.rfind("/")
    while at >= 0:
        if key[: at + 1] in keys:
            return keys[key[: at + 1]]
        at = key.rfind("/", 0, at)
    return keys.get("")


def _listed(s3: Any, bucket: str, prefix: str) -> list[Object]:
    found, token = [], ""
    while True:
        more = {"ContinuationToken": token} if token else {}
        try:
            answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        except ClientError as error:
            raise unreadable(f"s3://{bucket}/{prefix}", 0, error) from error
        for entry in answer.get("Contents", []):
            if entry["Size"] and not entry["Key"].rpartition("/")[2].startswith(("_", ".")):
                found.append(Object(bucket, entry["Key"], entry["ETag"], entry["Size"]))
        token = answer.get("NextContinuationToken", "")
        if not token:
            return found


def unreadable(url: str, length: int, error: ClientError) -> QueryFailure:
    """Athena's words for an object or a listing that S3 refuses. The wording around S3's own is unconfirmed."""
    detail = error.response.get("Error", {})
    code, message = detail.get("Code", ""), detail.get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == 403 or code in ("AccessDenied", "403"):
        return QueryFailure(
            f"PERMISSION_DENIED: Permission denied on S3 path: {url} ({message or code} "
            f"(Service: Amazon S3; Status Code: {status}; Error Code: {code}))"
        )
    if code in ("NoSuchBucket", "NoSuchKey", "404", "412", "PreconditionFailed"):
        return QueryFailure(
            f"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split {url} (offset=0, length={length}): {code}"
        )
    return QueryFailure(
        f"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split {url} (offset=0, length={length}): {message}"
    )
