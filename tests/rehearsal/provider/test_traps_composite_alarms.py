"""Traps of composite alarms (terraform-provider-aws, cloudwatch/composite_alarm.go; pulumi-aws, resources.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import CheckFailed, Driver
from provider_world import SAMPLES, World

from infra.rehearsal.provider import ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ALARM = "aws:cloudwatch/compositeAlarm:CompositeAlarm"


def composites(cloud: Cloud) -> list[dict[str, Any]]:
    return cloud.client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]


def test_one_that_is_muted_by_hand_is_replaced_and_created_first_leaves_none(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    asked = SAMPLES[ALARM](world)
    made = engine.create(ALARM, "a", **asked)
    cloud.client("cloudwatch").disable_alarm_actions(AlarmNames=["incident"])
    seen = engine.read(made)
    assert seen is not None
    answer = engine.diff(seen, **asked)
    assert list(answer.replaces) == ["actionsEnabled"]
    assert answer.deleteBeforeReplace is False
    # What an engine then does without delete_before_replace.
    engine.create(ALARM, "a", **asked)
    assert [alarm["ActionsEnabled"] for alarm in composites(cloud)] == [True]
    engine.delete(seen)
    assert composites(cloud) == []


def test_deleted_first_it_is_back(engine: Driver, world: World, cloud: Cloud) -> None:
    asked = SAMPLES[ALARM](world)
    made = engine.create(ALARM, "a", **asked)
    cloud.client("cloudwatch").disable_alarm_actions(AlarmNames=["incident"])
    engine.delete(made)
    engine.create(ALARM, "a", **asked)
    assert [alarm["ActionsEnabled"] for alarm in composites(cloud)] == [True]


def test_its_alarms_must_be_there_first_and_go_last(engine: Driver, world: World) -> None:
    with pytest.raises(ProviderError, match=r"as alarms \[gone\] in the alarm rule do not exist"):
        engine.create(ALARM, "a", alarmName="a", alarmRule="ALARM(gone)")
    made = engine.create(ALARM, "a", **SAMPLES[ALARM](world))
    with pytest.raises(ProviderError, match="Cannot delete world as there are composite"):
        engine.delete(world.alarm)
    engine.delete(made)
    engine.delete(world.alarm)


def test_a_foreign_one_of_that_name_is_overwritten(engine: Driver, world: World, cloud: Cloud) -> None:
    cloud.client("cloudwatch").put_composite_alarm(AlarmName="incident", AlarmRule="TRUE", AlarmDescription="theirs")
    engine.create(ALARM, "a", **SAMPLES[ALARM](world))
    assert [alarm["AlarmRule"] for alarm in composites(cloud)] == ['ALARM("world") AND NOT FALSE']


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"alarmRule": "ALARM("}, "alarmRule", "Unsupported token"),
        ({"alarmRule": "x" * 10_241}, "alarmRule", "at most 10240"),
        ({"alarmActions": [f"arn:aws:sns:eu-west-1:111111111111:t{number}" for number in range(6)]},
         "alarmActions", "at most 5 actions, got 6"),
        ({"actionsSuppressor": {"alarm": "a", "extensionPeriod": 1, "waitPeriod": 1}}, "actionsSuppressor", ""),
    ],
)  # fmt: skip
def test_what_a_preview_refuses(engine: Driver, changes: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(ALARM, "a", **{"alarmName": "a", "alarmRule": "TRUE", **changes})
    assert any(words in text for where, text in caught.value.failures.items() if where.startswith(path))


def test_import(engine: Driver, world: World) -> None:
    engine.create(ALARM, "a", **SAMPLES[ALARM](world))
    found = engine.imported(ALARM, "a", "incident")
    assert found is not None
    assert found.inputs["alarmRule"] == 'ALARM("world") AND NOT FALSE'
