"""Condition keys: what a request offers to a policy's conditions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.rehearsal.cloud.api import Call, HttpRequest, Principal
from infra.rehearsal.cloud.clock import Clock
from infra.rehearsal.cloud.iam.conditions import caller_context, request_context

A, R = "111111111111", "eu-west-1"
ROLE = Principal("role", f"arn:aws:sts::{A}:assumed-role/r/s", A, f"arn:aws:iam::{A}:role/app/r")
CLOUD: Any = SimpleNamespace(account_id=A, clock=Clock())


def keys(service: str, operation: str, **params: Any) -> dict[str, tuple[str, ...]]:
    request = HttpRequest("POST", "", {"user-agent": "tests"}, b"")
    return request_context(Call(CLOUD, service, operation, params, R, ROLE, request))


def test_a_roles_caller_keys() -> None:
    found = caller_context(CLOUD, ROLE)
    assert found["aws:principalarn"] == (ROLE.role_arn,)
    assert found["aws:principalaccount"] == (A,)
    assert found["aws:principaltype"] == ("AssumedRole",)
    assert found["aws:securetransport"] == ("true",)
    assert found["aws:principalisawsservice"] == ("false",)
    assert found["aws:sourceip"] == ("127.0.0.1",)
    assert found["aws:userid"][0].endswith(":s")


def test_a_services_caller_keys_carry_whom_it_acts_for() -> None:
    context = {"aws:SourceAccount": "999999999999", "aws:SourceArn": "arn:aws:cloudwatch:r:9:alarm:a"}
    found = caller_context(CLOUD, Principal("service", "cloudwatch.amazonaws.com", A, context=context))
    assert found["aws:principalservicename"] == ("cloudwatch.amazonaws.com",)
    assert found["aws:principalisawsservice"] == ("true",)
    assert found["aws:sourceaccount"] == found["aws:sourceowner"] == ("999999999999",)
    assert "aws:sourceip" not in found
    assert "aws:principalarn" not in found


def test_time_is_the_clouds() -> None:
    clock = Clock()
    cloud: Any = SimpleNamespace(clock=clock)
    before = int(caller_context(cloud, ROLE)["aws:epochtime"][0])
    clock.advance(86_400)
    assert int(caller_context(cloud, ROLE)["aws:epochtime"][0]) >= before + 86_400


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("sagemaker", "CreateModel", {"Tags": [{"Key": "Team", "Value": "x"}]},
         {"aws:requesttag/team": ("x",), "aws:tagkeys": ("Team",)}),
        ("kms", "CreateKey", {"Tags": [{"TagKey": "team", "TagValue": "x"}]}, {"aws:requesttag/team": ("x",)}),
        ("logs", "CreateLogGroup", {"tags": {"team": "x"}}, {"aws:requesttag/team": ("x",)}),
        ("ec2", "CreateVpc", {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "t", "Value": "x"}]}]},
         {"aws:requesttag/t": ("x",), "ec2:region": (R,)}),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "Tagging": "team=x&a="},
         {"aws:requesttag/team": ("x",), "s3:requestobjecttag/team": ("x",),
          "s3:requestobjecttagkeys": ("team", "a")}),
        ("s3", "PutBucketTagging", {"Bucket": "b", "Tagging": {"TagSet": [{"Key": "team", "Value": "x"}]}},
         {"aws:requesttag/team": ("x",)}),
        ("iam", "UntagRole", {"TagKeys": ["a", "b"]}, {"aws:tagkeys": ("a", "b")}),
        ("s3", "PutObject", {"IfNoneMatch": "*", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"},
         {"s3:if-none-match": ("*",), "s3:x-amz-server-side-encryption": ("aws:kms",),
          "s3:x-amz-server-side-encryption-aws-kms-key-id": ("k",), "s3:objectcreationoperation": ("true",)}),
        ("s3", "UploadPart", {}, {"s3:objectcreationoperation": ("false",)}),
        ("s3", "ListObjectsV2", {"Prefix": "a/", "MaxKeys": 10}, {"s3:prefix": ("a/",), "s3:max-keys": ("10",)}),
        ("kms", "Encrypt", {"KeyId": "alias/a", "EncryptionContext": {"aws:s3:arn": "x"}},
         {"kms:requestalias": ("alias/a",), "kms:encryptioncontext:aws:s3:arn": ("x",),
          "kms:encryptioncontextkeys": ("aws:s3:arn",), "kms:calleraccount": (A,)}),
        ("kms", "CreateGrant", {"Operations": ["Encrypt"]},
         {"kms:grantoperations": ("Encrypt",), "kms:grantisforawsresource": ("false",)}),
        ("cloudwatch", "PutMetricData", {"Namespace": "n"}, {"cloudwatch:namespace": ("n",)}),
        ("cloudwatch", "PutMetricAlarm", {"AlarmActions": ["x"], "OKActions": ["y"]},
         {"cloudwatch:alarmactions": ("x", "y")}),
        ("iam", "CreateRole", {"PermissionsBoundary": "p"}, {"iam:permissionsboundary": ("p",)}),
        ("sns", "Subscribe", {"Protocol": "email", "Endpoint": "a@example.com"},
         {"sns:protocol": ("email",), "sns:endpoint": ("a@example.com",)}),
        ("sagemaker", "CreateEndpointConfig",
         {"KmsKeyId": "k", "ProductionVariants": [{"InstanceType": "ml.m5.large"}, {"ModelName": "m"}]},
         {"sagemaker:volumekmskey": ("k",), "sagemaker:instancetypes": ("ml.m5.large",)}),
        ("sagemaker", "CreateModel",
         {"EnableNetworkIsolation": True, "VpcConfig": {"Subnets": ["s"], "SecurityGroupIds": ["g"]}},
         {"sagemaker:networkisolation": ("true",), "sagemaker:vpcsubnets": ("s",),
          "sagemaker:vpcsecuritygroupids": ("g",)}),
        ("lambda", "CreateFunction", {"VpcConfig": {"SubnetIds": ["s"], "SecurityGroupIds": ["g"]}},
         {"lambda:subnetids": ("s",), "lambda:securitygroupids": ("g",)}),
        ("ec2", "CreateNetworkInterface", {"SubnetId": "subnet-1"},
         {"ec2:subnet": (f"arn:aws:ec2:{R}:{A}:subnet/subnet-1",)}),
        ("application-autoscaling", "RegisterScalableTarget", {"ServiceNamespace": "sagemaker"},
         {"application-autoscaling:service-namespace": ("sagemaker",)}),
    ],
)  # fmt: skip
def test_request_keys(
    service: str, operation: str, params: dict[str, Any], expected: dict[str, tuple[str, ...]]
) -> None:
    found = keys(service, operation, **params)
    assert {key: found.get(key) for key in expected} == expected
    assert found["aws:requestedregion"] == (R,)
    assert found["aws:useragent"] == ("tests",)
