"""Engine values to API parameters and back, by botocore's own shapes.

Names are matched member by member, ignoring case and a plural s (pulumi-aws pluralises lists). Where that is not enough
a row gives a rule. What no member and no rule takes is reported, never dropped.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from botocore.model import ListShape, MapShape, Shape, StructureShape

from infra.rehearsal.provider.schema import Property
from infra.rehearsal.provider.values import Path_, dotted, is_unknown


@dataclass(frozen=True)
class To:
    """Where an argument goes. `member` is a dotted path from the same level ("" = found by name)."""

    member: str = ""
    via: Callable[[Any], Any] | None = None
    """Turns the argument into what the member takes."""
    back: Callable[[Any], Any] | None = None
    """Turns what the member holds into the argument."""


@dataclass(frozen=True)
class Elsewhere:
    """The argument belongs to another call of the row."""


ELSEWHERE = Elsewhere()
Rule = str | To | Elsewhere
Rules = Mapping[str, Rule]
"""By property path without indexes: "vpcConfig.subnets"."""


@dataclass(frozen=True)
class Call:
    """An operation whose parameters come from the resource's arguments."""

    service: str
    operation: str
    rules: Rules = field(default_factory=dict)
    only: frozenset[str] | None = None
    """Top-level arguments that this call looks at; None = all."""


@dataclass
class Translation:
    params: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    """Member path -> property path, for messages."""
    untaken: list[str] = field(default_factory=list)
    """Property paths that nothing takes."""

    def property_path(self, member_path: str) -> str:
        """The property that a member path (any spelling of the prefix) came from: the nearest one known."""
        path = member_path.lstrip(".")
        while path:
            if path in self.paths:
                return self.paths[path]
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return ""


def to_api(shape: Shape | None, values: Mapping[str, Any], call: Call) -> Translation:
    """The parameters of `call` for the arguments. Unknown leaves are left out."""
    result = Translation()
    if shape is None:
        return result
    chosen = {
        key: value
        for key, value in values.items()
        if not key.startswith("__") and (call.only is None or key in call.only)
    }
    result.params = _structure(shape, chosen, call.rules, (), (), result)
    return result


def from_api(
    shape: Shape, value: Mapping[str, Any], properties: Mapping[str, Property], rules: Rules, prefix: str = ""
) -> dict[str, Any]:
    """The properties that a described structure holds. Members that the type does not show are left out."""
    assert isinstance(shape, StructureShape)
    found: dict[str, Any] = {}
    for name, wanted in properties.items():
        plain = f"{prefix}.{name}" if prefix else name
        rule = rules.get(plain)
        if isinstance(rule, Elsewhere):
            continue
        path = _member_path(shape, name, rule)
        if path is None:
            continue
        member_shape, item = _dig(shape, value, path)
        if item is None or member_shape is None:
            continue
        if isinstance(rule, To) and rule.back is not None:
            found[name] = rule.back(item)
        else:
            found[name] = _back(member_shape, item, wanted, rules, plain)
    return found


def members_of(shape: Shape) -> Mapping[str, Shape]:
    """A structure's members (botocore types them as a cached property)."""
    return cast("Mapping[str, Shape]", shape.members) if isinstance(shape, StructureShape) else {}


def member_named(shape: Shape, name: str) -> str | None:
    """The member of a structure for a property name, or None."""
    members = {member.lower(): member for member in members_of(shape)}
    wanted = name.lower()
    for candidate in (wanted, wanted.removesuffix("s"), wanted + "s"):
        if candidate in members:
            return members[candidate]
    return None


def _member_path(shape: Shape, name: str, rule: Rule | None) -> list[str] | None:
    given = rule.member if isinstance(rule, To) else rule if isinstance(rule, str) else ""
    if given:
        return given.split(".")
    member = member_named(shape, name)
    return None if member is None else [member]


def _structure(
    shape: Shape, values: Mapping[str, Any], rules: Rules, where: Path_, member_where: Path_, result: Translation
) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for key, item in values.items():
        if item is None:
            continue
        here = (*where, key)
        plain = ".".join(step for step in here if isinstance(step, str))
        rule = rules.get(plain)
        if isinstance(rule, Elsewhere):
            continue
        path = _member_path(shape, key, rule)
        target = _shape_at(shape, path) if path else None
        if path is None or target is None:
            result.untaken.append(dotted(here))
            continue
        if is_unknown(item):
            continue
        if isinstance(rule, To) and rule.via is not None:
            item = rule.via(item)
        there = (*member_where, *path)
        result.paths[dotted(there)] = dotted(here)
        value = _value(target, item, rules, here, there, result)
        level = params
        for step in path[:-1]:
            level = level.setdefault(step, {})
        level[path[-1]] = value
    return params


def _shape_at(shape: Shape, path: list[str]) -> Shape | None:
    for step in path:
        if step not in members_of(shape):
            return None
        shape = members_of(shape)[step]
    return shape


def _value(shape: Shape, value: Any, rules: Rules, where: Path_, member_where: Path_, result: Translation) -> Any:
    if isinstance(shape, StructureShape):
        if isinstance(value, list) and len(value) <= 1:  # pulumi-aws shows some single blocks as lists
            value = value[0] if value else {}
            where = (*where, 0)
        if not isinstance(value, Mapping):
            return value
        return _structure(shape, value, rules, where, member_where, result)
    if isinstance(shape, ListShape):
        items = []
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if is_unknown(item) or item is None:
                continue
            here = (*where, index) if isinstance(value, list) else where
            there = (*member_where, len(items))
            result.paths[dotted(there)] = dotted(here)
            items.append(_value(cast(Shape, shape.member), item, rules, here, there, result))
        return items
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {
            key: _value(cast(Shape, shape.value), item, rules, (*where, key), (*member_where, key), result)
            for key, item in value.items()
            if item is not None and not is_unknown(item)
        }
    return _scalar(shape, value)


def _scalar(shape: Shape, value: Any) -> Any:
    kind = shape.type_name
    if kind in {"integer", "long"} and not isinstance(value, bool):
        return int(value)
    if kind in {"float", "double"} and not isinstance(value, bool):
        return float(value)
    if kind == "boolean" and value in {"true", "false"}:
        return value == "true"
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _dig(shape: Shape, value: Any, path: list[str]) -> tuple[Shape | None, Any]:
    found: Shape | None = shape
    for step in path:
        if not isinstance(value, Mapping) or found is None or step not in members_of(found):
            return None, None
        found, value = members_of(found)[step], value.get(step)
    return found, value


def _back(shape: Shape, value: Any, wanted: Property, rules: Rules, plain: str) -> Any:
    if isinstance(shape, StructureShape):
        inner = wanted.element if wanted.kind == "list" else wanted
        found = from_api(shape, value, inner.members if inner else {}, rules, plain)
        return [found] if wanted.kind == "list" else found
    if isinstance(shape, ListShape):
        if wanted.kind == "map":
            return {entry.get("Key", entry.get("TagKey")): entry.get("Value", entry.get("TagValue")) for entry in value}
        element = wanted.element or Property("any")
        return [_back(cast(Shape, shape.member), item, element, rules, plain) for item in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Mapping):
        return dict(value)
    return _as_kind(value, wanted.kind)


def _as_kind(value: Any, kind: str) -> Any:
    if kind == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind in {"integer", "number"} and isinstance(value, str):
        number = float(value)
        return int(number) if number.is_integer() else number
    if kind == "boolean" and isinstance(value, str):
        return value.lower() == "true"
    return value
