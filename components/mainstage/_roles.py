"""A role that an AWS service takes, with its one inline policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from ._policy import Statement, document, trust


@dataclass(frozen=True)
class ServiceRole:
    """The role and its policy. Whatever takes the role depends on the policy too, or it starts without permissions."""

    role: "aws.iam.Role"
    policy: "aws.iam.RolePolicy"


def service_role(
    name: str,
    *,
    parent: pulumi.Resource,
    service: str,
    account_id: str,
    source_arn: Optional[str],
    description: str,
    statements: Sequence[Statement],
    boundary: Optional[pulumi.Input[str]],
    tags: Mapping[str, pulumi.Input[str]],
    role_name: Optional[str] = None,
) -> ServiceRole:
    """Makes `<name>-role` and `<name>-policy`. Without `role_name` the role's name comes from `<name>-role`, and eight
    more characters: IAM takes 64.

    The role's `inline_policies` and `managed_policy_arns` stay unset: a role that sets them owns the whole list and
    removes
    what other resources add.
    """
    role = aws.iam.Role(
        f"{name}-role",
        name=role_name,
        assume_role_policy=trust(service, account_id=account_id, source_arn=source_arn),
        description=description,
        max_session_duration=3600,
        permissions_boundary=boundary,
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    policy = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=document(statements),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return ServiceRole(role, policy)
