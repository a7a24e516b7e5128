"""Reads and writes the registry bucket: versions, cards, conditional writes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from mainstage._release_approval import archive_sha256

from infra.registry.archive import ARCHIVE_NAME, Packed
from infra.registry.target import Target

CARD_NAME = "card.json"
GONE = {"NoSuchKey", "404", "NotFound"}
TAKEN = {"PreconditionFailed", "412", "ConditionalRequestConflict"}
"""S3's answers when an object with If-None-Match exists, or another write to the key is under way
(S3 user guide, "conditional writes")."""


class RegistryError(ValueError):
    """The registry cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Version:
    model: str
    number: int
    card: dict[str, Any] | None
    """None: a push that was interrupted between archive and card; pushing the same folder again completes it."""

    @property
    def complete(self) -> bool:
        return self.card is not None


class Registry:
    """The registry bucket and model package groups of one target."""

    def __init__(self, target: Target, bucket: str):
        self.target = target
        self.bucket = bucket
        self._s3 = target.client("s3")

    @classmethod
    def of(cls, target: Target) -> Registry:
        """Finds the registry bucket by its fixed name. Raises RegistryError when the platform is not up there."""
        bucket = registry_bucket_name(target)
        registry = cls(target, bucket)
        try:
            registry._s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in GONE or code == "NoSuchBucket":
                raise RegistryError(
                    f"no registry bucket {bucket} in {target}: bring the platform up first ({target.bring_up})"
                ) from error
            raise RegistryError(f"bucket {bucket} in {target}: {error}") from error
        return registry

    def key(self, model: str, number: int, name: str) -> str:
        return f"models/{model}/{number}/{name}"

    def url(self, model: str, number: int, name: str = ARCHIVE_NAME) -> str:
        return f"s3://{self.bucket}/{self.key(model, number, name)}"

    def models(self) -> list[str]:
        """Models that have at least one version."""
        return sorted(prefix.split("/")[1] for prefix in self._folders("models/"))

    def numbers(self, model: str) -> list[int]:
        """Version numbers of `model`, oldest first."""
        parts = (prefix.split("/")[2] for prefix in self._folders(f"models/{model}/"))
        return sorted(int(part) for part in parts if part.isdigit())

    def versions(self, model: str) -> list[Version]:
        return [Version(model, number, self.card(model, number)) for number in self.numbers(model)]

    def card(self, model: str, number: int) -> dict[str, Any] | None:
        body = self.read(model, number, CARD_NAME)
        return None if body is None else json.loads(body)

    def read(self, model: str, number: int, name: str) -> bytes | None:
        """An object of a version; None when it is not there."""
        try:
            return self._s3.get_object(Bucket=self.bucket, Key=self.key(model, number, name))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise

    def archive_sha256(self, model: str, number: int) -> str | None:
        """The archive's SHA-256 as S3 has checked it; None: there is no such archive, or it came without one."""
        return archive_sha256(self._s3, self.bucket, self.key(model, number, ARCHIVE_NAME))

    def put_archive(self, model: str, number: int, packed: Packed) -> bool:
        """Writes the archive of a version once. False: that number is taken. S3 takes no other bytes than were packed,
        and keeps their SHA-256, which approvals name."""
        digest = base64.b64encode(bytes.fromhex(packed.sha256)).decode()
        with packed.path.open("rb") as body:
            return self._put(
                model,
                number,
                ARCHIVE_NAME,
                body,
                "application/gzip",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=digest,
            )

    def put_card(self, model: str, number: int, card: dict[str, Any]) -> bool:
        """Writes the card of a version once. False: it has one."""
        return self.put_json(model, number, CARD_NAME, card)

    def put_json(self, model: str, number: int, name: str, value: dict[str, Any]) -> bool:
        """Writes an object of a version once. False: it has one of that name."""
        body = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode()
        return self._put(model, number, name, body, "application/json")

    def _put(self, model: str, number: int, name: str, body: Any, content_type: str, **options: str) -> bool:
        try:
            self._s3.put_object(
                Bucket=self.bucket,
                Key=self.key(model, number, name),
                Body=body,
                ContentType=content_type,
                IfNoneMatch="*",
                **options,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in TAKEN:
                return False
            raise
        return True

    def _folders(self, prefix: str) -> Iterator[str]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/"
        ):
            yield from (found["Prefix"] for found in page.get("CommonPrefixes", []))


def registry_bucket_name(target: Target) -> str:
    """The registry's bucket name, fixed by account, region and environment (infra/layers/platform.py makes it)."""
    from infra.layers.names import registry_bucket_name as named

    return named(target.environment, target.account_id, target.region)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object a person wrote. Raises RegistryError naming the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RegistryError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(value, dict):
        raise RegistryError(f"{path}: {type(value).__name__} instead of a JSON object")
    return value
