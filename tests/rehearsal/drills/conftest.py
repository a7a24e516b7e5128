"""The drills' worlds: dev's platform with a place for the models of every drill. Each is built once for a process, one
for the drills as they are and one for those without their protection: a drill is played once in a world."""

from __future__ import annotations

import pytest
from tenancy import Tenancy

from infra.rehearsal.drills.run import DRILLS, models_of
from infra.rehearsal.drills.world import World, in_cloud


@pytest.fixture
def world(tenancy: Tenancy, request: pytest.FixtureRequest) -> World:
    name = f"drills of {request.path.name}"
    return tenancy.take(name, lambda cloud: in_cloud(cloud, models_of(DRILLS)))
