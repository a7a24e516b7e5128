"""Who may become a role: trust policies, session policies, session tags.

Source: AWS STS API reference, AssumeRole; IAM User Guide, "Policies and permissions: session policies".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.rehearsal.cloud.api import AwsError, Principal
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.decide import decide, denied
from infra.rehearsal.cloud.iam.documents import PolicyError, PolicyKind, parse
from infra.rehearsal.cloud.iam.evaluate import Layer, Question
from infra.rehearsal.cloud.iam.identities import managed_document, role_named

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600
"""A session that was made by a session lasts an hour at most."""


@dataclass(frozen=True)
class RoleSession(Principal):
    """An assumed role with what belongs to the session alone."""

    unique_id: str = ""
    """The role's unique id: a role of the same name that is made later is another one."""
    session_policies: tuple[str, ...] | None = None
    """Documents that limit the session. None: none were given."""


@dataclass(frozen=True)
class AssumeRequest:
    """What a caller asks of AssumeRole."""

    role_arn: str
    session_name: str
    external_id: str = ""
    source_identity: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""
    policy_arns: Sequence[str] = ()
    duration_seconds: int = DEFAULT_SECONDS


def assume_role(cloud: Cloud, caller: Principal, request: AssumeRequest) -> RoleSession:
    """The session, when the trust policy and, for identities, the caller's own policies allow it.

    AwsError AccessDenied (403) otherwise and for a role that does not exist: AWS does not tell the two apart.
    """
    role = role_named(request.role_arn) if arns.split(request.role_arn) else None
    parts = arns.split(request.role_arn)
    if role is None or parts is None:
        raise AwsError(
            "AccessDenied",
            f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {request.role_arn}",
            403,
        )
    actions = ["sts:AssumeRole"]
    if request.tags:
        actions.append("sts:TagSession")
    if request.source_identity:
        actions.append("sts:SetSourceIdentity")
    context = {
        "sts:rolesessionname": (request.session_name,),
        **({"sts:externalid": (request.external_id,)} if request.external_id else {}),
        **({"sts:sourceidentity": (request.source_identity,)} if request.source_identity else {}),
        **{f"aws:requesttag/{key.lower()}": (value,) for key, value in request.tags.items()},
        **({"aws:tagkeys": tuple(request.tags)} if request.tags else {}),
    }
    trust = parse(role.assume_role_policy_document, PolicyKind.TRUST)
    for action in actions:
        question = Question(caller, action, request.role_arn, context)
        decision = decide(
            cloud,
            question,
            resource=trust,
            resource_decides=True,
            resource_account=parts.account_id,
            resource_layer=Layer.TRUST,
        )
        if not decision.allowed:
            raise denied(question, decision, "AccessDenied", 403)
    _check_duration(caller, request.duration_seconds, int(role.max_session_duration or DEFAULT_SECONDS))
    return RoleSession(
        kind="role",
        arn=f"arn:{parts.partition}:sts::{parts.account_id}:assumed-role/{role.name}/{request.session_name}",
        account_id=parts.account_id,
        role_arn=request.role_arn,
        context={
            **{f"aws:PrincipalTag/{key}": value for key, value in request.tags.items()},
            **({"aws:SourceIdentity": request.source_identity} if request.source_identity else {}),
        },
        unique_id=role.id,
        session_policies=_session_policies(request),
    )


def _session_policies(request: AssumeRequest) -> tuple[str, ...] | None:
    documents = [request.policy] if request.policy else []
    for arn in request.policy_arns:
        document = managed_document(arn)
        if document is None:
            raise AwsError("MalformedPolicyDocument", f"Policy {arn} does not exist or is not attachable.", 400)
        documents.append(document)
    for document in documents:
        try:
            parse(document, PolicyKind.IDENTITY)
        except PolicyError as error:
            raise AwsError("MalformedPolicyDocument", f"The session policy is not valid: {error}", 400) from None
    return tuple(documents) if documents else None


def _check_duration(caller: Principal, seconds: int, longest: int) -> None:
    if caller.kind == "role" and seconds > CHAINED_SECONDS:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            400,
        )
    if seconds > longest:
        raise AwsError(
            "ValidationError",
            f"The requested DurationSeconds exceeds the MaxSessionDuration set for this role: asked {seconds}, "
            f"allowed {longest}.",
            400,
        )
