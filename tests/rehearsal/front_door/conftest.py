"""One rehearsal of dev a module, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rehearsed import Rehearsed
from served import checkout

from infra.front_door import FrontDoor
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.rehearse import Options, Rehearsal


@pytest.fixture(scope="module")
def rehearsed(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    shared_cloud.reset()
    options = Options(checkout(tmp_path_factory.mktemp("checkout")), predictions=5)
    with Rehearsal(options, cloud=shared_cloud) as rehearsal:
        report = rehearsal.run()
        assert report.problems == []
        found = Rehearsed(rehearsal, FrontDoor(rehearsal.target))
        found.ids += [each for traffic in report.traffic for each in traffic.request_ids]
        yield found
    shared_cloud.reset()


@pytest.fixture(autouse=True)
def no_faults_left(rehearsed: Rehearsed) -> Iterator[None]:
    yield
    rehearsed.cloud.faults.clear()
