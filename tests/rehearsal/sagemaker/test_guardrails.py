"""Deployment guardrails: traffic shifts between two running model processes, bakes, and goes back when an alarm rings.

The clock is advanced by hand: no minute passes by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.alarm_store import alarms_of

ALARM = "guard"
REQUESTS = 100


def near(percent):
    """A share of a hundred requests: the spread is even, but for one."""
    return pytest.approx(percent, abs=1)


class Release:
    """An endpoint that serves model "m" by configuration "c", and a release of model "next" by "c2"."""

    def __init__(self, stage):
        self.stage, self.cloud = stage, stage.cloud
        self.cloud.pace.minute_seconds = None
        stage.model()
        stage.config()
        stage.endpoint()
        stage.model("next")
        stage.config("c2", variants={"stable": {"ModelName": "next"}})
        self.alarms = self.cloud.client("cloudwatch")
        self.put_alarm()

    def put_alarm(self, name=ALARM, configuration="c2", **changes):
        """Rings at one error in a minute."""
        dimensions = {"EndpointName": "e", "VariantName": "stable", "EndpointConfigName": configuration}
        self.alarms.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items() if value],
            **changes,
        )

    def start(self, config="c2", **options):
        """Sends the update and waits until the new fleet is up."""
        self.stage.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=config, **options)
        deadline = time.monotonic() + 60
        while self.stages() == ["Creating"]:
            assert time.monotonic() < deadline, "the new fleet does not come up"
            time.sleep(0.01)

    def described(self):
        return self.stage.sagemaker.describe_endpoint(EndpointName="e")

    def status(self):
        found = self.described()
        return found["EndpointStatus"], found["EndpointConfigName"]

    def stages(self):
        pending = self.described().get("PendingDeploymentSummary")
        if not pending:
            return []
        return [status["Status"] for each in pending["ProductionVariants"] for status in each["VariantStatus"]]

    def answers(self, count=REQUESTS):
        """Who answered, how often."""
        return Counter(self.stage.invoke()["answer"]["answer"] for _ in range(count))

    def share(self):
        """Percent of a hundred requests that the new fleet answered."""
        answers = self.answers()
        assert set(answers) <= {"m", "next"}
        return answers["next"]

    def failed(self):
        """1 for a request that failed, 0 for one that was answered."""
        try:
            self.stage.invoke()
        except ClientError:
            return 1
        return 0

    def minutes(self, count):
        self.cloud.clock.advance(60 * count)

    def ring(self, name=ALARM):
        self.alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a person said so")


@pytest.fixture
def release(stage):
    return Release(stage)


def canary(percent=10, wait=600, termination=300, alarms=(ALARM,)):
    return blue_green("CANARY", wait, termination, alarms, CanarySize={"Type": "CAPACITY_PERCENT", "Value": percent})


def linear(percent=25, wait=120, termination=60, alarms=(ALARM,)):
    step = {"Type": "CAPACITY_PERCENT", "Value": percent}
    return blue_green("LINEAR", wait, termination, alarms, LinearStepSize=step)


def blue_green(kind, wait, termination, alarms, **sizes):
    policy = {
        "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **sizes},
        "TerminationWaitInSeconds": termination,
        "MaximumExecutionTimeoutInSeconds": 7200,
    }
    return with_alarms({"BlueGreenUpdatePolicy": policy}, alarms)


def rolling(percent=50, wait=120, alarms=(ALARM,)):
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": percent}, "WaitIntervalInSeconds": wait}
    return with_alarms({"RollingUpdatePolicy": policy}, alarms)


def with_alarms(policy, alarms):
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
    return {**policy, **(rollback if alarms else {})}


def test_a_canary_gets_its_share_then_everything_then_the_old_fleet_ends(release):
    (old,) = release.stage.cloud_variants()
    release.start(DeploymentConfig=canary())
    assert release.status() == ("Updating", "c")
    assert release.share() == near(10)
    release.minutes(9)
    assert release.share() == near(10)
    release.minutes(1)
    assert release.status() == ("Updating", "c")
    assert release.answers() == {"next": 100}
    assert old.host.alive
    release.minutes(4)
    assert old.host.alive
    release.minutes(1)
    assert release.status() == ("InService", "c2")
    assert "FailureReason" not in release.described()
    assert "PendingDeploymentSummary" not in release.described()
    assert release.described()["LastDeploymentConfig"] == canary()
    release.stage.joined()
    assert not old.host.alive
    assert release.answers() == {"next": 100}


def test_linear_shifts_step_by_step(release):
    release.start(DeploymentConfig=linear())
    seen = []
    for _ in range(4):
        seen.append(release.share())
        release.minutes(2)
    assert seen == [near(25), near(50), near(75), 100]
    assert release.status() == ("InService", "c2")


def test_all_at_once_bakes_before_the_old_fleet_ends(release):
    (old,) = release.stage.cloud_variants()
    release.start(DeploymentConfig=blue_green("ALL_AT_ONCE", 0, 600, (ALARM,)))
    assert release.answers() == {"next": 100}
    release.minutes(9)
    assert (release.status(), old.host.alive) == (("Updating", "c"), True)
    release.minutes(1)
    assert release.status() == ("InService", "c2")


def test_an_alarm_that_is_ok_again_before_it_is_looked_at_takes_the_release_back(release):
    """What a person set holds until the alarm is evaluated, which another thread may do at once."""
    alarms = alarms_of(release.cloud)

    def back(region, name, value):
        if value == "ALARM":
            alarms.set_state(region, name, "OK", "evaluated", "")

    release.start(DeploymentConfig=canary())
    alarms.watchers.insert(0, back)
    release.ring()
    assert release.status() == ("RollingBack", "c")
    assert ALARM in release.described()["FailureReason"]


def test_rolling_shifts_batch_by_batch_and_bakes_the_last_one_too(release):
    release.start(DeploymentConfig=rolling())
    assert release.share() == near(50)
    release.minutes(2)
    assert release.answers() == {"next": 100}
    assert release.status() == ("Updating", "c")
    release.minutes(2)
    assert release.status() == ("InService", "c2")


def test_an_update_without_a_wait_moves_no_clock(release):
    release.cloud.pace.minute_seconds = 0
    before = release.cloud.clock.now() - datetime.now(UTC)
    assert release.stage.update("c2")["EndpointConfigName"] == "c2"
    at_once = blue_green("ALL_AT_ONCE", 0, 0, (ALARM,))
    assert release.stage.update("c", DeploymentConfig=at_once)["EndpointConfigName"] == "c"
    assert release.cloud.clock.now() - datetime.now(UTC) - before < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("config", "minutes"), [(canary(), 3), (linear(), 5), (blue_green("ALL_AT_ONCE", 0, 600, (ALARM,)), 7)]
)
def test_an_alarm_takes_the_release_back_wherever_it_is(release, config, minutes):
    release.start(DeploymentConfig=config)
    release.minutes(minutes)
    assert release.answers()["next"] > 0
    (new,) = release.stage.green_variants()
    release.ring()
    assert release.status() == ("RollingBack", "c")
    assert release.answers() == {"m": 100}
    release.minutes(1)
    assert release.status() == ("InService", "c")
    found = release.described()
    assert found["FailureReason"] == "The deployment was rolled back: auto-rollback alarm(s) in ALARM state: guard."
    assert found["LastDeploymentConfig"] == config
    assert "PendingDeploymentSummary" not in found
    release.stage.joined()
    assert not new.host.alive
    assert release.answers() == {"m": 100}


def test_an_alarm_in_the_termination_wait_takes_it_back_too(release):
    release.start(DeploymentConfig=canary())
    release.minutes(12)
    assert release.answers() == {"next": 100}
    release.ring()
    assert release.status() == ("RollingBack", "c")
    assert release.answers() == {"m": 100}


def test_without_alarms_nothing_is_taken_back(release):
    release.start(DeploymentConfig=canary(alarms=()))
    release.ring()
    release.minutes(15)
    assert release.status() == ("InService", "c2")


def test_an_alarm_that_is_not_named_ends_nothing(release):
    release.put_alarm("other")
    release.start(DeploymentConfig=canary())
    release.ring("other")
    release.minutes(15)
    assert release.status() == ("InService", "c2")


def test_an_alarm_that_rings_already_ends_the_release_before_its_first_request(release):
    release.ring()
    release.start(DeploymentConfig=canary())
    assert release.status() == ("RollingBack", "c")
    assert release.answers() == {"m": 100}


def test_errors_of_the_canary_ring_the_alarm_that_watches_its_configuration(release):
    failing = release.stage.code.replace("def predict_fn(data, model):", "def predict_fn(data, model):\n    1 / 0")
    release.stage.model("bad", url=release.stage.put_archive(failing, "bad.tar.gz"))
    release.stage.config("c3", variants={"stable": {"ModelName": "bad"}})
    release.put_alarm(configuration="c3")
    release.start("c3", DeploymentConfig=canary())
    minutes = 0
    while release.status()[0] == "Updating":
        assert sum(release.failed() for _ in range(100)) == near(10)
        release.minutes(1)
        minutes += 1
    assert release.status() == ("RollingBack", "c")
    assert 2 <= minutes <= 3
    assert "in ALARM state: guard" in release.described()["FailureReason"]
    assert sum(release.failed() for _ in range(20)) == 0
    release.minutes(1)
    assert release.status() == ("InService", "c")


def test_an_alarm_that_the_old_fleet_rings_ends_the_deployment(release):
    failing = release.stage.code.replace("def predict_fn(data, model):", "def predict_fn(data, model):\n    1 / 0")
    release.stage.model("old", url=release.stage.put_archive(failing, "old.tar.gz"))
    release.stage.config("broken", variants={"stable": {"ModelName": "old"}})
    release.stage.update("broken")
    release.put_alarm("mixed", configuration="")
    release.start(DeploymentConfig=canary(alarms=("mixed",)))
    for _ in range(5):
        release.failed()
        release.minutes(1)
    assert release.status() == ("InService", "broken")
    release.start(DeploymentConfig=canary())  # the alarm that watches the new fleet alone
    for _ in range(15):
        release.failed()
        release.minutes(1)
    assert release.status() == ("InService", "c2")


def test_a_role_that_loses_the_right_to_look_ends_the_deployment(release):
    release.start(DeploymentConfig=canary())
    release.stage.allow("s3:GetObject", "ecr:*", "logs:*")
    release.minutes(2)
    assert release.status() == ("InService", "c")
    assert release.described()["FailureReason"].startswith("The auto-rollback alarms could not be read")


def test_two_updates_at_once_are_refused(release, refused):
    release.start(DeploymentConfig=canary())
    method = release.stage.sagemaker.update_endpoint
    assert refused(method, EndpointName="e", EndpointConfigName="c")[1].startswith("Cannot update in-progress endpoint")
    release.ring()
    assert refused(method, EndpointName="e", EndpointConfigName="c")[1].startswith("Cannot update in-progress endpoint")
    release.minutes(1)
    release.start(DeploymentConfig=canary(alarms=()))
    release.minutes(15)
    assert release.status() == ("InService", "c2")


def test_other_variant_names_are_refused(release, refused):
    release.stage.config("renamed", variants={"other": {"ModelName": "next"}})
    update = {"EndpointName": "e", "EndpointConfigName": "renamed"}
    code, message = refused(release.stage.sagemaker.update_endpoint, **update, DeploymentConfig=canary())
    assert (code, "must have the names of those that serve (stable)" in message) == ("ValidationException", True)
    assert release.status() == ("InService", "c")
    assert release.stage.update("renamed")["EndpointConfigName"] == "renamed"


def test_the_summary_tells_how_far_it_has_come(release):
    release.stage.config("three", variants={"stable": {"ModelName": "next", "InitialInstanceCount": 3}})
    release.start("three", DeploymentConfig=canary())

    def told():
        pending = release.described()["PendingDeploymentSummary"]
        assert pending["EndpointConfigName"] == "three"
        (variant,) = pending["ProductionVariants"]
        (status,) = variant["VariantStatus"]
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"], status["StatusMessage"]

    baking = "Baking for {} seconds ({}) with traffic enabled on {} capacity of {} instance(s)."
    assert told() == (1, 3, baking.format(600, "WaitIntervalInSeconds", "canary", 1))
    release.minutes(10)
    assert told() == (3, 3, baking.format(300, "TerminationWaitInSeconds", "full", 3))
    release.ring()
    assert told() == (0, 3, "Terminating 3 instance(s).")


def test_the_new_fleet_posts_under_its_own_configuration(release):
    release.start(DeploymentConfig=canary())
    release.answers()

    def invocations(**more):
        dimensions = {"EndpointName": "e", "VariantName": "stable", **more}
        return release.cloud.metrics.statistic(
            "AWS/SageMaker", "Invocations", "Sum", region="eu-west-1", dimensions=dimensions
        )

    assert invocations(EndpointConfigName="c") == near(90)
    assert invocations(EndpointConfigName="c2") == near(10)
    assert invocations() == 100


def test_deleting_after_a_rollback_leaves_nothing(release):
    release.start(DeploymentConfig=canary())
    hosts = [each.host for each in (*release.stage.cloud_variants(), *release.stage.green_variants())]
    release.ring()
    release.minutes(1)
    release.stage.deleted()
    assert [host.alive for host in hosts] == [False, False]


def test_the_clouds_end_ends_both_fleets(release):
    release.start(DeploymentConfig=canary())
    hosts = [each.host for each in (*release.stage.cloud_variants(), *release.stage.green_variants())]
    release.cloud.reset()
    assert [host.alive for host in hosts] == [False, False]


def test_a_rolling_deployment_that_cannot_go_back_leaves_a_mix(release, refused):
    release.start(DeploymentConfig=rolling())
    release.cloud.capacity.exhaust("ml.m5.large")
    release.ring()
    assert release.status() == ("UpdateRollbackFailed", "c")
    assert "InsufficientInstanceCapacity" in release.described()["FailureReason"]
    assert release.share() == near(50)
    release.cloud.capacity.clear()
    assert release.stage.update("c2")["EndpointStatus"] == "InService"
    assert release.answers() == {"next": 100}


def test_a_blue_green_deployment_goes_back_without_new_instances(release):
    release.start(DeploymentConfig=canary())
    release.cloud.capacity.exhaust("ml.m5.large")
    release.ring()
    release.minutes(1)
    assert release.status() == ("InService", "c")
