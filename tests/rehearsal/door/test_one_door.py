"""One door: from a second process with plain boto3, every overlay and store operation answers as it does in process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from moto.core.utils import get_service_model

from infra.rehearsal.cloud import overlay
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.store_collections import BY_OPERATION
from infra.rehearsal.cloud.validator import validate
from infra.rehearsal.cloud.validator.patterns import matches

CARRIED = sorted({*overlay.carried(), *BY_OPERATION})
CANDIDATES = (
    "iris", "a", "1", "p99", "s3://models/key", "arn:aws:iam::111111111111:role/iris",
    "arn:aws:sagemaker:eu-west-1:111111111111:model/iris", "endpoint/iris/variant/stable", "10.0.0.0/16",
    "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:a", "2026-11-21T10:00:00Z", "sha256:" + "a" * 64, "1.33", "x" * 20,
)  # fmt: skip


def _smallest(service: str, operation: str) -> dict[str, Any]:
    """The required members of an operation, with values that fit their shapes where a candidate fits."""
    shape: Any = get_service_model(service).operation_model(operation).input_shape
    return _value(shape, 0) if shape is not None else {}


def _value(shape: Any, depth: int) -> Any:
    kind = shape.type_name
    if kind == "structure":
        names = shape.required_members or (list(shape.members)[:1] if getattr(shape, "is_tagged_union", False) else [])
        return {name: _value(shape.members[name], depth + 1) for name in names} if depth < 8 else {}
    if kind == "list":
        return [_value(shape.member, depth + 1)] * max(1, shape.metadata.get("min", 1))
    if kind == "map":
        return {_value(shape.key, depth + 1): _value(shape.value, depth + 1)}
    if kind == "string":
        return _text(shape)
    if kind in ("integer", "long", "float", "double"):
        return max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "timestamp": "2026-11-21T10:00:00Z", "blob": b"{}"}[kind]


def _text(shape: Any) -> str:
    if getattr(shape, "enum", None):
        return shape.enum[0]
    pattern, least, most = (shape.metadata.get(name) for name in ("pattern", "min", "max"))
    for candidate in CANDIDATES:
        long_enough = len(candidate) >= (least or 0) and len(candidate) <= (most or 10_000)
        if long_enough and (pattern is None or matches(pattern, candidate)):
            return candidate
    return "x" * max(1, least or 1)


def test_most_of_the_smallest_calls_are_valid():
    """Else the comparison below would only compare validation errors."""
    valid = [key for key in CARRIED if not validate(*key, _smallest(*key))]
    assert len(valid) > 0.8 * len(CARRIED)


@pytest.mark.parametrize(("service", "operation"), CARRIED, ids=lambda value: value)
def test_an_operation_answers_another_process_as_it_answers_this_one(
    cloud: Cloud, plain_client: Any, in_process_call: Callable[..., dict[str, Any]], service: str, operation: str
):
    params = _smallest(service, operation)
    here = in_process_call(cloud.client(service), operation, params)
    [answered_here] = cloud.journal.entries(service, operation)
    cloud.reset()
    there = plain_client.call(service, operation, params)
    [answered_there] = cloud.journal.entries(service, operation)

    assert (there["code"], there["status"]) == (here["code"], here["status"])
    assert there["code"] not in ("InternalFailure", "ParamValidationError")
    assert (answered_there.outcome, answered_there.answered_by) == (answered_here.outcome, answered_here.answered_by)
    assert answered_there.principal == answered_here.principal == cloud.principals.operator.arn
    assert answered_there.answered_by in ("overlay", "store", "door")
    assert cloud.carried_by(service, operation) in ("overlay", "store")


def _policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


MALFORMED: list[tuple[str, str, dict[str, Any], str]] = [
    ("apigatewayv2", "CreateIntegration", {"ApiId": "a", "IntegrationType": "FAX"}, "BadRequestException"),
    (
        "application-autoscaling",
        "RegisterScalableTarget",
        {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "iris",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        },
        "ValidationException",
    ),
    ("cloudwatch", "SetAlarmState", {"AlarmName": "a", "StateValue": "BAD", "StateReason": "r"}, "ValidationError"),
    ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/8"}, "InvalidParameterValue"),
    ("ecr", "CreateRepository", {"repositoryName": "Upper"}, "InvalidParameterException"),
    (
        "eks",
        "CreateNodegroup",
        {"clusterName": "c", "nodegroupName": "n", "subnets": ["s"], "nodeRole": "r", "amiType": "DOS"},
        "InvalidParameterException",
    ),
    ("firehose", "PutRecord", {"DeliveryStreamName": "a b", "Record": {"Data": b"x"}}, "InvalidArgumentException"),
    (
        "iam",
        "CreateRole",
        {"RoleName": "a b", "AssumeRolePolicyDocument": _policy(Action="sts:AssumeRole", Principal="*")},
        "ValidationError",
    ),
    ("kms", "CreateKey", {"KeySpec": "TINY"}, "ValidationException"),
    (
        "lambda",
        "UpdateFunctionConfiguration",
        {"FunctionName": "f", "Role": "arn:aws:iam::111111111111:role/r", "MemorySize": 20_000},
        "ValidationException",
    ),
    ("logs", "PutRetentionPolicy", {"logGroupName": "/g", "retentionInDays": 31}, "InvalidParameterException"),
    ("s3", "CreateBucket", {"Bucket": "a.b..c"}, "InvalidBucketName"),
    ("sagemaker", "CreateModel", {"ModelName": "a_b", "PrimaryContainer": {"Image": "x:1"}}, "ValidationException"),
    ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "a_b", "Body": b"x"}, "ValidationError"),
    ("sns", "CreateTopic", {"Name": "a b"}, "InvalidParameter"),
    ("sqs", "CreateQueue", {"QueueName": "a b"}, "InvalidParameterValue"),
    ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::111111111111:role/r", "RoleSessionName": "a b"}, "ValidationError"),
]


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"), MALFORMED, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_malformed_call_is_refused_alike(
    cloud: Cloud,
    plain_client: Any,
    in_process_call: Callable[..., dict[str, Any]],
    service: str,
    operation: str,
    params: dict[str, Any],
    code: str,
):
    here = in_process_call(cloud.client(service), operation, params)
    there = plain_client.call(service, operation, params)
    assert here["code"] == code
    assert here["message"].startswith(f"1 validation error detected in {service}.{operation}: ")
    assert there == here


FORBIDDEN: list[tuple[str, str, dict[str, Any]]] = [
    ("application-autoscaling", "DescribeScalableTargets", {"ServiceNamespace": "sagemaker"}),
    ("cloudwatch", "DescribeAlarms", {}),
    ("ec2", "DescribeVpcs", {}),
    ("ecr", "DescribeRepositories", {}),
    ("eks", "ListClusters", {}),
    ("iam", "ListRoles", {}),
    ("kms", "ListKeys", {}),
    ("logs", "DescribeLogGroups", {}),
    ("s3", "ListBuckets", {}),
    ("sagemaker", "ListModels", {}),
    ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "iris", "Body": b"x"}),
    ("sns", "ListTopics", {}),
    ("sqs", "ListQueues", {}),
]


@pytest.mark.parametrize(("service", "operation", "params"), FORBIDDEN, ids=lambda v: v if isinstance(v, str) else "")
def test_a_role_without_permissions_is_refused_alike(
    cloud: Cloud,
    plain_client: Any,
    in_process_call: Callable[..., dict[str, Any]],
    service: str,
    operation: str,
    params: dict[str, Any],
):
    trust = _policy(Action="sts:AssumeRole", Principal={"Service": "sagemaker.amazonaws.com"})
    role = cloud.client("iam").create_role(RoleName="powerless", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    session = cloud.assume_role(role, service="sagemaker.amazonaws.com", session_name="test")
    credentials = session.get_credentials()
    assert credentials is not None
    keys = (str(credentials.access_key), str(credentials.secret_key), str(credentials.token))

    here = in_process_call(session.client(service), operation, params)
    there = plain_client.call(service, operation, params, keys)
    assert here["code"] in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
    assert here["status"] in (400, 403)
    assert "assumed-role/powerless/test" in here["message"]
    assert "is not authorized to perform" in here["message"]
    assert there == here
