"""The same world, brought up by the unmodified `pulumi`: its own process runs the program and its hooks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from infra.program import ROOT
from infra.recover import mend_guards, recover_before
from infra.rehearsal.drills.drill import PULUMI
from infra.rehearsal.drills.went import Went
from infra.rehearsal.provider.served import ServedProvider
from infra.rehearsal.pulumi_cli import told
from infra.rehearsal.pulumi_cli.cli import Cli, Done
from infra.rehearsal.pulumi_cli.environment import Emulated
from infra.rehearsal.pulumi_cli.project import Project

if TYPE_CHECKING:
    from infra.rehearsal.drills.world import World

# The world's stack and model files lie in a folder of its own; the code is the checkout's.
PROGRAM = """\
from pathlib import Path

from infra import tuning

tuning.apply()

import pulumi

from infra.program import program_for

program_for(pulumi.get_stack(), Path({root!r}))()
"""
WITHOUT = """\
from infra.rehearsal.drills import child

child.hold({drill!r})

"""
"""What stands before the program while a drill is played without its protection."""
POLL_SECONDS = 0.05
"""Pause between the provider's looks at an endpoint. The real one takes minutes in which much may happen."""


class RealPulumi:
    """`pulumi` on a world's files. Commands of one stack exclude each other, by its lock."""

    name = PULUMI

    def __init__(self, world: World, cli: Cli):
        self._world = world
        self.cli = cli
        self._killed: subprocess.Popen[Any] | None = None

    def run(self, stack: str, config: Mapping[str, str]) -> Done:
        """`pulumi up`, to whatever end; what a killed one left is cleared up first, as by `make rehearse-up`."""
        if self._killed is not None and self._killed.poll() is not None:
            self._killed = None
            recover_before(self.cli, stack, self._world.target, lambda _: None)
        self.write(stack, config)
        return self.cli.try_run("up", "--yes", "--skip-preview", "--continue-on-error", "--stack", stack)

    def bring_up(self, stack: str) -> None:
        """Raises RuntimeError unless it ends well."""
        done = self.run(stack, {})
        if done.code:
            raise RuntimeError(f"pulumi up of {stack} ended with {done.code}:\n{told.diagnostics(done.told)}")

    def up(self, config: Mapping[str, str]) -> Went:
        return _went(self.run(self._world.models_stack, config))

    def start_process(self, config: Mapping[str, str]) -> subprocess.Popen[Any]:
        self.write(self._world.models_stack, config)
        options = ("--yes", "--skip-preview", "--continue-on-error", "--stack", self._world.models_stack)
        self._killed = self.cli.start("up", *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self._killed

    def preview(self, config: Mapping[str, str]) -> Went:
        stack = self._world.models_stack
        self.write(stack, config)
        done = self.cli.try_run("preview", "--json", "--stack", stack)
        if done.code:
            return _went(done)
        planned = json.loads(done.stdout)
        urns: dict[str, list[str]] = {}
        for step in planned["steps"]:
            urns.setdefault(step["op"], []).append(step["urn"])
        messages = [f"{each['severity']}: {each['message'].strip()}" for each in planned.get("diagnostics") or ()]
        return Went(True, "\n".join(messages), planned.get("changeSummary") or {}, urns)

    def endpoint_config(self, model: str) -> str:
        name = f"{self._world.target.environment}-{model}"
        for each in told.resources(self.cli.state(self._world.models_stack)):
            if each["type"] == "aws:sagemaker/endpoint:Endpoint" and each["outputs"].get("name") == name:
                return str(each["outputs"]["endpointConfigName"])
        return ""

    def mend_guards(self) -> list[str]:
        done = mend_guards(self.cli, self._world.models_stack, self._world.target, lambda _: None)
        return [each.endpoint for each in done.guards]

    def write(self, stack: str, config: Mapping[str, str]) -> None:
        """Writes what pulumi reads, the program and the stack file; `config` takes the place of keys of the world's."""
        without = WITHOUT.format(drill=self._world.without) if self._world.without else ""
        program = without + PROGRAM.format(root=str(self._world.root))
        (self.cli.project.folder / "program" / "__main__.py").write_text(program, encoding="utf-8")
        asked = yaml.safe_load((self._world.root / "stacks" / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
        values = {**asked["config"], **{key: _value(text) for key, text in config.items()}}
        file = self.cli.project.stack_file(stack)
        if not file.exists():
            file.write_text(json.dumps({"config": values}), encoding="utf-8")
            self.cli.select(stack)
        made = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**made, "config": values}), encoding="utf-8")


@contextmanager
def real_pulumi(world: World, directory: Path, *, checkout: Path = ROOT) -> Iterator[RealPulumi]:
    """`pulumi` for a world whose cloud is in this process. Raises PulumiMissing where there is none."""
    cloud, target = world.cloud, world.target
    project = Project(checkout.resolve(), directory / "project", directory / "backend", directory / "home")
    for folder in (project.folder / "program", project.folder / "stacks", project.backend, project.home):
        folder.mkdir(parents=True, exist_ok=True)
    (project.folder / ".venv").symlink_to(checkout / ".venv")
    described = (checkout / "Pulumi.yaml").read_text(encoding="utf-8")
    (project.folder / "Pulumi.yaml").write_text(described.replace("main: infra\n", "main: program\n"), encoding="utf-8")
    with ServedProvider(cloud.session, clock=cloud.clock, wait_poll_seconds=POLL_SECONDS) as provider:
        assert target.endpoint_url
        assert target.access_key_id
        assert target.secret_access_key
        emulated = Emulated(
            target.endpoint_url, provider.port, target.region, target.access_key_id, target.secret_access_key
        )
        yield RealPulumi(world, Cli(project, emulated))


def _went(done: Done) -> Went:
    # "3 created" of its summary is {"create": 3} here.
    changes = {kind.removesuffix("d"): count for kind, count in told.changes(done.stdout).items()}
    changes["same"] = changes.pop("unchange", 0)
    said = told.diagnostics(done.told) if done.code or "\nDiagnostics:\n" in done.told else ""
    return Went(done.code == 0, said, changes)


def _value(text: str) -> Any:
    """A configuration's value as a stack file has it: what is an object there is handed over as JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
