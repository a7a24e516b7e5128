"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ACCOUNT_ID = "111111111111"
REGION = "eu-west-1"


@pytest.fixture(scope="session")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One emulated cloud a test process (moto's backends are process-wide)."""
    from infra.rehearsal.cloud.cloud import Cloud

    with Cloud(account_id=ACCOUNT_ID, region=REGION, directory=tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Cloud:
    """The emulated cloud, empty."""
    shared_cloud.reset()
    return shared_cloud


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[1]
