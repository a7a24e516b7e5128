"""Drills by the real `pulumi` that show what no other test of it does. All of them: `make drills ENGINE=pulumi`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import pytest
from tenancy import Tenancy

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.drills.drill import PULUMI
from infra.rehearsal.drills.run import named, play
from infra.rehearsal.drills.world import World, in_cloud

UNAPPROVED = (
    "model unapproved version 2 is not released: nobody has approved it; "
    "next: somebody else than who pushed it runs: mainstage model approve unapproved 2"
)
TOLD: Mapping[str, Sequence[str]] = {
    # A hook before a creation, of the Model.
    "unapproved": [
        "up ended 0",
        f"up ended with an error: {UNAPPROVED}",
        f"the next up ended with an error: {UNAPPROVED}",
    ],
    # A hook of a creation that failed.
    "first-release": [
        "up ended with an error: model first-release version 1 never came up on endpoint dev-first-release; "
        "serves now: nothing; reason: the endpoint is Failed: The primary container for production variant stable did "
        "not pass the ping health check.",
        "up ended 0",
        "the next up ended 0",
    ],
}
"""Drill -> how what its timeline tells of each `up` begins: the hooks' words, whatever the CLI puts around them."""


@pytest.fixture
def world(tenancy: Tenancy) -> World:
    def move_in(cloud: Cloud) -> AbstractContextManager[World]:
        return in_cloud(cloud, list(TOLD), real_engine=True)

    return tenancy.take("engine-drills", move_in)


@pytest.mark.parametrize("name", TOLD)
def test_kept_by_the_real_pulumi(name: str, world: World) -> None:
    [drill] = named([name])
    outcome = play(drill, world)
    assert (outcome.problem, outcome.kept, outcome.engine) == ("", True, PULUMI)
    told = [mark.text for mark in outcome.timeline.marks if mark.kind == "told"]
    assert [text[: len(begins)] for text, begins in zip(told, TOLD[name], strict=True)] == TOLD[name]
