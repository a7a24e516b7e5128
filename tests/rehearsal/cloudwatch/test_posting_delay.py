"""Alarms see a minute of SageMaker's metrics only when it was posted; other readers and other metrics do not wait."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from infra.rehearsal.cloud.metrics import POSTING_DELAY_SECONDS


@pytest.fixture
def minute(cloud):
    """The clock stands a second after a whole minute; returns that minute's start."""
    cloud.pace.minute_seconds = None
    cloud.clock.advance(61 - cloud.clock.now().timestamp() % 60)
    return cloud.clock.now().replace(second=0, microsecond=0)


def put_alarm(cloud, namespace):
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        Namespace=namespace,
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def rings_after(cloud, since: datetime):
    """Seconds of the cloud's time until the alarm rings, in steps of thirty."""
    while cloud.clock.now() - since < timedelta(minutes=10):
        (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
        if alarm["StateValue"] == "ALARM":
            return (alarm["StateTransitionedTimestamp"] - since).total_seconds()
        cloud.clock.advance(30)
    raise AssertionError("the alarm does not ring")


@pytest.mark.parametrize(("namespace", "delay"), [("AWS/SageMaker", 60), ("Mainstage", 0)])
def test_an_alarm_sees_a_minute_when_it_was_posted(cloud, minute, namespace, delay):
    assert POSTING_DELAY_SECONDS.get(namespace, 0) == delay
    put_alarm(cloud, namespace)
    cloud.metrics.put(namespace, "Errors", 1, region="eu-west-1")
    assert rings_after(cloud, minute) == pytest.approx(60 + delay, abs=30)


def test_a_math_alarm_waits_as_well(cloud, minute):
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "Errors"}
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        Metrics=[
            {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
            {"Id": "e", "Expression": "m / 1", "ReturnData": True},
        ],
    )
    cloud.metrics.put("AWS/SageMaker", "Errors", 1, region="eu-west-1")
    assert rings_after(cloud, minute) == pytest.approx(120, abs=30)


def test_other_readers_see_values_at_once(cloud, minute):
    cloud.metrics.put("AWS/SageMaker", "Errors", 3, region="eu-west-1")
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Errors",
        StartTime=minute,
        EndTime=minute + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in found["Datapoints"]] == [3]
