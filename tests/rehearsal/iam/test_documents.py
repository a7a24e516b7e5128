"""Documents: what AWS would not store is refused, and every problem is named at once."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rehearsal.cloud.iam.documents import PolicyError, PolicyKind, parse

GOOD = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def problems(document: Any, kind: PolicyKind = PolicyKind.IDENTITY) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(document, kind)
    return "\n".join(caught.value.problems)


def identity(**changes: Any) -> dict[str, Any]:
    statement = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_all_problems_come_at_once() -> None:
    document = {
        "Version": "2012-10-18",
        "Statements": [],
        "Statement": [{"Effect": "allow", "Action": "GetObject"}, "text", {**GOOD, "Sid": "A"}, {**GOOD, "Sid": "A"}],
    }
    found = problems(document)
    for part in (
        "Version: got '2012-10-18'",
        "policy: got 'Statements'",
        "Statement[0].Effect: got 'allow'; allowed: Allow or Deny",
        "Statement[0].Action: got 'GetObject'",
        "Statement[0]: Resource or NotResource is required",
        "Statement[1]: got 'text'",
        "Sid 'A' stands on more than one statement",
    ):
        assert part in found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Resource": "my-bucket"}, "Statement[0].Resource: got 'my-bucket'"),
        ({"Principal": "*"}, "Principal is not allowed (identity-based policy)"),
        ({"NotAction": "s3:*"}, "Action and NotAction exclude each other"),
        ({"Sid": "has space"}, "Statement[0].Sid: got 'has space'"),
        ({"Condition": {"StringEqual": {"aws:x": "y"}}}, "got 'StringEqual'"),
        ({"Condition": {"Bool": {"SecureTransport": "true"}}}, "got 'SecureTransport'"),
        ({"Condition": {"Bool": {"aws:SecureTransport": {}}}}, "text, a number or true/false"),
        ({"Condition": []}, "Statement[0].Condition: got []"),
        ({"Action": []}, "at least one entry"),
        ({"Action": [1]}, "got 1; allowed: text"),
    ],
)
def test_identity_policies(changes: dict[str, Any], problem: str) -> None:
    assert problem in problems(identity(**changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"Version": "2012-10-17"}'])
def test_no_policy_at_all(text: str) -> None:
    assert problems(text)


def test_resource_policies_need_a_principal_and_trust_policies_must_not_have_a_resource() -> None:
    assert "Principal or NotPrincipal is required" in problems(identity(), PolicyKind.RESOURCE)
    trust = identity(Principal={"Service": "sagemaker.amazonaws.com"}, Action="sts:AssumeRole")
    assert "Resource is not allowed (role trust policy)" in problems(trust, PolicyKind.TRUST)
    trust["Statement"][0].pop("Resource")
    assert parse(trust, PolicyKind.TRUST).statements[0].principals == (("Service", "sagemaker.amazonaws.com"),)


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": "reader"},
        {"AWS": "arn:aws:iam::1:role/x"},
        {"Role": "x"},
        {},
        "me",
        {"AWS": "arn:aws:iam::111122223333:role/*"},
    ],
)
def test_principals_that_aws_refuses(principal: Any) -> None:
    assert "Principal" in problems(identity(Principal=principal), PolicyKind.RESOURCE)


def test_forms_that_mean_the_same_are_equal() -> None:
    wide = identity(Action=["s3:PutObject", "S3:GetObject"], Condition={"Bool": {"AWS:SecureTransport": True}})
    same = identity(Action=["s3:getobject", "s3:putobject"], Condition={"Bool": {"aws:securetransport": ["true"]}})
    assert parse(wide, PolicyKind.IDENTITY) == parse(same, PolicyKind.IDENTITY)


def test_a_text_is_read_once() -> None:
    text = '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
    assert parse(text, PolicyKind.IDENTITY) is parse(text, PolicyKind.IDENTITY)
