"""A test page passes the topic's policy and its key, and says truly who receives it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rehearsed import Rehearsed

from infra.pager import send_test_page

NOW = datetime(2026, 1, 31, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_a_test_page_arrives(rehearsed: Rehearsed, root: Path, severity: str) -> None:
    before = len(rehearsed.cloud.messages)
    sent = send_test_page(rehearsed.rehearsal.target, root, severity, NOW)
    found = [
        each
        for each in rehearsed.cloud.messages[before:]
        if each.topic_arn.endswith(f":mainstage-dev-{severity}") and each.subject.startswith("TEST ")
    ]
    assert [each.subject for each in found] == [f"TEST mainstage-dev {severity}: nothing is wrong"]
    assert "Nothing is wrong." in found[0].message
    assert (sent.confirmed, sent.pending, sent.reaches_nobody) == (0, 0, True)


def test_a_subscription_counts(rehearsed: Rehearsed, root: Path) -> None:
    topic = send_test_page(rehearsed.rehearsal.target, root, "ticket", NOW).topic_arn
    sns = rehearsed.client("sns")
    made = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ann@example.com", ReturnSubscriptionArn=True)
    try:
        sent = send_test_page(rehearsed.rehearsal.target, root, "ticket", NOW)
        assert sent.confirmed + sent.pending == 1
        assert sent.reaches_nobody is (sent.confirmed == 0)
    finally:
        sns.unsubscribe(SubscriptionArn=made["SubscriptionArn"])
