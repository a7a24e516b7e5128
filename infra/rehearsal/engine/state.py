"""The engine's memory: the resources of every stack, on disk after each step.

One JSON file holds all stacks of a rehearsal. It is written whole beside itself and renamed, before and after each run;
while a run goes, each finished step is a line of the journal (journal.py). So a run killed at any moment leaves the
last finished step, and whoever opens the file reads it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.codec import Codec
from infra.rehearsal.engine.journal import Forgetful, Journal, Recorder, replay
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import StateError
from infra.rehearsal.engine.vault import Vault

VERSION = 1
PROJECT, ORGANIZATION = "mainstage", "organization"


class State:
    """The stacks of one rehearsal. Without a path it lives in memory only."""

    def __init__(self, path: Path | None, *, project: str, organization: str):
        self.path = path
        self.project = project
        self.organization = organization
        self._stacks: dict[str, tuple[ResourceState, ...]] = {}
        self._lock = threading.Lock()
        self._run = threading.Lock()
        self._generation = 0
        self._codec = Codec(Vault(path.with_name(path.name + ".key"))) if path is not None else None
        self.reload()

    def stacks(self) -> list[str]:
        """Names of the stacks that were ever deployed."""
        with self._lock:
            return list(self._stacks)

    def resources(self, stack: str) -> tuple[ResourceState, ...]:
        """The stack's resources, each after what it needs; nothing for an unknown stack."""
        with self._lock:
            return self._stacks.get(stack, ())

    def outputs(self, stack: str) -> dict[str, Any] | None:
        """The stack's exports, secrets still wrapped; None for a stack that was never deployed."""
        with self._lock:
            if stack not in self._stacks:
                return None
            root = next((item for item in self._stacks[stack] if item.type == urns.STACK_TYPE), None)
            return dict(root.outputs) if root else {}

    def reload(self) -> None:
        """Reads the file again: another process may have run since."""
        if self.path is None or self._codec is None:
            return
        codec = self._codec
        try:
            document = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else _EMPTY
            if document["version"] != VERSION:
                raise StateError(
                    f"{self.path} was written by another version of the rehearsal (format {document['version']}, "
                    f"this one reads {VERSION}): delete it and rehearse anew"
                )
            generation = document["generation"]
            stacks = {
                name: tuple(codec.decode(item) for item in stack["resources"])
                for name, stack in document["stacks"].items()
            }
            unfinished = replay(self._beside(".journal"), generation, stacks, codec.decode)
        except OSError as error:
            raise StateError(f"the state can't be read from {self.path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise StateError(
                f"{self.path} is not a rehearsal's state ({error}): delete it and rehearse anew"
            ) from error
        if unfinished is not None:
            stacks[unfinished[0]] = unfinished[1]
        with self._lock:
            self._stacks, self._generation = stacks, generation

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the state for one run, in this process and among processes. StateError when another run has it."""
        busy = f"another run is using {self.path or 'this engine'}: wait until it has ended"
        if not self._run.acquire(blocking=False):
            raise StateError(busy)
        try:
            if self.path is None:
                yield
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock = open(self._beside(".lock"), "w")  # noqa: SIM115 (closed below, held for the run)
            except OSError as error:
                raise StateError(f"the state can't be kept at {self.path}: {error.strerror}") from error
            with lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StateError(busy) from None
                self.reload()
                yield
        finally:
            self._run.release()

    @contextmanager
    def recording(self, stack: str) -> Iterator[Recorder]:
        """Takes down each step of a run over a stack; inside it, `keep` must say what the run ended with."""
        if self.path is None or self._codec is None:
            yield Forgetful()
            return
        self._write()  # the journal counts in what stands here now
        journal = Journal(self._beside(".journal"), self._codec, stack, self._generation)
        try:
            yield journal
        finally:
            journal.close()
            self._write()
            journal.discard()  # if the write failed, the journal still says what happened

    def keep(self, stack: str, resources: Sequence[ResourceState]) -> None:
        """Takes over a stack's resources; a stack without any is forgotten. On disk when the recording ends."""
        with self._lock:
            self._stacks[stack] = tuple(resources)
            if not resources:
                del self._stacks[stack]

    def save(self, stack: str, resources: Sequence[ResourceState]) -> None:
        """Takes over a stack's resources and returns when they are on disk."""
        self.keep(stack, resources)
        self._write()

    def edit(self, stack: str, change: Callable[[ResourceState], ResourceState]) -> bool:
        """Changes what is remembered of a stack's resources, and says whether it did. StateError while a run goes."""
        with self.exclusive():
            before = self.resources(stack)
            after = tuple(map(change, before))
            if after != before:
                self.save(stack, after)
            return after != before

    def _beside(self, ending: str) -> Path:
        assert self.path is not None, "only a state with a file has files beside it"
        return self.path.with_name(self.path.name + ending)

    def _write(self) -> None:
        if self.path is None or self._codec is None:
            return
        with self._lock:
            self._generation += 1
            head = {
                "version": VERSION,
                "generation": self._generation,
                "project": self.project,
                "organization": self.organization,
            }
            stacks = dict(self._stacks)
        bodies = []
        for name, resources in stacks.items():
            lines = ",\n".join(map(self._codec.encode, resources))
            bodies.append(json.dumps(name) + ': {"resources": [\n' + lines + "\n]}")
        text = json.dumps(head)[:-1] + ', "stacks": {\n' + ",\n".join(bodies) + "\n}}\n"
        draft = self._beside(".draft")
        try:
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, self.path)
        except OSError as error:
            raise StateError(f"the state can't be written to {self.path}: {error.strerror}") from error


_EMPTY: dict[str, Any] = {"version": VERSION, "generation": 0, "stacks": {}}
