"""The pace of the emulated cloud's time while something in it waits, as a release waits in its bake.

Nobody wants to sit through a bake of thirty minutes: while a deployment waits, the cloud's clock is advanced by a
minute every few hundredths of a second. Whatever reports such a run says that its minutes are shortened.
"""

from __future__ import annotations

import logging
import threading

from infra.rehearsal.cloud.clock import Clock

log = logging.getLogger(__name__)

MINUTE_SECONDS = 60.0
DEFAULT_MINUTE_SECONDS = 0.05
"""How long a minute of the cloud takes in real seconds while something waits: in tests and in rehearsals."""
SERVED_MINUTE_SECONDS = 0.5
"""The same where a person looks on (`mainstage cloud`, `rehearse --serve`)."""


class Pace:
    """Advances the clock while something waits. Thread-safe; its thread starts at the first wait.

    minute_seconds: real seconds for a minute of the cloud; None: time passes as `Clock.advance` and the real clock
    have it, as drills want. It may be changed at any time.
    """

    def __init__(self, clock: Clock, minute_seconds: float | None = DEFAULT_MINUTE_SECONDS):
        self._clock = clock
        self._first = self._minute_seconds = minute_seconds
        self._changed = threading.Condition()
        self._waiting: set[object] = set()
        self._moving = False
        """Whether a minute passes now."""
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def minute_seconds(self) -> float | None:
        return self._minute_seconds

    @minute_seconds.setter
    def minute_seconds(self, seconds: float | None) -> None:
        if seconds is not None and seconds < 0:
            raise ValueError(f"Pace.minute_seconds is {seconds}; give 0 or more, or None for a clock that is advanced")
        with self._changed:
            self._minute_seconds = seconds
            self._changed.notify_all()

    def begin(self, waiting: object) -> None:
        """Something waits for a time to come. The same object twice counts once."""
        with self._changed:
            if self._closed:
                return
            self._waiting.add(waiting)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mainstage-pace", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def end(self, waiting: object) -> None:
        """It waits no more."""
        with self._changed:
            self._waiting.discard(waiting)
            self._changed.notify_all()

    def reset(self) -> None:
        """The pace that it began with; nothing waits, and no minute passes any more."""
        with self._changed:
            self._minute_seconds = self._first
            self._waiting.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._moving or self._thread is threading.current_thread())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while self._next_minute():
            try:
                self._clock.advance(MINUTE_SECONDS)
            except Exception:
                log.exception("something that was due in the emulated cloud failed")

    def _next_minute(self) -> bool:
        """Waits until the clock has to move; False at the end."""
        with self._changed:
            self._moving = False
            self._changed.notify_all()
            self._moving = self._wait_for_minute()
            return self._moving

    def _wait_for_minute(self) -> bool:
        while not self._closed:
            seconds = self._minute_seconds
            if not self._waiting or seconds is None:
                self._changed.wait()
            elif not self._changed.wait_for(lambda: self._closed or not self._waiting, seconds):
                # A pace that was changed meanwhile holds from the next minute on.
                return self._minute_seconds is not None or self._wait_for_minute()
        return False
