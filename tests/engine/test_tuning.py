"""The remedies of infra/tuning.py over the real engine: the same graph with and without."""

from __future__ import annotations

from dataclasses import replace

from engine_world import MODELS, EngineWorld

from infra.tuning import apply

TUNED = {"MAINSTAGE_TUNE_WAIT": "1", "MAINSTAGE_TUNE_DEBUG": "1"}


def test_a_tuned_program_asks_for_the_same(standing: EngineWorld) -> None:
    remedies = apply(TUNED)
    try:
        assert [remedy.applied for remedy in remedies] == [True] * 3
    finally:
        for remedy in reversed(remedies):
            remedy.undo()
    replace(standing.cli, more=TUNED).preview(MODELS, "--expect-no-changes")
