"""Decides what becomes of each resource that the program registers, and has it done.

The order of things and the error texts are those of pkg/resource/deploy/step_generator.go of pulumi/pulumi 3.259.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.rehearsal.engine import paths, steps, urns
from infra.rehearsal.engine.execution import Execution
from infra.rehearsal.engine.goal import Goal
from infra.rehearsal.engine.hooks import Hooks
from infra.rehearsal.engine.ledger import CheckRefused, Ledger, Refused, Stopped
from infra.rehearsal.engine.provider_calls import ConfiguredProvider, Provider, seed_for
from infra.rehearsal.engine.provider_pool import Pool
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Registered
from infra.rehearsal.engine.steps import Decision, Diff
from infra.rehearsal.engine.values import UNKNOWN, UNKNOWN_TEXT, contains_unknown, plain, redacted, secret_paths

Policy = Callable[[Registered], Iterable[str]]
"""Looks at a resource before anything is done to it; each text is a violation that fails the resource."""


@dataclass(frozen=True)
class Outcome:
    """What the program is told. `failed` means: go on, with unknown outputs."""

    urn: str
    id: str = ""
    outputs: Mapping[str, Any] | None = None
    failed: bool = False


@dataclass(frozen=True)
class Settings:
    """What a run is about."""

    stack: str
    project: str
    organization: str
    preview: bool
    config: Mapping[str, str]
    policies: Sequence[Policy] = ()
    continue_on_error: bool = False
    call_hooks: bool = True

    def denied_default_providers(self) -> set[str]:
        """Packages that need an explicit provider (`pulumi:disable-default-providers`); "*" stands for all."""
        text = self.config.get("pulumi:disable-default-providers", "")
        try:
            packages = json.loads(text) if text.startswith("[") else [text]
        except json.JSONDecodeError as error:
            raise Refused(f"pulumi:disable-default-providers must be a list of package names, got {text!r}") from error
        return {package for package in packages if package}


class Deployment:
    """One run of a program over one stack's old state."""

    def __init__(self, settings: Settings, ledger: Ledger, pool: Pool):
        self.settings = settings
        self.ledger = ledger
        self.pool = pool
        self.hooks = Hooks(
            preview=settings.preview or not settings.call_hooks,
            warn=lambda urn, message: ledger.log("warning", message, urn),
        )
        self.execution = Execution(ledger, pool, self.hooks, preview=settings.preview)
        self._goals: dict[str, tuple[Goal, tuple[str, ...]]] = {}
        self._defaults: dict[str, str] = {}
        self._defaults_lock = threading.Lock()

    def register(self, goal: Goal) -> Outcome:
        """Brings one resource to what the program asks for.

        A resource that can't be brought there raises, and the run ends; with `continue_on_error` it and what needs it
        are passed over, unless Check refuses one of them.
        """
        self.ledger.gate()
        urn, aliases = self.identify(goal)
        goal = self._inherit(goal)
        try:
            old = self.ledger.claim(urn, aliases)
            if goal.custom and not goal.provider and not urns.is_provider(goal.type):
                goal = replace(goal, provider=self.default_provider(goal.type, goal.type, goal.version))
            if self._needs_broken(goal):
                self._check_what_is_known(goal, urn, old)
                self.ledger.broken.add(urn)
                return Outcome(urn, failed=True)
            self._goals[urn] = goal, aliases
            new = self._bring(goal, urn, old, aliases)
        except Stopped:
            self.ledger.wait_until_idle()
            raise
        except Exception as error:
            self.ledger.fail(urn, "register", str(error))
            if isinstance(error, CheckRefused):
                self.ledger.stop()
            if not self.settings.continue_on_error or isinstance(error, CheckRefused):
                self.ledger.wait_until_idle()
                raise
            return Outcome(urn, failed=True)
        return Outcome(urn, "" if new.id == UNKNOWN_TEXT else new.id, new.outputs if new.custom else {})

    def identify(self, goal: Goal) -> tuple[str, tuple[str, ...]]:
        """The URN of a registration, and the URNs that it may have had."""
        urn = urns.make(self.settings.stack, self.settings.project, goal.parent, goal.type, goal.name)
        return urn, tuple(urns.aliases_of(urn, goal.aliases, goal.parent, self.ledger.aliases_of(goal.parent)))

    def _inherit(self, goal: Goal) -> Goal:
        parent = self._goals.get(goal.parent)
        if parent is None:
            return goal
        return replace(
            goal,
            protect=parent[0].protect if goal.protect is None else goal.protect,
            retain_on_delete=parent[0].retain_on_delete if goal.retain_on_delete is None else goal.retain_on_delete,
            deleted_with=goal.deleted_with or parent[0].deleted_with,
        )

    def _needs_broken(self, goal: Goal) -> bool:
        provider = urns.split_reference(goal.provider)[0] if goal.provider else ""
        return not self.ledger.broken.isdisjoint({goal.parent, provider, goal.deleted_with, *goal.dependencies})

    def default_provider(self, type_: str, who: str, version: str) -> str:
        """The reference of the package's default provider, made from the stack's config when first asked for."""
        package = urns.package_of(type_)
        if not {package, "*"}.isdisjoint(self.settings.denied_default_providers()):
            raise Refused(f"Default provider for '{package}' disabled. '{who}' must use an explicit provider.")
        name = f"default_{version.replace('.', '_')}" if version else "default"
        with self._defaults_lock:
            key = f"{package}:{name}"
            if key not in self._defaults:
                prefix = f"{package}:"
                inputs = {
                    item.removeprefix(prefix): value
                    for item, value in self.settings.config.items()
                    if item.startswith(prefix)
                }
                if version:
                    inputs["version"] = version
                goal = Goal(type=f"{urns.PROVIDER_PREFIX}{package}", name=name, custom=True, inputs=inputs)
                outcome = self.register(goal)
                self._defaults[key] = f"{outcome.urn}::{outcome.id or UNKNOWN_TEXT}"
            return self._defaults[key]

    def provider_for(self, reference: str, who: str) -> ConfiguredProvider:
        """A provider that this run has configured."""
        provider = self.pool.get(reference)
        if provider is None:
            raise Refused(f"unknown provider '{reference}' for resource '{who}'")
        return provider

    # deciding

    def _bring(self, goal: Goal, urn: str, old: ResourceState | None, aliases: tuple[str, ...]) -> ResourceState:
        provider: Provider | None = None
        if goal.custom:
            provider = self.pool.resources if urns.is_provider(goal.type) else self.provider_for(goal.provider, urn)
        if provider is not None and goal.import_id and (old is None or old.external or old.import_id != goal.import_id):
            old = self._import(provider, goal, urn, old, aliases)
        inputs = goal.inputs
        if old is not None and goal.ignore_changes:
            inputs, failed = paths.ignore(inputs, old.inputs, goal.ignore_changes)
            if failed:
                named = ", ".join(failed)
                text = f'cannot ignore changes in added or removed elements of the path: "{named}"'
                self.ledger.log("info", text, urn)
        managed = None if old is None or old.external else old
        new = goal.state(urn, self._check(provider, goal, urn, managed, inputs, seed_for(urn)), aliases)
        self._apply_policies(goal, new)
        wish = steps.Wish(
            replace_on_changes=goal.replace_on_changes,
            delete_before_replace=goal.delete_before_replace,
            replaced_with=any(other in self.ledger.replaced for other in goal.replace_with),
            trigger=goal.replacement_trigger,
        )
        decision = steps.decide(old, Diff() if managed is None else self._diff(provider, managed, new), wish)
        if old is None:
            return self.execution.create(provider, new, decision)
        if decision.op == "replace":
            return self._replace(provider, goal, old, new, decision)
        if decision.op == "update":
            return self.execution.update(provider, old, new, decision)
        return self.execution.same(old, new)

    def _check(
        self,
        provider: Provider | None,
        goal: Goal,
        urn: str,
        old: ResourceState | None,
        inputs: dict[str, Any],
        seed: bytes,
    ) -> dict[str, Any]:
        if provider is None:
            return inputs
        checked, failures = provider.check(urn, old, inputs, seed)
        if failures:
            raise CheckRefused("\n".join(_check_failure(goal, inputs, name, reason) for name, reason in failures))
        return checked

    def _check_what_is_known(self, goal: Goal, urn: str, old: ResourceState | None) -> None:
        """Checks a resource that is about to be passed over, without the inputs that were to come from what failed.

        The real engine does, before it looks at dependencies: a required input that is missing then ends the run
        (https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/resource/deploy/deployment_executor.go, handleSingleEvent).
        """
        provider = self.pool.get(goal.provider) if goal.custom and goal.provider else None
        if provider is not None:
            managed = None if old is None or old.external else old
            known = {name: value for name, value in goal.inputs.items() if not contains_unknown(value)}
            self._check(provider, goal, urn, managed, known, seed_for(urn))

    def _apply_policies(self, goal: Goal, new: ResourceState) -> None:
        if not self.settings.policies:
            return
        seen = as_registered(new, goal, new.aliases)
        violations = [text for policy in self.settings.policies for text in policy(seen)]
        if violations:
            raise Refused("\n".join(violations))

    def _diff(self, provider: Provider | None, old: ResourceState, new: ResourceState) -> Diff:
        if self._provider_changed(old, new):
            return Diff(changed=True, keys=("provider",), replace_keys=("provider",))
        if provider is None:
            return steps.compare(old.inputs, new.inputs)
        return provider.diff(old, new.inputs, new.ignore_changes)

    def _provider_changed(self, old: ResourceState, new: ResourceState) -> bool:
        if old.provider == new.provider:
            return False
        if not old.provider or not new.provider:
            return True
        old_urn, new_urn = urns.split_reference(old.provider)[0], urns.split_reference(new.provider)[0]
        if old_urn in self.ledger.aliases_of(new_urn):
            return False
        before, after = self.ledger.ever(old_urn), self.ledger.new(new_urn)
        if before is None or after is None:
            return True
        # The new provider says whether it can go on with what the old one made.
        return bool(self.pool.resources.diff(before, after.inputs, ()).replace_keys)

    def _import(
        self, provider: Provider, goal: Goal, urn: str, old: ResourceState | None, aliases: tuple[str, ...]
    ) -> ResourceState:
        """Takes over a resource that exists: what the program says otherwise is then an update like any other."""
        with self.ledger.step("import", urn):
            timeout_seconds = goal.custom_timeouts.get("read", 0)
            id_, inputs, outputs = provider.read(urn, goal.import_id, {}, {}, timeout_seconds)
            if not id_:
                raise Refused(f"resource '{goal.import_id}' does not exist")
            if inputs is None:
                package = urns.package_of(goal.type)
                raise Refused(
                    f"provider does not support importing resources; please try updating the '{package}' plugin"
                )
            imported = replace(goal.state(urn, inputs, aliases), id=id_, outputs=outputs)
            self.ledger.put(imported, old, bury=old is not None and not old.external)
        return imported

    def _replace(
        self, provider: Provider | None, goal: Goal, old: ResourceState, new: ResourceState, decision: Decision
    ) -> ResourceState:
        if new.protect and old.protect and not old.external:
            message = (
                f'unable to replace resource "{new.urn}"\nas it is currently marked for protection. To unprotect the '
                "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`"
            )
            if not self.settings.preview:
                raise Refused(message)
            # A preview fails, but goes on, so that the person sees the change that asks for the replacement.
            self.ledger.log("error", message, new.urn)
            self.ledger.fail(new.urn, "replace", message, goes_on=True)
        if goal.import_id and not old.external:
            differing = [
                f"{key}: {redacted(old.inputs.get(key))} => {redacted(new.inputs.get(key))}"
                for key in decision.replace_keys
            ]
            message = (
                "previously-imported resources that still specify an ID may not be replaced; please remove the "
                "`import` declaration from your program;\n" + "\n".join(differing)
            )
            if not self.settings.preview:
                raise Refused(message)
            self.ledger.log("warning", message, new.urn)
        # Defaults and automatic names of the old one must not be carried over.
        checked = self._check(provider, goal, new.urn, None, goal.inputs, seed_for(new.urn, old.id))
        new = replace(new, inputs=checked)
        self.ledger.replaced.add(new.urn)
        if decision.delete_first and not old.pending_replacement:
            self._delete_first(old)
            old = self.ledger.old(old.urn) or old
        return self.execution.create(provider, new, decision, old)

    def _delete_first(self, root: ResourceState) -> None:
        """Deletes a resource that is to be replaced, after those that its replacement would replace as well."""
        condemned = [root]
        gone = {root.urn}
        for resource in steps.dependents(root, self.ledger.waiting()):
            if resource.pending_replacement or not self._must_go(resource, gone):
                continue
            if resource.protect and not resource.delete:
                raise Refused(
                    f'unable to replace resource "{resource.urn}" as part of replacing "{root.urn}" as it is currently '
                    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in "
                    "your Pulumi program and run `pulumi up`, or use the command:\n"
                    f"`pulumi state unprotect '{resource.urn}'`"
                )
            gone.add(resource.urn)
            condemned.append(resource)
        for resource in reversed(condemned):
            self.execution.delete(resource, replacing=True, pending_replacement=not resource.delete)

    def _must_go(self, resource: ResourceState, gone: set[str]) -> bool:
        if not resource.custom or resource.external:
            return False
        if resource.provider and urns.split_reference(resource.provider)[0] in gone:
            return True
        inputs = steps.substituted(resource, gone, UNKNOWN)
        if inputs is None:
            return False
        diff = self.execution.provider_of(resource).diff(resource, inputs, resource.ignore_changes)
        return bool(diff.replace_keys or steps.forced_by(diff, resource.replace_on_changes))

    # outputs

    def register_outputs(self, urn: str, outputs: dict[str, Any]) -> None:
        """Takes a component's outputs, or the stack's exports."""
        if urn in self.ledger.broken:
            return  # passed over; the program goes on all the same
        new = self.ledger.new(urn)
        if new is None:
            raise Refused(f"cannot complete a resource '{urn}' whose registration isn't pending")
        new = replace(new, outputs=outputs)
        self.ledger.put(new)
        self.execution.component_done(new)

    def finish_exports(self, *, errored: bool) -> None:
        """After a failed run, exports that the program didn't come to are as they were: they may still be true.

        Those made of what was passed over are unknown, in the state too
        (https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/resource/deploy/step_executor.go,
        executeRegisterResourceOutputs).
        """
        name = f"{self.settings.project}-{self.settings.stack}"
        urn = urns.make(self.settings.stack, self.settings.project, "", urns.STACK_TYPE, name)
        new, old = self.ledger.new(urn), self.ledger.old(urn)
        if errored and new is not None:
            self.ledger.put(replace(new, outputs={**(old.outputs if old is not None else {}), **new.outputs}))

    def note_read(self, goal: Goal, urn: str) -> None:
        """Remembers what was read, for the result."""
        self._goals[urn] = goal, ()

    def registered(self) -> list[Registered]:
        """Everything the program registered or read, parents first."""
        return [
            as_registered(item, *self._goals[item.urn])
            for item in self.ledger.news()
            if item.urn in self._goals and not urns.is_default_provider(item.urn) and item.type != urns.STACK_TYPE
        ]


def as_registered(item: ResourceState, goal: Goal, aliases: tuple[str, ...]) -> Registered:
    """A resource as a result shows it."""
    return Registered(
        urn=item.urn,
        type=item.type,
        name=item.name,
        parent=item.parent,
        custom=item.custom,
        inputs=plain(goal.inputs),
        outputs=plain(item.outputs),
        id="" if item.id == UNKNOWN_TEXT else item.id,
        options=goal.options(aliases),
        secrets=tuple(dict.fromkeys((*secret_paths(goal.inputs), *secret_paths(item.outputs)))),
        external=item.external,
    )


def _check_failure(goal: Goal, inputs: Mapping[str, Any], name: str, reason: str) -> str:
    if not name:
        return f"{goal.type} resource '{goal.name}' has a problem: {reason}"
    value = redacted(inputs.get(name))
    return f"{goal.type} resource '{goal.name}': property {name} value {value} has a problem: {reason}"
