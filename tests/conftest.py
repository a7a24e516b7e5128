"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from infra import tuning

if TYPE_CHECKING:
    from tenancy import Tenancy
    from xdist.scheduler import LoadFileScheduling

    from infra.rehearsal.cloud.cloud import Cloud

SLOW = (
    "tests/rehearsal/drills/",
    "tests/engine/standing/",
    "tests/engine/releases/",
    "tests/engine/test_environments",
    "tests/rehearsal/rehearse/test_rehearse",
    "tests/rehearsal/rehearse/",
    "tests/engine/",
    "tests/rehearsal/front_door",
    "tests/rehearsal/permissions",
    "tests/rehearsal/signatures",
    "tests/rehearsal/",
    "tests/components/test_laws",
    "tests/unit/layers/",
)
"""Folders that begin first, in this order, so that no worker is left alone with a long one at the end."""

TOGETHER = (
    "tests/engine/standing/",
    "tests/engine/releases/",
    "tests/rehearsal/rehearse/",
    "tests/rehearsal/front_door/",
    "tests/rehearsal/permissions/",
)
"""Folders whose files share an environment: each goes to one worker as a whole."""

MANY_OBJECTS = 100_000
"""So many that may be garbage are looked through and put aside: a failed run looks at all the rest."""

ACCOUNT_ID = "111111111111"
REGION = "eu-west-1"

# A worker holds half a million objects that live to its end: collecting garbage as often as Python does by default is
# half of its time.
tuning.raise_gc_threshold()

# Every core has a worker already; threads that wait for a core by spinning take it from the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How fast the machine is decides no test.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One emulated cloud a test process (moto's backends are process-wide)."""
    from infra.rehearsal.cloud.cloud import Cloud

    with Cloud(account_id=ACCOUNT_ID, region=REGION, directory=tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def tenancy(shared_cloud: Cloud) -> Iterator[Tenancy]:
    """The process's cloud, for environments that more than one file of tests looks at."""
    from tenancy import Tenancy

    found = Tenancy(shared_cloud)
    yield found
    found.empty()


@pytest.fixture
def cloud(tenancy: Tenancy) -> Cloud:
    """The emulated cloud, empty."""
    return tenancy.empty()


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((at for at, folder in enumerate(SLOW) if item.nodeid.startswith(folder)), len(SLOW))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported is no garbage: a look at all objects need not look at these
    atexit.register(gc.unfreeze)  # or extension modules complain of leaks; pytest's own look at the end is over then


@pytest.fixture(scope="module", autouse=True)
def _what_files_before_left_is_no_garbage() -> None:
    """Models of AWS's services and the like are read by whoever needs them first, and live to the end."""
    if len(gc.get_objects()) > MANY_OBJECTS:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    from xdist.scheduler import LoadFileScheduling

    class ByFolder(LoadFileScheduling):
        """A file is one worker's, and so is a folder of TOGETHER."""

        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))

    return ByFolder(config, log)
