"""Where drills play: one environment that is up in the emulated cloud, with a folder of stack and model files of its
own. Bringing it up costs seconds, so that many drills share one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from infra import settings
from infra.catalog import load_catalog, record_signature
from infra.front_door import FrontDoor
from infra.program import ROOT, program_for
from infra.registry.target import Target
from infra.rehearsal.cloud.api import Principal
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY, new_operator_access_key_id
from infra.rehearsal.cloud.model_host import CheckReport, PresetEnvironments
from infra.rehearsal.drills.behaviour import catalog_text
from infra.rehearsal.drills.drill import IN_PROCESS
from infra.rehearsal.drills.hook_time import hooks_wait_for
from infra.rehearsal.drills.went import Went
from infra.rehearsal.engine import Engine, Result
from infra.rehearsal.provider import AwsProvider
from infra.rehearsal.update import said
from infra.releases.mending import mend_state_file

ENVIRONMENT = "dev"
PLATFORM, MODELS = f"platform-{ENVIRONMENT}", f"models-{ENVIRONMENT}"
LIMITS = "mainstage:limits"
OBSERVER = "arn:aws:iam::123456789012:user/drill"
"""Who looks on, and does what people do."""
SHOWN = ("warning", "error")
"""Severities of what an `up` logged that a person sees."""
MOST_INSTANCES = 8
"""Dev's own limit of two leaves no room for scaling out: the drills' copy of its stack file has this one."""


class Engines(Protocol):
    """Brings the models layer of a world to what its files say: the in-process engine, or the real `pulumi`."""

    name: str
    """Which of drill.ENGINES it is."""

    def bring_up(self, stack: str) -> None:
        """Applies the files of a stack that has to end well."""
        ...

    def up(self, config: Mapping[str, str]) -> Went:
        """Applies the files, going on with the other models when one refuses. `config` takes the place of keys of the
        stack file."""
        ...

    def preview(self, config: Mapping[str, str]) -> Went: ...

    def start_process(self, config: Mapping[str, str]) -> subprocess.Popen[Any]:
        """Starts an `up` that can be killed: it leads a process group of its own."""
        ...

    def endpoint_config(self, model: str) -> str:
        """The endpoint configuration that the state says a model's endpoint has; empty for no endpoint."""
        ...

    def mend_guards(self) -> list[str]:
        """Puts guards that are live again back into the state, and names their endpoints."""
        ...


@dataclass
class World:
    """An environment that is up."""

    cloud: Cloud
    root: Path
    folder: Path
    environments: PresetEnvironments
    target: Target
    models_stack: str = MODELS
    played: set[str] = field(default_factory=set)
    """Drills that were played here: what their models' histories tell stays."""
    without: str = ""
    """The drill whose protection is removed, for an `up` in another process."""
    engines: Engines = field(init=False)
    door: FrontDoor = field(init=False)

    def __post_init__(self) -> None:
        self.engines = InProcess(self)

    def client(self, service: str) -> Any:
        """A client of the drill itself: somebody else than who runs `up`, and allowed everything as well."""
        observer = Principal("operator", OBSERVER, self.cloud.account_id)
        return self.cloud.session(observer).client(service)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def write(self, model: str, **asked: Any) -> Path:
        """Writes a model file, and the record of its signature. `asked`: see `catalog_text`."""
        path = self.root / "stacks" / "models" / f"{model}.yaml"
        path.write_text(catalog_text(model, **asked), encoding="utf-8")
        record_signature(self.root, load_catalog(self.root, ENVIRONMENT).models[model])
        return path

    def forget(self, models: Iterable[str]) -> None:
        """Takes model files away: the next `up` deletes what they declared."""
        for model in models:
            (self.root / "stacks" / "models" / f"{model}.yaml").unlink(missing_ok=True)

    def config(self, stack: str) -> dict[str, str]:
        return settings.stack_config(self.root / "stacks" / f"Pulumi.{stack}.yaml")

    def bring_up(self, models: Sequence[str]) -> None:
        """The platform, with a place for each of `models`; no model file is left."""
        for model in models:
            self.write(model)
        self.engines.bring_up(PLATFORM)
        self.forget(models)
        self.door = FrontDoor(self.target)


class InProcess:
    """The engine of this process."""

    name = IN_PROCESS

    def __init__(self, world: World):
        self._world = world

    def engine(self) -> Engine:
        target = self._world.target
        return Engine(
            provider=AwsProvider(self._world.cloud.session, clock=self._world.cloud.clock),
            state_file=target.state_file,
            environment=target.variables,
        )

    def run(self, stack: str, config: Mapping[str, str]) -> Result:
        values = {**self._world.config(stack), **config}
        return self.engine().up(stack, program_for(stack, self._world.root), values, continue_on_error=True)

    def bring_up(self, stack: str) -> None:
        self.run(stack, {}).check()

    def up(self, config: Mapping[str, str]) -> Went:
        return _went(self.run(MODELS, config))

    def preview(self, config: Mapping[str, str]) -> Went:
        values = {**self._world.config(MODELS), **config}
        return _went(self.engine().preview(MODELS, program_for(MODELS, self._world.root), values))

    def start_process(self, config: Mapping[str, str]) -> subprocess.Popen[Any]:
        target = self._world.target
        told = {
            "root": str(self._world.root),
            "without": self._world.without,
            "config": {**self._world.config(MODELS), **config},
            "target": {**asdict(target), "state_file": str(target.state_file)},
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.rehearsal.drills.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode())
        process.stdin.close()
        return process

    def endpoint_config(self, model: str) -> str:
        name = f"{ENVIRONMENT}-{model}"
        found = [
            each.outputs.get("endpointConfigName", "")
            for each in self.engine().state.resources(MODELS)
            if each.type == "aws:sagemaker/endpoint:Endpoint" and each.outputs.get("name") == name
        ]
        return str(found[0]) if found else ""

    def mend_guards(self) -> list[str]:
        done = mend_state_file(self._world.target, MODELS)
        if done.problem:
            raise RuntimeError(done.problem)
        return list(done.put_back)


def _went(result: Result) -> Went:
    # What a hook says of a release stands first, as `mainstage up` tells it; then the provider's words.
    told = [*said(result, "error"), *([str(result.error)] if result.error is not None else [])]
    told += [f"warning: {each}" for each in said(result, "warning")]
    told += [f"{each.severity}: {each.message}" for each in result.logs if each.severity in SHOWN and not each.urn]
    urns: dict[str, list[str]] = {}
    for urn, op in result.ops().items():
        urns.setdefault(op, []).append(urn)
    return Went(result.error is None, "\n".join(told), result.changes, urns)


@contextmanager
def in_cloud(
    cloud: Cloud, models: Sequence[str], *, checkout: Path = ROOT, real_engine: bool = False
) -> Iterator[World]:
    """A world in an empty cloud that lives already, of dev's account and region. `models`: every name that will be
    used. real_engine: the unmodified `pulumi` brings it up."""
    with tempfile.TemporaryDirectory(prefix="mainstage-drills-") as scratch, ExitStack() as until_the_end:
        folder = Path(scratch)
        root = folder / "checkout"
        _copy_stacks(checkout, root)
        _stop_time(cloud)
        environments = PresetEnvironments(checkout / ".mainstage" / "environments")
        world = World(cloud, root, folder, environments, _target(cloud, folder))
        if real_engine:
            from infra.rehearsal.drills.real_pulumi import real_pulumi

            world.engines = until_the_end.enter_context(real_pulumi(world, folder / "pulumi", checkout=checkout))
        else:
            until_the_end.enter_context(hooks_wait_for(cloud.clock))
        world.bring_up(models)
        yield world


@contextmanager
def opened(models: Sequence[str], *, checkout: Path = ROOT, real_engine: bool = False) -> Iterator[World]:
    """A world in an emulated cloud of its own."""
    stack = settings.stack_config(checkout / "stacks" / f"Pulumi.{PLATFORM}.yaml")
    loaded = settings.load_platform(stack, PLATFORM, checkout)
    with tempfile.TemporaryDirectory(prefix="mainstage-drills-cloud-") as directory:
        cloud = Cloud(
            account_id=loaded.account_id,
            region=loaded.region,
            directory=Path(directory),
            operator_access_key_id=new_operator_access_key_id(),
        )
        with cloud, in_cloud(cloud, models, checkout=checkout, real_engine=real_engine) as world:
            yield world


def _target(cloud: Cloud, folder: Path) -> Target:
    return Target(
        ENVIRONMENT,
        cloud.account_id,
        cloud.region,
        cloud.serve(),
        access_key_id=cloud.operator_access_key_id,
        secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
        state_file=folder / "state.json",
    )


def _stop_time(cloud: Cloud) -> None:
    """From now on minutes pass when a drill lets them."""
    pace = getattr(cloud, "pace", None)
    if pace is not None:
        pace.minute_seconds = None


def _copy_stacks(checkout: Path, root: Path) -> None:
    stacks = root / "stacks"
    stacks.mkdir(parents=True)
    (stacks / "models").mkdir()
    for file in (checkout / "stacks").glob("Pulumi.*.yaml"):
        shutil.copy(file, stacks)
    file = stacks / f"Pulumi.{MODELS}.yaml"
    text = file.read_text(encoding="utf-8")
    allowed = settings.stack_config(file)[LIMITS]
    most = json.loads(allowed)["maximum_instances"]
    file.write_text(text.replace(f"maximum_instances: {most}", f"maximum_instances: {MOST_INSTANCES}"), "utf-8")


def report_of_a_check(
    _archive: Path, preset: str, environments: PresetEnvironments, _sample: bytes | None
) -> CheckReport:
    """The check of a push, for versions that break where they serve and not where they were pushed: it passes."""
    runtime = environments.ensure(preset)
    return CheckReport(preset, [], packages=runtime.packages)
