"""What a run has done so far, a line a step, beside the state file.

Writing the whole state after each step would cost more than the steps. A line is written with one call, so it is there
whole or not at all once the process is killed; a torn last line is passed over. Replayed over the state that the run
began with, the lines give the state after the last finished step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from infra.rehearsal.engine.codec import Codec
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import StateError


class Recorder(Protocol):
    """Takes what happens to a stack. `slot` counts in the resources that the run began with."""

    def put(self, new: ResourceState, slot: int | None, *, bury: bool = False, was: str = "") -> None:
        """A resource of the run. The old one in `slot` is settled by it, or buried: it waits for its deletion.

        `was` is the old one's URN where that was another: whatever refers to it means the new one from now on.
        """
        ...

    def keep(self, slot: int) -> None:
        """An old resource is one of the run as it is."""
        ...

    def change(self, slot: int, old: ResourceState) -> None:
        """An old resource is now marked otherwise."""
        ...

    def drop(self, slot: int) -> None:
        """An old resource is gone."""
        ...


class Forgetful:
    """Keeps nothing: for previews, and for states without a file."""

    def put(self, new: ResourceState, slot: int | None, *, bury: bool = False, was: str = "") -> None:
        return None

    def keep(self, slot: int) -> None:
        return None

    def change(self, slot: int, old: ResourceState) -> None:
        return None

    def drop(self, slot: int) -> None:
        return None


class Journal:
    """The journal of one run over one stack. `generation` is that of the state file that it continues."""

    def __init__(self, path: Path, codec: Codec, stack: str, generation: int):
        self._path = path
        self._codec = codec
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        except OSError as error:
            raise StateError(f"the state can't be kept at {path}: {error.strerror}") from error
        self._write(json.dumps({"generation": generation, "stack": stack}))

    def put(self, new: ResourceState, slot: int | None, *, bury: bool = False, was: str = "") -> None:
        place = json.dumps({"slot": slot, "bury": bury, "was": was})[:-1]
        self._write(f'{place}, "put": {self._codec.encode(new)}}}')

    def keep(self, slot: int) -> None:
        self._write(f'{{"keep": {slot}}}')

    def change(self, slot: int, old: ResourceState) -> None:
        self._write(f'{{"change": {slot}, "to": {self._codec.encode(old)}}}')

    def drop(self, slot: int) -> None:
        self._write(f'{{"drop": {slot}}}')

    def close(self) -> None:
        """Nothing more will be written."""
        os.close(self._file)

    def discard(self) -> None:
        """Deletes the journal: the state file holds everything now."""
        self._path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode()
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise StateError(f"the state can't be written to {self._path}: {error.strerror}") from error


def replay(
    path: Path, generation: int, stacks: Mapping[str, Sequence[ResourceState]], decode: Callable[[Any], ResourceState]
) -> tuple[str, tuple[ResourceState, ...]] | None:
    """The stack that a run was working on and its resources after the last finished step.

    None where no run was cut short: there is no journal, or the state file already holds what it says.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last line end is torn
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not lines or (head := json.loads(lines[0]))["generation"] != generation:
        return None
    old: list[ResourceState | None] = list(stacks.get(head["stack"], ()))
    new: dict[str, ResourceState] = {}
    for line in lines[1:]:
        entry = json.loads(line)
        if "put" in entry:
            item, slot = decode(entry["put"]), entry["slot"]
            new[item.urn] = item
            if slot is not None:
                before = old[slot]
                old[slot] = replace(before, delete=True) if entry["bury"] and before is not None else None
            if entry["was"]:
                old = [other and other.renamed(entry["was"], item.urn) for other in old]
        elif "keep" in entry:
            if (kept := old[entry["keep"]]) is not None:
                new[kept.urn] = kept
            old[entry["keep"]] = None
        elif "change" in entry:
            old[entry["change"]] = decode(entry["to"])
        else:
            old[entry["drop"]] = None
    return head["stack"], (*new.values(), *(item for item in old if item is not None))
