"""A second run finds nothing to do."""

from __future__ import annotations

import pytest
from engine_world import MODELS, PLATFORM, EngineWorld


@pytest.mark.parametrize("stack", [PLATFORM, MODELS])
def test_a_second_run_is_quiet(standing: EngineWorld, stack: str) -> None:
    standing.cli.preview(stack, "--expect-no-changes")
