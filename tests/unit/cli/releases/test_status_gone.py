"""`mainstage model status` when something that it looks at is not there, is somebody else's or from elsewhere."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from cli import Run
from mainstage_runtime.release_history import RELEASED
from release_world import ENDPOINT, STARTED, World, configuration, event, refused

pytestmark = pytest.mark.usefixtures("in_service")


def version(run: Run) -> str:
    (told,) = json.loads(run("model", "status", "iris", "--json").out)
    (variant,) = told["variants"]
    return variant["version"]


def test_a_configuration_that_was_deleted_under_the_endpoint_hides_nothing_else(run: Run, world: World) -> None:
    del world.configs[configuration(6)]
    assert version(run) == "unknown (its configuration is gone)"


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("ValidationException", "Could not find model", "unknown (its Model is gone)"),
        ("ThrottlingException", "Rate exceeded", "unknown (ThrottlingException)"),
    ],
)
def test_a_model_is_called_gone_only_when_it_is(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch, code: str, message: str, told: str
) -> None:
    def describe_model(ModelName: str) -> Any:
        raise refused(code, message, "DescribeModel")

    monkeypatch.setattr(world, "describe_model", describe_model)
    assert version(run) == told


def test_a_model_whose_name_goes_on_lends_no_alarms(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dev-iris-guard-` begins the guards of `iris`, and every alarm of a model `iris-guard`."""
    states = {**world.alarms, f"{ENDPOINT}-guard-guard-errors": "ALARM", f"{ENDPOINT}-guard-burn-1h": "ALARM"}

    def page(operation: str, given: dict[str, Any]) -> dict[str, Any]:
        if operation != "describe_alarms":
            return World.page(world, operation, given)
        wanted = given.get("AlarmNames") or [n for n in states if n.startswith(given.get("AlarmNamePrefix", ""))]
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": states[name]} for name in wanted if name in states]}

    monkeypatch.setattr(world, "page", page)
    (told,) = json.loads(run("model", "status", "iris", "--json").out)
    assert told["alarms"] == world.alarms


def test_since_when_is_utc_whatever_the_machine_s_time_zone(run: Run, world: World) -> None:
    world.bake(7)
    assert world.endpoint is not None
    world.endpoint["PendingDeploymentSummary"]["StartTime"] = STARTED.astimezone(timezone(timedelta(hours=9)))
    assert f"being released since {STARTED:%Y-%m-%d %H:%M:%S} UTC" in run("model", "status", "iris").out


def test_a_deployment_that_counts_instances_is_told_as_one(run: Run, world: World) -> None:
    world.bake(7)
    assert world.endpoint is not None
    world.endpoint["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["CanarySize"] = {
        "Type": "INSTANCE_COUNT",
        "Value": 1,
    }
    assert "(Baking): 1 instances first, the rest after 10 minutes" in run("model", "status", "iris").out


@pytest.mark.parametrize("status", ["Creating", "Failed", "OutOfService", "UpdateRollbackFailed", "SystemUpdating"])
def test_an_endpoint_that_does_not_serve_as_asked_does_not_agree(run: Run, world: World, status: str) -> None:
    world.history.add(event(RELEASED, 5, serves=5))  # of an endpoint that was deleted
    world.serve(6, status=status)
    (told,) = json.loads(run("model", "status", "iris", "--json").out)
    assert told["release"]["agrees"] is False
    assert told["release"]["unasked"] is (status in ("OutOfService", "UpdateRollbackFailed"))
    assert not any("mainstage up" in line for line in told["release"]["advice"])
