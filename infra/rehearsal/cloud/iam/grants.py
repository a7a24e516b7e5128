"""KMS grants: permissions on one key that stand beside its policy.

Source: KMS Developer Guide, "Grants in AWS KMS" and "Grant constraints".
"""

from __future__ import annotations

from moto.kms.models import Grant, Key

from infra.rehearsal.cloud.iam.evaluate import Question

_PREFIX = "kms:encryptioncontext:"


def granted(key: Key, question: Question) -> bool:
    """True when a grant on the key gives this principal this operation. An explicit deny still beats it."""
    return any(_grants(grant, question) for grant in key.grants.values())


def _grants(grant: Grant, question: Question) -> bool:
    principal = question.principal
    if grant.grantee_principal not in (principal.arn, principal.role_arn):
        return False
    if question.action.partition(":")[2] not in grant.operations:
        return False
    constraints = grant.constraints or {}
    context = {
        key.removeprefix(_PREFIX): values[0] for key, values in question.context.items() if key.startswith(_PREFIX)
    }
    exact = constraints.get("EncryptionContextEquals")
    if exact is not None and context != _lowered(exact):
        return False
    subset = constraints.get("EncryptionContextSubset")
    return subset is None or _lowered(subset).items() <= context.items()


def _lowered(pairs: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs.items()}
