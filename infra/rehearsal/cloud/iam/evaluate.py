"""IAM's policy evaluation as pure functions: what the policies say about one request.

Sources: IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access", "Cross-account
policy evaluation logic", "AWS JSON policy elements: Principal" and "NotPrincipal". Organisations' policies (SCP, RCP)
are not part of the emulated cloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from infra.rehearsal.cloud.api import Principal
from infra.rehearsal.cloud.iam.documents import Policy, PolicyKind, Statement, parse
from infra.rehearsal.cloud.iam.operators import holds
from infra.rehearsal.cloud.iam.patterns import Context, like, render


class Layer(Enum):
    """A set of policies that can refuse, named as AWS names it in its error messages."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    TRUST = "role trust policy"


class Grant(IntEnum):
    """How directly a resource-based policy allows a principal."""

    NONE = 0
    ACCOUNT = 1
    """The principal's whole account: the account's identity-based policies decide."""
    ROLE = 2
    """The role: counts as its identity's own permission, so boundary and session policies still limit it."""
    DIRECT = 3
    """The session, the user, the service or everyone: nothing but an explicit deny limits it in the same account."""


@dataclass(frozen=True)
class Question:
    """One action on one resource by one principal."""

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """Everything that has a say in a request."""

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    """None: the identity has no permissions boundary."""
    session: tuple[Policy, ...] | None = None
    """None: the session was made without session policies. What one of several allows is allowed."""
    resource: Policy | None = None
    resource_decides: bool = False
    """True for KMS keys and for roles: without an Allow in the resource's policy nothing else helps."""
    resource_account: str = ""
    """The account that owns the resource; empty: the principal's."""
    resource_layer: Layer = Layer.RESOURCE


@dataclass(frozen=True)
class Decision:
    """Allowed, or the layer that refused, and whether it did so in words (`explicit`) or by silence."""

    allowed: bool
    layer: Layer | None = None
    explicit: bool = False
    sid: str = ""
    """The statement that denies, when it has an id."""


ALLOWED = Decision(allowed=True)

ALLOW_ALL = parse(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, PolicyKind.IDENTITY
)
"""What the operator's identity may do."""


def evaluate(question: Question, policies: Policies) -> Decision:
    """AWS's decision: a deny anywhere wins; else the layers must allow, in AWS's order."""
    denied = _explicit_deny(question, policies)
    if denied is not None:
        return denied
    grant = _grant(question, policies.resource)
    account = question.principal.account_id
    if question.principal.kind == "service":
        return ALLOWED if grant > Grant.NONE else _silent(policies.resource_layer)
    foreign = bool(policies.resource_account) and policies.resource_account != account
    if (foreign or policies.resource_decides) and grant is Grant.NONE:
        return _silent(policies.resource_layer)
    if not foreign and grant is Grant.DIRECT:
        return ALLOWED
    inherits = not foreign and grant is Grant.ROLE
    if not inherits and not _any_allows(question, policies.identity):
        return _silent(Layer.IDENTITY)
    if policies.boundary is not None and not _any_allows(question, (policies.boundary,)):
        return _silent(Layer.BOUNDARY)
    if policies.session is not None and not _any_allows(question, policies.session):
        return _silent(Layer.SESSION)
    return ALLOWED


def statement_matches(statement: Statement, question: Question) -> bool:
    """True when action, resource and conditions of the statement fit. Says nothing about its principal."""
    return (
        _action_matches(statement, question.action)
        and _resource_matches(statement, question)
        and all(holds(one, question.context, variables=statement.variables) for one in statement.conditions)
    )


def principal_grant(statement: Statement, principal: Principal) -> Grant:
    """How directly the statement's Principal or NotPrincipal names this principal."""
    if statement.principals is not None:
        return max((_named(kind, value, principal) for kind, value in statement.principals), default=Grant.NONE)
    if statement.not_principals is None:
        return Grant.NONE
    listed = [_named(kind, value, principal) for kind, value in statement.not_principals]
    if not statement.denies:
        return Grant.NONE if any(listed) else Grant.DIRECT
    # AWS exempts a session from a Deny only when its account, its role and the session itself are all listed.
    wanted = {Grant.ACCOUNT, Grant.DIRECT} | ({Grant.ROLE} if principal.role_arn else set())
    exempt = Grant.DIRECT in listed if principal.kind == "service" else wanted <= set(listed)
    return Grant.NONE if exempt else Grant.DIRECT


def _named(kind: str, value: str, principal: Principal) -> Grant:
    if (kind, value) == ("AWS", "*"):
        return Grant.DIRECT
    if principal.kind == "service":
        return Grant.DIRECT if kind == "Service" and value == principal.arn else Grant.NONE
    if principal.kind == "federated":
        return Grant.DIRECT if kind == "Federated" and value == principal.arn else Grant.NONE
    if kind != "AWS":
        return Grant.NONE
    if value == principal.arn:
        return Grant.DIRECT
    if principal.role_arn and value == principal.role_arn:
        return Grant.ROLE
    is_account = value == principal.account_id or (
        value.endswith(":root") and value.split(":")[4:] == [principal.account_id, "root"]
    )
    return Grant.ACCOUNT if is_account else Grant.NONE


def _explicit_deny(question: Question, policies: Policies) -> Decision | None:
    owned: list[tuple[Layer, Sequence[Policy]]] = [
        (Layer.IDENTITY, policies.identity),
        (Layer.BOUNDARY, (policies.boundary,) if policies.boundary else ()),
        (Layer.SESSION, policies.session or ()),
    ]
    for layer, documents in owned:
        for document in documents:
            for statement in document.statements:
                if statement.denies and statement_matches(statement, question):
                    return Decision(False, layer, explicit=True, sid=statement.sid)
    for statement in policies.resource.statements if policies.resource else ():
        if (
            statement.denies
            and principal_grant(statement, question.principal) > Grant.NONE
            and statement_matches(statement, question)
        ):
            return Decision(False, policies.resource_layer, explicit=True, sid=statement.sid)
    return None


def _grant(question: Question, policy: Policy | None) -> Grant:
    best = Grant.NONE
    for statement in policy.statements if policy else ():
        if statement.denies:
            continue
        grant = principal_grant(statement, question.principal)
        if grant > best and statement_matches(statement, question):
            best = grant
    return best


def _any_allows(question: Question, documents: Sequence[Policy]) -> bool:
    return any(
        not statement.denies and statement_matches(statement, question)
        for document in documents
        for statement in document.statements
    )


def _silent(layer: Layer) -> Decision:
    return Decision(False, layer)


def _action_matches(statement: Statement, action: str) -> bool:
    lowered = action.lower()
    if statement.actions is not None:
        return any(like(pattern, lowered) for pattern in statement.actions)
    return not any(like(pattern, lowered) for pattern in statement.not_actions or ())


def _resource_matches(statement: Statement, question: Question) -> bool:
    listed = statement.resources if statement.resources is not None else statement.not_resources
    if listed is None:  # a trust policy or a repository policy: the resource is the one that it hangs on
        return True
    context = question.context if statement.variables else None
    rendered = (render(pattern, context) for pattern in listed)
    found = any(pattern is not None and like(pattern, question.resource) for pattern in rendered)
    return found if statement.resources is not None else not found
