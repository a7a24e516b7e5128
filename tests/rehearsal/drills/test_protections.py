"""A drill is about its protection: without it, it fails, and says which promise was not kept."""

from __future__ import annotations

import pytest

from infra.rehearsal.drills.drill import Drill
from infra.rehearsal.drills.run import DRILLS, play
from infra.rehearsal.drills.world import World

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_broken_without_its_protection(drill: Drill, world: World):
    outcome = play(drill, world, protected=False)
    assert not outcome.kept, f"nothing was wrong without: {drill.protection.what}"
    # A drill that breaks by itself would fail for any reason: this one has to say which promise was not kept.
    assert not outcome.broke, outcome.problem
