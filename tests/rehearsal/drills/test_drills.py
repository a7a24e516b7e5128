"""Every drill keeps its promise."""

from __future__ import annotations

import pytest

from infra.rehearsal.drills.drill import Drill
from infra.rehearsal.drills.run import DRILLS, play
from infra.rehearsal.drills.world import World

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_kept(drill: Drill, world: World):
    outcome = play(drill, world)
    assert (outcome.problem, outcome.kept) == ("", True)
    assert outcome.timeline.minutes
