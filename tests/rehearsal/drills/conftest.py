"""The drills' world: dev's platform with a place for the models of every drill. Built once for each test process."""

from __future__ import annotations

import pytest
from tenancy import Tenancy

from infra.rehearsal.drills.run import DRILLS, models_of
from infra.rehearsal.drills.world import World, in_cloud


@pytest.fixture
def world(tenancy: Tenancy) -> World:
    return tenancy.take("drills", lambda cloud: in_cloud(cloud, models_of(DRILLS)))
