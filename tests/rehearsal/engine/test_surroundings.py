"""What a program finds around itself: providers, config, other stacks, functions, things that it only reads, logs."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from pulumi.runtime.resource import exists_resource

from infra.rehearsal.engine import UNKNOWN, Engine, ResourceReference, Result, RunFailed


def opts(**options: Any) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(**options)


def message(result: Result) -> str:
    assert isinstance(result.error, RunFailed), result.error
    return result.error.failures[0].message


def invoke(token: str, arguments: dict[str, Any], **options: Any) -> pulumi.Output[Any]:
    return pulumi.runtime.invoke_output(token, arguments, pulumi.InvokeOutputOptions(**options))


# providers


def test_a_disabled_default_provider_is_refused_in_the_real_words(world):
    config = {"pulumi:disable-default-providers": json.dumps(["aws", "test"])}
    result = world.up(lambda: world.Thing("first"), config)
    assert message(result) == (
        "Default provider for 'test' disabled. 'test:index:Thing' must use an explicit provider."
    )
    result = world.up(lambda: invoke("test:index:lookup", {"key": "k"}) and None, config)
    assert "Default provider for 'test' disabled. 'test:index:lookup' must use an explicit provider." in str(
        result.error
    )

    def program():
        own = world.Provider(account="one")
        world.Thing("first", opts(provider=own))
        pulumi.export("value", invoke("test:index:lookup", {"key": "k"}, provider=own).apply(lambda r: r["value"]))

    assert world.up(program, config).check().outputs == {"value": "k!"}


def test_the_default_provider_takes_the_stack_s_config(world):
    world.up(lambda: world.Thing("first"), {"test:account": "one", "other:key": "x"}).check()
    assert world.provider.configured[-1] == {"account": "one"}
    hidden = [item.urn for item in world.engine.state.resources("dev") if item.type.startswith("pulumi:providers")]
    assert hidden == ["urn:pulumi:dev::mainstage::pulumi:providers:test::default"]


def test_an_explicit_provider_is_a_resource_with_a_reference(world):
    def program():
        world.Thing("first", opts(provider=world.Provider(account="one")))

    result = world.up(program).check()
    provider = result.one("pulumi:providers:test", "own")
    assert result.named("first").options.provider == f"{provider.urn}::{provider.id}"
    assert world.up(program).check().changes == {"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 3}


def test_a_provider_that_changes_in_place_changes_nothing_else(world):
    def program(region):
        return lambda: world.Thing("first", opts(provider=world.Provider(account="one", region=region)))

    world.up(program("a")).check()
    result = world.up(program("b")).check()
    assert (result.changes["update"], result.changes["replace"]) == (1, 0)
    assert world.provider.configured[-1] == {"account": "one", "region": "b"}


def test_a_provider_of_another_account_replaces_what_it_keeps(world):
    def program(account):
        return lambda: world.Thing("first", opts(provider=world.Provider(account=account)))

    world.up(program("one")).check()
    result = world.up(program("two")).check()
    assert result.changes["replace"] == 2


def test_two_providers_of_different_config_need_a_provider_each(make_world):
    world = make_world()

    def program():
        world.Thing("first", opts(provider=world.Provider("a", account="one")))
        world.Thing("second", opts(provider=world.Provider("b", account="two")))

    assert message(world.up(program)).endswith(
        "this engine was given one test provider object: give it a function that makes one instead"
    )
    made = []

    def make():
        made.append(type(world.provider)())
        return made[-1]

    assert Engine(provider={"test": make}).up("dev", program, {}).check().changes["create"] == 5
    assert sorted(len(provider.live) for provider in made) == [1, 1]


def test_a_package_that_nothing_serves_is_named(world):
    result = world.up(lambda: world.Thing("first", kind="gcp:index:Thing"))
    assert message(result) == "no provider for package 'gcp' in a rehearsal; carried: test"


def test_unknown_provider_config_in_a_preview_leaves_everything_unknown(world):
    def program():
        account = world.Thing("account", opts(provider=world.Provider("first", account="one")))
        own = world.Provider("second", account=account.arn)
        pulumi.export("color", world.Thing("inside", opts(provider=own), color="red").color)
        pulumi.export("value", invoke("test:index:lookup", {"key": "k"}, provider=own))

    assert world.preview(program).check().outputs == {"color": UNKNOWN, "value": UNKNOWN}


# config and identity


def test_config_secrets_stay_secret(world):
    def program():
        config = pulumi.Config("mainstage")
        pulumi.export("plain", config.require("plain"))
        pulumi.export("token", config.require_secret("token"))
        pulumi.export("who", f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}")

    config = {"mainstage:plain": "p", "mainstage:token": "s3cret"}
    result = world.up(program, config, secret_keys=["mainstage:token"]).check()
    assert result.outputs == {"plain": "p", "token": "s3cret", "who": "organization/mainstage/dev"}
    assert result.secret_outputs == ("token",)


def test_missing_config_is_the_sdk_s_error(world):
    result = world.up(lambda: pulumi.Config("mainstage").require("absent") and None)
    assert isinstance(result.error, pulumi.ConfigMissingError)


def test_logs_keep_their_severity(world):
    def program():
        pulumi.log.info("hello")
        pulumi.log.warn("careful")
        pulumi.log.error("bad", world.Thing("first"))

    result = world.up(program).check()
    lines = [(line.severity, line.message, line.urn) for line in result.logs if line.severity != "debug"]
    assert lines == [("info", "hello", ""), ("warning", "careful", ""), ("error", "bad", world.urn("first"))]
    assert [event.message for event in world.events if event.kind == "log"] == ["hello", "careful", "bad"]


# other stacks


def platform() -> None:
    pulumi.export("name", "vpc-1")
    pulumi.export("token", pulumi.Output.secret("s3cret"))
    pulumi.export("nested", {"list": [1, 2]})


@pytest.mark.parametrize("name", ["organization/mainstage/platform", "mainstage/platform", "platform"])
def test_a_stack_reference_finds_the_other_stack_of_the_same_state(world, name):
    world.engine.up("platform", platform, {}).check()

    def program():
        other = pulumi.StackReference("other", stack_name=name)
        pulumi.export("name", other.require_output("name"))
        pulumi.export("token", other.get_output("token"))
        pulumi.export("nested", other.get_output("nested"))
        pulumi.export("absent", other.get_output("absent"))

    for run in (world.preview, world.up, world.up):
        result = run(program).check()
        assert result.outputs == {"name": "vpc-1", "token": "s3cret", "nested": {"list": [1, 2]}}
        assert result.secret_outputs == ("token",)
    reference = result.one("pulumi:pulumi:StackReference")
    assert reference.external
    assert reference.outputs["secretOutputNames"] == ["token"]
    assert result.changes["read"] == 1


def test_a_stack_reference_awaited_in_the_program(world):
    world.engine.up("platform", platform, {}).check()

    async def program():
        other = pulumi.StackReference("organization/mainstage/platform")
        details = await other.get_output_details("token")
        name = await other.get_output_details("name")
        pulumi.export("seen", [name.value, details.secret_value == "s3cret"])

    assert world.up(program).check().outputs == {"seen": ["vpc-1", True]}


@pytest.mark.parametrize("name", ["organization/mainstage/absent", "elsewhere/mainstage/platform"])
def test_a_stack_that_is_not_there_is_named_with_those_that_are(world, name):
    world.engine.up("platform", platform, {}).check()
    result = world.preview(lambda: pulumi.StackReference(name))
    known = "organization/mainstage/platform"
    assert message(result) == f'unknown stack "{name}"; deployed in this rehearsal: {known}'


# functions


def test_functions_are_answered_by_the_provider(world):
    def program():
        thing = world.Thing("first", name="n")
        pulumi.export("plain", invoke("test:index:lookup", {"key": "k"}).apply(lambda result: result["value"]))
        late = invoke("test:index:lookup", {"key": thing.arn})
        pulumi.export("late", late.apply(lambda result: result["value"]))
        secret = invoke("test:index:lookup", {"key": pulumi.Output.secret("s")})
        pulumi.export("secret", secret.apply(lambda result: result["value"]))

    preview = world.preview(program).check()
    assert preview.outputs == {"plain": "k!", "late": UNKNOWN, "secret": "s!"}
    result = world.up(program).check()
    assert result.outputs == {"plain": "k!", "late": "arn:test:n!", "secret": "s!"}
    assert result.secret_outputs == ("secret",)
    assert ("test:index:lookup", {"key": "k"}) in result.invokes


def test_a_function_s_failure_is_told(world):
    result = world.up(lambda: invoke("test:index:lookup", {"key": "bad"}) and None)
    assert "invoke of test:index:lookup failed: bad is not good (key)" in str(result.error)


# what is only read


def test_get_reads_and_never_deletes(world):
    world.provider.live["id-77"] = {"name": "found", "color": "red"}

    def program():
        found = world.Thing("found", opts(id="id-77"))
        pulumi.export("arn", found.arn)
        pulumi.export("id", found.id)

    for run in (world.preview, world.up):
        assert run(program).check().outputs == {"arn": "arn:test:found", "id": "id-77"}
    assert world.engine.state.resources("dev")[-1].external
    assert world.up(lambda: None).check().changes["delete"] == 1
    assert "id-77" in world.provider.live
    assert message(world.up(lambda: world.Thing("gone", opts(id="id-404")))) == "resource 'id-404' does not exist"


def test_whether_something_exists(world):
    world.provider.live["id-77"] = {"name": "found"}

    def program():
        for name, id_ in (("there", "id-77"), ("not", "id-404"), ("late", world.Thing("first").id)):
            pulumi.export(name, exists_resource(None, "test:index:Thing", id_, {}, opts()))

    assert world.preview(program).check().outputs == {"there": True, "not": False, "late": UNKNOWN}
    assert world.up(program).check().outputs == {"there": True, "not": False, "late": True}
    assert [item.name for item in world.engine.state.resources("dev") if item.type == "test:index:Thing"] == ["first"]


def test_an_unknown_id_can_not_be_read_yet(world):
    def program():
        first = world.Thing("first")
        pulumi.export("arn", world.Thing("again", opts(id=first.id)).arn)

    assert world.preview(program).check().outputs == {"arn": UNKNOWN}
    assert world.up(program).check().outputs["arn"].startswith("arn:test:first-")


def test_what_was_read_is_made_when_the_program_wants_its_own(world):
    world.provider.live["id-77"] = {"name": "found"}
    world.up(lambda: world.Thing("first", opts(id="id-77"))).check()
    result = world.up(lambda: world.Thing("first", name="mine")).check()
    assert result.changes["replace"] == 1
    assert {thing["name"] for thing in world.provider.live.values()} == {"found", "mine"}
    assert world.provider.ops("delete") == []


def test_resources_in_a_component_s_outputs_are_references(world):
    class Holder(pulumi.ComponentResource):
        def __init__(self, name: str):
            super().__init__("test:index:Holder", name)
            group = world.Group("g", opts(parent=self))
            self.register_outputs({"thing": group.things[0], "group": group})

    assert world.preview(lambda: Holder("h")).check().named("h").outputs["thing"] is UNKNOWN
    result = world.up(lambda: Holder("h")).check()
    group = "urn:pulumi:dev::mainstage::test:index:Holder$test:index:Group::g"
    assert result.named("h").outputs == {"thing": "id-1", "group": group}
    thing = ResourceReference(f"{group.removesuffix('::g')}$test:index:Thing::g-0", "id-1")
    assert thing in world.engine.state.resources("dev")[1].outputs.values()
