"""What the watch makes of an endpoint: exact decisions, whatever the order in which events come."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import ReleaseEvent
from mainstage_runtime.release_live import Live
from mainstage_runtime.watch_decision import (
    DEPLOYMENT_CHANGE,
    STATE_CHANGE,
    Decision,
    Incident,
    Told,
    decide,
    latest_release,
    seen_note,
    told_of,
)

V5, V6, V7, BY_HAND = "prod-iris-v5-00000000", "prod-iris-v6-00000000", "prod-iris-v7-00000000", "by-hand"
MADE = datetime(2026, 11, 1, tzinfo=UTC)


def event(kind: str, configuration: str = V7, serves: str | None = V6, **more: Any) -> ReleaseEvent:
    given: dict[str, Any] = {"at": "2026-11-21T10:00:00.000Z", "by": "arn:ci", "version": 7, "model": "iris", **more}
    return ReleaseEvent(kind=kind, endpoint="prod-iris", configuration=configuration, serves=serves, **given)


STARTED = event("started")
FIRST = event("released", V6, V6, version=6, at="2026-11-20T10:00:00.000Z")


def told(status: str = "IN_SERVICE", pending: str = "", id: str = "e1") -> Told:
    return Told(
        id=id,
        endpoint="prod-iris",
        account_id="111111111111",
        region="eu-west-1",
        at="2026-11-21T10:20:00Z",
        status=status,
        pending=pending,
    )


def live(status: str = "InService", configuration: str = V6, pending: str | None = None, **more: Any) -> Live:
    return Live(
        status=status,
        configuration=configuration,
        created=MADE,
        modified=MADE,
        pending_configuration=pending,
        pending_since=None if pending is None else MADE,
        **more,
    )


def incident_of(decision: Decision) -> Incident:
    assert decision.incident is not None
    return decision.incident


def what(decision: Decision) -> tuple[str, str, str | None] | None:
    found = decision.incident
    return None if found is None else (found.what, found.configuration, found.serves)


BAKING = live("Updating", V6, V7)
BACK = live("RollingBack", V6, V7)
SEEN = seen_note(STARTED)


class TestTold:
    def test_the_two_events_of_the_developer_guide(self) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html"""
        deployment = {
            "version": "0",
            "id": "0bd4a141-0a02-9d8a-f977-3924c3fb259c",
            "detail-type": "SageMaker Endpoint Deployment State Change",
            "source": "aws.sagemaker",
            "account": "111122223333",
            "time": "2021-10-25T01:52:12Z",
            "region": "us-west-2",
            "resources": ["arn:aws:sagemaker:us-west-2:111122223333:endpoint/sample-endpoint"],
            "detail": {
                "EndpointName": "sample-endpoint",
                "EndpointConfigName": "sample-endpoint-config-1",
                "EndpointStatus": "UPDATING",
                "Tags": {},
                "PendingDeploymentSummary": {"EndpointConfigName": "sample-endpoint-config-2"},
            },
        }
        assert told_of(deployment) == Told(
            id="0bd4a141-0a02-9d8a-f977-3924c3fb259c",
            endpoint="sample-endpoint",
            account_id="111122223333",
            region="us-west-2",
            at="2021-10-25T01:52:12Z",
            status="UPDATING",
            pending="sample-endpoint-config-2",
        )
        state = {**deployment, "detail-type": STATE_CHANGE, "time": "1583831889050"}
        state["detail"] = {"EndpointName": "MyEndpoint", "EndpointStatus": "IN_SERVICE", "Tags": {}}
        assert (told_of(state).status, told_of(state).pending) == ("IN_SERVICE", "")
        assert deployment["detail-type"] == DEPLOYMENT_CHANGE

    @pytest.mark.parametrize("wrong", [{}, {"detail": {}}, {"detail-type": "SageMaker Model State Change"}])
    def test_what_is_no_such_event_fails(self, wrong: dict[str, Any]) -> None:
        whole = {"id": "1", "account": "1", "region": "r", "time": "t", "detail-type": STATE_CHANGE}
        with pytest.raises((KeyError, ValueError)):
            told_of({**whole, "detail": {"EndpointName": "x"}, **wrong} if wrong else {})


class TestARelease:
    def test_one_under_way_is_noted_once_and_nobody_is_woken(self) -> None:
        assert decide(told("UPDATING", V7), BAKING, [FIRST, STARTED], []) == Decision(notes=(SEEN,))
        assert decide(told("UPDATING", V7), BAKING, [FIRST, STARTED], [SEEN]) == Decision()

    def test_one_that_came_into_service_is_recorded_and_wakes_nobody(self) -> None:
        found = incident_of(decide(told(), live(configuration=V7), [FIRST, STARTED], [SEEN]))
        assert (found.what, found.configuration, found.serves, found.pages) == ("released", V7, V7, False)
        assert found.known is None

    def test_one_that_others_recorded_is_not_recorded_again(self) -> None:
        for kind in ("released", "unproven"):
            assert decide(told(), live(configuration=V7), [STARTED, event(kind, serves=V7)], [SEEN]) == Decision()

    def test_one_that_is_being_taken_back(self) -> None:
        found = incident_of(decide(told("ROLLING_BACK"), BACK, [FIRST, STARTED], [SEEN]))
        assert (found.what, found.configuration, found.serves, found.start) == ("ended", V7, V6, STARTED)
        assert found.pages

    def test_it_is_one_incident_from_the_first_sign_to_the_last(self) -> None:
        """Whoever sees it first tells it; that it is over, and that the hooks recorded it meanwhile, is no news."""
        ways = [
            decide(told("ROLLING_BACK"), BACK, [STARTED], []),
            decide(told("ROLLING_BACK"), live("RollingBack"), [STARTED], []),
            decide(told("ROLLING_BACK"), live(), [STARTED], []),
            decide(told("IN_SERVICE"), live(), [STARTED], [SEEN]),
            decide(told("UPDATING", V7), live(), [STARTED], []),
            decide(told("IN_SERVICE"), live(), [STARTED, event("taken_back")], []),
            decide(told("IN_SERVICE"), live(), [STARTED, event("unknown")], [SEEN]),
        ]
        (name,) = {incident_of(way).name for way in ways}
        assert {what(way) for way in ways} == {("ended", V7, V6)}
        for way, status in itertools.product([BACK, live()], ["ROLLING_BACK", "IN_SERVICE"]):
            assert decide(told(status), way, [STARTED, event("taken_back")], [SEEN, f"done-{name}"]).incident is None

    def test_the_same_version_taken_back_again_is_another_incident(self) -> None:
        first = incident_of(decide(told("ROLLING_BACK"), BACK, [STARTED], []))
        again = [STARTED, event("taken_back"), event("retry"), event("started", at="2026-11-22T10:00:00.000Z")]
        second = incident_of(decide(told("ROLLING_BACK"), BACK, again, [f"done-{first.name}"]))
        assert second.name != first.name
        assert second.known is None

    def test_an_old_event_between_the_start_and_its_update_proves_nothing(self) -> None:
        """`started` is written before UpdateEndpoint is sent: until then the old configuration is the right one."""
        assert decide(told(), live(), [FIRST, STARTED], []) == Decision()
        same = event("started", V6, V6)
        assert decide(told(), live(), [FIRST, same], []) == Decision()
        assert what(decide(told(), live(), [FIRST, same], [seen_note(same)])) == ("released", V6, V6)

    def test_an_update_that_was_refused_at_once_wakes_nobody(self) -> None:
        assert decide(told(), live(), [FIRST, STARTED, event("failed")], []) == Decision()
        found = incident_of(decide(told(), live(), [FIRST, STARTED, event("failed")], [SEEN]))
        assert found.known == event("failed")

    def test_after_a_retry_what_was_taken_back_is_old_news(self) -> None:
        told_before = incident_of(decide(told("ROLLING_BACK"), BACK, [STARTED], []))
        events = [STARTED, event("taken_back"), event("retry")]
        assert decide(told(), live(), events, [f"done-{told_before.name}"]) == Decision()


class TestStatesThatAPersonHasToEnd:
    @pytest.mark.parametrize(
        ("status", "serves"), [("Failed", None), ("OutOfService", None), ("UpdateRollbackFailed", V6)]
    )
    def test_they_wake_a_person_once(self, status: str, serves: str | None) -> None:
        found = incident_of(decide(told(), live(status), [FIRST, STARTED], [SEEN]))
        assert (found.what, found.configuration, found.serves) == ("broken", V7, serves)
        assert decide(told(), live(status), [FIRST, STARTED], [SEEN, f"done-{found.name}"]) == Decision()

    def test_it_is_another_page_than_the_rollback_that_went_before(self) -> None:
        back = incident_of(decide(told("ROLLING_BACK"), BACK, [FIRST, STARTED], [SEEN]))
        stuck = decide(told(), live("UpdateRollbackFailed"), [FIRST, STARTED, event("taken_back")], [SEEN])
        assert incident_of(stuck).name != back.name

    def test_when_a_person_has_ended_it_nobody_is_woken_once_more(self) -> None:
        found = incident_of(decide(told(), live("UpdateRollbackFailed"), [FIRST, STARTED], [SEEN]))
        notes = [SEEN, f"told-{found.name}", f"done-{found.name}"]
        after = decide(told(), live(), [FIRST, STARTED, event("failed", by="watch")], notes)
        assert after == Decision(notes=(f"over-{found.name}",))

    def test_a_first_release_that_fails(self) -> None:
        created = live("Failed", "")
        assert what(decide(told("FAILED"), created, [], [])) == ("broken", "", None)

    def test_an_endpoint_that_is_gone_is_nobodys_news(self) -> None:
        assert decide(told("FAILED"), None, [STARTED], []) == Decision()


class TestWhatNobodyAskedFor:
    def test_it_is_told(self) -> None:
        assert what(decide(told(), live(configuration=V5), [FIRST], [])) == ("unasked", V5, V5)
        assert what(decide(told(), live(configuration=BY_HAND), [FIRST, STARTED], [SEEN])) == (
            "unasked",
            BY_HAND,
            BY_HAND,
        )

    def test_without_a_history_nothing_can_be_wrong(self) -> None:
        assert decide(told(), live(configuration=V5), [], []) == Decision()

    def test_what_a_person_moved_to_with_mainstage_was_asked_for(self) -> None:
        moved = event("rolled_back", V6, V5, version=6)
        assert decide(told(), live(configuration=V5), [FIRST, moved], []) == Decision()

    def test_it_is_told_once_and_anew_when_it_comes_again(self) -> None:
        found = incident_of(decide(told(), live(configuration=V5), [FIRST], []))
        recorded = event("unasked", V5, V5, by="watch", version=5)
        notes = [f"told-{found.name}", f"done-{found.name}"]
        assert decide(told(), live(configuration=V5), [FIRST, recorded], notes) == Decision()
        back = decide(told(), live(), [FIRST, recorded], notes)
        assert back == Decision(notes=(f"over-{found.name}",))
        notes += back.notes
        assert decide(told(), live(), [FIRST, recorded], notes) == Decision()
        again = incident_of(decide(told(), live(configuration=V5), [FIRST, recorded], notes))
        assert again.name != found.name
        assert (found.known, again.known) == (None, None)

    def test_one_that_was_recorded_and_not_told_is_told_and_not_recorded(self) -> None:
        recorded = event("unasked", V5, V5, by="watch", version=5)
        found = incident_of(decide(told(), live(configuration=V5), [FIRST, recorded], []))
        assert found.known == recorded

    def test_an_endpoint_made_anew_is_not_held_against_the_history_of_the_old_one(self) -> None:
        creating = decide(told("CREATING"), live("Creating", ""), [FIRST], [])
        assert len(creating.notes) == 1
        notes = list(creating.notes)
        assert decide(told(), live(configuration=V5), [FIRST], notes) == Decision()
        # Once something was recorded of it, the history is its own.
        after = [FIRST, event("released", V5, V5, at="2026-11-21T11:00:00.000Z")]
        assert decide(told(), live(configuration=V5), after, notes) == Decision()
        assert what(decide(told(), live(configuration=BY_HAND), after, notes)) == ("unasked", BY_HAND, BY_HAND)

    def test_a_rollback_of_something_unasked(self) -> None:
        found = incident_of(decide(told("ROLLING_BACK"), live("RollingBack", V6, BY_HAND), [FIRST], []))
        assert (found.what, found.configuration, found.serves, found.start) == ("foreign", BY_HAND, V6, None)
        recorded = event("taken_back", BY_HAND, V6, by="watch", version=None)
        again = incident_of(decide(told("ROLLING_BACK"), live("RollingBack", V6, BY_HAND), [FIRST, recorded], []))
        assert (again.name, again.known) == (found.name, recorded)
        # That it is nobody's release does not change what the last one came to.
        assert latest_release([STARTED, event("released", serves=V7), recorded])[1] == event("released", serves=V7)

    def test_a_person_s_step_back_that_rolls_back_was_asked_for_by_that_person(self) -> None:
        moved = event("rolled_back", V7, V6, at="2026-11-21T10:30:00.000Z", by="arn:ann")
        events = [STARTED, event("released", serves=V7), moved]
        found = incident_of(decide(told("ROLLING_BACK"), live("RollingBack", V7, V6), events, [SEEN]))
        assert (found.configuration, found.serves, found.start) == (V6, V7, moved)
        # Not of a later one, which nobody did.
        found = incident_of(decide(told("ROLLING_BACK"), live("RollingBack", V6, BY_HAND), events, [SEEN]))
        assert found.start is None

    def test_a_change_of_counts_that_rolls_back_is_no_release(self) -> None:
        """DescribeEndpoint, EndpointStatus: RollingBack is also what a change of weights or counts may end in."""
        assert decide(told("ROLLING_BACK"), live("RollingBack"), [FIRST], []) == Decision()
        released = [STARTED, event("released", serves=V7)]
        assert decide(told("ROLLING_BACK"), live("RollingBack", V7), released, [SEEN]) == Decision()


STATES = ["Creating", "Updating", "SystemUpdating", "RollingBack", "InService", "Failed", "Deleting", "OutOfService"]
CONFIGURATIONS = [V5, V6, V7, BY_HAND]
EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(history.KINDS),
        st.sampled_from(CONFIGURATIONS),
        st.sampled_from([None, *CONFIGURATIONS]),
        by=st.sampled_from(["watch", "arn:ci"]),
    ),
    max_size=5,
)


@given(
    st.sampled_from(STATES),
    st.sampled_from(CONFIGURATIONS),
    st.sampled_from([None, *CONFIGURATIONS]),
    st.sampled_from(["UPDATING", "ROLLING_BACK", "IN_SERVICE", "CREATING"]),
    EVENTS,
)
def test_whatever_happens_an_incident_is_told_once(
    status: str, configuration: str, pending: str | None, said: str, events: list[ReleaseEvent]
) -> None:
    now = live(status, configuration, pending)
    notes: list[str] = []
    names: list[str] = []
    for _ in range(3):
        decision = decide(told(said), now, events, notes)
        notes += decision.notes
        if decision.incident is not None:
            names.append(decision.incident.name)
            notes += [f"told-{names[-1]}", f"done-{names[-1]}"]
    assert len(names) == len(set(names)) <= 1
    for note in [*notes, *names]:
        assert json.dumps(note).isascii()
        assert len(note) <= 64
