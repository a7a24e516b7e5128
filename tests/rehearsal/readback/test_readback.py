"""Every resource that the program registers is found by plain boto3 with the values asked for, from another process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from readback import Asked, Reader, asked_of, unnamed
from readback_table import TABLE
from served import Served, checkout, serving


def as_committed(root: Path) -> None:
    """The environment as its stack files have it."""


def with_nat(root: Path) -> None:
    """No committed environment has NAT gateways."""
    path = root / "stacks" / "Pulumi.platform-dev.yaml"
    text = path.read_text()
    assert "nat: none" in text
    path.write_text(text.replace("nat: none", "nat: one"))


ENVIRONMENTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "staging": ("staging", as_committed),
    "prod": ("prod", as_committed),
    "dev with NAT": ("dev", with_nat),
}


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    name, change = ENVIRONMENTS[request.param]
    root = checkout(tmp_path_factory.mktemp("checkout"))
    change(root)
    with serving(root, "--env", name) as served:
        yield served


@pytest.fixture(scope="module")
def asked(environment: Served) -> list[Asked]:
    assert environment.target.state_file is not None
    return asked_of(environment.root, environment.target.environment, environment.target.state_file)


def test_the_table_names_every_property_that_the_program_sets(asked: list[Asked]) -> None:
    assert sorted({line for each in asked for line in unnamed(TABLE, each.resource)}) == []


def test_every_resource_is_found_with_the_values_asked_for(environment: Served, asked: list[Asked]) -> None:
    reader = Reader(TABLE, environment.client)
    assert len(asked) > 50
    assert [line for each in asked for line in reader.differences(each)] == []


def test_what_somebody_changes_is_seen(environment: Served, asked: list[Asked]) -> None:
    """The reader does see a difference: a tag, a number, a policy, and a resource that is gone."""
    reader = Reader(TABLE, environment.client)
    one = {each.type: each for each in asked}
    vpc, topic, alarm = (
        one["aws:ec2/vpc:Vpc"],
        one["aws:sns/topicPolicy:TopicPolicy"],
        one["aws:cloudwatch/metricAlarm:MetricAlarm"],
    )
    group = next(each for each in asked if each.type == "aws:cloudwatch/logGroup:LogGroup" and "name" in each.inputs)
    environment.client("ec2").create_tags(
        Resources=[vpc.resource.id], Tags=[{"Key": "mainstage:owner", "Value": "somebody"}]
    )
    environment.client("logs").put_retention_policy(logGroupName=group.inputs["name"], retentionInDays=1)
    policy = json.loads(topic.inputs["policy"])
    policy["Statement"][0]["Sid"] = "Changed"
    environment.client("sns").set_topic_attributes(
        TopicArn=topic.inputs["arn"], AttributeName="Policy", AttributeValue=json.dumps(policy)
    )
    environment.client("cloudwatch").delete_alarms(AlarmNames=[alarm.inputs["name"]])
    lines = [line for each in (vpc, group, topic, alarm) for line in reader.differences(each)]
    assert [line.partition(": asked")[0] for line in lines] == [
        f"{vpc.type} {vpc.resource.name}: tags",
        f"{group.type} {group.resource.name}: retentionInDays",
        f"{topic.type} {topic.resource.name}: policy",
        f"{alarm.type} {alarm.resource.name}: not found by cloudwatch.describe_alarms",
    ]
