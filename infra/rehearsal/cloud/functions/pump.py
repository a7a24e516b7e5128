"""One thread that watches what environments write and who connects to their Runtime APIs."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Pump:
    """Calls back when a descriptor can be read; a callback that returns False is dropped. Thread-safe."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._jobs: list[Callable[[], None]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="lambda-pump", daemon=True)
        self._thread.start()

    def watch(self, what: int | socket.socket, callback: Callable[[], bool]) -> None:
        self._do(lambda: self._register(what, callback))

    def forget(self, what: int | socket.socket) -> None:
        """Stops watching and closes it; returns at once."""
        if not self._do(lambda: self._unregister(what)):
            _close(what)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.write(self._wake, b"x")
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _do(self, job: Callable[[], None]) -> bool:
        with self._lock:
            if self._closed:
                return False
            self._jobs.append(job)
            os.write(self._wake, b"x")
        return True

    def _register(self, what: int | socket.socket, callback: Callable[[], bool]) -> None:
        self._selector.register(what, selectors.EVENT_READ, callback)

    def _unregister(self, what: int | socket.socket) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(what)
        _close(what)

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                if key.data is None:
                    with suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                elif not key.data():
                    with suppress(KeyError, ValueError):
                        self._selector.unregister(key.fileobj)
            self._work()
        self._work()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        os.close(self._woken)
        os.close(self._wake)

    def _work(self) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for job in jobs:
            job()


def _close(what: int | socket.socket) -> None:
    if isinstance(what, socket.socket):
        what.close()
    else:
        os.close(what)
