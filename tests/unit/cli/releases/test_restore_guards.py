"""`mainstage model restore-guards`: onto the endpoint, and into the state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli import Run, error, said
from mainstage_runtime.release_history import ROLLED_BACK
from release_world import ENDPOINT, World, configuration, refused
from sleeps import sleeps_by

from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.state import ORGANIZATION, PROJECT, State
from infra.releases import guards


def test_the_guards_come_back_under_what_serves(run: Run, world: World) -> None:
    world.serve(6, guarded=False)
    told = said(run("model", "restore-guards", "iris"))
    assert told == (
        f"{ENDPOINT}: version 6 is deployed once more, under the guards\n"
        "Next: release what the catalog asks for: mainstage up --env dev\n"
    )
    sent = world.done("update_endpoint")[0]
    assert (sent["EndpointConfigName"], sent["RetainAllVariantProperties"]) == (configuration(6), True)
    assert sent["DeploymentConfig"]["AutoRollbackConfiguration"] == {
        "Alarms": [{"AlarmName": name} for name in world.alarms]
    }
    world.calls.clear()
    world.serve(6)
    told = said(run("model", "restore-guards", "iris"))
    assert told.startswith(f"{ENDPOINT}: the guards are among its rollback alarms already; nothing was changed\n")
    assert world.calls == []


def test_a_copy_is_deployed_where_sagemaker_refuses_the_live_name(run: Run, world: World) -> None:
    world.serve(6, guarded=False)
    world.refuses["update_endpoint"] = refused("ValidationException", "you must create a new EndpointConfig")
    told = said(run("model", "restore-guards", "iris"))
    copy = world.done("create_endpoint_config")[0]["EndpointConfigName"]
    assert copy.startswith(f"{ENDPOINT}-v6-")
    assert copy != configuration(6)
    assert f"version 6 is deployed once more as {copy}, a copy, under the guards" in told
    assert [each["EndpointConfigName"] for each in world.done("update_endpoint")] == [configuration(6), copy]
    event = world.written()[-1]
    assert (event.kind, event.version, event.serves) == (ROLLED_BACK, None, copy)


def lost(world: World) -> State:
    """The served rehearsal's state, where a refresh has dropped the guards."""
    state = State(world.root / "state.json", project=PROJECT, organization=ORGANIZATION)
    token = "aws:sagemaker/endpoint:Endpoint"
    urn = f"urn:pulumi:models-dev::mainstage::{token}::iris-endpoint-endpoint"
    state.save("models-dev", [ResourceState(urn, token, True, id=ENDPOINT, inputs={"name": ENDPOINT})])
    return state


def test_one_command_restores_the_state_as_well(run: Run, world: World) -> None:
    state = lost(world)
    world.serve(6, guarded=False)
    told = said(run("model", "restore-guards", "iris"))
    assert told.splitlines()[1] == "models-dev: the state had lost them, and has them again"
    state.reload()
    rollback = state.resources("models-dev")[0].inputs["deploymentConfig"]["autoRollbackConfiguration"]
    assert rollback == {"alarms": [{"alarmName": name} for name in world.alarms]}
    again = json.loads(run("model", "restore-guards", "iris", "--json").out)
    assert (again["changed"], again["at_rest"]) == (False, True)
    assert again["state"] == {"stack": "models-dev", "put_back": [], "problem": "", "command": ""}


def test_guards_that_are_live_again_are_put_into_the_state_by_the_same_command(run: Run, world: World) -> None:
    lost(world)
    world.serve(6)
    told = said(run("model", "restore-guards", "iris"))
    assert told.splitlines()[:2] == [
        f"{ENDPOINT}: the guards are among its rollback alarms already; nothing was changed",
        "models-dev: the state had lost them, and has them again",
    ]


def test_a_state_in_use_is_told_and_what_helps(run: Run, world: World) -> None:
    world.serve(6)
    with lost(world).exclusive():
        told = said(run("model", "restore-guards", "iris"))
    assert "note: models-dev: the state was not looked at: another run is using state.json" in told
    assert "1. put the guards into the state, where a refresh has dropped them: mainstage up --env dev" in told


def test_the_wait_has_an_end_and_the_same_command_goes_on(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = lost(world)
    world.serve(6, guarded=False)
    restore = guards.restore

    def restored(*given: Any) -> Any:
        done = restore(*given)
        world.bake(6)
        return done

    monkeypatch.setattr(guards, "restore", restored)
    told = said(run("model", "restore-guards", "iris", "--wait", "0"))
    assert "\n  2. then give the state its guards again: mainstage model restore-guards iris\n" in told
    state.reload()
    assert state.resources("models-dev")[0].inputs == {"name": ENDPOINT}


def test_ctrl_c_ends_the_waiting_and_nothing_else(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve(6, guarded=False)

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(guards, "arrived", stopped)
    ended = run("model", "restore-guards", "iris")
    assert ended.code == 130
    assert "the deployment goes on without this command. When it is over, the same again" in ended.out
    assert len(world.done("update_endpoint")) == 1


def test_a_deployment_that_was_taken_back_is_an_error(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost(world)
    world.serve(6, guarded=False)
    seen = [{"EndpointStatus": "Updating"}, {"EndpointStatus": "InService", "FailureReason": "an alarm fired"}]
    restore = guards.restore

    def restored(*given: Any) -> Any:
        done = restore(*given)
        world.serve(6, guarded=False, status="Updating")
        return done

    def next_seen(_seconds: float) -> None:
        assert world.endpoint is not None
        world.endpoint |= seen.pop(0)

    monkeypatch.setattr(guards, "restore", restored)
    sleeps_by(monkeypatch, guards, next_seen)
    assert error(run("model", "restore-guards", "iris")) == (
        f"{ENDPOINT} is InService and has no guards: the deployment was taken back or failed: an alarm fired. "
        "See mainstage model status iris"
    )


def test_guards_are_not_restored_during_a_deployment(run: Run, world: World) -> None:
    world.serve(6, guarded=False)
    world.bake(7)
    assert error(run("model", "restore-guards", "iris")) == (
        f"{ENDPOINT} is Updating: wait until it is done (mainstage model status iris --watch), then again"
    )
    assert world.calls == []
