"""`mainstage model rollback --now`: the live endpoint first, the file second."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import pytest
from cli import TARGET, Run, error, said
from mainstage_runtime.release_history import ROLLED_BACK, STARTED, ReleaseEvent, moment
from release_world import ENDPOINT, OPERATOR, World, configuration, event, refused, taken_back


def test_now_moves_the_live_endpoint_before_the_file(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7)
    world.configs |= {configuration(6): "ml.m5.large", configuration(6, "0000000c"): "ml.m5.large"}
    world.alarms[f"{ENDPOINT}-guard-errors"] = "ALARM"
    world.history.add(taken_back(8, serves=6))
    told = said(run("model", "rollback", "iris", "--now", "--reason", "wrong answers"))
    assert told.startswith(
        f"note: {ENDPOINT}-guard-errors rang for the fleet that is left and was taken out of ALARM\n"
    )
    assert f"{ENDPOINT} is on its way from version 7 to version 6: 50 % first, the rest after 10 minutes\n" in told
    assert "stable: 6\nkeep: [7]\n" in world.file.read_text()
    assert world.done("update_endpoint") == [
        {
            "EndpointName": ENDPOINT,
            "EndpointConfigName": configuration(6, "0000000c"),
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
            "RetainDeploymentConfig": True,
        }
    ]
    # The guards watch the fleet that comes, before it comes.
    names = [name for name, _ in world.calls]
    assert names.index("put_metric_alarm") < names.index("update_endpoint")
    put = world.done("put_metric_alarm")
    assert {each["AlarmName"] for each in put} == set(world.alarms)
    assert {"Name": "EndpointConfigName", "Value": configuration(6, "0000000c")} in put[0]["Dimensions"]
    assert [(each["AlarmName"], each["StateValue"]) for each in world.done("set_alarm_state")] == [
        (f"{ENDPOINT}-guard-errors", "OK")
    ]
    event = world.written()[-1]
    assert (event.kind, event.version, event.configuration, event.serves, event.by, event.reason) == (
        ROLLED_BACK, 7, configuration(7), configuration(6, "0000000c"), OPERATOR, "wrong answers",
    )  # fmt: skip
    assert told.endswith(
        "Next:\n  1. see it arrive: mainstage model status iris --watch\n  2. commit stacks/models/iris.yaml\n"
        "  3. then nothing is left to release: mainstage up --env dev\n"
    )


def test_the_version_that_is_left_stands_behind_those_that_may_serve_again(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6, 5]\n")
    world.serve(7)
    world.configs |= {configuration(6): "ml.m5.large", configuration(5): "ml.m5.large"}
    said(run("model", "rollback", "iris", "--now"))
    assert "stable: 6\nkeep: [5, 7]\n" in world.file.read_text()
    world.serve(6)
    said(run("model", "rollback", "iris", "--now"))
    assert "stable: 5\nkeep: [6, 7]\n" in world.file.read_text()
    assert [each["EndpointConfigName"] for each in world.done("update_endpoint")] == [
        configuration(6),
        configuration(5),
    ]


def test_the_configuration_that_served_last_is_taken(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7)
    world.configs |= {configuration(6): "ml.m5.large", configuration(6, "0000000c"): "ml.m5.large"}
    world.history.add(
        ReleaseEvent(
            at=moment(), kind="released", endpoint=ENDPOINT, model="iris", configuration=configuration(6), version=6, by="x"
        )
    )  # fmt: skip
    run("model", "rollback", "iris", "--now")
    assert world.done("update_endpoint")[0]["EndpointConfigName"] == configuration(6)


def test_now_again_moves_nothing(run: Run, world: World) -> None:
    world.write("stable: 6\nkeep: [7]\n")
    world.serve(7)
    world.bake(6)
    told = said(run("model", "rollback", "iris", "--now"))
    assert told.startswith(f"{ENDPOINT} serves version 6 already, or is on its way to it\n")
    assert world.calls == []
    assert world.written() == []


def test_an_endpoint_without_our_alarms_is_told_the_catalog_s_deployment(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7, guarded=False)
    world.configs[configuration(6)] = "ml.m5.large"
    run("model", "rollback", "iris", "--now")
    sent = world.done("update_endpoint")[0]
    assert "RetainDeploymentConfig" not in sent
    assert sent["DeploymentConfig"] == {
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in world.alarms]},
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 600,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            },
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 4320,
        },
    }


def test_now_is_refused_before_anything_is_touched(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    before = world.file.read_text()
    assert error(run("model", "rollback", "iris", "--now")) == (
        f"iris has no endpoint in {TARGET}: nothing serves there yet"
    )
    world.serve(7)
    assert error(run("model", "rollback", "iris", "--now")) == (
        f"{ENDPOINT}: no configuration of version 6 is there any more, so the live endpoint cannot be moved to it at once; "
        "without --now it is released like a new version: mainstage up --env dev"
    )
    world.configs[configuration(6)] = "ml.c5.large"
    world.scaled = True
    assert error(run("model", "rollback", "iris", "--now")) == (
        f"{ENDPOINT}: version 6 ran on ml.c5.large, what serves runs on ml.m5.large, and SageMaker changes no instance type "
        "of an autoscaled variant. Without --now it goes: the up that follows takes autoscaling off and on again "
        "(mainstage up --env dev)"
    )
    world.scaled = False
    del world.alarms[f"{ENDPOINT}-guard-stop"]
    assert error(run("model", "rollback", "iris", "--now")) == (
        f"{ENDPOINT} has no alarm {ENDPOINT}-guard-stop: nothing would watch it; bring it up first: mainstage up --env dev"
    )
    world.bake(8)
    assert error(run("model", "rollback", "iris", "--now")) == (
        f"{ENDPOINT} is Updating: version 8 is under way, and SageMaker takes no second update. Take it back instead: "
        "mainstage model abort iris"
    )
    assert (world.calls, world.written(), world.file.read_text()) == ([], [], before)


def test_an_update_that_is_refused_leaves_the_guards_where_they_were(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7)
    world.configs[configuration(6)] = "ml.m5.large"
    world.refuses["update_endpoint"] = refused("ResourceLimitExceeded", "no more ml.m5.large")
    assert "no more ml.m5.large" in error(run("model", "rollback", "iris", "--now"))
    assert world.written() == []
    assert "stable: 7\n" in world.file.read_text()
    assert [name for name, _ in world.calls][-1] in ("update_endpoint", "put_metric_alarm")


def test_guards_that_watch_somebody_else_s_release_go_on_watching_it(run: Run, world: World) -> None:
    """Its alarms are pointed before its update is sent, and the one that is sent second is refused."""
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7)
    world.configs[configuration(6)] = "ml.m5.large"
    world.watched = configuration(8)
    world.refuses["update_endpoint"] = refused("ValidationException", "Cannot update in-progress endpoint")
    error(run("model", "rollback", "iris", "--now"))
    last = {each["AlarmName"]: each for each in world.done("put_metric_alarm")}
    assert set(last) == set(world.alarms)
    for each in last.values():
        assert {"Name": "EndpointConfigName", "Value": configuration(8)} in each["Dimensions"]


def test_a_move_that_the_history_does_not_tell_is_said(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7)
    world.configs[configuration(6)] = "ml.m5.large"

    def denied(**_: object) -> None:
        raise refused("AccessDenied", "no", "PutObject")

    monkeypatch.setattr(world, "put_object", denied)
    assert error(run("model", "rollback", "iris", "--now")) == (
        f"{ENDPOINT} is on its way from version 7 to version 6: 50 % first, the rest after 10 minutes\n"
        "stacks/models/iris.yaml asks for it, but the history could not be written (An error occurred (AccessDenied) when "
        "calling the PutObject operation: no): up does not refuse what is left, version 7, and the watch may page that "
        "nobody asked for what serves"
    )
    assert len(world.done("update_endpoint")) == 1
    assert "stable: 6\nkeep: [7]\n" in world.file.read_text()


@pytest.mark.parametrize("asked", ["stable: 7\nkeep: [6, 5]\n", "stable: 6\nkeep: [7, 5]\n"])
def test_of_a_mix_that_could_not_be_taken_back_the_old_fleet_comes_back(run: Run, world: World, asked: str) -> None:
    world.write(asked)
    world.serve(6, status="UpdateRollbackFailed")
    world.configs[configuration(6, "0000000c")] = "ml.m5.large"
    world.history.add(event(STARTED, 7, serves=6))
    told = said(run("model", "rollback", "iris", "--now"))
    assert f"{ENDPOINT} is on its way from a mix of two fleets to version 6: " in told
    assert world.done("update_endpoint")[0]["EndpointConfigName"] == configuration(6)
    assert "stable: 6\nkeep: [7, 5]\n" in world.file.read_text()
    written = world.written()[-1]
    assert (written.kind, written.version, written.serves) == (ROLLED_BACK, 7, configuration(6))


def test_now_moves_even_where_the_file_has_to_be_changed_by_hand(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [{version: 6, runtime: sklearn-1.2-1}]\n")
    world.serve(7)
    world.configs[configuration(6)] = "ml.m5.large"
    told = error(run("model", "rollback", "iris", "--now"))
    assert told.startswith(
        f"{ENDPOINT} is on its way from version 7 to version 6: 50 % first, the rest after 10 minutes\n"
        "but the file could not be changed: version 6 is kept for the runtime sklearn-1.2-1"
    )
    assert len(world.done("update_endpoint")) == 1
    # Without --now nothing is touched.
    world.calls.clear()
    assert error(run("model", "rollback", "iris")).startswith("version 6 is kept for the runtime sklearn-1.2-1")
    assert world.calls == []
