"""Reads every resource back and makes the state say what is really there (pkg/resource/deploy/step.go, RefreshStep)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from infra.rehearsal.engine import steps, urns
from infra.rehearsal.engine.execution import Execution
from infra.rehearsal.engine.ledger import Ledger
from infra.rehearsal.engine.provider_calls import PartlyDone
from infra.rehearsal.engine.removal import in_parallel
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Step


@dataclass(frozen=True)
class Refreshed:
    """The refreshed state, and what of it was otherwise: update, delete or same for each resource."""

    resources: list[ResourceState]
    steps: list[Step]

    def drift(self) -> list[Step]:
        """Only what was otherwise, as steps that a run begins with."""
        return [Step("refresh", step.urn, step.keys) for step in self.steps if step.op != "same"]


def refresh(ledger: Ledger, execution: Execution) -> Refreshed:
    """Reads everything at once. Failures are in the ledger."""
    resources = ledger.waiting()
    found: dict[int, tuple[ResourceState | None, Step]] = {}

    def read(index: int, resource: ResourceState) -> None:
        with ledger.step("refresh", resource.urn):
            found[index] = _read(ledger, execution, resource)

    in_parallel(
        [
            lambda index=index, resource=resource: read(index, resource)
            for index, resource in enumerate(resources)
            if _can_be_read(resource)
        ]
    )
    results = [found.get(index, (resource, Step("same", resource.urn))) for index, resource in enumerate(resources)]
    kept = [resource for resource, _ in results if resource is not None]
    gone = {resource.urn for resource in resources} - {resource.urn for resource in kept}
    return Refreshed([_without(resource, gone) for resource in kept] if gone else kept, [step for _, step in results])


def _can_be_read(resource: ResourceState) -> bool:
    return (
        resource.custom
        and not urns.is_provider(resource.type)
        and resource.type != urns.STACK_REFERENCE_TYPE
        and not resource.pending_replacement
    )


def _read(ledger: Ledger, execution: Execution, resource: ResourceState) -> tuple[ResourceState | None, Step]:
    init_errors: tuple[str, ...] = ()
    timeout_seconds = resource.custom_timeouts.get("read", 0)
    provider = execution.provider_of(resource)
    try:
        id_, inputs, outputs = provider.read(
            resource.urn, resource.id, resource.inputs, resource.outputs, timeout_seconds
        )
    except PartlyDone as error:
        id_, inputs, outputs, init_errors = error.id, error.inputs or None, error.outputs, error.reasons
        reasons = "\n* ".join(init_errors)
        ledger.log("warning", f"Refreshed resource is in an unhealthy state:\n* {reasons}", resource.urn)
    if not id_:
        return None, Step("delete", resource.urn)
    now = replace(
        resource, id=id_, inputs=resource.inputs if inputs is None else inputs, outputs=outputs, init_errors=init_errors
    )
    if now == resource:
        return resource, Step("same", resource.urn)
    if resource.external:
        keys = steps.compare(resource.outputs, now.outputs).keys
        return now, Step("update" if keys else "same", resource.urn, keys)
    # What counts as drift is what an `up` of the unchanged program would now put right: outputs may differ for other
    # reasons, as those of a role do when a policy was attached to it later.
    diff = provider.diff(now, resource.inputs, resource.ignore_changes)
    return now, Step("update" if diff.changed else "same", resource.urn, diff.keys)


def _without(resource: ResourceState, gone: set[str]) -> ResourceState:
    if resource.needs().isdisjoint(gone):
        return resource
    return replace(
        resource,
        dependencies=tuple(urn for urn in resource.dependencies if urn not in gone),
        property_dependencies={
            key: kept
            for key, needed in resource.property_dependencies.items()
            if (kept := tuple(urn for urn in needed if urn not in gone))
        },
        deleted_with="" if resource.deleted_with in gone else resource.deleted_with,
    )
