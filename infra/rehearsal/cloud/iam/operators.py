"""The condition operators of the policy language.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued keys".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime

from infra.rehearsal.cloud.iam.documents import Condition
from infra.rehearsal.cloud.iam.patterns import Context, arn_like, like, plain, render

Match = Callable[[str, str], bool]
"""(rendered pattern of the policy, value of the request) -> equal, like, less ..."""


def holds(condition: Condition, context: Context, *, variables: bool) -> bool:
    """True when the request satisfies this condition.

    A key that the request lacks: false for a positive operator, true for a negated one, true with `...IfExists` and
    `ForAllValues`, false with `ForAnyValue`; `Null` asks just that.
    """
    values = context.get(condition.key)
    if condition.operator == "Null":
        wanted = {value.lower() for value in condition.values}
        return ("false" if values else "true") in wanted
    if not values:
        if condition.if_exists or condition.quantifier == "ForAllValues":
            return True
        return condition.quantifier != "ForAnyValue" and condition.operator in _NEGATED
    positive = _NEGATED.get(condition.operator)
    match = _MATCHES[positive or condition.operator]
    patterns = [render(value, context if variables else None) for value in condition.values]

    def one(value: str) -> bool:
        found = any(pattern is not None and match(pattern, value) for pattern in patterns)
        return found if positive is None else not found

    if condition.quantifier == "ForAnyValue" or (not condition.quantifier and positive is None):
        return any(one(value) for value in values)
    return all(one(value) for value in values)


def _equals(pattern: str, value: str) -> bool:
    return plain(pattern) == value


def _equals_ignoring_case(pattern: str, value: str) -> bool:
    return plain(pattern).lower() == value.lower()


def _binary_equals(pattern: str, value: str) -> bool:
    try:
        return base64.b64decode(pattern, validate=True) == base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return False


def _in_network(pattern: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)
    except (ValueError, TypeError):
        return False


def _compared(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Match:
    def match(pattern: str, value: str) -> bool:
        try:
            return compare(read(value), read(pattern))
        except ValueError:
            return False

    return match


def _seconds(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or of a number. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        pass
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda got, wanted: got == wanted,
    "LessThan": lambda got, wanted: got < wanted,
    "LessThanEquals": lambda got, wanted: got <= wanted,
    "GreaterThan": lambda got, wanted: got > wanted,
    "GreaterThanEquals": lambda got, wanted: got >= wanted,
}

_MATCHES: dict[str, Match] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringLike": like,
    # AWS documents that ArnEquals and ArnLike behave identically.
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": _equals_ignoring_case,
    "BinaryEquals": _binary_equals,
    "IpAddress": _in_network,
    **{f"Numeric{name}": _compared(float, compare) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": _compared(_seconds, compare) for name, compare in _COMPARISONS.items()},
}

_NEGATED: dict[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
"""A negated operator holds when its positive one holds for none of the policy's values."""
