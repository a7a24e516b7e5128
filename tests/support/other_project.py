"""Pulumi projects that are not this repository's, run by the real `pulumi` on a world's emulated cloud."""

from __future__ import annotations

from pathlib import Path

from engine_world import ROOT, EngineWorld

from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.project import Project


def cli_in(folder: Path, world: EngineWorld, directory: Path) -> Cli:
    """`pulumi` in the project at `folder`; states and home lie under `directory`."""
    return Cli(project_in(folder, directory), world.emulated)


def project_in(folder: Path, directory: Path) -> Project:
    """The project at `folder`; states and home lie under `directory`."""
    project = Project(ROOT, folder, directory / "backend", directory / "home")
    for made in (project.backend, project.home):
        made.mkdir(parents=True, exist_ok=True)
    return project
