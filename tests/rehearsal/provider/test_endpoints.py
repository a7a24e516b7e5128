"""A live endpoint, its scaling, and how the provider waits for it. The endpoints serve with real model hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import ACCOUNT_ID, REGION, CheckFailed, Driver, Resource
from provider_world import TAGS, World

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import UNKNOWN, InitializationFailed, ProviderError
from infra.rehearsal.provider.account import ProviderSettings
from infra.rehearsal.provider.errors import UnexpectedState, WaitTimeout
from infra.rehearsal.provider.operation import Operation, Timing
from infra.rehearsal.provider.rows import ROWS
from infra.rehearsal.provider.rows.endpoints import _update

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
TARGET = "aws:appautoscaling/target:Target"
POLICY = "aws:appautoscaling/policy:Policy"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"


def alarm(world: World, name: str) -> Resource:
    return world.engine.create(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        name,
        name=name,
        namespace="AWS/SageMaker",
        metricName="Invocation5XXErrors",
        dimensions={"EndpointName": "iris", "VariantName": "stable"},
        statistic="Sum",
        period=60,
        evaluationPeriods=1,
        threshold=5,
        comparisonOperator="GreaterThanThreshold",
    )


def deployment(*alarms: str) -> dict[str, Any]:
    return {
        "blueGreenUpdatePolicy": {
            "trafficRoutingConfiguration": {"type": "ALL_AT_ONCE", "waitIntervalInSeconds": 0},
        },
        "autoRollbackConfiguration": {"alarms": [{"alarmName": name} for name in alarms]},
    }


def in_service(cloud: Cloud) -> None:
    waiter = cloud.client("sagemaker").get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="iris", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000})


def scaling(endpoint: Resource) -> dict[str, Any]:
    return {
        "serviceNamespace": "sagemaker",
        "resourceId": f"endpoint/{endpoint.id}/variant/stable",
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def test_endpoint_from_create_to_delete(engine: Driver, world: World, cloud: Cloud) -> None:
    """One endpoint through every step, as each start of a model host takes a second."""
    alarm(world, "iris-guard-errors")
    alarm(world, "iris-guard-p99")
    policy = deployment("iris-guard-errors", "iris-guard-p99")
    inputs = {**world.endpoint_inputs(), "deploymentConfig": policy, "tags": TAGS}
    made = engine.create(ENDPOINT, "iris", **inputs)
    assert (made.id, made.outputs["arn"]) == ("iris", f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:endpoint/iris")
    assert engine.changed(made, **inputs) == {}
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.outputs == made.outputs
    assert engine.changed(refreshed, **inputs) == {}

    # The order of alarms does not count; another set replaces the live endpoint, and so does taking the block away.
    swapped = {**inputs, "deploymentConfig": deployment("iris-guard-p99", "iris-guard-errors")}
    assert engine.changed(made, **swapped) == {}
    fewer = {**inputs, "deploymentConfig": deployment("iris-guard-p99")}
    assert engine.changed(made, **fewer) == {"deploymentConfig.autoRollbackConfiguration.alarms": True}
    without = {**inputs, "deploymentConfig": {"blueGreenUpdatePolicy": policy["blueGreenUpdatePolicy"]}}
    assert engine.changed(made, **without) == {"deploymentConfig.autoRollbackConfiguration": True}
    assert engine.changed(made, **{key: value for key, value in inputs.items() if key != "deploymentConfig"}) == {
        "deploymentConfig": True
    }

    # The rest of the deployment configuration, and the configuration's name, change in place.
    second = engine.create(CONFIGURATION, "second", **world.configuration_inputs("second"))
    longer = deployment("iris-guard-errors", "iris-guard-p99")
    longer["blueGreenUpdatePolicy"]["terminationWaitInSeconds"] = 5
    news = {**inputs, "endpointConfigName": second.id, "deploymentConfig": longer}
    assert engine.changed(made, **news) == {
        "deploymentConfig.blueGreenUpdatePolicy.terminationWaitInSeconds": False,
        "endpointConfigName": False,
    }
    assert engine.update(made, preview=True, **news).outputs["arn"] == made.outputs["arn"]
    updated = engine.update(made, **news)
    assert cloud.client("sagemaker").describe_endpoint(EndpointName="iris")["EndpointConfigName"] == "second"
    assert engine.changed(updated, **news) == {}

    # What was taken back behind the engine's back is found by a refresh.
    cloud.client("sagemaker").update_endpoint(
        EndpointName="iris", EndpointConfigName=world.configuration.id, RetainDeploymentConfig=True
    )
    in_service(cloud)
    drifted = engine.read(updated)
    assert drifted is not None
    assert drifted.inputs["endpointConfigName"] == world.configuration.id
    assert engine.changed(drifted, **news) == {"endpointConfigName": False}

    # An update sent without a deployment configuration clears it: a refresh shows a change that replaces.
    cloud.client("sagemaker").update_endpoint(EndpointName="iris", EndpointConfigName="second")
    in_service(cloud)
    cleared = engine.read(updated)
    assert cleared is not None
    assert engine.changed(cleared, **news) == {"deploymentConfig": True}

    target = {**scaling(made), "minCapacity": 1, "maxCapacity": 3, "tags": TAGS}
    scaled = engine.create(TARGET, "iris", **target)
    assert scaled.id == "endpoint/iris/variant/stable"
    check_scaling(engine, cloud, scaled, target)
    engine.delete(updated)
    assert engine.read(updated) is None
    engine.delete(updated)


def check_scaling(engine: Driver, cloud: Cloud, scaled: Resource, target: dict[str, Any]) -> None:
    refreshed = engine.read(scaled)
    assert refreshed is not None
    assert refreshed.outputs == scaled.outputs
    assert engine.changed(refreshed, **target) == {}
    assert ROWS[TARGET].schema.output_only <= set(scaled.outputs)
    wider = {**target, "maxCapacity": 5}
    assert engine.changed(scaled, **wider) == {"maxCapacity": False}
    assert engine.changed(engine.update(scaled, **wider), **wider) == {}
    found = cloud.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert found["ScalableTargets"][0]["MaxCapacity"] == 5
    imported = engine.imported(TARGET, "iris", f"sagemaker/{scaled.id}/{target['scalableDimension']}")
    assert imported is not None
    assert imported.inputs["maxCapacity"] == 5

    keys = {name: target[name] for name in ("serviceNamespace", "resourceId", "scalableDimension")}
    policy = {
        **keys,
        "name": "iris-invocations",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 700,
            "scaleInCooldown": 300,
            "predefinedMetricSpecification": {"predefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    }
    made = engine.create(POLICY, "iris", **policy)
    assert made.id == "iris-invocations"
    assert len(made.outputs["alarmArns"]) == 2
    refreshed = engine.read(made)
    assert refreshed is not None
    assert engine.changed(refreshed, **policy) == {}
    tracking = {**policy["targetTrackingScalingPolicyConfiguration"], "targetValue": 100}
    news = {**policy, "targetTrackingScalingPolicyConfiguration": tracking}
    assert engine.changed(made, **news) == {"targetTrackingScalingPolicyConfiguration.targetValue": False}
    assert engine.update(made, preview=True, **news).outputs["alarmArns"] == UNKNOWN
    updated = engine.update(made, **news)
    assert engine.changed(updated, **news) == {}
    assert engine.changed(made, **{**policy, "name": "other"}) == {"name": True}
    engine.delete(updated)
    assert engine.read(updated) is None
    engine.delete(scaled)
    assert engine.read(scaled) is None
    engine.delete(scaled)


def test_first_release_that_never_serves_leaves_an_orphan_and_says_so(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    cloud.client("s3").delete_object(Bucket=world.model and world.bucket.id, Key="models/iris/1/model.tar.gz")
    inputs = world.endpoint_inputs()
    with pytest.raises(ProviderError) as caught:
        engine.create(ENDPOINT, "iris", **inputs)
    assert not isinstance(caught.value, InitializationFailed)
    text = str(caught.value)
    assert "unexpected state 'Failed', wanted target 'InService'" in text
    assert "no state knows it" in text
    assert "aws sagemaker delete-endpoint --endpoint-name iris" in text
    assert cloud.client("sagemaker").describe_endpoint(EndpointName="iris")["EndpointStatus"] == "Failed"
    with pytest.raises(ProviderError, match="already existing"):
        engine.create(ENDPOINT, "iris", **inputs)


class Script:
    """An account whose DescribeEndpoint plays states in an order of its own. Roll-backs of the emulated cloud:
    test_rollback_faces.py."""

    partition, account_id, region = "aws", ACCOUNT_ID, REGION
    settings = ProviderSettings()

    def __init__(self, account: Any, *states: str) -> None:
        self.model = account.model
        self.input_shape = account.input_shape
        self.states = list(states)
        self.calls: list[str] = []

    def call(self, service: str, operation: str, region: str, params: Any) -> dict[str, Any]:
        self.calls.append(operation)
        if operation != "DescribeEndpoint":
            return {}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        reason = {"FailureReason": "alarm iris-guard-errors"} if state == "RollingBack" else {}
        return {"EndpointName": "iris", "EndpointArn": "arn", "EndpointStatus": state, **reason}


def update_through(engine: Driver, *states: str, timeout: float = 0.0) -> Script:
    script: Any = Script(engine.provider.account, *states)
    operation = Operation(
        row=ROWS[ENDPOINT],
        account=script,
        timing=Timing(poll_seconds=0.001),
        urn="urn",
        inputs={"name": "iris", "endpointConfigName": "two"},
        id="iris",
        timeout_seconds=timeout,
    )
    _update(operation)
    return script


def test_wait_that_meets_rolling_back_fails_with_an_unexpected_state(engine: Driver) -> None:
    with pytest.raises(UnexpectedState) as caught:
        update_through(engine, "Updating", "RollingBack", "RollingBack")
    assert "unexpected state 'RollingBack', wanted target 'InService'" in str(caught.value)
    assert "alarm iris-guard-errors" in str(caught.value)


def test_wait_that_comes_after_the_roll_back_reports_success(engine: Driver) -> None:
    script = update_through(engine, "Updating", "SystemUpdating", "InService")
    assert script.calls[0] == "UpdateEndpoint"


def test_wait_ends_after_custom_time_out(engine: Driver) -> None:
    with pytest.raises(WaitTimeout, match=r"timeout after 0.01 s \(last state 'Updating'\)"):
        update_through(engine, "Updating", timeout=0.01)


def test_limits_of_the_deployment_configuration_are_the_providers(engine: Driver) -> None:
    policy = deployment(*[f"alarm-{number}" for number in range(11)])
    policy["blueGreenUpdatePolicy"] |= {"maximumExecutionTimeoutInSeconds": 28800, "terminationWaitInSeconds": 3601}
    with pytest.raises(CheckFailed) as caught:
        engine.check(ENDPOINT, "iris", {"name": "iris", "endpointConfigName": "one", "deploymentConfig": policy})
    blue_green = "deploymentConfig.blueGreenUpdatePolicy"
    assert set(caught.value.failures) == {
        f"{blue_green}.maximumExecutionTimeoutInSeconds",
        f"{blue_green}.terminationWaitInSeconds",
        "deploymentConfig.autoRollbackConfiguration.alarms",
    }


def test_target_of_a_missing_variant_is_refused_at_once(engine: Driver) -> None:
    inputs = {
        "serviceNamespace": "sagemaker",
        "resourceId": "endpoint/none/variant/stable",
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "minCapacity": 1,
        "maxCapacity": 2,
    }
    with pytest.raises(ProviderError, match="RegisterScalableTarget: ValidationException"):
        engine.create(TARGET, "none", **inputs)


def test_policy_on_an_unregistered_target_is_refused_after_the_retries(engine: Driver) -> None:
    inputs = {
        "serviceNamespace": "sagemaker",
        "resourceId": "endpoint/none/variant/stable",
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 1,
            "predefinedMetricSpecification": {"predefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    }
    with pytest.raises(ProviderError, match=r"ObjectNotFoundException.*the real provider goes on for 2 min"):
        engine.create(POLICY, "none", **inputs)


def test_lost_endpoint_is_found_by_a_refresh(engine: Driver, world: World, cloud: Cloud) -> None:
    cloud.faults.add(
        "sagemaker", "DescribeEndpoint", AwsError("ValidationException", 'Could not find endpoint "iris".')
    )
    gone = Resource(ENDPOINT, "iris", "iris", {"name": "iris"}, {"name": "iris", "endpointConfigName": "one"})
    assert engine.read(gone) is None
