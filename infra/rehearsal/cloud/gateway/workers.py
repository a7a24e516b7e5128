"""Threads that carry out integrations, so that whoever waits for one can stop waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The gateway went away while an integration ran."""


class Workers:
    """Daemon threads, made when work waits and none is idle. concurrent.futures' own pool would keep the process from
    ending for as long as a function runs."""

    def __init__(self, most: int, name: str):
        """most: threads at the same time; what comes beyond waits."""
        self._most = most
        self._name = name
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._waiting: set[Future[Any]] = set()
        self._closed = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Runs `work` on a thread. Closed when the pool is."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Closed
            self._waiting.add(future)
            if self._idle:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._work.put((future, work))
        return future

    def close(self) -> None:
        """Lets nobody wait any longer: what runs goes on without anybody to hear of it."""
        with self._lock:
            self._closed = True
            waiting, threads = list(self._waiting), self._threads
        for future in waiting:
            _settle(future, error=Closed())
        for _ in range(threads):
            self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            future, work = item
            try:
                result, error = work(), None
            except BaseException as failure:
                result, error = None, failure
            with self._lock:
                self._waiting.discard(future)
                self._idle += 1
            _settle(future, result, error)


def _settle(future: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        pass  # the pool was closed while this ran
