"""A small program of a test's own, run by the real `pulumi` on a world's emulated cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from engine_world import ROOT, EngineWorld

from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.project import Project

PROVIDER = """
import json
import pulumi
import pulumi_aws as aws

here = pulumi.ResourceOptions(provider=aws.Provider("here", region="eu-west-1"))
"""
"""The beginning of most programs."""


class SmallProgram:
    """One project of one stack. `write` says what the program is; `cli` and the methods run it."""

    def __init__(self, world: EngineWorld, folder: Path, name: str = "small", stack: str = "test"):
        made = Project(ROOT, folder / "project", folder / "backend", world.cli.project.home)
        for directory in (made.folder, made.backend, made.home):
            directory.mkdir(parents=True, exist_ok=True)
        (made.folder / ".venv").symlink_to(ROOT / ".venv")
        runtime = "runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}"
        (made.folder / "Pulumi.yaml").write_text(f"name: {name}\n{runtime}\n")
        self.name, self.stack = name, stack
        self.cli = Cli(made, world.emulated)
        self.cli.select(stack)

    def write(self, *texts: str) -> None:
        """Makes the texts, one after the other, the program."""
        (self.cli.project.folder / "__main__.py").write_text("\n".join(dedent(text) for text in texts))

    def urn(self, type_token: str, name: str) -> str:
        return f"urn:pulumi:{self.stack}::{self.name}::{type_token}::{name}"

    def resources(self) -> dict[str, dict[str, Any]]:
        """What the exported state has, by logical name."""
        deployment = self.cli.state(self.stack)["deployment"]
        return {each["urn"].rpartition("::")[2]: each for each in deployment.get("resources", ())}

    def steps(self, *arguments: str, code: int = 0) -> dict[str, Mapping[str, Any]]:
        """The steps of a preview with further arguments, by logical name, but for what stays as it is."""
        return steps_of(self.cli.try_run("preview", "--json", "--stack", self.stack, *arguments), code)


def steps_of(done: Any, code: int = 0) -> dict[str, Mapping[str, Any]]:
    """What a preview, or a previewed refresh, with --json would do, by logical name; it has to end with `code`."""
    assert done.code == code, done.told
    steps = json.loads(done.stdout)["steps"]
    return {step["urn"].rpartition("::")[2]: step for step in steps if step["op"] not in ("same", "refresh")}
