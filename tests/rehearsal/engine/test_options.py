"""Every resource option that the engine takes, to its effect."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from infra.rehearsal.engine import Result, RunFailed, Secret


def opts(**options: Any) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(**options)


def message(result: Result) -> str:
    assert isinstance(result.error, RunFailed), result.error
    return result.error.failures[0].message


def test_protect_refuses_deletion_in_the_real_words(world):
    world.up(lambda: world.Thing("first", opts(protect=True))).check()
    urn = world.urn("first")
    text = (
        f'resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, either remove the '
        "`protect` flag from the resource in your Pulumi program and run `pulumi up`, or use the command:\n"
        f"`pulumi state unprotect '{urn}'`"
    )
    assert message(world.preview(lambda: None)) == text
    assert message(world.up(lambda: None)) == text
    assert len(world.provider.live) == 1
    world.up(lambda: world.Thing("first", opts(protect=False))).check()
    world.up(lambda: None).check()
    assert world.provider.live == {}


def test_protect_refuses_replacement_and_a_preview_still_shows_it(world):
    def program(zone, protect=True):
        return lambda: world.Thing("first", opts(protect=protect), zone=zone)

    world.up(program("a")).check()
    text = (
        f'unable to replace resource "{world.urn("first")}"\nas it is currently marked for protection. To unprotect '
        "the resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`"
    )
    preview = world.preview(program("b"))
    assert message(preview) == text
    assert preview.changes["replace"] == 1
    assert message(world.up(program("b"))) == text
    assert [thing["zone"] for thing in world.provider.live.values()] == ["a"]
    world.up(program("b", protect=False)).check()
    assert [thing["zone"] for thing in world.provider.live.values()] == ["b"]


def test_protect_of_a_dependent_refuses_a_deletion_first(world):
    def program(zone):
        def body():
            root = world.Thing("root", kind="test:index:Single", zone=zone)
            world.Thing("child", opts(protect=True), zone=root.arn)

        return body

    world.up(program("a")).check()
    assert message(world.up(program("b"))).startswith(
        f'unable to replace resource "{world.urn("child")}" as part of replacing '
        f'"{world.urn("root", "test:index:Single")}" as it is currently marked for protection.'
    )
    assert len(world.provider.live) == 2


def test_children_inherit_protection_from_a_component(world):
    result = world.up(lambda: world.Group("g", opts(protect=True))).check()
    assert result.named("g-0").options.protect is True


def test_retain_on_delete_leaves_the_thing_alone(world):
    world.up(lambda: world.Thing("first", opts(retain_on_delete=True))).check()
    assert world.up(lambda: None).check().changes["delete"] == 1
    assert len(world.provider.live) == 1
    assert [item.type for item in world.engine.state.resources("dev")] == ["pulumi:pulumi:Stack"]


def test_retain_on_delete_leaves_the_old_one_of_a_replacement(world):
    def program(zone):
        return lambda: world.Thing("first", opts(retain_on_delete=True), zone=zone)

    world.up(program("a")).check()
    world.up(program("b")).check()
    assert [thing["zone"] for thing in world.provider.live.values()] == ["a", "b"]


def test_ignored_changes_are_ignored_by_path(world):
    def program(color, count, extra):
        def body():
            ignored = opts(ignore_changes=["color", "spec.count", 'tags["a.b"]'])
            world.Thing("first", ignored, color=color, spec={"count": count, "size": extra}, tags={"a.b": color})

        return body

    world.up(program("red", 1, 1)).check()
    assert world.up(program("green", 2, 1)).check().changes["same"] == 2
    world.up(program("blue", 3, 5)).check()
    live = world.provider.live["id-1"]
    assert (live["color"], live["spec"], live["tags"]) == ("red", {"count": 1, "size": 5}, {"a.b": "red"})


def test_what_an_ignored_path_hides_survives_a_refresh(world):
    def program():
        world.Thing("first", opts(ignore_changes=["count"]), count=1)

    world.up(program).check()
    world.provider.live["id-1"]["count"] = 7  # scaled from outside
    assert world.up(program).check().changes["update"] == 0
    assert world.provider.live["id-1"]["count"] == 7


def test_what_is_ignored_inside_of_a_block_that_went_away_outside_stays_away(world):
    def program():
        world.Thing("first", opts(ignore_changes=["spec.alarms"]), spec={"size": 1, "alarms": ["a"]})

    world.up(program).check()
    del world.provider.live["id-1"]["spec"]  # somebody's update has cleared it
    result = world.up(program).check()
    assert result.changes["update"] == 1
    assert world.provider.live["id-1"]["spec"] == {"size": 1}
    assert not [line.message for line in result.logs if "cannot ignore" in line.message]


def test_a_path_that_can_not_be_ignored_is_said(world):
    def program(items):
        return lambda: world.Thing("first", opts(ignore_changes=["items[1].name"]), items=items)

    world.up(program([{"name": "a"}])).check()
    result = world.up(program([{"name": "a"}, {"name": "b"}])).check()
    text = 'cannot ignore changes in added or removed elements of the path: "items[1].name"'
    assert ("info", text) in [(line.severity, line.message) for line in result.logs]


def test_additional_secret_outputs_are_secret(world):
    def program():
        thing = world.Thing("first", opts(additional_secret_outputs=["arn"]))
        pulumi.export("arn", thing.arn)

    result = world.up(program).check()
    assert result.secret_outputs == ("arn",)
    assert result.named("first").secrets == ("arn",)


def test_custom_timeouts_reach_the_provider_in_seconds(world):
    def program(size):
        timeouts = pulumi.CustomTimeouts(create="1h30m", update="45s", delete="500ms")
        return lambda: world.Thing("first", opts(custom_timeouts=timeouts), size=size)

    result = world.up(program(1)).check()
    world.up(program(2)).check()
    world.up(lambda: None).check()
    requests = world.provider.requests
    assert requests["create", "first"].timeout == 5400
    assert requests["update", "first"].timeout == 45
    assert requests["delete", "first"].timeout == 0.5
    assert result.named("first").options.custom_timeouts == {"create": 5400.0, "update": 45.0, "delete": 0.5}


def test_a_timeout_that_is_no_duration_is_refused(world):
    def program():
        world.Thing("first", opts(custom_timeouts=pulumi.CustomTimeouts(create="soon")))

    assert str(world.up(program).error) == (
        "invalid duration 'soon': give numbers with units, for example '30m' or '1h30m'"
    )


def test_depending_on_a_component_means_its_children(world):
    def program():
        group = world.Group("g", count=2)
        world.Thing("after", opts(depends_on=[group]))

    options = world.up(program).check().named("after").options
    prefix = "urn:pulumi:dev::mainstage::test:index:Group$test:index:Thing::g-"
    assert options.depends_on == (f"{prefix}0", f"{prefix}1")
    assert options.property_dependencies == {}


def test_property_dependencies_are_kept_by_property(world):
    def program():
        first, second = world.Thing("first"), world.Thing("second")
        world.Thing("third", one=first.arn, both=pulumi.Output.concat(first.arn, second.arn), none="x")

    options = world.up(program).check().named("third").options
    first, second = world.urn("first"), world.urn("second")
    assert options.depends_on == (first, second)
    assert options.property_dependencies == {"one": (first,), "both": (first, second)}


def test_deleted_with_saves_the_call(world):
    def program():
        cluster = world.Thing("cluster")
        world.Thing("inside", opts(deleted_with=cluster))

    world.up(program).check()
    assert world.up(lambda: None).check().changes["delete"] == 2
    assert world.provider.ops("delete") == [("delete", "cluster")]


@pytest.mark.parametrize(
    "alias",
    [
        pulumi.Alias(name="before"),
        "urn:pulumi:dev::mainstage::test:index:Thing::before",
        pulumi.Alias(name="before", parent=pulumi.ROOT_STACK_RESOURCE),
    ],
)
def test_an_alias_carries_the_resource_over(world, alias):
    def before():
        first = world.Thing("before", name="n")
        world.Thing("second", other=first.arn)

    def after():
        first = world.Thing("after", opts(aliases=[alias]), name="n")
        world.Thing("second", other=first.arn)

    world.up(before).check()
    assert world.up(after).check().changes == {"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 3}
    second = world.engine.state.resources("dev")[-1]
    assert second.dependencies == (world.urn("after"),)
    assert world.up(after).check().changes["same"] == 3


def test_a_component_s_alias_carries_its_children(world):
    world.up(lambda: world.Group("old", count=2)).check()
    result = world.up(lambda: world.Group("new", opts(aliases=[pulumi.Alias(name="old")]), count=2)).check()
    assert (result.changes["same"], result.changes["create"], result.changes["delete"]) == (4, 0, 0)
    assert {item.name for item in world.engine.state.resources("dev")} >= {"new", "new-0", "new-1"}


def test_an_alias_that_another_resource_holds_is_refused(world):
    world.up(lambda: world.Thing("before", name="n")).check()

    def program():
        world.Thing("before", name="n")
        world.Thing("after", opts(aliases=[pulumi.Alias(name="before")]), name="m")

    text = message(world.up(program))
    assert text.startswith("Duplicate resource")
    assert "before" in text


def test_import_takes_over_what_is_there(world):
    world.provider.live["id-77"] = {"name": "found", "color": "red"}
    program = lambda: world.Thing("first", opts(import_="id-77"), name="found", color="red")  # noqa: E731 (run twice)
    result = world.up(program).check()
    assert result.changes == {"create": 1, "update": 0, "replace": 0, "delete": 0, "same": 0, "import": 1}
    assert result.named("first").id == "id-77"
    assert world.provider.ops("create", "update") == []
    assert world.up(program).check().changes["same"] == 2


def test_import_of_something_different_is_an_update(world):
    world.provider.live["id-77"] = {"name": "found", "color": "red"}
    world.up(lambda: world.Thing("first", opts(import_="id-77"), name="found", color="blue")).check()
    assert world.provider.live["id-77"]["color"] == "blue"
    assert world.provider.ops("create", "update") == [("update", "first")]


def test_import_of_nothing_is_refused(world):
    result = world.up(lambda: world.Thing("first", opts(import_="id-404")))
    assert message(result) == "resource 'id-404' does not exist"


def test_what_was_imported_may_not_be_replaced_while_it_says_so(world):
    world.provider.live["id-77"] = {"name": "found", "zone": "a"}
    world.up(lambda: world.Thing("first", opts(import_="id-77"), name="found", zone="a")).check()
    result = world.up(lambda: world.Thing("first", opts(import_="id-77"), name="found", zone="b"))
    assert message(result) == (
        "previously-imported resources that still specify an ID may not be replaced; please remove the `import` "
        "declaration from your program;\nzone: a => b"
    )


@pytest.mark.parametrize("accepts", [True, False])
def test_secret_inputs_stay_secret_whether_the_provider_takes_them_or_not(world, accepts):
    world.provider.accept_secrets = accepts

    def program():
        thing = world.Thing("first", token=pulumi.Output.secret("s3cret"), deep={"key": pulumi.Output.secret("x")})
        pulumi.export("token", thing.token)  # pyright: ignore[reportAttributeAccessIssue] (set from the properties)

    result = world.up(program).check()
    sent = world.provider.requests["create", "first"].properties
    assert (sent["token"] == "s3cret") is not accepts
    assert result.secret_outputs == ("token",)
    assert result.outputs == {"token": "s3cret"}
    state = world.engine.state.resources("dev")[-1]
    assert state.inputs["token"] == state.outputs["token"] == Secret("s3cret")
    assert result.named("first").secrets == ("deep.key", "token")


def test_remote_components_are_refused_clearly(world):
    def program():
        pulumi.ComponentResource("other:index:Remote", "r", {}, None, remote=True)

    assert str(world.up(program).error) == (
        "other:index:Remote 'r' is a remote component, which only its own provider can construct: a rehearsal runs "
        "components that are Python classes of this program"
    )
