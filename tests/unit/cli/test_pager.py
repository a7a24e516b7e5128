"""`mainstage pager test`: a page that says that nothing is wrong, and who receives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cli import TARGET, Ended, runner

from infra.cli.pager import Severity
from infra.pager import SEVERITIES, message, topic_arn

Run = Callable[..., Ended]
ARN = "arn:aws:sns:eu-west-1:111111111111:mainstage-dev-page"
SENDER = "arn:aws:iam::111111111111:user/ann"


class Topics:
    """SNS and STS as far as the command asks them."""

    def __init__(self) -> None:
        self.subscriptions = [f"{ARN}:1", f"{ARN}:2"]
        self.sent: list[dict[str, str]] = []
        self.refusal = ""

    def get_paginator(self, operation: str) -> Topics:
        assert operation == "list_subscriptions_by_topic"
        return self

    def paginate(self, TopicArn: str) -> Iterator[dict[str, Any]]:
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": "no"}}, "ListSubscriptionsByTopic")
        yield from ({"Subscriptions": [{"SubscriptionArn": each}]} for each in self.subscriptions)

    def publish(self, **sent: str) -> dict[str, str]:
        self.sent.append(sent)
        return {"MessageId": "m-1"}

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": SENDER}


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], topics: Topics) -> Run:
    return runner(monkeypatch, capsys, {"sns": topics, "sts": topics})


def test_it_says_who_receives_it(run: Run, topics: Topics) -> None:
    ended = run("pager", "test")
    assert (ended.code, ended.err) == (0, "")
    assert f"sent to {ARN}: 2 confirmed subscriptions receive it (message m-1)" in ended.out
    assert "note:" not in ended.out
    ((sent,)) = topics.sent
    assert sent["TopicArn"] == ARN
    assert sent["Subject"] == "TEST mainstage-dev page: nothing is wrong"


def test_it_warns_when_it_reaches_nobody(run: Run, topics: Topics) -> None:
    topics.subscriptions = ["PendingConfirmation"]
    ended = run("pager", "test", "--severity", "ticket")
    assert ended.code == 0
    assert "0 confirmed subscriptions receive it" in ended.out
    assert "note: 1 subscription is not confirmed by the receiver: nothing arrives there" in ended.out
    assert "note: nobody receives a ticket" in ended.out
    assert "--topic-arn arn:aws:sns:eu-west-1:111111111111:mainstage-dev-ticket" in ended.out


def test_json_is_one_document(run: Run, topics: Topics) -> None:
    topics.subscriptions = []
    ended = run("pager", "test", "--json")
    assert json.loads(ended.out) == {
        "severity": "page",
        "topic_arn": ARN,
        "message_id": "m-1",
        "confirmed": 0,
        "pending": 0,
        "reaches_nobody": True,
    }
    assert "nobody receives a page" in ended.err


def test_a_person_can_act_on_it(root: Path) -> None:
    runbook = "https://example.com/docs/runbooks/pager-test.md"
    subject, text = message(TARGET, "page", ARN, SENDER, runbook, datetime(2026, 1, 31, 3, 5, tzinfo=UTC))
    assert text.splitlines() == [
        "This is a test of the pager. Nothing is wrong.",
        "",
        f"Topic:     {ARN}",
        "Where:     dev, account 111111111111, region eu-west-1",
        f"Sent:      2026-01-31 03:05:00 UTC by {SENDER}",
        "Meant for: whoever is woken at night",
        "Do:        acknowledge it where your pager asks for it; nothing else",
        f"Runbook:   {runbook}",
    ]
    assert subject.isascii()
    assert len(subject) < 100
    assert (root / "docs" / "runbooks" / "pager-test.md").is_file()


def test_the_runbook_is_that_of_the_stack_file(run: Run, topics: Topics) -> None:
    run("pager", "test")
    assert topics.sent[0]["Message"].splitlines()[-1].endswith("/docs/runbooks/pager-test.md")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "NotFound",
            "there is no topic arn:aws:sns:eu-west-1:111111111111:mainstage-dev-page; the platform layer makes",
        ),
        ("AuthorizationError", "a test page needs sns:Publish"),
        ("Throttling", "Throttling"),
    ],
)
def test_what_is_in_the_way_is_said(run: Run, topics: Topics, code: str, says: str) -> None:
    topics.refusal = code
    ended = run("pager", "test")
    assert ended.code == 1
    assert f"error: {says}" in ended.err or says in ended.err
    assert topics.sent == []


def test_severities_are_the_components() -> None:
    assert tuple(each.value for each in Severity) == SEVERITIES


def test_other_partitions_have_their_own_arns() -> None:
    china = replace(TARGET, region="cn-north-1")
    assert topic_arn(china, "page") == "arn:aws-cn:sns:cn-north-1:111111111111:mainstage-dev-page"
