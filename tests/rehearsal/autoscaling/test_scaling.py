"""Application Auto Scaling: targets that exist, policies of registered targets, the alarms that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.application_autoscaling import _matching
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Fleet
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/iris/variant/stable",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {
    "TargetValue": 100.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    "ScaleInCooldown": 300,
    "ScaleOutCooldown": 60,
}


@dataclass
class Scaled:
    """A client, with an endpoint "iris" whose variant "stable" serves."""

    cloud: Any
    client: Any
    cloudwatch: Any

    def register(self, **changes):
        return self.client.register_scalable_target(**{**TARGET, "MinCapacity": 1, "MaxCapacity": 4, **changes})

    def policy(self, name="tracking", **changes):
        asked = {
            "PolicyName": name,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": TRACKING,
            **TARGET,
            **changes,
        }
        return self.client.put_scaling_policy(**asked)

    def targets(self):
        return self.client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]

    def policies(self, **asked):
        return self.client.describe_scaling_policies(ServiceNamespace="sagemaker", **asked)["ScalingPolicies"]

    def alarms(self):
        return self.cloudwatch.describe_alarms()["MetricAlarms"]


@pytest.fixture
def scaled(cloud) -> Scaled:
    """The endpoint stands in SageMaker's table alone: its hosts have tests of their own."""
    now = cloud.clock.now()
    endpoint = Endpoint(
        name="iris",
        arn="arn:aws:sagemaker:eu-west-1:111111111111:endpoint/iris",
        region="eu-west-1",
        account_id="111111111111",
        config_name="c",
        created=now,
        modified=now,
        take_down=lambda ended, fleet, give_back: None,
        status="InService",
        fleet=Fleet("c", {}, production={"stable": object()}),  # pyright: ignore[reportArgumentType] - only its name counts
    )
    sagemaker_of(cloud).endpoints["eu-west-1", "iris"] = endpoint
    return Scaled(cloud, cloud.client("application-autoscaling"), cloud.client("cloudwatch"))


@pytest.fixture
def refused() -> Callable[..., tuple[str, str]]:
    def call(method: Callable[..., Any], **params: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            method(**params)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return call


def test_a_target_comes_back_with_the_service_linked_role(scaled):
    arn = scaled.register(Tags={"team": "iris"})["ScalableTargetARN"]
    (target,) = scaled.targets()
    assert {key: target[key] for key in TARGET} == TARGET
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (1, 4, arn)
    assert target["RoleARN"] == (
        "arn:aws:iam::111111111111:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    assert set(target["SuspendedState"].values()) == {False}
    assert scaled.client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "iris"}


def test_registering_again_changes_what_is_given(scaled):
    first = scaled.register()["ScalableTargetARN"]
    asked = {**TARGET, "MaxCapacity": 9, "SuspendedState": {"DynamicScalingInSuspended": True}}
    assert scaled.client.register_scalable_target(**asked)["ScalableTargetARN"] == first
    (target,) = scaled.targets()
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 9)
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is True
    assert target["SuspendedState"]["DynamicScalingOutSuspended"] is False


def test_tags_change(scaled, refused):
    arn = scaled.register(Tags={"a": "1"})["ScalableTargetARN"]
    scaled.client.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    scaled.client.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert scaled.client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}
    assert refused(scaled.client.list_tags_for_resource, ResourceARN=f"{arn}0")[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"ResourceId": "endpoint/none/variant/stable"}, "ValidationException", "SageMaker endpoint doesn't exist"),
        ({"ResourceId": "endpoint/iris/variant/none"}, "ValidationException", "SageMaker variant doesn't exist"),
        ({"ResourceId": "endpoint/iris"}, "ValidationException", "endpoint/NAME/variant/NAME"),
        ({"MinCapacity": 5}, "ValidationException", "more than MaxCapacity"),
        ({"ServiceNamespace": "ecs"}, "NotCarried", "Scalable targets of ecs"),
    ],
)
def test_targets_that_are_refused(scaled, refused, changes, code, words):
    found, message = refused(scaled.register, **changes)
    assert found == code
    assert words in message
    assert scaled.targets() == []


def test_a_maximum_below_the_minimum_that_stands(scaled, refused):
    scaled.register(MinCapacity=3)
    code, message = refused(scaled.client.register_scalable_target, **TARGET, MaxCapacity=2)
    assert (code, message) == ("ValidationException", "Maximum capacity cannot be less than minimum capacity")
    assert scaled.targets()[0]["MaxCapacity"] == 4


def test_both_capacities_are_needed_at_first(scaled, refused):
    code, message = refused(scaled.client.register_scalable_target, **TARGET, MinCapacity=1)
    assert code == "ValidationException"
    assert message == "MaxCapacity must be specified to register a scalable target."


def test_a_policy_needs_a_registered_target(scaled, refused):
    code, message = refused(scaled.policy)
    assert code == "ObjectNotFoundException"
    assert message == (
        "No scalable target registered for service namespace: sagemaker, resource ID: endpoint/iris/variant/stable, "
        "scalable dimension: sagemaker:variant:DesiredInstanceCount"
    )


def test_target_tracking_makes_two_alarms(scaled):
    scaled.register()
    made = scaled.policy()
    assert made["PolicyARN"].endswith(":resource/sagemaker/endpoint/iris/variant/stable:policyName/tracking")
    high, low = scaled.alarms()
    assert [alarm["AlarmName"] for alarm in made["Alarms"]] == [high["AlarmName"], low["AlarmName"]]
    assert high["AlarmName"].startswith("TargetTracking-endpoint/iris/variant/stable-AlarmHigh-")
    assert low["AlarmName"].startswith("TargetTracking-endpoint/iris/variant/stable-AlarmLow-")
    assert (high["ComparisonOperator"], high["Threshold"], high["EvaluationPeriods"]) == (
        "GreaterThanThreshold",
        100,
        3,
    )
    assert (low["ComparisonOperator"], low["Threshold"], low["EvaluationPeriods"]) == ("LessThanThreshold", 90, 15)
    for alarm in (high, low):
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SageMaker", "InvocationsPerInstance")
        assert (alarm["Statistic"], alarm["Period"]) == ("Sum", 60)
        assert alarm["AlarmActions"] == [made["PolicyARN"]]
        assert alarm["StateValue"] == "INSUFFICIENT_DATA"
        assert alarm["Dimensions"] == [
            {"Name": "EndpointName", "Value": "iris"},
            {"Name": "VariantName", "Value": "stable"},
        ]
    (policy,) = scaled.policies()
    assert policy["TargetTrackingScalingPolicyConfiguration"] == TRACKING
    assert policy["Alarms"] == made["Alarms"]


def test_putting_a_policy_again_keeps_its_arn_and_renews_its_alarms(scaled):
    scaled.register()
    first = scaled.policy()
    changed = {**TRACKING, "TargetValue": 50.0, "DisableScaleIn": True}
    second = scaled.policy(TargetTrackingScalingPolicyConfiguration=changed)
    assert second["PolicyARN"] == first["PolicyARN"]
    (high,) = scaled.alarms()
    assert high["Threshold"] == 50.0


def test_a_custom_metric(scaled):
    scaled.register()
    custom = {
        "Namespace": "App",
        "MetricName": "Queue",
        "Statistic": "Average",
        "Dimensions": [{"Name": "Model", "Value": "iris"}],
    }
    tracking = {"TargetValue": 5.0, "CustomizedMetricSpecification": custom}
    scaled.policy(TargetTrackingScalingPolicyConfiguration=tracking)
    high, _ = scaled.alarms()
    assert (high["Namespace"], high["MetricName"], high["Statistic"]) == ("App", "Queue", "Average")


def test_a_step_policy_makes_no_alarms(scaled):
    scaled.register()
    steps = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    made = scaled.client.put_scaling_policy(
        PolicyName="steps", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps, **TARGET
    )
    assert made["Alarms"] == []
    assert scaled.alarms() == []
    assert scaled.policies(PolicyNames=["steps"])[0]["StepScalingPolicyConfiguration"] == steps


def test_a_policy_without_its_configuration(scaled, refused):
    scaled.register()
    code, message = refused(
        scaled.client.put_scaling_policy, PolicyName="p", PolicyType="TargetTrackingScaling", **TARGET
    )
    assert code == "ValidationException"
    assert "TargetTrackingScalingPolicyConfiguration" in message


def test_deleting_a_policy_takes_its_alarms(scaled, refused):
    scaled.register()
    scaled.policy()
    scaled.client.delete_scaling_policy(PolicyName="tracking", **TARGET)
    assert scaled.policies() == []
    assert scaled.alarms() == []
    code, message = refused(scaled.client.delete_scaling_policy, PolicyName="tracking", **TARGET)
    assert code == "ObjectNotFoundException"
    assert message.startswith("No scaling policy found for service namespace: sagemaker")


def test_deregistering_takes_policies_and_alarms(scaled, refused):
    scaled.register()
    scaled.policy()
    scaled.client.deregister_scalable_target(**TARGET)
    assert (scaled.targets(), scaled.policies(), scaled.alarms()) == ([], [], [])
    code, message = refused(scaled.client.deregister_scalable_target, **TARGET)
    assert code == "ObjectNotFoundException"
    assert message.startswith("No scalable target found for service namespace: sagemaker")


def test_filters(scaled):
    scaled.register()
    scaled.policy()
    other = scaled.client.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=["endpoint/other/variant/stable"]
    )
    assert other["ScalableTargets"] == []
    assert scaled.policies(PolicyNames=["other"]) == []
    assert len(scaled.policies(ResourceId=TARGET["ResourceId"])) == 1


def test_targets_are_listed_while_another_thread_deregisters_one():
    """`up` looks at one endpoint's target while it takes another one's off."""
    targets: dict[Any, Any] = {("eu-west-1", "sagemaker", name, "count"): {"ResourceId": name} for name in ("a", "b")}

    class Region(str):
        def __eq__(self, other: object) -> bool:
            targets.clear()
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    call: Any = SimpleNamespace(region=Region("eu-west-1"), params={"ServiceNamespace": "sagemaker"})
    assert [target["ResourceId"] for _, target in _matching(call, targets)] == ["a", "b"]
