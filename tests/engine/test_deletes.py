"""What a run that continues on errors deletes at its end, by the real `pulumi` and by the in-process engine; and that a
program that ends with an error has nothing deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_program import PROVIDER, SmallProgram
from engine_world import EngineWorld

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider

# Each endpoint comes after a configuration that has another name in each shape.
PROGRAM = """
def topic(name, shown, hooks=None, needs=()):
    options = pulumi.ResourceOptions(hooks=hooks, depends_on=list(needs))
    return aws.sns.Topic(
        name, name=f"{PREFIX}-{name}", display_name=shown, opts=pulumi.ResourceOptions.merge(here, options)
    )


async def taken_back(args):
    if SHAPE != "a":
        raise RuntimeError("taken back")


after = pulumi.ResourceHookBinding(after_update=[pulumi.ResourceHook("after", taken_back)])
topic("after-endpoint", topic(f"after-config-{SHAPE}", "x").name, after)
topic("failed-endpoint", topic(f"failed-config-{SHAPE}", "x").name)
if PASSED_OVER:
    topic("passed-endpoint", SHAPE, needs=[topic(f"passed-config-{SHAPE}", "x")])


def end(arn):
    if ENDS and not isinstance(arn, str):
        raise pulumi.RunError("nothing is deleted")


topic("seen", SHAPE).arn.apply(end, True)
"""
LOST = "after-config-a"
KEPT = "failed-config-a"


def texts(engine: str, shape: str, *, ends: bool = False, passed_over: bool = False) -> tuple[str, ...]:
    return f"PREFIX, SHAPE, ENDS, PASSED_OVER = {engine!r}, {shape!r}, {ends}, {passed_over}", PROVIDER, PROGRAM


class Real:
    name = "real"

    def __init__(self, world: EngineWorld, folder: Path):
        self.program = SmallProgram(world, folder)

    def up(self, shape: str, **more: bool) -> tuple[bool, str]:
        self.program.write(*texts(self.name, shape, **more))
        words = ("up", "--yes", "--skip-preview", "--continue-on-error", "--stack", self.program.stack)
        done = self.program.cli.try_run(*words)
        return done.code == 0, done.told


class Ours:
    name = "ours"

    def __init__(self, world: EngineWorld, _: Path):
        self.engine = Engine(provider=lambda: AwsProvider(world.cloud.session), project="small")

    def up(self, shape: str, **more: bool) -> tuple[bool, str]:
        def program() -> None:
            exec("\n".join(texts(self.name, shape, **more)), {"__name__": "__main__"})

        result = self.engine.up("test", program, {}, refresh=False, continue_on_error=True)
        return result.error is None, "\n".join([str(result.error), *(line.message for line in result.logs)])


@pytest.mark.parametrize("engine", [Real, Ours])
def test_what_is_deleted_after_an_error(beside: EngineWorld, tmp_path: Path, engine: Callable[..., Any]) -> None:
    played = engine(beside, tmp_path)
    client = beside.client("sns")

    def there() -> set[str]:
        names = {each["TopicArn"].rpartition(":")[2] for each in client.list_topics()["Topics"]}
        return {name.removeprefix(f"{played.name}-") for name in names if name.startswith(played.name)}

    def no(*names: str) -> None:
        wrong = AwsError("AccessDenied", "no", 403)
        beside.cloud.faults.add(
            "sns", "SetTopicAttributes", wrong, match=lambda call: call.params["TopicArn"].endswith(names)
        )

    try:
        assert played.up("a")[0]
        no("failed-endpoint", "seen")
        good, told = played.up("b", ends=True)
        assert not good
        assert "nothing is deleted" in told
        assert {LOST, KEPT} <= there()
        # Without that error, what the failed step's old state needs is kept, and no more.
        beside.cloud.faults.clear()
        assert played.up("a", passed_over=True)[0]
        assert {"passed-config-a", LOST, KEPT} <= there()
        no("failed-endpoint")
        denied = AwsError("AccessDenied", "no", 403)
        made = beside.cloud.faults.add(
            "sns", "CreateTopic", denied, match=lambda call: call.params["Name"].endswith("passed-config-b")
        )
        good, told = played.up("b", passed_over=True)
        made.remove()
        assert not good
        assert KEPT in there()
        assert there().isdisjoint({LOST, "passed-config-a"})
        assert "refers to missing dependency" in told
    finally:
        beside.cloud.faults.clear()
        for each in client.list_topics()["Topics"]:
            if each["TopicArn"].rpartition(":")[2].startswith(played.name):
                client.delete_topic(TopicArn=each["TopicArn"])
