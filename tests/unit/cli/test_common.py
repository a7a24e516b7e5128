"""Where a command believes to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli import common
from infra.registry.target import TargetError
from infra.rehearsal.pulumi_cli.project import make_project


def test_the_checkout_is_found_from_below(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "stacks" / "models")
    assert common.root() == root


def test_from_a_rehearsals_project_it_is_the_checkout_of_that(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(root, tmp_path / "pulumi").folder)
    assert common.root() == root


def test_outside_of_a_checkout_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetError, match="not inside a Mainstage checkout"):
        common.root()
