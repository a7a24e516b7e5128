"""Pure decisions: what has to happen to a resource, and in which order things are deleted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal.engine import paths
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.values import contains_unknown


@dataclass(frozen=True)
class Diff:
    """What a provider says about old state and new inputs."""

    changed: bool = False
    keys: tuple[str, ...] = ()
    """Top-level properties that differ."""
    replace_keys: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    """Full property paths where the provider gave them."""
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Decision:
    """`op` is create, update, replace or same."""

    op: str
    keys: tuple[str, ...] = ()
    replace_keys: tuple[str, ...] = ()
    delete_first: bool = False
    """For a replacement: the old one goes before the new one comes."""


@dataclass(frozen=True)
class Wish:
    """What the program says about replacing."""

    replace_on_changes: Sequence[str] = ()
    delete_before_replace: bool | None = None
    replaced_with: bool = False
    """A resource named in `replace_with` is being replaced."""
    trigger: Any = field(default=None)
    """`replacement_trigger`: a change of a known one replaces."""


def decide(old: ResourceState | None, diff: Diff, wish: Wish) -> Decision:
    """What to do with a resource that the program wants and that stands as `old` (None: it does not)."""
    if old is None:
        return Decision("create")
    if old.external:
        # Something that was only read is never changed: one of our own takes its place.
        return Decision("replace", diff.keys, (), delete_first=False)
    replace_keys = list(diff.replace_keys)
    replace_keys += [key for key in forced_by(diff, wish.replace_on_changes) if key not in replace_keys]
    if wish.replaced_with:
        replace_keys.append("replaceWith")
    if trigger_fires(old.replacement_trigger, wish.trigger):
        replace_keys.append("replacementTrigger")
    if replace_keys or old.pending_replacement:
        first = diff.delete_before_replace if wish.delete_before_replace is None else wish.delete_before_replace
        keys = tuple(dict.fromkeys((*diff.keys, *replace_keys)))
        return Decision("replace", keys, tuple(replace_keys), delete_first=first or old.pending_replacement)
    if diff.changed or old.init_errors:
        return Decision("update", diff.keys)
    return Decision("same")


def trigger_fires(old: Any, new: Any) -> bool:
    """Whether a replacement trigger changed. One that was not there before, or goes, replaces nothing."""
    if old is None or new is None:
        return False
    return contains_unknown(new) or old != new


def forced_by(diff: Diff, patterns: Sequence[str]) -> list[str]:
    """Changed properties that `replace_on_changes` turns into a replacement."""
    found: list[str] = []
    for text in diff.paths or diff.keys:
        path = paths.parse(text)
        for pattern_text in patterns:
            pattern = paths.parse(pattern_text)
            if path and pattern and paths.covers(pattern, path):
                found.append(str(path[0]))
    return list(dict.fromkeys(found))


def compare(old_inputs: dict[str, Any], new_inputs: dict[str, Any]) -> Diff:
    """The engine's own comparison, for a component and where a provider answers that it can't tell."""
    keys = tuple(key for key in {**old_inputs, **new_inputs} if old_inputs.get(key) != new_inputs.get(key))
    return Diff(changed=bool(keys), keys=keys)


def dependents(root: ResourceState, resources: Sequence[ResourceState]) -> list[ResourceState]:
    """Every resource that needs `root`, directly or not, in the state's order."""
    needed = {root.urn}
    found: list[ResourceState] = []
    for resource in resources:
        if resource.urn != root.urn and resource.needs() & needed:
            needed.add(resource.urn)
            found.append(resource)
    return found


def deletion_waves(condemned: Sequence[ResourceState]) -> list[list[ResourceState]]:
    """The condemned in waves: what a resource needs goes in a later wave. `condemned` is in the state's order."""
    level: dict[str, int] = {}
    waves: list[list[ResourceState]] = []
    for item in reversed(condemned):
        own = level.get(item.urn, 0)
        if own == len(waves):
            waves.append([])
        waves[own].append(item)
        for need in item.needs() - {item.urn}:
            level[need] = max(level.get(need, 0), own + 1)
    return waves


def needed_by(kept: Iterable[ResourceState], resources: Sequence[ResourceState]) -> set[str]:
    """URNs that the kept ones need, directly or not, themselves included."""
    by_urn = {resource.urn: resource for resource in resources}
    found: set[str] = set()
    queue = [resource.urn for resource in kept]
    while queue:
        urn = queue.pop()
        if urn not in found and urn in by_urn:
            found.add(urn)
            queue.extend(by_urn[urn].needs())
    return found


_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ns|us|µs|ms|s|m|h)")
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_seconds(text: str) -> float:
    """A custom timeout such as "1h30m" in seconds. ValueError for anything else."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError(f"invalid duration {text!r}: give numbers with units, for example '30m' or '1h30m'")
    return sum(float(part["number"]) * _UNIT_SECONDS[part["unit"]] for part in parts)


def substituted(resource: ResourceState, gone: Collection[str], unknown: Any) -> dict[str, Any] | None:
    """The resource's inputs with `unknown` where they come from one that goes; None when none does."""
    inputs = dict(resource.inputs)
    touched = False
    for key in inputs:
        if any(urn in gone for urn in resource.property_dependencies.get(key, ())):
            inputs[key] = unknown
            touched = True
    return inputs if touched else None
