"""The release hooks' waits in the emulated cloud's time: a minute that a drill lets pass is a minute for them too.

Only for the engine of this process. A real `pulumi` runs them in a process of its own, by the machine's clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from infra.rehearsal.drills.protections import replaced

if TYPE_CHECKING:
    from infra.rehearsal.cloud.clock import Clock

LONGEST_PAUSE_SECONDS = 0.25
"""Of real time: a hook looks again then, also when no minute has passed."""
LOOK_SECONDS = 0.02


@contextmanager
def hooks_wait_for(clock: Clock) -> Iterator[None]:
    """While the block runs the hooks' clock is this one."""
    import_module("mainstage.sagemaker_endpoint")  # which has the name too

    def made(_: Any) -> Any:
        from mainstage._release_run import ReleaseRun
        from mainstage.release_hooks import ambient

        def run_of(plan: Any) -> ReleaseRun:
            return ReleaseRun(
                plan,
                session=ambient(plan.region),
                sleep=lambda seconds: _pause(clock, seconds),
                clock=lambda: _at(clock),
            )

        return run_of

    with replaced("mainstage.release_hooks:run_of", made):
        yield


def _at(clock: Clock) -> float:
    return clock.now().timestamp()


def _pause(clock: Clock, seconds: float) -> None:
    end, real_end = _at(clock) + seconds, time.monotonic() + LONGEST_PAUSE_SECONDS
    while _at(clock) < end and time.monotonic() < real_end:
        time.sleep(LOOK_SECONDS)
