"""The emulated cloud's clock: real time plus an offset that a drill can advance."""

from __future__ import annotations

import threading
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    """Something that has to run at certain times of the cloud."""

    def next_due(self) -> datetime | None:
        """When it has to run next; None for not at all."""
        ...

    def run_due(self, now: datetime) -> None:
        """Runs all that is due at `now`; `next_due` lies after `now` then. Called from several threads."""
        ...


class Clock:
    """Time as every part of the emulated cloud sees it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._advancing = threading.RLock()
        self._offset = timedelta()
        self._changes: list[tuple[datetime, timedelta]] = []
        """Since when, in real time, which offset."""
        self._timers: list[Timer] = []

    def now(self) -> datetime:
        """The cloud's time, UTC and aware."""
        return datetime.now(UTC) + self._offset

    def from_real(self, moment: datetime) -> datetime:
        """The cloud's time at a moment of real time, whatever the clock has been advanced by since: for processes of
        the cloud that see real time only. A moment to come counts as now."""
        with self._lock:
            at = bisect_right(self._changes, moment, key=lambda change: change[0])
            return moment + (self._changes[at - 1][1] if at else timedelta())

    def add_timer(self, timer: Timer) -> None:
        """From now on `advance` runs the timer. Real time does not: a timer has a thread of its own for that."""
        with self._lock:
            self._timers.append(timer)

    def remove_timer(self, timer: Timer) -> None:
        with self._lock:
            self._timers = [each for each in self._timers if each is not timer]

    def advance(self, seconds: float) -> datetime:
        """Moves the cloud's time forward and returns it. A negative number is a ValueError.

        What timers have to do on the way is done before this returns, in order of time, and each sees the clock at the
        time at which it was due. What a timer raises is raised here; the clock has arrived then all the same.
        """
        if seconds < 0:
            raise ValueError(f"Clock.advance: seconds is {seconds}; the cloud's time only runs forward, give 0 or more")
        with self._advancing:
            arrival = self._offset + timedelta(seconds=seconds)
            try:
                self._run_timers_until(arrival)
            finally:
                self._move_to(arrival)
            for timer in tuple(self._timers):
                timer.run_due(self.now())
        return self.now()

    def _run_timers_until(self, arrival: timedelta) -> None:
        while self._timers:
            dues = [due for timer in tuple(self._timers) if (due := timer.next_due()) is not None]
            real = datetime.now(UTC)
            if not dues or min(dues) > real + arrival:
                return
            self._move_to(min(dues) - real)
            for timer in tuple(self._timers):
                timer.run_due(self.now())

    def _move_to(self, offset: timedelta) -> None:
        with self._lock:
            if offset > self._offset:
                self._offset = offset
                self._changes.append((datetime.now(UTC), offset))

    def reset(self) -> None:
        """Back to real time, after an advance that is under way."""
        with self._advancing, self._lock:
            self._offset = timedelta()
            self._changes.clear()
