"""Mistakes that AWS refuses about endpoints, alarms and scaling, planted one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rehearsal.cloud.validator import validate

MODEL = {
    "ModelName": "iris",
    "ExecutionRoleArn": "arn:aws:iam::111111111111:role/r",
    "PrimaryContainer": {"Image": "x:1"},
}
VARIANT = {"VariantName": "stable", "ModelName": "iris", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
CONFIG = {"EndpointConfigName": "iris", "ProductionVariants": [VARIANT]}
ALARM = {
    "AlarmName": "a",
    "Namespace": "n",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
QUEUE, TOPIC = "arn:aws:sqs:eu-west-1:111111111111:q", "arn:aws:sns:eu-west-1:111111111111:t"
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://b",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}


def _update(policy: dict[str, Any]) -> dict[str, Any]:
    return {"EndpointName": "iris", "EndpointConfigName": "iris-2", "DeploymentConfig": policy}


def _traffic(*, termination: int = 0, longest: int | None = None, **traffic: Any) -> dict[str, Any]:
    timeout = {} if longest is None else {"MaximumExecutionTimeoutInSeconds": longest}
    traffic.setdefault("WaitIntervalInSeconds", 60)
    policy = {"TrafficRoutingConfiguration": traffic, "TerminationWaitInSeconds": termination, **timeout}
    return _update({"BlueGreenUpdatePolicy": policy})


def _percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


MISTAKES: list[tuple[str, str, dict[str, Any], str, str]] = [
    # service, operation, parameters, path, part of the message
    ("sagemaker", "CreateModel", {**MODEL, "ModelName": "iris_1"}, "ModelName", "does not match the pattern"),
    ("sagemaker", "CreateModel", {**MODEL, "ModelName": "x" * 64}, "ModelName", "at most 63"),
    (
        "sagemaker",
        "CreateModel",
        {**MODEL, "ExecutionRoleArn": "my-role"},
        "ExecutionRoleArn",
        "does not match the pattern",
    ),
    ("sagemaker", "CreateModel", {**MODEL, "Colour": "red"}, "Colour", "is no field of CreateModel"),
    (
        "sagemaker",
        "CreateModel",
        {**MODEL, "EnableNetworkIsolation": "yes"},
        "EnableNetworkIsolation",
        "must be true or false",
    ),
    ("sagemaker", "CreateModel", {"ModelName": "iris"}, "PrimaryContainer", "or Containers is required"),
    ("sagemaker", "CreateModel", {"PrimaryContainer": {"Image": "x:1"}}, "ModelName", "is required"),
    (
        "sagemaker",
        "CreateModel",
        {**MODEL, "PrimaryContainer": {"ModelDataUrl": "s3://b/k"}},
        "PrimaryContainer.Image",
        "is required unless",
    ),
    (
        "sagemaker",
        "CreateModel",
        {**MODEL, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        "Tags",
        "'a' 2 times",
    ),
    ("sagemaker", "CreateModel", {**MODEL, "Tags": [{"Key": "aws:x", "Value": "1"}]}, "Tags", "reserved"),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {**CONFIG, "ProductionVariants": [{**VARIANT, "InstanceType": "ml.m5.huge"}]},
        "ProductionVariants[0].InstanceType",
        "'ml.m5.huge' is not allowed",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {**CONFIG, "ProductionVariants": [{**VARIANT, "InitialInstanceCount": "2"}]},
        "ProductionVariants[0].InitialInstanceCount",
        "must be an integer",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {**CONFIG, "ProductionVariants": [{**VARIANT, "InitialVariantWeight": -1.0}]},
        "ProductionVariants[0].InitialVariantWeight",
        "at least 0",
    ),
    ("sagemaker", "CreateEndpointConfig", {**CONFIG, "ProductionVariants": []}, "ProductionVariants", "at least 1"),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {**CONFIG, "ProductionVariants": [VARIANT, VARIANT]},
        "ProductionVariants",
        "'stable' more than once",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {**CONFIG, "ShadowProductionVariants": [{**VARIANT, "VariantName": "s1"}, {**VARIANT, "VariantName": "s2"}]},
        "ShadowProductionVariants",
        "at most 1",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {
            "EndpointConfigName": "c",
            "ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "b"}],
            "ShadowProductionVariants": [{**VARIANT, "VariantName": "s"}],
        },
        "ProductionVariants",
        "exactly one",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {**CONFIG, "DataCaptureConfig": {**CAPTURE, "InitialSamplingPercentage": 101}},
        "DataCaptureConfig.InitialSamplingPercentage",
        "at most 100",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {
            **CONFIG,
            "ProductionVariants": [
                {
                    "VariantName": "v",
                    "ModelName": "m",
                    "ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 5},
                }
            ],
        },
        "ProductionVariants[0].ServerlessConfig.MemorySizeInMB",
        "is 1500",
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {
            **CONFIG,
            "ProductionVariants": [
                {
                    "VariantName": "v",
                    "ModelName": "m",
                    "InstanceType": "ml.m5.large",
                    "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5},
                }
            ],
        },
        "ProductionVariants[0].InstanceType",
        "cannot stand beside",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _traffic(Type="SOMETIMES"),
        "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.Type",
        "'SOMETIMES' is not allowed",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _traffic(Type="CANARY", CanarySize=_percent(60)),
        "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.CanarySize.Value",
        "is 60 percent",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _traffic(Type="LINEAR", LinearStepSize=_percent(5)),
        "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.LinearStepSize.Value",
        "is 5 percent",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _traffic(Type="CANARY"),
        "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.CanarySize",
        "is required",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _traffic(Type="CANARY", CanarySize=_percent(10), WaitIntervalInSeconds=3601),
        "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.WaitIntervalInSeconds",
        "at most 3600",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _traffic(Type="CANARY", CanarySize=_percent(10), WaitIntervalInSeconds=1800, termination=600, longest=2400),
        "DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds",
        "waits alone take 2400 s",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _update({"RollingUpdatePolicy": {"MaximumBatchSize": _percent(60), "WaitIntervalInSeconds": 0}}),
        "DeploymentConfig.RollingUpdatePolicy.MaximumBatchSize.Value",
        "allowed are 5 to 50",
    ),
    (
        "sagemaker",
        "UpdateEndpoint",
        _update({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": f"a{number}"} for number in range(11)]}}),
        "DeploymentConfig.AutoRollbackConfiguration.Alarms",
        "at most 10",
    ),
    ("cloudwatch", "PutMetricAlarm", {**ALARM, "Period": 45}, "Period", "is 45 s"),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**ALARM, "DatapointsToAlarm": 4},
        "DatapointsToAlarm",
        "more than EvaluationPeriods",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**ALARM, "Period": 300, "EvaluationPeriods": 289},
        "EvaluationPeriods",
        "86700 s",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**ALARM, "ComparisonOperator": "Above"},
        "ComparisonOperator",
        "'Above' is not allowed",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**ALARM, "TreatMissingData": "maybe"},
        "TreatMissingData",
        "'maybe' is not allowed",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**ALARM, "AlarmActions": [f"arn:aws:sns:eu-west-1:111111111111:t{n}" for n in range(6)]},
        "AlarmActions",
        "at most 5",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**{k: v for k, v in ALARM.items() if k != "Statistic"}, "ExtendedStatistic": "p101"},
        "ExtendedStatistic",
        "'p101' is no statistic",
    ),
    ("cloudwatch", "PutMetricAlarm", {**ALARM, "ExtendedStatistic": "p99"}, "ExtendedStatistic", "exclude each other"),
    ("cloudwatch", "PutMetricAlarm", {k: v for k, v in ALARM.items() if k != "Threshold"}, "Threshold", "is required"),
    ("cloudwatch", "PutCompositeAlarm", {"AlarmName": "a", "AlarmRule": "ALARM(b"}, "AlarmRule", "Unsupported token"),
    ("cloudwatch", "PutCompositeAlarm", {"AlarmName": "a"}, "AlarmRule", "is required"),
    (
        "cloudwatch",
        "PutCompositeAlarm",
        {"AlarmName": "a", "AlarmRule": "TRUE", "ActionsSuppressor": "b", "ActionsSuppressorWaitPeriod": 1},
        "ActionsSuppressorExtensionPeriod",
        "is required with ActionsSuppressor",
    ),
    ("events", "PutRule", {"Name": "r"}, "EventPattern", "or ScheduleExpression must be given"),
    ("events", "PutRule", {"Name": "a/b", "EventPattern": "{}"}, "Name", "does not match the pattern"),
    ("events", "PutTargets", {"Rule": "r", "Targets": []}, "Targets", "at least 1"),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [{"Id": "t", "Arn": QUEUE}, {"Id": "t", "Arn": QUEUE}]},
        "Targets",
        "has the id 't' more than once",
    ),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [{"Id": "t", "Arn": QUEUE, "RetryPolicy": {"MaximumEventAgeInSeconds": 59}}]},
        "Targets[0].RetryPolicy.MaximumEventAgeInSeconds",
        "59",
    ),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [{"Id": "t", "Arn": QUEUE, "DeadLetterConfig": {"Arn": TOPIC}}]},
        "Targets[0].DeadLetterConfig.Arn",
        "is no queue",
    ),
    ("logs", "PutRetentionPolicy", {"logGroupName": "/g", "retentionInDays": 31}, "retentionInDays", "is 31"),
    ("logs", "CreateLogGroup", {"logGroupName": "a b"}, "logGroupName", "does not match the pattern"),
    (
        "application-autoscaling",
        "RegisterScalableTarget",
        {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "iris",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        },
        "ResourceId",
        "is no variant",
    ),
    (
        "application-autoscaling",
        "RegisterScalableTarget",
        {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "endpoint/e/variant/v",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "MinCapacity": 3,
            "MaxCapacity": 1,
        },
        "MinCapacity",
        "more than MaxCapacity",
    ),
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
