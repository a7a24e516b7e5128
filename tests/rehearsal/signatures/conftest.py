"""Each file here rehearses an environment with models of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rehearsed import Rehearsed


@pytest.fixture(autouse=True)
def no_faults_left(rehearsed: Rehearsed) -> Iterator[None]:
    yield
    rehearsed.cloud.faults.clear()
