"""The components as other languages get them: through the plugin host that the real `pulumi` starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from engine_world import ROOT, EngineWorld
from other_project import cli_in

from infra.rehearsal.pulumi_cli.cli import Cli

GOLDEN = ROOT / "tests" / "goldens" / "schema.json"
RUNTIME = "runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"


def project(folder: Path, source: str) -> Path:
    """A folder with a program or plugin in it, run by this checkout's Python."""
    folder.mkdir()
    (folder / "__main__.py").write_text(dedent(source))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


# -- schema ----------------------------------------------------------------------------------------------------


def as_the_cli_prints(schema: dict[str, Any]) -> dict[str, Any]:
    """The host's schema after the CLI has read and written it.

    The CLI writes an empty `config` and leaves out an empty `dependencies`
    (https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/codegen/schema/schema.go, MarshalSpec). The Python host repeats
    a list's or map's description at its elements, where Pulumi's types have no place for one.
    """
    assert schema["dependencies"] == []
    bare = _without_descriptions_of_elements({key: value for key, value in schema.items() if key != "dependencies"})
    return {**bare, "config": {}}


def _without_descriptions_of_elements(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = {key: _without_descriptions_of_elements(inner) for key, inner in value.items()}
    for key in ("items", "additionalProperties"):
        if value.get("type") in ("array", "object") and isinstance(found.get(key), dict):
            repeated = found[key].pop("description", value.get("description"))
            assert repeated == value.get("description")
    return found


def test_the_schema_is_the_golden_one(world: EngineWorld, tmp_path: Path) -> None:
    """`pulumi package get-schema ./components`; a bare `components` would be a name in Pulumi's registry. Of a copy,
    because Pulumi's own language host installs the package beside its PulumiPlugin.yaml."""
    shutil.copytree(ROOT / "components", tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__", "venv"))
    done = cli_in(tmp_path, world, tmp_path).run("package", "get-schema", "./components")
    assert json.loads(done.stdout) == as_the_cli_prints(json.loads(GOLDEN.read_text(encoding="utf-8")))


# -- a component of the library, by its token ------------------------------------------------------------------

BY_TOKEN = """
    import pulumi
    import pulumi_aws as aws

    config = pulumi.Config()
    here = aws.Provider("here", region="eu-west-1")


    class Pager(pulumi.ComponentResource):
        def __init__(self, name, properties, opts=None):
            super().__init__("mainstage:index:Pager", name, {**properties, "pageTopicArn": None}, opts, remote=True)


    pager = Pager(
        "shop",
        {
            "accountId": config.require("account_id"),
            "region": "eu-west-1",
            "kmsKeyArn": "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001",
            "topicPrefix": "shop",
            "deletionProtection": False,
        },
        pulumi.ResourceOptions(providers={"aws": here}),
    )
    pulumi.export("page_topic_arn", pager.pageTopicArn)
"""


@pytest.fixture
def by_token(world: EngineWorld, tmp_path: Path) -> Cli:
    """A program that uses the library as every language does: through the plugin that its folder is."""
    shutil.copytree(ROOT / "components", tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__", "venv"))
    program = project(tmp_path / "shop", BY_TOKEN)
    plugins = "plugins: {providers: [{name: mainstage, path: ../components}]}\n"
    (program / "Pulumi.yaml").write_text(f"name: shop\n{RUNTIME}{plugins}")
    cli = cli_in(program, world, tmp_path)
    cli.select("test")
    return cli


def test_a_component_of_the_library_is_made_by_its_token(world: EngineWorld, by_token: Cli) -> None:
    done = by_token.run("preview", "--json", "--stack", "test", "--config", "account_id=111111111111")
    steps = [step["urn"].split("::")[2:] for step in json.loads(done.stdout)["steps"]]
    pager, topic, policy = "mainstage:index:Pager", "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy"
    assert sorted(steps) == sorted(
        [
            ["pulumi:pulumi:Stack", "shop-test"],
            ["pulumi:providers:aws", "here"],
            [pager, "shop"],
            *([f"{pager}${topic}", f"shop-{severity}"] for severity in ("page", "ticket")),
            *([f"{pager}${policy}", f"shop-{severity}-policy"] for severity in ("page", "ticket")),
        ]
    )


def test_what_is_wrong_with_its_arguments_reaches_the_person(by_token: Cli) -> None:
    done = by_token.try_run("preview", "--stack", "test", "--config", "account_id=1234")
    assert done.code != 0
    assert 'Pager "shop": 1 problem in its arguments' in done.told
    assert "account_id: got '1234'" in done.told


# -- hooks -----------------------------------------------------------------------------------------------------

COMPONENT = """
    from pathlib import Path
    from typing import Optional, TypedDict

    import pulumi
    import pulumi_aws as aws
    from pulumi.provider.experimental import component_provider_host


    class WatchedArgs(TypedDict):
        topic_name: str
        ledger: str
        verdict: str


    class Watched(pulumi.ComponentResource):
        topic_arn: pulumi.Output[str]

        def __init__(self, name: str, args: WatchedArgs, opts: Optional[pulumi.ResourceOptions] = None):
            super().__init__("watched:index:Watched", name, {}, opts)

            def write(moment: str, text: str) -> None:
                with Path(args["ledger"]).open("a") as ledger:
                    ledger.write(f"{moment} {text}\\n")

            def before(hook: pulumi.ResourceHookArgs) -> None:
                write("before", hook.new_inputs["name"])

            def after(hook: pulumi.ResourceHookArgs) -> None:
                write("after", hook.new_outputs["arn"])
                if args["verdict"] == "bad":
                    raise Exception(f"{hook.name} is not what was asked for")

            hooks = pulumi.ResourceHookBinding(
                before_create=[pulumi.ResourceHook(f"{name}-before", before)],
                after_create=[pulumi.ResourceHook(f"{name}-after", after)],
            )
            topic = aws.sns.Topic(
                f"{name}-topic", name=args["topic_name"], opts=pulumi.ResourceOptions(parent=self, hooks=hooks)
            )
            self.topic_arn = topic.arn
            self.register_outputs({"topic_arn": self.topic_arn})


    if __name__ == "__main__":
        component_provider_host(name="watched", components=[Watched])
"""
CONSUMER = """
    import pulumi
    import pulumi_aws as aws


    class Watched(pulumi.ComponentResource):
        def __init__(self, name, properties, opts=None):
            super().__init__("watched:index:Watched", name, {**properties, "topicArn": None}, opts, remote=True)


    config = pulumi.Config()
    here = aws.Provider("here", region="eu-west-1")
    watched = Watched(
        "orders",
        {"topicName": "orders", "ledger": config.require("ledger"), "verdict": config.require("verdict")},
        pulumi.ResourceOptions(providers={"aws": here}),
    )
    pulumi.export("topic_arn", watched.topicArn)
"""


@pytest.fixture
def consumer(world: EngineWorld, tmp_path: Path) -> Cli:
    """A program that uses a component of another package by its token, as any language would."""
    package, program = project(tmp_path / "watched", COMPONENT), project(tmp_path / "consumer", CONSUMER)
    (package / "PulumiPlugin.yaml").write_text(RUNTIME)
    plugins = "plugins: {providers: [{name: watched, path: ../watched}]}\n"
    (program / "Pulumi.yaml").write_text(f"name: consumer\n{RUNTIME}{plugins}")
    (program / "Pulumi.test.yaml").write_text(f"config: {{'consumer:ledger': {tmp_path}/ledger}}\n")
    cli = cli_in(program, world, tmp_path)
    cli.select("test")
    return cli


def ledger(cli: Cli) -> list[str]:
    path = cli.project.folder.parent / "ledger"
    return path.read_text().splitlines() if path.exists() else []


def topics(world: EngineWorld) -> list[str]:
    return [topic["TopicArn"] for topic in world.client("sns").list_topics()["Topics"]]


def test_a_component_s_hooks_run_in_its_host(world: EngineWorld, consumer: Cli) -> None:
    arn = f"arn:aws:sns:eu-west-1:{world.cloud.account_id}:orders"
    consumer.preview("test", "--config", "verdict=good")
    assert (ledger(consumer), topics(world)) == ([], []), "a preview creates nothing, so no hook of a creation ran"
    consumer.up("test", "--config", "verdict=good")
    assert ledger(consumer) == ["before orders", f"after {arn}"]
    assert topics(world) == [arn]
    assert consumer.outputs("test") == {"topic_arn": arn}
    urns = [resource["urn"] for resource in consumer.state("test")["deployment"]["resources"]]
    assert "urn:pulumi:test::consumer::watched:index:Watched$aws:sns/topic:Topic::orders-topic" in urns


def test_a_hook_that_raises_fails_the_update(world: EngineWorld, consumer: Cli) -> None:
    done = consumer.try_run("up", "--yes", "--skip-preview", "--stack", "test", "--config", "verdict=bad")
    assert done.code != 0
    assert 'after hook "orders-after" failed' in done.told
    assert "orders-topic is not what was asked for" in done.told
    assert [line.partition(" ")[0] for line in ledger(consumer)] == ["before", "after"]
    assert len(topics(world)) == 1, "an after hook comes too late to keep the resource from being made"
