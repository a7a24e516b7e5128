"""`mainstage model abort`: a release in its bake is taken back."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

from typing import Any

import pytest
from cli import TARGET, Run, error, said
from release_world import ENDPOINT, OPERATOR, World, refused

from infra.releases import abort as aborting
from infra.releases.words import ReleaseError


def test_an_abort_raises_the_stop_alarm_of_the_release_under_way(run: Run, world: World) -> None:
    world.serve(6)
    world.bake(7)
    told = said(run("model", "abort", "iris", "--wait", "0", "--reason", "wrong answers"))
    assert world.calls == [
        (
            "set_alarm_state",
            {
                "AlarmName": f"{ENDPOINT}-guard-stop",
                "StateValue": "ALARM",
                "StateReason": f"wrong answers; by {OPERATOR} with mainstage model abort",
            },
        )
    ]
    assert told == (
        f"{ENDPOINT}: {ENDPOINT}-guard-stop is raised; SageMaker was not yet seen taking the release of version 7 back; "
        "version 6 serves\nNext:\n  1. see it arrive: mainstage model status iris --watch\n"
        "  2. ask for what serves: mainstage model rollback iris\n"
    )


def test_a_long_reason_does_not_hide_who_stopped_it(run: Run, world: World) -> None:
    world.serve(6)
    world.bake(7)
    said(run("model", "abort", "iris", "--wait", "0", "--reason", "why " * 500))
    told = world.done("set_alarm_state")[0]["StateReason"]
    assert len(told) == aborting.LONGEST_REASON
    assert told.endswith(f"; by {OPERATOR} with mainstage model abort")


def test_an_abort_raises_the_alarm_until_the_rollback_is_seen(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(6)
    world.bake(7)
    assert world.endpoint is not None

    def sleep(seconds: float) -> None:
        if len(world.done("set_alarm_state")) == 3:
            world.serve(6, status="RollingBack")

    aborted = aborting.abort(TARGET, "iris", sleep=sleep)
    assert (aborted.seen, aborted.version, len(world.done("set_alarm_state"))) == (True, 7, 3)
    world.bake(7)
    world.endpoint["EndpointStatus"] = "RollingBack"
    again = aborting.abort(TARGET, "iris", sleep=sleep)
    assert (again.raised, again.seen, len(world.done("set_alarm_state"))) == (False, True, 3)


def test_a_look_that_is_throttled_does_not_end_an_abort(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(6)
    world.bake(7)
    looks = 0

    def describe_endpoint(EndpointName: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise refused("ThrottlingException", "Rate exceeded", "DescribeEndpoint")
        if looks == 3:
            world.serve(6, status="RollingBack")
        return World.describe_endpoint(world, EndpointName)

    monkeypatch.setattr(world, "describe_endpoint", describe_endpoint)
    assert aborting.abort(TARGET, "iris", sleep=lambda seconds: None).seen


def test_an_abort_that_comes_too_late_says_so(world: World, run: Run) -> None:
    world.serve(6)
    world.bake(7)
    with pytest.raises(ReleaseError) as caught:
        aborting.abort(TARGET, "iris", sleep=lambda seconds: world.serve(7))
    assert str(caught.value) == (
        f"{ENDPOINT}: too late, version 7 came into service before SageMaker looked at the stop alarm. To go back: "
        "mainstage model rollback iris --now"
    )


def test_there_is_nothing_to_abort(run: Run, world: World) -> None:
    assert error(run("model", "abort", "iris")) == f"iris has no endpoint in {TARGET}: nothing serves there yet"
    world.serve(6)
    assert error(run("model", "abort", "iris")) == (
        f"{ENDPOINT} is InService and version 6 serves: nothing is being released, so there is nothing to abort. To go back "
        "to the version before: mainstage model rollback iris --now"
    )
    world.serve(6, status="Creating")
    assert error(run("model", "abort", "iris")) == (
        f"{ENDPOINT} is being created: its first release has nothing to go back to, and no alarm ends it. When it does not "
        "come up, the next up starts anew"
    )
    world.serve(6, guarded=False)
    world.bake(7)
    assert error(run("model", "abort", "iris")) == (
        f"{ENDPOINT}: the update under way was made without our rollback alarms, so no alarm ends it; wait until it is done "
        "(mainstage model status iris), then: mainstage model restore-guards iris"
    )
    assert world.calls == []
