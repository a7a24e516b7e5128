"""Where a container's model data lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_S3 = re.compile(r"s3://([^/]+)/(.+)")
_VIRTUAL_HOST = re.compile(r"https://([^/]+?)\.s3[.-][a-z0-9-]+\.amazonaws\.com(?:\.cn)?/(.+)")
_PATH = re.compile(r"https://s3[.-][a-z0-9-]+\.amazonaws\.com(?:\.cn)?/([^/]+)/(.+)")


class BadLocation(ValueError):
    """The container's data source is no S3 object."""


@dataclass(frozen=True)
class Location:
    """One S3 object."""

    bucket: str
    key: str


def data_url(container: Mapping[str, Any]) -> str:
    """The URL of the container's model.tar.gz; empty when it has none. Uncompressed prefixes are not carried."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        return container.get("ModelDataUrl") or ""
    if source["S3DataType"] != "S3Object" or source["CompressionType"] != "Gzip":
        raise BadLocation(
            f"ModelDataSource {source['S3DataType']}/{source['CompressionType']} is not carried by the emulated cloud; "
            "give one S3Object with compression Gzip, or ModelDataUrl"
        )
    return source["S3Uri"]


def parse_location(url: str) -> Location:
    """The bucket and key of an s3:// or https:// URL of S3. BadLocation for anything else."""
    for form in (_S3, _VIRTUAL_HOST, _PATH):
        found = form.fullmatch(url)
        if found:
            return Location(found[1], found[2])
    raise BadLocation(f"{url!r} is no location of an S3 object; give s3://bucket/key")
