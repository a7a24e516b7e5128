"""Policy documents, built from statements that each say why they exist.

Two laws stand here, so that no component can break them: an action is always written out (never `*`), and a
statement whose resource is
`*` holds only actions that AWS cannot narrow to a resource, from the list below.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Optional

import pulumi

from .runtime_presets import domain_of

_AUTHORIZATION = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_"

WILDCARD_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "cloudwatch:GetMetricData": f"{_AUTHORIZATION}amazoncloudwatch.html",
        "cloudwatch:PutMetricData": f"{_AUTHORIZATION}amazoncloudwatch.html",
        "ec2:DescribeDhcpOptions": f"{_AUTHORIZATION}amazonec2.html",
        "ec2:DescribeNetworkInterfaces": f"{_AUTHORIZATION}amazonec2.html",
        "ec2:DescribeSecurityGroups": f"{_AUTHORIZATION}amazonec2.html",
        "ec2:DescribeSubnets": f"{_AUTHORIZATION}amazonec2.html",
        "ec2:DescribeVpcs": f"{_AUTHORIZATION}amazonec2.html",
        "ecr:GetAuthorizationToken": f"{_AUTHORIZATION}amazonelasticcontainerregistry.html",
        "sts:GetCallerIdentity": f"{_AUTHORIZATION}awssecuritytokenservice.html",
    }
)
"""Actions without a resource-level permission, and the page of AWS that says so. Only these may stand beside the
resource `*`."""

Text = pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy."""

    sid: str
    reason: str
    """Why the statement has to exist: what fails without it. For whoever reads or tests the component; AWS never sees
    it."""
    actions: Sequence[str]
    resources: pulumi.Input[Sequence[Text]]
    """ARNs, or an Output of them when even their number is not known yet."""
    effect: str = "Allow"
    principals: Optional[Mapping[str, Sequence[Text]]] = None
    """Principal block of a resource policy: `{"Service": [...]}`, `{"AWS": [...]}`; `{"*": []}` stands for
    everybody."""
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    attached_to_resource: bool = False
    """True in a key policy, where the resource `*` means the key that the policy is attached to."""

    def __post_init__(self) -> None:
        for action in self.actions:
            service, _, operation = action.partition(":")
            if not operation or "*" in action:
                raise ValueError(f"statement {self.sid}: write the action {action!r} out, as service:Operation")
            everything = isinstance(self.resources, Sequence) and "*" in self.resources
            if everything and self.effect == "Allow" and not self.attached_to_resource:
                if action not in WILDCARD_ACTIONS:
                    raise ValueError(
                        f"statement {self.sid}: {action} can be narrowed to a resource; do not give it '*'"
                    )
                if not self.conditions:
                    raise ValueError(f"statement {self.sid}: the resource '*' needs a condition that narrows {service}")

    def block(self) -> dict[str, Any]:
        """The statement as it stands in the document."""
        block: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        if self.principals is not None:
            everybody = "*" in self.principals
            block["Principal"] = "*" if everybody else {kind: list(who) for kind, who in self.principals.items()}
        block["Action"] = sorted(self.actions)
        block["Resource"] = list(self.resources) if isinstance(self.resources, Sequence) else self.resources
        if self.conditions:
            block["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return block


def document(statements: Sequence[Statement]) -> pulumi.Input[str]:
    """The policy document as JSON. A plain string when every part is known now, so that a preview shows it."""
    body = {"Version": "2012-10-17", "Statement": [statement.block() for statement in statements]}
    return pulumi.Output.json_dumps(body) if holds_output(body) else json.dumps(body)


def trust(service: str, *, account_id: str, source_arn: Optional[str]) -> str:
    """A trust policy for one AWS service, bound to this account and to resources of that service (confused deputy).

    None: to the account alone, for a service that does not say which resource it assumes the role for.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    conditions: dict[str, dict[str, str]] = {"StringEquals": {"aws:SourceAccount": account_id}}
    if source_arn is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn}
    body = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AssumedByService",
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": conditions,
            }
        ],
    }
    return json.dumps(body)


def in_region(region: str) -> dict[str, dict[str, str]]:
    """The condition for actions that have no resource to narrow: the call has to be made in the component's region."""
    return {"StringEquals": {"aws:RequestedRegion": region}}


def via_service(service: str, region: str) -> dict[str, dict[str, str]]:
    """The condition that a KMS key is used through one AWS service only."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{region}.{domain_of(region)}"}}


def join(*parts: Text) -> Text:
    """The parts in a row: a plain string when all are known now."""
    known = [part for part in parts if isinstance(part, str)]
    return "".join(known) if len(known) == len(parts) else pulumi.Output.concat(*parts)


def holds_output(value: object) -> bool:
    """Whether an Output stands anywhere in the value."""
    if isinstance(value, pulumi.Output):
        return True
    if isinstance(value, Mapping):
        return any(holds_output(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(holds_output(item) for item in value)
    return False
