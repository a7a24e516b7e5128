"""The release watch as it is deployed: from SageMaker's events through EventBridge and the function, under its role and
boundary, to the object of the history and the page. Nothing here calls the function."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mainstage
import pulumi
import pytest
from mainstage._account import AccountArgs
from mainstage_runtime.release_history import ReleaseEvent, ReleaseHistory, moment
from taken_away import boundary_without, rights_of, role_document, role_without

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider

ENDPOINT, WATCH, REGISTRY = "prod-iris", "mainstage-prod-release-watch", "mainstage-prod-registry"
V6, V7 = "prod-iris-v6-00000000", "prod-iris-v7-11111111"
GUARD = "prod-iris-guard-errors"
ROLE = f"{WATCH}-eu-west-1"
PERSON = "a person said so"
POLICY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "WaitIntervalInSeconds": 600,
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        },
        "TerminationWaitInSeconds": 300,
        "MaximumExecutionTimeoutInSeconds": 7200,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": GUARD}]},
}


def program_for(account: str, region: str) -> Callable[[], None]:
    here: AccountArgs = {"account_id": account, "region": region}

    def program() -> None:
        key = mainstage.EncryptionKey("key", {**here})
        registry = mainstage.SecureBucket("registry", {**here, "bucket_name": REGISTRY, "kms_key_arn": key.key_arn})
        pager = mainstage.Pager("pager", {**here, "kms_key_arn": key.key_arn, "topic_prefix": "mainstage-prod"})
        boundary = mainstage.RoleBoundary("boundary", {**here, "bucket_names": [REGISTRY]})
        watch = mainstage.ReleaseWatch(
            "watch",
            {
                **here,
                "watch_name": WATCH,
                "environment_label": "prod",
                "endpoint_prefix": "prod-",
                "registry_bucket_name": registry.bucket_name,
                "registry_bucket_arn": registry.bucket_arn,
                "page_topic_arn": pager.page_topic_arn,
                "ticket_topic_arn": pager.ticket_topic_arn,
                "runbook_base_url": "https://example.com/runbooks",
                "kms_key_arn": key.key_arn,
                "permissions_boundary_arn": boundary.policy_arn,
            },
        )
        pulumi.export("boundary", boundary.policy_arn)
        pulumi.export("queue", watch.dead_letter_queue_url)

    return program


class Watched:
    """Version 6 serves behind prod-iris, and the watch is deployed."""

    def __init__(self, stage: Any, folder: Path):
        self.stage = stage
        self.cloud: Cloud = stage.cloud
        self.cloud.serve()
        self.cloud.pace.minute_seconds = None
        self.engine = Engine(provider=AwsProvider(self.cloud.session), state_file=folder / "state.json")
        self.program = program_for(self.cloud.account_id, self.cloud.region)
        self.outputs = self.engine.up("watch", self.program, {}).check().outputs
        self.iam = self.cloud.client("iam")
        self.alarms = self.cloud.client("cloudwatch")
        self.history = ReleaseHistory(self.cloud.client("s3"), REGISTRY, ENDPOINT)
        self.put_guard()
        for configuration, model in ((V6, "six"), (V7, "seven")):
            stage.model(model)
            stage.config(configuration, variants={"stable": {"ModelName": model}})
        stage.endpoint(ENDPOINT, V6)
        self.seen = 0
        assert self.told() == []
        self.add("released", V6, V6, 6)

    def put_guard(self) -> None:
        dimensions = {"EndpointName": ENDPOINT, "VariantName": "stable", "EndpointConfigName": V7}
        self.alarms.put_metric_alarm(
            AlarmName=GUARD,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=3,
            DatapointsToAlarm=2,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        )

    def add(self, kind: str, configuration: str, serves: str, version: int) -> None:
        """What an `up` writes."""
        self.history.add(
            ReleaseEvent(
                at=moment(),
                kind=kind,
                endpoint=ENDPOINT,
                model="iris",
                configuration=configuration,
                version=version,
                serves=serves,
                by="arn:aws:iam::111111111111:role/ci",
            )
        )

    def release(self) -> None:
        """What an `up` does, up to the bake; then it is gone."""
        self.add("started", V7, V6, 7)
        self.update(V7, DeploymentConfig=POLICY)
        self.until(lambda: self.status() == "Baking")

    def update(self, configuration: str, **options: Any) -> None:
        self.stage.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=configuration, **options)

    def status(self) -> str:
        """The stage of the deployment, or the endpoint's own status."""
        found = self.stage.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
        pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
        stages = [each["Status"] for each in pending[0].get("VariantStatus", ())]
        return stages[0] if stages else found["EndpointStatus"]

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.02)

    def ring(self) -> None:
        self.alarms.set_alarm_state(AlarmName=GUARD, StateValue="ALARM", StateReason=PERSON)

    def taken_back(self) -> None:
        """A guard rings, and the rollback ends."""
        self.ring()
        self.cloud.clock.advance(60)
        self.until(lambda: self.status() == "InService")

    def told(self) -> list[tuple[str, str]]:
        """Subject and text of what was paged since it was last asked."""
        self.cloud.events.wait_until_delivered(30)
        pages = [each for each in self.cloud.messages if each.subject.startswith(f"{ENDPOINT}: ")]
        new, self.seen = pages[self.seen :], len(pages)
        return [(each.subject, each.message) for each in new]

    def recorded(self) -> list[ReleaseEvent]:
        return [event for event in self.history.events() if event.by == "watch"]

    def buried(self) -> int:
        """Events in the queue of dead letters, after Lambda has tried its last."""
        for seconds in (61, 121):
            self.cloud.clock.advance(seconds)
            time.sleep(0.2)
            self.cloud.events.wait_until_delivered(30)
        found = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.outputs["queue"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture
def watched(stage: Any, tmp_path: Path) -> Watched:
    return Watched(stage, tmp_path)


@pytest.mark.timeout(120)
def test_a_release_that_is_taken_back_is_recorded_and_pages_once(watched: Watched) -> None:
    watched.release()
    assert watched.told() == []
    watched.taken_back()
    [(subject, message)] = watched.told()
    [event] = watched.recorded()
    assert (event.kind, event.version, event.configuration, event.serves) == ("taken_back", 7, V7, V6)
    assert event.alarm is not None
    assert (event.alarm.name, event.alarm.value_told) == (GUARD, PERSON)
    account = watched.cloud.account_id
    lines = message.splitlines()
    assert subject == "prod-iris: version 7 was taken back, version 6 serves"
    assert lines[0] == "Version 7 of iris was taken back while it was being released; version 6 serves."
    assert f"Endpoint:  prod-iris in account {account}, region eu-west-1" in lines
    assert f"Serves:    version 6 ({V6})" in lines
    assert f"Alarm:     {GUARD}: Sum of Invocation5XXErrors above 5 in 2 of 3 minutes" in lines
    assert f"           CloudWatch said: {PERSON}" in lines
    assert "Runbook:   https://example.com/runbooks/release-rolled-back.md" in lines
    assert lines[-1] == "Next:      mainstage model status iris --target prod"
    assert watched.engine.preview("watch", watched.program, {}).check().changes["same"] > 10


@pytest.mark.timeout(120)
def test_a_good_release_and_then_somebody_moves_the_endpoint(watched: Watched) -> None:
    watched.release()
    for _ in range(15):
        watched.cloud.clock.advance(60)
    watched.until(lambda: watched.status() == "InService")
    assert watched.told() == []
    assert [(event.kind, event.serves) for event in watched.recorded()] == [("released", V7)]
    watched.update(V6)
    watched.until(lambda: watched.status() == "InService")
    [(subject, _)] = watched.told()
    assert subject == "prod-iris: serves version 6, which nobody asked for"
    assert [event.kind for event in watched.recorded()] == ["released", "unasked"]


RIGHTS = {
    ("LookAtEndpoints", "sagemaker:DescribeEndpoint"): "dead",
    ("LookAtGuards", "cloudwatch:DescribeAlarms"): "no alarm",
    ("LookAtGuards", "cloudwatch:DescribeAlarmHistory"): "no alarm",
    ("ListHistory", "s3:ListBucket"): "dead",
    ("ReadAndWriteHistory", "s3:GetObject"): "dead",
    ("ReadAndWriteHistory", "s3:PutObject"): "dead",
    ("EncryptHistory", "kms:Decrypt"): "dead",
    ("EncryptHistory", "kms:GenerateDataKey"): "dead",
    ("Page", "sns:Publish"): "dead",
    ("EncryptPages", "kms:Decrypt"): "dead",
    ("EncryptPages", "kms:GenerateDataKey"): "dead",
}
"""What is missed without each right: an event ends among the dead letters, or the page has no alarm."""

DEAD_RIGHTS = {
    ("KeepDeadEvents", "sqs:SendMessage"),
    ("EncryptDeadEvents", "kms:Decrypt"),
    ("EncryptDeadEvents", "kms:GenerateDataKey"),
}
"""Missed when the function fails to the end: the event is gone, and counted."""

LOG_RIGHTS = {("WriteOwnLogs", "logs:CreateLogStream"), ("WriteOwnLogs", "logs:PutLogEvents")}
"""What the function prints; tested with the front door's, which has the same statement."""


@pytest.mark.timeout(600)
def test_each_right_is_needed(watched: Watched) -> None:
    _, document = role_document(watched.iam, ROLE)
    assert rights_of(document) == {*RIGHTS, *DEAD_RIGHTS, *LOG_RIGHTS}
    for right, missed in RIGHTS.items():
        watched.release()
        assert watched.told() == []
        with role_without(watched.iam, ROLE, *right):
            watched.taken_back()
            pages = watched.told()
            if missed == "no alarm":
                [(_, message)] = pages
                assert "Alarm:     not known (the alarms could not be read: AccessDenied" in message, right
            else:
                assert (pages, watched.buried() > 0) == ([], True), right
        watched.told()
        watched.cloud.client("sqs").purge_queue(QueueUrl=watched.outputs["queue"])


@pytest.mark.timeout(300)
def test_a_dead_letter_needs_its_rights(watched: Watched) -> None:
    for number, right in enumerate(sorted(DEAD_RIGHTS), start=1):
        watched.release()
        watched.told()
        with role_without(watched.iam, ROLE, "Page", "sns:Publish"), role_without(watched.iam, ROLE, *right):
            watched.taken_back()
            watched.told()
            assert watched.buried() == 0
        lost = watched.cloud.metrics.statistic(
            "AWS/Lambda", "DeadLetterErrors", "SampleCount", region="eu-west-1", dimensions={"FunctionName": WATCH}
        )
        assert lost is not None
        assert lost >= number, right


@contextmanager
def nobody_may_call(cloud: Cloud) -> Iterator[None]:
    client = cloud.client("lambda")
    [statement] = json.loads(client.get_policy(FunctionName=WATCH)["Policy"])["Statement"]
    client.remove_permission(FunctionName=WATCH, StatementId=statement["Sid"])
    yield


@pytest.mark.timeout(120)
def test_an_event_that_cannot_be_handed_over_is_counted(watched: Watched) -> None:
    watched.release()
    watched.told()
    with nobody_may_call(watched.cloud):
        watched.taken_back()
        assert watched.told() == []
    failed = watched.cloud.metrics.statistic(
        "AWS/Events", "FailedInvocations", "Sum", region="eu-west-1", dimensions={"RuleName": WATCH}
    )
    assert failed


@pytest.mark.timeout(300)
def test_the_boundary_lets_it_do_what_it_needs(watched: Watched) -> None:
    for sid, action, missed in (
        ("Predictions", "sagemaker:DescribeEndpoint", "dead"),
        ("Pages", "sns:Publish", "dead"),
        ("Guards", "cloudwatch:DescribeAlarmHistory", "no alarm"),
    ):
        watched.release()
        watched.told()
        with boundary_without(watched.iam, watched.outputs["boundary"], sid, action):
            watched.taken_back()
            pages = watched.told()
            if missed == "dead":
                assert (pages, watched.buried() > 0) == ([], True), action
            else:
                assert "Alarm:     not known (the alarms could not be read" in pages[0][1]
        watched.told()
        watched.cloud.client("sqs").purge_queue(QueueUrl=watched.outputs["queue"])
