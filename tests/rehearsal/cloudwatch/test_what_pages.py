"""ServiceAlarms in the emulated CloudWatch: minutes of requests go by, and a person is woken once, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import mainstage
import pulumi
import pulumi_aws as aws
import pytest

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider

CONFIG = {"pulumi:disable-default-providers": json.dumps(["aws"])}
ENDPOINT, LOG = "dev-iris", "dev-iris"
VARIANT = {"EndpointName": ENDPOINT, "VariantName": "stable"}
TOPIC = "arn:aws:sns:eu-west-1:111111111111:"
IDENTITY = {
    "endpoint_name": ENDPOINT,
    "endpoint_arn": f"arn:aws:sagemaker:eu-west-1:111111111111:endpoint/{ENDPOINT}",
    "endpoint_config_name": "dev-iris-v7-0123abcd",
    "variant_name": "stable",
    "model_name": "iris",
    "guard_alarm_names": {},
}
SLO = {"p95_ms": 300.0, "p99_ms": 800.0, "error_ratio": 0.01, "front_door_p99_ms": 1000.0}
LOG_IDENTITY = {
    "log_name": LOG,
    "stream_name": "dev-iris-predictions",
    "stream_arn": "arn:aws:firehose:eu-west-1:111111111111:deliverystream/dev-iris-predictions",
    "spool_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/dev-iris-spool",
    "spool_arn": "arn:aws:sqs:eu-west-1:111111111111:dev-iris-spool",
    "kms_key_arn": "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001",
}


class Service:
    """The alarms of one service, whose minutes are made up."""

    def __init__(self, cloud: Cloud, directory: Path, **limits: float):
        self.cloud, self.cloudwatch = cloud, cloud.client("cloudwatch")
        sns = cloud.client("sns")
        for name in ("page", "ticket"):
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": sns.create_topic(Name=name)["TopicArn"],
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            sns.set_topic_attributes(TopicArn=statement["Resource"], AttributeName="Policy", AttributeValue=policy)
        cloud.clock.advance(61 - cloud.clock.now().timestamp() % 60)

        def program() -> None:
            provider = aws.Provider("here", region="eu-west-1", allowed_account_ids=["111111111111"])
            args: Any = {
                "identity": IDENTITY,
                "slo": SLO,
                "instance_type": "ml.m5.xlarge",
                "log": LOG_IDENTITY,
                "limits": limits,
                "page_topic_arn": f"{TOPIC}page",
                "ticket_topic_arn": f"{TOPIC}ticket",
                "runbook_base_url": "https://example.com/runbooks",
            }
            mainstage.ServiceAlarms("iris-alarms", args, pulumi.ResourceOptions(providers={"aws": provider}))

        engine = Engine(provider=AwsProvider(cloud.session, clock=cloud.clock), state_file=directory / "state.json")
        engine.up("models-dev", program, CONFIG)

    def put(self, namespace: str, name: str, value: float, dimensions: dict[str, str], **options: Any) -> None:
        self.cloud.metrics.put(namespace, name, value, region="eu-west-1", dimensions=dimensions, **options)

    def past(self, hours: int, *, requests: int = 100) -> None:
        """Hours in which all requests were answered."""
        now = self.cloud.clock.now()
        for minute in range(1, hours * 60 + 1):
            at = now - timedelta(minutes=minute)
            self.put("AWS/SageMaker", "Invocations", requests, VARIANT, at=at)
            self.put("Mainstage", "Served", requests, {"LogName": LOG}, at=at)

    def minutes(
        self, count: int, *, requests: int = 100, failed: int = 0, refused: int = 0, late: int = 0, p99: float = 400
    ) -> None:
        """So many minutes, each with so many requests: failed in the model, refused by it (4XX), past the deadline of
        the front door, which the endpoint knows nothing of."""
        for _ in range(count):
            if requests:
                self.put("AWS/SageMaker", "Invocations", requests, VARIANT)
                self.put("AWS/SageMaker", "InvocationModelErrors", failed + refused, VARIANT)
                self.put("AWS/SageMaker", "Invocation4XXErrors", refused, VARIANT)
                self.put("Mainstage", "Served", requests, {"LogName": LOG})
                self.put("Mainstage", "Replies5XX", failed + late, {"LogName": LOG})
                self.put("Mainstage", "FrontDoorLatency", p99, {"EndpointName": ENDPOINT})
            self.cloud.clock.advance(60)

    def ringing(self) -> set[str]:
        found = self.cloudwatch.describe_alarms(StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        alarms = [*found["MetricAlarms"], *found["CompositeAlarms"]]
        return {alarm["AlarmName"].removeprefix(f"{ENDPOINT}-") for alarm in alarms}

    def told(self, topic: str) -> list[str]:
        """Who was told ALARM, in order, by alarm."""
        subjects = [each.subject for each in self.cloud.messages if each.topic_arn.endswith(f":{topic}")]
        return [
            subject.split('"')[1].removeprefix(f"{ENDPOINT}-") for subject in subjects if subject.startswith("ALARM")
        ]


Make = Callable[..., Service]


@pytest.fixture
def service(cloud: Cloud, tmp_path: Path) -> Make:
    return lambda **limits: Service(cloud, tmp_path, **limits)


def test_a_quiet_service_wakes_nobody(service: Make) -> None:
    """Nobody asks; then requests come and as many fail as were promised."""
    iris = service()
    iris.minutes(20, requests=0)
    iris.minutes(70, failed=1)
    assert (iris.ringing(), iris.told("page"), iris.told("ticket")) == (set(), [], [])


def test_a_total_outage_is_one_page_and_over_minutes_after_it(service: Make) -> None:
    iris = service()
    iris.past(7)
    iris.minutes(8, failed=100)
    assert iris.told("page") == []
    # 14.4 % of an hour's requests at a promise of 1 %: between the 8th and the 9th minute, and SageMaker posts late.
    iris.minutes(4, failed=100)
    assert iris.told("page") == ["page"]
    assert {"page", "burn-1h", "burn-5m"} <= iris.ringing()
    iris.minutes(10)
    # The hour still burns; the five minutes do not, and the page is over.
    assert "burn-1h" in iris.ringing()
    assert "page" not in iris.ringing()
    assert iris.told("page") == ["page"]


def test_a_slow_burn_is_found_over_hours(service: Make) -> None:
    """7 % instead of 1 %: too little for the fast pair, 6 times as much as promised after most of six hours."""
    iris = service()
    iris.past(7)
    iris.minutes(240, failed=7)
    assert iris.ringing() == {"burn-30m"}
    iris.minutes(80, failed=7)
    assert iris.ringing() == {"burn-30m", "burn-6h", "page"}
    assert iris.told("page") == ["page"]


def test_a_canary_that_is_taken_back_wakes_nobody_here(service: Make) -> None:
    """10 % of the traffic fails for four minutes: that is the watch's to tell."""
    iris = service()
    iris.past(7)
    iris.minutes(4, failed=10)
    iris.minutes(10)
    assert iris.told("page") == []


def test_what_the_endpoint_does_not_see_counts(service: Make) -> None:
    """Replies past the deadline are successes of the endpoint."""
    iris = service()
    iris.past(7)
    iris.minutes(12, late=100)
    assert iris.told("page") == ["page"]


def test_what_the_client_did_wrong_does_not_count(service: Make) -> None:
    iris = service()
    iris.minutes(70, refused=90)
    assert iris.told("page") == []


def test_few_requests_say_nothing(service: Make) -> None:
    """One failure of two requests; with twenty requests in five minutes it says something."""
    iris = service()
    iris.minutes(1, requests=15, failed=15)
    iris.minutes(20, requests=0)
    assert "burn-5m" not in iris.ringing()
    iris.minutes(3, requests=8, failed=8)
    assert "burn-5m" in iris.ringing()


def test_slow_answers_page_after_a_quarter_of_an_hour(service: Make) -> None:
    iris = service()
    iris.minutes(20)
    iris.minutes(9, p99=1500)
    assert iris.told("page") == []
    iris.minutes(8, p99=1500)
    assert (iris.ringing(), iris.told("page")) == ({"slow", "page"}, ["page"])


def test_one_incident_is_one_page_however_many_parts_ring(service: Make) -> None:
    iris = service()
    iris.past(7)
    iris.minutes(20, failed=100, p99=1500)
    assert {"burn-1h", "burn-5m", "slow", "page"} <= iris.ringing()
    assert iris.told("page") == ["page"]


def test_a_floor_wakes_when_clients_are_gone(service: Make) -> None:
    iris = service(requests_per_hour_at_least=600)
    iris.minutes(70)
    assert iris.ringing() == set()
    told = len(iris.told("page"))
    iris.minutes(50, requests=0)
    assert iris.ringing() == set()
    iris.minutes(12, requests=0)
    assert iris.ringing() == {"floor", "page"}
    assert len(iris.told("page")) == told + 1


def test_full_instances_are_a_ticket_and_a_rush_is_none(service: Make) -> None:
    """85 % of four vCPUs are 340."""
    iris = service(concurrent_requests_per_instance=8)

    def minutes(count: int, cpu: float, memory: float, at_once: int) -> None:
        for _ in range(count):
            iris.put("/aws/sagemaker/Endpoints", "CPUUtilization", cpu, VARIANT)
            iris.put("/aws/sagemaker/Endpoints", "MemoryUtilization", memory, VARIANT)
            iris.put("AWS/SageMaker", "ConcurrentRequestsPerModel", at_once, VARIANT)
            iris.minutes(1)

    minutes(20, 339, 89, 8)
    minutes(8, 400, 99, 9)
    minutes(10, 200, 50, 2)
    assert iris.told("ticket") == []
    minutes(14, 341, 91, 9)
    assert sorted(iris.told("ticket")) == ["concurrency", "cpu", "memory"]
    assert iris.told("page") == []
