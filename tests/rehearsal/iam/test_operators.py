"""Every condition operator, with the key present, absent and with several values."""

from __future__ import annotations

import pytest

from infra.rehearsal.cloud.iam.documents import Condition, split_operator
from infra.rehearsal.cloud.iam.operators import holds


def check(operator: str, wanted: str | list[str], got: list[str] | None) -> bool:
    parts = split_operator(operator)
    assert parts is not None
    quantifier, base, if_exists = parts
    values = tuple([wanted] if isinstance(wanted, str) else wanted)
    context = {} if got is None else {"x:key": tuple(got)}
    return holds(Condition(base, "x:key", values, if_exists, quantifier), context, variables=True)


@pytest.mark.parametrize(
    ("operator", "wanted", "matching", "other"),
    [
        ("StringEquals", "a*", "a*", "ab"),
        ("StringEqualsIgnoreCase", "Abc", "aBC", "abd"),
        ("StringLike", "a*c", "abbc", "abb"),
        ("ArnEquals", "arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:1:t", "arn:aws:sns:eu-west-1:2:t"),
        ("ArnLike", "arn:aws:s3:::b/*", "arn:aws:s3:::b/x:y/z", "arn:aws:s3:::c/x"),
        ("NumericEquals", "10", "10.0", "11"),
        ("NumericLessThan", "10", "9.5", "10"),
        ("NumericLessThanEquals", "10", "10", "10.1"),
        ("NumericGreaterThan", "10", "11", "10"),
        ("NumericGreaterThanEquals", "10", "10", "9"),
        ("DateEquals", "2026-11-21T00:00:00Z", "2026-11-21T01:00:00+01:00", "2026-11-22T00:00:00Z"),
        ("DateLessThan", "2026-11-21", "2026-11-20", "2026-11-21"),
        ("DateLessThanEquals", "2026-11-21", "2026-11-21", "2026-11-22"),
        ("DateGreaterThan", "2026-11-21", "2026-11-22", "2026-11-21"),
        ("DateGreaterThanEquals", "0", "1", "-1"),
        ("Bool", "true", "True", "false"),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", "T3RoZXI="),
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", "203.0.114.9"),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", "203.0.113.9"),
    ],
)
def test_positive_operators(operator: str, wanted: str, matching: str, other: str) -> None:
    assert check(operator, wanted, [matching])
    assert not check(operator, wanted, [other])
    assert not check(operator, wanted, None)
    assert check(f"{operator}IfExists", wanted, None)
    assert not check(f"{operator}IfExists", wanted, [other])


@pytest.mark.parametrize(
    ("operator", "wanted", "matching", "other"),
    [
        ("StringNotEquals", "a", "a", "b"),
        ("StringNotEqualsIgnoreCase", "a", "A", "b"),
        ("StringNotLike", "a*", "ab", "b"),
        ("ArnNotEquals", "arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:1:t", "arn:aws:sns:eu-west-1:1:u"),
        ("ArnNotLike", "arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:1:t", "arn:aws:sns:eu-west-1:1:u"),
        ("NumericNotEquals", "1", "1.0", "2"),
        ("DateNotEquals", "2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22"),
        ("NotIpAddress", "203.0.113.0/24", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_negated_operators(operator: str, wanted: str, matching: str, other: str) -> None:
    assert not check(operator, wanted, [matching])
    assert check(operator, wanted, [other])
    assert check(operator, wanted, None), "a key that is absent does not match, so the negation holds"
    assert check(f"{operator}IfExists", wanted, None)


def test_several_policy_values_are_alternatives_and_negated_ones_are_none_of_them() -> None:
    assert check("StringEquals", ["a", "b"], ["b"])
    assert not check("StringNotEquals", ["a", "b"], ["b"])
    assert check("StringNotEquals", ["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("operator", "wanted", "got", "expected"),
    [
        ("ForAnyValue:StringEquals", ["a", "b"], ["b", "z"], True),
        ("ForAnyValue:StringEquals", ["a", "b"], ["z"], False),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "z"], True),
        ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
        ("ForAnyValue:StringNotEquals", ["a"], None, False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "z"], False),
        ("ForAllValues:StringEquals", ["a"], None, True),
        ("ForAllValues:StringNotLike", ["a*"], ["b", "c"], True),
        ("ForAllValues:StringNotLike", ["a*"], ["b", "ac"], False),
    ],
)
def test_set_operators(operator: str, wanted: list[str], got: list[str] | None, expected: bool) -> None:
    assert check(operator, wanted, got) is expected


def test_null_asks_for_presence() -> None:
    assert check("Null", "true", None)
    assert not check("Null", "true", ["a"])
    assert check("Null", "false", ["a"])
    assert not check("Null", "false", None)


@pytest.mark.parametrize("operator", ["NumericEquals", "DateLessThan", "IpAddress", "BinaryEquals"])
def test_a_value_that_cannot_be_read_does_not_match(operator: str) -> None:
    assert not check(operator, "not a value", ["neither?"])


@pytest.mark.parametrize("name", ["StringEqual", "NullIfExists", "ForSomeValues:StringEquals", "", "Arn"])
def test_unknown_operators_are_none(name: str) -> None:
    assert split_operator(name) is None


def test_operator_names_are_read_without_regard_to_case() -> None:
    assert split_operator("forallvalues:stringlikeifexists") == ("ForAllValues", "StringLike", True)
