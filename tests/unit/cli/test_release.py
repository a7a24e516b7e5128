"""`mainstage model approve|promote|rollback|abort|retry|restore-guards`: what they change, say and refuse."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli import TARGET, Ended, runner
from mainstage_runtime.release_history import ROLLED_BACK, TAKEN_BACK, AlarmSeen, ReleaseEvent, moment
from release_world import ENDPOINT, FILE, OPERATOR, World, configuration, refused

from infra.cli import common
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.state import ORGANIZATION, PROJECT, State
from infra.releases import abort as aborting
from infra.releases import guards

Run = Callable[..., Ended]
COLLEAGUE = "arn:aws:iam::111111111111:user/colleague"
SECOND = "  2. release it: mainstage up --env dev\n"


@pytest.fixture
def world(tmp_path: Path, root: Path) -> World:
    (tmp_path / "stacks").mkdir()
    for file in (root / "stacks").glob("Pulumi.*.yaml"):
        (tmp_path / "stacks" / file.name).write_bytes(file.read_bytes())
    world = World(tmp_path)
    world.write("stable: 6\n")
    world.register(5, 6, 7)
    return world


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World) -> Run:
    monkeypatch.setattr(common, "root", lambda: world.root)
    monkeypatch.setattr(aborting.time, "sleep", lambda seconds: None)
    monkeypatch.chdir(world.root)
    return runner(monkeypatch, capsys, world.clients)


def said(ended: Ended) -> str:
    """What a command told after its target."""
    assert (ended.code, ended.err) == (0, ""), ended
    first, _, rest = ended.out.partition("\n")
    assert first == f"target: {TARGET}"
    return rest


def error(ended: Ended) -> str:
    assert ended.code == 1, ended
    assert ended.err.startswith("error: ")
    return ended.err.removeprefix("error: ").removesuffix("\n")


def taken_back(version: int, serves: int) -> ReleaseEvent:
    return ReleaseEvent(
        at="2026-11-21T12:30:00.000Z",
        kind=TAKEN_BACK,
        endpoint=ENDPOINT,
        model="iris",
        configuration=configuration(version),
        version=version,
        serves=configuration(serves),
        by="watch",
        reason="errors",
        alarm=AlarmSeen(name=f"{ENDPOINT}-guard-errors", window="2 of 3 minutes above 0.01", value_told=""),
        requests=120,
    )


# promote


def test_a_promotion_asks_for_a_version_and_keeps_the_one_before(run: Run, world: World) -> None:
    told = said(run("model", "promote", "iris", "7"))
    assert world.file.read_text() == FILE + "stable: 7\nkeep: [6]\n" + world.file.read_text().split("keep: [6]\n")[1]
    assert told.startswith(
        "note: staging and prod take it too when they are brought up, for stacks/models/iris.yaml gives them no version of "
        "their own; whether it is registered there was not looked up (only for dev: --env dev)\n"
        "stacks/models/iris.yaml, the main part: version 7 for version 6\n"
        "--- stacks/models/iris.yaml\n+++ stacks/models/iris.yaml\n"
    )
    assert "\n-stable: 6\n+stable: 7\n+keep: [6]\n" in told
    assert told.endswith("Next:\n  1. commit stacks/models/iris.yaml\n" + SECOND)
    again = said(run("model", "promote", "iris", "7"))
    assert again == (
        "stacks/models/iris.yaml, the main part: asks for version 7 already; nothing was changed\n"
        "Next: release it: mainstage up --env dev\n"
    )


def test_one_environment_may_get_a_version_of_its_own(run: Run, world: World) -> None:
    before = world.file.read_text()
    said(run("model", "promote", "iris", "7", "--env", "dev"))
    overlay = world.file.read_text().removeprefix(before)
    assert overlay == "environments:\n  dev: {keep: [6], stable: 7}\n" or overlay == (
        "environments:\n  dev: {stable: 7, keep: [6]}\n"
    )
    # From now on that overlay says what dev serves, and is what changes.
    told = json.loads(run("model", "promote", "iris", "5", "--json").out)
    assert (told["part"], told["environments"], told["version"], told["before"], told["keep"]) == (
        "environments.dev", ["dev"], 5, 7, [7, 6],
    )  # fmt: skip
    assert "stable: 6\n" in world.file.read_text()


def test_a_script_reads_what_a_promotion_did(run: Run, world: World) -> None:
    ended = run("model", "promote", "iris", "7", "--json")
    told = json.loads(ended.out)
    assert told | {"diff": ""} == {
        "target": str(TARGET),
        "model": "iris",
        "version": 7,
        "before": 6,
        "keep": [6],
        "file": "stacks/models/iris.yaml",
        "part": "the main part",
        "environments": ["dev", "staging", "prod"],
        "changed": True,
        "diff": "",
        "next": ["commit stacks/models/iris.yaml", "release it: mainstage up --env dev"],
    }
    assert "+stable: 7\n" in told["diff"]
    assert json.loads(run("model", "promote", "iris", "7", "--json").out)["changed"] is False


def test_where_approvals_are_asked_for_the_next_step_is_one(run: Run, world: World) -> None:
    stack = world.root / "stacks" / "Pulumi.models-dev.yaml"
    stack.write_text(
        stack.read_text().replace("config:\n", "config:\n  mainstage:approval: {required: true}\n", 1), encoding="utf-8"
    )
    steps = json.loads(run("model", "promote", "iris", "7", "--json").out)["next"]
    assert steps[0] == f"somebody else than {OPERATOR} approves it: mainstage model approve iris 7"
    world.objects["models/iris/7/approval.json"] = json.dumps(
        {"version": 7, "archive_sha256": "sha-7", "approved_by": COLLEAGUE, "approved_at": "2026"}
    ).encode()
    steps = json.loads(run("model", "promote", "iris", "7", "--json").out)["next"]
    assert steps == ["release it: mainstage up --env dev"]


def test_what_cannot_be_released_is_not_promoted(run: Run, world: World) -> None:
    before = world.file.read_text()
    assert error(run("model", "promote", "iris", "8")) == (
        f"iris: version 8 is not registered in {TARGET}; registered are 5, 6, 7"
    )
    world.register(8, runtime="sklearn-1.2-1")
    assert error(run("model", "promote", "iris", "8")) == (
        "iris: version 8 was pushed for the runtime sklearn-1.2-1, and the file says sklearn-1.4-2: write that runtime into "
        "the file, or push the folder again as a new version"
    )
    world.objects["models/iris/9/model.tar.gz"] = b"sha-9"
    assert error(run("model", "promote", "iris", "9")) == (
        "iris: version 9 has no card: push its folder again; registered are 5, 6, 7, 8, 9"
    )
    assert error(run("model", "promote", "iris", "7", "--env", "prod")) == (
        "--env prod: the target is dev, and what is registered and serves is looked up there: --target prod --profile "
        "PROFILE"
    )
    assert error(run("model", "promote", "iris", "7", "--env", "life")) == (
        "--env 'life': allowed are dev, staging, prod"
    )
    assert error(run("model", "promote", "isis", "7")).startswith("model 'isis' is not in the catalog (stacks/models/)")
    world.history.add(taken_back(7, serves=6))
    assert error(run("model", "promote", "iris", "7")) == (
        "iris: version 7 was taken back on 2026-11-21 12:30:00 UTC (errors), and up would refuse it. Allow it first: "
        "mainstage model retry iris --version 7 --reason WHY"
    )
    assert world.file.read_text() == before


def test_a_file_that_would_be_wrong_is_not_written(run: Run, world: World) -> None:
    world.write("stable: 6\n", "environments:\n  prod: {keep: [7]}\n")
    before = world.file.read_text()
    told = error(run("model", "promote", "iris", "7"))
    assert "environments.prod.keep[0]: version 7 is stable already" in told
    assert world.file.read_text() == before


def test_the_oldest_of_too_many_is_kept_no_longer(run: Run, world: World) -> None:
    world.write("stable: 6\nkeep: [5, 4, 3, 2, 1]\n")
    assert said(run("model", "promote", "iris", "7")).splitlines()[0] == (
        "note: version 1 is kept no longer: a file keeps five"
    )
    assert "stable: 7\nkeep: [6, 5, 4, 3, 2]\n" in world.file.read_text()


# rollback


def test_a_rollback_asks_for_the_version_before(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6, 5]\n")
    world.serve(7)
    told = said(run("model", "rollback", "iris"))
    assert "stable: 6\nkeep: [7, 5]\n" in world.file.read_text()
    assert told.endswith("Next:\n  1. commit stacks/models/iris.yaml\n" + SECOND)
    assert world.calls == []  # the live endpoint is the next up's
    # Not a second step back while 7 still serves.
    again = said(run("model", "rollback", "iris"))
    assert "asks for version 6 already; nothing was changed\n" in again
    world.serve(6)
    said(run("model", "rollback", "iris"))
    assert "stable: 5\nkeep: [6, 7]\n" in world.file.read_text()


def test_after_a_release_was_taken_back_a_rollback_asks_for_what_serves(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [5, 6]\n")
    world.serve(6)
    world.history.add(taken_back(7, serves=6))
    told = said(run("model", "rollback", "iris"))
    assert "stable: 6\nkeep: [7, 5]\n" in world.file.read_text()
    assert told.endswith(
        "Next:\n  1. commit stacks/models/iris.yaml\n  2. then nothing is left to release: mainstage up --env dev\n"
    )


def test_a_rollback_during_a_release_says_to_take_it_back(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(6)
    world.bake(7)
    assert json.loads(run("model", "rollback", "iris", "--json").out)["next"] == [
        "take back what is being released: mainstage model abort iris",
        "commit stacks/models/iris.yaml",
        "release it: mainstage up --env dev",
    ]


def test_a_rollback_to_nowhere_is_refused(run: Run, world: World) -> None:
    world.serve(6)
    assert error(run("model", "rollback", "iris")) == (
        "nothing is kept beside version 6, so there is nothing to go back to; a registered version can be released as any "
        "other, with its canary"
    )
    world.write("stable: 6\nkeep: [5]\n")
    assert error(run("model", "rollback", "iris", "--to", "4")) == (
        "version 4 is not kept (kept are: 5), so it stands nowhere any more; it can be promoted like a new one"
    )
    world.history.add(taken_back(5, serves=6))
    assert error(run("model", "rollback", "iris")) == (
        "of those kept (5) every older one was taken back itself; say which one: --to VERSION"
    )
    assert error(run("model", "rollback", "iris", "--to", "5")).startswith("iris: version 5 was taken back on")


# rollback --now


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


# abort


def test_an_abort_raises_the_stop_alarm_of_the_release_under_way(run: Run, world: World) -> None:
    world.serve(6)
    world.bake(7)
    told = said(run("model", "abort", "iris", "--wait", "0", "--reason", "wrong answers"))
    assert world.calls == [
        (
            "set_alarm_state",
            {
                "AlarmName": f"{ENDPOINT}-guard-stop",
                "StateValue": "ALARM",
                "StateReason": f"wrong answers; by {OPERATOR} with mainstage model abort",
            },
        )
    ]
    assert told == (
        f"{ENDPOINT}: {ENDPOINT}-guard-stop is raised; SageMaker was not yet seen taking the release of version 7 back; "
        "version 6 serves\nNext:\n  1. see it arrive: mainstage model status iris --watch\n"
        "  2. ask for what serves: mainstage model rollback iris\n"
    )


def test_an_abort_raises_the_alarm_until_the_rollback_is_seen(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(6)
    world.bake(7)
    assert world.endpoint is not None

    def sleep(seconds: float) -> None:
        if len(world.done("set_alarm_state")) == 3:
            world.serve(6, status="RollingBack")

    aborted = aborting.abort(TARGET, "iris", sleep=sleep)
    assert (aborted.seen, aborted.version, len(world.done("set_alarm_state"))) == (True, 7, 3)
    world.bake(7)
    world.endpoint["EndpointStatus"] = "RollingBack"
    again = aborting.abort(TARGET, "iris", sleep=sleep)
    assert (again.raised, again.seen, len(world.done("set_alarm_state"))) == (False, True, 3)


def test_there_is_nothing_to_abort(run: Run, world: World) -> None:
    assert error(run("model", "abort", "iris")) == f"iris has no endpoint in {TARGET}: nothing serves there yet"
    world.serve(6)
    assert error(run("model", "abort", "iris")) == (
        f"{ENDPOINT} is InService and version 6 serves: nothing is being released, so there is nothing to abort. To go back "
        "to the version before: mainstage model rollback iris --now"
    )
    world.serve(6, status="Creating")
    assert error(run("model", "abort", "iris")) == (
        f"{ENDPOINT} is being created: its first release has nothing to go back to, and no alarm ends it. When it does not "
        "come up, the next up starts anew"
    )
    world.serve(6, guarded=False)
    world.bake(7)
    assert error(run("model", "abort", "iris")) == (
        f"{ENDPOINT}: the update under way was made without our rollback alarms, so no alarm ends it; wait until it is done "
        "(mainstage model status iris), then: mainstage model restore-guards iris"
    )
    assert world.calls == []


# retry


def test_a_retry_allows_what_was_taken_back_once(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(6)
    world.history.add(taken_back(7, serves=6))
    told = said(run("model", "retry", "iris", "--reason", "the feature store was down"))
    assert told == (
        f"iris: version 7 may be released again (by {OPERATOR}: the feature store was down)\n"
        "Next: release what the catalog asks for: mainstage up --env dev\n"
    )
    event = world.written()[-1]
    assert (event.kind, event.version, event.configuration, event.by) == ("retry", 7, configuration(7), OPERATOR)
    again = said(run("model", "retry", "iris", "--reason", "once more"))
    assert again.startswith(f"iris: version 7 was allowed already (by {OPERATOR}: the feature store was down)\n")
    assert len(world.written()) == 2


def test_a_retry_needs_a_reason_and_something_to_allow(run: Run, world: World) -> None:
    assert run("model", "retry", "iris").code == 2
    assert error(run("model", "retry", "iris", "--reason", " ")) == (
        "--reason is empty: say why it will go well this time; it stands in the history"
    )
    world.history.add(taken_back(7, serves=6))
    assert error(run("model", "retry", "iris", "--reason", "x")) == (
        f"iris: version 6 was not taken back in {TARGET}, so there is nothing to allow; versions that were: 7; "
        "say which one: --version 7"
    )
    world.write("awaiting: true\n")
    assert error(run("model", "retry", "iris", "--reason", "x")) == (
        "iris awaits its first version: there is nothing to allow (or say --version)"
    )


def test_a_retry_lets_up_release_over_what_nobody_asked_for(run: Run, world: World) -> None:
    world.history.add(taken_back(7, serves=6))
    world.serve(5)  # somebody moved it in the console
    told = said(run("model", "retry", "iris", "--reason", "5 was a test"))
    assert told.startswith(f"iris: version 6 may be released again (by {OPERATOR}: 5 was a test)\n")
    _, unasked, retry = world.written()
    assert (unasked.kind, unasked.configuration, unasked.version) == ("unasked", configuration(5), 5)
    assert (retry.kind, retry.version) == ("retry", 6)
    assert said(run("model", "retry", "iris", "--reason", "again")).startswith("iris: version 6 was allowed already")
    assert len(world.written()) == 3


# restore-guards


def test_the_guards_come_back_under_what_serves(run: Run, world: World) -> None:
    world.serve(6, guarded=False)
    told = said(run("model", "restore-guards", "iris"))
    assert told == (
        f"{ENDPOINT}: version 6 is deployed once more, under the guards\n"
        "Next: release what the catalog asks for: mainstage up --env dev\n"
    )
    sent = world.done("update_endpoint")[0]
    assert (sent["EndpointConfigName"], sent["RetainAllVariantProperties"]) == (configuration(6), True)
    assert sent["DeploymentConfig"]["AutoRollbackConfiguration"] == {
        "Alarms": [{"AlarmName": name} for name in world.alarms]
    }
    world.calls.clear()
    world.serve(6)
    told = said(run("model", "restore-guards", "iris"))
    assert told.startswith(f"{ENDPOINT}: the guards are among its rollback alarms already; nothing was changed\n")
    assert world.calls == []


def test_a_copy_is_deployed_where_sagemaker_refuses_the_live_name(run: Run, world: World) -> None:
    world.serve(6, guarded=False)
    world.refuses["update_endpoint"] = refused("ValidationException", "you must create a new EndpointConfig")
    told = said(run("model", "restore-guards", "iris"))
    copy = world.done("create_endpoint_config")[0]["EndpointConfigName"]
    assert copy.startswith(f"{ENDPOINT}-v6-")
    assert copy != configuration(6)
    assert f"version 6 is deployed once more as {copy}, a copy, under the guards" in told
    assert [each["EndpointConfigName"] for each in world.done("update_endpoint")] == [configuration(6), copy]
    event = world.written()[-1]
    assert (event.kind, event.version, event.serves) == (ROLLED_BACK, None, copy)


def lost(world: World) -> State:
    """The served rehearsal's state, where a refresh has dropped the guards."""
    state = State(world.root / "state.json", project=PROJECT, organization=ORGANIZATION)
    token = "aws:sagemaker/endpoint:Endpoint"
    urn = f"urn:pulumi:models-dev::mainstage::{token}::iris-endpoint-endpoint"
    state.save("models-dev", [ResourceState(urn, token, True, id=ENDPOINT, inputs={"name": ENDPOINT})])
    return state


def test_one_command_restores_the_state_as_well(run: Run, world: World) -> None:
    state = lost(world)
    world.serve(6, guarded=False)
    told = said(run("model", "restore-guards", "iris"))
    assert told.splitlines()[1] == "models-dev: the state had lost them, and has them again"
    state.reload()
    rollback = state.resources("models-dev")[0].inputs["deploymentConfig"]["autoRollbackConfiguration"]
    assert rollback == {"alarms": [{"alarmName": name} for name in world.alarms]}
    again = json.loads(run("model", "restore-guards", "iris", "--json").out)
    assert (again["changed"], again["at_rest"]) == (False, True)
    assert again["state"] == {"stack": "models-dev", "put_back": [], "problem": "", "command": ""}


def test_guards_that_are_live_again_are_put_into_the_state_by_the_same_command(run: Run, world: World) -> None:
    lost(world)
    world.serve(6)
    told = said(run("model", "restore-guards", "iris"))
    assert told.splitlines()[:2] == [
        f"{ENDPOINT}: the guards are among its rollback alarms already; nothing was changed",
        "models-dev: the state had lost them, and has them again",
    ]


def test_a_state_in_use_is_told_and_what_helps(run: Run, world: World) -> None:
    world.serve(6)
    with lost(world).exclusive():
        told = said(run("model", "restore-guards", "iris"))
    assert "note: models-dev: the state was not looked at: another run is using state.json" in told
    assert "1. put the guards into the state, where a refresh has dropped them: mainstage up --env dev" in told


def test_the_wait_has_an_end_and_the_same_command_goes_on(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = lost(world)
    world.serve(6, guarded=False)
    restore = guards.restore

    def restored(*given: Any) -> Any:
        done = restore(*given)
        world.bake(6)
        return done

    monkeypatch.setattr(guards, "restore", restored)
    told = said(run("model", "restore-guards", "iris", "--wait", "0"))
    assert "\n  2. then give the state its guards again: mainstage model restore-guards iris\n" in told
    state.reload()
    assert state.resources("models-dev")[0].inputs == {"name": ENDPOINT}


def test_ctrl_c_ends_the_waiting_and_nothing_else(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve(6, guarded=False)

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(guards, "arrived", stopped)
    ended = run("model", "restore-guards", "iris")
    assert ended.code == 130
    assert "the deployment goes on without this command. When it is over, the same again" in ended.out
    assert len(world.done("update_endpoint")) == 1


def test_a_deployment_that_was_taken_back_is_an_error(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost(world)
    world.serve(6, guarded=False)
    seen = [{"EndpointStatus": "Updating"}, {"EndpointStatus": "InService", "FailureReason": "an alarm fired"}]
    restore = guards.restore

    def restored(*given: Any) -> Any:
        done = restore(*given)
        world.serve(6, guarded=False, status="Updating")
        return done

    def next_seen(_seconds: float) -> None:
        assert world.endpoint is not None
        world.endpoint |= seen.pop(0)

    monkeypatch.setattr(guards, "restore", restored)
    monkeypatch.setattr(guards.time, "sleep", next_seen)
    assert error(run("model", "restore-guards", "iris")) == (
        f"{ENDPOINT} is InService and has no guards: the deployment was taken back or failed: an alarm fired. "
        "See mainstage model status iris"
    )


def test_guards_are_not_restored_during_a_deployment(run: Run, world: World) -> None:
    world.serve(6, guarded=False)
    world.bake(7)
    assert error(run("model", "restore-guards", "iris")) == (
        f"{ENDPOINT} is Updating: wait until it is done (mainstage model status iris --watch), then again"
    )
    assert world.calls == []


# a real account


def test_every_command_wants_credentials_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World
) -> None:
    from infra import cli

    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(common, "root", lambda: world.root)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")
    lines = (
        "approve iris 7", "promote iris 7", "rollback iris", "abort iris", "retry iris --reason x", "restore-guards iris",
        "status", "history iris", "clean",
    )  # fmt: skip
    for line in lines:
        for where, told in (
            ([], "no rehearsal is being served"),
            (["--target", "prod"], "--target prod is an AWS account; say which credentials to use: --profile PROFILE"),
        ):
            with pytest.raises(SystemExit) as ended:
                cli.main(["model", *line.split(), *where])
            assert ended.value.code == 1
            assert told in capsys.readouterr().err, line
