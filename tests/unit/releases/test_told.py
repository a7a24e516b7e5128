"""How releases are told: every kind of event has its words, every rollout its steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cli import TARGET
from mainstage_runtime.release_history import KINDS

from infra.catalog import Rollout
from infra.releases.guards import deployment_config, watching
from infra.releases.rollback_now import steps_of
from infra.releases.status import KIND_WORDS
from infra.releases.words import command, release_command

REAL = replace(TARGET, environment="prod", endpoint_url=None, profile="ops")


def test_every_kind_of_event_has_its_words() -> None:
    assert set(KIND_WORDS) == set(KINDS)


@pytest.mark.parametrize(
    ("rollout", "told"),
    [
        (Rollout(strategy="all_at_once"), "all at once, when the new fleet is up"),
        (Rollout(strategy="canary", percent=10, bake_minutes=30), "10 % first, the rest after 30 minutes"),
        (Rollout(strategy="linear", percent=25, bake_minutes=5), "25 % at a time, every 5 minutes"),
        (Rollout(strategy="rolling", percent=50), "in batches of 50 %, each watched for 10 minutes"),
    ],
)
def test_every_rollout_tells_its_steps(rollout: Rollout, told: str) -> None:
    assert steps_of(deployment_config("dev-iris", rollout)) == told
    assert steps_of({}) == "all at once, when the new fleet is up"


def test_commands_name_their_target_where_it_is_an_account() -> None:
    assert command(TARGET, "abort", "iris") == "mainstage model abort iris"
    assert command(REAL, "abort", "iris") == "mainstage model abort iris --target prod --profile ops"
    assert release_command(TARGET) == "mainstage up --env dev"
    assert release_command(REAL) == "pulumi up -s models-prod --continue-on-error"


def test_an_alarm_is_pointed_at_another_fleet_and_is_else_as_it_was() -> None:
    old = {"Name": "EndpointConfigName", "Value": "old"}
    metric = {"Namespace": "AWS/SageMaker", "Dimensions": [{"Name": "EndpointName", "Value": "e"}, old]}
    alarm = {
        "AlarmName": "a",
        "AlarmArn": "arn",
        "StateValue": "ALARM",
        "Threshold": 0.0,
        "OKActions": [],
        "Metrics": [{"Id": "m", "MetricStat": {"Metric": metric}}, {"Id": "e", "Expression": "m"}],
    }
    told = watching(alarm, "new")
    assert told == {
        "AlarmName": "a",
        "Threshold": 0.0,
        "Metrics": [
            {
                "Id": "m",
                "MetricStat": {"Metric": {**metric, "Dimensions": [metric["Dimensions"][0], {**old, "Value": "new"}]}},
            },
            {"Id": "e", "Expression": "m"},
        ],
    }
    assert old["Value"] == "old"
