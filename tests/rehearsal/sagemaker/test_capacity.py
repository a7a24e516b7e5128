"""Quotas refuse at once, with both fleets counted; what AWS does not have fails a fleet after a while."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay import endpoint_deployment
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

TYPE = "ml.m5.large"


@pytest.fixture
def up(stage):
    stage.cloud.pace.minute_seconds = None
    stage.model()
    stage.config("c", variants={"stable": {"InitialInstanceCount": 2}})
    stage.config("c2", variants={"stable": {"InitialInstanceCount": 2}})
    return stage


def refusal(quota, used, delta):
    return (
        "ResourceLimitExceeded",
        f"The account-level service limit '{TYPE} for endpoint usage' is {quota} Instances, with current utilization "
        f"of {used} Instances and a request delta of {delta} Instances. Please contact AWS support to request an "
        "increase for this limit.",
    )


def started(stage, config="c2", **options):
    stage.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=config, **options)
    deadline = time.monotonic() + 60
    while not sagemaker_of(stage.cloud).watches.every():
        assert time.monotonic() < deadline, "nothing waits for instances"
        time.sleep(0.005)
    return stage.sagemaker.describe_endpoint(EndpointName="e")


def test_a_quota_refuses_a_new_endpoint_and_leaves_none(up, refused):
    up.cloud.capacity.limit(TYPE, 1)
    assert refused(up.sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="c") == refusal(1, 0, 2)
    assert up.sagemaker.list_endpoints()["Endpoints"] == []
    up.cloud.capacity.limit(TYPE, 2)
    assert up.endpoint()["EndpointStatus"] == "InService"


def test_both_fleets_count_in_an_update(up, refused):
    up.endpoint()
    up.cloud.capacity.limit(TYPE, 3)
    assert refused(up.sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="c2") == refusal(3, 2, 2)
    assert up.settled()["EndpointConfigName"] == "c"
    up.cloud.capacity.limit(TYPE, 4)
    assert up.update("c2")["EndpointConfigName"] == "c2"


def test_two_calls_at_once_neither_wait_for_each_other_nor_share_the_last_instances(up, monkeypatch):
    """One updates an endpoint while another is made: the quota has each look at what the other one holds."""
    up.endpoint()
    up.cloud.capacity.limit(TYPE, 5)
    sagemaker, both, codes = sagemaker_of(up.cloud), threading.Barrier(2), []
    live_endpoints = sagemaker.live_endpoints

    def looks():
        with suppress(threading.BrokenBarrierError):  # the other one waits for this one to end
            both.wait(0.3)
        return live_endpoints()

    def begun(_, endpoint, config, *__):
        each = config["ProductionVariants"][0]
        endpoint.pending = {
            "ProductionVariants": [{"InstanceType": TYPE, "DesiredInstanceCount": each["InitialInstanceCount"]}]
        }

    def ask(method, name):
        try:
            method(EndpointName=name, EndpointConfigName="c2")
            codes.append("")
        except ClientError as refusal:
            codes.append(refusal.response["Error"]["Code"])

    monkeypatch.setattr(sagemaker, "live_endpoints", looks)
    monkeypatch.setattr(endpoint_deployment, "deploy", begun)
    asked = ((up.sagemaker.update_endpoint, "e"), (up.sagemaker.create_endpoint, "e2"))
    threads = [threading.Thread(target=ask, args=each, daemon=True) for each in asked]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert sorted(codes) == ["", "ResourceLimitExceeded"]


def test_an_endpoint_counts_from_the_moment_that_it_is_there(up, refused, monkeypatch):
    """Another one is made as soon as the first one's call lets go of the table."""
    up.cloud.capacity.limit(TYPE, 3)
    sagemaker, codes = sagemaker_of(up.cloud), []
    lock = sagemaker.lock

    class Lock:
        def __enter__(self):
            lock.acquire()

        def __exit__(self, *_):
            lock.release()
            if ("eu-west-1", "e") in sagemaker.endpoints:
                monkeypatch.setattr(sagemaker, "lock", lock)
                codes.append(refused(up.sagemaker.create_endpoint, EndpointName="e2", EndpointConfigName="c")[0])

    monkeypatch.setattr(sagemaker, "lock", Lock())
    assert up.endpoint()["EndpointStatus"] == "InService"
    assert codes == ["ResourceLimitExceeded"]


def test_a_rolling_update_needs_a_batch_only(up):
    up.endpoint()
    up.cloud.capacity.limit(TYPE, 3)
    batch = {"Type": "INSTANCE_COUNT", "Value": 1}
    policy = {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 0}
    assert up.update("c2", DeploymentConfig={"RollingUpdatePolicy": policy})["EndpointConfigName"] == "c2"


def test_another_type_has_its_own_quota(up):
    up.cloud.capacity.limit("ml.m5.xlarge", 0)
    assert up.endpoint()["EndpointStatus"] == "InService"


def test_what_is_sold_out_fails_after_a_while_and_the_old_fleet_serves(up):
    up.endpoint()
    up.cloud.capacity.exhaust(TYPE, after_seconds=300)
    found = started(up)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("Updating", "c")
    (variant,) = found["PendingDeploymentSummary"]["ProductionVariants"]
    assert variant["VariantStatus"][0]["StatusMessage"] == "Launching 2 instance(s)."
    up.cloud.clock.advance(240)
    assert up.invoke()["answer"]["answer"] == "m"
    assert up.sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Updating"
    up.cloud.clock.advance(61)
    found = up.settled()
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c")
    assert found["FailureReason"].startswith(
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
    )
    assert up.invoke()["answer"]["answer"] == "m"


def test_what_is_there_again_in_time_comes_up(up):
    up.endpoint()
    up.cloud.capacity.exhaust(TYPE, after_seconds=300)
    started(up)
    up.cloud.clock.advance(120)
    up.cloud.capacity.restore(TYPE)
    up.cloud.clock.advance(181)
    found = up.settled()
    assert (found["EndpointConfigName"], "FailureReason" in found) == ("c2", False)


def test_a_first_fleet_that_is_not_to_be_had_fails_the_endpoint(up):
    up.cloud.capacity.exhaust(TYPE)
    found = up.endpoint()
    assert found["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in found["FailureReason"]


def test_at_the_usual_pace_nobody_waits(up):
    up.endpoint()
    up.cloud.pace.minute_seconds = 0.001
    up.cloud.capacity.exhaust(TYPE, after_seconds=900)
    assert "InsufficientInstanceCapacity" in up.update("c2")["FailureReason"]
