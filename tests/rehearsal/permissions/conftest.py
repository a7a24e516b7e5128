"""One rehearsal of dev for the tests that take statements away in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from log_paths import Paths
from rehearsed import Rehearsed
from served import checkout
from tenancy import Tenancy

from infra.front_door import FrontDoor
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.rehearse import Options, Rehearsal


@pytest.fixture(scope="module")
def rehearsed(tenancy: Tenancy, tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """dev, the same one for every file of this folder: what a test changes it puts back."""

    @contextmanager
    def move_in(cloud: Cloud) -> Iterator[Rehearsed]:
        options = Options(checkout(tmp_path_factory.mktemp("checkout")), predictions=0)
        with Rehearsal(options, cloud=cloud) as rehearsal:
            report = rehearsal.run()
            assert report.problems == []
            yield Rehearsed(rehearsal, FrontDoor(rehearsal.target))

    return tenancy.take("permissions", move_in)


@pytest.fixture(scope="module")
def paths(rehearsed: Rehearsed) -> Paths:
    return Paths(rehearsed)


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "rehearsed" in request.fixturenames:
        request.getfixturevalue("rehearsed").cloud.faults.clear()
