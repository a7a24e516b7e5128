"""A permission that a call needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam.arns import partition_of


@dataclass(frozen=True)
class Need:
    """One IAM action on one resource. `context` holds condition keys (lower case) of this need alone."""

    action: str
    resource: str = "*"
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def arn(call: Call, service: str, resource: str, *, region: bool = True) -> str:
    """The ARN of a resource in the caller's account, and in the call's region unless the service is global."""
    place = call.region if region else ""
    return f"arn:{partition_of(call.region)}:{service}:{place}:{call.account_id}:{resource}"
