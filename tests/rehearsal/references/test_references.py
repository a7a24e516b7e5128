"""Every row of the reference table: a thing that is missing is named, a thing that is there passes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from infra.rehearsal.cloud import reference_kinds as kinds
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.references import AWS_IS_SILENT, TABLE, Reference, check, values_at

ACCOUNT = "111111111111"
REGION = "eu-west-1"
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal":'
    ' {"Service": ["lambda.amazonaws.com", "eks.amazonaws.com", "firehose.amazonaws.com"]}}]}'
)

MISSING: dict[kinds.Kind, str] = {
    kinds.ROLE: f"arn:aws:iam::{ACCOUNT}:role/none",
    kinds.PRINCIPAL: f"arn:aws:iam::{ACCOUNT}:role/none",
    kinds.POLICY: f"arn:aws:iam::{ACCOUNT}:policy/none",
    kinds.BUCKET: "s3://none-such/prefix",
    kinds.FLOW_LOG_BUCKET: "arn:aws:s3:::none-such",
    kinds.KEY: f"arn:aws:kms:{REGION}:{ACCOUNT}:key/6891c2b8-e7b1-4e37-aa1a-6c335ead2d62",
    kinds.SUBNET: "subnet-0a1b2c3d4e5f60718",
    kinds.SECURITY_GROUP: "sg-0a1b2c3d4e5f60718",
    kinds.VPC: "vpc-0a1b2c3d4e5f60718",
    kinds.ROUTE_TABLE: "rtb-0a1b2c3d4e5f60718",
    kinds.NAT_GATEWAY: "nat-0a1b2c3d4e5f60718",
    kinds.GATEWAY: "igw-0a1b2c3d4e5f60718",
    kinds.TOPIC: f"arn:aws:sns:{REGION}:{ACCOUNT}:none",
    kinds.QUEUE: f"arn:aws:sqs:{REGION}:{ACCOUNT}:none",
    kinds.QUEUE_OR_TOPIC: f"arn:aws:sqs:{REGION}:{ACCOUNT}:none",
    kinds.FUNCTION: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none",
    kinds.LOG_GROUP: "/none",
    kinds.CLUSTER: "none",
    kinds.ALARM_ACTION: f"arn:aws:sns:{REGION}:{ACCOUNT}:none",
    kinds.SUBSCRIBER: f"arn:aws:sqs:{REGION}:{ACCOUNT}:none",
    kinds.TARGET: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none",
    kinds.INTEGRATION: "integrations/none",
    kinds.AUTHORIZER: "none",
}


def _call(cloud: Cloud, service: str, operation: str, params: dict[str, Any]) -> Call:
    return Call(cloud, service, operation, params, REGION, cloud.principals.operator, UNPARSED)


def _params(path: str, value: str) -> dict[str, Any]:
    """Parameters that hold a value at a path of the table."""
    built: Any = value
    for step in reversed(re.findall(r"[^.\[\]]+|\[\]", path)):
        built = [built] if step == "[]" else {step: built}
    return built


def _row(row: Reference) -> str:
    return f"{row.service}.{row.operation}.{row.path}"


@pytest.mark.parametrize("row", TABLE, ids=_row)
def test_a_missing_thing_is_refused_and_named(cloud: Cloud, row: Reference):
    value = MISSING[row.kind]
    with pytest.raises(AwsError) as caught:
        check(_call(cloud, row.service, row.operation, _params(row.path, value)))
    where = row.path.replace("[]", "[0]")
    assert (caught.value.code, caught.value.status) == (row.code, row.status)
    assert f"{row.operation}: {where} names the {row.kind.name} {value}, which does not exist" in caught.value.message
    assert (AWS_IS_SILENT in caught.value.message) == row.silent


@pytest.mark.parametrize("row", TABLE, ids=_row)
def test_a_row_names_a_parameter_of_the_operation(row: Reference):
    shape: Any = get_service_model(row.service).operation_model(row.operation).input_shape
    for step in re.findall(r"[^.\[\]]+|\[\]", row.path):
        if step == "[]":
            assert shape.type_name == "list"
            shape = shape.member
        elif shape.type_name == "map":
            shape = shape.value
        else:
            shape = shape.members[step]
    assert shape.type_name == "string"


def test_no_row_stands_twice():
    names = [_row(row) for row in TABLE]
    assert sorted(set(names)) == sorted(names)


def test_what_is_absent_is_not_looked_for(cloud: Cloud):
    for row in TABLE:
        check(_call(cloud, row.service, row.operation, {}))


def test_all_that_is_missing_is_named_at_once(cloud: Cloud):
    params = {
        "ExecutionRoleArn": MISSING[kinds.ROLE],
        "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
    }
    with pytest.raises(AwsError) as caught:
        check(_call(cloud, "sagemaker", "CreateModel", params))
    for named in ("ExecutionRoleArn", "VpcConfig.Subnets[0]", "VpcConfig.Subnets[1]", "VpcConfig.SecurityGroupIds[0]"):
        assert f"{named} names the" in caught.value.message


def _network(cloud: Cloud) -> dict[kinds.Kind, str]:
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    return {
        kinds.VPC: vpc,
        kinds.SUBNET: subnet,
        kinds.SECURITY_GROUP: ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"],
        kinds.ROUTE_TABLE: ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        kinds.NAT_GATEWAY: nat,
        kinds.GATEWAY: gateway,
    }


def _function(cloud: Cloud, role: str) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("handler.py", "def handle(event, context): ...")
    made = cloud.client("lambda").create_function(
        FunctionName="f",
        Role=role,
        Runtime="python3.12",
        Handler="handler.handle",
        Code={"ZipFile": archive.getvalue()},
    )
    return made["FunctionArn"]


def _http_api(cloud: Cloud, function: str) -> dict[kinds.Kind, str]:
    gateway = cloud.client("apigatewayv2")
    api = gateway.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name="a",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": "https://issuer.example", "Audience": ["a"]},
    )
    return {
        kinds.INTEGRATION: f"integrations/{integration['IntegrationId']}",
        kinds.AUTHORIZER: authorizer["AuthorizerId"],
    }


def _existing(cloud: Cloud) -> dict[kinds.Kind, str]:
    cloud.client("s3").create_bucket(Bucket="a-b", CreateBucketConfiguration={"LocationConstraint": REGION})
    cloud.client("logs").create_log_group(logGroupName="/g")
    role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    document = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
    )
    policy = cloud.client("iam").create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]
    queue_url = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    queue = cloud.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = cloud.client("sns").create_topic(Name="t")["TopicArn"]
    function = _function(cloud, role)
    network = _network(cloud)
    second = cloud.client("ec2").create_subnet(VpcId=network[kinds.VPC], CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    cloud.client("eks").create_cluster(
        name="c", roleArn=role, resourcesVpcConfig={"subnetIds": [network[kinds.SUBNET], second]}
    )
    return {
        kinds.ROLE: role,
        kinds.PRINCIPAL: role,
        kinds.POLICY: policy,
        kinds.BUCKET: "arn:aws:s3:::a-b",
        kinds.FLOW_LOG_BUCKET: "arn:aws:s3:::a-b/flow",
        kinds.KEY: cloud.client("kms").create_key()["KeyMetadata"]["Arn"],
        kinds.TOPIC: topic,
        kinds.QUEUE: queue,
        kinds.QUEUE_OR_TOPIC: topic,
        kinds.FUNCTION: function,
        kinds.LOG_GROUP: "/g",
        kinds.CLUSTER: "c",
        kinds.ALARM_ACTION: topic,
        kinds.SUBSCRIBER: function,
        kinds.TARGET: queue,
        **_http_api(cloud, function),
        **network,
    }


def test_what_is_there_passes_in_every_row(cloud: Cloud):
    existing = _existing(cloud)
    for row in TABLE:
        check(_call(cloud, row.service, row.operation, _params(row.path, existing[row.kind])))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (kinds.ROLE, "arn:aws:iam::222222222222:role/theirs"),
        (kinds.POLICY, "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"),
        (kinds.KEY, "arn:aws:kms:eu-west-1:222222222222:key/6891c2b8-e7b1-4e37-aa1a-6c335ead2d62"),
        (kinds.KEY, "alias/aws/s3"),
        (kinds.TOPIC, "arn:aws:sns:eu-west-1:222222222222:theirs"),
        (kinds.QUEUE, "arn:aws:sqs:us-east-1:111111111111:there"),
        (kinds.ALARM_ACTION, "arn:aws:automate:eu-west-1:ec2:recover"),
        (kinds.SUBSCRIBER, "page@example.com"),
        (kinds.GATEWAY, "local"),
        (kinds.FLOW_LOG_BUCKET, "arn:aws:logs:eu-west-1:111111111111:log-group:/made-by-ec2"),
    ],
)
def test_what_lies_elsewhere_or_is_made_on_demand_passes(cloud: Cloud, kind: kinds.Kind, value: str):
    assert kind.exists(_call(cloud, "x", "X", {}), value)


@pytest.mark.parametrize("name", [lambda key: key["KeyId"], lambda key: key["Arn"], lambda key: "alias/models"])
def test_a_key_is_known_by_each_of_its_names_until_it_is_to_be_deleted(cloud: Cloud, name: Callable[[Any], str]):
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/models", TargetKeyId=key["KeyId"])
    call = _call(cloud, "x", "X", {})
    assert kinds.KEY.exists(call, name(key))
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert not kinds.KEY.exists(call, name(key))


def test_a_key_of_another_region_is_no_key_here(cloud: Cloud):
    elsewhere = cloud.client("kms", "us-east-1").create_key()["KeyMetadata"]["Arn"]
    assert not kinds.KEY.exists(_call(cloud, "x", "X", {}), elsewhere)


def test_the_refusal_comes_through_the_door(cloud: Cloud):
    with pytest.raises(ClientError) as caught:
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName="a", Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
            ComparisonOperator="GreaterThanThreshold", AlarmActions=[MISSING[kinds.TOPIC]],
        )  # fmt: skip
    assert caught.value.response["Error"]["Code"] == "ValidationError"  # pyright: ignore[reportTypedDictNotRequiredAccess] - an error's response has it
    assert "AlarmActions[0] names the alarm action" in str(caught.value)
    assert cloud.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_values_are_found_with_their_places():
    params = {"Rules": [{"Key": {"Id": "a"}}, {"Key": {}}, {"Key": {"Id": "b"}}], "Attributes": {"x": "1"}}
    assert list(values_at(params, "Rules[].Key.Id")) == [("Rules[0].Key.Id", "a"), ("Rules[2].Key.Id", "b")]
    assert list(values_at(params, "Attributes.x")) == [("Attributes.x", "1")]
    assert list(values_at(params, "Rules.Key")) == []
