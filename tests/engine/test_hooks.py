"""Hooks and a run that goes on after failures: the real engine and the one in process are asked the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_program import PROVIDER, SmallProgram
from engine_world import EngineWorld

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.engine import UNKNOWN, Engine, RunFailed
from infra.rehearsal.provider import UNKNOWN as UNKNOWN_TEXT
from infra.rehearsal.provider.provider import AwsProvider

PROGRAM = """
import asyncio
from pulumi import ErrorHook, ResourceHook, ResourceHookBinding, ResourceOptions


class ByUrn:
    def __init__(self, urn):
        self.urn = pulumi.Output.from_input(urn)


def topic(name, needs=(), **hooks):
    options = ResourceOptions(depends_on=list(needs), hooks=ResourceHookBinding(**hooks))
    options = ResourceOptions.merge(here, options)
    return aws.sns.Topic(name, name=f"{PREFIX}-{name}", display_name=SHOWN, opts=options)


async def refuse(args):
    await asyncio.to_thread(lambda: None)
    raise Exception(f"{args.name} is refused\\nthe next command")


async def warn(args):
    pulumi.log.warn(f"{args.new_outputs['displayName']} is unproven", ByUrn(args.urn))


async def look(args):
    pulumi.log.error(f"{args.failed_operation} {len(args.errors)} {args.errors[0].split()[0]}", ByUrn(args.urn))
    raise Exception(f"{args.name} was taken back")


update = SHOWN != "1"
kept = topic("kept", before_update=[ResourceHook("kept", refuse)])
below_kept = topic("below-kept", [kept])
done = topic("done", after_update=[ResourceHook("done", refuse)])
below_done = topic("below-done", [done])
told = topic("told", after_update=[ResourceHook("told", warn)])
half = topic("half", on_error=[ErrorHook("half", look)])
below_half = topic("below-half", [half])
if update:
    never = topic("never", on_error=[ErrorHook("never", look)])
    below_never = topic("below-never", [never])
pulumi.export("kept", kept.display_name)
pulumi.export("done", done.display_name)
pulumi.export("all", {"half": half.display_name, "told": told.display_name})
"""


@dataclass
class Seen:
    """What one engine made of the program: texts by logical name, the names whose state says 2, the exports."""

    errors: Mapping[str, str]
    warnings: Mapping[str, str]
    updated: set[str]
    there: set[str]
    exports: Mapping[str, Any]


PARTLY = "updating SNS Topic (arn:aws:sns:eu-west-1:111111111111:{}-half): sns.SetTopicAttributes: Throttling: no"
WANTED = {
    "kept": 'before hook "kept" failed: kept is refused the next command',
    "done": 'after hook "done" failed: done is refused the next command',
    "half": f"1 error occurred: * {PARTLY} update 1 1",
    # What a hook raises is lost after a partial failure, and takes the place of the provider's words after any other.
    "never": 'create 1 creating error hooks execution failed: error hook "never" failed: never was taken back',
}


def test_both_engines_call_hooks_and_go_on_alike(beside: EngineWorld, tmp_path: Path) -> None:
    faults = beside.cloud.faults
    no = AwsError("Throttling", "no", 400)

    def plant() -> None:
        faults.add("sns", "SetTopicAttributes", no, match=lambda call: call.params["TopicArn"].endswith("-half"))
        faults.add("sns", "CreateTopic", no, match=lambda call: call.params["Name"].endswith("-never"))

    seen = {}
    for name, run in (("real", _real), ("ours", _ours)):
        seen[name] = run(beside, tmp_path / name, plant)
        faults.clear()
        wanted = WANTED | {"half": WANTED["half"].replace("{}", name)}
        assert {key: sorted(text.split()) for key, text in seen[name].errors.items()} == {
            key: sorted(text.split()) for key, text in wanted.items()
        }
        assert seen[name].warnings == {"told": "2 is unproven"}
        assert seen[name].updated == {"done", "below-done", "told"}
        assert seen[name].there == {"kept", "below-kept", "done", "below-done", "told", "half", "below-half"}
        assert seen[name].exports["done"] == "2"
    assert seen["real"].exports == seen["ours"].exports


def _text(name: str, shown: str) -> tuple[str, ...]:
    return f"PREFIX, SHOWN = {name!r}, {shown!r}", PROVIDER, PROGRAM


def _real(world: EngineWorld, folder: Path, plant: Any) -> Seen:
    program = SmallProgram(world, folder)
    program.write(*_text("real", "1"))
    program.cli.up(program.stack)
    try:
        plant()
        program.write(*_text("real", "2"))
        done = program.cli.try_run("up", "--yes", "--skip-preview", "--continue-on-error", "--stack", program.stack)
        assert done.code == 1
        inputs = {name: one.get("inputs", {}) for name, one in program.resources().items()}
        return Seen(
            _under_resources(done.told, "error"),
            _under_resources(done.told, "warning"),
            {name for name, one in inputs.items() if one.get("displayName") == "2"},
            {name for name, one in inputs.items() if "displayName" in one},
            program.cli.outputs(program.stack),
        )
    finally:
        world.cloud.faults.clear()
        program.cli.run("destroy", "--yes", "--skip-preview", "--stack", program.stack)


def _under_resources(told: str, severity: str) -> dict[str, str]:
    """The texts of one severity in the diagnostics, by logical name, in one line each; the stack's own left out."""
    found: dict[str, str] = {}
    name = of = ""
    diagnostics = re.split(r"\n(?:Outputs|Resources):\n", told.partition("\nDiagnostics:\n")[2])[0]
    for line in diagnostics.splitlines():
        if heading := re.match(r"  (\S+) \((\S+)\):$", line):
            name, of = ("", "") if heading[1].startswith("pulumi:pulumi:") else (heading[2], "")
        elif name and line.strip():
            if said := re.match(r" +(error|warning): (.*)", line):
                of, line = said[1], said[2]
            if of == severity:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def _ours(world: EngineWorld, folder: Path, plant: Any) -> Seen:
    engine = Engine(provider=lambda: AwsProvider(world.cloud.session), project="small")

    def program(shown: str) -> Any:
        return lambda: exec("\n".join(_text("ours", shown)), {"__name__": "__main__"})

    engine.up("test", program("1"), {}).check()
    try:
        plant()
        result = engine.up("test", program("2"), {}, refresh=False, continue_on_error=True)
        assert isinstance(result.error, RunFailed)
        texts = {"error": {}, "warning": {}}
        logged = [(line.severity, line.urn, line.message) for line in result.logs if line.severity in texts]
        failed = [("error", failure.urn, failure.message) for failure in result.error.failures]
        for severity, urn, message in dict.fromkeys((*failed, *logged)):
            name = urn.rpartition("::")[2]
            texts[severity][name] = f"{texts[severity].get(name, '')} {' '.join(message.split())}".strip()
        # The CLI shows a partial failure in a list of one.
        texts["error"]["half"] = f"1 error occurred: * {texts['error']['half']}"
        state = {item.name: item.inputs for item in engine.state.resources("test")}
        exports = {name: _as_stored(value) for name, value in result.outputs.items()}
        return Seen(
            texts["error"],
            texts["warning"],
            {name for name, inputs in state.items() if inputs.get("displayName") == "2"},
            {name for name, inputs in state.items() if "displayName" in inputs},
            exports,
        )
    finally:
        world.cloud.faults.clear()
        engine.destroy("test").check()


def _as_stored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_stored(one) for name, one in value.items()}
    return UNKNOWN_TEXT if value is UNKNOWN else value
