"""The words that every part of the emulated cloud shares: request, principal, call, error.

Nothing here does anything. `door.py` holds the one function that every call passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire, or as botocore would have sent it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpResponse:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Principal:
    """Who makes a call.

    `kind` is "operator" (the person or deploy role that runs the rehearsal: allowed everything that resource policies
    do not deny), "user" (an IAM user), "role" (an assumed role: `arn` is the assumed-role ARN, `role_arn` the role's),
    or "service" (an AWS service acting for itself, such as CloudWatch publishing to a topic: `arn` is its principal,
    for example "cloudwatch.amazonaws.com").
    """

    kind: str
    arn: str
    account_id: str
    role_arn: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    """Condition keys that hold for every call of this principal, for example aws:SourceArn."""


@dataclass
class Call:
    """One parsed call on its way through the door."""

    cloud: Cloud
    service: str
    """botocore's service name: "sagemaker", "sagemaker-runtime", "s3"."""
    operation: str
    """The operation's name in the model: "CreateModel"."""
    params: dict[str, Any]
    """Parsed by botocore's input shape."""
    region: str
    principal: Principal
    request: HttpRequest

    @property
    def account_id(self) -> str:
        return self.principal.account_id


class AwsError(Exception):
    """An error answer as AWS gives it. `code` is the wire code ("ValidationException"), `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        """Further members of the error's shape, for example OriginalStatusCode of ModelError."""
