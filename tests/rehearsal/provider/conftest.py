"""A configured provider on an empty cloud, and things for resources to refer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from provider_driver import Driver, configured
from provider_world import World

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


@pytest.fixture
def engine(cloud: Cloud) -> Driver:
    """A configured provider on an empty cloud."""
    return configured(cloud)


@pytest.fixture
def world(engine: Driver, cloud: Cloud) -> World:
    """Makes what a resource refers to, on demand."""
    return World(engine, cloud)


@pytest.fixture
def configure(cloud: Cloud) -> Callable[..., Driver]:
    """Configures a provider with given arguments."""
    return lambda **arguments: configured(cloud, **arguments)
