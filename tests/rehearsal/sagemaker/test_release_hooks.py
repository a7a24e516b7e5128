"""The release hooks' bodies against emulated endpoints: what they read, refuse, note and say.

The provider's part (UpdateEndpoint) is played by the tests, the clock is advanced by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mainstage._autoscaling import Autoscaling, policy_name
from mainstage._release_approval import check_approval
from mainstage._release_plan import ReleasePlan
from mainstage._release_run import ALARM_WAIT_SECONDS, ReleaseRun
from mainstage._release_verdict import ReleaseError
from mainstage_runtime.release_history import ReleaseEvent, ReleaseHistory, blocked

BUCKET = "registry-of-tests"
V6, V7 = "e-v6-00000000", "e-v7-00000000"
ALARMS = ("e-guard-errors", "e-guard-stop")
SCALING = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/stable",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def deployment() -> dict[str, Any]:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 600,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            },
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 4320,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in ALARMS]},
    }


class World:
    """Version 6 serves, version 7 is declared."""

    def __init__(self, stage: Any):
        self.stage, self.cloud = stage, stage.cloud
        self.cloud.pace.minute_seconds = None
        self.alarms = self.cloud.client("cloudwatch")
        self.plan = ReleasePlan(
            endpoint="e",
            region=self.cloud.region,
            account_id=self.cloud.account_id,
            model="iris",
            version=7,
            configuration=V7,
            declared={V7: 7, V6: 6},
            variant="stable",
            instance_type="ml.m5.large",
            instance_count=1,
            alarms=ALARMS,
            minimum_requests=3,
            longest_seconds=7200,
            runbook_base_url="https://example.com/runbooks",
        )
        stage.model("m")
        stage.config(V6)
        for name, metric in zip(ALARMS, ("Invocation5XXErrors", "StopRequested"), strict=True):
            self.alarms.put_metric_alarm(
                AlarmName=name,
                Namespace="AWS/SageMaker",
                MetricName=metric,
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=0,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="notBreaching",
                Dimensions=[
                    {"Name": "EndpointName", "Value": "e"},
                    {"Name": "VariantName", "Value": "stable"},
                    {"Name": "EndpointConfigName", "Value": V7},
                ],
            )
        self.history = ReleaseHistory(self.cloud.client("s3"), BUCKET, "e")

    def serves(self) -> World:
        self.stage.endpoint("e", V6, DeploymentConfig=deployment())
        self.stage.model("next")
        self.stage.config(V7, variants={"stable": {"ModelName": "next"}})
        return self

    def run(self, plan: ReleasePlan | None = None, session: Any = None) -> ReleaseRun:
        """A hook's pause is as long in the cloud's time."""
        seconds = count(0)

        def sleep(pause: float) -> None:
            for _ in range(round(pause)):
                next(seconds)
            self.cloud.clock.advance(60)

        return ReleaseRun(
            plan or self.plan, session=session or self.cloud.session, sleep=sleep, clock=lambda: float(next(seconds))
        )

    def before(self, run: ReleaseRun, asked: str = V7, alarms: tuple[str, ...] = ALARMS) -> None:
        run.before_update(
            BUCKET,
            {"endpointConfigName": V6},
            {
                "endpointConfigName": asked,
                "deploymentConfig": {"autoRollbackConfiguration": {"alarms": [{"alarmName": name} for name in alarms]}},
            },
        )

    def refused(self, run: ReleaseRun | None = None, **options: Any) -> str:
        with pytest.raises(ReleaseError) as caught:
            self.before(run or self.run(), **options)
        return str(caught.value)

    def send(self, config: str = V7, **options: Any) -> None:
        """UpdateEndpoint, and the new fleet up."""
        asked = {"DeploymentConfig": deployment(), **options}
        self.stage.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=config, **asked)
        self.stage.eventually(self._fleet_is_up)

    def _fleet_is_up(self) -> None:
        found = self.stage.sagemaker.describe_endpoint(EndpointName="e").get("PendingDeploymentSummary")
        if found and found["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating":
            raise ClientError({"Error": {"Code": "NotYet", "Message": ""}}, "DescribeEndpoint")

    def minutes(self, number: int, requests: int = 0, body: Any = None) -> None:
        """Minutes of the cloud, with so many requests in each."""
        for _ in range(number):
            for _ in range(requests):
                with contextlib.suppress(ClientError):
                    self.stage.invoke(body)
            self.cloud.clock.advance(60)

    def status(self) -> tuple[str, str]:
        found = self.stage.sagemaker.describe_endpoint(EndpointName="e")
        return found["EndpointStatus"], found["EndpointConfigName"]

    def kinds(self) -> list[tuple[str, int | None]]:
        return [(event.kind, event.version) for event in self.history.events()]


@pytest.fixture
def world(stage: Any) -> World:
    return World(stage)


def failed(run: ReleaseRun, **options: Any) -> str:
    with pytest.raises(ReleaseError) as caught:
        run.after(BUCKET, first=options.pop("first", False), **options)
    return str(caught.value)


class TestUpdate:
    def test_a_good_release(self, world: World) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        world.send()
        world.minutes(13, requests=8)
        assert world.status() == ("InService", V7)
        assert run.after(BUCKET, first=False) is None
        assert world.kinds() == [("started", 7), ("released", 7)]
        started, released = world.history.events()
        assert (started.configuration, started.serves) == (V7, V6)
        assert released.requests is not None
        assert released.requests >= 30
        assert released.by.startswith("arn:aws:")

    def test_too_little_traffic_is_unproven_and_said(self, world: World) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        world.send()
        world.minutes(13)
        told = run.after(BUCKET, first=False) or ""
        assert "serves e, but it is unproven: not one request came, and the guards judge from 3 a minute on" in told
        assert world.kinds()[-1] == ("unproven", 7)

    @pytest.mark.parametrize("polled", [True, False], ids=["the poll meets RollingBack", "the poll misses it"])
    def test_taken_back_by_an_alarm_then_refused(self, world: World, polled: bool) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        world.send()
        world.minutes(6, requests=6, body={"status": 500})
        if polled:
            # The provider's wait has failed; the hook waits until the endpoint is at rest.
            message = failed(run, provider_error="unexpected state 'RollingBack', wanted target 'InService'")
        else:
            world.minutes(3)
            assert world.status() == ("InService", V6)
            message = failed(run)
        lines = message.splitlines()
        assert lines[0] == "model iris version 7 was taken back from endpoint e"
        assert lines[1] == f"serves now: version 6 ({V6})"
        assert lines[2] == "alarm: e-guard-errors"
        assert lines[3] == "window: Sum of Invocation5XXErrors above 0 in 1 of 1 minutes"
        assert lines[4].startswith("CloudWatch: Threshold Crossed")
        assert any(line.startswith("requests that version 7 answered: ") and line[-1] != " " for line in lines)
        assert "runbook: https://example.com/runbooks/release-rolled-back.md" in lines
        assert lines[-1].endswith('mainstage model retry iris --reason "…"')
        events = world.history.events()
        assert [event.kind for event in events] == ["started", "taken_back"]
        assert events[-1].alarm is not None
        assert events[-1].requests
        assert blocked(events, 7) == events[-1]
        assert "blocked: version 7 was taken back on" in world.refused()
        assert world.kinds() == [("started", 7), ("taken_back", 7)]

    def test_stopped_by_a_person(self, world: World) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        world.send()
        world.alarms.set_alarm_state(AlarmName=ALARMS[1], StateValue="ALARM", StateReason="kim: wrong threshold")
        world.minutes(3)
        message = failed(run)
        assert "alarm: e-guard-stop (a person stopped the release)" in message
        assert "CloudWatch: kim: wrong threshold" in message

    def test_a_fleet_that_never_came_up(self, world: World) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        world.stage.sagemaker.delete_model(ModelName="next")
        world.stage.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=V7, DeploymentConfig=deployment())
        world.stage.settled()
        message = failed(run)
        assert message.startswith(f"model iris version 7 never came up on endpoint e\nserves now: version 6 ({V6})")
        assert "Could not find model" in message
        # Nothing was wrong with what it answered: it may be tried again as soon as it is mended.
        assert world.kinds()[-1] == ("failed", 7)
        world.before(world.run())

    def test_an_update_that_sagemaker_did_not_take(self, world: World) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        message = failed(run, provider_error="ResourceLimitExceeded: ml.m5.large for endpoint usage is 1 Instances")
        assert "reason: ResourceLimitExceeded" in message
        assert world.kinds() == [("started", 7), ("failed", 7)]

    def test_an_update_that_came_second_takes_nothing_back(self, world: World) -> None:
        """Somebody's own update began after this run had looked."""
        world.serves()
        run = world.run()
        world.before(run)
        world.stage.config("e-v5-00000000")
        world.stage.update("e-v5-00000000")
        refused = 'ValidationException: Cannot update in-progress endpoint "arn:aws:sagemaker:endpoint/e".'
        message = failed(run, provider_error=refused)
        assert f"reason: {refused}" in message
        assert world.kinds() == [("started", 7), ("failed", 7)]
        assert blocked(world.history.events(), 7) is None

    def test_the_end_of_a_killed_run_is_found_by_the_next(self, world: World) -> None:
        world.serves()
        world.before(world.run())
        world.send()
        world.minutes(6, requests=6, body={"status": 500})
        world.minutes(3)
        assert world.status() == ("InService", V6)
        assert "blocked: version 7 was taken back" in world.refused()
        assert world.kinds() == [("started", 7), ("taken_back", 7)]

    def test_a_killed_run_that_had_sent_nothing_blocks_nothing(self, world: World) -> None:
        world.serves()
        world.before(world.run())
        world.before(world.run())
        assert world.kinds() == [("started", 7), ("started", 7)]

    def test_nor_when_an_older_release_to_a_kept_configuration_met_an_alarm(self, world: World) -> None:
        """The configuration is as old as what became of another release since."""
        world.serves()
        world.alarms.set_alarm_state(AlarmName=ALARMS[0], StateValue="ALARM", StateReason="another release")
        world.minutes(2)
        world.stage.config("e-v5-00000000")
        world.stage.update("e-v5-00000000")
        world.before(world.run())
        world.before(world.run())
        assert world.kinds() == [("started", 7), ("started", 7)]


class TestRefusals:
    def test_two_updates_at_once(self, world: World) -> None:
        world.serves()
        world.before(world.run())
        world.send()
        assert f"pending: another deployment to {V7} is under way since" in world.refused()
        world.minutes(13)

    def test_somebody_updated_without_our_alarms(self, world: World) -> None:
        world.serves()
        told = world.refused(alarms=())
        assert "unguarded: " in told
        assert "mainstage model restore-guards iris" in told
        assert world.kinds() == []

    def test_a_rollback_at_the_console_is_noted_once(self, world: World) -> None:
        world.serves()
        run = world.run()
        world.before(run)
        world.send()
        world.minutes(13, requests=8)
        run.after(BUCKET, first=False)
        world.stage.update(V6)
        for _ in range(2):
            assert f"unasked: the endpoint serves version 6 ({V6}), which nobody asked for" in world.refused()
        assert world.kinds() == [("started", 7), ("released", 7), ("unasked", 6)]

    def test_scaled_out(self, world: World) -> None:
        world.serves()
        world.stage.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="e", DesiredWeightsAndCapacities=[{"VariantName": "stable", "DesiredInstanceCount": 3}]
        )
        assert "fewer: 3 instances are live and this release would start with 1" in world.refused()

    def test_a_guard_that_has_stopped_ringing_is_waited_for(self, world: World) -> None:
        """It watches the new configuration already: what the old one did wrong is over with the next look."""
        world.serves()
        world.alarms.set_alarm_state(AlarmName=ALARMS[0], StateValue="ALARM", StateReason="the old fleet fails")
        world.before(world.run())
        assert world.kinds() == [("started", 7)]

    def test_a_guard_that_rings_on(self, world: World) -> None:
        world.serves()
        run = world.run()
        put = dict(Namespace="Own", MetricName="Bad", Period=60, EvaluationPeriods=1, Threshold=0, Statistic="Sum")
        world.alarms.put_metric_alarm(
            AlarmName=ALARMS[0],
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="breaching",
            **put,
        )
        world.minutes(2)
        told = world.refused(run)
        assert "alarmed: guard e-guard-errors is in ALARM since " in told
        assert ALARM_WAIT_SECONDS == 240
        assert world.kinds() == []

    def test_an_update_of_nothing_but_tags_is_none_of_its_business(self, world: World) -> None:
        run = world.run(session=lambda: pytest.fail("nothing is to be asked"))
        run.before_update(
            BUCKET, {"endpointConfigName": V7, "tags": {}}, {"endpointConfigName": V7, "tags": {"a": "b"}}
        )


class TestUnknown:
    def test_another_account(self, world: World) -> None:
        world.serves()
        told = world.refused(world.run(replace(world.plan, account_id="222222222222")))
        assert told.startswith(
            "verdict unknown for model iris version 7 on endpoint e: the credentials are of account "
        )
        assert "nothing was sent to SageMaker" in told

    def test_credentials_that_expire_in_the_bake(self, world: World) -> None:
        world.serves()
        expired = False

        def session() -> Any:
            if expired:
                raise ClientError(
                    {"Error": {"Code": "ExpiredToken", "Message": "The security token is expired"}}, "GetCallerIdentity"
                )
            return world.cloud.session()

        run = world.run(session=session)
        world.before(run)
        world.send()
        world.minutes(13, requests=8)
        expired = True
        told = failed(run)
        assert "verdict unknown" in told
        assert "GetCallerIdentity was answered with ExpiredToken" in told
        assert world.kinds() == [("started", 7)]
        # The next run finds what became of it.
        world.before(world.run(replace(world.plan, version=8, configuration="e-v8-00000000")), asked="e-v8-00000000")
        assert world.kinds() == [("started", 7), ("released", 7), ("started", 8)]

    def test_no_history_no_release(self, world: World) -> None:
        world.serves()
        with pytest.raises(ReleaseError, match="NoSuchBucket"):
            world.run().before_update("no-such-bucket", {}, {"endpointConfigName": V7})

    def test_a_wait_ends(self, world: World) -> None:
        world.serves()
        run = world.run(replace(world.plan, longest_seconds=5))
        world.before(run)
        world.send()
        assert "verdict unknown" in failed(run, provider_error="timeout")
        assert world.kinds()[-1] == ("unknown", 7)
        world.minutes(20)


class TestFirst:
    def test_a_first_release(self, world: World) -> None:
        world.stage.endpoint("e", V6)
        run = world.run(replace(world.plan, version=6, configuration=V6))
        assert run.after(BUCKET, first=True) is None
        assert world.kinds() == [("released", 6)]

    def test_one_that_fails_leaves_nothing_behind(self, world: World) -> None:
        world.stage.sagemaker.delete_model(ModelName="m")
        assert world.stage.endpoint("e", V6)["EndpointStatus"] == "Failed"
        run = world.run(replace(world.plan, version=6, configuration=V6))
        told = failed(run, first=True, provider_error="unexpected state 'Failed'")
        assert "Could not find model" in told
        assert "was deleted: the next up makes it again" in told
        assert world.stage.sagemaker.list_endpoints()["Endpoints"] == []
        assert world.kinds() == [("failed", 6)]

    def test_one_that_a_killed_run_left_goes_too_but_only_if_it_never_served(self, world: World) -> None:
        world.stage.sagemaker.delete_model(ModelName="m")
        world.stage.endpoint("e", V6)
        run = world.run(replace(world.plan, version=6, configuration=V6))
        served = ReleaseEvent(
            at="2026-01-01T00:00:00.000Z",
            kind="released",
            endpoint="e",
            model="iris",
            configuration=V6,
            version=6,
            serves=V6,
            by="x",
        )
        exists = "ValidationException: Cannot create already existing endpoint"
        assert "was deleted" in failed(run, first=True, provider_error=exists)
        world.stage.endpoint("e", V6)
        world.history.add(served)
        assert "was deleted" not in failed(run, first=True, provider_error=exists)
        # This run has made it: whatever served under this name before is gone.
        assert "was deleted" in failed(run, first=True, provider_error="unexpected state 'Failed'")

    def test_what_has_served_is_never_deleted(self, world: World) -> None:
        world.stage.endpoint("e", V6)
        run = world.run(replace(world.plan, version=6, configuration=V6))
        run.after(BUCKET, first=True)
        told = run.after_error(BUCKET, "create", ["Cannot create already existing endpoint"]) or ""
        assert told.endswith("; the state does not know it: mainstage recover says how it gets there")
        assert run.after_error(BUCKET, "delete", ["no"]) is None
        assert world.status() == ("InService", V6)

    def test_an_endpoint_that_the_state_does_not_know_takes_nothing_back(self, world: World) -> None:
        """Nothing of version 7 was sent: it may be released as soon as the endpoint is in the state."""
        world.stage.endpoint("e", V6)
        exists = "ValidationException: Cannot create already existing endpoint"
        with pytest.raises(ReleaseError) as caught:
            world.run().after_error(BUCKET, "create", [exists])
        assert f"serves now: version 6 ({V6})\nreason: {exists}\n" in str(caught.value)
        assert world.kinds() == [("failed", 7)]
        assert blocked(world.history.events(), 7) is None

    def test_a_quota_that_refuses_the_first(self, world: World) -> None:
        run = world.run(replace(world.plan, version=6, configuration=V6))
        with pytest.raises(ReleaseError, match="serves now: nothing\nreason: ResourceLimitExceeded"):
            run.after_error(BUCKET, "create", ["ResourceLimitExceeded"])


class TestAutoscaling:
    @pytest.mark.parametrize("good", [True, False])
    def test_a_changed_instance_type(self, world: World, good: bool) -> None:
        world.serves()
        scaling = world.cloud.client("application-autoscaling")
        scaling.register_scalable_target(**SCALING, MinCapacity=1, MaxCapacity=2, Tags={"team": "ml"})
        larger = "e-v8-00000000"
        world.stage.config(larger, variants={"stable": {"ModelName": "next", "InstanceType": "ml.m5.xlarge"}})
        own = Autoscaling(
            minimum=1, maximum=4, target_value=600.0, scale_in_cooldown_seconds=300, scale_out_cooldown_seconds=60
        )
        plan = replace(
            world.plan, version=8, configuration=larger, instance_type="ml.m5.xlarge", autoscaling=own, declared={}
        )
        run = world.run(plan)
        world.before(run, asked=larger)
        assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
        if good:
            world.send(larger)
            world.minutes(13)
            assert "unproven" in (run.after(BUCKET, first=False) or "")
        else:
            assert "no room" in failed(run, provider_error="no room")
        (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
        assert scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"] == {"team": "ml"}
        (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        assert policy["PolicyName"] == policy_name("e", "stable")

    def test_the_same_type_stays_registered(self, world: World) -> None:
        world.serves()
        scaling = world.cloud.client("application-autoscaling")
        scaling.register_scalable_target(**SCALING, MinCapacity=1, MaxCapacity=2)
        world.before(world.run())
        assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1


class TestApproval:
    def test_the_gate(self, world: World) -> None:
        s3 = world.cloud.client("s3")
        place = "models/iris/7"

        def check(url: str = f"s3://{BUCKET}/{place}/model.tar.gz") -> None:
            check_approval(
                account_id=world.cloud.account_id, model="iris", version=7, url=url, session=world.cloud.session
            )

        def put(name: str, value: Any) -> None:
            s3.put_object(Bucket=BUCKET, Key=f"{place}/{name}", Body=json.dumps(value).encode())

        with pytest.raises(ReleaseError, match="no card"):
            check()
        sha256 = hashlib.sha256(b"x").hexdigest()
        put("card.json", {"archive": {"sha256": sha256}, "pushed_by": "arn:ann"})
        s3.put_object(Bucket=BUCKET, Key=f"{place}/model.tar.gz", Body=b"other", Metadata={"sha256": sha256})
        with pytest.raises(ReleaseError, match="without a SHA-256 for S3 to check"):
            check()
        s3.put_object(Bucket=BUCKET, Key=f"{place}/model.tar.gz", Body=b"other", ChecksumAlgorithm="SHA256")
        with pytest.raises(ReleaseError, match="is not the one of its card"):
            check()
        s3.put_object(Bucket=BUCKET, Key=f"{place}/model.tar.gz", Body=b"x", ChecksumAlgorithm="SHA256")
        with pytest.raises(ReleaseError, match=r"nobody has approved it\nnext: .*mainstage model approve iris 7"):
            check()
        put("approval.json", {"version": 7, "archive_sha256": sha256, "approved_by": "arn:ann"})
        with pytest.raises(ReleaseError, match="from somebody else"):
            check()
        put("approval.json", {"version": 7, "archive_sha256": sha256, "approved_by": "arn:bob"})
        check()
        with pytest.raises(ReleaseError, match="in no registry"):
            check("https://elsewhere/model.tar.gz")
        with pytest.raises(ReleaseError, match=r"approval unknown for model iris version 7: .*NoSuchBucket"):
            check("s3://no-such-bucket-of-ours/models/iris/7/model.tar.gz")
