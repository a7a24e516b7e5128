"""An HTTP API with one route to a function whose process is stood in for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gateway_world import Function, World, make_function

from infra.rehearsal.cloud import overlay

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


@pytest.fixture
def empty(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> World:
    """The function, and no API yet."""
    overlay.find("lambda", "Invoke")  # loads the table
    function = Function()
    monkeypatch.setitem(overlay._handlers, ("lambda", "Invoke"), function.invoke)
    make_function(cloud)
    return World(cloud, function)


@pytest.fixture
def world(empty: World) -> World:
    """An API that is open to everybody, deployed at the root."""
    empty.open_api()
    empty.allow_gateway()
    empty.route()
    empty.stage()
    return empty
