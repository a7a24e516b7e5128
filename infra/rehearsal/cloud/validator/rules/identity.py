"""IAM and KMS: sizes and grammar of policy documents.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

MANAGED_POLICY_CHARACTERS = 6_144
INLINE_ROLE_POLICY_CHARACTERS = 10_240
TRUST_POLICY_CHARACTERS = 2_048
_VERSIONS = ("2012-10-17", "2008-10-17")


@rule("iam", "CreatePolicy", "CreatePolicyVersion")
def managed_policy(params: Params, partial: bool) -> Iterator[Finding]:
    yield from _identity_policy(params, MANAGED_POLICY_CHARACTERS)


@rule("iam", "PutRolePolicy")
def role_policy(params: Params, partial: bool) -> Iterator[Finding]:
    yield from _identity_policy(params, INLINE_ROLE_POLICY_CHARACTERS)


def _identity_policy(params: Params, most: int) -> Iterator[Finding]:
    text = params.get("PolicyDocument")
    if text is None:
        return
    yield from _size("PolicyDocument", text, most)
    for path, statement in (yield from _statements("PolicyDocument", text)):
        if "Principal" in statement or "NotPrincipal" in statement:
            yield Finding(path, "names a Principal; a policy of an identity has none")
        if "Resource" not in statement and "NotResource" not in statement:
            yield Finding(path, "needs Resource or NotResource")


@rule("iam", "CreateRole")
def trust_on_create(params: Params, partial: bool) -> Iterator[Finding]:
    yield from _trust("AssumeRolePolicyDocument", params)


@rule("iam", "UpdateAssumeRolePolicy")
def trust_on_update(params: Params, partial: bool) -> Iterator[Finding]:
    yield from _trust("PolicyDocument", params)


def _trust(member: str, params: Params) -> Iterator[Finding]:
    text = params.get(member)
    if text is None:
        return
    yield from _size(member, text, TRUST_POLICY_CHARACTERS)
    for path, statement in (yield from _statements(member, text)):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            yield Finding(path, "needs a Principal: who may take the role")
        if "Resource" in statement:
            yield Finding(path, "names a Resource; a trust policy has none")


@rule("kms", "CreateKey", "PutKeyPolicy")
def key_policy(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html"""
    text = params.get("Policy")
    if text is None:
        return
    for path, statement in (yield from _statements("Policy", text)):
        if "Principal" not in statement:
            yield Finding(path, "needs a Principal")


def _size(path: str, text: str, most: int) -> Iterator[Finding]:
    # IAM does not count white space.
    characters = len("".join(text.split()))
    if characters > most:
        yield Finding(path, f"has {characters} characters without white space, at most {most} are allowed")


def _statements(path: str, text: str) -> Any:
    """A generator of findings that returns the statements of a document, as (path, statement)."""
    try:
        document = json.loads(text)
    except ValueError as error:
        yield Finding(path, f"is no JSON: {error}")
        return []
    if not isinstance(document, Mapping):
        yield Finding(path, f"is no policy document: {shown(document)}")
        return []
    version = document.get("Version")
    if version is not None and version not in _VERSIONS:
        yield Finding(f"{path}.Version", f"is {shown(version)}; write 2012-10-17")
    given = document.get("Statement", [])
    statements = given if isinstance(given, list) else [given]
    found = []
    for index, statement in enumerate(statements):
        where = f"{path}.Statement[{index}]"
        if not isinstance(statement, Mapping):
            yield Finding(where, "is no statement")
            continue
        if statement.get("Effect") not in ("Allow", "Deny"):
            yield Finding(f"{where}.Effect", f"is {shown(statement.get('Effect'))}; write Allow or Deny")
        if "Action" not in statement and "NotAction" not in statement:
            yield Finding(where, "needs Action or NotAction")
        found.append((where, statement))
    return found
