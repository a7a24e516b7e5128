"""What IAM knows of an identity: its policies and its permissions boundary, read from moto's IAM at each call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moto.iam.models import IAMBackend, Role, User, iam_backends

from infra.rehearsal.cloud.api import AwsError, Principal
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.documents import Policy, PolicyKind, parse
from infra.rehearsal.cloud.iam.evaluate import ALLOW_ALL

_NOTHING = parse(
    {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}, PolicyKind.IDENTITY
)


@dataclass(frozen=True)
class Identity:
    """The identity-based policies of a principal and the boundary that limits it (None: none is set)."""

    policies: tuple[Policy, ...]
    boundary: Policy | None = None


def identity_of(principal: Principal) -> Identity:
    """The policies that hold for this principal now.

    The operator may do everything, a service has no identity. AwsError InvalidClientTokenId when the role or the user
    is gone, or is another one of the same name than the one that the session was made for.
    """
    if principal.kind == "operator":
        return Identity((ALLOW_ALL,))
    if principal.kind == "service":
        return Identity(())
    found = role_named(principal.role_arn) if principal.role_arn else user_named(principal.arn)
    wanted = getattr(principal, "unique_id", "")
    if found is None or (wanted and wanted != found.id):
        raise invalid_token()
    groups = _backend_of(principal.arn).get_groups_for_user(found.name) if isinstance(found, User) else []
    documents = [document for holder in (found, *groups) for document in _documents_of(holder)]
    boundary_arn = getattr(found, "permissions_boundary_arn", None)
    return Identity(
        tuple(parse(document, PolicyKind.IDENTITY) for document in documents),
        _boundary(boundary_arn) if boundary_arn else None,
    )


def role_named(role_arn: str) -> Role | None:
    """The role with this ARN, or None."""
    name = role_arn.rpartition("/")[2]
    for role in _backend_of(role_arn).roles.values():
        if role.name == name and role.arn == role_arn:
            return role
    return None


def user_named(user_arn: str) -> User | None:
    """The user with this ARN, or None."""
    user = _backend_of(user_arn).users.get(user_arn.rpartition("/")[2])
    return user if user is not None and user.arn == user_arn else None


def managed_document(policy_arn: str) -> str | None:
    """The default version of a managed policy, or None when there is no such policy."""
    backend = _backend_of(policy_arn) if ":iam::aws:" not in policy_arn else None
    policy = backend.managed_policies.get(policy_arn) if backend is not None else None
    return _default_version(policy) if policy is not None else None


def invalid_token() -> AwsError:
    """What AWS answers to credentials that it does not know."""
    return AwsError("InvalidClientTokenId", "The security token included in the request is invalid", 403)


def _backend_of(arn: str) -> IAMBackend:
    parts = arns.split(arn)
    if parts is None:
        raise ValueError(f"{arn!r} is no ARN")
    return iam_backends[parts.account_id][parts.partition]


def _documents_of(holder: Any) -> Iterable[str]:
    yield from holder.policies.values()
    for policy in holder.managed_policies.values():
        yield _default_version(policy)


def _default_version(policy: Any) -> str:
    for version in policy.versions:
        if version.version_id == policy.default_version_id:
            return version.document
    raise ValueError(f"{policy.arn} has no version {policy.default_version_id}")


def _boundary(policy_arn: str) -> Policy:
    document = managed_document(policy_arn)
    # A boundary that names a policy which is gone allows nothing.
    return _NOTHING if document is None else parse(document, PolicyKind.IDENTITY)


def role_path(account_id: str, name: str, partition: str = "aws") -> str:
    """The path of the role with this name; "/" when there is none."""
    for role in iam_backends[account_id][partition].roles.values():
        if role.name == name:
            return role.path
    return "/"


def user_path(account_id: str, name: str, partition: str = "aws") -> str:
    """The path of the user with this name; "/" when there is none."""
    user = iam_backends[account_id][partition].users.get(name)
    return user.path if user is not None else "/"
