"""Deletes what is no longer wanted, in reverse order of need, what does not need each other at once."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from infra.rehearsal.engine import steps
from infra.rehearsal.engine.execution import Execution, protected
from infra.rehearsal.engine.ledger import Ledger
from infra.rehearsal.engine.resource_state import ResourceState

PARALLEL_DELETES = 32


def remove_leftovers(ledger: Ledger, execution: Execution) -> None:
    """Ends a run: deletes what was replaced and what the program no longer registers.

    After a failure nothing is deleted, as nobody can tell what the program would have registered; a run that
    continues on errors deletes all but what the old states of failed steps need. It may so delete what one that was
    passed over needs, as the real engine does, and leave a state that the real one does not read again: which is told.
    """
    if ledger.stopping:
        return
    condemned = [item for item in ledger.waiting() if item.delete or not ledger.claimed(item.urn)]
    needed = ledger.needed_by_failed()
    condemned = [item for item in condemned if item.delete or item.urn not in needed]
    _remove(condemned, ledger, execution)
    left = ledger.snapshot() if ledger.failures else []
    there = {item.urn for item in left}
    for item in left:
        for urn in sorted(item.needs() - there):
            # VerifyIntegrity in pkg/resource/stack/snapshot/integrity.go
            ledger.fail(item.urn, "snapshot", f"resource {item.urn} refers to missing dependency {urn}", goes_on=True)


def destroy(ledger: Ledger, execution: Execution, *, exclude_protected: bool) -> None:
    """Deletes a whole stack. What is protected stays, with what it needs; it fails the run unless excluded."""
    everything = ledger.waiting()
    guarded = [item for item in everything if item.protect and not item.delete]
    kept = steps.needed_by(guarded, everything)
    _remove([item for item in everything if item.delete or item.urn not in kept], ledger, execution)
    for item in [] if exclude_protected else guarded:
        ledger.fail(item.urn, "delete", protected(item))


def _remove(condemned: Sequence[ResourceState], ledger: Ledger, execution: Execution) -> None:
    urns_gone = {item.urn for item in condemned}

    def remove(item: ResourceState) -> None:
        if item.pending_replacement:
            ledger.drop(item)  # deleted by an earlier run; its replacement is not wanted any more
        else:
            # What is deleted together with another needs no call of its own.
            taken = item.deleted_with if item.deleted_with in urns_gone else ""
            execution.delete(item, replacing=item.delete, kept_by=taken)

    for wave in steps.deletion_waves(condemned):
        if ledger.stopping:
            return
        stuck = steps.needed_by([item for item in condemned if item.urn in ledger.broken], condemned)
        in_parallel([lambda item=item: remove(item) for item in wave if item.urn not in stuck])


def in_parallel(calls: Sequence[Callable[[], object]]) -> None:
    """Runs calls at once and waits for all. Their failures are in the ledger already."""
    if len(calls) == 1:
        _quietly(calls[0])
        return
    with ThreadPoolExecutor(max_workers=min(PARALLEL_DELETES, max(1, len(calls)))) as pool:
        for call in calls:
            pool.submit(contextvars.copy_context().run, _quietly, call)


def _quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        return  # the step has recorded the failure; the others of its wave go on
