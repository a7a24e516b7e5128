"""Statements of policy documents."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from .resource import UNKNOWN, document, items

_HOLDING = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
"""Condition operators that are false where the key is missing:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""


def statements(policy: Any) -> list[Mapping[str, Any]]:
    """The statements of a policy document (text or map); none of one that is not known or no document."""
    policy = document(policy)
    if not isinstance(policy, Mapping):
        return []
    return [statement for statement in items(policy.get("Statement")) if isinstance(statement, Mapping)]


def actions(statement: Mapping[str, Any]) -> list[str]:
    return [action for action in items(statement.get("Action")) if isinstance(action, str)]


def resources(statement: Mapping[str, Any]) -> list[str]:
    return [resource for resource in items(statement.get("Resource")) if isinstance(resource, str)]


def covers(statement: Mapping[str, Any], operation: str) -> bool:
    """Whether the statement is about an operation, such as s3:GetObject."""
    return any(fnmatchcase(operation.lower(), action.lower()) for action in actions(statement))


def everybody(statement: Mapping[str, Any]) -> bool:
    """Whether the statement's principal is everybody."""
    principal = statement.get("Principal")
    if principal == "*":
        return True
    return isinstance(principal, Mapping) and any("*" in items(who) for who in principal.values() if who is not UNKNOWN)


def narrowed(statement: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    """Whether a condition on one of the keys has to hold. `Not` and `IfExists` leave everybody else in."""
    conditions = statement.get("Condition")
    for operator, wanted in conditions.items() if isinstance(conditions, Mapping) else ():
        plain = operator.removeprefix("ForAnyValue:").removesuffix("IgnoreCase")
        if plain in _HOLDING and isinstance(wanted, Mapping):
            for key, value in wanted.items():
                if key in keys and "*" not in items(value):
                    return True
    return False


def label(statement: Mapping[str, Any], index: int) -> str:
    return str(statement.get("Sid") or f"Statement[{index}]")
