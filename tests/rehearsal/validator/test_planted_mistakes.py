"""Mistakes that AWS refuses, planted one at a time in calls that are otherwise right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.rehearsal.cloud.validator import validate

CLUSTER = {
    "name": "c",
    "roleArn": "arn:aws:iam::111111111111:role/r",
    "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]},
}
NODES = {"clusterName": "c", "nodegroupName": "n", "nodeRole": "r", "subnets": ["subnet-1"]}


def _lifecycle(**rule: Any) -> dict[str, Any]:
    rules = [{"Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]
    return {"Bucket": "b-1", "LifecycleConfiguration": {"Rules": rules}}


def _document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _ingress(**permission: Any) -> dict[str, Any]:
    return {"GroupId": "sg-1", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **permission}]}


ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
WIDE = _document(**{**ALLOW, "Resource": [f"arn:aws:s3:::bucket-{number}/*" for number in range(400)]})

MISTAKES: list[tuple[str, str, dict[str, Any], str, str]] = [
    # service, operation, parameters, path, part of the message
    ("s3", "CreateBucket", {"Bucket": "Models"}, "Bucket", "does not match"),
    ("s3", "CreateBucket", {"Bucket": "a..b"}, "Bucket", "is no bucket name"),
    ("s3", "CreateBucket", {"Bucket": "192.168.5.4"}, "Bucket", "is no bucket name"),
    (
        "s3",
        "PutBucketLifecycleConfiguration",
        _lifecycle(Transitions=[{"Days": 5, "StorageClass": "STANDARD_IA"}]),
        "LifecycleConfiguration.Rules[0].Transitions",
        "after 5 days",
    ),
    (
        "s3",
        "PutBucketLifecycleConfiguration",
        _lifecycle(Transitions=[{"Days": 90, "StorageClass": "GLACIER"}], Expiration={"Days": 60}),
        "LifecycleConfiguration.Rules[0].Expiration.Days",
        "must be later",
    ),
    (
        "s3",
        "PutBucketLifecycleConfiguration",
        _lifecycle(Transitions=[{"Days": 90, "StorageClass": "ICE"}]),
        "LifecycleConfiguration.Rules[0].Transitions[0].StorageClass",
        "'ICE' is not allowed",
    ),
    ("s3", "PutBucketLifecycleConfiguration", _lifecycle(), "LifecycleConfiguration.Rules[0]", "does nothing"),
    (
        "s3",
        "PutBucketEncryption",
        {
            "Bucket": "b-1",
            "ServerSideEncryptionConfiguration": {
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "k"}}]
            },
        },
        "ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.KMSMasterKeyID",
        "belongs to aws:kms",
    ),
    ("s3", "PutBucketPolicy", {"Bucket": "b-1", "Policy": "{"}, "Policy", "is no JSON"),
    (
        "s3",
        "PutBucketVersioning",
        {"Bucket": "b-1", "VersioningConfiguration": {"Status": "On"}},
        "VersioningConfiguration.Status",
        "'On' is not allowed",
    ),
    (
        "sqs",
        "CreateQueue",
        {"QueueName": "q", "Attributes": {"DelaySeconds": "901"}},
        "Attributes.DelaySeconds",
        "at most 900",
    ),
    ("sqs", "CreateQueue", {"QueueName": "my queue"}, "QueueName", "is no queue name"),
    ("sqs", "CreateQueue", {"QueueName": "q.fifo"}, "QueueName", "FifoQueue"),
    ("sns", "CreateTopic", {"Name": "on call"}, "Name", "is no topic name"),
    ("iam", "CreatePolicy", {"PolicyName": "p", "PolicyDocument": WIDE}, "PolicyDocument", "at most 6144"),
    (
        "iam",
        "CreatePolicy",
        {"PolicyName": "p", "PolicyDocument": _document(Effect="Allow", Action="s3:*")},
        "PolicyDocument.Statement[0]",
        "needs Resource",
    ),
    (
        "iam",
        "PutRolePolicy",
        {"RoleName": "r", "PolicyName": "p", "PolicyDocument": _document(Effect="Maybe", Action="s3:*", Resource="*")},
        "PolicyDocument.Statement[0].Effect",
        "write Allow or Deny",
    ),
    (
        "iam",
        "CreateRole",
        {"RoleName": "r", "AssumeRolePolicyDocument": "not json"},
        "AssumeRolePolicyDocument",
        "is no JSON",
    ),
    (
        "iam",
        "CreateRole",
        {"RoleName": "r", "AssumeRolePolicyDocument": _document(Effect="Allow", Action="sts:AssumeRole")},
        "AssumeRolePolicyDocument.Statement[0]",
        "needs a Principal",
    ),
    (
        "iam",
        "CreateRole",
        {
            "RoleName": "a b",
            "AssumeRolePolicyDocument": _document(Effect="Allow", Action="sts:AssumeRole", Principal="*"),
        },
        "RoleName",
        "does not match",
    ),
    (
        "kms",
        "CreateKey",
        {"Policy": _document(Effect="Allow", Action="kms:*", Resource="*")},
        "Policy.Statement[0]",
        "needs a Principal",
    ),
    ("kms", "CreateKey", {"KeySpec": "RSA_1"}, "KeySpec", "'RSA_1' is not allowed"),
    ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/8"}, "CidrBlock", "/16 to /28"),
    ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.300/16"}, "CidrBlock", "is no IPv4 CIDR block"),
    (
        "ec2",
        "CreateVpc",
        {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "shared"},
        "InstanceTenancy",
        "'shared' is not allowed",
    ),
    (
        "ec2",
        "CreateFlowLogs",
        {
            "ResourceIds": ["vpc-1"],
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogDestinationType": "s3",
            "LogDestination": "arn:aws:s3:::b",
            "MaxAggregationInterval": 120,
        },
        "MaxAggregationInterval",
        "allowed are 60 and 600",
    ),
    ("ec2", "AuthorizeSecurityGroupIngress", _ingress(FromPort=500), "IpPermissions[0].FromPort", "more than ToPort"),
    (
        "ec2",
        "AuthorizeSecurityGroupIngress",
        _ingress(IpRanges=[{"CidrIp": "10.0.0.0/33"}]),
        "IpPermissions[0].IpRanges[0].CidrIp",
        "is no CIDR block",
    ),
    (
        "ec2",
        "CreateSecurityGroup",
        {"GroupName": "g", "Description": "naïve", "VpcId": "vpc-1"},
        "Description",
        "'naïve'",
    ),
    ("eks", "CreateCluster", {**CLUSTER, "version": "9.99"}, "version", "'9.99'"),
    ("eks", "CreateCluster", {**CLUSTER, "name": "my cluster"}, "name", "'my cluster'"),
    (
        "eks",
        "CreateCluster",
        {**CLUSTER, "resourcesVpcConfig": {"subnetIds": ["subnet-1"]}},
        "resourcesVpcConfig.subnetIds",
        "at least 2",
    ),
    (
        "eks",
        "CreateCluster",
        {**CLUSTER, "computeConfig": {"enabled": True}},
        "storageConfig.blockStorage.enabled",
        "switched together",
    ),
    (
        "eks",
        "CreateNodegroup",
        {**NODES, "scalingConfig": {"minSize": 1, "desiredSize": 5, "maxSize": 3}},
        "scalingConfig",
        "desiredSize (5) is above maxSize (3)",
    ),
    ("eks", "CreateNodegroup", {**NODES, "amiType": "UBUNTU"}, "amiType", "'UBUNTU' is not allowed"),
    (
        "eks",
        "CreateNodegroup",
        {**NODES, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "taints[0].effect",
        "'NoSchedule' is not allowed",
    ),
    (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Role": "arn:aws:iam::111111111111:role/r", "Code": {}, "MemorySize": 20000},
        "MemorySize",
        "128 to 10240",
    ),
    (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Role": "arn:aws:iam::111111111111:role/r", "Code": {}, "Runtime": "python2"},
        "Runtime",
        "'python2' is not allowed",
    ),
    (
        "firehose",
        "CreateDeliveryStream",
        {
            "DeliveryStreamName": "d",
            "ExtendedS3DestinationConfiguration": {
                "RoleARN": "arn:aws:iam::111111111111:role/r",
                "BucketARN": "arn:aws:s3:::b",
                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
                "DynamicPartitioningConfiguration": {"Enabled": True},
                "Prefix": "day=!{partitionKeyFromLambda:day}/",
                "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/",
                "ProcessingConfiguration": {
                    "Enabled": True,
                    "Processors": [
                        {
                            "Type": "Lambda",
                            "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:f"}],
                        }
                    ],
                },
            },
        },
        "ExtendedS3DestinationConfiguration.BufferingHints.SizeInMBs",
        "at least 64",
    ),
    (
        "apigatewayv2",
        "CreateIntegration",
        {"ApiId": "a", "IntegrationType": "HTTP_PROXY", "TimeoutInMillis": 60000},
        "TimeoutInMillis",
        "at most 30000",
    ),
    (
        "ecs",
        "RegisterTaskDefinition",
        {
            "family": "f",
            "containerDefinitions": [],
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "8192",
        },
        "memory",
        "8192 MiB",
    ),
    ("ecr", "CreateRepository", {"repositoryName": "Models"}, "repositoryName", "does not match"),
]


def _named(value: Any) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("service", "operation", "params", "path", "text"), MISTAKES, ids=_named)
def test_a_planted_mistake_is_the_one_finding(
    service: str, operation: str, params: dict[str, Any], path: str, text: str
):
    findings = validate(service, operation, params)
    assert [finding.path for finding in findings if text in finding.message] == [path]
    # A mistake causes no crowd of others: whatever else is said is about a field that the mistake left out.
    assert all(finding.path == path or "is required" in finding.message for finding in findings)


def test_there_are_mistakes_enough():
    assert len(MISTAKES) >= 40
