"""The release pin, and that one release is named everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from infra.settings import ENVIRONMENTS, LAYERS, stack_config, stack_file
from infra.version import RELEASE, ReleaseMismatch, check_release


def test_the_pinned_release_runs() -> None:
    check_release(RELEASE, "platform-dev")


@pytest.mark.parametrize("pinned", ["0.2.0", "0.0.9", "0.1.0-rc1"])
def test_another_release_is_refused_with_the_way_out(pinned: str) -> None:
    with pytest.raises(ReleaseMismatch) as raised:
        check_release(pinned, "models-prod")
    message = str(raised.value)
    assert message.startswith(
        f"this checkout is {RELEASE}, stack models-prod asks for {pinned} "
        "(mainstage:release in stacks/Pulumi.models-prod.yaml)."
    )
    assert f"git checkout v{pinned}" in message
    assert f"set mainstage:release to {RELEASE}" in message
    assert "docs/UPGRADE-0.md" in message


@pytest.mark.parametrize("project", ["pyproject.toml", "components/pyproject.toml"])
def test_the_packages_carry_the_release(root: Path, project: str) -> None:
    assert tomllib.loads((root / project).read_text(encoding="utf-8"))["project"]["version"] == RELEASE


@pytest.mark.parametrize("stack", [f"{layer}-{environment}" for environment in ENVIRONMENTS for layer in LAYERS])
def test_the_stack_files_are_pinned_to_it(root: Path, stack: str) -> None:
    assert stack_config(stack_file(root, stack))["mainstage:release"] == RELEASE


def test_the_changelog_tells_what_is_in_it(root: Path) -> None:
    lines = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    sections = [line for line in lines if line.startswith("## ")]
    assert sections[0] == "## Unreleased"
    assert re.fullmatch(rf"## {re.escape(RELEASE)} - \d{{4}}-\d\d-\d\d", sections[1])
