"""Check: names, kinds, required arguments, defaults, plan-time rules, and AWS's own constraints."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import provider_pb2 as pb

from infra.rehearsal.cloud import validator
from infra.rehearsal.provider.account import Account
from infra.rehearsal.provider.row import Problem, Row
from infra.rehearsal.provider.schema import Property
from infra.rehearsal.provider.translate import Call, to_api
from infra.rehearsal.provider.values import has_unknown, is_asset, is_unknown

DEFAULTS = "__defaults"
"""The bridge's list of arguments that it filled in itself."""


@dataclass
class Checked:
    inputs: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)


def check(
    row: Row, account: Account, request: pb.CheckRequest, olds: Mapping[str, Any], news: Mapping[str, Any]
) -> Checked:
    """The arguments as the engine will keep them, or every problem at once."""
    problems: list[Problem] = []
    inputs = {
        key: _conform(row.schema.inputs.get(key), value, key, problems)
        for key, value in news.items()
        if not key.startswith("__") and value is not None
    }
    _unknown_names(row, inputs, problems)
    defaulted = _fill_defaults(row, request, olds, inputs, problems)
    if not problems:
        problems += _missing(row, inputs)
        problems += [problem for rule in row.rules for problem in rule(inputs)]
        problems += _untaken(row, account, inputs)
    if not problems:
        problems += _refused(row, account, inputs)
    return Checked({**inputs, DEFAULTS: sorted(defaulted)} if defaulted else inputs, problems)


def _conform(wanted: Property | None, value: Any, path: str, problems: list[Problem]) -> Any:
    """Coerces texts to numbers and booleans as the bridge does; anything else of the wrong kind is a problem."""
    if wanted is None or value is None or is_unknown(value) or is_asset(value):
        return value
    kind = wanted.kind
    if kind == "object" and isinstance(value, Mapping):
        return _conform_object(wanted, value, path, problems)
    if kind == "list" and isinstance(value, list):
        element = wanted.element or Property("any")
        return [_conform(element, item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    if kind == "map" and isinstance(value, Mapping):
        element = wanted.element or Property("any")
        return {key: _conform(element, item, f"{path}.{key}", problems) for key, item in value.items()}
    if kind in {"any", "asset"}:
        return value
    return _conform_scalar(kind, value, path, problems)


def _conform_object(wanted: Property, value: Mapping[str, Any], path: str, problems: list[Problem]) -> dict[str, Any]:
    result = {}
    for key, item in value.items():
        if key.startswith("__"):
            continue
        if key not in wanted.members:
            problems.append((f"{path}.{key}", f"no such argument{_nearest(key, wanted.members)}"))
        else:
            result[key] = _conform(wanted.members[key], item, f"{path}.{key}", problems)
    return result


def _conform_scalar(kind: str, value: Any, path: str, problems: list[Problem]) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string" and isinstance(value, str | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
    if kind in {"integer", "number"}:
        if number and (kind == "number" or float(value).is_integer()):
            return int(value) if kind == "integer" else value
        if isinstance(value, str):
            try:
                parsed = float(value)
            except ValueError:
                parsed = None
            if parsed is not None and (kind == "number" or parsed.is_integer()):
                return int(parsed) if parsed.is_integer() else parsed
    article = "an" if kind[0] in "aio" else "a"
    problems.append((path, f"expected {article} {kind}, got {value!r}"))
    return value


def _unknown_names(row: Row, inputs: Mapping[str, Any], problems: list[Problem]) -> None:
    for key in inputs:
        if key not in row.schema.inputs:
            problems.append((key, f"{row.type} has no argument {key}{_nearest(key, row.schema.inputs)}"))


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _fill_defaults(
    row: Row, request: pb.CheckRequest, olds: Mapping[str, Any], inputs: dict[str, Any], problems: list[Problem]
) -> set[str]:
    filled: set[str] = set()
    for path, value in row.defaults.items():
        if "." not in path:
            if inputs.get(path) is None:
                inputs[path] = value
                filled.add(path)
        else:
            _fill_nested(inputs, path.split("."), value)
    name = row.name
    if name is not None and inputs.get(name.field) is None and not inputs.get(name.prefix_field):
        kept = olds.get(name.field) if name.field in (olds.get(DEFAULTS) or ()) else None
        logical = request.name or request.urn.split("::")[-1]
        made = kept or name.make(logical, request)
        if made is None:
            problems.append((name.field, f"{name.field} is required: auto-naming is switched off for this stack"))
        else:
            inputs[name.field] = made
            filled.add(name.field)
    return filled


def _fill_nested(level: Any, steps: list[str], value: Any) -> None:
    if isinstance(level, list):
        for item in level:
            _fill_nested(item, steps, value)
    elif isinstance(level, dict):
        if len(steps) > 1:
            _fill_nested(level.get(steps[0]), steps[1:], value)
        elif level.get(steps[0]) is None:
            level[steps[0]] = value


def _missing(row: Row, inputs: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _missing_in(row.schema.inputs, inputs, "", row.computed)


def _missing_in(
    wanted: Mapping[str, Property], given: Mapping[str, Any], path: str, computed: frozenset[str]
) -> Iterator[Problem]:
    for name, one in wanted.items():
        here = f"{path}.{name}" if path else name
        value = given.get(name)
        if value is None:
            if one.required and here not in computed:
                yield here, f'Missing required argument: the argument "{here}" is required, but no definition was found'
        elif one.kind == "object" and isinstance(value, Mapping):
            yield from _missing_in(one.members, value, here, computed)
        elif one.kind == "list" and one.element is not None and one.element.kind == "object":
            for index, item in enumerate(value if isinstance(value, list) else []):
                if isinstance(item, Mapping):
                    yield from _missing_in(one.element.members, item, f"{here}[{index}]", computed)


def _untaken(row: Row, account: Account, inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """Arguments that exist but that no rule of the row takes: an error, never dropped."""
    by_steps = {name for step in row.steps for name in step.inputs}
    handled = by_steps | row.state_only | row.never_sent | row.nothing | {"region", "tags", "tagsAll"}
    open_paths: set[str] | None = None
    for call in row.calls:
        shape = account.input_shape(call.service, call.operation)
        untaken = set(to_api(shape, inputs, call).untaken)
        seen = {key for key in inputs if call.only is None or key in call.only}
        untaken |= {key for key in inputs if key not in seen}
        open_paths = untaken if open_paths is None else open_paths & untaken
    for path in sorted(inputs if open_paths is None else open_paths):
        if path.split(".")[0].split("[")[0] not in handled:
            yield path, f"the rehearsal's provider has no rule for {row.type} {path}: it would be dropped in silence"


def _refused(row: Row, account: Account, inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """What AWS's models and schemas refuse in the values that are known."""
    partial = has_unknown(inputs)
    seen: set[Problem] = set()
    for call in row.calls:
        if not _applies(call, inputs):
            continue
        translation = to_api(account.input_shape(call.service, call.operation), inputs, call)
        # Ids and names that only the apply knows are never among the parameters: only given values are judged.
        for finding in validator.validate(call.service, call.operation, translation.params, partial=True):
            where = translation.property_path(finding.path)
            if where in row.checked_late:
                continue
            problem = (
                where,
                f"{finding.message} ({call.operation}{'; some values are not known yet' if partial else ''})",
            )
            if problem not in seen:
                seen.add(problem)
                yield problem


def _applies(call: Call, inputs: Mapping[str, Any]) -> bool:
    return call.only is None or any(inputs.get(name) is not None for name in call.only)
