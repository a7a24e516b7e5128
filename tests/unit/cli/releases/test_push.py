"""`mainstage model push`: what it refuses before anything is registered."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from cli import Run, error
from release_world import World


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A trained folder whose inference.py was edited after it."""
    source = tmp_path / "model"
    source.mkdir()
    with tarfile.open(source / "model.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"old"))
    (source / "inference.py").write_text("new")
    return source


def test_code_that_is_not_in_the_archive_is_not_passed_over(run: Run, world: World, edited: Path) -> None:
    before = dict(world.objects)
    told = error(run("model", "push", "iris", str(edited)))
    assert told.startswith(
        f"{edited}: inference.py is not what model.tar.gz beside it holds, and the archive is what would be registered. "
    )
    script = run("model", "push", "iris", str(edited), "--json")
    assert script.code == 1
    assert json.loads(script.out) == {
        "error": told,
        "archive": str(edited / "model.tar.gz"),
        "differ": ["inference.py"],
    }
    assert world.objects == before


def test_a_folder_that_is_not_there_is_one_error(run: Run) -> None:
    assert error(run("model", "push", "iris", "nowhere")) == (
        "nowhere: no such folder; give the folder that holds inference.py and the model's files"
    )
