"""The exported state as it is after recovery. Pure; ciphertexts of secrets stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from infra.recover.decide import Decision


def edited(state: Mapping[str, Any], decisions: Iterable[Decision]) -> dict[str, Any]:
    """The state with what is imported added and no pending operation left. Raises ValueError for one undecided."""
    result = copy.deepcopy(dict(state))
    deployment = result["deployment"]
    resources: list[dict[str, Any]] = list(deployment.get("resources") or [])
    for decision in decisions:
        if decision.act in ("refuse", "wait"):
            raise ValueError(f"{decision.operation.urn} is not decided: {decision.reason}")
        if decision.act == "import":
            _take(resources, decision)
    deployment["resources"] = resources
    deployment.pop("pending_operations", None)
    return result


def _take(resources: list[dict[str, Any]], decision: Decision) -> None:
    """Adds the resource behind what it refers to. One that it replaces is marked as Create would have marked it."""
    resource = copy.deepcopy(dict(decision.operation.resource))
    # Not empty: a read with no outputs is an import, which would forget what AWS does not show (force flags, windows).
    resource |= {"id": decision.id, "outputs": copy.deepcopy(resource.get("inputs") or {})}
    for other in list(resources):
        if other["urn"] != resource["urn"] or other.get("delete"):
            continue
        if other.get("pendingReplacement"):  # deleted in AWS already
            resources.remove(other)
        else:
            other["delete"] = True
    wanted = _references(resource)
    places = [place for place, other in enumerate(resources) if other["urn"] in wanted and not other.get("delete")]
    resources.insert(max(places, default=len(resources) - 1) + 1, resource)


def _references(resource: Mapping[str, Any]) -> set[str]:
    """The URNs that have to stand before it."""
    urns = {resource.get("parent"), resource.get("deletedWith"), *(resource.get("dependencies") or ())}
    urns.add(str(resource.get("provider") or "").rpartition("::")[0])
    for depended in (resource.get("propertyDependencies") or {}).values():
        urns.update(depended or ())
    return {urn for urn in urns if urn}
