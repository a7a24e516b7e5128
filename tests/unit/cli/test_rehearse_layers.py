"""What rehearse-up and rehearse-down tell a person and a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli import Ended, runner

from infra.cli import rehearse_layers
from infra.rehearsal import standing
from infra.rehearsal.cloud_control import Running
from infra.rehearsal.pulumi_cli.told import Remaining
from infra.rehearsal.standing import Left, StackDone, Stood

RUNNING = Running(
    Path("/checkout"),
    7,
    "prod",
    "333333333333",
    "eu-west-1",
    "http://127.0.0.1:1",
    2,
    "AKIA",
    "rehearsal",
    Path("/run"),
)
STOOD = Stood(
    RUNNING,
    [StackDone("platform-prod", {"created": 78}, 9.0), StackDone("models-prod", {"updated": 1, "unchanged": 130}, 8.0)],
    ["iris 1"],
    "http://127.0.0.1:3",
    "mainstage predict iris '{}'",
)
LONG = "a-model-package-group-of-a-name-that-is-long-for-eighty-columns"
LEFT = Left(
    "prod",
    [StackDone("models-prod", {"deleted": 61, "unchanged": 70}, 5.0), StackDone("platform-prod", {}, 2.0)],
    [
        Remaining("models-prod", "aws:sqs/queue:Queue", "spool", "https://spool", True),
        Remaining("models-prod", "aws:sagemaker/modelPackageGroup:ModelPackageGroup", LONG, "group", True),
        Remaining("models-prod", "aws:iam/role:Role", "role", "role", False),
        Remaining("models-prod", "aws:iam/role:Role", "other", "other", False),
    ],
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, {})


def test_up_says_what_stands_where_and_what_to_try(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "up", lambda *_: STOOD)
    monkeypatch.setenv("COLUMNS", "76")  # what is pasted is not broken for that
    lines = run("rehearse-up", "--env", "prod").out.splitlines()
    assert lines[0] == "prod stands in emulated AWS at http://127.0.0.1:1 (account 333333333333, eu-west-1)"
    assert [line.split() for line in lines[2:4]] == [
        ["platform-prod", "78", "0", "0", "0", "0", "9.0"],
        ["models-prod", "0", "1", "0", "0", "130", "8.0"],
    ]
    assert lines[4:6] == ["registered: iris 1", "front door: http://127.0.0.1:3"]
    assert lines[8:] == [
        "  .venv/bin/mainstage predict iris '{}'",
        "  .venv/bin/mainstage predictions latency iris",
        '  eval "$(.venv/bin/mainstage cloud env)"   # then pulumi and aws work on it, from this shell',
        "  make rehearse-down ENV=prod",
    ]


def test_up_for_a_script(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "up", lambda *_: STOOD)
    assert json.loads(run("rehearse-up", "--env", "prod", "--json").out) == {
        "environment": "prod",
        "account_id": "333333333333",
        "region": "eu-west-1",
        "endpoint_url": "http://127.0.0.1:1",
        "project": "/run/project",
        "stacks": {
            "platform-prod": {"changes": {"created": 78}, "seconds": 9.0},
            "models-prod": {"changes": {"updated": 1, "unchanged": 130}, "seconds": 8.0},
        },
        "registered": ["iris 1"],
        "front_door_url": "http://127.0.0.1:3",
        "try": "mainstage predict iris '{}'",
    }


def test_down_lists_what_remains_and_why(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "down", lambda *_: LEFT)
    monkeypatch.setenv("COLUMNS", "80")
    done = run("rehearse-down", "--env", "prod")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["stack", "deleted", "remain", "in", "AWS", "seconds"],
        ["models-prod", "61", "4", "5.0"],
        ["platform-prod", "0", "0", "2.0"],
    ]
    assert "2 are protected (mainstage:deletion_protection is on in prod):" in lines
    # Whole, however long: nothing is cut for the screen.
    assert f"models-prod  aws:sagemaker/modelPackageGroup:ModelPackageGroup  {LONG}" in lines
    assert "models-prod  aws:sqs/queue:Queue                                spool" in lines
    assert "2 more remain because these need them: 2 Role" in done.out
    told: dict[str, Any] = json.loads(run("rehearse-down", "--env", "prod", "--json").out)
    assert [(each["name"], each["reason"]) for each in told["remaining"]] == [
        ("spool", "protected"),
        (LONG, "protected"),
        ("role", "a protected one needs it"),
        ("other", "a protected one needs it"),
    ]


@pytest.mark.parametrize("command", ["up", "down"])
def test_ctrl_c_says_how_it_goes_on(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    def leave(code: int) -> None:
        raise SystemExit(code + 1)

    monkeypatch.setattr(standing, command, interrupted)
    monkeypatch.setattr(rehearse_layers, "leave", leave)
    done = run(f"rehearse-{command}")
    assert (done.code, done.out) == (131, "")
    assert done.err.startswith("error: stopped; pulumi has ended what it had under way.")
