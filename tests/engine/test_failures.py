"""A provider call that fails half-way: a clear error, a state that says what is there, and a next `up` that goes on."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from engine_program import PROVIDER, SmallProgram
from engine_world import EngineWorld

from infra.rehearsal.cloud.api import AwsError

PROGRAM = """
BUCKET = "half-way-111111111111"
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"


def trust(service):
    lets = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [lets]})


def allow(*actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})


aws.sqs.Queue("fine", name="half-fine", visibility_timeout_seconds=VISIBLE, opts=here)
denied = aws.iam.Role("denied", name="half-denied", assume_role_policy=trust("lambda.amazonaws.com"), opts=here)
after = pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(depends_on=[denied]))
aws.sqs.Queue("after", name="half-after", opts=after)
aws.sns.Topic("throttled", name="half-throttled", display_name="asked", opts=here)
aws.ec2.Vpc("quota", cidr_block="10.77.0.0/16", opts=here)
aws.ec2.Vpc("half", cidr_block="10.78.0.0/16", enable_dns_hostnames=True, opts=here)

role = aws.iam.Role("execution", name="half-execution", assume_role_policy=trust("sagemaker.amazonaws.com"), opts=here)
rights = aws.iam.RolePolicy("rights", role=role.id, policy=allow("s3:*", "ecr:*", "logs:*", "cloudwatch:*"), opts=here)
model = aws.sagemaker.Model(
    "model",
    name="half",
    execution_role_arn=role.arn,
    primary_container={
        "image": IMAGE,
        "model_data_url": f"s3://{BUCKET}/model.tar.gz",
        "environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
    },
    opts=pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(depends_on=[rights])),
)
config = aws.sagemaker.EndpointConfiguration(
    "config",
    name="half",
    production_variants=[
        {"variant_name": "v", "model_name": model.name, "initial_instance_count": 1, "instance_type": "ml.m5.large"}
    ],
    opts=here,
)
aws.sagemaker.Endpoint("endpoint", name="half", endpoint_config_name=config.name, opts=here)
"""

BUCKET = "half-way-111111111111"
DENIED = AwsError("AccessDenied", "User: somebody is not authorized to perform: iam:CreateRole", 403)
THROTTLED = AwsError("Throttling", "Rate exceeded", 400)
QUOTA = AwsError("VpcLimitExceeded", "The maximum number of VPCs has been reached.", 400)
FORBIDDEN = AwsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)


def test_what_fails_half_way_is_told_recorded_and_gone_on_with(beside: EngineWorld, tmp_path: Path) -> None:
    program = SmallProgram(beside, tmp_path)
    faults = beside.cloud.faults
    location = {"LocationConstraint": "eu-west-1"}
    beside.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    _put_archive(beside, "raise RuntimeError('no such model')\n")
    try:
        faults.add("iam", "CreateRole", DENIED, match=lambda call: call.params["RoleName"] == "half-denied")
        faults.add("sns", "SetTopicAttributes", THROTTLED)
        faults.add("ec2", "CreateVpc", QUOTA, match=lambda call: call.params["CidrBlock"] == "10.77.0.0/16")
        faults.add("ec2", "ModifyVpcAttribute", FORBIDDEN)
        program.write(PROVIDER, "VISIBLE = 30", PROGRAM)
        done = _up(program, "--continue-on-error")
        assert done.code == 1
        _told_once_each(done.told)
        _recorded_as_it_is(program, beside)

        faults.clear()
        update = faults.add("sqs", "SetQueueAttributes", AwsError("AccessDenied", "Access to the resource is denied."))
        _put_archive(beside, "def model_fn(folder):\n    return None\n")
        program.write(PROVIDER, "VISIBLE = 60", PROGRAM)
        again = _up(program, "--continue-on-error")
        assert again.code == 1
        errors = _errors(again.told)
        assert errors.keys() == {"endpoint", "fine"}
        assert (
            "sagemaker.CreateEndpoint: ValidationException: Cannot create already existing endp" in errors["endpoint"]
        )
        assert "updating SQS Queue (https://sqs." in errors["fine"]
        assert "sqs.SetQueueAttributes: AccessDenied: Access to the resource is denied." in errors["fine"]
        resources = program.resources()
        assert "endpoint" not in resources
        assert {"denied", "after", "quota"} <= resources.keys()
        assert [name for name, one in resources.items() if one.get("initErrors")] == ["fine"]
        # The state claims what never happened, as with the real provider: only a refresh tells.
        assert resources["fine"]["outputs"]["visibilityTimeoutSeconds"] == 60
        assert _visible(beside, resources["fine"]["id"]) == "30"
        topic = beside.client("sns").get_topic_attributes(TopicArn=resources["throttled"]["id"])
        assert topic["Attributes"]["DisplayName"] == "asked"
        names = beside.client("ec2").describe_vpc_attribute(
            VpcId=resources["half"]["id"], Attribute="enableDnsHostnames"
        )
        assert names["EnableDnsHostnames"] == {"Value": True}

        update.remove()
        beside.client("sagemaker").delete_endpoint(EndpointName="half")  # what the error says to do
        assert _up(program).code == 0
        assert _endpoint(beside) == "InService"
        assert _visible(beside, resources["fine"]["id"]) == "60"
        program.cli.preview(program.stack, "--refresh", "--expect-no-changes")

        stays = faults.add("sqs", "DeleteQueue", AwsError("AccessDenied", "Access to the resource is denied."))
        destroyed = program.cli.try_run("destroy", "--yes", "--skip-preview", "--stack", program.stack)
        assert destroyed.code == 1
        assert "deleting SQS Queue (https://sqs." in destroyed.told
        assert "sqs.DeleteQueue: AccessDenied: Access to the resource is denied." in destroyed.told
        assert {"fine"} <= {name for name, one in program.resources().items() if one["type"].startswith("aws:")}
        stays.remove()
    finally:
        faults.clear()
        program.cli.run("destroy", "--yes", "--skip-preview", "--stack", program.stack)
        _take_archive(beside)
    assert _endpoint(beside) is None
    assert program.resources() == {}


NEEDS_WHAT_FAILED = """
lets = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
trust = json.dumps({"Version": "2012-10-17", "Statement": [lets]})
allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
denied = aws.iam.Role("denied", name="half-denied", assume_role_policy=trust, opts=here)
aws.iam.RolePolicy(
    "of-denied", role=denied.id, policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}), opts=here
)
"""


def test_a_required_input_that_failed_to_come_ends_a_run_that_continues_on_errors(
    beside: EngineWorld, tmp_path: Path
) -> None:
    """The in-process engine does the same (tests/rehearsal/engine/test_failures.py)."""
    program = SmallProgram(beside, tmp_path)
    program.write(PROVIDER, NEEDS_WHAT_FAILED)
    beside.cloud.faults.add("iam", "CreateRole", DENIED)
    done = _up(program, "--continue-on-error")
    assert done.code == 1
    errors = _errors(done.told)
    assert errors.keys() == {"denied", "of-denied"}
    assert 'Missing required argument: the argument "role" is required' in errors["of-denied"]
    assert [name for name, one in program.resources().items() if one["type"].startswith("aws:")] == []


def _told_once_each(told: str) -> None:
    """The type, the name, the call, AWS's code and words, each below its resource."""
    errors = _errors(told)
    assert errors.keys() == {"denied", "throttled", "quota", "half", "endpoint"}
    assert errors["denied"] == (
        "creating IAM Role (half-denied): iam.CreateRole: AccessDenied: "
        "User: somebody is not authorized to perform: iam:CreateRole"
    )
    assert errors["throttled"] == (
        "1 error occurred: * creating SNS Topic (arn:aws:sns:eu-west-1:111111111111:half-throttled): "
        "sns.SetTopicAttributes: Throttling: Rate exceeded"
    )
    assert errors["quota"] == (
        "creating EC2 VPC (quota): ec2.CreateVpc: VpcLimitExceeded: The maximum number of VPCs has been reached."
    )
    assert re.search(r"creating EC2 VPC \(vpc-\w+\): ec2.ModifyVpcAttribute: UnauthorizedOperation", errors["half"])
    assert errors["endpoint"].startswith(
        "creating SageMaker Endpoint (half): waiting for SageMaker Endpoint (half) create: unexpected state 'Failed', "
        "wanted target 'InService'. last error: "
    )
    assert "The endpoint half is left in AWS and no state knows it" in errors["endpoint"]
    assert "a fault in the rehearsal's provider" not in told


def _recorded_as_it_is(program: SmallProgram, world: EngineWorld) -> None:
    resources = program.resources()
    wanted = {"fine", "throttled", "half", "execution", "rights", "model", "config"}
    assert {name for name, one in resources.items() if one["type"].startswith("aws:")} == wanted
    broken = {name: one["initErrors"] for name, one in resources.items() if one.get("initErrors")}
    assert broken.keys() == {"throttled", "half"}
    assert all(len(reasons) == 1 for reasons in broken.values())
    assert "Rate exceeded" in broken["throttled"][0]
    assert resources["throttled"]["id"] == "arn:aws:sns:eu-west-1:111111111111:half-throttled"
    assert resources["half"]["id"].startswith("vpc-")
    assert not program.cli.state(program.stack)["deployment"].get("pending_operations")
    assert _endpoint(world) == "Failed"  # in AWS, in no state: the provider records an endpoint when it serves


def _up(program: SmallProgram, *more: str) -> Any:
    """As Pulumi.yaml has it for our stacks: what is there is read first."""
    return program.cli.try_run("up", "--yes", "--skip-preview", "--refresh", "--stack", program.stack, *more)


def _errors(told: str) -> dict[str, str]:
    """The error of each resource in the diagnostics, by logical name; the stack's own is left out."""
    found: dict[str, str] = {}
    name = ""
    for line in told.partition("\nDiagnostics:\n")[2].partition("\nResources:\n")[0].splitlines():
        heading = re.match(r"  aws:\S+ \((\S+)\):$", line)
        if heading or re.match(r"  \S", line):
            name = heading[1] if heading else ""
        elif name and (error := re.match(r" +error: (.*)", line)):
            found[name] = found.get(name, "") + error[1]
        elif name and line.strip() and name in found:
            found[name] += f" {line.strip()}"
    return found


def _visible(world: EngineWorld, queue: str) -> str:
    attributes = {"QueueUrl": queue, "AttributeNames": ["VisibilityTimeout"]}
    return world.client("sqs").get_queue_attributes(**attributes)["Attributes"]["VisibilityTimeout"]


def _endpoint(world: EngineWorld) -> str | None:
    try:
        return world.client("sagemaker").describe_endpoint(EndpointName="half")["EndpointStatus"]
    except ClientError:
        return None


def _put_archive(world: EngineWorld, inference: str) -> None:
    packed, text = io.BytesIO(), inference.encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    world.client("s3").put_object(Bucket=BUCKET, Key="model.tar.gz", Body=packed.getvalue())


def _take_archive(world: EngineWorld) -> None:
    world.client("s3").delete_object(Bucket=BUCKET, Key="model.tar.gz")
    world.client("s3").delete_bucket(Bucket=BUCKET)
