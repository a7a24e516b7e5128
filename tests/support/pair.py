"""Two models whose releases go on at the same time, so that one `up` shows both faces of the provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.drills import minute
from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.stage import Stage
from infra.rehearsal.drills.world import OBSERVER, World

SEEN, MISSED = "face-seen", "face-missed"


class Pair(Stage):
    """The stage of the first model; minutes pass for both. `other` is the second one's."""

    def __init__(self, world: World, model: str, other: Stage):
        super().__init__(world, model)
        self.other = other
        self._last = 1

    @property
    def stages(self) -> tuple[Stage, Stage]:
        return self, self.other

    def minute(self) -> None:
        self.other.answers += minute.send(self.world, self.other.model, self.other.requests)
        super().minute()

    def waits(self) -> bool:
        return super().waits() or self.other.waits()

    def at_rest(self) -> bool:
        return super().at_rest() and self.other.at_rest()

    def rings(self) -> bool:
        return super().rings() or self.other.rings()

    def next_version(self, *stages: Stage, behaviour: Behaviour | None = None) -> int:
        """Registers a version that nobody has used and asks for it in the stages' files. Returns its number."""
        self._last += 1
        for stage in stages:
            stage.register(self._last, behaviour)
            stage.ask_for(self._last, keep=(serving_version(stage),))
        return self._last


def serving_version(stage: Stage) -> int:
    """The version that a stage's endpoint serves, by its configuration's name."""
    return int(stage.serving.removeprefix(f"{stage.endpoint}-v").partition("-")[0])


@contextmanager
def no_poll_meets_a_rollback_of(stage: Stage) -> Iterator[None]:
    """While the block runs, the provider's polls of the stage's endpoint are so far apart that it finds it at rest."""

    def waits(call: Call) -> bool:
        if of_who_runs_up(call) and call.params.get("EndpointName") == stage.endpoint:
            while not Stage.at_rest(stage):
                time.sleep(0.01)
        return False

    never = AwsError("never", "no call meets it", 500)
    fault = stage.world.cloud.faults.add("sagemaker", "DescribeEndpoint", never, match=waits)
    try:
        yield
    finally:
        fault.remove()


def of_who_runs_up(call: Call) -> bool:
    """Whether a call comes from the credentials that `up` runs with; who looks on has others."""
    return call.principal.kind == "operator" and call.principal.arn != OBSERVER
