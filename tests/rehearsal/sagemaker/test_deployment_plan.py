"""What a deployment configuration asks for, as steps."""

from __future__ import annotations

import pytest

from infra.rehearsal.cloud.overlay.deployment_plan import Step, instances_with_traffic, plan_of, refusal_of

FOUR = [{"VariantName": "stable", "InitialInstanceCount": 4, "InstanceType": "ml.m5.large"}]


def blue_green(termination=300, **traffic):
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic, "TerminationWaitInSeconds": termination}}


def size(value, kind="CAPACITY_PERCENT"):
    return {"Type": kind, "Value": value}


def last(seconds=300):
    return Step(1.0, seconds, "TerminationWaitInSeconds")


def test_nothing_said_is_all_at_once_without_a_wait():
    assert plan_of(None, FOUR).steps == (last(0),)
    assert plan_of(blue_green(Type="ALL_AT_ONCE", WaitIntervalInSeconds=60), FOUR).steps == (last(),)


def test_a_canary_is_two_steps():
    found = plan_of(blue_green(Type="CANARY", WaitIntervalInSeconds=600, CanarySize=size(10)), FOUR)
    assert found.steps == (Step(0.1, 600, "WaitIntervalInSeconds", "canary"), last())
    instances = plan_of(
        blue_green(Type="CANARY", WaitIntervalInSeconds=600, CanarySize=size(1, "INSTANCE_COUNT")), FOUR
    )
    assert instances.steps[0].share == 0.25


@pytest.mark.parametrize(
    ("percent", "shares"), [(10, [n / 10 for n in range(1, 11)]), (30, [0.3, 0.6, 0.9, 1.0]), (50, [0.5, 1.0])]
)
def test_linear_goes_on_until_everything_has_moved(percent, shares):
    found = plan_of(blue_green(Type="LINEAR", WaitIntervalInSeconds=60, LinearStepSize=size(percent)), FOUR)
    assert [step.share for step in found.steps] == shares
    assert [step.wait_seconds for step in found.steps] == [60] * (len(shares) - 1) + [300]


def test_rolling_bakes_every_batch_and_has_no_termination_wait():
    policy = {"MaximumBatchSize": size(2, "INSTANCE_COUNT"), "WaitIntervalInSeconds": 90}
    found = plan_of({"RollingUpdatePolicy": {**policy, "MaximumExecutionTimeoutInSeconds": 3600}}, FOUR)
    assert [(step.share, step.wait_seconds, step.capacity) for step in found.steps] == [
        (0.5, 90, "batch"),
        (1.0, 90, "full"),
    ]
    assert (found.rolling, found.maximum_seconds) == (True, 3600)


def test_alarms_end_it_but_on_types_without_guardrails():
    config = {**blue_green(Type="CANARY", WaitIntervalInSeconds=600, CanarySize=size(10))}
    config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "one"}, {"AlarmName": "two"}]}
    assert plan_of(config, FOUR).alarms == ("one", "two")
    inferentia = plan_of(config, [{**FOUR[0], "InstanceType": "ml.inf1.xlarge"}])
    assert (inferentia.steps, inferentia.alarms) == ((last(0),), ())
    serverless = plan_of(config, [{"VariantName": "stable", "ServerlessConfig": {"MaxConcurrency": 1}}])
    assert (serverless.steps, serverless.alarms) == ((last(0),), ())


def test_variants_keep_their_names_and_rolling_has_one():
    canary = blue_green(Type="CANARY", WaitIntervalInSeconds=600, CanarySize=size(10))
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": size(50), "WaitIntervalInSeconds": 90}}
    two = [*FOUR, {**FOUR[0], "VariantName": "other"}]
    assert refusal_of(None, FOUR, ["before"]) == ""
    assert refusal_of(canary, FOUR, ["stable"]) == ""
    assert "must have the names of those that serve (before)" in refusal_of(canary, FOUR, ["before"])
    assert refusal_of(canary, two, ["other", "stable"]) == ""
    assert refusal_of(rolling, FOUR, ["stable"]) == ""
    assert "several variants" in refusal_of(rolling, two, ["other", "stable"])
    serverless = [{"VariantName": "stable", "ServerlessConfig": {"MaxConcurrency": 1}}]
    assert "serverless" in refusal_of(rolling, serverless, ["stable"])


@pytest.mark.parametrize(("share", "count", "instances"), [(0.1, 1, 1), (0.1, 10, 1), (0.1, 11, 2), (1.0, 3, 3)])
def test_a_share_needs_whole_instances(share, count, instances):
    assert instances_with_traffic(share, count) == instances
