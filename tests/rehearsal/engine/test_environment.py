"""A program and its hooks find the engine's variables while they run, and the process has its own again after."""

from __future__ import annotations

import os
import threading
from typing import Any

import pulumi
import pytest
from pulumi.resource_hooks import ResourceHook, ResourceHookBinding

from infra.registry.target import Target
from infra.rehearsal.engine import Engine
from infra.rehearsal.engine.environment import surrounded

NAME, OTHER = "MAINSTAGE_TEST_ENVIRONMENT", "MAINSTAGE_TEST_OTHER"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setenv(OTHER, "the person's")


def test_a_program_and_its_hooks_see_them_and_nobody_does_after(world):
    seen: list[Any] = []

    def look(_: Any = None) -> None:
        seen.append((os.environ.get(NAME), os.environ.get(OTHER)))

    def program() -> None:
        look()
        hooks = ResourceHookBinding(after_create=[ResourceHook("look", look)])
        world.Thing("first", pulumi.ResourceOptions(hooks=hooks))

    engine = Engine(provider={"test": world.provider}, environment={NAME: "put", OTHER: None})
    engine.up("dev", program, {}).check()
    assert seen == [("put", None), ("put", None)]
    assert (os.environ.get(NAME), os.environ.get(OTHER)) == (None, "the person's")


def test_they_are_taken_back_after_a_program_that_fails(world):
    def program() -> None:
        raise RuntimeError("broken")

    result = Engine(provider={"test": world.provider}, environment={NAME: "put"}).up("dev", program, {})
    assert result.error is not None
    assert NAME not in os.environ


def test_runs_with_the_same_variables_go_side_by_side_and_others_wait():
    order: list[str] = []
    entered, go = threading.Event(), threading.Event()

    def first() -> None:
        with surrounded({NAME: "one"}):
            entered.set()
            go.wait(10)
            order.append(f"first {os.environ[NAME]}")

    def other() -> None:
        with surrounded({NAME: "two"}):
            order.append(f"other {os.environ[NAME]}")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert entered.wait(10)
    with surrounded({NAME: "one"}):
        order.append("same")
    assert os.environ[NAME] == "one"  # the first one still has it
    threads.append(threading.Thread(target=other))
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert order == ["same", "first one", "other two"]
    assert NAME not in os.environ


def test_a_target_s_variables_lead_to_it_and_away_from_a_person_s_account(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    emulated = Target("dev", "1" * 12, "eu-west-1", "http://127.0.0.1:1", access_key_id="A", secret_access_key="S")
    found = emulated.variables
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_REGION"]) == ("A", "S", "eu-west-1")
    assert found["AWS_PROFILE"] is None
    assert Target("dev", "1" * 12, "eu-west-1", None, profile="theirs").variables == {}
