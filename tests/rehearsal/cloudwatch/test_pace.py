"""The pace: the clock moves while something waits, and only then."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from infra.rehearsal.cloud.clock import Clock
from infra.rehearsal.cloud.pace import Pace


def minutes_ahead(clock):
    return round((clock.now() - datetime.now(UTC)).total_seconds() / 60)


def eventually(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def paced():
    clock = Clock()
    pace = Pace(clock, 0.001)
    yield clock, pace
    pace.close()


def test_minutes_pass_while_something_waits_and_stop_with_it(paced):
    clock, pace = paced
    time.sleep(0.02)
    assert minutes_ahead(clock) == 0
    pace.begin("one")
    pace.begin("one")
    eventually(lambda: minutes_ahead(clock) >= 5)
    pace.end("one")
    ended = minutes_ahead(clock)
    time.sleep(0.1)
    assert minutes_ahead(clock) - ended in (0, 1)  # one had begun


def test_without_a_pace_only_advance_moves_the_clock(paced):
    clock, pace = paced
    pace.minute_seconds = None
    pace.begin("one")
    time.sleep(0.05)
    assert minutes_ahead(clock) == 0
    pace.minute_seconds = 0.001
    eventually(lambda: minutes_ahead(clock) >= 2)


def test_a_reset_takes_the_first_pace_again(paced):
    clock, pace = paced
    pace.minute_seconds = None
    pace.begin("one")
    pace.reset()
    assert pace.minute_seconds == 0.001
    time.sleep(0.05)
    assert minutes_ahead(clock) == 0


def test_after_a_reset_no_minute_passes_that_had_begun(paced, monkeypatch):
    clock, pace = paced
    begun, may_pass, advance = threading.Event(), threading.Event(), clock.advance

    def slow(seconds):
        begun.set()
        may_pass.wait(10)
        advance(seconds)

    def reset():  # as the cloud does it
        pace.reset()
        clock.reset()

    monkeypatch.setattr(clock, "advance", slow)
    pace.begin("one")
    assert begun.wait(10)
    resets = threading.Thread(target=reset)
    resets.start()
    resets.join(0.1)
    may_pass.set()
    resets.join(10)
    pace.close()
    assert minutes_ahead(clock) == 0


def test_a_negative_pace_is_refused(paced):
    _, pace = paced
    with pytest.raises(ValueError, match="minute_seconds is -1"):
        pace.minute_seconds = -1


def test_what_fails_on_the_way_stops_nothing(paced, caplog):
    clock, pace = paced

    class Broken:
        def next_due(self):
            return None

        def run_due(self, now):
            raise RuntimeError("the bell broke")

    clock.add_timer(Broken())
    pace.begin("one")
    eventually(lambda: minutes_ahead(clock) >= 3)
    assert "the bell broke" in caplog.text
