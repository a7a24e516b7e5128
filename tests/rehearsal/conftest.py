"""Fixtures of tests that look at a served rehearsal from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Served, checkout, serving


@pytest.fixture(scope="module")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def served(new_checkout: Callable[[], Path]) -> Iterator[Served]:
    """dev, with the models layer up and forty predictions answered."""
    with serving(new_checkout()) as found:
        yield found
