"""The in-process engine and the real one are asked the same by all six stacks: field by field.

Dev stands, so its requests hold real ids. Staging and prod are previewed from nothing, so theirs hold unknowns; a
preview asks AWS for nothing but the account.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine_world import MODELS, PLATFORM, ROOT, EngineWorld
from pulumi.runtime.proto import provider_pb2 as pb
from registrations import Requests, differences, logged, recorded

from infra.program import program_for
from infra.rehearsal.engine import Engine, record
from infra.rehearsal.engine.answers import Answers
from infra.rehearsal.engine.values import from_struct, to_struct
from infra.rehearsal.provider import UNKNOWN, AwsProvider
from infra.rehearsal.provider.served import ServedProvider
from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.project import make_project
from infra.settings import stack_config, stack_file

OTHERS = ("staging", "prod")


class _OfAccount:
    """The session of another account: only who it is differs. A preview asks for no more."""

    def __init__(self, session: Any, account_id: str):
        self._session, self._account_id = session, account_id
        self.region_name = session.region_name

    def client(self, service: str, **options: Any) -> Any:
        return self if service == "sts" else self._session.client(service, **options)

    def get_caller_identity(self) -> dict[str, str]:
        arn = f"arn:aws:iam::{self._account_id}:user/somebody"
        return {"Account": self._account_id, "Arn": arn, "UserId": "AIDASOMEBODY"}


class _Standing(Answers):
    """Answers with the ids and outputs that resources have."""

    def __init__(self, state: Mapping[str, Any]):
        super().__init__()
        self._known = {each["urn"]: each for each in state["deployment"]["resources"]}

    def Create(self, request: Any, context: Any) -> Any:
        known = self._known[request.urn]
        outputs = {**known["outputs"], **from_struct(request.properties)}
        return pb.CreateResponse(id=known["id"], properties=to_struct(outputs))


def preview(cli: Cli, stack: str, file: Path) -> Requests:
    """What the real engine is asked in a preview."""
    dataclasses.replace(cli, more={"PULUMI_DEBUG_GRPC": str(file)}).preview(stack)
    return logged(file)


def test_dev_asks_both_engines_the_same(standing: EngineWorld, tmp_path: Path) -> None:
    cli = standing.cli
    with ThreadPoolExecutor(2) as pool:
        real = dict(
            zip((PLATFORM, MODELS), pool.map(lambda s: preview(cli, s, tmp_path / s), (PLATFORM, MODELS)), strict=True)
        )
    below = cli.outputs(PLATFORM)
    for stack in (PLATFORM, MODELS):
        answers = _Standing(cli.state(stack))
        engine = Engine(
            provider={"*": lambda answers=answers: answers},
            stack_outputs={PLATFORM: below}.get,
            call_hooks=False,  # the endpoint that is made here is none of AWS's
        )
        with recorded() as ours:
            engine.up(stack, program_for(stack, ROOT), stack_config(stack_file(ROOT, stack))).check()
        assert len(ours) > 60
        assert UNKNOWN not in json.dumps(ours)
        assert differences(real[stack], ours) == []


def test_staging_and_prod_ask_both_engines_the_same(standing: EngineWorld, tmp_path: Path) -> None:
    below = {environment: _outputs_of_the_platform(environment) for environment in OTHERS}
    with ThreadPoolExecutor(len(OTHERS)) as pool:
        runs = {one: pool.submit(_previews, standing, one, below[one], tmp_path) for one in OTHERS}
        real = {one: run.result() for one, run in runs.items()}
    for environment in OTHERS:
        for stack, asked in real[environment].items():
            engine = Engine(
                provider=lambda environment=environment: AwsProvider(_sessions(standing, environment)),
                stack_outputs={f"platform-{environment}": below[environment]}.get,
            )
            with recorded() as ours:
                engine.preview(stack, program_for(stack, ROOT), stack_config(stack_file(ROOT, stack))).check()
            assert len(ours) > 60
            assert UNKNOWN in json.dumps(ours)
            assert differences(asked, ours) == []


def _outputs_of_the_platform(environment: str) -> Mapping[str, Any]:
    stack = f"platform-{environment}"
    answers = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
    return record(program_for(stack), stack, stack_config(stack_file(ROOT, stack)), answers=answers).check().outputs


def _sessions(world: EngineWorld, environment: str) -> Any:
    account = stack_config(stack_file(ROOT, f"platform-{environment}"))["mainstage:account_id"]
    assert account != world.cloud.account_id
    return lambda: _OfAccount(world.cloud.session(), account)


def _previews(
    world: EngineWorld, environment: str, below: Mapping[str, Any], directory: Path
) -> Mapping[str, Requests]:
    """What the real engine is asked by an environment's two stacks with nothing up."""
    platform, models = f"platform-{environment}", f"models-{environment}"
    with ServedProvider(_sessions(world, environment)) as provider:
        project = dataclasses.replace(make_project(ROOT, directory / environment), home=world.cli.project.home)
        cli = Cli(project, dataclasses.replace(world.emulated, provider_port=provider.port))
        cli.select(platform)
        first = preview(cli, platform, directory / platform)
        _say_that_it_is_up(cli, platform, below, directory)
        cli.select(models)
        return {platform: first, models: preview(cli, models, directory / models)}


def _say_that_it_is_up(cli: Cli, platform: str, outputs: Mapping[str, Any], directory: Path) -> None:
    """A state that has the platform's outputs and no resources."""
    type_token = "pulumi:pulumi:Stack"
    urn = f"urn:pulumi:{platform}::mainstage::{type_token}::mainstage-{platform}"
    resources = [{"urn": urn, "custom": False, "type": type_token, "outputs": dict(outputs)}]
    file = directory / f"{platform}.json"
    file.write_text(json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": resources}}))
    cli.run("stack", "import", "--stack", platform, "--file", str(file))


def test_a_difference_is_told() -> None:
    """The comparison does compare: a value, a field and a request more are lines; an auto-name's end is none."""
    one = {"call type a": {"object": {"x": 1, "role": "a-0123abc"}, "protect": True}, "call type b": {}}
    other = {"call type a": {"object": {"x": 2, "role": "a-4567def"}}, "call type c": {}}
    assert differences(one, other) == [
        "call type b: asked of the real engine only",
        "call type c: asked of the in-process engine only",
        "call type a: object: {'x': 1, 'role': 'a-<random>'} of the real engine, here {'x': 2, 'role': 'a-<random>'}",
        "call type a: protect: True of the real engine, here None",
    ]
    assert differences({"call type a": {"name": "z-0123abc"}}, {"call type a": {"name": "z-4567def"}}) != []
