"""Every constraint of botocore's models: required, unknown, type, enum, pattern, length, range, tagged union.

botocore itself checks required, unknown, type, minimum and unions, on the client and only there. A shape is compiled
once into a check; a call then costs a walk over its values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import regex
from moto.core.utils import get_service_model

from infra.rehearsal.cloud.validator.findings import Finding, choices, joined, shown
from infra.rehearsal.cloud.validator.patterns import compiled, matches


@dataclass
class Pass:
    """One walk over one call's parameters."""

    operation: str
    partial: bool
    findings: list[Finding] = field(default_factory=list)
    mistyped: bool = False
    """A value has the wrong type, so that nothing may be read into its neighbours."""

    def add(self, path: str, message: str) -> None:
        self.findings.append(Finding(path, message))

    def wrong_type(self, path: str, expected: str, value: Any) -> None:
        self.mistyped = True
        self.add(path, f"must be {expected}, got {shown(value)} ({type(value).__name__})")


Check = Callable[[Any, str, Pass], None]
Shape = Any
"""A shape of botocore's model. Its properties are cached by a descriptor that carries no types."""


@functools.cache
def check_of(service: str, operation: str) -> Check | None:
    """The check of an operation's input, or None when it takes nothing. KeyError for an unknown operation."""
    model: Any = get_service_model(service).operation_model(operation)
    return _Compiler().check(model.input_shape) if model.input_shape is not None else None


class _Compiler:
    """Compiles shapes. A shape may contain itself, so a member's check is looked up when it runs."""

    def __init__(self) -> None:
        self._checks: dict[tuple[str, bool], Check] = {}

    def check(self, shape: Shape) -> Check:
        key = (shape.name, bool(shape.serialization.get("jsonvalue")))
        known = self._checks.get(key)
        if known is None:
            made: list[Check] = []
            # In place before its members are compiled: a shape that contains itself finds it.
            self._checks[key] = lambda value, path, walk: made[0](value, path, walk)
            made.append(self._compile(shape))
            known = self._checks[key] = made[0]
        return known

    def _compile(self, shape: Shape) -> Check:
        if shape.serialization.get("jsonvalue"):
            return _anything
        match shape.type_name:
            case "structure":
                return _anything if shape.is_document_type else self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
            case "string" | "character":
                return _string(shape)
            case "boolean":
                return _boolean
            case "timestamp":
                return _timestamp
            case "blob":
                return _blob(shape)
            case "float" | "double" | "bigdecimal":
                return _number(shape, "a number", (int, float))
            case "integer" | "long" | "short" | "byte" | "biginteger":
                return _number(shape, "an integer", (int,))
        return _anything

    def _structure(self, shape: Shape) -> Check:
        checks = {name: self.check(member) for name, member in shape.members.items()}
        required = tuple(shape.required_members)
        is_union = bool(getattr(shape, "is_tagged_union", False))

        def check(value: Any, path: str, walk: Pass) -> None:
            if not isinstance(value, Mapping):
                walk.wrong_type(path, "a structure", value)
                return
            given = 0
            for name, member in value.items():
                member_check = checks.get(name)
                if member_check is None:
                    where = f"no field of {walk.operation}" if not path else "no field here"
                    walk.add(joined(path, str(name)), f"is {where}; {choices(name, checks)}")
                elif member is not None:
                    given += 1
                    member_check(member, f"{path}.{name}" if path else name, walk)
            if not walk.partial:
                for name in required:
                    if value.get(name) is None:
                        walk.add(joined(path, name), "is required")
            if is_union and (given > 1 or (given == 0 and not walk.partial)):
                walk.add(path, f"takes exactly one of {', '.join(checks)}; got {given}")

        return check

    def _list(self, shape: Shape) -> Check:
        item_check = self.check(shape.member)
        count = _Range("entries", shape.metadata)

        def check(value: Any, path: str, walk: Pass) -> None:
            if not isinstance(value, (list, tuple)):
                walk.wrong_type(path, "a list", value)
                return
            count.check(len(value), path, walk)
            for index, item in enumerate(value):
                item_check(item, f"{path}[{index}]", walk)

        return check

    def _map(self, shape: Shape) -> Check:
        key_check, value_check = self.check(shape.key), self.check(shape.value)
        count = _Range("entries", shape.metadata)

        def check(value: Any, path: str, walk: Pass) -> None:
            if not isinstance(value, Mapping):
                walk.wrong_type(path, "a map", value)
                return
            count.check(len(value), path, walk)
            for key, item in value.items():
                key_check(key, f"{path}[key {key!r}]", walk)
                value_check(item, f"{path}[{key!r}]", walk)

        return check


class _Range:
    """A minimum and a maximum on a number of things."""

    def __init__(self, unit: str, metadata: Mapping[str, Any]):
        self._unit = unit
        self._minimum = metadata.get("min")
        self._maximum = metadata.get("max")

    def check(self, count: int, path: str, walk: Pass) -> None:
        if self._maximum is not None and count > self._maximum:
            walk.add(path, f"has {count} {self._unit}, at most {self._maximum} are allowed")
        # Pruned values may have left a list shorter than it will be.
        if self._minimum is not None and count < self._minimum and not walk.partial:
            walk.add(path, f"has {count} {self._unit}, at least {self._minimum} are needed")


def _string(shape: Shape) -> Check:
    metadata = shape.metadata
    minimum, maximum, pattern = metadata.get("min"), metadata.get("max"), metadata.get("pattern")
    enum = tuple(getattr(shape, "enum", None) or ())
    allowed = frozenset(enum)
    secret = bool(metadata.get("sensitive"))
    if pattern is not None:
        try:
            compiled(pattern)
        except regex.error:
            # Listed by the self-test of patterns; such a pattern cannot be held against a value.
            pattern = None

    def check(value: Any, path: str, walk: Pass) -> None:
        if not isinstance(value, str):
            walk.wrong_type(path, "a string", "(hidden)" if secret else value)
            return
        if maximum is not None and len(value) > maximum:
            walk.add(path, f"has {len(value)} characters, at most {maximum} are allowed")
        if minimum is not None and len(value) < minimum:
            walk.add(path, f"has {len(value)} characters, at least {minimum} are needed")
        got = "the value" if secret else shown(value)
        if allowed and value not in allowed:
            walk.add(path, f"{got} is not allowed; {choices(value, enum)}")
        elif pattern is not None and not matches(pattern, value):
            walk.add(path, f"{got} does not match the pattern {pattern}")

    return check


def _number(shape: Shape, expected: str, types: tuple[type, ...]) -> Check:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, path: str, walk: Pass) -> None:
        if isinstance(value, bool) or not isinstance(value, types):
            walk.wrong_type(path, expected, value)
            return
        if maximum is not None and value > maximum:
            walk.add(path, f"is {value}, at most {maximum} is allowed")
        if minimum is not None and value < minimum:
            walk.add(path, f"is {value}, at least {minimum} is needed")

    return check


def _blob(shape: Shape) -> Check:
    size = _Range("bytes", shape.metadata)

    def check(value: Any, path: str, walk: Pass) -> None:
        if isinstance(value, str):
            size.check(len(value.encode()), path, walk)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            size.check(len(value), path, walk)
        elif not hasattr(value, "read"):
            walk.wrong_type(path, "bytes", value)

    return check


def _boolean(value: Any, path: str, walk: Pass) -> None:
    if not isinstance(value, bool):
        walk.wrong_type(path, "true or false", value)


def _timestamp(value: Any, path: str, walk: Pass) -> None:
    if isinstance(value, bool) or not isinstance(value, (datetime, int, float, str)):
        walk.wrong_type(path, "a time", value)


def _anything(value: Any, path: str, walk: Pass) -> None:
    return
