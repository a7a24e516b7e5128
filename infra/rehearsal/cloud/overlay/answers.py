"""What several services' handlers share: ARNs, tags, filters and pages of lists, ids from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from infra.rehearsal.cloud.api import AwsError, Call

T = TypeVar("T")


def partition_of(region: str) -> str:
    """The partition of a region, as its ARNs name it."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn(call: Call, resource: str, service: str | None = None) -> str:
    """The ARN of a resource of the call's service, region and account; `resource` as in "model/iris"."""
    return f"arn:{partition_of(call.region)}:{service or call.service}:{call.region}:{call.account_id}:{resource}"


def tags_of(entries: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """A tag list as a mapping."""
    return {entry["Key"]: entry["Value"] for entry in entries or ()}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as a tag list, in order of key."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def stable_uuid(*parts: object) -> str:
    """An id in the form of a UUID that depends on its parts alone, so that two runs give the same."""
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


def page(
    items: Sequence[T], token: str | None, limit: int, *, error: str = "ValidationException"
) -> tuple[list[T], str | None]:
    """One page of a list and the token of the next one. The token is the position of the page's first item."""
    if token and not token.isdecimal():
        raise AwsError(error, "Invalid pagination token.")
    start = int(token or 0)
    end = start + limit
    return list(items[start:end]), str(end) if end < len(items) else None


def listed(
    call: Call,
    records: Iterable[dict[str, Any]],
    *,
    name: str,
    member: str,
    summary: Callable[[dict[str, Any]], dict[str, Any]],
    sort_keys: Mapping[str, str],
    default_order: str = "Descending",
) -> dict[str, Any]:
    """A SageMaker list answer: filters, order and page as every List operation of the service has them.

    `name` is the record's member that NameContains looks at, `member` the output's list, `sort_keys` maps SortBy to the
    record's member; its first entry is the default. SageMaker lists newest first unless asked otherwise.
    """
    asked = call.params
    spans = (
        ("CreationTime", asked.get("CreationTimeAfter"), asked.get("CreationTimeBefore")),
        ("LastModifiedTime", asked.get("LastModifiedTimeAfter"), asked.get("LastModifiedTimeBefore")),
    )
    found = [
        record
        for record in records
        if asked.get("NameContains", "").lower() in record.get(name, "").lower()
        and asked.get("StatusEquals", record.get("EndpointStatus")) == record.get("EndpointStatus")
        and all(
            (after is None or record[when] > after) and (before is None or record[when] < before)
            for when, after, before in spans
            if after is not None or before is not None
        )
    ]
    key = sort_keys[asked.get("SortBy") or next(iter(sort_keys))]
    found.sort(key=lambda record: record[key], reverse=(asked.get("SortOrder") or default_order) == "Descending")
    entries, token = page([summary(record) for record in found], asked.get("NextToken"), asked.get("MaxResults") or 10)
    return {member: entries, **({"NextToken": token} if token else {})}


def picked(record: Mapping[str, Any], members: Iterable[str]) -> dict[str, Any]:
    """The named members that the record has."""
    return {member: record[member] for member in members if record.get(member) is not None}
