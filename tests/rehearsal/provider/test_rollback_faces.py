"""The two faces of a release that SageMaker takes back: the provider meets RollingBack and fails, or comes after it and
reports success. Both on the emulated guardrails, through the provider (terraform-provider-aws issue #48997)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import Driver, Resource
from provider_world import World

from infra.rehearsal.provider import ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"


def canary() -> dict[str, Any]:
    return {
        "blueGreenUpdatePolicy": {
            "trafficRoutingConfiguration": {
                "type": "CANARY",
                "waitIntervalInSeconds": 600,
                "canarySize": {"type": "CAPACITY_PERCENT", "value": 10},
            },
            "terminationWaitInSeconds": 0,
            "maximumExecutionTimeoutInSeconds": 3600,
        },
        "autoRollbackConfiguration": {"alarms": [{"alarmName": "guard"}]},
    }


class Update:
    """An update of the endpoint to configuration "second", in a thread, standing in its bake."""

    def __init__(self, engine: Driver, world: World, cloud: Cloud):
        self.engine, self.cloud = engine, cloud
        cloud.pace.minute_seconds = None
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName="guard",
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        inputs = {**world.endpoint_inputs(), "deploymentConfig": canary()}
        self.made = engine.create(ENDPOINT, "iris", **inputs)
        second = engine.create(CONFIGURATION, "second", **world.configuration_inputs("second"))
        self.news = {**inputs, "endpointConfigName": second.id}
        self.outcome: list[Resource | ProviderError] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        while self.stage() != "Baking":
            time.sleep(0.01)

    def _run(self) -> None:
        try:
            self.outcome.append(self.engine.update(self.made, **self.news))
        except ProviderError as error:
            self.outcome.append(error)

    def described(self) -> dict[str, Any]:
        return self.cloud.client("sagemaker").describe_endpoint(EndpointName="iris")

    def stage(self) -> str:
        variants = self.described().get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
        return variants[0]["VariantStatus"][0]["Status"] if variants else ""

    def ring(self) -> None:
        self.cloud.client("cloudwatch").set_alarm_state(AlarmName="guard", StateValue="ALARM", StateReason="bad")

    def ended(self) -> Resource | ProviderError:
        self.thread.join(30)
        return self.outcome[0]


@pytest.fixture
def update(engine: Driver, world: World, cloud: Cloud) -> Update:
    return Update(engine, world, cloud)


def test_a_poll_that_meets_the_rollback_fails(update: Update) -> None:
    update.ring()
    error = update.ended()
    assert isinstance(error, ProviderError)
    assert "unexpected state 'RollingBack', wanted target 'InService'" in str(error)
    assert "auto-rollback alarm(s) in ALARM state: guard" in str(error)
    update.cloud.clock.advance(60)
    assert update.described()["EndpointStatus"] == "InService"


def test_a_poll_that_comes_after_the_rollback_reports_success(update: Update) -> None:
    meanwhile = threading.Event()
    held = update.cloud.faults.add("sagemaker", "DescribeEndpoint", until=meanwhile)
    while not held.hits:
        time.sleep(0.005)
    update.ring()
    update.cloud.clock.advance(60)
    held.remove()
    meanwhile.set()
    updated = update.ended()
    assert isinstance(updated, Resource)
    assert updated.inputs["endpointConfigName"] == "second"
    assert updated.outputs["endpointConfigName"] == "world"  # what it reads after the update
    live = update.described()
    assert (live["EndpointStatus"], live["EndpointConfigName"]) == ("InService", "world")


def test_a_good_release_is_waited_for_through_its_bake(update: Update) -> None:
    update.cloud.clock.advance(540)
    time.sleep(0.2)
    assert update.outcome == []
    update.cloud.clock.advance(61)
    updated = update.ended()
    assert isinstance(updated, Resource)
    assert update.described()["EndpointConfigName"] == "second"
