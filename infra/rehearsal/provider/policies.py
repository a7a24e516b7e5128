"""When two JSON texts mean the same (hashicorp/awspolicyequivalence and internal/verify/json.go)."""

from __future__ import annotations

import json
import re
from typing import Any

_ACCOUNT_ROOT = re.compile(r"arn:[\w-]+:iam::(\d{12}):root")


def same_json(old: Any, new: Any) -> bool:
    """Equal as JSON values: spaces and key order do not count."""
    left, right = _parsed(old), _parsed(new)
    return left is not _BROKEN and left == right


def same_policy(old: Any, new: Any) -> bool:
    """Equal as IAM policies: order of statements, single string or list, and account id or root ARN do not count."""
    left, right = _parsed(old), _parsed(new)
    if left is _BROKEN or right is _BROKEN:
        return False
    if not left or not right:
        return not left and not right
    return _canonical_policy(left) == _canonical_policy(right)


def normalised_policy(text: str) -> str:
    """The text as the provider stores it: compact JSON, keys in order, Version first. What is no JSON stays."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    if isinstance(document, dict):
        first = {key: document[key] for key in ("Version",) if key in document}
        document = first | {key: document[key] for key in sorted(document) if key not in first}
    return json.dumps(document, separators=(",", ":"))


def same_lifecycle_policy(old: Any, new: Any) -> bool:
    """ECR: rule order, key order and list order do not count (ecr/lifecycle_policy.go)."""
    left, right = _parsed(old), _parsed(new)
    return left is not _BROKEN and _unordered(left) == _unordered(right)


_BROKEN = object()


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return text or {}
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return _BROKEN


def _canonical_policy(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    rest = {key: value for key, value in document.items() if key != "Statement"}
    return rest, sorted((_canonical_statement(one) for one in statements), key=repr)


def _canonical_statement(statement: Any) -> Any:
    if not isinstance(statement, dict):
        return repr(statement)
    canonical: dict[str, Any] = {}
    for key, value in statement.items():
        if key in {"Principal", "NotPrincipal"}:
            canonical[key] = _canonical_principal(value)
        elif key == "Condition":
            canonical[key] = {
                operator: {name: _string_set(values) for name, values in sorted(tests.items())}
                for operator, tests in sorted(value.items())
            }
        elif key in {"Action", "NotAction", "Resource", "NotResource"}:
            canonical[key] = _string_set(value)
        else:
            canonical[key] = value
    return sorted(canonical.items(), key=lambda entry: entry[0])


def _canonical_principal(value: Any) -> Any:
    if value == "*":
        return "*"
    if isinstance(value, dict):
        if value == {"AWS": "*"}:
            return "*"
        return {kind: [_account(one) for one in _string_set(names)] for kind, names in sorted(value.items())}
    return value


def _account(principal: str) -> str:
    match = _ACCOUNT_ROOT.fullmatch(principal)
    return match.group(1) if match else principal


def _string_set(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return sorted({str(one).lower() if isinstance(one, bool) else str(one) for one in values})


def _unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _unordered(item)) for key, item in value.items())
    if isinstance(value, list):
        return sorted((_unordered(item) for item in value), key=repr)
    return value
