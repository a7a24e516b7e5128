"""Faults that a drill plants at an AWS call: an error, a delay, or both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.rehearsal.cloud.api import AwsError, Call


@dataclass(eq=False)
class Fault:
    """A planted fault. `remove()` takes it away; `hits` counts the calls that met it."""

    service: str
    operation: str
    error: AwsError | None
    delay_seconds: float
    times: int | None
    match: Callable[[Call], bool] | None
    _faults: Faults = field(repr=False)
    hits: int = 0

    def remove(self) -> None:
        self._faults.discard(self)


class Faults:
    """The faults of one cloud. Thread-safe; a fault with `times` acts on exactly that many calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planted: list[Fault] = []

    def add(
        self,
        service: str,
        operation: str,
        error: AwsError | None = None,
        delay_seconds: float = 0,
        times: int | None = None,
        match: Callable[[Call], bool] | None = None,
    ) -> Fault:
        """Plants a fault.

        service, operation: botocore's names ("sagemaker", "CreateModel"); operation "*" is every operation of the
        service.
        error: what the caller gets; None: the call goes on after the delay. times: calls it acts on, None for all.
        match: looks at the call and says whether the fault acts on it.
        """
        if error is None and delay_seconds <= 0:
            raise ValueError(f"fault on {service}.{operation} does nothing: give an error, a delay_seconds, or both")
        if times is not None and times < 1:
            raise ValueError(
                f"fault on {service}.{operation}: times is {times}; give 1 or more, or None for every call"
            )
        fault = Fault(service, operation, error, delay_seconds, times, match, self)
        with self._lock:
            self._planted.append(fault)
        return fault

    def discard(self, fault: Fault) -> None:
        with self._lock:
            if fault in self._planted:
                self._planted.remove(fault)

    def meet(self, call: Call) -> None:
        """Sleeps and raises as the faults planted on this call say. Delays add up, the first error wins."""
        if not self._planted:
            return
        error: AwsError | None = None
        delay_seconds = 0.0
        for fault in self._candidates(call):
            if fault.match is not None and not fault.match(call):
                continue
            if not self._take(fault):
                continue
            delay_seconds += fault.delay_seconds
            error = error or fault.error
        if delay_seconds:
            time.sleep(delay_seconds)
        if error is not None:
            raise AwsError(error.code, error.message, error.status, **error.members)

    def clear(self) -> None:
        with self._lock:
            self._planted.clear()

    def _candidates(self, call: Call) -> list[Fault]:
        with self._lock:
            return [
                fault
                for fault in self._planted
                if fault.service == call.service and fault.operation in ("*", call.operation)
            ]

    def _take(self, fault: Fault) -> bool:
        with self._lock:
            if fault not in self._planted:
                return False
            fault.hits += 1
            if fault.times is not None and fault.hits >= fault.times:
                self._planted.remove(fault)
            return True
