"""One rehearsal of dev, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rehearsed import LOG, Rehearsed
from served import checkout
from tenancy import Tenancy

from infra.front_door import FrontDoor
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.rehearse import Options, Rehearsal


@pytest.fixture(scope="module")
def rehearsed(request: pytest.FixtureRequest, tenancy: Tenancy, tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """dev, the same one for every file of this folder: what a test changes it puts back."""

    @contextmanager
    def move_in(cloud: Cloud) -> Iterator[Rehearsed]:
        options = Options(checkout(tmp_path_factory.mktemp("checkout")), predictions=5)
        with Rehearsal(options, cloud=cloud) as rehearsal:
            report = rehearsal.run()
            assert report.problems == []
            found = Rehearsed(rehearsal, FrontDoor(rehearsal.target))
            found.ids += [each for traffic in report.traffic for each in traffic.request_ids]
            yield found

    found: Rehearsed = tenancy.take("front door", move_in)
    # Environments of the front door that met a hanging stream leave it alone for a minute: these begin anew.
    found.client("lambda").update_function_configuration(
        FunctionName=f"{LOG}-front-door", Description=f"for {request.node.name}"
    )
    return found


@pytest.fixture(autouse=True)
def no_faults_left(rehearsed: Rehearsed) -> Iterator[None]:
    yield
    rehearsed.cloud.faults.clear()
