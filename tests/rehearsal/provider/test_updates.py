"""What changes in place, what replaces, and that the change is in AWS and quiet afterwards: one table, every type."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from provider_driver import ACCOUNT_ID, REGION, Driver, Resource, allow, trust
from provider_world import IMAGES_OLDER_THAN_TEN, SAMPLES, TAGS, World

from infra.rehearsal.provider.rows import ROWS


@dataclass(frozen=True)
class InPlace:
    type: str
    change: Callable[[World], dict[str, Any]]
    paths: frozenset[str]
    live: Callable[[World, Resource], Any]
    expected: Any


def ec2(world: World, operation: str, **params: Any) -> Any:
    return getattr(world.cloud.client("ec2"), operation)(**params)


def s3(world: World, operation: str) -> Any:
    return getattr(world.cloud.client("s3"), operation)(Bucket=world.bucket.id)


def sns_attributes(world: World, arn: str) -> dict[str, str]:
    return world.cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]


def rotated(world: World, made: Resource) -> bool:
    return world.cloud.client("kms").get_key_rotation_status(KeyId=made.id)["KeyRotationEnabled"]


IN_PLACE = [
    InPlace(
        "aws:ec2/vpc:Vpc",
        lambda world: {"enableDnsHostnames": False, "enableDnsSupport": False},
        frozenset({"enableDnsHostnames", "enableDnsSupport"}),
        lambda world, made: ec2(world, "describe_vpc_attribute", VpcId=made.id, Attribute="enableDnsSupport")[
            "EnableDnsSupport"
        ],
        {"Value": False},
    ),
    InPlace(
        "aws:ec2/subnet:Subnet",
        lambda world: {"mapPublicIpOnLaunch": False},
        frozenset({"mapPublicIpOnLaunch"}),
        lambda world, made: ec2(world, "describe_subnets", SubnetIds=[made.id])["Subnets"][0]["MapPublicIpOnLaunch"],
        False,
    ),
    InPlace(
        "aws:ec2/natGateway:NatGateway",
        lambda world: {"tags": {"team": "other"}},
        frozenset({"tags.team", "tags.cost-center"}),
        lambda world, made: ec2(world, "describe_nat_gateways", NatGatewayIds=[made.id])["NatGateways"][0]["Tags"],
        [{"Key": "team", "Value": "other"}],
    ),
    InPlace(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda world: {"routeTableIds": []},
        frozenset({"routeTableIds"}),
        lambda world, made: ec2(world, "describe_vpc_endpoints", VpcEndpointIds=[made.id])["VpcEndpoints"][0][
            "RouteTableIds"
        ],
        [],
    ),
    InPlace(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda world: {"ingress": []},
        frozenset({"ingress[0]"}),
        lambda world, made: ec2(world, "describe_security_groups", GroupIds=[made.id])["SecurityGroups"][0][
            "IpPermissions"
        ],
        [],
    ),
    InPlace(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        lambda world: {"fromPort": 8443, "toPort": 8443, "cidrIpv4": "10.0.0.0/20"},
        frozenset({"fromPort", "toPort", "cidrIpv4"}),
        lambda world, made: ec2(world, "describe_security_group_rules", SecurityGroupRuleIds=[made.id])[
            "SecurityGroupRules"
        ][0]["ToPort"],
        8443,
    ),
    InPlace(
        "aws:iam/role:Role",
        lambda world: {
            "assumeRolePolicy": trust("lambda.amazonaws.com"),
            "description": "",
            "maxSessionDuration": 7200,
            "permissionsBoundary": None,
        },
        frozenset({"assumeRolePolicy", "description", "maxSessionDuration", "permissionsBoundary"}),
        lambda world, made: {
            key: value
            for key, value in world.cloud.client("iam").get_role(RoleName=made.id)["Role"].items()
            if key in {"MaxSessionDuration", "PermissionsBoundary"}
        },
        {"MaxSessionDuration": 7200},
    ),
    InPlace(
        "aws:iam/policy:Policy",
        lambda world: {"policy": allow("s3:GetObject")},
        frozenset({"policy"}),
        lambda world, made: world.cloud.client("iam").get_policy(PolicyArn=made.id)["Policy"]["DefaultVersionId"],
        "v2",
    ),
    InPlace(
        "aws:iam/rolePolicy:RolePolicy",
        lambda world: {"policy": allow("s3:PutObject")},
        frozenset({"policy"}),
        lambda world, made: world.cloud.client("iam").get_role_policy(
            RoleName=world.role.id, PolicyName=made.id.partition(":")[2]
        )["PolicyDocument"]["Statement"][0]["Action"],
        ["s3:PutObject"],
    ),
    InPlace(
        "aws:kms/key:Key",
        lambda world: {"enableKeyRotation": False, "description": "other"},
        frozenset({"enableKeyRotation", "description"}),
        rotated,
        False,
    ),
    InPlace(
        "aws:kms/alias:Alias",
        lambda world: {"targetKeyId": world.engine.create("aws:kms/key:Key", "second").id},
        frozenset({"targetKeyId"}),
        lambda world, made: world.cloud.client("kms").describe_key(KeyId=made.id)["KeyMetadata"]["Description"],
        "",
    ),
    InPlace(
        "aws:s3/bucket:Bucket",
        lambda world: {"tags": {"team": "other"}},
        frozenset({"tags.team", "tags.cost-center"}),
        lambda world, made: world.cloud.client("s3").get_bucket_tagging(Bucket=made.id)["TagSet"],
        [{"Key": "team", "Value": "other"}],
    ),
    InPlace(
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda world: {"versioningConfiguration": {"status": "Suspended"}},
        frozenset({"versioningConfiguration.status"}),
        lambda world, made: s3(world, "get_bucket_versioning")["Status"],
        "Suspended",
    ),
    InPlace(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        lambda world: {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        frozenset({"rules"}),
        lambda world, made: s3(world, "get_bucket_encryption")["ServerSideEncryptionConfiguration"]["Rules"][0][
            "ApplyServerSideEncryptionByDefault"
        ],
        {"SSEAlgorithm": "AES256"},
    ),
    InPlace(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda world: {"blockPublicAcls": False},
        frozenset({"blockPublicAcls"}),
        lambda world, made: s3(world, "get_public_access_block")["PublicAccessBlockConfiguration"]["BlockPublicAcls"],
        False,
    ),
    InPlace(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda world: {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        frozenset({"rule.objectOwnership"}),
        lambda world, made: s3(world, "get_bucket_ownership_controls")["OwnershipControls"]["Rules"],
        [{"ObjectOwnership": "BucketOwnerPreferred"}],
    ),
    InPlace(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        lambda world: {"rules": [{"id": "all", "status": "Enabled", "expiration": {"days": 30}}]},
        frozenset(
            {
                "rules[0].abortIncompleteMultipartUpload",
                "rules[0].expiration",
                "rules[0].id",
                "rules[0].noncurrentVersionExpiration",
                "rules[1]",
            }
        ),
        lambda world, made: [rule["ID"] for rule in s3(world, "get_bucket_lifecycle_configuration")["Rules"]],
        ["all"],
    ),
    InPlace(
        "aws:s3/bucketObjectv2:BucketObjectv2",
        lambda world: {"content": "other", "contentType": "text/plain"},
        frozenset({"content", "contentType"}),
        lambda world, made: world.cloud.client("s3").get_object(Bucket=world.bucket.id, Key=made.id)["Body"].read(),
        b"other",
    ),
    InPlace(
        "aws:ecr/repository:Repository",
        lambda world: {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False}},
        frozenset({"imageTagMutability", "imageScanningConfiguration.scanOnPush"}),
        lambda world, made: world.cloud.client("ecr").describe_repositories(repositoryNames=[made.id])["repositories"][
            0
        ]["imageTagMutability"],
        "MUTABLE",
    ),
    InPlace(
        "aws:sns/topic:Topic",
        lambda world: {"displayName": "", "kmsMasterKeyId": None},
        frozenset({"displayName", "kmsMasterKeyId"}),
        lambda world, made: sns_attributes(world, made.id)["DisplayName"],
        "",
    ),
    InPlace(
        "aws:sns/topicPolicy:TopicPolicy",
        lambda world: {
            "policy": json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
                            "Action": "sns:Publish",
                            "Resource": world.topic.id,
                        }
                    ],
                }
            )
        },
        frozenset({"policy"}),
        lambda world, made: json.loads(sns_attributes(world, made.id)["Policy"])["Statement"][0]["Principal"],
        {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
    ),
    InPlace(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda world: {"retentionInDays": 0},
        frozenset({"retentionInDays"}),
        lambda world, made: (
            world.cloud.client("logs")
            .describe_log_groups(logGroupNamePrefix=made.id)["logGroups"][0]
            .get("retentionInDays")
        ),
        None,
    ),
    InPlace(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        lambda world: {"threshold": 100000, "alarmActions": []},
        frozenset({"threshold", "alarmActions"}),
        lambda world, made: world.cloud.client("cloudwatch").describe_alarms(AlarmNames=[made.id])["MetricAlarms"][0][
            "Threshold"
        ],
        100000.0,
    ),
    InPlace(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        lambda world: {"alarmRule": "TRUE", "okActions": None, "alarmDescription": None},
        frozenset({"alarmRule", "okActions", "alarmDescription"}),
        lambda world, made: {
            key: value
            for key, value in world.cloud.client("cloudwatch")
            .describe_alarms(AlarmNames=[made.id], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
            .items()
            if key in {"AlarmRule", "OKActions", "AlarmDescription", "StateValue"}
        },
        {"AlarmRule": "TRUE", "OKActions": [], "StateValue": "ALARM"},
    ),
    InPlace(
        "aws:cloudwatch/eventRule:EventRule",
        lambda world: {"description": None, "eventPattern": '{"source": ["aws.ec2"]}', "state": "DISABLED"},
        frozenset({"description", "eventPattern", "state"}),
        lambda world, made: {
            key: value
            for key, value in world.cloud.client("events").describe_rule(Name=made.id).items()
            if key in {"Description", "EventPattern", "State"}
        },
        {"EventPattern": '{"source":["aws.ec2"]}', "State": "DISABLED"},
    ),
    InPlace(
        "aws:cloudwatch/eventTarget:EventTarget",
        lambda world: {
            "arn": world.other_queue.outputs["arn"],
            "inputTransformer": None,
            "inputPath": "$.detail",
            "deadLetterConfig": None,
            "retryPolicy": None,
        },
        frozenset({"arn", "inputTransformer", "inputPath", "deadLetterConfig", "retryPolicy"}),
        lambda world, made: world.cloud.client("events").list_targets_by_rule(Rule="world")["Targets"],
        [{"Id": "watch", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:other", "InputPath": "$.detail"}],
    ),
    InPlace(
        "aws:cloudwatch/dashboard:Dashboard",
        lambda world: {"dashboardBody": '{"widgets": []}'},
        frozenset({"dashboardBody"}),
        lambda world, made: world.cloud.client("cloudwatch").get_dashboard(DashboardName=made.id)["DashboardBody"],
        '{"widgets": []}',
    ),
    InPlace(
        "aws:sagemaker/model:Model",
        lambda world: {"tags": {"team": "other"}},
        frozenset({"tags.team", "tags.cost-center"}),
        lambda world, made: world.cloud.client("sagemaker").list_tags(ResourceArn=made.outputs["arn"])["Tags"],
        [{"Key": "team", "Value": "other"}],
    ),
]


@pytest.mark.parametrize("case", IN_PLACE, ids=lambda case: case.type)
def test_update_in_place(case: InPlace, engine: Driver, world: World) -> None:
    inputs = SAMPLES[case.type](world)
    made = engine.create(case.type, "sample", **inputs)
    news = {key: value for key, value in {**inputs, **case.change(world)}.items() if value is not None}
    assert engine.changed(made, **news) == dict.fromkeys(case.paths, False)
    updated = engine.update(made, **news)
    assert case.live(world, updated) == case.expected
    assert engine.changed(updated, **news) == {}
    refreshed = engine.read(updated)
    assert refreshed is not None
    assert refreshed.outputs == updated.outputs
    assert engine.changed(refreshed, **news) == {}


REPLACES: list[tuple[str, str, Any, str]] = [
    ("aws:ec2/vpc:Vpc", "cidrBlock", "10.9.0.0/16", "cidrBlock"),
    ("aws:ec2/vpc:Vpc", "instanceTenancy", "dedicated", "instanceTenancy"),
    ("aws:ec2/subnet:Subnet", "availabilityZone", f"{REGION}c", "availabilityZone"),
    ("aws:ec2/natGateway:NatGateway", "subnetId", "subnet-0123456789abcdef0", "subnetId"),
    ("aws:ec2/routeTable:RouteTable", "vpcId", "vpc-0123456789abcdef0", "vpcId"),
    ("aws:ec2/route:Route", "destinationCidrBlock", "10.7.0.0/16", "destinationCidrBlock"),
    ("aws:ec2/routeTableAssociation:RouteTableAssociation", "subnetId", "subnet-0123456789abcdef0", "subnetId"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "serviceName", f"com.amazonaws.{REGION}.dynamodb", "serviceName"),
    ("aws:ec2/securityGroup:SecurityGroup", "description", "other", "description"),
    ("aws:ec2/securityGroup:SecurityGroup", "name", "other", "name"),
    ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "vpcId", "vpc-0123456789abcdef0", "vpcId"),
    ("aws:ec2/flowLog:FlowLog", "maxAggregationInterval", 60, "maxAggregationInterval"),
    ("aws:iam/role:Role", "path", "/service/", "path"),
    ("aws:iam/policy:Policy", "description", "other", "description"),
    ("aws:iam/rolePolicy:RolePolicy", "role", "other", "role"),
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "role", "other", "role"),
    ("aws:kms/key:Key", "keyUsage", "GENERATE_VERIFY_MAC", "keyUsage"),
    ("aws:kms/alias:Alias", "name", "alias/other", "name"),
    ("aws:s3/bucketVersioning:BucketVersioning", "bucket", "other-bucket", "bucket"),
    ("aws:s3/bucketPolicy:BucketPolicy", "bucket", "other-bucket", "bucket"),
    ("aws:s3/bucketObjectv2:BucketObjectv2", "key", "other", "key"),
    ("aws:ecr/repository:Repository", "name", "other", "name"),
    ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "policy", IMAGES_OLDER_THAN_TEN.replace("10", "5"),
     "policy"),
    ("aws:sns/topic:Topic", "name", "other", "name"),
    ("aws:sns/topicPolicy:TopicPolicy", "arn", f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:other", "arn"),
    ("aws:cloudwatch/logGroup:LogGroup", "logGroupClass", "INFREQUENT_ACCESS", "logGroupClass"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "name", "other", "name"),
    ("aws:cloudwatch/compositeAlarm:CompositeAlarm", "alarmName", "other", "alarmName"),
    ("aws:cloudwatch/compositeAlarm:CompositeAlarm", "actionsEnabled", False, "actionsEnabled"),
    ("aws:cloudwatch/eventRule:EventRule", "name", "other", "name"),
    ("aws:cloudwatch/eventRule:EventRule", "eventBusName", "other", "eventBusName"),
    ("aws:cloudwatch/eventTarget:EventTarget", "rule", "other", "rule"),
    ("aws:cloudwatch/eventTarget:EventTarget", "targetId", "other", "targetId"),
    ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupDescription", "other",
     "modelPackageGroupDescription"),
    ("aws:sagemaker/model:Model", "executionRoleArn", f"arn:aws:iam::{ACCOUNT_ID}:role/other", "executionRoleArn"),
    ("aws:sagemaker/endpointConfiguration:EndpointConfiguration", "kmsKeyArn", "other", "kmsKeyArn"),
    ("aws:sns/topic:Topic", "region", "us-east-1", "region"),
]  # fmt: skip


@pytest.mark.parametrize(("type_token", "name", "value", "path"), REPLACES)
def test_change_replaces(type_token: str, name: str, value: Any, path: str, engine: Driver, world: World) -> None:
    inputs = SAMPLES[type_token](world)
    made = engine.create(type_token, "sample", **inputs)
    assert engine.changed(made, **{**inputs, name: value}) == {path: True}


def test_configuration_of_an_endpoint_replaces_at_every_depth(engine: Driver, world: World) -> None:
    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    inputs = SAMPLES[token](world)
    made = engine.create(token, "sample", **inputs)
    variant = {**inputs["productionVariants"][0], "initialInstanceCount": 2}
    assert engine.changed(made, **{**inputs, "productionVariants": [variant]}) == {
        "productionVariants[0].initialInstanceCount": True
    }
    capture = {**inputs["dataCaptureConfig"], "initialSamplingPercentage": 10}
    assert engine.changed(made, **{**inputs, "dataCaptureConfig": capture}) == {
        "dataCaptureConfig.initialSamplingPercentage": True
    }
    without = {key: value for key, value in inputs.items() if key != "dataCaptureConfig"}
    assert engine.changed(made, **without) == {"dataCaptureConfig": True}


@pytest.mark.parametrize("type_token", sorted(token for token in SAMPLES if ROWS[token].tagging))
def test_tags_change_in_place_and_are_found_by_a_refresh(type_token: str, engine: Driver, world: World) -> None:
    inputs = SAMPLES[type_token](world)
    made = engine.create(type_token, "sample", **inputs)
    news = {**inputs, "tags": {"team": "search", "stage": "dev"}}
    assert engine.changed(made, **news) == {"tags.cost-center": False, "tags.stage": False, "tags.team": False}
    updated = engine.read(engine.update(made, **news))
    assert updated is not None
    assert updated.outputs["tags"] == updated.outputs["tagsAll"] == {"team": "search", "stage": "dev"}
    assert engine.changed(updated, **inputs) == {"tags.cost-center": False, "tags.stage": False, "tags.team": False}
    assert made.outputs["tags"] == TAGS
