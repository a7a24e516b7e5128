"""A rehearsal from first to last: environments, emulated cloud, platform, models, real predictions, report."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from infra import settings
from infra.catalog import Catalog, Model, check_recorded, load_catalog
from infra.front_door import FrontDoor
from infra.layers.names import endpoint_name
from infra.policy_check import Policing
from infra.program import program_for
from infra.registry.approval import Approved
from infra.registry.archive import FolderError
from infra.registry.target import Target
from infra.rehearsal import page, pointer, traffic
from infra.rehearsal.clients import clients_of
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY, new_operator_access_key_id
from infra.rehearsal.cloud.journal import Entry
from infra.rehearsal.cloud.model_host import BadArchive, CheckFailed, PresetEnvironments
from infra.rehearsal.engine import Engine, Event, Result
from infra.rehearsal.log_check import check_log
from infra.rehearsal.progress import Progress, Tell
from infra.rehearsal.provider import AwsProvider
from infra.rehearsal.registering import Registering, TrainingFailed, approval_required, folder_of, served
from infra.rehearsal.report import Refusal, Report, ResourceLine, StackReport

STATE_FILE = "state.json"
SPOOLED_SECONDS = 90.0
"""How long the check of a log waits for records that Firehose took too late: they come by the spool and its replay."""
SLOW_EVERY, SLOW_SECONDS = 150, 0.3
"""Each so many calls the emulated endpoint is given a delay, so that slow requests can be found in the log."""


class RehearsalError(ValueError):
    """A rehearsal that could not go on; the message names the step and the cause."""


@dataclass(frozen=True)
class Options:
    root: Path
    environment: str = "dev"
    port: int = 0
    """0: any free port."""
    predictions: int = 2000
    """Good ones, to each model. Bad, oversized and unsigned requests come on top."""
    page: Path | None = None
    """Where the HTML page goes. None: no page."""


class Rehearsal:
    """One rehearsal and what it holds open: the emulated cloud with its model processes, its loopback server.

    Use as a context manager: leaving it ends every process and removes the run's folder. A `cloud` that is given is
    one that runs already, empty, of the environment's account and region; it stays open.
    """

    def __init__(self, options: Options, progress: Tell = lambda _: None, *, cloud: Cloud | None = None):
        self.options = options
        self.root = options.root
        self.tell = progress
        if options.page is not None:
            options.page.unlink(missing_ok=True)  # what an earlier run left says nothing about this one
        config = settings.stack_config(self._stack_file("platform"))
        loaded = settings.load_platform(config, f"platform-{options.environment}", self.root)
        self.report = Report(options.environment, loaded.account_id, loaded.region)
        self.front_door = loaded.front_door
        self.environments = PresetEnvironments(self.root / ".mainstage" / "environments")
        self.folder = pointer.make_run_folder(self.root)
        self._borrowed = cloud is not None
        self.cloud = cloud or Cloud(
            account_id=loaded.account_id,
            region=loaded.region,
            directory=self.folder / "cloud",
            operator_access_key_id=new_operator_access_key_id(),
        )

    def __enter__(self) -> Rehearsal:
        if not self._borrowed:
            self.cloud.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pointer.remove(self.root)
        if not self._borrowed:
            self.cloud.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self) -> Report:
        """Brings both layers up, registers and serves the models, sends the predictions. Raises RehearsalError."""
        catalog = load_catalog(self.root, self.options.environment)
        check_recorded(self.root, catalog)
        folders = {model.model: folder_of(self.root, model.model) for model in served(catalog)}
        catalog = self._serve_what_is_here(catalog, folders)
        models = served(catalog)
        for model in catalog.models.values():
            if model.awaiting:
                self.report.not_served.setdefault(model.model, "awaits its first version: declared, no endpoint yet")
        with self._phase("environments"):
            for preset in sorted({model.runtime for model in models}):
                self.tell(Progress("environments", f"Python and packages of {preset} (the first time about a minute)"))
                runtime = self.environments.ensure(preset)
                self.report.differences += [f"{preset}: {line}" for line in runtime.differences]
        registering = Registering(
            self.environments,
            self.folder / "trained",
            self.tell,
            approve=approval_required(self.root, self.options.environment),
        )
        with self._phase("training"):
            sources = {model.model: self._train(registering, model, folders[model.model]) for model in models}
        with self._phase("cloud"):
            self.report.endpoint_url = self.cloud.serve(self.options.port)
            self.clients = clients_of(
                self.cloud,
                self.front_door,
                access_key_id=self.cloud.operator_access_key_id,
                secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
            )
            self.report.played = list(self.clients.played)
        with self._phase("platform"):
            self._up("platform", catalog)
        with self._phase("registering"):
            for model in list(models):
                try:
                    self._tell_approved(registering.register(model, sources[model.model], self.target))
                except (CheckFailed, FolderError, BadArchive) as refusal:
                    models.remove(model)
                    catalog = catalog.with_awaiting(model.model)
                    self.report.refused[model.model] = str(refusal)
        with self._phase("models"):
            self._up("models", catalog)
        with self._phase("predictions"):
            for model in models:
                self._predict(model, sources[model.model])
        with self._phase("log"):
            for sent in self.report.traffic:
                self._read_log(sent)
        self.report.calls = self.cloud.journal.answered_by()
        self.report.refusals = refusals(self.cloud.journal.entries())
        self._tell_what_to_try(models, sources)
        if self.options.page is not None:
            self._draw(self.options.page)
        return self.report

    def publish(self) -> None:
        """Writes the pointer file, so that other commands find this rehearsal."""
        pointer.write(
            self.root,
            {
                "endpoint": self.report.endpoint_url,
                "environment": self.options.environment,
                "account_id": self.report.account_id,
                "region": self.report.region,
                "directory": str(self.folder),
                "state_file": str(self.folder / STATE_FILE),
                "access_key_id": self.cloud.operator_access_key_id,
                "secret_access_key": OPERATOR_SECRET_ACCESS_KEY,
            },
        )

    @cached_property
    def target(self) -> Target:
        """This rehearsal as other commands see it: over loopback HTTP. To be asked for once the cloud is served."""
        return Target(
            self.options.environment,
            self.report.account_id,
            self.report.region,
            self.report.endpoint_url,
            access_key_id=self.cloud.operator_access_key_id,
            secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
            state_file=self.folder / STATE_FILE,
        )

    def _stack_file(self, layer: str) -> Path:
        return self.root / "stacks" / f"Pulumi.{layer}-{self.options.environment}.yaml"

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.tell(Progress(name))
        started = time.perf_counter()
        try:
            yield
        finally:
            self.report.seconds[name] = time.perf_counter() - started

    def _serve_what_is_here(self, catalog: Catalog, folders: dict[str, Path | None]) -> Catalog:
        """A rehearsal's registry starts empty: a model without a folder in this checkout is rehearsed as awaiting."""
        for name, folder in folders.items():
            if folder is None:
                catalog = catalog.with_awaiting(name)
                self.report.not_served[name] = (
                    f"rehearsed as awaiting: no models/{name} or examples/models/{name} to register"
                )
        return catalog

    def _train(self, registering: Registering, model: Model, folder: Path | None) -> Path:
        assert folder is not None
        try:
            return registering.train(model, folder)
        except TrainingFailed as error:
            raise RehearsalError(str(error)) from error

    def _tell_approved(self, approved: list[Approved]) -> None:
        for each in approved:
            given = each.approval
            self.report.played.append(
                f"who approves a version: {each.model} version {given.version} was approved as {given.approved_by}; "
                "nobody was asked"
            )

    def _up(self, layer: str, catalog: Catalog) -> None:
        stack = f"{layer}-{self.options.environment}"
        policing = Policing(self.root)
        engine = Engine(
            provider=AwsProvider(self.cloud.session),
            state_file=self.folder / STATE_FILE,
            progress=lambda event: self._on_event(layer, event),
            policies=[policing],
            environment=self.target.variables,
        )
        config = settings.stack_config(self._stack_file(layer))
        result = engine.up(stack, program_for(stack, self.root, catalog=catalog), config)
        self.report.stacks.append(stack_report(result))
        if result.error is not None:
            raise RehearsalError(f"{stack}: {result.error}") from result.error
        self.report.violations[stack] = [str(found) for found in policing.at_the_end(result).violations]

    def _on_event(self, layer: str, event: Event) -> None:
        if event.kind in ("start", "failed"):
            self.tell(Progress(layer, f"{event.op} {event.urn.rpartition('::')[2]}"))

    def _predict(self, model: Model, source: Path) -> None:
        """Sends the traffic to the front door; now and then the endpoint is made to answer late."""
        endpoint = endpoint_name(self.options.environment, model.model)
        door = FrontDoor(self.target, token=self.clients.token)
        self.report.front_door_url = door.url
        wanted = traffic.shots(
            model,
            traffic.requests_for(model, source),
            self.options.predictions,
            unsigned_status=self.clients.unsigned_status,
            refused=self.clients.refused,
        )
        late = itertools.count(1)
        slow = self.cloud.faults.add(
            "sagemaker-runtime",
            "InvokeEndpoint",
            delay_seconds=SLOW_SECONDS,
            match=lambda call: call.params["EndpointName"] == endpoint and next(late) % SLOW_EVERY == 0,
        )
        try:
            sent = traffic.send(
                door,
                model,
                wanted,
                throttle_per_second=self.front_door.throttle_requests_per_second,
                progress=lambda done: self.tell(Progress("predictions", model.model, done, len(wanted))),
            )
        finally:
            slow.remove()
        self.report.traffic.append(sent)
        self.report.slow_answers = {**self.report.slow_answers, model.model: slow.hits}
        counted = published_invocations(self.cloud.client("cloudwatch"), endpoint, self.cloud.clock.now())
        self.report.published_invocations = {**self.report.published_invocations, model.model: counted}

    def _read_log(self, sent: traffic.Traffic) -> None:
        """Asks the log by SQL for what the clients know already."""
        self.tell(Progress("log", sent.model))
        from infra.rehearsal.cloud.overlay.firehose_delivery import flush

        end = time.monotonic() + SPOOLED_SECONDS
        while True:
            flush(self.cloud)
            self.report.logs[sent.model] = found = check_log(self.target, sent)
            if not found.missing or time.monotonic() > end:
                return
            time.sleep(1)

    def _tell_what_to_try(self, models: list[Model], sources: dict[str, Path]) -> None:
        if not models:
            return
        model = models[0]
        body = next(traffic.requests_for(model, sources[model.model])).decode()
        self.report.try_it = f"mainstage predict {model.model} '{body}'{self.clients.predict_options}"
        self.report.curl = (
            f"curl {self.clients.curl_options}-H 'content-type: application/json' -d '{body}'"
            f" {self.report.front_door_url}/v1/models/{model.model}/predictions"
        )

    def _draw(self, path: Path) -> None:
        path.write_text(page.render(self.report), encoding="utf-8")
        self.report.page = str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def published_invocations(cloudwatch: Any, endpoint: str, now: datetime) -> float:
    """The Sum of AWS/SageMaker Invocations of an endpoint over the last hour, all variants."""
    metrics = cloudwatch.list_metrics(
        Namespace="AWS/SageMaker", MetricName="Invocations", Dimensions=[{"Name": "EndpointName", "Value": endpoint}]
    )["Metrics"]
    total = 0.0
    for metric in metrics:
        if len(metric["Dimensions"]) != 2:  # the set with EndpointConfigName counts the same calls again
            continue
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=metric["Dimensions"],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        total += sum(point["Sum"] for point in points)
    return total


def stack_report(result: Result) -> StackReport:
    managed = [each for each in result.resources if not each.external]
    lines = [
        ResourceLine(each.urn, each.parent, each.type, each.name, tuple(sorted(each.options.depends_on)))
        for each in managed
    ]
    changes = {kind: count for kind, count in result.changes.items() if count}
    return StackReport(result.stack, changes, lines, result.seconds)


def refusals(entries: Iterable[Entry]) -> list[Refusal]:
    """The calls that ended at the door, counted by call, code and caller; the most frequent first."""
    counted = Counter(
        (f"{entry.service}:{entry.operation}", entry.outcome, entry.principal.rpartition("/")[2] or entry.principal)
        for entry in entries
        if entry.answered_by == "door"
    )
    return [Refusal(call, code, principal, count) for (call, code, principal), count in counted.most_common()]
