"""A second run finds nothing to do, tuned (infra/tuning.py) or not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_world import MODELS, PLATFORM, EngineWorld

from infra.tuning import apply

TUNED = {"MAINSTAGE_TUNE_WAIT": "1", "MAINSTAGE_TUNE_DEBUG": "1"}


def test_a_second_run_of_the_platform_is_quiet(standing: EngineWorld) -> None:
    standing.cli.preview(PLATFORM, "--expect-no-changes")


@pytest.mark.parametrize("more", [{}, TUNED])
def test_a_second_run_of_the_models_is_quiet(standing: EngineWorld, more: dict[str, str]) -> None:
    if more:
        remedies = apply(more)  # else "tuned" would say nothing
        assert [remedy.applied for remedy in remedies] == [True] * 3
        for remedy in reversed(remedies):
            remedy.undo()
    replace(standing.cli, more=more).preview(MODELS, "--expect-no-changes")
