"""Reads every resource back and makes the state say what is really there (pkg/resource/deploy/step.go, RefreshStep)."""

from __future__ import annotations

from dataclasses import replace

from infra.rehearsal.engine import paths, urns
from infra.rehearsal.engine.execution import Execution
from infra.rehearsal.engine.ledger import Ledger
from infra.rehearsal.engine.provider_calls import PartlyDone
from infra.rehearsal.engine.removal import in_parallel
from infra.rehearsal.engine.resource_state import ResourceState


def refresh(ledger: Ledger, execution: Execution) -> list[ResourceState]:
    """The refreshed state. What is gone from the cloud is gone from it. Failures are in the ledger."""
    resources = ledger.waiting()
    found: dict[int, ResourceState | None] = {}

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
    refreshed = [found.get(index, resource) for index, resource in enumerate(resources)]
    kept = [resource for resource in refreshed if resource is not None]
    gone = {resource.urn for resource in resources} - {resource.urn for resource in kept}
    return [_without(resource, gone) for resource in kept] if gone else kept


def _can_be_read(resource: ResourceState) -> bool:
    return (
        resource.custom
        and not urns.is_provider(resource.type)
        and resource.type != urns.STACK_REFERENCE_TYPE
        and not resource.pending_replacement
    )


def _read(ledger: Ledger, execution: Execution, resource: ResourceState) -> ResourceState | None:
    init_errors: tuple[str, ...] = ()
    timeout_seconds = resource.custom_timeouts.get("read", 0)
    try:
        id_, inputs, outputs = execution.provider_of(resource).read(
            resource.urn, resource.id, resource.inputs, resource.outputs, timeout_seconds
        )
    except PartlyDone as error:
        id_, inputs, outputs, init_errors = error.id, error.inputs or None, error.outputs, error.reasons
        reasons = "\n* ".join(init_errors)
        ledger.log("warning", f"Refreshed resource is in an unhealthy state:\n* {reasons}", resource.urn)
    if not id_:
        return None
    inputs = resource.inputs if inputs is None else inputs
    inputs, _ = paths.ignore(inputs, resource.inputs, resource.ignore_changes)
    same = (id_, inputs, outputs, init_errors) == (
        resource.id,
        resource.inputs,
        resource.outputs,
        resource.init_errors,
    )
    if same:
        return resource
    return replace(resource, id=id_, inputs=inputs, outputs=outputs, init_errors=init_errors)


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
