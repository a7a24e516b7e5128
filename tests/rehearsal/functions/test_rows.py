"""Functions, permissions, mappings and queues through the provider: what changes in place, and what it sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from provider_driver import CheckFailed, Driver, configured
from provider_world import CODE, SAMPLES, World

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.provider import ProviderError
from infra.rehearsal.provider.values import ASSET, SIGNATURE

FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
QUEUE = "aws:sqs/queue:Queue"
NAME = "dev-iris-front-door"


@pytest.fixture
def engine(cloud: Cloud) -> Driver:
    return configured(cloud)


@pytest.fixture
def world(engine: Driver, cloud: Cloud) -> World:
    return World(engine, cloud)


@pytest.fixture
def sent(cloud: Cloud) -> Callable[[str], list[str]]:
    """The operations that a service was sent since the last time; reads left out."""
    seen = [len(cloud.journal.entries())]

    def operations(service: str) -> list[str]:
        entries = cloud.journal.entries()
        fresh, seen[0] = entries[seen[0] :], len(entries)
        return [
            entry.operation
            for entry in fresh
            if entry.service == service and not entry.operation.startswith(("Get", "List"))
        ]

    return operations


def code(text: str) -> dict[str, Any]:
    assets = {"app.py": {SIGNATURE: ASSET, "hash": text, "text": text}}
    return {**CODE, "hash": text, "assets": assets}


def test_configuration_code_and_concurrency_are_calls_of_their_own(
    engine: Driver, world: World, cloud: Cloud, sent: Callable[[str], list[str]]
) -> None:
    inputs = SAMPLES[FUNCTION](world)
    made = engine.create(FUNCTION, "sample", **inputs)
    assert made.id == NAME
    assert sent("lambda") == ["CreateFunction", "PutFunctionConcurrency"]
    news = {
        **inputs,
        "timeout": 30,
        "environment": {"variables": {"MAINSTAGE_MODEL": "lilac"}},
        "code": code("def handler(event, context): return 2"),
        "reservedConcurrentExecutions": -1,
    }

    updated = engine.update(made, **news)

    assert sent("lambda") == ["UpdateFunctionConfiguration", "UpdateFunctionCode", "DeleteFunctionConcurrency"]
    client: Any = cloud.client("lambda")
    found = client.get_function(FunctionName=NAME)
    assert found["Configuration"]["Timeout"] == 30
    assert found["Configuration"]["Environment"] == {"Variables": {"MAINSTAGE_MODEL": "lilac"}}
    assert found["Configuration"]["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/mainstage/world"}
    assert "Concurrency" not in found
    assert client.invoke(FunctionName=NAME)["Payload"].read() == b"2"
    assert updated.outputs["codeSha256"] != made.outputs["codeSha256"]
    assert engine.changed(updated, **news) == {}


def test_a_block_that_leaves_is_cleared_where_the_provider_clears_it(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    inputs = SAMPLES[FUNCTION](world)
    made = engine.create(FUNCTION, "sample", **inputs)
    without = {name: value for name, value in inputs.items() if name not in ("environment", "kmsKeyArn", "description")}

    engine.update(made, **without)

    found = cloud.client("lambda").get_function_configuration(FunctionName=NAME)
    assert {"Environment", "KMSKeyArn", "Description"} & set(found) == set()


def test_equal_content_is_no_change_wherever_it_lies(engine: Driver, world: World) -> None:
    inputs = SAMPLES[FUNCTION](world)
    made = engine.create(FUNCTION, "sample", **inputs)
    elsewhere = {**CODE, "assets": {"app.py": {SIGNATURE: ASSET, "hash": "1", "path": "/somewhere/else.py"}}}

    assert engine.changed(made, **{**inputs, "code": elsewhere}) == {}
    assert engine.changed(made, **{**inputs, "code": code("other")}) == {"code": False}
    assert engine.changed(made, **{**inputs, "name": "other"}) == {"name": True}


def test_foreign_changes_are_found_by_a_refresh(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[FUNCTION](world)
    made = engine.create(FUNCTION, "sample", **inputs)
    cloud.client("lambda").update_function_configuration(FunctionName=NAME, Timeout=99, Environment={"Variables": {}})

    found = engine.read(made)

    assert found is not None
    assert found.outputs["timeout"] == 99
    assert set(engine.changed(found, **inputs)) == {"timeout", "environment"}
    cloud.client("lambda").delete_function(FunctionName=NAME)
    assert engine.read(made) is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"timeout": 901}, "timeout"),
        ({"memorySize": 64}, "memorySize"),
        ({"handler": None}, "handler"),
        ({"runtime": None}, "runtime"),
        ({"code": None}, "code"),
        ({"publish": True}, "publish"),
        ({"layers": ["arn:aws:lambda:eu-west-1:111111111111:layer:a:1"]}, "layers[0]"),
        ({"environment": {"variables": {"AWS_REGION": "x"}}}, "environment.variables"),
    ],
)
def test_what_a_preview_refuses_of_a_function(engine: Driver, world: World, change: dict[str, Any], path: str) -> None:
    inputs = {name: value for name, value in {**SAMPLES[FUNCTION](world), **change}.items() if value is not None}

    with pytest.raises(CheckFailed) as caught:
        engine.check(FUNCTION, "sample", inputs)

    assert [failed for failed in caught.value.failures if failed.startswith(path.partition("[")[0])]


def test_a_name_that_is_taken(engine: Driver, world: World) -> None:
    inputs = SAMPLES[FUNCTION](world)
    engine.create(FUNCTION, "sample", **inputs)

    with pytest.raises(ProviderError, match="ResourceConflictException"):
        engine.create(FUNCTION, "second", **inputs)


def test_permissions_are_replaced_and_gone_with_their_function(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[PERMISSION](world)
    made = engine.create(PERMISSION, "sample", **inputs)
    assert made.id.startswith("sample-")
    assert engine.changed(made, **{**inputs, "principal": "s3.amazonaws.com"}) == {"principal": True}

    cloud.client("lambda").remove_permission(FunctionName="world", StatementId=made.id)

    assert engine.read(made) is None


def test_a_mapping_changes_in_place_and_its_function_by_name_or_arn(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = SAMPLES[MAPPING](world)
    made = engine.create(MAPPING, "sample", **inputs)
    assert engine.changed(made, **{**inputs, "functionName": world.function.outputs["arn"]}) == {}
    assert engine.changed(made, **{**inputs, "eventSourceArn": world.other_queue.outputs["arn"]}) == {
        "eventSourceArn": True
    }
    news = {name: value for name, value in inputs.items() if name not in ("scalingConfig", "functionResponseTypes")}

    updated = engine.update(made, **{**news, "batchSize": 20, "enabled": False})

    found = cloud.client("lambda").get_event_source_mapping(UUID=made.id)
    assert (found["BatchSize"], found["State"]) == (20, "Disabled")
    assert not found.get("ScalingConfig")
    assert not found.get("FunctionResponseTypes")
    assert engine.changed(updated, **{**news, "batchSize": 20, "enabled": False}) == {}


def test_a_queue_changes_in_place_and_keeps_what_is_left_out(
    engine: Driver, world: World, cloud: Cloud, sent: Callable[[str], list[str]]
) -> None:
    inputs = SAMPLES[QUEUE](world)
    made = engine.create(QUEUE, "sample", **inputs)
    policy = json.loads(SAMPLES["aws:sqs/queuePolicy:QueuePolicy"](world)["policy"])
    policy["Statement"][0]["Resource"] = made.outputs["arn"]
    engine.create("aws:sqs/queuePolicy:QueuePolicy", "policy", queueUrl=made.id, policy=json.dumps(policy))
    sent("sqs")
    news = {name: value for name, value in inputs.items() if name != "redrivePolicy"}

    updated = engine.update(made, **{**news, "visibilityTimeoutSeconds": 60})

    assert sent("sqs") == ["SetQueueAttributes"]
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=made.id, AttributeNames=["All"])["Attributes"]
    assert found["VisibilityTimeout"] == "60"
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == 5  # computed: leaving it out keeps it
    assert json.loads(found["Policy"]) == policy
    assert engine.changed(updated, **{**news, "visibilityTimeoutSeconds": 60}) == {}
    cleared = engine.update(updated, **{**news, "visibilityTimeoutSeconds": 60, "redrivePolicy": "{}"})
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=made.id, AttributeNames=["All"])["Attributes"]
    assert not found.get("RedrivePolicy")
    assert engine.read(cleared) is not None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": "a b"}, "name"),
        ({"visibilityTimeoutSeconds": 43_201}, "visibilityTimeoutSeconds"),
        ({"maxMessageSize": 1_048_577}, "maxMessageSize"),
        ({"sqsManagedSseEnabled": True}, "kmsMasterKeyId"),
        ({"redrivePolicy": "{"}, "redrivePolicy"),
        ({"contentBasedDeduplication": True}, "contentBasedDeduplication"),
    ],
)
def test_what_a_preview_refuses_of_a_queue(engine: Driver, world: World, change: dict[str, Any], path: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check(QUEUE, "sample", {**SAMPLES[QUEUE](world), **change})

    assert path in caught.value.failures
