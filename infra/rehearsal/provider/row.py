"""One row of the table: how the real provider treats one resource type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.schema import Schema, schema_of
from infra.rehearsal.provider.translate import Call
from infra.rehearsal.provider.values import is_unknown

if TYPE_CHECKING:
    from infra.rehearsal.provider.operation import Operation

Inputs = Mapping[str, Any]
Problem = tuple[str, str]
"""(property path, what is wrong and what is allowed)."""
Rule = Callable[[Inputs], Iterable[Problem]]

ALL = "*"
"""In `force_new`: every argument except tags and what `in_place` lists."""


@dataclass(frozen=True)
class Step:
    """A part of an update that runs when one of `inputs` changed. Steps run in the provider's order."""

    inputs: frozenset[str]
    run: Callable[[Operation], object]


def step(run: Callable[[Operation], object], *inputs: str) -> Step:
    return Step(frozenset(inputs), run)


@dataclass(frozen=True)
class Tagging:
    """The calls that write tags of a resource that exists."""

    put: Callable[[Operation, Mapping[str, str]], object]
    remove: Callable[[Operation, list[str]], object]


@dataclass(frozen=True)
class Row:
    """Paths are camelCase without indexes ("productionVariants.volumeSizeInGb")."""

    type: str
    source: str
    """Where the behaviour was read: below internal/service of hashicorp/terraform-provider-aws."""
    label: str
    """As errors call the resource: "SageMaker Model"."""
    create: Callable[[Operation], None]
    """Makes the resource; calls `operation.created(id)` at the point where the provider records the id."""
    read: Callable[[Operation], Mapping[str, Any] | None]
    """Live values of outputs and arguments; None = gone."""
    delete: Callable[[Operation], None]
    calls: tuple[Call, ...] = ()
    """Operations that the arguments are translated for; Check validates them all."""
    steps: tuple[Step, ...] = ()
    name: AutoName | None = None
    force_new: frozenset[str] = frozenset()
    in_place: frozenset[str] = frozenset()
    """Exceptions beneath a forced path."""
    replaces_when: Mapping[str, Callable[[Any, Any, Mapping[str, Any]], bool]] = field(default_factory=dict)
    """(old, new, state): replaces only then; decides before `force_new`."""
    plan_error: Callable[[Mapping[str, Any], Inputs], str] | None = None
    """(state, arguments): a change that the provider refuses while planning, or ""."""
    nothing: frozenset[str] = frozenset()
    """Planned in place, but the real provider sends nothing (documented traps, and what lives in state only)."""
    computed: frozenset[str] = frozenset()
    """Arguments that AWS may fill in: left out of the program = no change."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Filled in by Check, nested paths too."""
    sets: frozenset[str] = frozenset()
    """Lists whose order does not count."""
    equal: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    """(old, new) that mean the same, by path."""
    state_only: frozenset[str] = frozenset()
    """Arguments that are never read back (forceDestroy, deletionWindowInDays)."""
    never_sent: frozenset[str] = frozenset()
    """Arguments that the row's code handles beside `calls`."""
    checked_late: frozenset[str] = frozenset()
    """Arguments whose value the real provider judges at create only, not in a preview."""
    rules: tuple[Rule, ...] = ()
    """Checks that the provider makes at plan time."""
    recomputed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Outputs that a preview shows unknown when one of the arguments changes."""
    tagging: Tagging | None = None
    delete_before_replace: bool = False
    framework: bool = False
    """A plugin-framework resource: state is saved only when Create ends (a failure orphans); a failed Update keeps the
    old state."""
    from_id: Callable[[str], tuple[str, Mapping[str, Any]]] | None = None
    """For import: the id in state and the arguments that an import id holds."""

    @property
    def schema(self) -> Schema:
        return schema_of(self.type)

    @property
    def regional(self) -> bool:
        return "region" in self.schema.outputs and "region" not in self.never_sent

    def forces_new(self, path: str) -> bool:
        """Whether a change at `path` replaces the resource: the nearest flag on the way up decides."""
        if path in {"tags", "tagsAll", "timeouts"} or path.startswith(("tags.", "tagsAll.")):
            return False
        while path:
            if path in self.in_place or path in self.nothing:
                return False
            if path in self.force_new:
                return True
            path = path.rpartition(".")[0]
        return ALL in self.force_new

    def forced_below(self, path: str) -> frozenset[str]:
        """Forced paths inside a block (adding the block then replaces too, where it holds them)."""
        return frozenset(one for one in self.force_new if one.startswith(path + "."))


def required_one_of(*names: str, message: str = "") -> Rule:
    """Exactly one of the arguments must be given (ExactlyOneOf)."""

    def rule(inputs: Inputs) -> Iterable[Problem]:
        given = [name for name in names if inputs.get(name) not in (None, "", [])]
        if len(given) != 1:
            listed = ", ".join(names)
            got = ", ".join(given) or "none"
            yield names[0], message or f"exactly one of {listed} must be given, got: {got}"

    return rule


def conflicts(first: str, *others: str) -> Rule:
    """`first` excludes the others (ConflictsWith)."""

    def rule(inputs: Inputs) -> Iterable[Problem]:
        for other in others:
            if inputs.get(first) not in (None, "", []) and inputs.get(other) not in (None, "", []):
                yield first, f"{first} excludes {other}: give one of them"

    return rule


def between(path: str, low: float, high: float) -> Rule:
    """A number within limits (IntBetween). `path` may lead through blocks and lists."""

    def rule(inputs: Inputs) -> Iterable[Problem]:
        for where, value in values_at(inputs, path):
            if isinstance(value, int | float) and not isinstance(value, bool) and not low <= value <= high:
                yield where, f"expected {where} to be in the range ({low:g} - {high:g}), got {value:g}"

    return rule


def one_of(path: str, *allowed: Any) -> Rule:
    """One of a list of values (StringInSlice)."""

    def rule(inputs: Inputs) -> Iterable[Problem]:
        for where, value in values_at(inputs, path):
            if value not in allowed and value not in (None, "") and not is_unknown(value):
                yield where, f"expected {where} to be one of {list(allowed)}, got {value!r}"

    return rule


def matches(path: str, pattern: str, meaning: str) -> Rule:
    """A text that a pattern must match whole."""
    compiled = re.compile(pattern)

    def rule(inputs: Inputs) -> Iterable[Problem]:
        for where, value in values_at(inputs, path):
            if isinstance(value, str) and value and not is_unknown(value) and not compiled.fullmatch(value):
                yield where, f"{meaning}, got {value!r}"

    return rule


def valid_json(*paths: str) -> Rule:
    """A text that must parse as JSON (ValidJSON)."""

    def rule(inputs: Inputs) -> Iterable[Problem]:
        for path in paths:
            for where, value in values_at(inputs, path):
                if isinstance(value, str) and value and not is_unknown(value):
                    try:
                        json.loads(value)
                    except ValueError as error:
                        yield where, f"{where} contains an invalid JSON: {error}"

    return rule


def values_at(inputs: Any, path: str) -> Iterable[tuple[str, Any]]:
    """(property path with indexes, value) of every place that `path` leads to."""
    places: list[tuple[str, Any]] = [("", inputs)]
    for part in path.split("."):
        found: list[tuple[str, Any]] = []
        for where, value in places:
            if isinstance(value, Mapping) and value.get(part) is not None:
                here = f"{where}.{part}" if where else part
                item = value[part]
                if isinstance(item, list):
                    found += [(f"{here}[{index}]", one) for index, one in enumerate(item)]
                else:
                    found.append((here, item))
        places = found
    return places
