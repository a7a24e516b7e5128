"""Holds a request against a model's signature: which field, what stood there, what is taken."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.catalog.signature import Signature, SignatureField
from infra.problems import nearest

MOST_PROBLEMS = 10
"""Problems that are told; a request with more of them is told so."""
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")


def request_problems(signature: Signature, body: bytes) -> list[str]:
    """What is wrong with a request body, in the order of the request; empty when the signature takes it.

    A request is {"instances": [{field: value}, ...]}. A category that the signature does not list is no problem: models
    meet new values, and the monitor counts them.
    """
    try:
        request = json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not isinstance(request, dict) or not isinstance(request.get("instances"), list):
        return ['a request is an object with a list of rows: {"instances": [{field: value}, ...]}']
    if not request["instances"]:
        return ["instances is empty: send at least one row"]
    found = [
        f"instances[{number}]{problem}"
        for number, row in enumerate(request["instances"])
        for problem in _row_problems(signature, row)
    ]
    return found if len(found) <= MOST_PROBLEMS else [*found[:MOST_PROBLEMS], f"and {len(found) - MOST_PROBLEMS} more"]


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON value; send null for a missing number")


def _row_problems(signature: Signature, row: Any) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f": {_shown(row)} instead of an object of field names and values"
        return
    fields = {field.name: field for field in signature.inputs}
    for name in row:
        if name not in fields:
            like = nearest(str(name), fields)
            meant = f"; did you mean {like}?" if like else f"; the model takes {', '.join(fields)}"
            yield f".{name}: no such field{meant}"
    for name, field in fields.items():
        if name not in row:
            if field.required and not field.nullable:
                yield f".{name}: missing ({field.type})"
            continue
        if problem := _value_problem(field, row[name]):
            yield f".{name}: {problem}"


def _value_problem(field: SignatureField, value: Any) -> str:
    if value is None:
        return "" if field.nullable else f"null, but a value is needed ({field.type})"
    if not _is(field.type, value):
        return f"{_shown(value)} is no {field.type}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if field.minimum is not None and value < field.minimum:
            return f"{value} is below the minimum, {field.minimum:g}"
        if field.maximum is not None and value > field.maximum:
            return f"{value} is above the maximum, {field.maximum:g}"
    return ""


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "double":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "timestamp":
            return isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None
        case "string":
            return isinstance(value, str)
    inner = re.fullmatch(r"array<(\w+)>", kind)
    return inner is not None and isinstance(value, list) and all(_is(inner[1], each) for each in value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
