"""Work off the reply's path: the protocol of an internal extension, and what happens without one."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from mainstage_runtime import deferred
from mainstage_runtime.deferred import Deferred
from runtime_stub import Answer, served


def no_end() -> None:
    raise AssertionError("the extension was lost")


class Extensions:
    """The Extensions API: what was asked of it, in order, and one event for each `go`."""

    def __init__(self) -> None:
        self.asked: queue.Queue[tuple[str, str, Mapping[str, str], bytes]] = queue.Queue()
        self._events: queue.Queue[Answer] = queue.Queue()
        self.registration: Answer = (200, {"Lambda-Extension-Identifier": "id-1"}, b"{}")

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked.put((method, path, headers, body))
        return self.registration if path.endswith("/register") else self._events.get()

    def go(self, seconds: float = 30.0, status: int = 200) -> None:
        event = {"eventType": "INVOKE", "deadlineMs": int((time.time() + seconds) * 1000), "requestId": "r"}
        self._events.put((status, {}, json.dumps(event).encode()))

    def next_asked(self) -> str:
        return self.asked.get(timeout=5)[1]


def test_it_registers_for_invoke_and_works_after_the_handler() -> None:
    api, done = Extensions(), queue.Queue[int]()
    release = threading.Event()

    def work(number: int) -> None:
        assert release.wait(5)
        done.put(number)

    with served(api.answer) as address:
        later = Deferred(work, runtime_api=address, end=no_end)
        assert later.after_reply
        method, path, headers, body = api.asked.get(timeout=5)
        assert (method, path) == ("POST", "/2020-01-01/extension/register")
        assert headers["lambda-extension-name"] == "mainstage-prediction-log"
        assert json.loads(body) == {"events": ["INVOKE"]}
        method, path, headers, _ = api.asked.get(timeout=5)
        assert (method, path) == ("GET", "/2020-01-01/extension/event/next")
        assert headers["lambda-extension-identifier"] == "id-1"
        for number in range(3):
            api.go()
            started = time.perf_counter()
            assert later.leave(number)
            assert time.perf_counter() - started < 0.2, "the handler does not wait"
            assert done.empty()
            # The environment is not let go before the work is done.
            assert api.asked.empty()
            release.set()
            assert done.get(timeout=5) == number
            assert api.next_asked() == "/2020-01-01/extension/event/next"
            release.clear()
        release.set()
        api.go()


def test_nothing_to_do_lets_the_environment_go() -> None:
    api, done = Extensions(), queue.Queue[int]()
    with served(api.answer) as address:
        later = Deferred(done.put, runtime_api=address, end=no_end)
        assert [api.next_asked(), api.next_asked()][1].endswith("/next")
        api.go()
        assert later.leave(None)
        assert api.next_asked().endswith("/next")
        assert done.empty()
        api.go()


def test_an_invocation_whose_handler_never_came_lets_go_at_its_deadline() -> None:
    api, done = Extensions(), queue.Queue[int]()
    with served(api.answer) as address:
        later = Deferred(done.put, runtime_api=address, end=no_end)
        assert [api.next_asked(), api.next_asked()][1].endswith("/next")
        api.go(seconds=0.05)
        assert api.next_asked().endswith("/next")
        api.go()
        assert later.leave(1)
        assert done.get(timeout=5) == 1
        assert api.next_asked().endswith("/next")
        api.go()


def test_work_that_raises_is_noted_and_the_next_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    done = queue.Queue[int]()

    def work(number: int) -> None:
        if number == 1:
            raise KeyError("Jane Doe")
        done.put(number)

    later = Deferred(work, runtime_api=None)
    assert later.leave(1)
    assert later.leave(2)
    assert done.get(timeout=5) == 2
    assert capsys.readouterr().out == '{"event":"deferred_work_failed","error":"KeyError"}\n'


@pytest.mark.parametrize("registration", [(403, {}, b"{}"), (200, {}, b"{}")])
def test_without_a_registration_the_reply_waits(
    registration: Answer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, done = Extensions(), []
    api.registration = registration
    with served(api.answer) as address:
        later = Deferred(done.append, runtime_api=address, end=no_end)
    assert not later.after_reply
    assert later.leave(1)
    assert done == [1]
    assert "extension_not_registered" in capsys.readouterr().out


def test_nobody_there_to_register_with() -> None:
    done: list[int] = []
    later = Deferred(done.append, runtime_api="127.0.0.1:1")
    assert not later.after_reply
    assert later.leave(1)
    assert done == [1]


def test_the_wait_is_bounded_and_so_is_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "LONGEST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(deferred, "MOST_WAITING", 3)
    begun, release, done = threading.Event(), threading.Event(), queue.Queue[int]()

    def work(number: int) -> None:
        begun.set()
        assert release.wait(5)
        done.put(number)

    later = Deferred(work, runtime_api=None)
    started = time.perf_counter()
    assert later.leave(0)
    assert begun.wait(5)
    # One is worked on, three wait, the fifth is not taken.
    assert [later.leave(number) for number in range(1, 5)] == [True, True, True, False]
    assert time.perf_counter() - started < 0.5
    release.set()
    assert [done.get(timeout=5) for _ in range(4)] == [0, 1, 2, 3]


def test_an_environment_that_lost_its_extension_ends_after_its_last_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda goes on waiting for an extension that never asks again: with each invocation, until its time-out."""
    monkeypatch.setattr(deferred, "REPLY_SECONDS", 0.05)
    api, done, ended = Extensions(), [], queue.Queue[tuple[list[int], float]]()
    with served(api.answer) as address:
        later: Deferred[Any] = Deferred(
            done.append, runtime_api=address, end=lambda: ended.put((list(done), time.perf_counter()))
        )
        assert [api.next_asked(), api.next_asked()][1].endswith("/next")
        api.go(status=500)
        while later.after_reply:
            time.sleep(0.001)
        assert later.leave(1)
        left = time.perf_counter()
        handed_over, at = ended.get(timeout=5)
    assert handed_over == [1]
    assert at - left >= 0.04, "the reply has its time to go"
    assert "extension_lost" in capsys.readouterr().out


def test_without_an_invocation_it_ends_once_none_can_be_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "REPLY_SECONDS", 0.0)
    api, done, ended = Extensions(), list[int](), threading.Event()
    with served(api.answer) as address:
        Deferred(done.append, runtime_api=address, handler_seconds=0.05, end=ended.set)
        api.go(status=500)
        assert ended.wait(5)
    assert done == []
