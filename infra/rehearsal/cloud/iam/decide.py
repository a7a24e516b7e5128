"""One question put to the deployed policies, and the refusal in AWS's words.

Source of the wording: IAM User Guide, "Troubleshoot access denied error messages".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.rehearsal.cloud.api import AwsError, Principal
from infra.rehearsal.cloud.iam.conditions import caller_context
from infra.rehearsal.cloud.iam.documents import Policy, PolicyKind, parse
from infra.rehearsal.cloud.iam.evaluate import Decision, Layer, Policies, Question, evaluate
from infra.rehearsal.cloud.iam.identities import identity_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_WORDS = {
    Layer.IDENTITY: ("an identity-based policy", "no identity-based policy"),
    Layer.RESOURCE: ("a resource-based policy", "no resource-based policy"),
    Layer.BOUNDARY: ("a permissions boundary", "no permissions boundary"),
    Layer.SESSION: ("a session policy", "no session policy"),
    Layer.TRUST: ("the role trust policy", "no role trust policy"),
}
_MESSAGE_PREFIXES = {"sns": "SNS"}
"""How a service spells its own prefix in messages, where that is not the one of policies."""


def decide(
    cloud: Cloud,
    question: Question,
    *,
    resource: Policy | None = None,
    resource_decides: bool = False,
    resource_account: str = "",
    resource_layer: Layer = Layer.RESOURCE,
) -> Decision:
    """The decision with the principal's policies as they are deployed now. The context gets the global keys."""
    principal = question.principal
    identity = identity_of(principal)
    session: tuple[str, ...] | None = getattr(principal, "session_policies", None)
    context = {**caller_context(cloud, principal), **question.context}
    context.setdefault("aws:resourceaccount", (resource_account or principal.account_id,))
    return evaluate(
        Question(principal, question.action, question.resource, context),
        Policies(
            identity=identity.policies,
            boundary=identity.boundary,
            session=None if session is None else tuple(parse(text, PolicyKind.IDENTITY) for text in session),
            resource=resource,
            resource_decides=resource_decides,
            resource_account=resource_account,
            resource_layer=resource_layer,
        ),
    )


def denied(question: Question, decision: Decision, code: str, status: int, *, lead: str = "") -> AwsError:
    """The refusal as AWS words it. lead: a sentence before it, for services that have one."""
    return AwsError(code, lead + refusal_text(question.principal, question, decision), status)


def refusal_text(principal: Principal, question: Question, decision: Decision) -> str:
    """ "User: ... is not authorized to perform: ... because no identity-based policy allows the ... action"."""
    prefix, _, operation = question.action.partition(":")
    action = f"{_MESSAGE_PREFIXES.get(prefix, prefix)}:{operation}"
    if prefix == "sqs":
        action = action.lower()
    # S3 quotes the resource.
    resource = f'"{question.resource}"' if prefix == "s3" else question.resource
    head = f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}"
    assert decision.layer is not None
    with_deny, without_allow = _WORDS[decision.layer]
    if decision.explicit:
        return f"{head} with an explicit deny in {with_deny}"
    return f"{head} because {without_allow} allows the {action} action"
