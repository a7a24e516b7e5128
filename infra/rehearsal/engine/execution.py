"""Carries out single steps: same, create, update, delete; with hooks, retries, and state after each.

The order within a step and its texts are those of pkg/resource/deploy/step.go of pulumi/pulumi 3.259.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.hooks import MAXIMUM_RETRIES, HookFailed, Hooks
from infra.rehearsal.engine.ledger import Ledger, Refused
from infra.rehearsal.engine.provider_calls import CallFailed, PartlyDone, Provider
from infra.rehearsal.engine.provider_pool import Pool
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.steps import Decision
from infra.rehearsal.engine.values import as_secret

T = TypeVar("T")


class Execution:
    """Does what was decided."""

    def __init__(self, ledger: Ledger, pool: Pool, hooks: Hooks, *, preview: bool):
        self._ledger = ledger
        self._pool = pool
        self._hooks = hooks
        self._preview = preview
        self._came: dict[str, tuple[str, ResourceState | None]] = {}

    def same(self, old: ResourceState, new: ResourceState) -> ResourceState:
        """Nothing to do but to note what the program says about the resource now."""
        self._ledger.gate()
        new = replace(new, id=old.id, outputs=old.outputs)
        # A provider that reports no difference keeps the configuration it reported it for.
        self._configure(new, old.inputs)
        self._ledger.put(new, old)
        self._ledger.record("same", new.urn)
        return new

    def create(
        self, provider: Provider | None, new: ResourceState, decision: Decision, old: ResourceState | None = None
    ) -> ResourceState:
        """Creates a resource, or with `old` the one that takes its place."""
        op = "create" if old is None else "create-replacement"
        bury = old is not None and not (decision.delete_first or old.external)
        with self._ledger.step(op, new.urn, decision.keys, decision.replace_keys):
            self._hooks.run("before_create", new, new_inputs=new.inputs)
            if provider is not None:
                try:
                    id_, outputs = self._retrying(
                        "create", new, lambda: provider.create(new, preview=self._preview), new_inputs=new.inputs
                    )
                except PartlyDone as error:
                    half = replace(new, id=error.id, outputs=_marked(new, error.outputs), init_errors=error.reasons)
                    self._ledger.put(half, old, bury=bury)
                    raise
                new = replace(new, id=id_, outputs=_marked(new, outputs))
            self._configure(new, new.inputs)
            self._came[new.urn] = "create", None
            self._ledger.put(new, old, bury=bury)
            if new.custom:
                self._after("after_create", new, new_inputs=new.inputs, new_outputs=new.outputs)
        return new

    def update(
        self, provider: Provider | None, old: ResourceState, new: ResourceState, decision: Decision
    ) -> ResourceState:
        """Updates a resource in place."""
        new = replace(new, id=old.id, outputs=old.outputs)
        before = {"new_inputs": new.inputs, "old_inputs": old.inputs, "old_outputs": old.outputs}
        with self._ledger.step("update", new.urn, decision.keys):
            self._hooks.run("before_update", new, **before)
            if provider is not None:
                try:
                    outputs = self._retrying(
                        "update", new, lambda: provider.update(old, new, preview=self._preview), **before
                    )
                except PartlyDone as error:
                    # Old inputs and new outputs stay (OnResourceStepPost in pkg/engine/update.go).
                    outputs = _marked(new, error.outputs)
                    half = replace(new, inputs=old.inputs, outputs=outputs, init_errors=error.reasons)
                    self._ledger.put(half, old)
                    raise
                new = replace(new, outputs=_marked(new, outputs))
            self._configure(new, new.inputs)
            self._came[new.urn] = "update", old
            self._ledger.put(new, old)
            if new.custom:
                self._after("after_update", new, new_outputs=new.outputs, **before)
        return new

    def delete(
        self, old: ResourceState, *, replacing: bool, pending_replacement: bool = False, kept_by: str = ""
    ) -> None:
        """Deletes a resource that stands in the old state.

        `pending_replacement` keeps its record until its replacement exists; `kept_by` names a deleted resource that
        takes this one with it, so that the provider isn't asked.
        """
        op = "delete-replaced" if replacing else "delete"
        with self._ledger.step(op, old.urn):
            was = {"old_inputs": old.inputs, "old_outputs": old.outputs}
            self._hooks.run("before_delete", old, **was)
            if old.protect and not replacing:
                raise Refused(protected(old))
            spared = self._preview or old.external or old.retain_on_delete or kept_by
            if old.custom and not spared:
                provider = self.provider_of(old)
                self._retrying("delete", old, lambda: provider.delete(old), **was)
            if pending_replacement:
                self._ledger.await_replacement(old)
            else:
                self._ledger.drop(old)
            self._after("after_delete", old, **was)

    def component_done(self, new: ResourceState) -> None:
        """Runs a component's after-hooks: its work ends when it registers its outputs."""
        op, old = self._came.get(new.urn, ("same", None))
        if op == "create":
            self._after("after_create", new, new_inputs=new.inputs, new_outputs=new.outputs)
        elif old is not None:
            self._after(
                "after_update",
                new,
                new_inputs=new.inputs,
                new_outputs=new.outputs,
                old_inputs=old.inputs,
                old_outputs=old.outputs,
            )

    def provider_of(self, resource: ResourceState) -> Provider:
        """The provider that keeps a resource of the old state, configured as it was then."""
        if urns.is_provider(resource.type):
            return self._pool.resources
        provider = self._pool.get(resource.provider)
        if provider is not None:
            return provider
        urn, id_ = urns.split_reference(resource.provider)
        for candidate in (self._ledger.new(urn), self._ledger.ever(urn)):
            if candidate is not None and candidate.id == id_:
                return self._pool.configure(resource.provider, candidate.inputs)
        raise CallFailed(f"unknown provider '{resource.provider}' for resource {resource.urn}")

    def _configure(self, resource: ResourceState, inputs: dict[str, Any]) -> None:
        if urns.is_provider(resource.type):
            self._pool.configure(f"{resource.urn}::{resource.id}", inputs)

    def _after(self, moment: str, resource: ResourceState, **properties: Any) -> None:
        # The resource itself is done and stays in the state: only the run fails.
        try:
            self._hooks.run(moment, resource, **properties)
        except HookFailed as error:
            self._ledger.log("error", str(error), resource.urn)
            self._ledger.fail_after(resource.urn, moment, str(error))

    def _retrying(self, operation: str, resource: ResourceState, call: Callable[[], T], **properties: Any) -> T:
        """Calls a provider until it succeeds or no on_error hook asks for another try.

        What a hook raises takes the place of the provider's own words; after a partial failure it is dropped, and they
        stay (withRetries in pkg/resource/deploy/retries.go and its callers in step.go).
        """
        errors: list[str] = []
        while True:
            try:
                return call()
            except CallFailed as error:
                partly = isinstance(error, PartlyDone)
                errors.insert(0, error.as_hooks_get_it if isinstance(error, PartlyDone) else str(error))
                if len(errors) >= MAXIMUM_RETRIES:
                    text = f"maximum number of error hook retries ({MAXIMUM_RETRIES}) reached"
                    self._ledger.log("warning", text, resource.urn)
                    if partly:
                        raise
                    raise HookFailed("maximum number of error hook retries reached") from error
                try:
                    again = self._hooks.retry(resource, operation, errors, **properties)
                except HookFailed as hook_error:
                    if partly:
                        raise error from hook_error
                    raise
                if not again:
                    raise
                text = f"retrying {operation} due to on-error hook request ({len(errors)}/{MAXIMUM_RETRIES})"
                self._ledger.log("warning", text, resource.urn)


def protected(resource: ResourceState) -> str:
    """The real engine's words for a deletion that protection forbids."""
    return (
        f'resource "{resource.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, either '
        "remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`, or use the command:\n"
        f"`pulumi state unprotect '{resource.urn}'`"
    )


def _marked(resource: ResourceState, outputs: dict[str, Any]) -> dict[str, Any]:
    extra = [key for key in resource.additional_secret_outputs if key in outputs]
    return {**outputs, **{key: as_secret(outputs[key]) for key in extra}} if extra else outputs
