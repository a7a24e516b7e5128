"""Work that waits for its time by the cloud's clock, in a few threads of its own."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from infra.rehearsal.cloud.clock import Clock

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_WORKERS = 4

T = TypeVar("T")


class DueQueue(Generic[T]):
    """Items in order of the time at which each is due. `work` takes one; what it raises is logged. Thread-safe."""

    def __init__(self, clock: Clock, name: str, work: Callable[[T], None]):
        self._clock = clock
        self._name = name
        self._work = work
        self._numbers = itertools.count()
        self._due: list[tuple[datetime, int, T]] = []
        self._running = 0
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def push(self, item: T, when: datetime) -> None:
        with self._changed:
            heapq.heappush(self._due, (when, next(self._numbers), item))
            self._changed.notify_all()
            if len(self._threads) < _WORKERS and not self._closed:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self, *, wait_seconds: float = 0.0) -> None:
        """What waits is dropped; what runs is waited for so long, in real time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, wait_seconds)

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is due by now. What is due later, such as a retry, does not count."""
        with self._changed:
            return self._closed or (not self._running and not self._is_due())

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """True as soon as `is_idle`, False when the time (real, not the cloud's) is over."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while not self._closed and (self._running or self._is_due()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, _LOOK_SECONDS))
            return True

    def _is_due(self) -> bool:
        return bool(self._due) and self._due[0][0] <= self._clock.now()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._is_due():
                    # The clock may be advanced meanwhile, of which nobody tells.
                    self._changed.wait(_LOOK_SECONDS if self._due else None)
                if self._closed:
                    return
                item = heapq.heappop(self._due)[2]
                self._running += 1
            try:
                self._work(item)
            except Exception:
                if not self._closed:  # else what it works with has ended under it
                    log.exception("%s: work failed inside the emulated cloud", self._name)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
