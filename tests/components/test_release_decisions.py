"""What the release hooks decide and say, over plain data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from mainstage._release_access import said
from mainstage._release_approval import archive_place, beside, problem
from mainstage._release_plan import ReleasePlan
from mainstage._release_refusals import alarmed, refusals, sends_update, sent_alarms, told_unasked, unasked_event
from mainstage._release_refusals import told as told_refused
from mainstage._release_verdict import Verdict, judge, serving, told, unknown, verdict_event
from mainstage_runtime.release_history import VERDICTS, AlarmSeen, ReleaseEvent
from mainstage_runtime.release_live import Guard, Live, version_of, window_text

V6, V7 = "iris-v6-00000000", "iris-v7-00000000"
ALARMS = ("iris-guard-errors", "iris-guard-stop")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLAN = ReleasePlan(
    endpoint="iris",
    region="eu-west-1",
    account_id="111111111111",
    model="iris",
    version=7,
    configuration=V7,
    declared={V7: 7, V6: 6},
    variant="stable",
    instance_type="ml.m5.large",
    instance_count=2,
    alarms=ALARMS,
    minimum_requests=20,
    longest_seconds=3600,
    runbook_base_url="https://example.com/runbooks/",
)
LIVE = Live(status="InService", configuration=V6, created=NOON, modified=NOON, instances={"stable": 2})
GUARDS = [Guard(name=name, state="OK", since=NOON, told="", window="x above 1 in 2 of 3 minutes") for name in ALARMS]
SEEN = AlarmSeen(
    name=ALARMS[0], window="share of failed requests above 0.01 in 2 of 3 minutes", value_told="0.05 > 0.01"
)


def event(kind: str, version: int | None = 7, **more: Any) -> ReleaseEvent:
    given: dict[str, Any] = {
        "at": "2026-11-21T10:00:00.000Z",
        "by": "arn:aws:iam::111111111111:user/kim",
        "kind": kind,
        "endpoint": "iris",
        "model": "iris",
        "version": version,
        "configuration": f"iris-v{version}-00000000",
    }
    return ReleaseEvent(**given | more)


def rules(
    live: Live = LIVE,
    events: list[ReleaseEvent] | None = None,
    guards: list[Guard] | None = None,
    sent: frozenset[str] = frozenset(ALARMS),
    plan: ReleasePlan = PLAN,
) -> list[str]:
    return [refusal.rule for refusal in refusals(plan, live, events or [], GUARDS if guards is None else guards, sent)]


class TestRefusals:
    def test_a_release_over_what_was_asked_for_is_sent(self) -> None:
        assert rules() == []
        assert rules(events=[event("released", 6)]) == []

    @pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
    def test_another_deployment(self, status: str) -> None:
        assert rules(replace(LIVE, status=status)) == ["pending"]
        under_way = replace(LIVE, pending_since=NOON, pending_configuration="iris-v8-00000000")
        (found,) = refusals(PLAN, under_way, [], GUARDS, frozenset())
        assert found.rule == "pending"
        assert "to iris-v8-00000000 is under way since 2026-11-21 12:00 UTC" in found.text
        assert "mainstage model abort iris" in found.text

    def test_an_update_that_would_carry_other_alarms_than_ours(self) -> None:
        assert rules(sent=frozenset()) == ["unguarded"]
        assert rules(sent=frozenset([ALARMS[0]])) == ["unguarded"]
        assert rules(sent=frozenset([*ALARMS, "other"])) == ["unguarded"]
        assert rules(guards=GUARDS[:1]) == ["missing-alarms"]

    def test_where_the_guards_are_missing_is_told_with_the_command_that_puts_them_there(self) -> None:
        (found,) = refusals(PLAN, LIVE, [], GUARDS, frozenset())
        assert found.text == (
            "the live endpoint was updated by somebody without Mainstage's guard alarms, so this release would have "
            "none. Bring them back first: mainstage model restore-guards iris"
        )
        # Brought back in the console: the update would be sent by the state, out of which a refresh has dropped them.
        mended_by_hand = replace(LIVE, rollback_alarms=frozenset(ALARMS))
        (found,) = refusals(PLAN, mended_by_hand, [], GUARDS, frozenset())
        assert found.rule == "unguarded"
        assert found.text == (
            "the live endpoint has its guard alarms, the stack's state has lost them, so this release would be sent "
            "without. Put them back into the state first: mainstage model restore-guards iris"
        )
        assert rules(replace(LIVE, rollback_alarms=frozenset(ALARMS)), sent=frozenset(ALARMS)) == []

    def test_what_was_taken_back(self) -> None:
        taken_back = event("taken_back", serves=V6, alarm=SEEN, reason="it rang")
        (found,) = refusals(PLAN, LIVE, [taken_back], GUARDS, frozenset(ALARMS))
        assert found.rule == "blocked"
        assert f"was taken back on 2026-11-21 10:00 UTC by {ALARMS[0]} (share of failed requests" in found.text
        assert 'mainstage model retry iris --reason "…"' in found.text
        assert rules(events=[taken_back, event("retry")]) == []
        assert rules(events=[taken_back], plan=replace(PLAN, version=8, configuration="iris-v8-00000000")) == []
        # What serves is not taken back by refusing an update of something else of it.
        assert rules(replace(LIVE, configuration=V7), [taken_back]) == []
        assert rules(events=[event("rolled_back", serves=V6)]) == ["blocked"]

    def test_what_nobody_asked_for(self) -> None:
        by_hand = replace(LIVE, configuration="by-hand")
        assert rules(by_hand) == []  # nothing is known of this endpoint yet
        released = [event("released", 6)]
        assert rules(by_hand, released) == ["unasked"]
        told_of = [*released, unasked_event(PLAN, by_hand, by="x", at="2026-11-21T11:00:00.000Z")]
        assert rules(by_hand, told_of) == ["unasked"]
        assert rules(by_hand, [*told_of, event("retry")]) == []
        assert told_unasked(told_of, "by-hand")
        assert not told_unasked(told_of, V6)
        assert not told_unasked([*told_of, event("started")], "by-hand")

    def test_a_rollback_at_the_console_blocks_what_was_left_and_nothing_else(self) -> None:
        released = [event("released", 7)]
        assert rules(LIVE, released) == ["unasked"]
        later = replace(PLAN, version=8, configuration="iris-v8-00000000", declared={"iris-v8-00000000": 8, V6: 6})
        assert rules(LIVE, released, plan=later) == []

    def test_fewer_instances_and_another_variant(self) -> None:
        assert rules(replace(LIVE, instances={"stable": 3})) == ["fewer"]
        assert rules(replace(LIVE, instances={"stable": 1})) == []
        assert rules(replace(LIVE, instances={"blue": 1})) == ["other-variant"]

    def test_every_reason_is_told_at_once(self) -> None:
        live = replace(LIVE, instances={"stable": 5})
        found = refusals(PLAN, live, [event("taken_back", serves=V6)], GUARDS, frozenset())
        text = told_refused(PLAN, found)
        assert text.startswith("model iris version 7 is not released to endpoint iris\nunguarded: ")
        assert "\nblocked: " in text
        assert "\nfewer: 5 instances are live and this release would start with 2" in text
        assert text.endswith("runbook: https://example.com/runbooks/release-rolled-back.md")

    def test_a_guard_in_alarm(self) -> None:
        assert alarmed(GUARDS) == []
        (errors, stop) = alarmed([replace(guard, state="ALARM") for guard in GUARDS])
        assert f"guard {ALARMS[0]} is in ALARM since 2026-11-21 12:00 UTC (x above 1 in 2 of 3 minutes)" in errors.text
        assert "once its window is clean" in errors.text
        assert "A person raised it" in stop.text

    def test_only_another_configuration_or_deployment_is_an_update(self) -> None:
        alarms = {"alarms": [{"alarmName": name} for name in ALARMS]}
        asked = {
            "endpointConfigName": V7,
            "deploymentConfig": {
                "autoRollbackConfiguration": alarms,
                "blueGreenUpdatePolicy": {"terminationWaitInSeconds": 120.0},
            },
            "tags": {"a": "b"},
        }
        read = {**asked, "tags": {}, "id": "iris", "arn": "arn"}
        assert not sends_update(read, asked)
        assert sends_update({**read, "endpointConfigName": V6}, asked)
        assert sends_update({**read, "deploymentConfig": {"autoRollbackConfiguration": alarms}}, asked)
        assert sends_update({"endpointConfigName": V7}, asked)
        shorter = {"autoRollbackConfiguration": {"alarms": alarms["alarms"][:1]}}
        assert sends_update({**read, "deploymentConfig": shorter}, asked)
        assert sent_alarms(asked) == frozenset(ALARMS)
        assert sent_alarms({"endpointConfigName": V7}) == sent_alarms({"deploymentConfig": {}}) == frozenset()


def test_of_a_signature_that_does_not_fit_no_token_is_told() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html"""
    told_by_aws = "The request signature does not match.\n\nThe Canonical String ...\nx-amz-security-token:IQoJb3J"
    error = ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": told_by_aws}}, "GetCallerIdentity")
    assert said(error) == (
        "GetCallerIdentity was answered with SignatureDoesNotMatch: The request signature does not match."
    )


def verdict(live: Live | None, **given: Any) -> Verdict:
    return judge(PLAN, live, **{"first": False, "alarm": None, "minutes": []} | given)


class TestVerdict:
    def test_released_and_unproven(self) -> None:
        served = replace(LIVE, configuration=V7)
        assert verdict(served, minutes=[5, 20, 3]) == Verdict(kind="released", serves=V7, requests=28)
        found = verdict(served, minutes=[19, 19])
        assert (found.kind, found.good, found.requests) == ("unproven", True, 38)
        assert found.reason == "at most 19 requests in a minute, and the guards judge from 20 a minute on"
        assert verdict(served).kind == "unproven"
        assert verdict(served, first=True).kind == "released"

    def test_taken_back(self) -> None:
        words = "Deployment was rolled back: an alarm rang"
        found = verdict(replace(LIVE, failure_reason=words), alarm=SEEN, minutes=[200, 212])
        assert (found.kind, found.serves, found.alarm, found.requests) == ("taken_back", V6, SEEN, 412)
        assert verdict(LIVE).kind == "taken_back"
        assert verdict(replace(LIVE, failure_reason=words)).kind == "taken_back"

    def test_never_came_up(self) -> None:
        ping = "The primary container did not pass the ping health check."
        assert verdict(replace(LIVE, failure_reason=ping)).kind == "failed"
        assert verdict(replace(LIVE, status="Failed", failure_reason=ping), first=True).serves is None
        assert verdict(None, provider_error="no room").reason == "no room"
        quota = verdict(
            replace(LIVE, failure_reason="an old alarm"), sent=False, provider_error="ResourceLimitExceeded"
        )
        assert (quota.kind, quota.reason, quota.serves) == ("failed", "ResourceLimitExceeded", V6)

    def test_a_model_that_is_called_after_alarms_came_up_or_not_as_any_other(self) -> None:
        plan = replace(PLAN, endpoint="prod-fire-alarm", model="fire-alarm")
        lost = "Could not find arn:aws:sagemaker:::model/prod-fire-alarm-v7-0000000a at s3://b/models/fire-alarm/7/m"

        def kind(reason: str) -> str:
            return judge(plan, replace(LIVE, failure_reason=reason), first=False, alarm=None, minutes=[]).kind

        assert (kind(lost), kind("An alarm of prod-fire-alarm rang")) == ("failed", "taken_back")

    def test_both_faces_of_the_provider_read_alike(self) -> None:
        live = replace(LIVE, failure_reason="an alarm rang", modified=NOON + timedelta(hours=1))
        polled = verdict(live, alarm=SEEN, minutes=[412], provider_error="unexpected state 'RollingBack'")
        missed = verdict(live, alarm=SEEN, minutes=[412])
        assert told(PLAN, polled) == told(PLAN, missed)

    def test_the_message_says_what_a_person_needs(self) -> None:
        text = told(PLAN, verdict(replace(LIVE, failure_reason="an alarm rang"), alarm=SEEN, minutes=[412]))
        assert text == (
            "model iris version 7 was taken back from endpoint iris\n"
            f"serves now: version 6 ({V6})\n"
            "alarm: iris-guard-errors\n"
            "window: share of failed requests above 0.01 in 2 of 3 minutes\n"
            "CloudWatch: 0.05 > 0.01\n"
            "reason: an alarm rang\n"
            "requests that version 7 answered: 412\n"
            "runbook: https://example.com/runbooks/release-rolled-back.md\n"
            "next: each up refuses version 7 until the catalog names another one (mainstage model rollback iris), or: "
            'mainstage model retry iris --reason "…"'
        )

    def test_a_stop_names_the_person(self) -> None:
        stop = AlarmSeen(name=ALARMS[1], window="w", value_told="")
        assert "alarm: iris-guard-stop (a person stopped the release)" in told(PLAN, verdict(LIVE, alarm=stop))

    def test_a_first_release_that_failed_says_that_the_endpoint_is_gone(self) -> None:
        failed = verdict(replace(LIVE, status="Failed", failure_reason="no ping"), first=True)
        text = told(PLAN, failed, removed=True)
        assert "never came up on endpoint iris\nserves now: nothing\nreason: the endpoint is Failed: no ping" in text
        assert "was deleted: the next up makes it again" in text
        assert "retry" not in text

    def test_an_unknown_verdict_is_no_success(self) -> None:
        text = unknown(PLAN, "GetCallerIdentity was answered with ExpiredToken: …")
        assert text.startswith("verdict unknown for model iris version 7 on endpoint iris: GetCallerIdentity was")
        assert "the alarms that guard it stay in force" in text
        assert "nothing was sent" in unknown(PLAN, "x", sent=False)

    @given(
        st.one_of(st.none(), st.sampled_from(["InService", "Failed", "OutOfService", "UpdateRollbackFailed"])),
        st.sampled_from([V6, V7, "by-hand"]),
        st.booleans(),
        st.booleans(),
        st.text(max_size=2000),
        st.lists(st.integers(0, 100), max_size=5),
    )
    def test_good_is_only_what_serves_what_was_asked(
        self, status: str | None, configuration: str, first: bool, rang: bool, words: str, minutes: list[int]
    ) -> None:
        live = (
            None if status is None else replace(LIVE, status=status, configuration=configuration, failure_reason=words)
        )
        found = verdict(live, first=first, alarm=SEEN if rang else None, minutes=minutes, provider_error=words)
        assert found.good == (status == "InService" and configuration == V7)
        assert found.kind in VERDICTS
        assert len(found.reason) < 800
        assert verdict_event(PLAN, found, by="me", at="t").serves == found.serves
        assert told(PLAN, found)


class TestApproval:
    CARD: ClassVar[dict[str, Any]] = {"archive": {"sha256": "a1"}, "pushed_by": "arn:aws:iam::1:user/ann"}
    APPROVAL: ClassVar[dict[str, Any]] = {
        "version": 7,
        "archive_sha256": "a1",
        "approved_by": "arn:aws:iam::1:user/bob",
    }

    def test_somebody_else_approved_this_archive(self) -> None:
        assert problem(7, "a1", self.CARD, self.APPROVAL) is None

    @pytest.mark.parametrize(
        ("sha256", "card", "approval", "words"),
        [
            ("a1", None, APPROVAL, "no card"),
            ("a1", {}, APPROVAL, "no SHA-256"),
            ("b2", CARD, APPROVAL, "is not the one of its card"),
            (None, CARD, APPROVAL, "without a SHA-256 for S3 to check"),
            ("a1", CARD, None, "nobody has approved it"),
            ("a1", CARD, {**APPROVAL, "version": 6}, "for version 6"),
            ("a1", CARD, {**APPROVAL, "archive_sha256": "b2"}, "names another archive"),
            ("a1", CARD, {**APPROVAL, "approved_by": None}, "does not say whose"),
            ("a1", {**CARD, "pushed_by": None}, APPROVAL, "does not say who pushed"),
            ("a1", CARD, {**APPROVAL, "approved_by": CARD["pushed_by"]}, "pushed it and approved it"),
        ],
    )
    def test_everything_else_is_refused(self, sha256: Any, card: Any, approval: Any, words: str) -> None:
        assert words in (problem(7, sha256, card, approval) or "")

    def test_where_card_and_approval_lie(self) -> None:
        assert archive_place("s3://bucket/models/iris/7/model.tar.gz") == ("bucket", "models/iris/7/model.tar.gz")
        assert archive_place("https://bucket/x") is archive_place("s3://bucket") is None
        assert beside("models/iris/7/model.tar.gz", "card.json") == "models/iris/7/card.json"


def test_names_and_windows() -> None:
    assert [version_of(name) for name in (V7, "dev-iris-v12-89abcdef", "by-hand", None)] == [7, 12, None, None]
    assert serving("by-hand") == "by-hand"
    assert serving(None) == "nothing"
    base = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 3, "DatapointsToAlarm": 2, "Period": 60}
    latency = {**base, "MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Threshold": 800000.0}
    assert window_text(latency) == "p99 of ModelLatency above 800 ms in 2 of 3 minutes"
    ratio = {
        **base,
        "Threshold": 0.01,
        "Metrics": [
            {"Id": "r", "MetricStat": {"Period": 300}, "ReturnData": False},
            {"Id": "e", "Expression": "r", "Label": "share of failed requests", "ReturnData": True},
        ],
    }
    assert window_text(ratio) == "share of failed requests above 0.01 in 2 of 3 periods of 300 seconds"
