"""What the validator promises beside single mistakes: everything at once, unknown values, secrets, patterns."""

from __future__ import annotations

import json
from typing import Any

import botocore.loaders
import pytest
import regex

from infra.rehearsal.cloud.validator import refusal, schemas, uncompilable, validate
from infra.rehearsal.cloud.validator.patterns import compiled, matches

SERVICES = [
    "apigatewayv2", "application-autoscaling", "athena", "bedrock", "bedrock-runtime", "budgets", "ce", "cloudwatch",
    "dynamodb", "ec2", "ecr", "ecs", "eks", "elbv2", "events", "firehose", "glue", "iam", "kms", "lambda", "logs", "s3",
    "s3control", "sagemaker", "sagemaker-runtime", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "stepfunctions",
    "sts", "wafv2",
]  # fmt: skip


def test_every_pattern_of_the_services_in_use_compiles():
    assert list(uncompilable(SERVICES)) == []


def test_an_uncompilable_pattern_would_be_listed(monkeypatch: pytest.MonkeyPatch):
    model = {"shapes": {"Name": {"type": "string", "pattern": "(["}, "Other": {"type": "string"}}}
    monkeypatch.setattr(botocore.loaders.Loader, "load_service_model", lambda *_: model)
    assert list(uncompilable(["anything"])) == [("anything", "Name", "([")]


def test_every_pattern_of_the_cloudformation_types_in_use_compiles():
    broken = []

    def walk(node: object, where: str) -> None:
        if isinstance(node, dict):
            pattern = node.get("pattern")
            if isinstance(pattern, str):
                try:
                    compiled(pattern)
                except regex.error:
                    broken.append((where, pattern))
            for name, child in node.items():
                walk(child, f"{where}.{name}")
        elif isinstance(node, list):
            for child in node:
                walk(child, where)

    for type_name in {source.type_name for source in schemas.SOURCES.values()}:
        walk(schemas.schema_of(type_name), type_name)
    assert broken == []


def test_every_source_names_an_operation_its_member_and_its_property():
    for (service, operation), source in schemas.SOURCES.items():
        assert validate(service, operation, {}, partial=True) == []
        properties = schemas.schema_of(source.type_name)["properties"]
        assert not source.property_name or source.property_name in properties
        assert all(name in properties for name in source.renamed.values())


def test_a_java_pattern_with_astral_characters_matches_them():
    assert matches(r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF]+", "a\U0001f600")


def test_a_match_is_a_match_of_the_whole_value():
    assert matches("[a-z]+", "abc")
    assert not matches("[a-z]+", "abc1")
    assert matches("[a-z]+", "1abc1", whole=False)


def test_all_findings_come_at_once():
    findings = validate("sagemaker", "CreateModel", {"ModelName": "a_b", "Tags": [{"Key": "k"}], "VpcConfig": {}})
    assert [finding.path for finding in findings] == [
        "ModelName",
        "Tags[0].Value",
        "VpcConfig.SecurityGroupIds",
        "VpcConfig.Subnets",
        "PrimaryContainer",
    ]


def test_a_wrong_type_silences_the_rules_and_nothing_else():
    findings = validate("cloudwatch", "PutMetricAlarm", {"AlarmName": 5, "Period": 45, "TreatMissingData": "maybe"})
    assert [(finding.path, finding.message) for finding in findings] == [
        ("AlarmName", "must be a string, got 5 (int)"),
    ]


def test_with_unknown_values_nothing_is_missing_and_a_bad_value_is_still_bad():
    params = {"ModelName": "a_b", "VpcConfig": {"Subnets": []}, "PrimaryContainer": {"Environment": {"A": "b"}}}
    assert [finding.path for finding in validate("sagemaker", "CreateModel", params, partial=True)] == ["ModelName"]


def test_a_union_takes_exactly_one():
    text, image = {"text": "a"}, {"image": {"format": "png", "source": {"bytes": b"x"}}}

    def converse(content: dict[str, Any]) -> dict[str, Any]:
        return {"modelId": "m", "messages": [{"role": "user", "content": [content]}]}

    assert validate("bedrock-runtime", "Converse", converse(text)) == []
    assert validate("bedrock-runtime", "Converse", converse({}), partial=True) == []
    [finding] = validate("bedrock-runtime", "Converse", converse({**text, **image}))
    assert finding.path == "messages[0].content[0]"
    assert "takes exactly one of" in finding.message


def test_what_the_model_calls_secret_is_not_repeated():
    [finding] = validate("secretsmanager", "PutSecretValue", {"SecretId": "s", "SecretString": "x" * 70_000})
    assert finding.path == "SecretString"
    assert "xxx" not in finding.message


def test_an_unknown_field_names_the_nearest_one():
    [finding] = validate(
        "sagemaker", "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfg": {}}
    )
    assert finding.path == "DeploymentConfg"
    assert "nearest is 'DeploymentConfig'" in finding.message


def test_an_operation_that_takes_nothing_takes_nothing():
    assert validate("sts", "GetCallerIdentity", {}) == []
    assert [finding.path for finding in validate("sts", "GetCallerIdentity", {"A": 1})] == ["A"]


@pytest.mark.parametrize(("service", "operation"), [("sagemaker", "MakeModel"), ("sagemakr", "CreateModel")])
def test_an_unknown_operation_is_a_key_error(service: str, operation: str):
    with pytest.raises(KeyError, match=f"{service}.{operation}"):
        validate(service, operation, {})


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"),
    [
        ("sagemaker", "CreateModel", {"ModelName": "a_b"}, "ValidationException"),
        ("ec2", "CreateVpc", {"CidrBlock": "x"}, "InvalidParameterValue"),
        ("s3", "CreateBucket", {"Bucket": "UP"}, "InvalidBucketName"),
        ("s3", "PutBucketPolicy", {"Bucket": "b-1", "Policy": "{"}, "MalformedPolicy"),
        ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{"}, "MalformedPolicyDocument"),
        ("iam", "CreateRole", {"RoleName": "a b", "AssumeRolePolicyDocument": "{"}, "ValidationError"),
        ("kms", "CreateKey", {"Policy": "{"}, "MalformedPolicyDocumentException"),
        ("kms", "CreateKey", {"KeySpec": "x"}, "ValidationException"),
        ("logs", "PutRetentionPolicy", {"logGroupName": "g", "retentionInDays": 2}, "InvalidParameterException"),
        ("sns", "CreateTopic", {"Name": "a b"}, "InvalidParameter"),
    ],
)
def test_the_refusal_has_the_services_own_code_and_every_problem(
    service: str, operation: str, params: dict[str, object], code: str
):
    findings = validate(service, operation, params)
    error = refusal(service, operation, findings)
    assert error.code == code
    assert error.status == 400
    assert all(f"{finding.path}: {finding.message}" in error.message for finding in findings)
    assert json.dumps(error.message)
