"""Work that waits for its time by the cloud's clock."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from infra.rehearsal.cloud.clock import Clock
from infra.rehearsal.cloud.due_queue import DueQueue


def test_what_is_due_runs_in_order_of_time_and_what_is_not_waits_for_the_clock():
    clock, done = Clock(), []
    queue = DueQueue[str](clock, "q", done.append)
    now = clock.now()
    queue.push("in a minute", now + timedelta(seconds=60))
    assert queue.is_idle()
    queue.push("now", now)
    assert queue.wait_until_idle(5)
    assert done == ["now"]
    clock.advance(60)
    assert queue.wait_until_idle(5)
    assert done == ["now", "in a minute"]
    queue.close()


def test_work_that_lasts_is_waited_for_no_longer_than_asked():
    clock, go = Clock(), threading.Event()

    def work(_: str) -> None:
        go.wait(10)

    queue = DueQueue[str](clock, "q", work)
    queue.push("slow", clock.now())
    assert not queue.wait_until_idle(0.1)
    assert not queue.is_idle()
    go.set()
    assert queue.wait_until_idle(5)
    queue.close()


def test_work_that_fails_is_logged_and_the_next_runs(caplog):
    clock, done = Clock(), []

    def work(item):
        if item == "bad":
            raise RuntimeError("as asked")
        done.append(item)

    queue = DueQueue[str](clock, "q", work)
    with caplog.at_level(logging.ERROR):
        queue.push("bad", clock.now())
        queue.push("good", clock.now())
        assert queue.wait_until_idle(5)
    assert done == ["good"]
    assert "q: work failed inside the emulated cloud" in caplog.text
    queue.close()


def test_a_closed_queue_drops_what_waits():
    clock, done = Clock(), []
    queue = DueQueue[str](clock, "q", done.append)
    queue.push("later", clock.now() + timedelta(seconds=60))
    queue.close()
    clock.advance(120)
    assert queue.wait_until_idle(1)
    queue.push("after", clock.now())
    assert queue.wait_until_idle(1)
    assert done == []
