"""Event patterns: which are valid, and which events they match.

Sources: EventBridge User Guide, "Creating event patterns" (eb-event-patterns.html) and "Comparison operators for use in
event patterns" (eb-create-pattern-operators.html); the wording of refusals from aws/event-ruler. Carried are exact
values, prefix, suffix, anything-but (values, prefix, suffix), exists and numeric; the other operators are refused by
name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

NOT_CARRIED = frozenset({"$or", "cidr", "equals-ignore-case", "wildcard"})
_COMPARISONS = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_LARGEST_NUMBER = 5e9
"""Numeric matching takes -5e9 to 5e9 ("Numeric matching" on the page of operators)."""


class PatternError(ValueError):
    """A pattern that EventBridge refuses; the text is the reason."""


class NotCarriedPattern(ValueError):
    """A pattern that EventBridge takes and this cloud does not carry; the text is the operator."""


def parse(text: str) -> dict[str, Any]:
    """A valid pattern of a JSON text. PatternError or NotCarriedPattern for others."""
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise PatternError(f"Filter is not a valid JSON: {error}") from error
    if not isinstance(pattern, dict):
        raise PatternError("Filter is not an object")
    _check_object(pattern, "")
    return pattern


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the event has every field of the pattern, each with a value that one entry of its list takes."""
    return all(_field_matches(wanted, event.get(name, _ABSENT)) for name, wanted in pattern.items())


class _Absent:
    pass


_ABSENT = _Absent()


def _check_object(pattern: Mapping[str, Any], path: str) -> None:
    if not pattern:
        raise PatternError(f"Empty objects are not allowed{f' ({path})' if path else ''}")
    for name, wanted in pattern.items():
        here = f"{path}.{name}" if path else name
        if name in NOT_CARRIED:
            raise NotCarriedPattern(name)
        if isinstance(wanted, dict):
            _check_object(wanted, here)
        elif not isinstance(wanted, list):
            raise PatternError(f'"{here}" must be an object or an array')
        elif not wanted:
            raise PatternError(f"Empty arrays are not allowed ({here})")
        else:
            for entry in wanted:
                _check_entry(entry, here)


def _check_entry(entry: Any, path: str) -> None:
    if isinstance(entry, list):
        raise PatternError(f'Match value must be String, number, true, false, or null ("{path}")')
    if not isinstance(entry, dict):
        return
    if len(entry) != 1:
        raise PatternError(f'Only one key allowed in match expression ("{path}")')
    ((operator, operand),) = entry.items()
    if operator in NOT_CARRIED:
        raise NotCarriedPattern(operator)
    if operator in ("prefix", "suffix"):
        _check_affix(operator, operand)
    elif operator == "exists":
        if not isinstance(operand, bool):
            raise PatternError("exists match pattern must be either true or false.")
    elif operator == "numeric":
        _check_numeric(operand)
    elif operator == "anything-but":
        _check_anything_but(operand)
    else:
        raise PatternError(f"Unrecognized match type {operator}")


def _check_affix(operator: str, operand: Any) -> None:
    if isinstance(operand, dict):
        raise NotCarriedPattern(f"{operator} with {', '.join(operand)}")
    if not isinstance(operand, str):
        raise PatternError(f"{operator} match pattern must be a string")


def _check_numeric(operand: Any) -> None:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise PatternError("Value of numeric must be an array of one or two comparisons")
    for operator, bound in zip(operand[::2], operand[1::2], strict=True):
        if operator not in _COMPARISONS:
            raise PatternError(f"Unrecognized numeric range operator: {operator}")
        if not _is_number(bound) or abs(bound) > _LARGEST_NUMBER:
            raise PatternError(f"Value must be a number from -5e9 to 5e9: {json.dumps(bound)}")


def _check_anything_but(operand: Any) -> None:
    if isinstance(operand, dict):
        if len(operand) != 1:
            raise PatternError("Only one key allowed in anything-but")
        ((operator, inner),) = operand.items()
        if operator not in ("prefix", "suffix"):
            raise NotCarriedPattern(f"anything-but with {operator}")
        if not isinstance(inner, str) or not inner:
            raise PatternError(f"anything-but {operator} must be a string that is not empty")
        return
    values = operand if isinstance(operand, list) else [operand]
    if not values or not (all(isinstance(one, str) for one in values) or all(_is_number(one) for one in values)):
        raise PatternError(
            "Inside anything but list, either all values are number or string, mixed type is not supported"
        )


def _field_matches(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        if isinstance(value, list):
            return any(_field_matches(wanted, one) for one in value)
        inner = value if isinstance(value, Mapping) else {}
        # What asks for an absent field is content with a parent that is absent.
        return matches(wanted, inner)
    candidates = value if isinstance(value, list) else [value]
    return any(_entry_matches(entry, candidate) for entry in wanted for candidate in candidates or [_ABSENT])


def _entry_matches(entry: Any, value: Any) -> bool:
    if isinstance(entry, Mapping):
        ((operator, operand),) = entry.items()
        if operator == "exists":
            return (not isinstance(value, _Absent | Mapping)) is operand
        return not isinstance(value, _Absent | Mapping) and _OPERATORS[operator](operand, value)
    return not isinstance(value, _Absent | Mapping | list) and _same(entry, value)


def _same(wanted: Any, value: Any) -> bool:
    """Numbers are compared as they are written: 300 and 300.0 differ ("Matching" on the page of event patterns)."""
    return type(wanted) is type(value) and wanted == value


def _numeric(operand: Sequence[Any], value: Any) -> bool:
    return _is_number(value) and all(
        _COMPARISONS[operator](value, bound) for operator, bound in zip(operand[::2], operand[1::2], strict=True)
    )


def _anything_but(operand: Any, value: Any) -> bool:
    if isinstance(operand, Mapping):
        ((operator, inner),) = operand.items()
        return not _OPERATORS[operator](inner, value)
    return not any(_same(one, value) for one in (operand if isinstance(operand, list) else [operand]))


_OPERATORS = {
    "prefix": lambda operand, value: isinstance(value, str) and value.startswith(operand),
    "suffix": lambda operand, value: isinstance(value, str) and value.endswith(operand),
    "numeric": _numeric,
    "anything-but": _anything_but,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
