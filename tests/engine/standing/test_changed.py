"""What a preview finds: nothing from another checkout, and of a changed setting exactly what it changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import MODELS, PLATFORM, ROOT, EngineWorld
from whole_checkout import whole_checkout

from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.project import make_project


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_checkout(tmp_path_factory.mktemp("elsewhere") / "another name").root


@pytest.fixture
def from_elsewhere(standing: EngineWorld, elsewhere: Path) -> Iterator[Cli]:
    """pulumi on the same backend and cloud, with a project that leads to another checkout."""
    paths = f"{elsewhere}:{elsewhere / 'components'}"
    try:
        yield Cli(make_project(elsewhere, standing.directory), standing.emulated, {"PYTHONPATH": paths})
    finally:
        make_project(ROOT, standing.directory)


@pytest.mark.parametrize("stack", [PLATFORM, MODELS])
def test_another_checkout_is_quiet(from_elsewhere: Cli, stack: str) -> None:
    from_elsewhere.preview(stack, "--expect-no-changes")


def test_the_other_checkouts_code_is_what_runs(from_elsewhere: Cli, elsewhere: Path) -> None:
    file = elsewhere / "infra" / "program.py"
    committed = file.read_text()
    try:
        file.write_text(committed + '\nraise SystemExit(f"this is {__file__}")\n')
        done = from_elsewhere.try_run("preview", "--stack", PLATFORM)
        assert done.code != 0
        assert f"this is {file}" in done.told
    finally:
        file.write_text(committed)


def changed(standing: EngineWorld, stack: str) -> dict[tuple[str, str], set[str]]:
    """By name and operation of each step that does something: the properties that differ."""
    told: dict[str, Any] = json.loads(standing.cli.preview(stack, "--json").stdout)
    return {
        (step["urn"].rpartition("::")[2], step["op"]): set(step.get("detailedDiff") or step.get("diffReasons") or ())
        for step in told["steps"]
        if step["op"] not in ("same", "read", "refresh")
    }


LOG_GROUPS = {
    PLATFORM: ["front-door-access-log", "front-door-not-found-logs"],
    MODELS: [
        "release-watch-logs",
        *(
            f"{model}-{part}-logs"
            for model in ("card-fraud", "iris")
            for part in ("endpoint", "log-replay", "log-stream", "log-transform", "route")
        ),
    ],
}
"""The flow logs' group has a retention of its own."""


@pytest.mark.parametrize("stack", [PLATFORM, MODELS])
def test_a_changed_setting_changes_that_and_nothing_else(standing: EngineWorld, stack: str) -> None:
    file = standing.cli.project.stack_file(stack)
    written = file.read_text()
    edited, count = re.subn(r"(mainstage:log_retention_days:) \S+", r"\1 30", written)
    assert count == 1
    try:
        file.write_text(edited)
        assert changed(standing, stack) == {(name, "update"): {"retentionInDays"} for name in LOG_GROUPS[stack]}
    finally:
        file.write_text(written)
