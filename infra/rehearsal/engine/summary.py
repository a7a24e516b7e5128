"""Counts and tells what a run did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.deployment import as_registered
from infra.rehearsal.engine.goal import Goal
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Registered, Step
from infra.rehearsal.engine.values import contains_secret, plain

# A resource may take several steps; it counts once, under the first of these that it took.
_RANK = ("create-replacement", "import", "create", "update", "delete", "read", "same")


def count(taken: Sequence[Step]) -> dict[str, int]:
    """Resources by what became of them.

    What a refresh before a run found counts under "refresh" besides, and the deletion of something that an earlier run
    replaced counts under "delete".
    """
    by_urn: dict[str, set[str]] = {}
    for step in taken:
        if not urns.is_default_provider(step.urn):
            by_urn.setdefault(step.urn, set()).add(step.op)
    counts: Counter[str] = Counter({"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 0})
    for ops in by_urn.values():
        first = next((op for op in _RANK if op in ops), None)
        if first is not None:
            counts["replace" if first == "create-replacement" else first] += 1
        if "delete-replaced" in ops and first != "create-replacement":
            counts["delete"] += 1
        if "refresh" in ops:
            counts["refresh"] += 1
    return dict(counts)


def exports(resources: Sequence[ResourceState]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The stack's exports without secret marks, and the names of those that hold a secret."""
    root = next((item for item in resources if item.type == urns.STACK_TYPE), None)
    if root is None:
        return {}, ()
    return dict(sorted(plain(root.outputs).items())), tuple(
        sorted(key for key, item in root.outputs.items() if contains_secret(item))
    )


def from_state(resources: Sequence[ResourceState]) -> list[Registered]:
    """The state's resources as a result shows them, where no program ran."""
    return [
        as_registered(item, _goal_of(item), item.aliases)
        for item in resources
        if item.type != urns.STACK_TYPE and not item.delete and not urns.is_default_provider(item.urn)
    ]


def _goal_of(item: ResourceState) -> Goal:
    return Goal(
        type=item.type,
        name=item.name,
        custom=item.custom,
        inputs=item.inputs,
        parent=item.parent,
        provider=item.provider,
        dependencies=item.dependencies,
        property_dependencies=item.property_dependencies,
        protect=item.protect,
        retain_on_delete=item.retain_on_delete,
        ignore_changes=item.ignore_changes,
        replace_on_changes=item.replace_on_changes,
        additional_secret_outputs=item.additional_secret_outputs,
        custom_timeouts=item.custom_timeouts,
        hooks=item.hooks,
        deleted_with=item.deleted_with,
        import_id=item.import_id,
    )
