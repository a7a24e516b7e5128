"""Policies that AWS would not store are refused when they are written: grammar, principals, lock-out, public access.

Sources: IAM API reference, MalformedPolicyDocument; S3 User Guide, "Blocking public access"; KMS Developer Guide, "Key
policies", safety check of PutKeyPolicy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from botocore.loaders import Loader
from moto.iam.models import iam_backends

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.decide import decide
from infra.rehearsal.cloud.iam.documents import Policy, PolicyError, PolicyKind, Statement, parse
from infra.rehearsal.cloud.iam.evaluate import Question
from infra.rehearsal.cloud.iam.identities import role_named, user_named
from infra.rehearsal.cloud.iam.resource_policies import find_bucket
from infra.rehearsal.cloud.overlay import before

_OTHER_SERVICES = frozenset(
    (
        "airflow",
        "airflow-env",
        "aps",
        "autoscaling",
        "billingconsole",
        "cloudwatch",
        "costalerts",
        "ec2fleet",
        "ecs-tasks",
        "edgelambda",
        "eks-fargate-pods",
        "eks-nodegroup",
        "elasticfilesystem",
        "elasticloadbalancing",
        "elasticmapreduce",
        "email",
        "es",
        "malware-protection-plan",
        "monitoring",
        "opensearchservice",
        "spotfleet",
        "states",
        "tagging",
        "vpc-flow-logs",
        "vpce",
    )
)
"""First or last label of service principals that are not a service of botocore."""
_SERVICE = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.(?:amazonaws\.com(?:\.cn)?|internal)")


@dataclass(frozen=True)
class _Written:
    """Where an operation carries a document, and how its service words a refusal."""

    document: Callable[[dict[str, Any]], str | None]
    kind: PolicyKind
    code: str
    lead: str = ""


def _member(name: str) -> Callable[[dict[str, Any]], str | None]:
    return lambda params: params.get(name)


def _attribute(params: dict[str, Any]) -> str | None:
    if params.get("AttributeName") == "Policy":
        return params.get("AttributeValue")
    return (params.get("Attributes") or {}).get("Policy")


_IAM, _KMS = "MalformedPolicyDocument", "MalformedPolicyDocumentException"
_IDENTITY, _RESOURCE = PolicyKind.IDENTITY, PolicyKind.RESOURCE
_WRITTEN: dict[tuple[str, str], _Written] = {
    ("iam", "CreateRole"): _Written(_member("AssumeRolePolicyDocument"), PolicyKind.TRUST, _IAM),
    ("iam", "UpdateAssumeRolePolicy"): _Written(_member("PolicyDocument"), PolicyKind.TRUST, _IAM),
    ("iam", "PutRolePolicy"): _Written(_member("PolicyDocument"), _IDENTITY, _IAM),
    ("iam", "PutUserPolicy"): _Written(_member("PolicyDocument"), _IDENTITY, _IAM),
    ("iam", "PutGroupPolicy"): _Written(_member("PolicyDocument"), _IDENTITY, _IAM),
    ("iam", "CreatePolicy"): _Written(_member("PolicyDocument"), _IDENTITY, _IAM),
    ("iam", "CreatePolicyVersion"): _Written(_member("PolicyDocument"), _IDENTITY, _IAM),
    ("kms", "CreateKey"): _Written(_member("Policy"), _RESOURCE, _KMS),
    ("kms", "PutKeyPolicy"): _Written(_member("Policy"), _RESOURCE, _KMS),
    ("s3", "PutBucketPolicy"): _Written(_member("Policy"), _RESOURCE, "MalformedPolicy"),
    ("sns", "CreateTopic"): _Written(_attribute, _RESOURCE, "InvalidParameter", "Invalid parameter: Policy Error: "),
    ("sns", "SetTopicAttributes"): _Written(
        _attribute, _RESOURCE, "InvalidParameter", "Invalid parameter: Policy Error: "
    ),
    ("sqs", "CreateQueue"): _Written(_attribute, _RESOURCE, "InvalidAttributeValue", "Invalid value for Policy: "),
    ("sqs", "SetQueueAttributes"): _Written(
        _attribute, _RESOURCE, "InvalidAttributeValue", "Invalid value for Policy: "
    ),
    ("ecr", "SetRepositoryPolicy"): _Written(
        _member("policyText"),
        PolicyKind.REPOSITORY,
        "InvalidParameterException",
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: ",
    ),
}


def check_document(call: Call) -> None:
    """Refuses a document that the service would not store, with every problem of its grammar."""
    written = _WRITTEN[call.service, call.operation]
    text = written.document(call.params)
    if not text:
        return

    def refuse(problem: str) -> AwsError:
        return AwsError(written.code, written.lead + problem, 400)

    try:
        policy = parse(text, written.kind)
    except PolicyError as error:
        raise refuse(str(error)) from None
    strangers = [
        f'Invalid principal in policy: "{kind.upper()}":"{value}"{_hint(kind, value)}'
        for statement in policy.statements
        for kind, value in (statement.principals or statement.not_principals or ())
        if not _exists(call, kind, value)
    ]
    if strangers:
        raise refuse("; ".join(dict.fromkeys(strangers)))
    further = _FURTHER.get(call.service)
    if further is not None:
        further(call, policy, refuse)


for _service, _operation in _WRITTEN:
    before(_service, _operation)(check_document)


def _exists(call: Call, kind: str, value: str) -> bool:
    if kind == "Service":
        return _is_service(value)
    parts = arns.split(value)
    if kind != "AWS" or parts is None or value == call.cloud.principals.operator.arn:
        return True
    # Of accounts that hold nothing here, nothing is known: AWS would know, the emulated cloud lets them pass.
    if parts.account_id != call.cloud.account_id and not iam_backends[parts.account_id][parts.partition].roles:
        return True
    if parts.service == "iam" and parts.resource.startswith("role/"):
        return role_named(value) is not None
    if parts.service == "iam" and parts.resource.startswith("user/"):
        return user_named(value) is not None
    return True


def _is_service(value: str) -> bool:
    found = _SERVICE.fullmatch(value)
    labels = found.group(1).split(".") if found else [""]
    return bool({labels[0], labels[-1]} & _services())


def _hint(kind: str, value: str) -> str:
    if kind != "Service":
        return ""
    near = get_close_matches(value.partition(".")[0], sorted(_services()), n=1)
    return f" (nearest known: {near[0]}.amazonaws.com)" if near else ""


@cache
def _services() -> frozenset[str]:
    return frozenset(Loader().list_available_services("service-2")) | _OTHER_SERVICES


Refuse = Callable[[str], AwsError]


def _bucket_policy(call: Call, policy: Policy, refuse: Refuse) -> None:
    name = call.params["Bucket"]
    bucket = find_bucket(name)
    if bucket is None:
        return
    for statement in policy.statements:
        for resource in statement.resources or statement.not_resources or ():
            parts = arns.split(resource)
            if parts is None or parts.service != "s3" or parts.resource.partition("/")[0] != name:
                raise refuse(f"Policy has invalid resource: {resource!r} is not bucket {name!r} or an object in it")
    block = bucket.public_access_block
    blocks = str(getattr(block, "block_public_policy", "false")).lower() == "true"
    if blocks and any(_is_public(statement) for statement in policy.statements):
        raise AwsError(
            "AccessDenied",
            f"User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
            f'"arn:aws:s3:::{name}" because public policies are prevented by the BlockPublicPolicy setting in S3 Block '
            "Public Access.",
            403,
        )


_FIXING_KEYS = {
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
}
"""Keys that, held to fixed values, make a grant to everybody not public ("The meaning of 'public'")."""


def _is_public(statement: Statement) -> bool:
    if statement.denies or ("AWS", "*") not in (statement.principals or ()):
        return statement.not_principals is not None and not statement.denies
    fixed = (
        one.key in _FIXING_KEYS
        and one.operator in ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
        and not any("*" in value or "${" in value for value in one.values)
        for one in statement.conditions
    )
    return not any(fixed)


def _key_policy(call: Call, policy: Policy, refuse: Refuse) -> None:
    if call.params.get("BypassPolicyLockoutSafetyCheck"):
        return
    question = Question(call.principal, "kms:PutKeyPolicy", "*")
    decision = decide(call.cloud, question, resource=policy, resource_decides=True, resource_account=call.account_id)
    if not decision.allowed:
        raise refuse("The new key policy will not allow you to update the key policy in the future.")


_FURTHER: dict[str, Callable[[Call, Policy, Refuse], None]] = {"kms": _key_policy, "s3": _bucket_policy}
