"""What the program asks of things that it does not manage: reads, references to other stacks, function calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.deployment import Deployment, Outcome
from infra.rehearsal.engine.goal import Goal
from infra.rehearsal.engine.ledger import Refused, Stopped
from infra.rehearsal.engine.values import UNKNOWN_TEXT, as_secret, contains_secret, plain

StackOutputs = Callable[[str], Mapping[str, Any] | None]
"""Exports of a stack by its short name, secrets wrapped; None when there is no such stack."""

GET_RESOURCE = "pulumi:pulumi:getResource"


class Reading:
    """Answers what a deployment's program reads."""

    def __init__(self, deployment: Deployment, stack_outputs: StackOutputs, known_stacks: Callable[[], list[str]]):
        self._deployment = deployment
        self._stack_outputs = stack_outputs
        self._known_stacks = known_stacks
        self.invokes: list[tuple[str, dict[str, Any]]] = []

    def read(self, goal: Goal, id_: str) -> Outcome:
        """Reads a resource by its id and records it as external."""
        ledger = self._deployment.ledger
        ledger.gate()
        urn, _ = self._deployment.identify(goal)
        try:
            old = ledger.claim(urn, ())
            is_reference = goal.type == urns.STACK_REFERENCE_TYPE
            if not goal.provider and not is_reference:
                goal = replace(goal, provider=self._deployment.default_provider(goal.type, goal.type, goal.version))
            self._deployment.note_read(goal, urn)
            new = replace(goal.state(urn, goal.inputs, ()), id=id_, external=True)
            # Reads run in previews too; only an unknown id can't be read.
            if id_ != UNKNOWN_TEXT:
                with ledger.step("read", urn):
                    if is_reference:
                        outputs = self.stack_reference(goal.inputs.get("name", id_))
                    else:
                        provider = self._deployment.provider_for(goal.provider, urn)
                        found, _, outputs = provider.read(urn, id_, goal.inputs, goal.inputs, 0)
                        if not found:
                            raise Refused(f"resource '{id_}' does not exist")
                        new = replace(new, id=found)
                    extra = {key: as_secret(outputs[key]) for key in goal.additional_secret_outputs if key in outputs}
                    new = replace(new, outputs={**outputs, **extra})
                    ledger.put(new, old, bury=old is not None and not old.external)
            else:
                ledger.put(new, old)
        except Stopped:
            ledger.wait_until_idle()
            raise
        except Exception as error:
            ledger.fail(urn, "read", str(error))
            if not self._deployment.settings.continue_on_error:
                ledger.wait_until_idle()
                raise
            return Outcome(urn, failed=True)
        return Outcome(urn, "" if new.id == UNKNOWN_TEXT else new.id, new.outputs)

    def stack_reference(self, name: str) -> dict[str, Any]:
        """Another stack's exports.

        `name` is `organization/project/stack`, `project/stack` or a stack of this project.
        """
        settings = self._deployment.settings
        *owner, stack = str(plain(name)).split("/")
        here = ([settings.organization, settings.project], [settings.project], [])
        outputs = self._stack_outputs(stack) if owner in here else None
        if outputs is None:
            known = ", ".join(f"{settings.organization}/{settings.project}/{item}" for item in self._known_stacks())
            raise Refused(f'unknown stack "{name}"; deployed in this rehearsal: {known or "none"}')
        return {
            "name": name,
            "outputs": dict(outputs),
            "secretOutputNames": sorted(key for key, item in outputs.items() if contains_secret(item)),
        }

    def invoke(
        self, token: str, arguments: dict[str, Any], provider: str, version: str
    ) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
        """Calls a provider's function. None for a result that only the real run will know."""
        if token == GET_RESOURCE:
            return self._get_resource(arguments["urn"]), []
        self._deployment.ledger.gate()
        self.invokes.append((token, plain(arguments)))
        reference = provider or self._deployment.default_provider(token, token, version)
        served = self._deployment.provider_for(reference, token)
        if not served.known:
            return None, []
        return served.invoke(token, arguments, preview=self._deployment.settings.preview)

    def exists(self, goal: Goal, id_: str) -> bool | None:
        """Whether a resource with an id is there. None when the id is not known yet."""
        if id_ == UNKNOWN_TEXT:
            return None
        reference = goal.provider or self._deployment.default_provider(goal.type, goal.type, goal.version)
        urn, _ = self._deployment.identify(goal)
        found, _, _ = self._deployment.provider_for(reference, urn).read(urn, id_, goal.inputs, goal.inputs, 0)
        return bool(found)

    def _get_resource(self, urn: str) -> dict[str, Any]:
        resource = self._deployment.ledger.new(urn)
        if resource is None:
            raise Refused(f"unknown resource {urn}")
        return {"urn": urn, "id": resource.id, "provider": resource.provider, "state": resource.outputs}
