"""What a run knows while it goes: old resources, new ones, steps, failures.

Every method may be called from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from infra.rehearsal.engine import steps
from infra.rehearsal.engine.journal import Recorder
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Event, Failure, Log, Progress, Step


class Stopped(Exception):
    """The run is ending: something failed, or the person interrupted it. Nothing new is started."""


class Refused(Exception):
    """A registration that can't be carried out; the text is the real engine's."""


class CheckRefused(Refused):
    """The provider's Check found problems. The run ends, even one that continues on errors, as in the real engine."""


class Ledger:
    """The old state, what has been done to it, and what came of that. `recorder` is told every change in order."""

    def __init__(
        self,
        old: Sequence[ResourceState],
        *,
        recorder: Recorder,
        progress: Progress | None,
        continue_on_error: bool = False,
    ):
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._active = 0
        self._old = list(old)
        self._by_urn = {item.urn: item for item in old if not item.delete}
        self._new: dict[str, ResourceState] = {}
        # An old resource keeps its slot when a rename makes another object of it, so that whoever still holds
        # the former one means the same resource. The list keeps those objects alive: their id() must stay theirs.
        self._slots = {id(item): slot for slot, item in enumerate(old)}
        self._former: list[ResourceState] = []
        self._settled: set[int] = set()
        self._claimed: set[str] = set()
        self._aliased: dict[str, str] = {}
        self._aliases: dict[str, list[str]] = {}
        self._recorder = recorder
        self._progress = progress
        self._continue = continue_on_error
        self.broken: set[str] = set()
        """URNs that failed or were skipped because what they need failed."""
        self._errored: list[ResourceState] = []
        self.replaced: set[str] = set()
        self.steps: list[Step] = []
        self.logs: list[Log] = []
        self.failures: list[Failure] = []
        self.stopping = False

    # resources

    def claim(self, urn: str, aliases: Sequence[str]) -> ResourceState | None:
        """Takes a URN for this run and finds the old resource that stands under it or under one of its aliases."""
        with self._lock:
            if urn in self._claimed:
                raise Refused(f"Duplicate resource URN '{urn}'; try giving it a unique name")
            if urn in self._aliased:
                raise Refused(
                    f"Duplicate resource URN '{urn}' conflicting with alias on resource with URN '{self._aliased[urn]}'"
                )
            old = None
            for candidate in (urn, *aliases):
                old = self._by_urn.get(candidate)
                if old is None:
                    continue
                if candidate != urn:
                    holder = urn if candidate in self._claimed else self._aliased.get(candidate)
                    if holder is not None:
                        raise Refused(
                            f"Duplicate resource alias '{candidate}' applied to resource with URN '{urn}' conflicting "
                            f"with resource with URN '{holder}'"
                        )
                    self._aliased[candidate] = urn
                break
            self._claimed.add(urn)
            self._aliases[urn] = [*aliases, *([old.urn] if old is not None and old.urn != urn else [])]
            return old

    def _swap(self, slot: int, item: ResourceState) -> None:
        before, self._old[slot] = self._old[slot], item
        self._former.append(before)
        self._slots[id(item)] = slot
        if self._by_urn.get(item.urn) is before:
            self._by_urn[item.urn] = item

    def aliases_of(self, urn: str) -> list[str]:
        """Every URN that a registered resource may have had; its children multiply theirs by it."""
        with self._lock:
            return list(self._aliases.get(urn, ()))

    def new(self, urn: str) -> ResourceState | None:
        """A resource of this run."""
        with self._lock:
            return self._new.get(urn)

    def news(self) -> list[ResourceState]:
        """Every resource of this run, each after what it needs."""
        with self._lock:
            return list(self._new.values())

    def old(self, urn: str) -> ResourceState | None:
        """A resource of the old state that was not replaced before."""
        with self._lock:
            return self._by_urn.get(urn)

    def ever(self, urn: str) -> ResourceState | None:
        """A resource of the old state, whatever became of it since."""
        with self._lock:
            return next((item for item in reversed(self._old) if item.urn == urn), None)

    def waiting(self) -> list[ResourceState]:
        """Old resources that this run has not touched: not yet registered, or replaced and to be deleted."""
        with self._lock:
            return [item for slot, item in enumerate(self._old) if slot not in self._settled]

    def claimed(self, urn: str) -> bool:
        """Whether the program registered the URN in this run, by itself or by an alias."""
        with self._lock:
            return urn in self._claimed or urn in self._aliased

    def put(self, item: ResourceState, old: ResourceState | None = None, *, bury: bool = False) -> None:
        """Records a resource. The old one it stems from leaves the state, or with `bury` stays there to be deleted."""
        with self._lock:
            # No slot: the old one was made in this run, by an import.
            slot = None if old is None else self._slots.get(id(old))
            self._new[item.urn] = item
            if slot is None:
                self._recorder.put(item, None)
                return
            before = self._old[slot]
            kept = not bury and slot not in self._settled and before == item
            was = before.urn if before.urn != item.urn else ""
            if bury:
                self._swap(slot, replace(before, delete=True))
            else:
                self._settled.add(slot)
            for other_slot, other in enumerate(self._old) if was else ():
                renamed = other.renamed(was, item.urn)
                if renamed is not other:
                    self._swap(other_slot, renamed)
            # Told last: should the disk be full, what is in memory is right and may still be written when the run ends.
            if kept:
                self._recorder.keep(slot)
            else:
                self._recorder.put(item, slot, bury=bury, was=was)

    def drop(self, old: ResourceState) -> None:
        """Records that an old resource is gone."""
        with self._lock:
            slot = self._slots[id(old)]
            self._settled.add(slot)
            self._recorder.drop(slot)

    def await_replacement(self, old: ResourceState) -> None:
        """Records that an old resource was deleted and waits for the one that takes its place."""
        with self._lock:
            slot = self._slots[id(old)]
            marked = replace(self._old[slot], pending_replacement=True)
            self._swap(slot, marked)
            self._recorder.change(slot, marked)

    def snapshot(self) -> list[ResourceState]:
        """The state as it is now."""
        with self._lock:
            return [*self._new.values(), *self.waiting()]

    # steps

    def stop(self) -> None:
        """Starts nothing new from now on."""
        self.stopping = True

    def gate(self) -> None:
        """Lets a new step begin, unless the run is ending."""
        if self.stopping:
            raise Stopped("the run is ending because of an earlier failure")

    @contextmanager
    def step(self, op: str, urn: str, keys: Sequence[str] = (), replace_keys: Sequence[str] = ()) -> Iterator[None]:
        """Announces a step, times it, and records how it ended."""
        with self._idle:
            self.gate()
            self._active += 1
        started = time.monotonic()
        try:
            self._tell(Event("start", urn, op))
            yield
        except Exception as error:
            self.fail(urn, op, str(error))
            self._tell(Event("failed", urn, op, time.monotonic() - started, str(error)))
            raise
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()
        self.record(op, urn, keys, replace_keys)
        self._tell(Event("done", urn, op, time.monotonic() - started))

    def wait_until_idle(self) -> None:
        """Waits for the steps under way. The real engine leaves a failed call unanswered until they have ended."""
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0)

    def record(self, op: str, urn: str, keys: Sequence[str] = (), replace_keys: Sequence[str] = ()) -> None:
        """Records a step that took no time worth telling."""
        with self._lock:
            self.steps.append(Step(op, urn, tuple(keys), tuple(replace_keys)))

    def fail(self, urn: str, op: str, message: str, *, goes_on: bool = False) -> None:
        """Records a failure; unless the run continues on errors, nothing new is started from now on.

        With `goes_on` the run ends as failed, but the resource itself stands and everything else proceeds.
        """
        with self._lock:
            if not any(failure.urn == urn and failure.message == message for failure in self.failures):
                self.failures.append(Failure(urn, op, message))
            if not goes_on:
                self.broken.add(urn)
                if urn in self._by_urn:
                    self._errored.append(self._by_urn[urn])
                self.stopping = self.stopping or not self._continue

    def needed_by_failed(self) -> set[str]:
        """URNs that the old states of failed steps need, in the old state. What was only passed over and what failed
        after its step was done do not count: the real engine looks at nothing else before it deletes
        (https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/resource/deploy/deployment_executor.go, performPostSteps).
        """
        with self._lock:
            return steps.needed_by(self._errored, self._old)

    def fail_after(self, urn: str, op: str, message: str) -> None:
        """Records that something failed after the resource itself was done: what needs the resource may still go on."""
        self.fail(urn, op, message, goes_on=True)
        with self._lock:
            self.stopping = self.stopping or not self._continue

    def log(self, severity: str, message: str, urn: str = "") -> None:
        """Keeps a log line; all but debug lines are told at once."""
        with self._lock:
            self.logs.append(Log(severity, message, urn))
        if severity != "debug":
            self._tell(Event("log", urn, severity, 0.0, message))

    def _tell(self, event: Event) -> None:
        if self._progress is not None:
            self._progress(event)
