"""Faults that a drill plants at an AWS call: an error, a delay, an answer held back."""

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
    answered: bool
    """Whether it acts when the call has taken effect: its answer comes late, or is lost and an error comes instead."""
    until: threading.Event | None
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
        answered: bool = False,
        until: threading.Event | None = None,
    ) -> Fault:
        """Plants a fault.

        service, operation: botocore's names ("sagemaker", "CreateModel"); operation "*" is every operation of the
        service.
        error: what the caller gets; None: the call goes on after the delay. times: calls it acts on, None for all.
        match: looks at the call and says whether the fault acts on it.
        answered: act when the call has taken effect, on its answer; False: before anything is done.
        until: the caller waits until this event is set; then comes the error, if there is one.
        """
        if error is None and delay_seconds <= 0 and until is None:
            raise ValueError(
                f"fault on {service}.{operation} does nothing: give an error, a delay_seconds, an event in until, "
                "or several of them"
            )
        if times is not None and times < 1:
            raise ValueError(
                f"fault on {service}.{operation}: times is {times}; give 1 or more, or None for every call"
            )
        fault = Fault(service, operation, error, delay_seconds, times, match, answered, until, self)
        with self._lock:
            self._planted.append(fault)
        return fault

    def discard(self, fault: Fault) -> None:
        with self._lock:
            if fault in self._planted:
                self._planted.remove(fault)

    def meet(self, call: Call, *, answered: bool = False) -> None:
        """Waits and raises as the faults planted on this call say. Delays add up, the first error wins.

        answered: the call has taken effect; False: it has just come in.
        """
        if not self._planted:
            return
        error: AwsError | None = None
        delay_seconds = 0.0
        events: list[threading.Event] = []
        for fault in self._candidates(call, answered):
            if fault.match is not None and not fault.match(call):
                continue
            if not self._take(fault):
                continue
            delay_seconds += fault.delay_seconds
            error = error or fault.error
            events += [fault.until] if fault.until is not None else []
        if delay_seconds:
            time.sleep(delay_seconds)
        for event in events:
            event.wait()
        if error is not None:
            raise AwsError(error.code, error.message, error.status, **error.members)

    def clear(self) -> None:
        with self._lock:
            self._planted.clear()

    def _candidates(self, call: Call, answered: bool) -> list[Fault]:
        with self._lock:
            return [
                fault
                for fault in self._planted
                if fault.service == call.service
                and fault.operation in ("*", call.operation)
                and fault.answered == answered
            ]

    def _take(self, fault: Fault) -> bool:
        with self._lock:
            if fault not in self._planted:
                return False
            fault.hits += 1
            if fault.times is not None and fault.hits >= fault.times:
                self._planted.remove(fault)
            return True
