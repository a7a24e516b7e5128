"""`mainstage model clean`: what may be deleted, and what stays."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json

import pytest
from cli import Run, lines
from mainstage_runtime.release_history import RELEASED
from release_world import World, configuration, event, refused

pytestmark = pytest.mark.usefixtures("in_service")


def test_what_is_asked_for_kept_or_serves_is_not_left_over(run: Run, world: World) -> None:
    assert lines(run("model", "clean")) == ["nothing is left over"]
    world.serve(4)
    world.bake(6)
    assert lines(run("model", "clean", "--yes")) == ["nothing is left over"]
    assert world.calls == []


def test_what_is_left_over_is_told_then_deleted(run: Run, world: World) -> None:
    world.configs[configuration(3)] = "ml.m5.large"
    world.configs["dev-iris-two-v3-0000000a"] = "ml.m5.large"
    world.models.append("dev-iris-v3-0000000b")
    why = "version 3 is neither asked for nor kept, and does not serve"
    assert lines(run("model", "clean", "iris")) == [
        f"endpoint configuration dev-iris-v3-0000000a: {why}",
        f"model dev-iris-v3-0000000b: {why}",
        "2 of these would be deleted with --yes",
    ]
    assert world.calls == []
    assert lines(run("model", "clean", "iris", "--yes")) == [
        "deleted endpoint configuration dev-iris-v3-0000000a",
        "deleted model dev-iris-v3-0000000b",
        "done",
    ]
    assert world.calls == [
        ("delete_endpoint_config", {"EndpointConfigName": "dev-iris-v3-0000000a"}),
        ("delete_model", {"ModelName": "dev-iris-v3-0000000b"}),
    ]
    told = json.loads(run("model", "clean", "iris", "--json").out)
    assert ([each["name"] for each in told["found"]], told["deleted"]) == (
        ["dev-iris-v3-0000000a", "dev-iris-v3-0000000b"], [],
    )  # fmt: skip


def test_what_somebody_else_has_deleted_meanwhile_is_gone(run: Run, world: World) -> None:
    world.configs[configuration(3)] = "ml.m5.large"
    world.models.append("dev-iris-v3-0000000b")
    world.refuses["delete_endpoint_config"] = refused(
        "ValidationException", 'Could not find endpoint configuration "dev-iris-v3-0000000a".'
    )
    assert lines(run("model", "clean", "iris", "--yes")) == [
        "endpoint configuration dev-iris-v3-0000000a is gone already",
        "deleted model dev-iris-v3-0000000b",
        "done",
    ]


def test_a_failed_endpoint_that_has_served_is_left_to_a_person(run: Run, world: World) -> None:
    world.history.add(event(RELEASED, 6, serves=6))
    world.serve(6, status="Failed")
    (line,) = lines(run("model", "clean", "iris", "--yes"))[1:]
    assert line == (
        "stays: endpoint dev-iris: it is Failed and may have served: look at the runbook release-stuck before it is deleted"
    )
    assert world.calls == []
    world.objects = {"releases/dev-iris/x": b"no event"}
    assert lines(run("model", "clean", "iris", "--yes"))[1:] == [line]


def test_an_endpoint_of_no_model_is_shown_and_deleted_only_when_it_never_served(run: Run, world: World) -> None:
    arn = "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/dev-old"
    world.others = [{"EndpointName": "dev-old", "EndpointArn": arn, "EndpointStatus": "InService"}]
    told = lines(run("model", "status"))
    assert told[2].split() == ["old", "not", "in", "the", "catalog", "nothing", "InService", "-", "none"]
    assert (
        "old: to delete it: aws sagemaker delete-endpoint --endpoint-name dev-old --region eu-west-1 --endpoint-url "
        "http://127.0.0.1:1"
    ) in told
    assert lines(run("model", "clean", "--yes"))[-1] == (
        "stays: endpoint dev-old: it is InService, and no file in stacks/models names its model; look at it before it goes"
    )
    world.others[0]["EndpointStatus"] = "Failed"
    assert lines(run("model", "clean", "--yes")) == ["deleted endpoint dev-old", "done"]
    assert world.calls == [("delete_endpoint", {"EndpointName": "dev-old"})]
    world.tags = {}  # somebody else's
    assert lines(run("model", "clean")) == ["nothing is left over"]
