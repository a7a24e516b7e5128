"""What `mainstage model` does to a live endpoint, on the emulated guardrails: abort, rollback --now, restore-guards,
the traffic that status shows, and what is cleaned.

The clock is advanced by hand: no minute passes by itself.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mainstage.guard_alarms import guard_alarm_names
from mainstage_runtime.release_history import ROLLED_BACK, blocked

from infra.catalog import load_catalog
from infra.layers.names import registry_bucket_name
from infra.registry.target import Target
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY
from infra.releases.abort import abort
from infra.releases.guards import arrived, deployment_config, restore, unguarded
from infra.releases.leftovers import clean, leftovers
from infra.releases.live import serving
from infra.releases.past import history_of
from infra.releases.rollback_now import move
from infra.releases.status import release_status
from infra.releases.traffic import shares
from infra.releases.words import ReleaseError

ENDPOINT = "dev-iris"
ONE, TWO = f"{ENDPOINT}-v1-0000000a", f"{ENDPOINT}-v2-0000000a"
GUARDS = guard_alarm_names(ENDPOINT)
FILE = """\
model: iris
owner: ml-platform
runtime: sklearn-1.4-2
signature: {inputs: [{name: x, type: double}], outputs: [{name: y, type: double}]}
stable: 2
keep: [1]
capacity: {instance_type: ml.m5.large, instance_count: 2}
rollout: {strategy: canary, percent: 50, bake_minutes: 10}
"""


class Iris:
    """dev's endpoint of iris serves version 1; version 2 has its configuration; the guards watch version 2."""

    def __init__(self, stage, folder: Path):
        self.stage, self.cloud = stage, stage.cloud
        self.cloud.pace.minute_seconds = None
        self.target = Target(
            "dev",
            self.cloud.account_id,
            self.cloud.region,
            self.cloud.serve(),
            access_key_id=self.cloud.operator_access_key_id,
            secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
        )
        bucket = registry_bucket_name("dev", self.cloud.account_id, self.cloud.region)
        stage.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.cloud.region})
        path = folder / "stacks" / "models" / "iris.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(FILE, encoding="utf-8")
        self.model = load_catalog(folder, "dev").models["iris"]
        for version, config in ((1, ONE), (2, TWO)):
            stage.model(f"{config[:-1]}b", answer=str(version))
            variant = {"ModelName": f"{config[:-1]}b", "InitialInstanceCount": 2}
            stage.config(config, variants={"main": variant})
        self.watch(TWO)
        stage.endpoint(ENDPOINT, ONE, DeploymentConfig=deployment_config(ENDPOINT, self.model.rollout))

    def watch(self, configuration: str) -> None:
        dimensions = {"EndpointName": ENDPOINT, "VariantName": "main", "EndpointConfigName": configuration}
        for guard, name in GUARDS.items():
            self.stage.cloud.client("cloudwatch").put_metric_alarm(
                AlarmName=name,
                Namespace="AWS/SageMaker",
                MetricName="Invocation5XXErrors" if guard == "errors" else "Nothing",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="notBreaching",
                Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            )

    def release(self, configuration: str, **options) -> None:
        """Sends an update and waits until its fleet is up."""
        told = options or {"DeploymentConfig": deployment_config(ENDPOINT, self.model.rollout)}
        self.stage.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=configuration, **told)
        self.up()

    def up(self) -> None:
        deadline = time.monotonic() + 60
        while (pending := serving(self.target, "iris").pending) is not None and pending.stages == ("Creating",):
            assert time.monotonic() < deadline, "the new fleet does not come up"
            time.sleep(0.01)

    def minutes(self, count: int) -> None:
        self.cloud.clock.advance(60 * count)

    def ask(self, count: int = 20) -> set[str]:
        return {self.stage.invoke(name=ENDPOINT)["answer"]["answer"] for _ in range(count)}

    def settled(self, version: int) -> None:
        """Minutes pass until nothing is under way; then `version` serves."""
        found = serving(self.target, "iris")
        for _ in range(60):
            if (found := serving(self.target, "iris")).pending is None and found.status == "InService":
                break
            self.minutes(1)
            time.sleep(0.02)
        assert (found.status, found.version) == ("InService", version)
        assert self.ask(4) == {str(version)}


@pytest.fixture
def iris(stage, tmp_path: Path) -> Iris:
    return Iris(stage, tmp_path)


def test_the_traffic_of_both_fleets_is_counted(iris: Iris) -> None:
    iris.release(TWO)
    found = serving(iris.target, "iris")
    assert found.pending is not None
    assert (found.version, found.pending.version, found.pending.stages) == (1, 2, ("Baking",))
    assert iris.ask(40) == {"1", "2"}
    iris.minutes(3)
    told = shares(iris.target, found, found.pending)
    assert [(each.fleet, each.version) for each in told] == [("old", "version 1"), ("new", "version 2")]
    assert sum(each.requests for each in told) == 40
    assert told[1].percent == pytest.approx(50, abs=6)
    status = release_status(iris.target, iris.model, {"dev": "version 2"})
    assert status.deployment is not None
    assert status.deployment.shares == tuple(told)
    assert status.deployment.steps == "50 % first, the rest after 10 minutes"


def test_an_abort_takes_the_release_back(iris: Iris) -> None:
    iris.release(TWO)
    done = abort(iris.target, "iris", reason="wrong table", wait_seconds=0)
    assert (done.version, done.raised) == (2, True)
    iris.settled(1)
    with pytest.raises(ReleaseError, match="nothing is being released"):
        abort(iris.target, "iris", wait_seconds=0)


def test_now_goes_back_though_the_guards_ring_for_the_version_that_fails(iris: Iris) -> None:
    iris.release(TWO)
    iris.settled(2)
    iris.stage.cloud.client("cloudwatch").set_alarm_state(
        AlarmName=GUARDS["errors"], StateValue="ALARM", StateReason="version 2 fails"
    )
    done = move(iris.target, iris.model, 1, "it fails")
    assert (done.changed, done.configuration, done.quietened) == (True, ONE, (GUARDS["errors"],))
    assert not move(iris.target, iris.model, 1).changed  # on its way
    iris.up()
    iris.settled(1)
    found = serving(iris.target, "iris")
    assert unguarded(found) == []
    events = history_of(iris.target, "iris").events()
    assert [(each.kind, each.version, each.serves) for each in events] == [(ROLLED_BACK, 2, ONE)]
    assert blocked(events, 2) is not None
    watched = iris.stage.cloud.client("cloudwatch").describe_alarms(AlarmNames=[GUARDS["errors"]])["MetricAlarms"][0]
    assert {"Name": "EndpointConfigName", "Value": ONE} in watched["Dimensions"]


def test_restored_guards_end_the_next_release(iris: Iris) -> None:
    iris.release(TWO, DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {
        "Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}})  # fmt: skip
    iris.settled(2)
    assert unguarded(serving(iris.target, "iris")) == list(GUARDS.values())
    done = restore(iris.target, iris.model)
    assert (done.changed, done.configuration, done.copied_from) == (True, TWO, "")
    iris.up()
    assert arrived(iris.target, iris.model, print, wait_seconds=0) is None
    iris.settled(2)
    assert arrived(iris.target, iris.model, print) == serving(iris.target, "iris")
    assert unguarded(serving(iris.target, "iris")) == []
    assert not restore(iris.target, iris.model).changed
    iris.watch(ONE)
    iris.release(ONE, RetainDeploymentConfig=True)
    assert abort(iris.target, "iris", wait_seconds=0).raised
    iris.settled(2)


def test_what_serves_is_never_cleaned_away(iris: Iris) -> None:
    assert leftovers(iris.target, [iris.model]) == []
    three = iris.model.model_copy(update={"stable": 3, "keep": ()})
    over = leftovers(iris.target, [three])
    assert [each.name for each in over] == [TWO, f"{TWO[:-1]}b"]  # version 1 serves
    said: list[str] = []
    clean(iris.target, over, said.append)
    assert said == [f"deleted endpoint configuration {TWO}", f"deleted model {TWO[:-1]}b"]
    assert leftovers(iris.target, [three]) == []
    assert iris.ask(4) == {"1"}
