"""The alarms of a prediction log as they are deployed: what rings, when it rings, and when it is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pulumi
import pytest
from mainstage._log_alarms import Watched, make_log_alarms

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider

LOG = "dev-iris"
STREAM, TRANSFORM = f"{LOG}-predictions", f"{LOG}-transform"
BUFFER_SECONDS = 60


def program_for(topic: str) -> Callable[[], None]:
    def program() -> None:
        watched = Watched(
            log_name=LOG,
            stream_name=STREAM,
            transform_name=TRANSFORM,
            spool_name=f"{LOG}-spool",
            dead_name=f"{LOG}-spool-dead",
            buffer_seconds=BUFFER_SECONDS,
            page_topic_arn=topic,
            ticket_topic_arn=topic,
            runbook_base_url="https://example.com/runbooks",
            tags={},
        )
        make_log_alarms("log", watched, parent=pulumi.ComponentResource("test:index:Log", "log"))

    return program


class Alarms:
    """The alarms, deployed, all calm. Each minute is evaluated before the cloud's clock is at its twentieth second."""

    def __init__(self, cloud: Cloud, state_file: Path):
        self.cloud = cloud
        sns = cloud.client("sns")
        topic = sns.create_topic(Name="pager")["TopicArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic,
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document)
        engine = Engine(provider=AwsProvider(cloud.session), state_file=state_file)
        # An alarm is evaluated at the second of its making: here as soon as a minute is over.
        cloud.clock.advance(60 - cloud.clock.now().timestamp() % 60)
        engine.up("models-dev", program_for(topic), {}).check()
        cloud.clock.advance(120 + 20 - cloud.clock.now().timestamp() % 60)
        self._told = len(cloud.messages)

    def minutes(self, count: int = 1) -> datetime:
        """Lets minutes pass, each of which is evaluated; answers the new time."""
        self.cloud.clock.advance(60 * count)
        return self.cloud.clock.now()

    def put(self, name: str, value: float, at: datetime | None = None, *, namespace: str = "Mainstage") -> None:
        dimensions = {
            "Mainstage": {"LogName": LOG},
            "AWS/Firehose": {"DeliveryStreamName": STREAM},
            "AWS/Lambda": {"FunctionName": TRANSFORM},
        }[namespace]
        self.cloud.metrics.put(namespace, name, value, region=self.cloud.region, dimensions=dimensions, at=at)

    def heard(self, alarm: str) -> list[str]:
        """The states of an alarm that its topic was told of."""
        told = [json.loads(each.message) for each in self.cloud.messages[self._told :]]
        return [each["NewStateValue"] for each in told if each["AlarmName"] == f"{LOG}-log-{alarm}"]


@pytest.fixture
def alarms(cloud: Cloud, tmp_path: Path) -> Alarms:
    return Alarms(cloud, tmp_path / "state.json")


def test_records_in_flight_at_the_end_of_their_minute_are_no_loss(alarms: Alarms) -> None:
    """Every minute ends with some, and all of them are handed over a moment later."""
    for number in range(20):
        now = alarms.cloud.clock.now()
        alarms.put("Served", 10)
        alarms.put("HandedOver", 9 - number % 3)
        alarms.minutes()
        alarms.put("HandedOver", 1 + number % 3, now)
    alarms.minutes(10)
    assert alarms.heard("loss") == []


def test_a_single_request_in_flight_without_other_traffic_is_no_loss(alarms: Alarms) -> None:
    now = alarms.cloud.clock.now()
    alarms.put("Served", 1)
    alarms.minutes()
    alarms.put("HandedOver", 1, now)
    alarms.minutes(10)
    assert alarms.heard("loss") == []


@pytest.mark.parametrize("traffic", [0, 50], ids=["nothing else", "under traffic"])
def test_one_lost_record_rings_two_minutes_after_its_minute_and_is_over_in_ten(alarms: Alarms, traffic: int) -> None:
    """Also while records of each minute are in flight at its end."""
    heard = []
    for minute in range(12):
        now = alarms.cloud.clock.now()
        if traffic or minute == 0:
            alarms.put("Served", traffic + (minute == 0))
        if traffic:
            alarms.put("HandedOver", traffic - 1)
        alarms.minutes()
        if traffic:
            alarms.put("HandedOver", 1, now)
        heard.append(alarms.heard("loss"))
    assert heard[:2] == [[], ["ALARM"]]
    assert heard[5] == ["ALARM"]
    assert heard[9:] == [["ALARM", "OK"]] * 3


def test_losses_minute_after_minute_ring_once(alarms: Alarms) -> None:
    for _ in range(15):
        alarms.put("Served", 3)
        alarms.put("HandedOver", 2)
        alarms.minutes()
    assert alarms.heard("loss") == ["ALARM"]
    alarms.minutes(10)
    assert alarms.heard("loss") == ["ALARM", "OK"]


@pytest.mark.parametrize(
    ("namespace", "name", "value"),
    [
        ("AWS/Lambda", "Errors", 1),
        ("AWS/Lambda", "Throttles", 4),
        ("AWS/Firehose", "ExecuteProcessing.Success", 0),
    ],
)
def test_a_transform_that_does_not_run_rings(alarms: Alarms, namespace: str, name: str, value: float) -> None:
    """Whether the function fails, is throttled or cannot be invoked at all: then only Firehose counts it."""
    for _ in range(8):
        alarms.put("ExecuteProcessing.Success", 1, namespace="AWS/Firehose")
        alarms.put("Errors", 0, namespace="AWS/Lambda")
        alarms.minutes()
    assert alarms.heard("transform-errors") == []
    alarms.put(name, value, namespace=namespace)
    alarms.minutes(6)
    assert alarms.heard("transform-errors")[:1] == ["ALARM"]
    alarms.minutes(20)
    assert alarms.heard("transform-errors") == ["ALARM", "OK"]


@pytest.mark.parametrize("after", [0, 1, 3, 7], ids="every {} minutes".format)
def test_one_outage_of_the_delivery_rings_once(alarms: Alarms, after: int) -> None:
    """Afterwards traffic is as it was, or sparse, or there is none."""
    for minute in range(90):
        ended = minute - 45
        if ended < 0:
            alarms.put("DeliveryToS3.DataFreshness", 60.0 * (minute + 1), namespace="AWS/Firehose")
        elif ended == 0 or (after and ended % after == 0):
            alarms.put("DeliveryToS3.DataFreshness", 70, namespace="AWS/Firehose")
        alarms.minutes()
    assert alarms.heard("delivery-late") == ["ALARM", "OK"]


def test_a_delivery_that_is_late_for_a_moment_is_no_outage(alarms: Alarms) -> None:
    for age in [70.0] * 5 + [3600.0] * 4 + [70.0] * 20:
        alarms.put("DeliveryToS3.DataFreshness", age, namespace="AWS/Firehose")
        alarms.minutes()
    assert alarms.heard("delivery-late") == []


def test_how_late_a_delivery_is_told(alarms: Alarms) -> None:
    """Ten minutes after the oldest record is late."""
    late = timedelta(seconds=BUFFER_SECONDS + 900)
    began = alarms.cloud.clock.now()
    while not alarms.heard("delivery-late"):
        age = (alarms.cloud.clock.now() - began).total_seconds()
        alarms.put("DeliveryToS3.DataFreshness", age, namespace="AWS/Firehose")
        assert alarms.minutes() - began <= late + timedelta(minutes=11)
    assert alarms.cloud.clock.now() - began >= late + timedelta(minutes=10)
