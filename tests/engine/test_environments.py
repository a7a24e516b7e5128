"""staging and prod by `mainstage rehearse-up`, in processes of their own: quiet at once, by hand too; what remains.

dev's second run is test_quiet.py.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from served import ROOT
from whole_checkout import WholeCheckout, whole_checkout

from infra.rehearsal import cloud_control
from infra.rehearsal.cloud_control import Running


@dataclass(frozen=True)
class Stands:
    """An environment that stands in a cloud process of its own checkout."""

    checkout: WholeCheckout
    up: dict[str, Any]
    """What rehearse-up told."""
    running: Running

    def in_a_shell(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """Runs commands as a person does who has evaluated `mainstage cloud env` and gone to the project."""
        told = self.checkout.run("cloud", "env").stdout
        script = "\n".join([told, f"cd {shlex.quote(str(self.running.project.folder))}", *lines])
        return subprocess.run(
            ["sh", "-euc", script],
            env=self.checkout.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )


FROM_HERE = ("unset PYTHONPATH", *(f"ln -sfn {shlex.quote(str(ROOT / name))} {name}" for name in ("infra", ".venv")))
"""Leads the project to this checkout, another one than that which brought the environment up."""


@pytest.fixture(scope="module", params=["staging", "prod"])
def stands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stands]:
    checkout = whole_checkout(tmp_path_factory.mktemp("checkout"))
    try:
        done = checkout.run("rehearse-up", "--env", request.param, "--json")
        assert done.returncode == 0, done.stderr
        running = cloud_control.found(checkout.root, request.param)
        yield Stands(checkout, json.loads(done.stdout), running)
    finally:
        checkout.end()


def test_up_tells_what_stands_and_leaves_the_checkout_as_it_was(stands: Stands) -> None:
    running, up = stands.running, stands.up
    assert {key: up[key] for key in ("environment", "account_id", "region", "endpoint_url", "registered")} == {
        "environment": running.environment,
        "account_id": {"staging": "222222222222", "prod": "333333333333"}[running.environment],
        "region": "eu-west-1",
        "endpoint_url": running.endpoint_url,
        "registered": ["iris 1"],
    }
    assert [list(each["changes"]) for each in up["stacks"].values()] == [["created"], ["created"]]
    assert list(up["stacks"]) == list(running.stacks)
    assert stands.checkout.git_status() == ""
    answered = stands.checkout.run(*shlex.split(up["try"])[1:], "--json")
    assert (answered.returncode, json.loads(answered.stdout)["version"]) == (0, "1"), answered.stderr


@pytest.mark.parametrize("layer", ["platform", "models"])
def test_a_second_run_is_quiet_by_hand_and_from_another_checkout(stands: Stands, layer: str) -> None:
    stack = f"{layer}-{stands.running.environment}"
    done = stands.in_a_shell(*FROM_HERE, f"pulumi preview --non-interactive --expect-no-changes --stack {stack}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stands.checkout.git_status() == ""


def test_the_cloud_that_runs_is_found_and_no_rehearsal_takes_its_place(stands: Stands) -> None:
    environment, checkout = stands.running.environment, stands.checkout
    again = checkout.run("cloud", "start", "--env", environment, "--json")
    assert (again.returncode, json.loads(again.stdout)["started"]) == (0, False)
    status = json.loads(checkout.run("cloud", "status", "--json").stdout)
    assert {key: status[key] for key in ("running", "environment", "endpoint_url", "pid")} == {
        "running": True,
        "environment": environment,
        "endpoint_url": stands.running.endpoint_url,
        "pid": stands.running.pid,
    }
    assert [(each["stack"], each["pending"]) for each in status["stacks"]] == [(s, 0) for s in stands.running.stacks]
    assert all(each["resources"] > each["protected"] > 5 for each in status["stacks"])
    served = checkout.run("rehearse", "--serve")
    assert served.returncode == 1
    assert f"error: the emulated cloud of {environment} runs in this checkout, and a served" in served.stderr
    in_process = checkout.run("up", "--env", environment)
    assert in_process.returncode == 1
    assert f"an engine of its own: make rehearse-up ENV={environment}" in in_process.stderr


UNUSED = """
exceptions:
  - rule: bucket-versioned
    urn: "urn:pulumi:platform-*::mainstage::*::nothing"
    owner: ml-platform
    reason: nobody needs it
    expires: {expires}
"""


def test_a_policy_stops_an_up_and_is_told(stands: Stands) -> None:
    """Through an exception that nothing needs, which is a violation too."""
    exceptions = stands.checkout.root / "policies" / "exceptions.yaml"
    before = exceptions.read_bytes()
    exceptions.write_text(UNUSED.format(expires=date.today() + timedelta(days=30)))
    try:
        up = stands.checkout.run("rehearse-up", "--env", stands.running.environment)
    finally:
        exceptions.write_bytes(before)
    stack = stands.running.stacks[0]
    assert up.returncode == 1
    assert f"error: pulumi up of {stack} failed:" in up.stderr
    assert f"exceptions.yaml:3: nothing in {stack} needs the exception from bucket-versioned" in up.stderr


PROTECTED = {
    "platform": {
        "apigatewayv2/api:Api": 1,
        "apigatewayv2/stage:Stage": 1,
        "cloudwatch/logGroup:LogGroup": 3,
        "ecr/repository:Repository": 1,
        "kms/key:Key": 2,
        "s3/bucket:Bucket": 3,
        "sagemaker/modelPackageGroup:ModelPackageGroup": 2,
        "sns/topic:Topic": 2,
    },
    "models": {
        "athena/workgroup:Workgroup": 2,
        "cloudwatch/logGroup:LogGroup": 11,
        "glue/catalogDatabase:CatalogDatabase": 2,
        "glue/catalogTable:CatalogTable": 2,
        "kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": 2,
        "sagemaker/endpoint:Endpoint": 1,
        # Each log has a spool and its dead letters; the release watch has dead letters.
        "sqs/queue:Queue": 5,
    },
}


def test_down_leaves_what_is_protected_and_says_so(stands: Stands) -> None:
    """Last in this file: it takes the environment down."""
    running, checkout = stands.running, stands.checkout
    # A workgroup that was queried is not empty: nothing may stop half-way for that.
    assert checkout.run("predictions", "latency", "iris").returncode == 0
    down = checkout.run("rehearse-down", "--env", running.environment, "--json")
    assert down.returncode == 0, down.stderr
    told = json.loads(down.stdout)
    assert (told["environment"], told["cloud_stopped"]) == (running.environment, False)
    counted: dict[str, dict[str, int]] = {"platform": {}, "models": {}}
    for each in told["remaining"]:
        if each["reason"] == "protected":
            kinds = counted[each["stack"].partition("-")[0]]
            kind = each["type"].removeprefix("aws:")
            kinds[kind] = kinds.get(kind, 0) + 1
    assert counted == PROTECTED
    assert {each["reason"] for each in told["remaining"]} == {"protected", "a protected one needs it"}
    shown = checkout.run("rehearse-down", "--env", running.environment)
    assert shown.returncode == 0
    assert "registry-bucket-bucket" in shown.stdout
    assert "mainstage cloud stop" in shown.stdout
    assert checkout.git_status() == ""
    stopped = checkout.run("cloud", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"stopped: {running}\n")
    assert not (running.directory.parent).exists()
