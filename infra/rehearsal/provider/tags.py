"""The calls that change tags of a resource that exists, by service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Tagging

Subject = Callable[[Operation], str]


def tag_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: tags[name]} for name in sorted(tags)]


def tag_map(tags: list[dict[str, Any]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {tag[key]: tag[value] for tag in tags or []}


def specification(resource_type: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """EC2's form: tags go with the create call."""
    if not tags:
        return {}
    return {"TagSpecifications": [{"ResourceType": resource_type, "Tags": tag_list(tags)}]}


def optional(member: str, value: Any) -> dict[str, Any]:
    """{member: value}, or nothing where the value is empty."""
    return {member: value} if value else {}


def by_id(operation: Operation) -> str:
    return operation.id


def by_arn(operation: Operation) -> str:
    return str(operation.state["arn"])


def ec2_tagging() -> Tagging:
    return Tagging(
        put=lambda op, tags: op.call("ec2", "CreateTags", Resources=[op.id], Tags=tag_list(tags)),
        remove=lambda op, keys: op.call("ec2", "DeleteTags", Resources=[op.id], Tags=[{"Key": key} for key in keys]),
    )


def listed_tagging(
    service: str,
    put: str,
    remove: str,
    member: str,
    subject: Subject = by_id,
    *,
    keys: str = "TagKeys",
    tags_member: str = "Tags",
    key: str = "Key",
    value: str = "Value",
) -> Tagging:
    """Services that take a list of key and value with the resource's name or ARN in `member`."""
    return Tagging(
        put=lambda op, tags: op.call(service, put, **{member: subject(op), tags_member: tag_list(tags, key, value)}),
        remove=lambda op, names: op.call(service, remove, **{member: subject(op), keys: names}),
    )


def mapped_tagging(
    service: str, member: str, subject: Subject, *, keys: str = "TagKeys", tags_member: str = "Tags"
) -> Tagging:
    """Services that take a map (logs, application-autoscaling)."""
    return Tagging(
        put=lambda op, tags: op.call(service, "TagResource", **{member: subject(op), tags_member: dict(tags)}),
        remove=lambda op, names: op.call(service, "UntagResource", **{member: subject(op), keys: names}),
    )
