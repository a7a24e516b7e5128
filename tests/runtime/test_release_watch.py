"""The watch's function: what it writes, what it pages, and that neither is lost nor done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mainstage_runtime.release_history import AlarmSeen, ReleaseEvent, ReleaseHistory
from mainstage_runtime.release_watch import Notes, ReleaseWatch, _moment_of
from mainstage_runtime.watch_page import LONGEST_SUBJECT, Where

from infra.rehearsal.cloud.cloud import Cloud

V6, V7 = "prod-iris-v6-00000000", "prod-iris-v7-11111111"
ENDPOINT, MODEL, CI = "prod-iris", "iris", "arn:aws:sts::111111111111:assumed-role/ci/run-12"
TOPIC = "arn:aws:sns:eu-west-1:111111111111:mainstage-prod-page"
BEGAN = datetime(2026, 11, 21, 10, 0, 5, tzinfo=UTC)
REASON = (
    "Threshold Crossed: 2 out of the last 3 datapoints [0.05 (21/11/26 10:12:00), 0.06 (21/11/26 10:11:00)] were "
    "greater than the threshold (0.01) (minimum 2 datapoints for OK -> ALARM transition)."
)


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class SageMaker:
    """One endpoint."""

    described: dict[str, Any] | None = None

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if self.described is None:
            raise ClientError(
                {"Error": {"Code": "ValidationException", "Message": f'Could not find endpoint "{EndpointName}".'}},
                "DescribeEndpoint",
            )
        assert EndpointName == ENDPOINT
        return self.described


@dataclass
class CloudWatch:
    """Guards of one endpoint, and when each went into ALARM."""

    changes: dict[str, datetime] = field(default_factory=dict)
    ringing: tuple[str, ...] = ()
    error: ClientError | None = None
    asked: list[str] = field(default_factory=list)

    def describe_alarms(self, AlarmNames: list[str], AlarmTypes: list[str]) -> dict[str, Any]:
        self.asked = AlarmNames
        if self.error is not None:
            raise self.error
        return {
            "MetricAlarms": [
                {
                    "AlarmName": name,
                    "StateValue": "ALARM" if name in self.ringing else "OK",
                    "StateUpdatedTimestamp": self.changes.get(name, BEGAN),
                    "Metrics": [{"Id": "m", "Label": "share of failed requests", "ReturnData": True}],
                    "ComparisonOperator": "GreaterThanThreshold",
                    "Threshold": 0.01,
                    "EvaluationPeriods": 3,
                    "DatapointsToAlarm": 2,
                }
                for name in AlarmNames
            ]
        }

    def get_paginator(self, operation: str) -> CloudWatch:
        assert operation == "describe_alarm_history"
        return self

    def paginate(self, AlarmName: str, StartDate: datetime, EndDate: datetime, **more: Any) -> list[dict[str, Any]]:
        at = self.changes.get(AlarmName)
        if at is None or not StartDate <= at <= EndDate:
            return [{"AlarmHistoryItems": []}]
        data = json.dumps({"newState": {"stateValue": "ALARM", "stateReason": REASON}})
        return [{"AlarmHistoryItems": [{"AlarmName": AlarmName, "Timestamp": at, "HistoryData": data}]}]


@dataclass
class Topic:
    pages: list[tuple[str, str]] = field(default_factory=list)
    fails: int = 0

    def publish(self, TopicArn: str, Subject: str, Message: str) -> None:
        assert TopicArn == TOPIC
        if self.fails:
            self.fails -= 1
            raise refused("KMSAccessDenied", "Publish")
        self.pages.append((Subject, Message))


@dataclass
class World:
    watch: ReleaseWatch
    sagemaker: SageMaker
    cloudwatch: CloudWatch
    topic: Topic
    history: ReleaseHistory

    def describe(self, status: str, configuration: str = V6, pending: str = "", **more: Any) -> None:
        self.sagemaker.described = {
            "EndpointStatus": status,
            "EndpointConfigName": configuration,
            "CreationTime": datetime(2026, 11, 1, tzinfo=UTC),
            "LastModifiedTime": datetime(2026, 11, 21, 10, 13, 30, tzinfo=UTC),
            "LastDeploymentConfig": {
                "AutoRollbackConfiguration": {
                    "Alarms": [{"AlarmName": f"{ENDPOINT}-guard-{guard}"} for guard in ("errors", "p99", "stop")]
                }
            },
            **({"PendingDeploymentSummary": {"EndpointConfigName": pending, "StartTime": BEGAN}} if pending else {}),
            **more,
        }

    def tell(self, status: str, id: str = "e1", pending: str = "", endpoint: str = ENDPOINT) -> dict[str, Any]:
        detail: dict[str, Any] = {"EndpointName": endpoint, "EndpointStatus": status}
        if pending:
            detail["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
        return self.watch.handle(
            {
                "id": id,
                "detail-type": "SageMaker Endpoint Deployment State Change",
                "source": "aws.sagemaker",
                "account": "111111111111",
                "region": "eu-west-1",
                "time": "2026-11-21T10:13:30Z",
                "detail": detail,
            }
        )

    def recorded(self) -> list[ReleaseEvent]:
        """What the watch wrote."""
        return [event for event in self.history.events() if event.by == "watch"]

    def begins(self) -> None:
        """Version 6 serves, and 7 is being released."""
        self.add("started", at="2026-11-21T10:00:01.000Z")
        self.describe("Updating", pending=V7)
        self.tell("UPDATING", id="e0", pending=V7)

    def add(self, kind: str, configuration: str = V7, serves: str | None = V6, **more: Any) -> ReleaseEvent:
        given: dict[str, Any] = {"at": "2026-11-21T10:14:00.000Z", "version": 7, **more}
        event = ReleaseEvent(
            kind=kind, endpoint=ENDPOINT, model=MODEL, configuration=configuration, serves=serves, by=CI, **given
        )
        assert self.history.add(event)
        return event


@pytest.fixture
def world(cloud: Cloud) -> World:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="registry", CreateBucketConfiguration={"LocationConstraint": cloud.region})
    sagemaker, cloudwatch, topic = SageMaker(), CloudWatch(), Topic()
    where = Where(environment="prod", endpoint_prefix="prod-", runbook_base_url="https://example.com/runbooks")
    watch = ReleaseWatch(
        s3=s3, sagemaker=sagemaker, cloudwatch=cloudwatch, sns=topic, bucket="registry", topic_arn=TOPIC, where=where
    )
    return World(watch, sagemaker, cloudwatch, topic, ReleaseHistory(s3, "registry", ENDPOINT))


ERRORS = AlarmSeen(
    name="prod-iris-guard-errors",
    window="share of failed requests above 0.01 in 2 of 3 minutes",
    value_told=REASON,
)


def test_a_release_that_an_alarm_takes_back(world: World) -> None:
    world.begins()
    world.cloudwatch.changes["prod-iris-guard-errors"] = datetime(2026, 11, 21, 10, 13, 1, tzinfo=UTC)
    world.describe("RollingBack", pending=V7)
    world.tell("ROLLING_BACK", pending=V7)
    [event] = world.recorded()
    assert (event.kind, event.configuration, event.version, event.serves) == ("taken_back", V7, 7, V6)
    assert event.alarm == ERRORS
    [(subject, message)] = world.topic.pages
    assert subject == "prod-iris: version 7 was taken back, version 6 serves"
    assert message.splitlines() == [
        "Version 7 of iris was taken back while it was being released; version 6 serves.",
        "",
        "Endpoint:  prod-iris in account 111111111111, region eu-west-1",
        "When:      2026-11-21T10:13:30Z, state now RollingBack",
        f"Serves:    version 6 ({V6})",
        f"Tried:     version 7 ({V7}), begun 2026-11-21T10:00:01.000Z by {CI}",
        "Alarm:     prod-iris-guard-errors: share of failed requests above 0.01 in 2 of 3 minutes",
        f"           CloudWatch said: {REASON}",
        "Then:      version 7 is not released again until a person allows it; other versions are",
        "Runbook:   https://example.com/runbooks/release-rolled-back.md",
        "Next:      mainstage model status iris --target prod",
    ]


def test_further_events_of_it_say_nothing_new(world: World) -> None:
    world.begins()
    world.describe("RollingBack", pending=V7)
    world.tell("ROLLING_BACK", id="e1")
    world.tell("ROLLING_BACK", id="e1")
    world.tell("ROLLING_BACK", id="e2")
    world.add("taken_back")
    world.describe("InService")
    world.tell("IN_SERVICE", id="e3")
    world.tell("UPDATING", id="e0", pending=V7)
    assert len(world.topic.pages) == len(world.recorded()) == 1


def test_what_the_hooks_recorded_first_is_paged_with_what_they_know(world: World) -> None:
    world.begins()
    world.add("taken_back", alarm=ERRORS, requests=412)
    world.describe("InService")
    world.tell("IN_SERVICE")
    assert world.recorded() == []
    [(_, message)] = world.topic.pages
    assert "Requests:  the new fleet answered 412" in message
    assert f"Alarm:     {ERRORS.name}: {ERRORS.window}" in message
    assert world.cloudwatch.asked == []


def test_a_fleet_that_does_not_come_up_may_be_sent_again(world: World) -> None:
    """No alarm fired in the time of the release: nothing of the version is known to be bad."""
    world.begins()
    world.cloudwatch.changes["prod-iris-guard-errors"] = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    world.describe("InService", FailureReason="Unable to provision\nrequested ML compute capacity.")
    world.tell("IN_SERVICE")
    [event] = world.recorded()
    assert (event.kind, event.alarm) == ("failed", None)
    [(subject, message)] = world.topic.pages
    assert subject == "prod-iris: version 7 did not come up, version 6 serves"
    assert "SageMaker: Unable to provision requested ML compute capacity." in message
    assert "Runbook:   https://example.com/runbooks/release-rolled-back.md" in message
    assert "Then:" not in message


def test_when_the_alarms_cannot_be_read_it_counts_as_taken_back(world: World) -> None:
    world.begins()
    world.cloudwatch.error = refused("AccessDenied", "DescribeAlarms")
    world.describe("RollingBack", pending=V7)
    world.tell("ROLLING_BACK")
    assert [event.kind for event in world.recorded()] == ["taken_back"]
    assert "Alarm:     not known (the alarms could not be read: AccessDenied)" in world.topic.pages[0][1]


def test_alarms_of_others_are_not_asked_for(world: World) -> None:
    world.begins()
    world.describe("RollingBack", pending=V7)
    assert world.sagemaker.described is not None
    alarms = world.sagemaker.described["LastDeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    alarms.append({"AlarmName": "somebody-elses"})
    world.tell("ROLLING_BACK")
    assert world.cloudwatch.asked == [f"prod-iris-guard-{guard}" for guard in ("errors", "p99", "stop")]


def test_a_good_release_is_recorded_and_wakes_nobody(world: World) -> None:
    world.begins()
    world.describe("InService", V7)
    world.tell("IN_SERVICE")
    world.tell("IN_SERVICE", id="e2")
    [event] = world.recorded()
    assert (event.kind, event.configuration, event.serves, event.requests) == ("released", V7, V7, None)
    assert world.topic.pages == []


@pytest.mark.parametrize(
    ("status", "subject", "said"),
    [
        ("Failed", "prod-iris: is Failed and serves nothing", "It answers no request"),
        ("UpdateRollbackFailed", "prod-iris: rolling back failed, two versions serve", "old and new fleet both serve"),
    ],
)
def test_an_endpoint_that_does_not_leave_its_state(world: World, status: str, subject: str, said: str) -> None:
    world.begins()
    world.describe(status, FailureReason="CannotStartContainerError")
    world.tell("FAILED")
    world.tell("FAILED", id="e2")
    assert [event.kind for event in world.recorded()] == ["failed"]
    [(told, message)] = world.topic.pages
    assert told == subject
    assert said in message
    assert "SageMaker: CannotStartContainerError" in message
    assert "Runbook:   https://example.com/runbooks/release-stuck.md" in message


def test_a_configuration_that_nobody_asked_for(world: World) -> None:
    world.add("released", serves=V7, at="2026-11-21T09:00:00.000Z")
    world.describe("InService", V6)
    world.tell("IN_SERVICE")
    [event] = world.recorded()
    assert (event.kind, event.configuration, event.version, event.serves) == ("unasked", V6, 6, V6)
    [(subject, message)] = world.topic.pages
    assert subject == "prod-iris: serves version 6, which nobody asked for"
    assert message.splitlines()[0] == (
        "prod-iris serves version 6 of iris. No release and no command of Mainstage asked for it."
    )
    assert "Runbook:   https://example.com/runbooks/release-unasked.md" in message
    assert "Tried:" not in message


def test_a_page_that_could_not_be_sent_is_sent_when_lambda_tries_again(world: World) -> None:
    world.begins()
    world.describe("RollingBack", pending=V7)
    world.topic.fails = 2
    for _ in range(2):
        with pytest.raises(ClientError, match="KMSAccessDenied"):
            world.tell("ROLLING_BACK", id="e1")
    # Another event meanwhile leaves it to the first: it lies with Lambda, and at the end with the dead letters.
    assert world.tell("ROLLING_BACK", id="e2") == {"told": None}
    assert world.topic.pages == []
    assert world.tell("ROLLING_BACK", id="e1")["told"].startswith("ended-")
    assert len(world.topic.pages) == len(world.recorded()) == 1
    assert world.tell("ROLLING_BACK", id="e1") == {"told": None}
    assert len(world.topic.pages) == 1


def test_two_that_meet_page_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read everything before either writes."""
    world.begins()
    world.describe("RollingBack", pending=V7)
    names: Callable[[Notes], frozenset[str]] = Notes.names
    met: list[str] = []

    def reads_and_is_overtaken(notes: Notes) -> frozenset[str]:
        found = names(notes)
        if not met:
            met.append("e2")
            world.tell("ROLLING_BACK", id="e2")
        return found

    monkeypatch.setattr(Notes, "names", reads_and_is_overtaken)
    assert world.tell("ROLLING_BACK", id="e1") == {"told": None}
    assert len(world.topic.pages) == len(world.recorded()) == 1


def test_endpoints_of_others_and_those_that_are_gone(world: World) -> None:
    assert world.tell("FAILED", endpoint="dev-iris") == {"told": None}
    assert world.tell("FAILED") == {"told": None}
    assert world.topic.pages == []


def test_what_is_no_event_of_an_endpoint_fails(world: World) -> None:
    """So that it ends among the dead letters, and an alarm tells of it."""
    with pytest.raises(KeyError):
        world.watch.handle({"id": "1"})


def test_a_subject_is_never_too_long(world: World) -> None:
    world.add("released", serves=V7)
    world.describe("InService", "a-configuration-that-somebody-made-by-hand-with-a-long-name-xxx")
    world.tell("IN_SERVICE")
    [(subject, _)] = world.topic.pages
    assert len(subject) <= LONGEST_SUBJECT
    assert subject.startswith("prod-iris: serves configuration a-configuration-that")


def test_times_of_events() -> None:
    assert _moment_of("2021-10-25T01:52:12Z") == datetime(2021, 10, 25, 1, 52, 12, tzinfo=UTC)
    assert _moment_of("1583831889050") == datetime(2020, 3, 10, 9, 18, 9, 50_000, tzinfo=UTC)
    assert _moment_of("yesterday") is None
