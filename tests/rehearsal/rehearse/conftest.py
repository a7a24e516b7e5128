"""One served rehearsal, which these files look at from outside one after the other.

test_rehearse.py sees it as it came up (tests/conftest.py lets it begin), test_own_models.py adds models to it, and
test_wiring.py releases past the files and comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Served, checkout, serving


@pytest.fixture(scope="package")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="package")
def served(new_checkout: Callable[[], Path]) -> Iterator[Served]:
    """dev, with the models layer up and forty predictions answered."""
    with serving(new_checkout()) as found:
        yield found
