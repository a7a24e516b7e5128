"""Traps of EventBridge rules and targets (terraform-provider-aws, events/rule.go and events/target.go)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from provider_driver import CheckFailed, Driver
from provider_world import SAMPLES, STATE_CHANGES, World

from infra.rehearsal.provider import ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
PATTERN = json.dumps(STATE_CHANGES)

# -- rules -------------------------------------------------------------------------------------------------------------


def test_rule_is_kept_as_compact_json_in_order_of_keys(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(RULE, "r", name="r", eventPattern='{"source": ["aws.sagemaker"],\n "detail-type": ["a & b"]}')
    kept = '{"detail-type":["a & b"],"source":["aws.sagemaker"]}'
    assert cloud.client("events").describe_rule(Name="r")["EventPattern"] == kept
    assert engine.changed(made, name="r", eventPattern=kept) == {}
    assert made.id == "r"
    assert (made.outputs["state"], made.outputs["isEnabled"]) == ("ENABLED", True)


def test_rule_that_is_switched_off_by_hand_is_drift_only_where_the_program_says_its_state(
    engine: Driver, cloud: Cloud
) -> None:
    silent = engine.create(RULE, "a", name="a", eventPattern=PATTERN)
    told = engine.create(RULE, "b", name="b", eventPattern=PATTERN, state="ENABLED")
    events = cloud.client("events")
    for name in ("a", "b"):
        events.disable_rule(Name=name)
    seen, seen_told = engine.read(silent), engine.read(told)
    assert seen is not None
    assert seen_told is not None
    assert engine.changed(seen, name="a", eventPattern=PATTERN) == {}
    assert engine.changed(seen_told, name="b", eventPattern=PATTERN, state="ENABLED") == {"state": False}
    # And the next change of anything else switches it on again.
    engine.update(seen, name="a", eventPattern=PATTERN, description="changed")
    assert events.describe_rule(Name="a")["State"] == "ENABLED"


def test_rule_can_be_off_from_the_start(engine: Driver, cloud: Cloud) -> None:
    engine.create(RULE, "a", name="a", eventPattern=PATTERN, state="DISABLED")
    engine.create(RULE, "b", name="b", eventPattern=PATTERN, isEnabled=False)
    states = [rule["State"] for rule in cloud.client("events").list_rules()["Rules"]]
    assert states == ["DISABLED", "DISABLED"]


def test_rule_loses_what_the_program_no_longer_says(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(RULE, "r", name="r", eventPattern=PATTERN, description="watches")
    engine.update(made, name="r", eventPattern=PATTERN)
    assert "Description" not in cloud.client("events").describe_rule(Name="r")


def test_rule_that_exists_is_overwritten(engine: Driver, cloud: Cloud) -> None:
    events = cloud.client("events")
    events.put_rule(Name="r", EventPattern='{"source": ["mine"]}', Description="somebody's")
    engine.create(RULE, "r", name="r", eventPattern=PATTERN)
    assert "Description" not in events.describe_rule(Name="r")


def test_rule_with_a_foreign_target_cannot_be_deleted(engine: Driver, world: World, cloud: Cloud) -> None:
    rule, queue = world.event_rule, world.queue.outputs["arn"]
    cloud.client("events").put_targets(Rule=rule.id, Targets=[{"Id": "theirs", "Arn": queue}])
    with pytest.raises(ProviderError, match=r"Rule can't be deleted since it has targets.*goes on for 5 min"):
        engine.delete(rule)


@pytest.mark.parametrize(
    ("inputs", "path", "words"),
    [
        ({"name": "r"}, "eventPattern", "one of eventPattern and scheduleExpression must be given"),
        ({"name": "r", "eventPattern": "{"}, "eventPattern", "invalid JSON"),
        ({"name": "a/b", "eventPattern": PATTERN}, "name", "1 to 64"),
        ({"name": "r", "eventPattern": PATTERN, "state": "ON"}, "state", "got 'ON'"),
        ({"name": "r", "eventPattern": PATTERN, "state": "ENABLED", "isEnabled": True}, "isEnabled", "excludes state"),
        ({"name": "r", "scheduleExpression": "rate(1 hour)"}, "scheduleExpression", ""),
        ({"name": "r", "eventPattern": json.dumps({"source": ["x" * 5000]})}, "eventPattern", "at most 4096"),
    ],
)
def test_rules_that_a_preview_refuses(engine: Driver, inputs: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(RULE, "r", **inputs)
    assert words in caught.value.failures[path]


# -- targets -----------------------------------------------------------------------------------------------------------


def test_target_without_an_id_gets_one_and_its_own_id_joins_rule_and_target(engine: Driver, world: World) -> None:
    made = engine.create(TARGET, "t", rule=world.event_rule.id, arn=world.queue.outputs["arn"])
    target_id = made.outputs["targetId"]
    assert target_id.startswith("t-")
    assert made.id == f"world-{target_id}"
    assert engine.changed(made, rule=world.event_rule.id, arn=world.queue.outputs["arn"]) == {}


def test_a_half_retry_policy_is_filled_with_zeros(engine: Driver, world: World, cloud: Cloud) -> None:
    asked = {"rule": world.event_rule.id, "targetId": "t", "arn": world.queue.outputs["arn"]}
    engine.create(TARGET, "t", **asked, retryPolicy={"maximumEventAgeInSeconds": 600})
    (live,) = cloud.client("events").list_targets_by_rule(Rule="world")["Targets"]
    assert live["RetryPolicy"] == {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 0}
    with pytest.raises(ProviderError, match="MaximumEventAgeInSeconds"):
        engine.create(TARGET, "u", **{**asked, "targetId": "u"}, retryPolicy={"maximumRetryAttempts": 5})


def test_a_dead_letter_queue_that_is_taken_away_by_hand_is_not_seen_one_that_is_put_there_is(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    asked = {"rule": world.event_rule.id, "targetId": "t", "arn": world.queue.outputs["arn"]}
    letters = {"arn": world.other_queue.outputs["arn"]}
    made = engine.create(TARGET, "t", **asked, deadLetterConfig=letters)
    events = cloud.client("events")
    events.put_targets(Rule="world", Targets=[{"Id": "t", "Arn": asked["arn"]}])
    seen = engine.read(made)
    assert seen is not None
    assert engine.changed(seen, **asked, deadLetterConfig=letters) == {}

    bare = engine.update(seen, **asked)
    assert engine.changed(bare, **asked) == {}
    events.put_targets(
        Rule="world", Targets=[{"Id": "t", "Arn": asked["arn"], "DeadLetterConfig": {"Arn": letters["arn"]}}]
    )
    seen = engine.read(bare)
    assert seen is not None
    assert engine.changed(seen, **asked) == {"deadLetterConfig": False}


def test_target_of_a_rule_that_is_gone_is_gone(engine: Driver, world: World, cloud: Cloud) -> None:
    made = engine.create(TARGET, "t", **SAMPLES[TARGET](world))
    events = cloud.client("events")
    events.remove_targets(Rule="world", Ids=["watch"])
    assert engine.read(made) is None
    events.delete_rule(Name="world")
    assert engine.read(made) is None
    engine.delete(made)


def test_import(engine: Driver, world: World) -> None:
    made = engine.create(TARGET, "t", **SAMPLES[TARGET](world))
    found = engine.imported(TARGET, "t", "world/watch")
    assert found is not None
    assert (found.id, found.outputs["arn"], found.outputs["rule"]) == (made.id, made.outputs["arn"], "world")
    rule = engine.imported(RULE, "r", "world")
    assert rule is not None
    assert rule.outputs["eventPattern"] == '{"source":["aws.sagemaker"]}'


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"input": "no JSON"}, "input", "invalid JSON"),
        ({"input": "{}", "inputPath": "$.a"}, "input", "excludes inputPath"),
        ({"retryPolicy": {"maximumRetryAttempts": 186, "maximumEventAgeInSeconds": 60}},
         "retryPolicy.maximumRetryAttempts", "in the range (0 - 185)"),
        ({"roleArn": "arn:aws:iam::111111111111:role/r"}, "roleArn", ""),
        ({"kinesisTarget": {"partitionKeyPath": "$.id"}}, "kinesisTarget", ""),
    ],
)  # fmt: skip
def test_targets_that_a_preview_refuses(
    engine: Driver, world: World, changes: dict[str, object], path: str, words: str
) -> None:
    asked = {"rule": "r", "targetId": "t", "arn": world.queue.outputs["arn"]}
    with pytest.raises(CheckFailed) as caught:
        engine.preview(TARGET, "t", **asked, **changes)
    assert any(words in text for where, text in caught.value.failures.items() if where.startswith(path))
