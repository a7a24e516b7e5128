"""A configured provider with default tags on an empty cloud, and where things are looked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from provider_driver import ACCOUNT_ID, REGION, Driver, configured
from provider_world import World

from infra.recover.finding import Place
from infra.registry.target import Target

if TYPE_CHECKING:
    from tenancy import Tenancy

    from infra.rehearsal.cloud.cloud import Cloud

DEFAULT_TAGS = {
    "mainstage:environment": "dev",
    "mainstage:layer": "platform",
    "mainstage:managed-by": "pulumi",
}


@pytest.fixture
def default_tags() -> dict[str, str]:
    return dict(DEFAULT_TAGS)


@pytest.fixture
def engine(cloud: Cloud) -> Driver:
    return configured(cloud, defaultTags=json.dumps({"tags": DEFAULT_TAGS}))


@pytest.fixture
def world(engine: Driver, cloud: Cloud) -> World:
    return World(engine, cloud)


@pytest.fixture
def shared(tenancy: Tenancy) -> World:
    """One world for tests that only add to it."""

    @contextmanager
    def move_in(cloud: Cloud) -> Iterator[World]:
        yield World(configured(cloud, defaultTags=json.dumps({"tags": DEFAULT_TAGS})), cloud)

    return tenancy.take("recover", move_in)


@pytest.fixture
def place_of_shared(shared: World) -> Place:
    return Place(shared.cloud.client, ACCOUNT_ID, REGION)


@pytest.fixture
def place(cloud: Cloud) -> Place:
    return Place(cloud.client, ACCOUNT_ID, REGION)


@pytest.fixture
def target(cloud: Cloud) -> Target:
    """Reaches the test's own cloud without a socket."""

    class Here(Target):
        def client(self, service: str) -> object:
            return cloud.client(service)

    return Here("dev", ACCOUNT_ID, REGION, "http://in-process")
