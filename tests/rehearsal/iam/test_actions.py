"""Operations and the permissions that they need: the expectations come from the Service Authorization Reference."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.rehearsal.cloud.api import Call, HttpRequest, Principal
from infra.rehearsal.cloud.iam.actions import needed

A, R = "111111111111", "eu-west-1"
ROLE = f"arn:aws:iam::{A}:role/r"


def needs(service: str, operation: str, *, url: str = "", method: str = "POST", **params: Any) -> list[tuple[str, str]]:
    principal = Principal("role", f"arn:aws:sts::{A}:assumed-role/r/s", A, ROLE)
    cloud: Any = SimpleNamespace(account_id=A)
    call = Call(cloud, service, operation, params, R, principal, HttpRequest(method, url, {}, b""))
    return [(need.action, need.resource) for need in needed(call)]


def regional(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{R}:{A}:{resource}"


B = "arn:aws:s3:::b"
LOGS = regional("logs", "log-group:/g:log-stream:")


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("s3", "ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
        ("s3", "HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", B)]),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, [("s3:ListBucket", B)]),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", f"{B}/k")]),
        ("s3", "GetObject", {"Bucket": "b", "Key": "k", "VersionId": "1"}, [("s3:GetObjectVersion", f"{B}/k")]),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "Tagging": "a=b"},
         [("s3:PutObject", f"{B}/k"), ("s3:PutObjectTagging", f"{B}/k")]),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "ACL": "private"},
         [("s3:PutObject", f"{B}/k"), ("s3:PutObjectAcl", f"{B}/k")]),
        ("s3", "DeleteObjects", {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}, {"Key": "l", "VersionId": "1"}]}},
         [("s3:DeleteObject", f"{B}/k"), ("s3:DeleteObjectVersion", f"{B}/l")]),
        ("s3", "CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "/a/x%20y?versionId=7"},
         [("s3:GetObjectVersion", "arn:aws:s3:::a/x y"), ("s3:PutObject", f"{B}/k")]),
        ("s3", "GetBucketEncryption", {"Bucket": "b"}, [("s3:GetEncryptionConfiguration", B)]),
        ("s3", "PutBucketLifecycleConfiguration", {"Bucket": "b"}, [("s3:PutLifecycleConfiguration", B)]),
        ("s3", "DeletePublicAccessBlock", {"Bucket": "b"}, [("s3:PutBucketPublicAccessBlock", B)]),
        ("s3", "ListBucketMetricsConfigurations", {"Bucket": "b"}, [("s3:GetMetricsConfiguration", B)]),
        ("s3", "DeleteBucketInventoryConfiguration", {"Bucket": "b"}, [("s3:PutInventoryConfiguration", B)]),
        ("s3", "PutBucketPolicy", {"Bucket": "b"}, [("s3:PutBucketPolicy", B)]),
        ("s3", "GetObjectAttributes", {"Bucket": "b", "Key": "k"},
         [("s3:GetObjectAttributes", f"{B}/k"), ("s3:GetObject", f"{B}/k")]),
        ("sagemaker", "CreateEndpoint", {"EndpointName": "Iris", "EndpointConfigName": "Iris-1"},
         [("sagemaker:CreateEndpoint", regional("sagemaker", "endpoint-config/iris-1")),
          ("sagemaker:CreateEndpoint", regional("sagemaker", "endpoint/iris"))]),
        ("sagemaker", "CreateModel", {"ModelName": "m", "ExecutionRoleArn": ROLE},
         [("sagemaker:CreateModel", regional("sagemaker", "model/m")), ("iam:PassRole", ROLE)]),
        ("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "g"},
         [("sagemaker:CreateModelPackage", regional("sagemaker", "model-package/g/*"))]),
        ("sagemaker", "ListEndpoints", {}, [("sagemaker:ListEndpoints", "*")]),
        ("sagemaker", "AddTags", {"ResourceArn": regional("sagemaker", "model/m")},
         [("sagemaker:AddTags", regional("sagemaker", "model/m"))]),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e"},
         [("sagemaker:InvokeEndpoint", regional("sagemaker", "endpoint/e"))]),
        ("logs", "CreateLogStream", {"logGroupName": "/g", "logStreamName": "s"},
         [("logs:CreateLogStream", f"{LOGS}s")]),
        ("logs", "DescribeLogGroups", {}, [("logs:DescribeLogGroups", regional("logs", "log-group::log-stream:"))]),
        ("logs", "ListTagsForResource", {"resourceArn": regional("logs", "log-group:/g")},
         [("logs:ListTagsForResource", regional("logs", "log-group:/g"))]),
        ("logs", "GetLogEvents", {"logGroupIdentifier": regional("logs", "log-group:/g:*"), "logStreamName": "s"},
         [("logs:GetLogEvents", f"{LOGS}s")]),
        ("cloudwatch", "PutMetricData", {"Namespace": "n"}, [("cloudwatch:PutMetricData", "*")]),
        ("cloudwatch", "DescribeAlarms", {"AlarmNames": ["a"]},
         [("cloudwatch:DescribeAlarms", regional("cloudwatch", "alarm:a"))]),
        ("cloudwatch", "PutDashboard", {"DashboardName": "d"},
         [("cloudwatch:PutDashboard", f"arn:aws:cloudwatch::{A}:dashboard/d")]),
        ("sns", "PublishBatch", {"TopicArn": regional("sns", "t")}, [("sns:Publish", regional("sns", "t"))]),
        ("sns", "CreateTopic", {"Name": "t"}, [("sns:CreateTopic", regional("sns", "t"))]),
        ("sns", "Unsubscribe", {"SubscriptionArn": regional("sns", "t:1")},
         [("sns:Unsubscribe", regional("sns", "t"))]),
        ("sqs", "SendMessageBatch", {"QueueUrl": f"https://sqs.{R}.amazonaws.com/{A}/q"},
         [("sqs:SendMessage", regional("sqs", "q"))]),
        ("ecr", "GetAuthorizationToken", {}, [("ecr:GetAuthorizationToken", "*")]),
        ("ecr", "BatchGetImage", {"repositoryName": "r", "registryId": "222222222222"},
         [("ecr:BatchGetImage", f"arn:aws:ecr:{R}:222222222222:repository/r")]),
        ("kms", "CreateKey", {}, [("kms:CreateKey", "*")]),
        ("kms", "CreateAlias", {"AliasName": "alias/a", "TargetKeyId": "k"},
         [("kms:CreateAlias", regional("kms", "key/k")), ("kms:CreateAlias", regional("kms", "alias/a"))]),
        ("kms", "Decrypt", {"CiphertextBlob": b"k" * 36 + b"rest"},
         [("kms:Decrypt", regional("kms", f"key/{'k' * 36}"))]),
        ("kms", "ReEncrypt", {"CiphertextBlob": b"k" * 36, "DestinationKeyId": "d"},
         [("kms:ReEncryptFrom", regional("kms", f"key/{'k' * 36}")), ("kms:ReEncryptTo", regional("kms", "key/d"))]),
        ("iam", "CreateRole", {"RoleName": "x", "Path": "/app/"}, [("iam:CreateRole", f"arn:aws:iam::{A}:role/app/x")]),
        ("iam", "AttachRolePolicy", {"RoleName": "x", "PolicyArn": "arn:aws:iam::aws:policy/P"},
         [("iam:AttachRolePolicy", f"arn:aws:iam::{A}:role/x")]),
        ("iam", "CreatePolicy", {"PolicyName": "p"}, [("iam:CreatePolicy", f"arn:aws:iam::{A}:policy/p")]),
        ("iam", "ListRoles", {}, [("iam:ListRoles", "*")]),
        ("ec2", "DescribeVpcs", {"VpcIds": ["vpc-1"]}, [("ec2:DescribeVpcs", "*")]),
        ("ec2", "CreateNetworkInterface", {"SubnetId": "subnet-1", "Groups": ["sg-1"]},
         [("ec2:CreateNetworkInterface", regional("ec2", "network-interface/*")),
          ("ec2:CreateNetworkInterface", regional("ec2", "subnet/subnet-1")),
          ("ec2:CreateNetworkInterface", regional("ec2", "security-group/sg-1"))]),
        ("ec2", "CreateFlowLogs", {"DeliverLogsPermissionArn": ROLE},
         [("ec2:CreateFlowLogs", regional("ec2", "vpc-flow-log/*")), ("iam:PassRole", ROLE)]),
        ("lambda", "Invoke", {"FunctionName": "f", "Qualifier": "live"},
         [("lambda:InvokeFunction", regional("lambda", "function:f:live"))]),
        ("lambda", "CreateFunction", {"FunctionName": "f", "Role": ROLE},
         [("lambda:CreateFunction", regional("lambda", "function:f")), ("iam:PassRole", ROLE)]),
        ("firehose", "PutRecordBatch", {"DeliveryStreamName": "d"},
         [("firehose:PutRecordBatch", regional("firehose", "deliverystream/d"))]),
        ("glue", "GetTable", {"DatabaseName": "d", "Name": "t"},
         [("glue:GetTable", regional("glue", "catalog")), ("glue:GetTable", regional("glue", "database/d")),
          ("glue:GetTable", regional("glue", "table/d/t"))]),
        ("athena", "StartQueryExecution", {"WorkGroup": "w"},
         [("athena:StartQueryExecution", regional("athena", "workgroup/w"))]),
        ("events", "PutRule", {"Name": "r"}, [("events:PutRule", regional("events", "rule/r"))]),
        ("events", "PutEvents", {"Entries": [{"EventBusName": "own"}, {}]},
         [("events:PutEvents", regional("events", "event-bus/default")),
          ("events:PutEvents", regional("events", "event-bus/own"))]),
        ("events", "PutTargets", {"Rule": "r", "EventBusName": "own", "Targets": [{"RoleArn": ROLE}, {}]},
         [("events:PutTargets", regional("events", "rule/own/r")), ("iam:PassRole", ROLE)]),
        ("cloudwatch", "DescribeAlarms", {"AlarmNames": ["a"], "AlarmTypes": ["CompositeAlarm"]},
         [("cloudwatch:DescribeAlarms", "*")]),
        ("cloudwatch", "PutCompositeAlarm", {"AlarmName": "a"}, [("cloudwatch:PutCompositeAlarm", "*")]),
        ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"},
         [("dynamodb:Query", regional("dynamodb", "table/t/index/i"))]),
        ("dynamodb", "BatchGetItem", {"RequestItems": {"t": {}}},
         [("dynamodb:BatchGetItem", regional("dynamodb", "table/t"))]),
        ("application-autoscaling", "RegisterScalableTarget", {"ServiceNamespace": "sagemaker"},
         [("application-autoscaling:RegisterScalableTarget",
           regional("application-autoscaling", "scalable-target/*"))]),
        ("stepfunctions", "StartExecution", {}, [("states:StartExecution", "*")]),
        ("sts", "GetCallerIdentity", {}, []),
    ],
)  # fmt: skip
def test_needs(service: str, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert sorted(needs(service, operation, **params)) == sorted(expected)


def test_api_gateways_actions_are_verbs_on_paths() -> None:
    url = f"https://apigateway.{R}.amazonaws.com/v2/apis/abc/routes?maxResults=1"
    assert needs("apigatewayv2", "GetRoutes", url=url, method="GET") == [
        ("apigateway:GET", f"arn:aws:apigateway:{R}::/apis/abc/routes")
    ]
