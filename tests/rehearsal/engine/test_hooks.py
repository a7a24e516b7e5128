"""Hooks are called when the real engine calls them, with what it gives them, and fail what they fail there."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.resource_hooks import ErrorHook, ResourceHook, ResourceHookBinding, ResourceHookOptions

from infra.rehearsal.engine import RunFailed

MOMENTS = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete")


def binding(seen: list[Any], **options: Any) -> ResourceHookBinding:
    """A hook for every moment, which notes that it was called and with what."""

    def hook(moment: str) -> ResourceHook:
        def call(args: Any) -> None:
            given = {
                name: dict(value)
                for name in ("old_inputs", "new_inputs", "old_outputs", "new_outputs")
                if (value := getattr(args, name)) is not None
            }
            seen.append((moment, args.urn, args.id, given))

        return ResourceHook(f"note-{moment}", call, ResourceHookOptions(**options) if options else None)

    hooks: dict[str, Any] = {moment: [hook(moment)] for moment in MOMENTS}
    return ResourceHookBinding(**hooks)


def failing(moment: str, message: str, **options: Any) -> ResourceHookBinding:
    def call(args: Any) -> None:
        raise RuntimeError(message)

    hook = ResourceHook(f"fail-{moment}", call, ResourceHookOptions(**options) if options else None)
    hooks: dict[str, Any] = {moment: [hook]}
    return ResourceHookBinding(**hooks)


def hooked(world: Any, hooks: ResourceHookBinding, **props: Any) -> Any:
    return world.Thing("first", pulumi.ResourceOptions(hooks=hooks), **props)


def test_each_moment_of_a_resource_s_life(world):
    seen: list[Any] = []
    world.up(lambda: hooked(world, binding(seen), color="red", name="n")).check()
    urn = world.urn("first")
    red = {"color": "red", "name": "n"}
    red_out = {**red, "arn": "arn:test:n", "serial": 1}
    assert seen == [
        ("before_create", urn, "", {"new_inputs": red}),
        ("after_create", urn, "id-1", {"new_inputs": red, "new_outputs": red_out}),
    ]
    seen.clear()
    world.up(lambda: hooked(world, binding(seen), color="green", name="n")).check()
    green, green_out = {**red, "color": "green"}, {**red_out, "color": "green"}
    assert seen == [
        ("before_update", urn, "id-1", {"old_inputs": red, "new_inputs": green, "old_outputs": red_out}),
        (
            "after_update",
            urn,
            "id-1",
            {"old_inputs": red, "new_inputs": green, "old_outputs": red_out, "new_outputs": green_out},
        ),
    ]
    seen.clear()
    world.up(lambda: hooked(world, binding(seen), color="green", name="n")).check()
    assert seen == []

    def without():
        binding(seen)  # a program registers the hooks of what it lets go of

    world.up(without).check()
    assert seen == [
        ("before_delete", urn, "id-1", {"old_inputs": green, "old_outputs": green_out}),
        ("after_delete", urn, "id-1", {"old_inputs": green, "old_outputs": green_out}),
    ]


def test_a_preview_calls_only_hooks_that_ask_for_it(world):
    seen: list[Any] = []
    world.preview(lambda: hooked(world, binding(seen))).check()
    assert seen == []
    world.preview(lambda: hooked(world, binding(seen, on_dry_run=True))).check()
    assert [moment for moment, *_ in seen] == ["before_create", "after_create"]


def test_unknowns_reach_a_hook_as_unknowns(world):
    seen: list[Any] = []

    def program():
        other = world.Thing("other")
        hooks = binding(seen, on_dry_run=True)
        world.Thing("first", pulumi.ResourceOptions(hooks=hooks), other=other.arn)

    world.preview(program).check()
    assert isinstance(seen[0][3]["new_inputs"]["other"], pulumi.output.Unknown)


def test_secrets_reach_a_hook_as_secret_outputs(world):
    seen: list[Any] = []

    def call(args: Any) -> None:
        seen.append(args.new_inputs["token"])

    def program():
        hooks = ResourceHookBinding(before_create=[ResourceHook("look", call)])
        world.Thing("first", pulumi.ResourceOptions(hooks=hooks), token=pulumi.Output.secret("s3cret"))

    world.up(program).check()
    assert isinstance(seen[0], pulumi.Output)


def test_a_before_hook_that_raises_stops_the_step(world):
    result = world.up(lambda: hooked(world, failing("before_create", "not approved")))
    assert isinstance(result.error, RunFailed)
    assert result.error.failures[0].message == 'before hook "fail-before_create" failed: not approved'
    assert world.provider.live == {}
    assert [item.name for item in world.engine.state.resources("dev") if item.type == "test:index:Thing"] == []


def test_an_after_hook_that_raises_fails_the_run_but_the_state_has_the_new_values(world):
    world.up(lambda: hooked(world, failing("before_create", "", ignore_errors=True), color="red")).check()

    def program():
        first = hooked(world, failing("after_update", "rolled back by alarm"), color="green")
        world.Thing("second", other=first.arn, color=first.serial.apply(str))

    result = world.up(program)
    assert isinstance(result.error, RunFailed)
    message = 'after hook "fail-after_update" failed: rolled back by alarm'
    assert [(item.urn, item.message) for item in result.error.failures] == [(world.urn("first"), message)]
    assert ("error", message) in [(line.severity, line.message) for line in result.logs]
    assert world.engine.state.resources("dev")[2].inputs["color"] == "green"
    # The next run sees no difference...
    assert world.up(lambda: hooked(world, ResourceHookBinding(), color="green")).check().changes["update"] == 0
    # ...unless a refresh finds that something else is live.
    world.provider.live["id-1"]["color"] = "red"
    changes = world.up(lambda: hooked(world, ResourceHookBinding(), color="green")).check().changes
    assert (changes["refresh"], changes["update"]) == (1, 1)


def test_a_failed_after_hook_lets_others_go_on_only_when_told(world):
    def program():
        first = hooked(world, failing("after_create", "bad"))
        world.Thing("second", other=first.arn)

    result = world.up(program, continue_on_error=True)
    assert isinstance(result.error, RunFailed)
    assert len(world.provider.live) == 2


def test_ignored_errors_are_warnings(world):
    result = world.up(lambda: hooked(world, failing("after_create", "bad", ignore_errors=True))).check()
    message = 'after_create hook "fail-after_create" failed: bad'
    assert ("warning", message) in [(line.severity, line.message) for line in result.logs]


def test_a_component_s_after_hook_runs_when_it_registers_its_outputs(world):
    seen: list[Any] = []

    def program():
        world.Group("g", pulumi.ResourceOptions(hooks=binding(seen)))

    world.up(program).check()
    assert [moment for moment, *_ in seen] == ["before_create", "after_create"]
    # The children, which hooks of a component never reach, exist by then.
    assert seen[1][3]["new_outputs"]["first"].startswith("arn:test:g-0")


@pytest.mark.parametrize(("answer", "creates"), [(True, 3), (False, 1)])
def test_an_error_hook_decides_whether_to_try_again(world, answer, creates):
    seen: list[Any] = []

    def refuse() -> None:
        if len(world.provider.ops("create")) < 3:
            raise RuntimeError(f"no {len(world.provider.ops('create'))}")

    def decide(args: Any) -> bool:
        seen.append((args.failed_operation, list(args.errors), dict(args.new_inputs)))
        return answer

    def program():
        hooks = ResourceHookBinding(on_error=[ErrorHook("again", decide)])
        world.Thing("first", pulumi.ResourceOptions(hooks=hooks), name="n")

    world.provider.before["create", "first"] = refuse
    result = world.up(program)
    assert len(world.provider.ops("create")) == creates
    assert seen[0] == ("create", ["RuntimeError: no 1"], {"name": "n"})
    if answer:
        result.check()
        assert seen[1][1] == ["RuntimeError: no 2", "RuntimeError: no 1"]
        assert ("warning", "retrying create due to on-error hook request (2/100)") in [
            (line.severity, line.message) for line in result.logs
        ]
    else:
        assert isinstance(result.error, RunFailed)
        assert result.error.failures[0].message == "RuntimeError: no 1"


def broken_hook(seen: list[Any]) -> ResourceHookBinding:
    def broken(args: Any) -> bool:
        seen.append(list(args.errors))
        raise ValueError("verdict unknown")

    return ResourceHookBinding(on_error=[ErrorHook("look", broken)])


def test_an_error_hook_that_raises_speaks_in_the_providers_place(world):
    """As the real engine: tests/engine/test_hooks.py asks it the same."""
    seen: list[Any] = []

    def refuse() -> None:
        raise RuntimeError("no room")

    world.provider.before["create", "first"] = refuse
    result = world.up(lambda: hooked(world, broken_hook(seen)))
    assert isinstance(result.error, RunFailed)
    assert seen == [["RuntimeError: no room"]]
    assert result.error.failures[0].message == (
        'error hooks execution failed: error hook "look" failed: verdict unknown'
    )


def test_after_a_partial_failure_the_provider_keeps_the_word(world):
    """What the hook raised is lost, so a hook says what it has to say in the log."""
    seen: list[Any] = []
    world.up(lambda: hooked(world, broken_hook(seen), color="red")).check()
    result = world.up(lambda: hooked(world, broken_hook(seen), color="red", sick=True))
    assert isinstance(result.error, RunFailed)
    assert seen == [["1 error occurred:\n\t* it is still sick\n\n"]]
    assert [failure.message for failure in result.error.failures] == ["it is still sick"]


def test_an_error_hook_is_asked_ninety_nine_times(world):
    asked: list[Any] = []

    def refuse() -> None:
        raise RuntimeError("no room")

    def again(args: Any) -> bool:
        asked.append(args)
        return True

    world.provider.before["create", "first"] = refuse
    result = world.up(lambda: hooked(world, ResourceHookBinding(on_error=[ErrorHook("again", again)])))
    assert isinstance(result.error, RunFailed)
    assert (len(world.provider.ops("create")), len(asked)) == (100, 99)
    assert result.error.failures[0].message == "maximum number of error hook retries reached"


def test_hooks_that_ask_the_provider_again_do_not_lock_the_run_up(world):
    """A hook runs on the program's own loop while the step waits for it."""
    seen: list[str] = []

    def look(args: Any) -> None:
        seen.append(world.provider.live[args.id]["name"])

    def program():
        hook = ResourceHook("look", look)
        for index in range(10):
            hooks = ResourceHookBinding(after_create=[hook])
            world.Thing(f"thing-{index}", pulumi.ResourceOptions(hooks=hooks), name=f"n{index}")

    world.up(program).check()
    assert sorted(seen) == sorted(f"n{index}" for index in range(10))


def test_a_deletion_whose_hook_nobody_registered_is_refused(world):
    seen: list[Any] = []
    world.up(lambda: hooked(world, binding(seen))).check()
    result = world.engine.destroy("dev")
    assert isinstance(result.error, RunFailed)
    assert result.error.failures[0].message == 'hook "note-before_delete" was not registered'
    assert len(world.provider.live) == 1


def test_two_hooks_of_one_name_are_refused(world):
    def program():
        hooks = [ResourceHook("twice", lambda args: None), ResourceHook("twice", lambda args: None)]
        world.Thing("first", pulumi.ResourceOptions(hooks=ResourceHookBinding(before_create=hooks)))

    assert "already registered" in str(world.up(program).error)
