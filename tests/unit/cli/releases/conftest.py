"""A model before AWS, and commands about its releases."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import Run, runner
from release_world import World, configuration
from sleeps import sleeps_by

from infra.cli import common
from infra.releases import guards


@pytest.fixture
def world(tmp_path: Path, root: Path) -> World:
    """A checkout whose model asks for version 6, with versions 5, 6 and 7 registered; nothing serves."""
    (tmp_path / "stacks").mkdir()
    for file in (root / "stacks").glob("Pulumi.*.yaml"):
        (tmp_path / "stacks" / file.name).write_bytes(file.read_bytes())
    world = World(tmp_path)
    world.write("stable: 6\n")
    world.register(5, 6, 7)
    return world


@pytest.fixture
def in_service(world: World) -> None:
    """Version 6 serves and version 5 is kept."""
    world.write("stable: 6\nkeep: [5]\n")
    world.serve(6)
    world.models += [each.replace("0000000a", "0000000b") for each in (configuration(6), configuration(5))]
    world.configs[configuration(5)] = "ml.m5.large"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World) -> Run:
    monkeypatch.setattr(common, "root", lambda: world.root)
    sleeps_by(monkeypatch, guards, lambda seconds: None)
    monkeypatch.chdir(world.root)
    return runner(monkeypatch, capsys, world.clients)
