"""Refresh makes the state true; destroy deletes what may be deleted."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.rehearsal.engine import Result, RunFailed


def opts(**options: Any) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(**options)


def message(result: Result) -> str:
    assert isinstance(result.error, RunFailed), result.error
    return result.error.failures[0].message


def chain(world: Any) -> Any:
    def body():
        first = world.Thing("first", color="red")
        second = world.Thing("second", other=first.arn)
        world.Thing("third", other=second.arn)

    return body


def test_refresh_finds_what_changed_and_what_is_gone(world):
    world.up(chain(world)).check()
    assert world.engine.refresh("dev").check().changes == {
        "create": 0,
        "update": 0,
        "replace": 0,
        "delete": 0,
        "same": 4,
    }
    world.provider.live["id-1"]["color"] = "green"
    del world.provider.live["id-2"]
    result = world.engine.refresh("dev").check()
    assert (result.changes["update"], result.changes["delete"], result.changes["same"]) == (1, 1, 2)
    assert result.named("first").inputs["color"] == "green"
    assert result.ops()[world.urn("second")] == "delete"
    # Nothing needs what is gone any more.
    third = world.engine.state.resources("dev")[-1]
    assert (third.dependencies, third.property_dependencies) == ((), {})


def test_up_puts_right_what_a_refresh_found(world):
    world.up(chain(world)).check()
    world.provider.live["id-1"]["color"] = "green"
    del world.provider.live["id-3"]
    result = world.up(chain(world)).check()
    assert result.changes == {"create": 1, "update": 1, "replace": 0, "delete": 0, "same": 2, "refresh": 2}
    assert world.provider.live["id-1"]["color"] == "red"


def test_a_preview_with_refresh_changes_no_state(world):
    world.up(chain(world)).check()
    before = world.engine.state.resources("dev")
    world.provider.live["id-1"]["color"] = "green"
    assert world.preview(chain(world)).check().changes["update"] == 1
    assert world.preview(chain(world), refresh=False).check().changes["update"] == 0
    assert world.engine.state.resources("dev") == before


def test_a_read_that_fails_fails_the_run_before_the_program_starts(world):
    def broken() -> None:
        raise RuntimeError("throttled")

    world.up(chain(world)).check()
    world.provider.before["read", "first"] = broken
    ran = []
    result = world.up(lambda: ran.append(1))
    assert message(result) == "RuntimeError: throttled"
    assert ran == []
    assert len(world.engine.state.resources("dev")) == 5
    assert message(world.engine.refresh("dev")) == "RuntimeError: throttled"


def test_a_resource_found_unhealthy_is_a_warning_and_is_remembered(world):
    def sick() -> None:
        parts = {"id": "id-1", "properties": {"arn": "x"}, "inputs": {"color": "red"}, "reasons": ["it is down"]}
        raise type("Half", (Exception,), parts)

    world.up(lambda: world.Thing("first", color="red")).check()
    world.provider.before["read", "first"] = sick
    result = world.engine.refresh("dev").check()
    assert [line.message for line in result.logs] == ["Refreshed resource is in an unhealthy state:\n* it is down"]
    assert world.engine.state.resources("dev")[-1].init_errors == ("it is down",)


def test_destroy_deletes_in_reverse_order_of_need(world):
    world.up(chain(world)).check()
    result = world.engine.destroy("dev").check()
    assert [name for _, name in world.provider.ops("delete")] == ["third", "second", "first"]
    assert result.changes["delete"] == 4
    assert world.engine.destroy("dev").check().changes["delete"] == 0


def protected(world: Any) -> Any:
    def body():
        needed = world.Thing("needed")
        world.Thing("kept", opts(protect=True), other=needed.arn)
        world.Thing("loose", other=needed.arn)

    return body


def test_destroy_fails_for_what_is_protected_after_deleting_the_rest(world):
    world.up(protected(world)).check()
    result = world.engine.destroy("dev")
    assert message(result).startswith(f'resource "{world.urn("kept")}" cannot be deleted')
    assert [name for _, name in world.provider.ops("delete")] == ["loose"]
    assert len(world.provider.live) == 2


def test_destroy_may_pass_over_what_is_protected(world):
    world.up(protected(world)).check()
    world.engine.destroy("dev", exclude_protected=True).check()
    names = [item.name for item in world.engine.state.resources("dev")]
    assert names == ["mainstage-dev", "default", "needed", "kept"]
    assert world.up(protected(world)).check().changes["create"] == 1


def test_a_deletion_that_fails_stops_what_it_needs_from_going(world):
    def refuse() -> None:
        raise RuntimeError("in use")

    world.up(chain(world)).check()
    world.provider.before["delete", "second"] = refuse
    result = world.engine.destroy("dev")
    assert message(result) == "RuntimeError: in use"
    assert [item.name for item in world.engine.state.resources("dev") if "Thing" in item.type] == ["first", "second"]
    world.provider.before.clear()
    world.engine.destroy("dev").check()
    assert world.provider.live == {}


def test_other_stacks_are_left_alone(world):
    world.engine.up("dev", chain(world), {}).check()
    world.engine.up("prod", lambda: world.Thing("other", name="other"), {}).check()
    world.engine.destroy("dev").check()
    assert world.engine.state.stacks() == ["prod"]
    assert [thing["name"] for thing in world.provider.live.values()] == ["other"]
