"""Nothing is open to everybody."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import UNKNOWN, Resource, items
from .rule import About, Problem, ResourceRule, must_be, must_be_given
from .statements import everybody, label, narrowed, statements

_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

_NARROWING = (
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "kms:CallerAccount",
)
"""Condition keys that leave somebody of everybody:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""


def _public_access(resource: Resource) -> Iterator[Problem]:
    for block in _BLOCKS:
        yield from must_be(resource, True, block)


def _everybody(resource: Resource) -> Iterator[Problem]:
    for index, statement in enumerate(statements(resource.get("policy"))):
        if statement.get("Effect") == "Allow" and everybody(statement) and not narrowed(statement, _NARROWING):
            yield Problem(
                f"policy.{label(statement, index)}.Principal",
                "*",
                f"a named principal, or a condition on one of {', '.join(_NARROWING)}",
            )


def _permission(resource: Resource) -> Iterator[Problem]:
    if resource.get("principal") == "*":
        yield Problem("principal", "*", "one service or account")
    if resource.get("sourceAccount") is None:
        yield from must_be_given(resource, "sourceArn", allowed="the ARN of what may call, or sourceAccount")


def _ingress(resource: Resource) -> Iterator[Problem]:
    if resource.type.endswith(":SecurityGroupRule") and resource.get("type") != "ingress":
        return
    single = resource.type.endswith("Rule")
    rules = [resource.properties] if single else items(resource.get("ingress"))
    for index, rule in enumerate(rules):
        if rule is UNKNOWN:
            continue
        where = "" if single else f"ingress[{index}]."
        for key in ("cidrIpv4", "cidrIpv6", "cidrBlocks", "ipv6CidrBlocks"):
            for value in items(rule.get(key)):
                if value in ("0.0.0.0/0", "::/0"):
                    yield Problem(f"{where}{key}", value, "a range of the company's own, or a security group")


def _route(resource: Resource) -> Iterator[Problem]:
    if resource.is_development:
        return
    kind = resource.get("authorizationType")
    if kind in (None, "NONE"):
        yield Problem("authorizationType", kind, "AWS_IAM, JWT or CUSTOM in staging and prod")


def _isolated(resource: Resource) -> Iterator[Problem]:
    yield from must_be(resource, True, "enableNetworkIsolation")
    yield from must_be_given(resource, "vpcConfig", allowed="subnets and security groups of the environment's VPC")


RULES = (
    ResourceRule(
        About(
            "bucket-not-public",
            "A bucket blocks public access in all four ways.",
            "One wrong line in a policy or an ACL would otherwise publish what the bucket holds.",
            "use SecureBucket, or set all four of BucketPublicAccessBlock to true",
        ),
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",),
        _public_access,
    ),
    ResourceRule(
        About(
            "no-open-policy",
            "A policy of a bucket, queue, topic, key, repository or secret lets in nobody unnamed.",
            "A principal `*` without a condition is everybody on the internet.",
            "name the principal, or add a condition such as aws:SourceAccount",
        ),
        (
            "aws:s3/bucketPolicy:BucketPolicy",
            "aws:sqs/queuePolicy:QueuePolicy",
            "aws:sns/topicPolicy:TopicPolicy",
            "aws:kms/key:Key",
            "aws:ecr/repositoryPolicy:RepositoryPolicy",
            "aws:secretsmanager/secretPolicy:SecretPolicy",
        ),
        _everybody,
    ),
    ResourceRule(
        About(
            "function-callers-named",
            "A function's permission names who may call it, and from where.",
            "A service such as API Gateway calls for every account: without a source anybody's API can invoke it.",
            "set sourceArn to the API, queue or rule that calls",
        ),
        ("aws:lambda/permission:Permission",),
        _permission,
    ),
    ResourceRule(
        About(
            "no-open-ingress",
            "No security group lets the whole internet in.",
            "Models are reached through the front door alone; a port open to everybody is found within minutes.",
            "name the range or the security group that has to connect",
        ),
        (
            "aws:ec2/securityGroup:SecurityGroup",
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        ),
        _ingress,
    ),
    ResourceRule(
        About(
            "route-authorized",
            "In staging and prod every route and function URL asks who is calling.",
            "An open route gives predictions, and the bill for them, to whoever finds its address.",
            "set authorizationType (front_door: auth of the stack file)",
        ),
        ("aws:apigatewayv2/route:Route", "aws:lambda/functionUrl:FunctionUrl"),
        _route,
    ),
    ResourceRule(
        About(
            "model-isolated",
            "A model's container runs in the VPC, without a network of its own.",
            "Code in a model archive could otherwise send what it is asked to any place.",
            "set enableNetworkIsolation to true and vpcConfig to the environment's subnets",
        ),
        ("aws:sagemaker/model:Model",),
        _isolated,
    ),
)
