"""The in-process engine: previews, deploys, refreshes and destroys stacks with no CLI, as the real engine would.

What it is: the step logic, the state, the hooks and the error texts of pulumi/pulumi 3.259, driven by the real Python
SDK over the SDK's own protobuf messages, with a provider object in the same process. What it is not: it has no plans,
targets, remote components, transforms or state migrations; the SDK refuses by itself what needs the latter two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from pulumi import RunError

from infra import tuning
from infra.rehearsal.engine import program as programs
from infra.rehearsal.engine import summary
from infra.rehearsal.engine.deployment import Deployment, Policy, Settings
from infra.rehearsal.engine.environment import surrounded
from infra.rehearsal.engine.journal import Forgetful, Recorder
from infra.rehearsal.engine.ledger import Ledger
from infra.rehearsal.engine.monitor import EngineLog, Monitor
from infra.rehearsal.engine.program import Program
from infra.rehearsal.engine.provider_calls import Servicer
from infra.rehearsal.engine.provider_pool import Pool
from infra.rehearsal.engine.reading import Reading, StackOutputs
from infra.rehearsal.engine.refreshing import refresh
from infra.rehearsal.engine.removal import destroy
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Progress, Result, RunFailed, StateError
from infra.rehearsal.engine.state import ORGANIZATION, PROJECT, State

Providers = Servicer | Callable[[], Servicer] | Mapping[str, Servicer | Callable[[], Servicer]]
"""The `aws` provider, a function that makes one for each provider resource, or either by package name."""


class Engine:
    """Runs the stacks of one project. Runs of one engine, and of all engines on one state file, exclude each other.

    `progress` is called from several threads at once. `environment` are variables that programs and their hooks find
    while they run, such as the address and the credentials of an emulated cloud; None takes one away.
    `call_hooks=False`: none is called, where nothing exists that a hook could look at.
    """

    def __init__(
        self,
        *,
        provider: Providers,
        state_file: Path | None = None,
        project: str = PROJECT,
        organization: str = ORGANIZATION,
        progress: Progress | None = None,
        policies: Sequence[Policy] = (),
        stack_outputs: StackOutputs | None = None,
        environment: Mapping[str, str | None] | None = None,
        call_hooks: bool = True,
    ):
        self._servicers: Mapping[str, Servicer | Callable[[], Servicer]] = (
            provider if isinstance(provider, Mapping) else {"aws": provider}
        )
        self._project = project
        self._organization = organization
        self._progress = progress
        self._policies = tuple(policies)
        self._environment = dict(environment or {})
        self._call_hooks = call_hooks
        self.state = State(state_file, project=project, organization=organization)
        self._stack_outputs = stack_outputs or self.state.outputs

    def preview(
        self,
        stack: str,
        program: Program,
        config: Mapping[str, str],
        secret_keys: Sequence[str] = (),
        *,
        refresh: bool = True,
    ) -> Result:
        """Says what `up` would do; changes nothing. What only `up` would know is `UNKNOWN`."""
        return self._deploy("preview", stack, program, config, secret_keys, refresh_first=refresh)

    def up(
        self,
        stack: str,
        program: Program,
        config: Mapping[str, str],
        secret_keys: Sequence[str] = (),
        *,
        refresh: bool = True,
        continue_on_error: bool = False,
    ) -> Result:
        """Brings a stack to what its program says. Without `continue_on_error` nothing new is started after a failure.

        `config` is {"namespace:key": "value"}, values as strings; `secret_keys` names those that are secret.
        """
        return self._deploy(
            "up", stack, program, config, secret_keys, refresh_first=refresh, continue_on_error=continue_on_error
        )

    def refresh(self, stack: str) -> Result:
        """Makes the state say what is really there."""

        def work(result: Result) -> None:
            settings = self._settings(stack, {}, preview=False)
            old = self.state.resources(stack)
            ledger, deployment = self._begin(settings, old, Pool(self._servicers), Forgetful())
            refreshed = refresh(ledger, deployment.execution)
            self.state.save(stack, refreshed.resources)
            result.steps = refreshed.steps
            self._finish("refresh", result, ledger, deployment)

        return self._timed(stack, work)

    def destroy(self, stack: str, *, exclude_protected: bool = False) -> Result:
        """Deletes everything in a stack but what is protected and what that needs.

        Without `exclude_protected` something protected makes the run fail, after everything else is gone. As with the
        CLI's destroy, the program doesn't run, so a resource with delete hooks can't be deleted this way.
        """

        def work(result: Result) -> None:
            settings = self._settings(stack, {}, preview=False)
            with self.state.recording(stack) as recorder:
                old = self.state.resources(stack)
                ledger, deployment = self._begin(settings, old, Pool(self._servicers), recorder)
                try:
                    destroy(ledger, deployment.execution, exclude_protected=exclude_protected)
                finally:
                    self.state.keep(stack, ledger.snapshot())
            result.steps = list(ledger.steps)
            self._finish("destroy", result, ledger, deployment)

        return self._timed(stack, work)

    def _deploy(
        self,
        what: str,
        stack: str,
        program: Program,
        config: Mapping[str, str],
        secret_keys: Sequence[str],
        *,
        refresh_first: bool,
        continue_on_error: bool = False,
    ) -> Result:
        preview = what == "preview"

        def work(result: Result) -> None:
            settings = self._settings(stack, config, preview=preview, continue_on_error=continue_on_error)
            pool = Pool(self._servicers)
            old: Sequence[ResourceState] = self.state.resources(stack)
            if refresh_first and old:
                ledger, deployment = self._begin(settings, old, pool, Forgetful())
                refreshed = refresh(ledger, deployment.execution)
                result.steps = refreshed.drift()
                if not preview:
                    self.state.save(stack, refreshed.resources)
                if ledger.failures:
                    self._finish(what, result, ledger, deployment)
                    return
                result.logs = list(ledger.logs)
                old = refreshed.resources
            recording = nullcontext(Forgetful()) if preview else self.state.recording(stack)
            with recording as recorder:
                ledger, deployment = self._begin(settings, old, pool, recorder)
                reading = Reading(deployment, self._stack_outputs, self.state.stacks)
                monitor, log = Monitor(deployment, reading), EngineLog(ledger)
                try:
                    with surrounded(self._environment):
                        error = programs.run(program, settings, secret_keys, monitor, log, interrupt=ledger.stop)
                    if isinstance(error, RunError):  # sdk/python/cmd/pulumi-language-python-exec
                        ledger.log("error", str(error))
                    # A journal that can't be written any more has been told; what is kept now is written whole.
                    with suppress(StateError):
                        deployment.finish_exports(errored=error is not None or bool(ledger.failures))
                finally:
                    if not preview:
                        self.state.keep(stack, ledger.snapshot())
            result.steps += ledger.steps
            result.invokes = reading.invokes
            self._finish(what, result, ledger, deployment, error)

        return self._timed(stack, work)

    def _settings(
        self, stack: str, config: Mapping[str, str], *, preview: bool, continue_on_error: bool = False
    ) -> Settings:
        return Settings(
            stack=stack,
            project=self._project,
            organization=self._organization,
            preview=preview,
            config=dict(config),
            policies=self._policies,
            continue_on_error=continue_on_error,
            call_hooks=self._call_hooks,
        )

    def _begin(
        self, settings: Settings, old: Sequence[ResourceState], pool: Pool, recorder: Recorder
    ) -> tuple[Ledger, Deployment]:
        ledger = Ledger(old, recorder=recorder, progress=self._progress, continue_on_error=settings.continue_on_error)
        return ledger, Deployment(settings, ledger, pool)

    def _finish(
        self,
        what: str,
        result: Result,
        ledger: Ledger,
        deployment: Deployment,
        error: BaseException | None = None,
    ) -> None:
        result.changes = summary.count(result.steps)
        if what in ("refresh", "destroy"):
            result.resources = summary.from_state(self.state.resources(result.stack))
        else:
            result.resources = deployment.registered()
        result.outputs, result.secret_outputs = summary.exports(ledger.snapshot())
        result.logs += ledger.logs
        if ledger.failures:
            result.error = RunFailed(what, ledger.failures)
            result.error.__cause__ = error
        else:
            result.error = error

    def _timed(self, stack: str, work: Callable[[Result], None]) -> Result:
        tuning.raise_gc_threshold()
        result = Result(stack)
        started = time.monotonic()
        try:
            with self.state.exclusive():
                work(result)
        except StateError as error:
            result.error = result.error or error
        result.seconds = time.monotonic() - started
        return result
