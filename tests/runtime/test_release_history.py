"""The history of releases: what is written once, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import (
    AlarmSeen,
    HistoryError,
    ReleaseEvent,
    ReleaseHistory,
    asked_configuration,
    blocked,
    event_from,
    expected_configurations,
    moment,
    moment_after,
)

from infra.rehearsal.cloud.cloud import Cloud

ALARM = AlarmSeen(name="iris-guard-errors", window="2 of 3 minutes above 0.01", value_told="0.05 was above 0.01")


def event(kind: str, version: int | None = 7, configuration: str | None = None, **more: Any) -> ReleaseEvent:
    given: dict[str, Any] = {
        "at": "2026-11-21T10:00:00.000Z",
        "by": "arn:aws:sts::111111111111:assumed-role/ci/x",
        "kind": kind,
        "endpoint": "iris",
        "model": "iris",
        "version": version,
        "configuration": configuration or f"iris-v{version}-00000000",
    }
    given |= more
    return ReleaseEvent(**given)


@pytest.fixture
def kept(cloud: Cloud) -> ReleaseHistory:
    cloud.client("s3").create_bucket(Bucket="registry", CreateBucketConfiguration={"LocationConstraint": cloud.region})
    return ReleaseHistory(cloud.client("s3"), "registry", "iris")


def test_events_come_back_in_order_and_whole(kept: ReleaseHistory, cloud: Cloud) -> None:
    assert kept.events() == []
    second = event("taken_back", serves="iris-v6-00000000", alarm=ALARM, requests=412, reason='é\n"')
    first = event("started", at="2026-11-21T09:59:59.999Z")
    assert kept.add(second)
    assert kept.add(first)
    # Another endpoint whose name begins alike is not read.
    assert ReleaseHistory(cloud.client("s3"), "registry", "iris-eu").add(event("failed"))
    assert kept.events() == [first, second]


def test_what_is_written_because_of_an_event_is_read_after_it(kept: ReleaseHistory) -> None:
    assert moment_after([]) <= moment()
    ahead = event("taken_back", at="2099-12-31T23:59:59.999Z")
    kept.add(ahead)
    kept.add(event("retry", at=moment_after(kept.events())))
    assert [found.at for found in kept.events()] == [ahead.at, "2100-01-01T00:00:00.000Z"]
    assert blocked(kept.events(), 7) is None


def test_an_event_with_an_id_is_written_once(kept: ReleaseHistory) -> None:
    told = event("failed")
    assert kept.add(told, id="0b1c2d3e-0000-4000-8000-000000000001")
    assert not kept.add(told, id="0b1c2d3e-0000-4000-8000-000000000001")
    assert kept.add(told)
    assert len(kept.events()) == 2
    with pytest.raises(ValueError, match="no id of an event"):
        kept.add(told, id="a/b")


def test_what_is_no_event_is_named(kept: ReleaseHistory, cloud: Cloud) -> None:
    cloud.client("s3").put_object(Bucket="registry", Key="releases/iris/x.json", Body=b'{"kind": "party"}')
    with pytest.raises(HistoryError, match=r"s3://registry/releases/iris/x\.json is no release event"):
        kept.events()


def test_an_event_of_a_later_release_is_read_without_its_new_fields() -> None:
    told = event("taken_back", alarm=ALARM)
    value = {**history.asdict(told), "mood": "grim"}
    value["alarm"]["colour"] = "red"
    assert event_from(value) == told


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'party'"):
        event("party")


@pytest.mark.parametrize(
    ("told", "blocks"),
    [
        ([], None),
        ([event("started"), event("released")], None),
        ([event("taken_back")], 0),
        ([event("rolled_back")], 0),
        ([event("failed")], None),
        ([event("failed", alarm=ALARM)], 0),
        ([event("unknown")], None),
        ([event("taken_back"), event("retry")], None),
        ([event("taken_back"), event("retry", 6)], 0),
        ([event("taken_back"), event("retry"), event("taken_back")], 2),
        ([event("taken_back"), event("started"), event("unproven")], 0),
        ([event("taken_back", 6), event("taken_back", None)], None),
    ],
)
def test_what_was_taken_back_is_blocked_until_a_person_allows_it(told: list[ReleaseEvent], blocks: int | None) -> None:
    assert blocked(told, 7) is (None if blocks is None else told[blocks])


V6, V7, BY_HAND = "iris-v6-00000000", "iris-v7-00000000", "by-hand"


@pytest.mark.parametrize(
    ("told", "expected", "asked"),
    [
        ([], set(), None),
        ([event("started")], {V7}, V7),
        ([event("started", serves=V6)], {V6, V7}, V7),
        ([event("started", serves=V6), event("released", serves=V7)], {V7}, V7),
        ([event("started", serves=V6), event("unproven", serves=V7)], {V7}, V7),
        ([event("started", serves=V6), event("taken_back", serves=V6)], {V6}, V7),
        ([event("started", serves=V6), event("unknown")], {V6, V7}, V7),
        ([event("started"), event("failed")], {V7}, V7),
        ([event("released"), event("rolled_back", serves=V6)], {V6}, V6),
        ([event("released"), event("unasked", None, BY_HAND, serves=BY_HAND)], {V7}, V7),
        ([event("released"), event("unasked", None, BY_HAND, serves=BY_HAND), event("retry")], {V7, BY_HAND}, V7),
    ],
)
def test_what_may_rightly_serve(told: list[ReleaseEvent], expected: set[str], asked: str | None) -> None:
    assert expected_configurations(told) == expected
    assert asked_configuration(told) == asked


@given(st.lists(st.tuples(st.sampled_from(history.KINDS), st.integers(1, 3))))
def test_a_retry_unblocks_its_version_and_no_other(told: list[tuple[str, int]]) -> None:
    events = [event(kind, version) for kind, version in told]
    assert blocked([*events, event("retry", 2)], 2) is None
    assert blocked([*events, event("retry", 2)], 1) is blocked(events, 1)
