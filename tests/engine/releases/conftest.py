"""Two small models whose releases the real `pulumi` makes. Built once for each test process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pair import MISSED, SEEN, Pair
from tenancy import Tenancy

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.drills.stage import Stage
from infra.rehearsal.drills.world import in_cloud


@pytest.fixture
def pair(tenancy: Tenancy) -> Iterator[Pair]:
    """Both models, up. A test leaves them at rest; what they serve may be any version."""

    @contextmanager
    def move_in(cloud: Cloud) -> Iterator[Pair]:
        with in_cloud(cloud, [SEEN, MISSED], real_engine=True) as world:
            pair = Pair(world, SEEN, Stage(world, MISSED))
            for stage in pair.stages:
                world.write(stage.model)
                stage.register(1)
                stage.ask_for(1)
            went = pair.up()
            assert went.ok, went.told
            yield pair

    made = tenancy.take("engine-releases", move_in)
    try:
        yield made
    finally:
        made.world.cloud.faults.clear()
