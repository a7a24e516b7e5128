"""Guard alarms that are live go back into an endpoint's inputs in the state, and nothing else changes there."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mainstage.guard_alarms import guard_alarm_names
from played_pulumi import STACK, Played, state, under_way, urn

from infra.cli import recover as command
from infra.recover import Unresolved, mend_guards, plan, recover_before
from infra.recover.checkout import Ran
from infra.recover.guards import ENDPOINT, mended
from infra.registry.target import Target
from infra.rehearsal import cloud_control
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.state import ORGANIZATION, PROJECT, State
from infra.releases.mending import mend_state_file

NAME = "dev-iris"
GUARDS = list(guard_alarm_names(NAME).values())
ROUTING = {"Type": "CANARY", "WaitIntervalInSeconds": 600, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10}}
POLICY = {
    "trafficRoutingConfiguration": {
        "type": "CANARY",
        "waitIntervalInSeconds": 600,
        "canarySize": {"type": "CAPACITY_PERCENT", "value": 10},
    },
    "terminationWaitInSeconds": 120,
}
ROLLBACK = {"alarms": [{"alarmName": name} for name in GUARDS]}
BARE = {"name": NAME, "endpointConfigName": "one", "tags": {"a": "b"}}


def live(alarms: list[str] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": ROUTING, "TerminationWaitInSeconds": 120}
    }
    return (
        told if alarms is None else told | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": n} for n in alarms]}}
    )


def guarded(policy: dict[str, Any]) -> dict[str, Any]:
    return {**BARE, "deploymentConfig": {"blueGreenUpdatePolicy": policy, "autoRollbackConfiguration": ROLLBACK}}


def test_lost_guards_come_back_with_what_else_is_missing():
    before = copy.deepcopy(BARE)
    assert mended(NAME, BARE, live(GUARDS[::-1])) == guarded(POLICY)
    assert before == BARE
    # What the inputs say of the rest is a refresh's, and stays.
    other = {**POLICY, "terminationWaitInSeconds": 300}
    for rollback in ({}, {"autoRollbackConfiguration": None}, {"autoRollbackConfiguration": {"alarms": []}}):
        given = {**BARE, "deploymentConfig": {"blueGreenUpdatePolicy": other, **rollback}}
        assert mended(NAME, given, live(GUARDS)) == guarded(other)


def test_a_rolling_deployment_is_written_as_the_provider_does():
    batch = {"Type": "CAPACITY_PERCENT", "Value": 20}
    told = live(GUARDS) | {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60}}
    del told["BlueGreenUpdatePolicy"]
    found = mended(NAME, BARE, told)
    assert found is not None
    assert found["deploymentConfig"] == {
        "rollingUpdatePolicy": {
            "maximumBatchSize": {"type": "CAPACITY_PERCENT", "value": 20},
            "waitIntervalInSeconds": 60,
        },
        "autoRollbackConfiguration": ROLLBACK,
    }


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(None, id="not at rest"),
        pytest.param({}, id="never deployed"),
        pytest.param(live(None), id="without alarms"),
        pytest.param(live([]), id="an empty list"),
        pytest.param(live(GUARDS[:-1]), id="one is missing"),
        pytest.param(live([*GUARDS, "somebodys"]), id="one more"),
        pytest.param(live(list(guard_alarm_names("dev-other").values())), id="another endpoint's"),
    ],
)
def test_nothing_is_put_in_that_is_not_live(told: dict[str, Any] | None):
    assert mended(NAME, BARE, told) is None


def test_alarms_that_the_state_has_are_left_to_the_refresh():
    assert mended(NAME, guarded(POLICY), live(GUARDS)) is None
    somebodys = {**BARE, "deploymentConfig": {"autoRollbackConfiguration": {"alarms": [{"alarmName": "somebodys"}]}}}
    assert mended(NAME, somebodys, live(GUARDS)) is None


# the state


class SageMaker:
    """One endpoint."""

    def __init__(self, **told: Any):
        self.told = {"EndpointStatus": "InService", "LastDeploymentConfig": live(GUARDS), **told}
        self.asked = 0
        self.refusal: ClientError | None = None

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        if EndpointName != NAME:
            raise ClientError({"Error": {"Message": "Could not find endpoint"}}, "DescribeEndpoint")
        return self.told


class Here(Target):
    sagemaker: SageMaker

    def client(self, service: str) -> Any:
        return self.sagemaker if service == "sagemaker" else Empty()


class Empty:
    """A service that has nothing."""

    def can_paginate(self, call: str) -> bool:
        return False


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


@pytest.fixture
def target(sagemaker: SageMaker, tmp_path: Path) -> Target:
    made = Here("dev", "111111111111", "eu-west-1", "http://in-process", state_file=tmp_path / "state.json")
    object.__setattr__(made, "sagemaker", sagemaker)
    return made


def endpoint(inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    outputs = {"name": NAME, "__pulumi_raw_state_delta": {"obj": {}}}
    return {
        "urn": urn(ENDPOINT),
        "type": ENDPOINT,
        "custom": True,
        "id": NAME,
        "inputs": inputs,
        "outputs": outputs,
        **more,
    }


def with_endpoint(inputs: dict[str, Any], *pending: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = state({}, *pending, account="111111111111")
    made["deployment"]["resources"].append(endpoint(inputs, **more))
    return made


def test_a_state_is_mended_in_its_inputs_alone(target: Target):
    pulumi, said = Played(with_endpoint(BARE)), []
    done = mend_guards(pulumi, STACK, target, said.append)
    assert [each.endpoint for each in done.guards] == [NAME]
    assert said == [f"{STACK}: the guard alarms of {NAME} are live and not in the state: put back"]
    expected = with_endpoint(guarded(POLICY))
    assert pulumi.state == expected == done.state
    assert mend_guards(pulumi, STACK, target, pytest.fail).guards == ()
    assert pulumi.ran == ["stack export", "stack import", "stack export"]


def test_recover_does_it_and_first_tells_what_it_would_do(target: Target):
    pulumi = Played(with_endpoint(BARE))
    planned = plan(pulumi, STACK, target)
    assert (planned.as_json()["guards"], planned.acted, pulumi.ran) == ([NAME], False, ["stack export"])
    told = command._lines([planned], [], acted=False, clean=False).plain
    assert told == (
        f"{STACK}: the guard alarms of {NAME} are live and not in the state; mainstage recover --yes puts them back"
    )
    said: list[str] = []
    recovered = recover_before(pulumi, STACK, target, said.append)
    assert recovered.as_json() == {"stack": STACK, "acted": True, "decisions": [], "guards": [NAME]}
    assert pulumi.state == with_endpoint(guarded(POLICY))


def test_nobody_is_asked_while_the_state_has_guards(target: Target, sagemaker: SageMaker):
    for made in (with_endpoint(guarded(POLICY)), with_endpoint(BARE, delete=True), state({})):
        assert mend_guards(Played(made), STACK, target, pytest.fail).guards == ()
    assert sagemaker.asked == 0


@pytest.mark.parametrize(
    "told", [{"EndpointStatus": "Updating"}, {"PendingDeploymentSummary": {"EndpointConfigName": "two"}}]
)
def test_an_endpoint_under_way_is_left_alone(target: Target, sagemaker: SageMaker, told: dict[str, Any]):
    sagemaker.told |= told
    pulumi = Played(with_endpoint(BARE))
    assert mend_guards(pulumi, STACK, target, pytest.fail).guards == ()
    assert pulumi.ran == ["stack export"]


def test_what_cannot_be_looked_at_stops_nothing(target: Target, sagemaker: SageMaker):
    sagemaker.refusal = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeEndpoint")
    said: list[str] = []
    assert mend_guards(Played(with_endpoint(BARE)), STACK, target, said.append).guards == ()
    assert said[0].startswith(f"{STACK}: cannot look for guard alarms that the state lacks: ")


def test_open_operations_are_not_forgotten_on_the_way(target: Target):
    pulumi = Played(with_endpoint(BARE, under_way("aws:ec2/vpc:Vpc")))
    with pytest.raises(Unresolved, match="an update was interrupted, and is cleared up first"):
        mend_guards(pulumi, STACK, target, pytest.fail)
    assert pulumi.ran == ["stack export"]


def test_another_accounts_state_is_not_touched(target: Target):
    made = state({}, account="222222222222")
    made["deployment"]["resources"].append(endpoint(BARE))
    pulumi = Played(made)
    with pytest.raises(Unresolved, match="belongs to account 222222222222"):
        mend_guards(pulumi, STACK, target, pytest.fail)


def test_a_state_that_is_not_taken_is_told(target: Target):
    pulumi = Played(with_endpoint(BARE), refusal="no")
    with pytest.raises(Unresolved, match="was not taken, nothing has changed"):
        mend_guards(pulumi, STACK, target, pytest.fail)


def test_the_in_process_engines_file_is_mended_too(target: Target):
    assert target.state_file is not None
    kept = State(target.state_file, project=PROJECT, organization=ORGANIZATION)
    lost = ResourceState(urn(ENDPOINT), ENDPOINT, True, id=NAME, inputs=dict(BARE), outputs={"name": NAME})
    other = ResourceState(urn("aws:ec2/vpc:Vpc"), "aws:ec2/vpc:Vpc", True, id="vpc-1", inputs={"a": 1})
    kept.save("models-dev", [other, lost])
    assert mend_state_file(target, "models-dev").put_back == (NAME,)
    kept.reload()
    first, second = kept.resources("models-dev")
    assert first == other
    assert (second.inputs, second.outputs) == (guarded(POLICY), {"name": NAME})
    before = target.state_file.read_text()
    assert mend_state_file(target, "models-dev").put_back == ()
    assert mend_state_file(target, "models-staging").put_back == ()
    assert target.state_file.read_text() == before
    assert json.loads(before)["project"] == "mainstage"


def test_a_state_in_use_is_told_with_the_command(target: Target):
    assert target.state_file is not None
    kept = State(target.state_file, project=PROJECT, organization=ORGANIZATION)
    with kept.exclusive():
        done = mend_state_file(target, "models-dev")
    assert done.problem.startswith("another run is using ")
    assert done.command == "mainstage up --env dev"


def test_a_state_out_of_reach_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from infra.releases import mending

    class Closed:
        def __init__(self, root: Path):
            self.environment = dict

        def try_run(self, *arguments: str) -> Ran:
            return Ran(255, "", "error: PULUMI_ACCESS_TOKEN must be set")

    monkeypatch.setattr(mending, "CheckoutPulumi", Closed)
    account = Target("prod", "333333333333", "eu-west-1", None, profile="mainstage-prod")
    done = mending.mend(tmp_path, account, pytest.fail)
    assert "PULUMI_ACCESS_TOKEN must be set" in done.problem
    assert done.command == "mainstage recover --stack models-prod --target prod --profile mainstage-prod --yes"


def test_the_emulated_clouds_project_is_mended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: Target, sagemaker: SageMaker
):
    from infra.releases import mending

    pulumi, served = Played(with_endpoint(BARE)), Here("dev", "111111111111", "eu-west-1", "http://in-process")
    object.__setattr__(served, "sagemaker", sagemaker)
    monkeypatch.setattr(cloud_control, "found", lambda root, environment: environment)
    monkeypatch.setattr(cloud_control, "prepare", lambda running: pulumi)
    done = mending.mend(tmp_path, served, lambda _: None)
    assert (done.stack, done.put_back, done.problem) == ("models-dev", (NAME,), "")
    assert pulumi.state == with_endpoint(guarded(POLICY))

    def none_runs(root: Path, environment: str) -> None:
        raise cloud_control.CloudError("no emulated cloud runs")

    monkeypatch.setattr(cloud_control, "found", none_runs)
    done = mending.mend(tmp_path, served, pytest.fail)
    assert (done.problem, done.command) == ("no emulated cloud runs", "mainstage recover --stack models-dev --yes")
