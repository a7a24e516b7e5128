"""Least privilege: each statement of each role is taken away in turn, and something that a rehearsal does fails.

A statement that nobody misses is a statement too many. Here are the roles of endpoints and of the network; those of the
front door and of the prediction log are in test_front_door_statements.py and test_log_statements.py.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from served import Served, checkout, serving

ENDPOINT = "staging-iris"
REQUEST = json.dumps({"instances": [{"sepal_length": 5, "sepal_width": 3, "petal_length": 1, "petal_width": 0.2}]})
AWAITED = "card-fraud"
"""The model of the catalog that has no version yet."""
ELSEWHERE = re.compile(r"-(front-door|not-found|transform|delivery|replay|release-watch)-[a-z0-9-]+")
"""Roles of a prediction's way, of its record's, and of the watch (sagemaker/test_release_watch.py)."""
INTERFACES = "network interfaces"
WAIT_SECONDS = 60
ENDING_SECONDS = 20
"""How long a fleet that nobody asks any more may take to end."""


@dataclass(frozen=True)
class Statement:
    role: str
    policy: str
    sid: str


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """staging has what dev goes without: flow logs. Fleets have one instance: each statement takes a new one."""
    root = checkout(tmp_path_factory.mktemp("checkout"))
    for name, committed, here in (
        ("models/iris.yaml", "capacity: {instance_count: 2}", "capacity: {instance_count: 1}"),
        ("models/iris.yaml", "{strategy: canary, percent: 50, bake_minutes: 10}", "{strategy: all_at_once}"),
        ("Pulumi.models-staging.yaml", "minimum_instances: 2", "minimum_instances: 1"),
    ):
        path = root / "stacks" / name
        text = path.read_text()
        assert text.count(committed) == 1, committed
        path.write_text(text.replace(committed, here))
    with serving(root, "--env", "staging") as served:
        yield served


def roles(iam: Any) -> list[str]:
    return [role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]


def statements(iam: Any) -> list[tuple[Statement, dict[str, Any]]]:
    found = []
    for role in roles(iam):
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            found += [(Statement(role, policy, each["Sid"]), document) for each in document["Statement"]]
    return found


def exercise(served: Served, turn: str) -> list[str]:
    """Does again what SageMaker and the VPC do for a release; returns what went wrong.

    The endpoint is asked, so that its fleet has something to capture, and updated to a copy of its configuration: a new
    fleet comes up, the old one hands over what it captured, gives its network interfaces back and ends. Then the
    traces are looked for: log, captured data, utilisation metric, network interfaces, flow log records.
    """
    sagemaker = served.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    live = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    name = f"copy-{turn}"
    copied = ("ProductionVariants", "DataCaptureConfig", "KmsKeyId")
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, **{member: live[member] for member in copied if member in live}
    )
    before = traces(served)
    served.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="application/json", Body=REQUEST
    )
    at_once = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
        },
        # The role has to see the alarms; nothing has to bake.
        "AutoRollbackConfiguration": endpoint["LastDeploymentConfig"]["AutoRollbackConfiguration"],
    }
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=name, DeploymentConfig=at_once)
    described = settled(sagemaker)
    if described["EndpointConfigName"] != name or described["EndpointStatus"] != "InService":
        return [described.get("FailureReason") or described["EndpointStatus"]]
    after = traces_of_ended_fleet(served, before)
    wrong = [f"no new {what}" for what, count in after.items() if what != INTERFACES and count <= before[what]]
    if after[INTERFACES] != before[INTERFACES]:
        wrong.append(f"{after[INTERFACES]} network interfaces instead of {before[INTERFACES]}")
    return wrong


def settled(sagemaker: Any) -> dict[str, Any]:
    end = time.monotonic() + WAIT_SECONDS
    while True:
        described = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
        if described["EndpointStatus"] not in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
            return described
        assert time.monotonic() < end, f"the endpoint is {described['EndpointStatus']} after {WAIT_SECONDS} s"
        time.sleep(0.05)


def traces_of_ended_fleet(served: Served, before: dict[str, int]) -> dict[str, int]:
    """The traces, once the old fleet has given its interfaces back: the last thing that it does."""
    end = time.monotonic() + ENDING_SECONDS
    while (found := traces(served))[INTERFACES] > before[INTERFACES] and time.monotonic() < end:
        time.sleep(0.1)
    return found


def traces(served: Served) -> dict[str, int]:
    """What a fleet leaves behind, counted."""
    logs, metrics, ec2 = served.client("logs"), served.client("cloudwatch"), served.client("ec2")
    streams = logs.describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{ENDPOINT}")["logStreams"]
    flow_groups = [group["LogGroupName"] for group in ec2.describe_flow_logs()["FlowLogs"]]
    flow_records = sum(len(logs.filter_log_events(logGroupName=group)["events"]) for group in flow_groups)
    utilisation = metrics.get_metric_statistics(
        Namespace="/aws/sagemaker/Endpoints",
        MetricName="MemoryUtilization",
        Dimensions=[{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "VariantName", "Value": "stable"}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 86_400,  # the cloud's clock may be ahead: it does not wait as long as AWS does
        Period=86_400,
        Statistics=["SampleCount"],
    )["Datapoints"]
    bucket = next(b["Name"] for b in served.client("s3").list_buckets()["Buckets"] if "-capture-" in b["Name"])
    return {
        "log stream": len(streams),
        "flow log record": flow_records,
        "utilisation point": int(sum(point["SampleCount"] for point in utilisation)),
        "captured object": served.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"],
        INTERFACES: len(ec2.describe_network_interfaces()["NetworkInterfaces"]),
    }


@pytest.mark.timeout(400)
def test_each_statement_of_each_role_is_needed(staging: Served) -> None:
    iam = staging.client("iam")
    assert exercise(staging, "whole") == []
    not_missed = []
    here = {role for role in roles(iam) if AWAITED not in role and not ELSEWHERE.search(role)}
    exercised = [found for found in statements(iam) if found[0].role in here]
    assert {statement.role for statement, _ in exercised} == here
    for number, (statement, document) in enumerate(exercised):
        without = {
            **document,
            "Statement": [each for each in document["Statement"] if each["Sid"] != statement.sid],
        }
        if without["Statement"]:
            iam.put_role_policy(
                RoleName=statement.role, PolicyName=statement.policy, PolicyDocument=json.dumps(without)
            )
        else:
            iam.delete_role_policy(RoleName=statement.role, PolicyName=statement.policy)
        try:
            if not exercise(staging, str(number)):
                not_missed.append(statement)
        finally:
            iam.put_role_policy(
                RoleName=statement.role, PolicyName=statement.policy, PolicyDocument=json.dumps(document)
            )
    assert not_missed == []
    assert exercise(staging, "healed") == []


def test_the_role_of_an_awaited_model_differs_in_names_and_capture_only(staging: Served) -> None:
    """Nothing runs under it yet: that its statements are needed follows from those of the model that serves. Its
    requests hold personal data, and are not captured."""

    def of_endpoint(model: str) -> dict[str, str]:
        """The statements by their ids, with the names that are the model's own left out."""
        found = {
            each["Sid"]: json.dumps(each)
            for statement, document in statements(staging.client("iam"))
            if model in statement.role and not ELSEWHERE.search(statement.role)
            for each in document["Statement"]
        }
        own = re.compile(r"security-group/sg-\w+")
        return {sid: own.sub("security-group/own", text).replace(model, "MODEL") for sid, text in found.items()}

    served = of_endpoint("iris")
    del served["WriteCapture"], served["EncryptCapture"]
    assert of_endpoint(AWAITED) == served


def test_every_role_has_the_boundary_and_a_narrow_trust(staging: Served) -> None:
    iam = staging.client("iam")
    account = staging.target.account_id
    found = roles(iam)
    assert found
    for name in found:
        role = iam.get_role(RoleName=name)["Role"]
        boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert boundary == f"arn:aws:iam::{account}:policy/mainstage-staging-boundary"
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account


def test_no_role_names_a_wildcard_action(staging: Served) -> None:
    wild = [
        (statement, action)
        for statement, document in statements(staging.client("iam"))
        for each in document["Statement"]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        if "*" in action
    ]
    assert wild == []


def test_the_boundary_narrows_what_the_role_allows(staging: Served) -> None:
    """A statement added by hand to a role does not reach beyond the boundary."""
    iam = staging.client("iam")
    role = next(name for name in roles(iam) if ENDPOINT in name)
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*"}]}
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    mine = {
        "Effect": "Allow",
        "Principal": {"AWS": staging.client("sts").get_caller_identity()["Arn"]},
        "Action": "sts:AssumeRole",
    }
    iam.put_role_policy(RoleName=role, PolicyName="added-by-hand", PolicyDocument=json.dumps(wide))
    iam.update_assume_role_policy(
        RoleName=role, PolicyDocument=json.dumps({**trust, "Statement": [*trust["Statement"], mine]})
    )
    try:
        taken = staging.client("sts").assume_role(
            RoleArn=iam.get_role(RoleName=role)["Role"]["Arn"], RoleSessionName="test"
        )["Credentials"]
        narrowed = boto3.Session(
            taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"], region_name=staging.target.region
        ).client("iam", endpoint_url=staging.target.endpoint_url)
        with pytest.raises(narrowed.exceptions.ClientError, match="no permissions boundary allows the iam:CreateUser"):
            narrowed.create_user(UserName="intruder")
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="added-by-hand")
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
