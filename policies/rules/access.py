"""What roles may do: named actions on named resources, under a boundary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .resource import UNKNOWN, Resource, items
from .rule import About, Problem, ResourceRule, must_be_given
from .statements import actions, everybody, label, resources, statements

_AUTHORIZATION = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_"

WILDCARD_ACTIONS: Mapping[str, str] = {
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
"""Actions that AWS cannot narrow to a resource, and its page that says so: only these may stand beside `*`. A list of
its own, so that the library cannot widen what the pack allows; a test holds both to the same."""

IDENTITY_POLICIES = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:iam/role:Role",
)
RESOURCE_POLICIES = (
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:sqs/queuePolicy:QueuePolicy",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:kms/key:Key",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
)
BROAD = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


def _documents(resource: Resource) -> Iterator[tuple[str, Any]]:
    """The policy documents of a resource with the property that holds each. A role's trust is not among them."""
    if resource.type == "aws:iam/role:Role":
        for index, policy in enumerate(items(resource.get("inlinePolicies"))):
            if policy is not UNKNOWN:
                yield f"inlinePolicies[{index}].policy", policy.get("policy")
    else:
        yield "policy", resource.get("policy")


def _allowing(resource: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, policy in _documents(resource):
        for index, statement in enumerate(statements(policy)):
            if statement.get("Effect") == "Allow":
                yield f"{where}.{label(statement, index)}", statement


def _action_wildcards(resource: Resource) -> Iterator[Problem]:
    for where, statement in _allowing(resource):
        if "NotAction" in statement:
            yield Problem(f"{where}.NotAction", statement["NotAction"], "Action, with each action written out")
        for action in actions(statement):
            if "*" in action or "?" in action:
                yield Problem(f"{where}.Action", action, "service:Operation, written out")


def _resource_wildcards(resource: Resource) -> Iterator[Problem]:
    for where, statement in _allowing(resource):
        if "NotResource" in statement:
            yield Problem(f"{where}.NotResource", statement["NotResource"], "Resource, with ARNs")
        if "*" not in resources(statement):
            continue
        narrowable = [action for action in actions(statement) if action not in WILDCARD_ACTIONS]
        if narrowable:
            yield Problem(f"{where}.Resource", "*", f"ARNs: AWS can narrow {', '.join(narrowable)}")
        elif not statement.get("Condition"):
            yield Problem(f"{where}.Condition", None, "a condition such as aws:RequestedRegion beside the resource *")


def _broad(resource: Resource) -> Iterator[Problem]:
    arns = [("policyArn", resource.get("policyArn"))]
    arns += [(f"managedPolicyArns[{i}]", arn) for i, arn in enumerate(items(resource.get("managedPolicyArns")))]
    for where, arn in arns:
        if isinstance(arn, str) and ":aws:policy/" in arn and (arn.endswith("FullAccess") or arn.endswith(BROAD)):
            yield Problem(where, arn, "a policy that names the actions that are needed")


def _boundary(resource: Resource) -> Iterator[Problem]:
    yield from must_be_given(resource, "permissionsBoundary", allowed="the ARN of the environment's boundary")


def _trust(resource: Resource) -> Iterator[Problem]:
    for index, statement in enumerate(statements(resource.get("assumeRolePolicy"))):
        if statement.get("Effect") == "Allow" and everybody(statement):
            yield Problem(
                f"assumeRolePolicy.{label(statement, index)}.Principal", "*", "one service, account or provider"
            )


RULES = (
    ResourceRule(
        About(
            "iam-actions-named",
            "A policy that allows names each action; none has a `*`.",
            "`s3:*` holds deleting and opening the bucket to the world, and what AWS adds next year.",
            "write out the operations that are called",
        ),
        (*IDENTITY_POLICIES, *RESOURCE_POLICIES),
        _action_wildcards,
    ),
    ResourceRule(
        About(
            "iam-resources-named",
            "A role's policy names the resources; `*` only for actions that AWS cannot narrow, and with a condition.",
            "A role that may read every bucket of the account leaks every bucket of the account.",
            "name the ARNs; an action that AWS cannot narrow goes into WILDCARD_ACTIONS with AWS's page that says so",
        ),
        IDENTITY_POLICIES,
        _resource_wildcards,
    ),
    ResourceRule(
        About(
            "iam-no-broad-policies",
            "No role, user or group has one of AWS's broad managed policies.",
            "Full access of a service is far more than any model or function needs, and it grows by itself.",
            "write a policy with the actions that are needed",
        ),
        (
            "aws:iam/role:Role",
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "aws:iam/userPolicyAttachment:UserPolicyAttachment",
            "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
        ),
        _broad,
    ),
    ResourceRule(
        About(
            "role-boundary",
            "Every role has a permission boundary.",
            "Whoever may deploy may write policies: the boundary is the most that these can ever grant.",
            "set permissionsBoundary to the policy of RoleBoundary (permissions_boundary_arn of a component)",
        ),
        ("aws:iam/role:Role",),
        _boundary,
    ),
    ResourceRule(
        About(
            "role-trust-named",
            "A role is assumed by whom its trust names, never by everybody.",
            "A trust of `*` lets any AWS account in the world take the role.",
            "name the service, with aws:SourceAccount as a condition",
        ),
        ("aws:iam/role:Role",),
        _trust,
    ),
)
