"""The clock runs what is due on the way, in order, at its time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from infra.rehearsal.cloud.clock import Clock


class Bell:
    """Rings at its times and notes what the clock shows then."""

    def __init__(self, clock, *seconds, fails=False):
        self.clock, self.fails = clock, fails
        self.start = clock.now()
        self.times = [self.start + timedelta(seconds=after) for after in seconds]
        self.rung = []

    def next_due(self):
        return min(self.times, default=None)

    def run_due(self, now):
        due = [when for when in self.times if when <= now]
        self.times = [when for when in self.times if when > now]
        for when in due:
            self.rung.append((round((when - self.start).total_seconds()), self.clock.now() - when))
            if self.fails:
                raise RuntimeError("the bell broke")


def test_each_time_is_seen_once_and_in_order():
    clock = Clock()
    one, other = Bell(clock, 300, 60, 900), Bell(clock, 120)
    clock.add_timer(one)
    clock.add_timer(other)
    clock.advance(600)
    assert [seconds for seconds, _ in one.rung] == [60, 300]
    assert [seconds for seconds, _ in other.rung] == [120]
    assert all(timedelta() <= late < timedelta(seconds=5) for _, late in one.rung + other.rung)
    clock.advance(600)
    assert [seconds for seconds, _ in one.rung] == [60, 300, 900]


def test_the_clock_arrives_where_it_was_sent():
    clock = Clock()
    clock.add_timer(Bell(clock, 60, 120))
    assert timedelta(seconds=600) <= clock.advance(600) - datetime.now(UTC) + timedelta(seconds=1)
    assert clock.now() - datetime.now(UTC) < timedelta(seconds=601)


def test_a_timer_that_fails_is_heard_and_time_has_passed():
    clock = Clock()
    clock.add_timer(Bell(clock, 60, fails=True))
    with pytest.raises(RuntimeError, match="the bell broke"):
        clock.advance(600)
    assert clock.now() - datetime.now(UTC) > timedelta(seconds=599)


def test_a_timer_that_is_taken_away_is_silent():
    clock = Clock()
    bell = Bell(clock, 60)
    clock.add_timer(bell)
    clock.remove_timer(bell)
    clock.advance(600)
    assert bell.rung == []


def test_time_only_runs_forward():
    with pytest.raises(ValueError, match="seconds is -1"):
        Clock().advance(-1)


def test_a_moment_of_real_time_keeps_the_offset_of_its_time():
    clock = Clock()
    first = datetime.now(UTC)
    clock.advance(60)
    second = datetime.now(UTC)
    clock.advance(3600)
    third = datetime.now(UTC)

    shifts = [clock.from_real(moment) - moment for moment in (first, second, third, third + timedelta(days=1))]

    assert [shift.total_seconds() for shift in shifts] == [0, 60, 3660, 3660]
    clock.reset()
    assert clock.from_real(third) == third


def test_a_reset_is_not_undone_by_an_advance_that_is_under_way():
    """Another thread's, as the pace has one."""
    clock = Clock()
    bell, rings, may_end = Bell(clock, 60), threading.Event(), threading.Event()

    class Slow(Bell):
        def run_due(self, now):
            rings.set()
            may_end.wait(10)
            super().run_due(now)

    clock.add_timer(Slow(clock, 60))
    clock.add_timer(bell)
    advance = threading.Thread(target=clock.advance, args=(600,))
    advance.start()
    assert rings.wait(10)
    reset = threading.Thread(target=clock.reset)
    reset.start()
    reset.join(0.1)
    may_end.set()
    for each in (advance, reset):
        each.join(10)
    assert bell.rung
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
