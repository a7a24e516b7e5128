"""Updates killed inside Create: what a bare `pulumi up` makes of them, and what recovering does. With the real engine.

The emulated cloud does what it is asked and holds the answer back; then pulumi dies.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_program import SmallProgram
from engine_world import EngineWorld
from provider_driver import configured
from provider_world import World

from infra.recover import Unresolved, flow, plan, recover, recover_before
from infra.recover.operations import CREATING
from infra.recover.orphans import clean, orphans
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.faults import Fault
from infra.rehearsal.pulumi_cli.cli import kill

TAGS = {"mainstage:environment": "dev", "mainstage:layer": "platform", "mainstage:managed-by": "pulumi"}
BEGINNING = f"""
import json
import pulumi
import pulumi_aws as aws

provider = aws.Provider(
    "aws", region="eu-west-1", default_tags={{"tags": {TAGS!r}}}, allowed_account_ids=["111111111111"]
)
here = pulumi.ResourceOptions(provider=provider)
"""
THREE = """
vpc = aws.ec2.Vpc(
    "network", cidr_block="10.9.0.0/16", enable_dns_hostnames=True, tags={"Name": "network"}, opts=here
)
trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
role = aws.iam.Role(
    "worker",
    name="worker",
    description=pulumi.Output.secret("only-for-some-eyes"),
    assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    opts=here,
)
queue = aws.sqs.Queue("work", name="work", opts=here)
subnet = aws.ec2.Subnet("inside", vpc_id=vpc.id, cidr_block="10.9.1.0/24", tags={"Name": "inside"}, opts=here)
"""
ENDPOINT = """
aws.sagemaker.Endpoint("iris", name="iris", endpoint_config_name="world", opts=here)
"""


@pytest.fixture
def program(world: EngineWorld, tmp_path: Path) -> SmallProgram:
    made = SmallProgram(world, tmp_path / "small")
    # As our Pulumi.yaml has it.
    with (made.cli.project.folder / "Pulumi.yaml").open("a") as file:
        file.write("options: {refresh: always}\n")
    return made


class Killed:
    """Holds calls of a cloud back, and kills the update when all of them are held."""

    def __init__(self, world: EngineWorld, program: SmallProgram):
        self._world, self._program = world, program
        self._go_on = threading.Event()
        self._faults: list[Fault] = []

    def hold(self, service: str, operation: str, *, answered: bool = True) -> None:
        """answered: the call takes effect, and its answer is held; False: it never arrives."""
        lost = AwsError("RequestCanceled", "pulumi is dead", 400)
        self._faults.append(
            self._world.cloud.faults.add(service, operation, lost, answered=answered, until=self._go_on)
        )

    def up(self, while_it_runs: Callable[[], object] = lambda: None) -> None:
        stack = self._program.stack
        process = self._program.cli.start("up", "--yes", "--skip-preview", "--stack", stack)
        try:
            while not all(fault.hits for fault in self._faults):
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            self._until_written()
            while_it_runs()
        finally:
            kill(process)
            for fault in self._faults:
                fault.remove()
            self._go_on.set()

    def _until_written(self) -> None:
        """The engine writes its state beside the provider's calls."""
        while len(pending(self._program, "creating", "updating")) < len(self._faults):
            time.sleep(0.02)


def pending(program: SmallProgram, *kinds: str) -> list[str]:
    """The names of what is under way. kinds: creating when not given."""
    found = program.cli.state(program.stack)["deployment"].get("pending_operations") or []
    return sorted(
        each["resource"]["urn"].rpartition("::")[2] for each in found if each["type"] in (kinds or (CREATING,))
    )


def vpcs(world: EngineWorld) -> list[str]:
    found = world.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["network"]}])["Vpcs"]
    return [each["VpcId"] for each in found]


def up(program: SmallProgram) -> Any:
    return program.cli.try_run("up", "--yes", "--skip-preview", "--stack", program.stack)


def test_a_bare_up_makes_a_second_vpc_and_says_nothing(world: EngineWorld, program: SmallProgram) -> None:
    """Why there is `mainstage recover`. When this fails, the engine has learned it: read ADR 0008 again.

    Recovering after it, instead of before, can only say what is left over.
    """
    program.write(BEGINNING, THREE)
    killed = Killed(world, program)
    killed.hold("ec2", "CreateVpc")

    def the_others_are_made() -> None:
        while not {"worker", "work"} <= set(program.resources()):
            time.sleep(0.02)

    killed.up(the_others_are_made)
    assert "the stack is currently locked by 1 lock" in up(program).told
    program.cli.run("cancel", "--yes", "--stack", program.stack)
    done = up(program)
    assert done.code == 0
    assert "pending" not in done.told
    assert pending(program) == ["network"]
    known = program.resources()["network"]["id"]
    [left] = set(vpcs(world)) - {known}
    said: list[str] = []
    recovered = recover(program.cli, program.stack, world.target, said.append)
    assert said[1] == (
        "forget aws:ec2/vpc:Vpc network: a later up made another one, which the state has; left over in AWS: " + left
    )
    [orphan] = orphans(recovered.state, world.target)
    assert (orphan.id, orphan.removable) == (left, False)
    assert orphan.command == f"aws ec2 delete-vpc --vpc-id {left}"
    assert pending(program) == []


def test_a_killed_up_is_recovered(
    world: EngineWorld, program: SmallProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A VPC and a role that were made, a queue that was not: one of each in the end."""
    program.write(BEGINNING, THREE)
    killed = Killed(world, program)
    killed.hold("ec2", "CreateVpc")
    killed.hold("iam", "CreateRole")
    killed.hold("sqs", "CreateQueue", answered=False)

    def refused_while_it_runs() -> None:
        with pytest.raises(Unresolved, match=r"another update holds the lock: .* Wait for it"):
            recover_before(program.cli, program.stack, world.target, pytest.fail)

    killed.up(refused_while_it_runs)
    assert pending(program) == ["network", "work", "worker"]
    [made] = vpcs(world)

    # Nothing is done while it is not clear which one it is; a bare look does nothing at all.
    twin = world.client("ec2").create_vpc(
        CidrBlock="10.9.0.0/16",
        TagSpecifications=[
            {
                "ResourceType": "vpc",
                "Tags": [{"Key": key, "Value": text} for key, text in {**TAGS, "Name": "network"}.items()],
            }
        ],
    )["Vpc"]["VpcId"]
    said: list[str] = []
    with pytest.raises(Unresolved, match="nothing is brought up before") as refused:
        recover_before(program.cli, program.stack, world.target, said.append)
    assert f"--take {program.urn('aws:ec2/vpc:Vpc', 'network')}={min(made, twin)}" in str(refused.value)
    assert pending(program) == ["network", "work", "worker"]
    world.client("ec2").delete_vpc(VpcId=twin)
    planned = plan(program.cli, program.stack, world.target)
    assert {each.operation.name: (each.act, each.id) for each in planned.decisions} == {
        "network": ("import", made),
        "worker": ("import", "worker"),
        "work": ("forget", ""),
    }
    assert pending(program) == ["network", "work", "worker"]

    monkeypatch.setattr(flow.tempfile, "tempdir", str(tmp_path))
    written: list[str] = []
    unlink = Path.unlink

    def kept(path: Path, missing_ok: bool = False) -> None:
        written.append(path.read_text())
        assert path.stat().st_mode & 0o077 == 0
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", kept)
    recovered = recover(program.cli, program.stack, world.target, said.append)
    monkeypatch.undo()
    assert recovered.acted
    assert "import aws:ec2/vpc:Vpc network " + made + ": AWS has it, the state does not" in said
    [removed] = [line for line in said if "removed a lock" in line]
    assert removed.startswith("test: removed a lock left by process ")
    assert removed.endswith("), which is gone")
    # The role's description is secret: what was written held its ciphertext only.
    assert len(written) == 1
    assert "only-for-some-eyes" not in written[0]
    assert "ciphertext" in written[0]
    assert not list(tmp_path.glob("mainstage-state-*"))

    done = up(program)
    assert done.code == 0, done.told
    program.cli.preview(program.stack, "--expect-no-changes")
    assert vpcs(world) == [made]
    resources = program.resources()
    assert resources["network"]["id"] == made
    # The kill came before the attribute was set: the refresh saw it, and up set it.
    attribute = world.client("ec2").describe_vpc_attribute(VpcId=made, Attribute="enableDnsHostnames")
    assert attribute["EnableDnsHostnames"]["Value"] is True
    assert resources["inside"]["outputs"]["vpcId"] == made
    assert "only-for-some-eyes" not in str(resources["worker"])
    assert [each["RoleName"] for each in world.client("iam").list_roles()["Roles"]] == ["worker"]
    assert len(world.client("sqs").list_queues()["QueueUrls"]) == 1
    assert recover_before(program.cli, program.stack, world.target, pytest.fail).decisions == ()


def test_a_replacement_and_an_update_that_were_killed(world: EngineWorld, program: SmallProgram) -> None:
    """The new VPC is taken in and the old one goes with the next up; what was being changed needs no more than that."""
    program.write(BEGINNING, THREE)
    assert up(program).code == 0
    [old] = vpcs(world)
    changed = THREE.replace("10.9.", "10.10.").replace('name="work"', 'name="work", visibility_timeout_seconds=77')
    program.write(BEGINNING, changed)
    killed = Killed(world, program)
    killed.hold("ec2", "CreateVpc")
    killed.hold("sqs", "SetQueueAttributes", answered=False)
    killed.up()
    [new] = set(vpcs(world)) - {old}
    said: list[str] = []
    recovered = recover(program.cli, program.stack, world.target, said.append)
    assert {(each.operation.kind, each.operation.name): (each.act, each.id) for each in recovered.decisions} == {
        ("creating", "network"): ("import", new),
        ("updating", "work"): ("forget", ""),
    }
    done = up(program)
    assert done.code == 0, done.told
    program.cli.preview(program.stack, "--expect-no-changes")
    assert vpcs(world) == [new]
    resources = program.resources()
    assert resources["inside"]["outputs"]["vpcId"] == resources["network"]["id"] == new
    url = resources["work"]["id"]
    attributes = world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"] == {"VisibilityTimeout": "77"}


def test_an_endpoint_that_aws_was_still_making(world: EngineWorld, program: SmallProgram) -> None:
    """Taken in when it serves; removed when AWS could not make it; found when only the state forgot it."""
    made = World(configured(world.cloud), world.cloud)
    assert made.configuration.id == "world"
    sagemaker = world.client("sagemaker")
    program.write(BEGINNING, ENDPOINT)
    killed = Killed(world, program)
    killed.hold("sagemaker", "CreateEndpoint")
    killed.up()
    said: list[str] = []
    recovered = recover(program.cli, program.stack, world.target, said.append)
    assert [(each.act, each.id) for each in recovered.decisions] == [("import", "iris")]
    assert up(program).code == 0
    program.cli.preview(program.stack, "--expect-no-changes")
    assert [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]] == ["iris"]

    # A first create that fails: the provider records nothing, and the next up says "already exists" for ever.
    program.cli.run("destroy", "--yes", "--skip-preview", "--stack", program.stack)
    archive = {"Bucket": made.bucket.id, "Key": "models/iris/1/model.tar.gz"}
    content = world.client("s3").get_object(**archive)["Body"].read()
    world.client("s3").delete_object(**archive)
    assert "unexpected state 'Failed'" in up(program).told
    assert sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"] == "Failed"
    said.clear()
    recover_before(program.cli, program.stack, world.target, said.append)
    assert said == [
        "aws:sagemaker/endpoint:Endpoint iris (Failed): no state knows it; AWS could not make it; mainstage recover "
        "--clean --yes removes it"
    ]
    state = program.cli.state(program.stack)
    assert [each.id for each in orphans(state, world.target)] == ["iris"]
    assert [each.id for each in clean(state, world.target, said.append)] == ["iris"]
    world.client("s3").put_object(**archive, Body=content)
    assert up(program).code == 0
    assert sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"] == "InService"
