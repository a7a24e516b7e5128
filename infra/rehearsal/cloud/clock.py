"""The emulated cloud's clock: real time plus an offset that a drill can advance."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Time as every part of the emulated cloud sees it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta()

    def now(self) -> datetime:
        """The cloud's time, UTC and aware."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> datetime:
        """Moves the cloud's time forward and returns it. A negative number is a ValueError."""
        if seconds < 0:
            raise ValueError(f"Clock.advance: seconds is {seconds}; the cloud's time only runs forward, give 0 or more")
        with self._lock:
            self._offset += timedelta(seconds=seconds)
        return self.now()

    def reset(self) -> None:
        """Back to real time."""
        with self._lock:
            self._offset = timedelta()
