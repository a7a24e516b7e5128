"""Tests that run the real `pulumi`. Without one they are skipped, and say so; MAINSTAGE_REQUIRE_ENGINE=1 fails them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import EngineWorld, engine_world
from tenancy import Tenancy

from infra.rehearsal.pulumi_cli.cli import PulumiMissing, find

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    try:
        find(ROOT)
        missing = ""
    except PulumiMissing as error:
        missing = str(error)
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent):
            continue
        item.add_marker(pytest.mark.timeout(600))
        if missing and os.environ.get("MAINSTAGE_REQUIRE_ENGINE") != "1":
            item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture
def world(tenancy: Tenancy, tmp_path: Path) -> Iterator[EngineWorld]:
    """An empty emulated dev account with a real `pulumi` on it."""
    with engine_world(tenancy.empty(), tmp_path / "pulumi") as made:
        yield made
    tenancy.empty()


@pytest.fixture
def beside(tenancy: Tenancy, tmp_path: Path) -> Iterator[EngineWorld]:
    """A real `pulumi` on the emulated dev account with whatever lives there: a test takes away all that it makes."""
    with engine_world(tenancy.cloud, tmp_path / "pulumi") as made:
        try:
            yield made
        finally:
            tenancy.cloud.faults.clear()


@pytest.fixture
def standing(tenancy: Tenancy, tmp_path_factory: pytest.TempPathFactory) -> EngineWorld:
    """Both layers of dev, up by the real `pulumi`. Shared: a test leaves it as its files say (`preview` is quiet)."""
    from contextlib import contextmanager

    from infra.rehearsal.cloud.cloud import Cloud

    @contextmanager
    def move_in(cloud: Cloud) -> Iterator[EngineWorld]:
        with engine_world(cloud, tmp_path_factory.mktemp("standing") / "pulumi") as made:
            made.all_up()
            yield made

    return tenancy.take("engine-dev", move_in)
