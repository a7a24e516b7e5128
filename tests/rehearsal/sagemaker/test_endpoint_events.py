"""What EventBridge is told of endpoints and deployments; read from a queue behind a rule, and from the pure shape."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from infra.rehearsal.cloud.overlay import endpoint_events
from infra.rehearsal.cloud.overlay.endpoint_events import detail

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/e"
AT = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
DEPLOYMENT = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "WaitIntervalInSeconds": 600,
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        },
        "TerminationWaitInSeconds": 60,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "guard"}]},
}


@pytest.fixture
def told(stage):
    """Every event of the endpoint, in the order of its delivery."""
    stage.cloud.pace.minute_seconds = 0.001
    sqs, events = stage.cloud.client("sqs"), stage.cloud.client("events")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    queue = "arn:aws:sqs:eu-west-1:111111111111:told"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    assert events.put_targets(Rule="told", Targets=[{"Id": "t", "Arn": queue}])["FailedEntryCount"] == 0

    def read():
        stage.cloud.events.wait_until_delivered(30)
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    return read


def statuses(events):
    """The statuses that were told, each once: deliveries may overtake each other."""
    kind = "SageMaker Endpoint State Change"
    return {event["detail"]["EndpointStatus"] for event in events if event["detail-type"] == kind}


def stages(events):
    kind = "SageMaker Endpoint Deployment State Change"
    return {
        variant["VariantStatus"][0]["Status"]
        for event in events
        if event["detail-type"] == kind
        for variant in event["detail"].get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    }


@pytest.fixture
def up(stage, told):
    stage.model()
    stage.config()
    stage.endpoint(Tags=[{"Key": "team", "Value": "one"}])
    stage.model("next")
    stage.config("c2", variants={"stable": {"ModelName": "next"}})
    stage.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="guard",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    return stage


def test_a_release_is_told_from_its_start_to_its_end(up, told):
    first = told()
    assert statuses(first) == {"CREATING", "IN_SERVICE"}
    assert all(event["resources"] == [ARN] for event in first)
    assert first[0]["detail"]["Tags"] == {"team": "one"}
    up.update("c2", DeploymentConfig=DEPLOYMENT)
    events = told()
    assert statuses(events) == {"UPDATING", "IN_SERVICE"}
    assert stages(events) == {"Creating", "ActivatingTraffic", "Baking"}
    ended = [event["detail"] for event in events if event["detail"]["EndpointStatus"] == "IN_SERVICE"]
    assert {detail["EndpointConfigName"] for detail in ended} == {"c2"}


def test_a_rollback_is_told_with_its_reason(up, told):
    told()
    up.cloud.client("cloudwatch").set_alarm_state(AlarmName="guard", StateValue="ALARM", StateReason="bad")
    up.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="c2", DeploymentConfig=DEPLOYMENT)
    up.settled(also="RollingBack")
    events = told()
    assert statuses(events) == {"UPDATING", "ROLLING_BACK", "IN_SERVICE"}
    back = [event["detail"] for event in events if event["detail"]["EndpointStatus"] == "ROLLING_BACK"]
    assert all("guard" in detail["FailureReason"] for detail in back)
    assert {detail["EndpointConfigName"] for detail in back} == {"c"}


def test_a_failed_first_release_and_a_deletion_are_told(stage, told):
    stage.put_archive("raise RuntimeError('no')")
    stage.model()
    stage.config()
    stage.endpoint()
    assert statuses(told()) == {"CREATING", "FAILED"}
    stage.deleted()
    assert statuses(told()) == {"DELETING"}


@pytest.mark.parametrize("status", ["InService", "RollingBack"])
def test_a_status_that_is_seen_was_told(up, told, monkeypatch, status):
    """Who sees the end of a deployment may begin the next one: told later, the end would never have been told of."""
    seen, tell = [], endpoint_events._tell

    def late(sagemaker, endpoint, detail_type):
        if endpoint.status == status and detail_type == endpoint_events.STATE_CHANGE:
            looks = threading.Thread(target=lambda: seen.append(endpoint.described()["EndpointStatus"]))
            looks.start()
            looks.join(0.2)
            tell(sagemaker, endpoint, detail_type)
            seen.append("told")
            return
        tell(sagemaker, endpoint, detail_type)

    monkeypatch.setattr(endpoint_events, "_tell", late)
    if status == "RollingBack":
        up.cloud.client("cloudwatch").set_alarm_state(AlarmName="guard", StateValue="ALARM", StateReason="bad")
    up.update("c2", DeploymentConfig=DEPLOYMENT)
    up.settled(also="RollingBack")
    assert seen[0] == "told"


def test_the_shape_is_the_developer_guides():
    variant = {
        "VariantName": "stable",
        "CurrentWeight": 1,
        "DesiredWeight": 1,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 3,
    }
    status = {"Status": "Baking", "StatusMessage": "Baking for 600 seconds", "StartTime": AT}
    described = {
        "EndpointName": "e",
        "EndpointArn": ARN,
        "EndpointConfigName": "c",
        "EndpointStatus": "RollingBack",
        "CreationTime": AT,
        "LastModifiedTime": AT,
        "ProductionVariants": [{**variant, "DeployedImages": [{"ResolutionTime": AT}]}],
        "PendingDeploymentSummary": {
            "EndpointConfigName": "c2",
            "StartTime": AT,
            "ProductionVariants": [{**variant, "VariantStatus": [status], "InstanceType": "ml.m5.large"}],
        },
    }
    millis = 1795262400250
    assert detail(described, {"team": "one"}) == {
        "EndpointName": "e",
        "EndpointArn": ARN,
        "EndpointConfigName": "c",
        "EndpointStatus": "ROLLING_BACK",
        "CreationTime": millis,
        "LastModifiedTime": millis,
        "Tags": {"team": "one"},
        "ProductionVariants": [variant],
        "PendingDeploymentSummary": {
            "EndpointConfigName": "c2",
            "StartTime": millis,
            "ProductionVariants": [{**variant, "VariantStatus": [{**status, "StartTime": millis}]}],
        },
    }
