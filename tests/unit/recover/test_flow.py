"""Recovery of a stack from export to import, with a played `pulumi` and the emulated cloud."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from played_pulumi import STACK, Played, state, under_way, urn
from provider_driver import ACCOUNT_ID
from provider_world import World
from sleeps import sleeps_by

from infra.cli import recover as command
from infra.cli.output import document
from infra.recover import Unresolved, flow, plan, recover, recover_before
from infra.recover.checkout import CheckoutPulumi, NoPulumi, Ran
from infra.recover.orphans import clean, orphans
from infra.registry.target import Target, TargetError
from infra.rehearsal import standing
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.pulumi_cli.project import project_at

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

VPC = "aws:ec2/vpc:Vpc"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"


def make_vpc(cloud: Cloud, tags: dict[str, str], cidr_block: str = "10.0.0.0/16") -> str:
    given = [{"Key": key, "Value": text} for key, text in tags.items()]
    made = cloud.client("ec2").create_vpc(
        CidrBlock=cidr_block, TagSpecifications=[{"ResourceType": "vpc", "Tags": given}]
    )
    return made["Vpc"]["VpcId"]


def test_nothing_pending_is_one_export_and_no_words(target: Target, default_tags: dict[str, str]) -> None:
    pulumi = Played(state(default_tags))
    assert recover_before(pulumi, STACK, target, pytest.fail).decisions == ()
    assert pulumi.ran == ["stack export"]


def test_a_stack_that_is_not_there_yet_has_nothing_to_recover(target: Target) -> None:
    assert recover_before(Played(None), STACK, target, pytest.fail).decisions == ()


def test_a_state_that_cannot_be_read_stops_everything(target: Target) -> None:
    pulumi = Played(None)
    pulumi.try_run = lambda *arguments: Ran(255, "", "error: incorrect passphrase")  # type: ignore[method-assign]
    with pytest.raises(Unresolved, match="its state cannot be read, so nothing is brought up: error: incorrect pass"):
        recover_before(pulumi, STACK, target, pytest.fail)


def test_the_state_of_another_account_is_left_alone(target: Target, default_tags: dict[str, str]) -> None:
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16"), account="222222222222"))
    for act in (lambda: recover(pulumi, STACK, target, list().append), lambda: plan(pulumi, STACK, target)):
        with pytest.raises(
            Unresolved, match=f"belongs to account 222222222222, but the target is account {ACCOUNT_ID}"
        ):
            act()
    assert "stack import" not in pulumi.ran


def test_one_refused_keeps_all_from_being_done(cloud: Cloud, target: Target, default_tags: dict[str, str]) -> None:
    twins = sorted(make_vpc(cloud, default_tags) for _ in range(2))
    other = make_vpc(cloud, default_tags, "10.1.0.0/16")
    pulumi = Played(
        state(
            default_tags,
            under_way(VPC, "twin", cidrBlock="10.0.0.0/16"),
            under_way(VPC, "other", cidrBlock="10.1.0.0/16"),
            under_way("aws:mq/broker:Broker", "odd"),
        )
    )
    before = json.dumps(pulumi.state)
    with pytest.raises(Unresolved) as refused:
        recover(pulumi, STACK, target, list().append)
    assert str(refused.value).splitlines() == [
        "platform-dev: nothing is brought up before these are decided",
        f"- refuse {VPC} twin: 2 fit: {twins[0]}, {twins[1]}; say which one it is",
        f"  it is this stack's: mainstage recover --stack {STACK} --yes --take {urn(VPC, 'twin')}={twins[0]}",
        f"  it is not, or you have deleted it: mainstage recover --stack {STACK} --yes --forget {urn(VPC, 'twin')}",
        "- refuse aws:mq/broker:Broker odd: nothing here knows how to find one of its type; look in AWS whether there "
        "is one",
        f"  it is this stack's: mainstage recover --stack {STACK} --yes --take {urn('aws:mq/broker:Broker', 'odd')}=ID",
        "  it is not, or you have deleted it: mainstage recover --stack platform-dev --yes --forget "
        f"{urn('aws:mq/broker:Broker', 'odd')}",
    ]
    assert [each["act"] for each in refused.value.details["decisions"]] == ["refuse", "refuse"]
    assert json.dumps(pulumi.state) == before
    answers = {urn(VPC, "twin"): twins[1], urn("aws:mq/broker:Broker", "odd"): ""}
    recover(pulumi, STACK, target, list().append, answers=answers)
    assert pulumi.resources == [(VPC, other), (VPC, twins[1])]


def test_rehearse_up_does_not_begin(cloud: Cloud, target: Target, default_tags: dict[str, str], tmp_path: Path) -> None:
    """While somebody has to decide."""

    class Stops(Played):
        project = project_at(tmp_path, tmp_path)

        def follow(self, *_: str, on_line: Any) -> Any:
            pytest.fail("it began")

    for _ in range(2):
        make_vpc(cloud, default_tags)
    backend = tmp_path.as_uri()
    pulumi = Stops(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")), backend_url=backend)
    for work in (standing._up, standing._destroy):
        with pytest.raises(Unresolved, match="nothing is brought up before these are decided"):
            work(pulumi, STACK, target, lambda _: None, lambda _: None)  # type: ignore[arg-type]


def test_what_cannot_be_looked_for_stops_nothing(cloud: Cloud, target: Target, default_tags: dict[str, str]) -> None:
    cloud.faults.add("sagemaker", "ListEndpoints", AwsError("AccessDeniedException", "not you", 403))
    said: list[str] = []
    recover_before(Played(state(default_tags)), STACK, target, said.append)
    assert len(said) == 1
    assert said[0].startswith("platform-dev: cannot look for what failed creates left: ")


def test_an_answer_to_nothing_is_refused(target: Target, default_tags: dict[str, str]) -> None:
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")))
    with pytest.raises(Unresolved, match=f"no operation is open for {urn(VPC, 'typo')}; see mainstage recover"):
        recover(pulumi, STACK, target, list().append, answers={urn(VPC, "typo"): "vpc-1"})


@pytest.mark.parametrize("held", [None, {}])
def test_an_answer_is_refused_where_nothing_is_pending(
    target: Target, default_tags: dict[str, str], held: dict[str, Any] | None
) -> None:
    """Also in a stack that is not there yet."""
    pulumi = Played(state(default_tags) if held is None else None)
    for act in (
        lambda: recover(pulumi, STACK, target, pytest.fail, answers={urn(VPC, "nope"): "vpc-1"}),
        lambda: plan(pulumi, STACK, target, {urn(VPC, "nope"): ""}),
    ):
        with pytest.raises(Unresolved, match=f"no operation is open for {urn(VPC, 'nope')}; see mainstage recover"):
            act()
    assert pulumi.ran == ["stack export", "stack export"]


def test_a_stack_that_a_person_names_has_to_be_there(target: Target) -> None:
    pulumi = Played(None)
    for act in (
        lambda: recover(pulumi, STACK, target, pytest.fail, must_exist=True),
        lambda: plan(pulumi, STACK, target, must_exist=True),
    ):
        with pytest.raises(Unresolved, match=r"^platform-dev: there is no such stack in the backend s3://states"):
            act()


def test_a_refused_look_is_a_persons(cloud: Cloud, target: Target, default_tags: dict[str, str]) -> None:
    cloud.faults.add("ec2", "DescribeVpcs", AwsError("UnauthorizedOperation", "not you", 403))
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")))
    [decision] = plan(pulumi, STACK, target).decisions
    assert decision.act == "refuse"
    assert decision.reason.startswith("cannot look for it: ")
    assert "UnauthorizedOperation" in decision.reason


# Locks


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def lock(pid: int, host: str = "") -> str:
    holder = f"{getpass.getuser()}@{host or socket.gethostname()} (pid {pid})"
    return (
        "error: the stack is currently locked by 1 lock(s). Either wait\n"
        f"  s3://states/.pulumi/locks/{STACK}/a.json: created by {holder} at 2026-11-21T19:37:34Z\n"
    )


def test_the_lock_of_a_dead_process_is_removed(
    cloud: Cloud, target: Target, default_tags: dict[str, str], dead: int
) -> None:
    made = make_vpc(cloud, default_tags)
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")), locked=lock(dead))
    said: list[str] = []
    recover(pulumi, STACK, target, said.append)
    assert pulumi.resources == [(VPC, made)]
    assert pulumi.ran == ["stack export", "stack import", "cancel --yes", "stack import"]
    who = f"process {dead} ({getpass.getuser()} on {socket.gethostname()}, since 2026-11-21T19:37:34)"
    assert f"{STACK}: removed a lock left by {who}, which is gone" in said


@pytest.mark.parametrize("host", ["", "runner-7"])
def test_a_lock_that_may_be_held_stops_everything(
    target: Target, default_tags: dict[str, str], dead: int, host: str
) -> None:
    """Of a living process here; of any process elsewhere."""
    held = lock(dead, host) if host else lock(os.getpid())
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")), locked=held)
    with pytest.raises(Unresolved, match=r"another update holds the lock: .* it is dead: pulumi cancel"):
        recover(pulumi, STACK, target, list().append)
    assert "cancel --yes" not in pulumi.ran


def test_a_dead_lock_goes_where_nothing_is_pending(
    target: Target, default_tags: dict[str, str], dead: int, tmp_path: Path
) -> None:
    folder = tmp_path / ".pulumi" / "locks" / "organization" / "mainstage" / STACK
    folder.mkdir(parents=True)
    content = {"pid": dead, "username": getpass.getuser(), "hostname": socket.gethostname(), "timestamp": "then"}
    (folder / "a.json").write_text(json.dumps(content))
    pulumi = Played(state(default_tags), backend_url=tmp_path.as_uri())
    assert plan(pulumi, STACK, target).decisions == ()
    assert pulumi.ran == ["stack export"]
    recover(pulumi, STACK, target, list().append)
    assert pulumi.ran[1:] == ["cancel --yes", "stack export"]


def test_a_state_that_is_not_taken_is_said(cloud: Cloud, target: Target, default_tags: dict[str, str]) -> None:
    make_vpc(cloud, default_tags)
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")), refusal="error: no integrity")
    with pytest.raises(Unresolved, match="was not taken, nothing has changed: error: no integrity"):
        recover(pulumi, STACK, target, list().append)


# What AWS is at, and what it has given up


def test_what_aws_is_still_making_is_waited_for(
    cloud: Cloud, world: World, target: Target, default_tags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = world.endpoint_inputs()
    cloud.client("sagemaker").create_endpoint(
        EndpointName="iris",
        EndpointConfigName=inputs["endpointConfigName"],
        Tags=[{"Key": key, "Value": text} for key, text in default_tags.items()],
    )
    pulumi = Played(state(default_tags, under_way(ENDPOINT, **inputs)))
    monkeypatch.setattr(flow, "find", lambda *_: [flow.Found("iris", state="busy", status="Creating")])
    with pytest.raises(Unresolved, match="when AWS is done: mainstage recover --stack platform-dev --yes"):
        recover(pulumi, STACK, target, list().append, wait_seconds=0)
    monkeypatch.undo()
    said: list[str] = []
    recover(pulumi, STACK, target, said.append)
    assert pulumi.resources == [(ENDPOINT, "iris")]


def test_what_aws_could_not_make_is_deleted_and_forgotten(
    cloud: Cloud, world: World, target: Target, default_tags: dict[str, str]
) -> None:
    failed_endpoint(cloud, world, default_tags)
    pulumi = Played(state(default_tags, under_way(ENDPOINT, **world.endpoint_inputs())))
    said: list[str] = []
    recovered = recover(pulumi, STACK, target, said.append)
    assert [(each.act, each.id) for each in recovered.decisions] == [("remove", "iris")]
    assert pulumi.resources == []
    assert said[-2:] == [f"removed {ENDPOINT} it iris", "platform-dev: recovered; up goes on from here"]
    gone = cloud.client("sagemaker").get_waiter("endpoint_deleted")
    gone.wait(EndpointName="iris", WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})


def failed_endpoint(cloud: Cloud, world: World, tags: dict[str, str]) -> None:
    inputs = world.endpoint_inputs()
    cloud.client("s3").delete_object(Bucket=world.bucket.id, Key="models/iris/1/model.tar.gz")
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_endpoint(
        EndpointName="iris",
        EndpointConfigName=inputs["endpointConfigName"],
        Tags=[{"Key": key, "Value": text} for key, text in tags.items()],
    )
    while sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"] == "Creating":
        pass


def test_orphans_are_listed_and_what_failed_is_cleaned(
    cloud: Cloud, world: World, target: Target, default_tags: dict[str, str]
) -> None:
    """Those of this stack only; what may serve or hold something is never deleted."""
    failed_endpoint(cloud, world, default_tags)
    mine = make_vpc(cloud, default_tags)
    make_vpc(cloud, {**default_tags, "mainstage:layer": "models"})
    make_vpc(cloud, {"team": "other"})
    known = make_vpc(cloud, default_tags)
    has = state(default_tags)
    for each in (world.key, world.vpc):
        has["deployment"]["resources"].append({"urn": each.urn, "type": each.type, "id": each.id})
    has["deployment"]["resources"].append({"urn": urn(VPC, "known"), "type": VPC, "id": known})
    found = orphans(has, target)
    assert [(each.type, each.id, each.removable, each.command) for each in found] == [
        (VPC, mine, False, f"aws ec2 delete-vpc --vpc-id {mine}"),
        (ENDPOINT, "iris", True, "aws sagemaker delete-endpoint --endpoint-name iris"),
    ]
    assert str(found[0]) == (
        f"{VPC} {mine}: no state knows it; it may serve or hold something; look at it, then: "
        f"aws ec2 delete-vpc --vpc-id {mine}"
    )
    assert [each.id for each in orphans(has, target, left_out=True)] == ["iris"]
    assert [each.id for each in orphans(has, target, taken=["iris"])] == [mine]
    said: list[str] = []
    assert [each.id for each in clean(has, target, said.append)] == ["iris"]
    assert said == [f"removed {ENDPOINT} iris (Failed)"]
    assert [each.id for each in orphans(has, target)] == [mine]


@pytest.mark.parametrize("missing", ["mainstage:environment", "mainstage:layer", "mainstage:managed-by"])
def test_without_the_tags_that_name_a_stack_nothing_is_its_own(
    cloud: Cloud, target: Target, default_tags: dict[str, str], missing: str
) -> None:
    make_vpc(cloud, default_tags)
    assert orphans(state({key: text for key, text in default_tags.items() if key != missing}), target) == []
    assert orphans({}, target) == []


# On the account itself


def test_on_aws_we_look_twice_before_we_call_it_missing(
    cloud: Cloud, target: Target, default_tags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS shows new things late."""
    slept: list[float] = []
    made: list[str] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        made.append(make_vpc(cloud, default_tags))

    sleeps_by(monkeypatch, flow, sleep)
    monkeypatch.setattr(type(target), "emulated", property(lambda _: False))
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")))
    recover(pulumi, STACK, target, list().append)
    assert slept == [flow.SETTLE_SECONDS]
    assert pulumi.resources == [(VPC, made[0])]


def test_the_checkouts_pulumi_is_the_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "bin" / "pulumi"
    binary.parent.mkdir()
    binary.write_text('#!/bin/sh\necho "$@ $PWD"; echo oops >&2; exit 3\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    ran = CheckoutPulumi(tmp_path).try_run("stack", "export")
    assert (ran.code, ran.told) == (3, f"stack export --non-interactive {tmp_path}\noops")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(NoPulumi, match="make pulumi"):
        CheckoutPulumi(tmp_path).try_run("stack", "export")


# The command


@pytest.fixture
def played(target: Target, default_tags: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Played:
    pulumi = Played(state(default_tags, under_way(VPC, cidrBlock="10.0.0.0/16")))
    monkeypatch.setattr(command, "_place", lambda *_: (pulumi, target))
    document.begin()  # as each command line does: a test before this one may have written its document
    return pulumi


def test_the_command_shows_and_with_yes_acts(
    cloud: Cloud, played: Played, default_tags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_vpc(cloud, default_tags)
    command.recover(stack=STACK)
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{STACK}: an update was interrupted; mainstage recover --yes would",
        f"  import {VPC} it {made}: AWS has it, the state does not",
    ]
    assert played.resources == []
    command.recover(stack=STACK, yes=True, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["stacks"][0]["acted"] is True
    assert [(each["act"], each["id"]) for each in shown["stacks"][0]["decisions"]] == [("import", made)]
    assert shown["orphans"] == []
    assert played.resources == [(VPC, made)]
    command.recover(stack=STACK)
    assert capsys.readouterr().out.splitlines()[1:] == [f"{STACK}: nothing is left of an interrupted update"]


def test_the_command_ends_with_1_when_a_person_has_to_decide(
    cloud: Cloud, played: Played, default_tags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    twins = sorted(make_vpc(cloud, default_tags) for _ in range(2))
    with pytest.raises(typer.Exit) as ended:
        command.recover(stack=STACK)
    assert ended.value.exit_code == 1
    assert f"--take {urn(VPC)}={twins[0]}" in capsys.readouterr().err
    command.recover(stack=STACK, yes=True, take=[f"{urn(VPC)}={twins[1]}"])
    assert played.resources == [(VPC, twins[1])]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"take": ["vpc-1"]}, "write it as URN=ID"),
        ({"take": [f"{urn(VPC)}="]}, "write it as URN=ID"),
        ({"forget": ["vpc"]}, "write the URN, in single quotes"),
        ({"take": [f"{urn(VPC)}=vpc-1"], "forget": [urn(VPC)]}, f"two answers for {urn(VPC)}: say one"),
        ({"take": [f"{urn(VPC)}=vpc-1", f"{urn(VPC)}=vpc-2"]}, f"two answers for {urn(VPC)}: say one"),
        ({"forget": ["urn:pulumi:nostack::a::b::c"]}, "is of none of the stacks looked at: platform-dev$"),
        ({"take": ["urn:pulumi:models-dev::a::b::c=d"]}, "is of none of the stacks looked at: platform-dev$"),
    ],
)
def test_answers_that_are_none_are_refused(played: Played, options: dict[str, Any], text: str) -> None:
    for yes in (True, False):
        with pytest.raises(TargetError, match=text):
            command.recover(stack=STACK, yes=yes, **options)
    assert played.ran == []


@pytest.mark.parametrize("yes", [True, False])
@pytest.mark.parametrize("stack", ["nope", "platform", "models-prod", "acme/mainstage/models-prod"])
def test_a_stack_that_is_not_the_targets_is_refused(played: Played, stack: str, yes: bool) -> None:
    with pytest.raises(TargetError) as refused:
        command.recover(stack=stack, yes=yes)
    assert str(refused.value) == (
        f"--stack {stack}: the target is dev, whose stacks are platform-dev and models-dev "
        "(another environment's: --target ENVIRONMENT --profile PROFILE)"
    )
    assert played.ran == []


@pytest.mark.parametrize("yes", [True, False])
def test_a_stack_that_is_named_has_to_be_there(played: Played, yes: bool) -> None:
    played.state = None
    with pytest.raises(Unresolved, match="there is no such stack"):
        command.recover(stack=STACK, yes=yes)
    command.recover(yes=yes)


def test_a_stack_may_be_named_with_its_organization_and_project(
    cloud: Cloud, played: Played, default_tags: dict[str, str]
) -> None:
    twins = [make_vpc(cloud, default_tags) for _ in range(2)]
    command.recover(stack=f"acme/mainstage/{STACK}", yes=True, take=[f"{urn(VPC)}={twins[1]}"])
    assert played.resources == [(VPC, twins[1])]


def test_clean_without_yes_says_that_it_deletes_nothing(
    cloud: Cloud,
    world: World,
    played: Played,
    default_tags: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    played.state = state(default_tags)
    command.recover(stack=STACK, clean=True)
    assert capsys.readouterr().out.splitlines()[-1] == "--clean: there is nothing for it to delete"
    failed_endpoint(cloud, world, default_tags)
    command.recover(stack=STACK, clean=True)
    assert capsys.readouterr().out.splitlines()[-1] == "--clean deletes nothing without --yes; with it: iris"
    command.recover(stack=STACK)
    assert "--clean deletes" not in capsys.readouterr().out
    command.recover(stack=STACK, clean=True, yes=True)
    shown = capsys.readouterr().out
    assert f"removed {ENDPOINT} iris (Failed)" in shown
    assert "--clean deletes" not in shown
