"""Create, leave alone, update, replace, delete: what is done, in which order, and what the program is told."""

from __future__ import annotations

import threading
from typing import Any

import pulumi
import pytest

from infra.rehearsal.engine import UNKNOWN, RunFailed, Step


def opts(**options: Any) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(**options)


def test_first_up_creates_and_the_second_leaves_all_alone(world):
    def program():
        group = world.Group("g", count=2, color="red")
        pulumi.export("arn", group.things[0].arn)
        pulumi.export("serials", pulumi.Output.all(*(thing.serial for thing in group.things)).apply(sorted))

    first = world.up(program).check()
    assert first.changes == {"create": 4, "update": 0, "replace": 0, "delete": 0, "same": 0}
    assert first.outputs["serials"] == [1, 2]
    assert next(item.urn for item in first.resources) == "urn:pulumi:dev::mainstage::test:index:Group::g"
    child = first.one("test:index:Thing", "g-0")
    assert child.urn == "urn:pulumi:dev::mainstage::test:index:Group$test:index:Thing::g-0"
    assert child.parent == first.resources[0].urn
    assert first.outputs["arn"] == child.outputs["arn"] == f"arn:test:{child.outputs['name']}"
    assert first.resources[0].outputs == {"first": child.outputs["arn"]}

    second = world.up(program).check()
    assert second.changes == {"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 4}
    assert second.outputs == first.outputs
    assert len(world.provider.live) == 2


def test_what_a_preview_would_do_is_what_up_does(world):
    def program(color):
        def body():
            first = world.Thing("first", color=color)
            world.Thing("second", color="blue", other=first.arn)
            pulumi.export("arn", first.arn)

        return body

    before = world.preview(program("red")).check()
    assert before.changes["create"] == 3
    assert before.outputs == {"arn": UNKNOWN}
    assert before.named("first").id == ""
    assert before.named("second").inputs == {"color": "blue", "other": UNKNOWN}
    assert world.provider.live == {}
    assert world.engine.state.resources("dev") == ()
    world.up(program("red")).check()

    change = world.preview(program("green")).check()
    assert (change.changes["update"], change.changes["same"]) == (1, 2)
    assert change.outputs["arn"] == world.engine.state.outputs("dev")["arn"]
    assert {thing["color"] for thing in world.provider.live.values()} == {"red", "blue"}


def test_applies_on_unknowns_do_not_run_in_a_preview(world):
    ran = []

    def program():
        thing = world.Thing("first")
        thing.arn.apply(ran.append)
        thing.id.apply(ran.append)
        pulumi.Output.from_input("known").apply(ran.append)

    world.preview(program).check()
    assert ran == ["known"]
    world.up(program).check()
    assert len(ran) == 4


def test_outputs_that_an_update_may_change_are_unknown_in_its_preview(world):
    def program(color):
        def body():
            pulumi.export("serial", world.Thing("first", color=color).serial)
            pulumi.export("arn", world.Thing("second", color="red").arn)

        return body

    world.up(program("red")).check()
    preview = world.preview(program("green")).check()
    assert preview.outputs["serial"] is UNKNOWN
    assert preview.outputs["arn"] is not UNKNOWN


def test_a_provider_without_preview_leaves_everything_of_a_create_unknown(make_world):
    world = make_world()
    world.provider.supports_preview = False

    def program():
        thing = world.Thing("first", color="red")
        pulumi.export("color", thing.color)  # pyright: ignore[reportAttributeAccessIssue] (set from the properties)

    assert world.preview(program).check().outputs == {"color": UNKNOWN}


def test_update_in_place_tells_old_and_new(world):
    world.up(lambda: world.Thing("first", color="red", size=1)).check()
    result = world.up(lambda: world.Thing("first", color="green", size=1)).check()
    assert result.steps[-1] == Step("update", world.urn("first"), ("color",), ())
    request = world.provider.requests["update", "first"]
    assert request.old_inputs["color"] == "red"
    assert request.news["color"] == "green"
    assert request.id == "id-1"
    assert result.named("first").id == "id-1"


def test_a_replacement_is_created_before_the_old_one_goes(world):
    def program(zone):
        def body():
            first = world.Thing("first", zone=zone)
            world.Thing("second", other=first.arn)

        return body

    world.up(program("a")).check()
    world.provider.calls.clear()
    result = world.up(program("b"), refresh=False).check()
    assert world.provider.ops("create", "update", "delete") == [
        ("create", "first"),
        ("update", "second"),
        ("delete", "first"),
    ]
    assert result.changes == {"create": 0, "update": 1, "replace": 1, "delete": 0, "same": 1}
    assert [step.op for step in result.steps if step.urn == world.urn("first")] == [
        "create-replacement",
        "delete-replaced",
    ]
    # A name that was made up is made up anew, or the two would collide.
    names = {thing["name"] for thing in world.provider.live.values()}
    assert result.named("first").outputs["name"] in names
    assert len(world.provider.live) == 2


def test_a_replacement_that_can_not_stand_beside_the_old_one_takes_its_dependents_along(world):
    def program(zone):
        def body():
            root = world.Thing("root", kind="test:index:Single", zone=zone, name="root")
            replaced = world.Thing("replaced", zone=root.arn, name="replaced")
            world.Thing("further", zone=replaced.arn, name="further")
            world.Thing("updated", other=root.arn, name="updated")

        return body

    world.up(program("a")).check()
    world.provider.calls.clear()
    result = world.up(program("b"), refresh=False).check()
    calls = world.provider.ops("create", "update", "delete")
    assert calls[:4] == [("delete", "further"), ("delete", "replaced"), ("delete", "root"), ("create", "root")]
    assert sorted(calls[4:]) == [("create", "further"), ("create", "replaced")]
    assert result.changes == {"create": 0, "update": 0, "replace": 3, "delete": 0, "same": 2}
    assert len(world.provider.live) == 4


def test_delete_before_replace_as_the_program_says_wins_over_the_provider(world):
    def program(zone):
        def body():
            world.Thing("first", opts(delete_before_replace=True), zone=zone)
            world.Thing("single", opts(delete_before_replace=False), kind="test:index:Single", zone=zone)

        return body

    world.up(program("a")).check()
    world.provider.calls.clear()
    world.up(program("b"), refresh=False).check()
    calls = world.provider.ops("create", "delete")
    assert calls.index(("delete", "first")) < calls.index(("create", "first"))
    assert calls.index(("create", "single")) < calls.index(("delete", "single"))


@pytest.mark.parametrize(("pattern", "op"), [("color", "replace"), ("*", "replace"), ("size", "update")])
def test_replace_on_changes(world, pattern, op):
    def program(color):
        return lambda: world.Thing("first", opts(replace_on_changes=[pattern]), color=color)

    world.up(program("red")).check()
    assert world.up(program("green")).check().changes[op] == 1


def test_a_replacement_trigger_replaces_when_it_changes(world):
    def program(trigger):
        return lambda: world.Thing("first", opts(replacement_trigger=trigger), color="red")

    assert world.up(program("one")).check().changes["create"] == 2
    assert world.up(program("one")).check().changes["same"] == 2
    assert world.up(program("two")).check().changes["replace"] == 1


def test_replace_with_follows_another_resource(world):
    def program(zone):
        def body():
            first = world.Thing("first", zone=zone)
            world.Thing("second", opts(replace_with=[first], depends_on=[first]), color="red")

        return body

    world.up(program("a")).check()
    assert world.up(program("b")).check().changes["replace"] == 2


def test_what_the_program_no_longer_registers_is_deleted_in_reverse_order_of_need(world):
    def all_of_it():
        first = world.Thing("first")
        second = world.Thing("second", other=first.arn)
        world.Thing("third", other=second.arn)
        world.Group("g")

    world.up(all_of_it).check()
    world.provider.calls.clear()
    result = world.up(lambda: None, refresh=False).check()
    deleted = [name for _, name in world.provider.ops("delete")]
    assert [name for name in deleted if name != "g-0"] == ["third", "second", "first"]
    assert result.changes == {"create": 0, "update": 0, "replace": 0, "delete": 5, "same": 1}
    assert world.provider.live == {}
    assert [item.type for item in world.engine.state.resources("dev")] == ["pulumi:pulumi:Stack"]


def test_independent_resources_are_created_at_the_same_time(world):
    meeting = threading.Barrier(8, timeout=30)
    for index in range(8):
        world.provider.before["create", f"thing-{index}"] = meeting.wait

    def program():
        for index in range(8):
            world.Thing(f"thing-{index}")

    assert world.up(program).check().changes["create"] == 9


def test_independent_resources_are_deleted_at_the_same_time(world):
    world.up(lambda: [world.Thing(f"thing-{index}") for index in range(8)] and None).check()
    meeting = threading.Barrier(8, timeout=30)
    for index in range(8):
        world.provider.before["delete", f"thing-{index}"] = meeting.wait
    assert world.up(lambda: None).check().changes["delete"] == 8


def test_a_provider_that_can_not_tell_is_compared_by_inputs(world):
    world.up(lambda: world.Thing("vague", color="red")).check()
    assert world.up(lambda: world.Thing("vague", color="red")).check().changes["same"] == 2
    result = world.up(lambda: world.Thing("vague", color="green")).check()
    assert result.steps[-1] == Step("update", world.urn("vague"), ("color",), ())


def test_progress_tells_start_and_end_of_each_step(world):
    world.up(lambda: world.Thing("first")).check()
    mine = [(event.kind, event.op) for event in world.events if event.urn == world.urn("first")]
    assert mine == [("start", "create"), ("done", "create")]
    assert all(event.seconds >= 0 for event in world.events)


def test_a_program_may_be_asynchronous(world):
    async def program():
        thing = world.Thing("first")
        pulumi.export("arn", thing.arn)

    assert world.up(program).check().outputs["arn"].startswith("arn:test:first-")


def test_an_engine_runs_many_programs_in_a_row_and_several_engines_at_once(make_world):
    worlds = [make_world() for _ in range(4)]
    errors: list[BaseException | None] = []

    def work(world):
        for round_ in range(5):
            errors.append(world.up(lambda round_=round_: world.Thing("first", size=round_)).error)

    threads = [threading.Thread(target=work, args=(world,)) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [None] * 20
    assert [next(iter(world.provider.live.values()))["size"] for world in worlds] == [4, 4, 4, 4]


def test_a_policy_stops_a_resource_before_it_is_made(make_world):
    def no_red(resource):
        if resource.inputs.get("color") == "red":
            yield f"{resource.name} is red"

    world = make_world(policies=(no_red,))
    result = world.up(lambda: world.Thing("first", color="red"))
    assert isinstance(result.error, RunFailed)
    assert str(result.error) == f"up failed:\n  {world.urn('first')}: first is red"
    assert world.provider.live == {}
    world.up(lambda: world.Thing("first", color="blue")).check()
