"""One rehearsal of dev for the tests that take statements away in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from log_paths import Paths
from rehearsed import Rehearsed
from served import checkout

from infra.front_door import FrontDoor
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.rehearse import Options, Rehearsal


@pytest.fixture(scope="package")
def rehearsed(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    shared_cloud.reset()
    options = Options(checkout(tmp_path_factory.mktemp("checkout")), predictions=0)
    with Rehearsal(options, cloud=shared_cloud) as rehearsal:
        report = rehearsal.run()
        assert report.problems == []
        yield Rehearsed(rehearsal, FrontDoor(rehearsal.target))
    shared_cloud.reset()


@pytest.fixture(scope="package")
def paths(rehearsed: Rehearsed) -> Paths:
    return Paths(rehearsed)


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "rehearsed" in request.fixturenames:
        request.getfixturevalue("rehearsed").cloud.faults.clear()
