"""The journal of one stream: what was acknowledged, on disk, and which of it was delivered.

The cloud's process appends (`Journal`), the delivering process reads on (`Reader`) and notes what it has delivered
(`Delivered`). Nothing is synced to the device: what `write` has taken outlives any process, and only a power cut loses
it; a rehearsal needs no more, and a put stays cheap.

Layout of a folder: `journal-<first number>` files with entries of (number, arrival in microseconds, length) and data;
`delivered`, ranges of numbers, each two 64-bit integers (first, one past the last). Numbers start at 0, without gaps.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SEGMENT_BYTES = 16 * 1024 * 1024
"""A file that has grown beyond this is followed by a new one; the reader removes it when all of it is delivered."""

_ENTRY = struct.Struct(">QQI")
_RANGE = struct.Struct(">QQ")
_READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """One acknowledged record."""

    number: int
    arrived_us: int
    """Microseconds since 1970 by the cloud's clock."""
    data: bytes


def _segment(folder: Path, first: int) -> Path:
    return folder / f"journal-{first:020d}"


def _segments(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.name.removeprefix("journal-")), path) for path in folder.glob("journal-*"))


class Journal:
    """The writing side. Thread-safe."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES):
        self.folder = folder
        folder.mkdir(parents=True)
        self.next = 0
        """The number of the next record, which is the count of all."""
        self._segment_bytes = segment_bytes
        self._size = 0
        self._lock = threading.Lock()
        self._file = self._open()
        self._delivered = DeliveredCount(folder)

    def append(self, arrived_us: int, records: Iterable[bytes]) -> int:
        """Writes the records and returns the first one's number. They are on disk, in the system's hands, then."""
        with self._lock:
            if self._file < 0:
                raise ValueError(f"{self.folder}: the journal is closed")
            if self._size >= self._segment_bytes:
                os.close(self._file)
                self._size = 0
                self._file = self._open()
            first = number = self.next
            parts: list[bytes] = []
            for data in records:
                parts += (_ENTRY.pack(number, arrived_us, len(data)), data)
                number += 1
            block = b"".join(parts)
            view = memoryview(block)
            while view:
                view = view[os.write(self._file, view) :]
            self._size += len(block)
            self.next = number
            return first

    def waiting(self, before: int | None = None) -> int:
        """Records that are acknowledged and not delivered yet. before: only those with a lower number."""
        with self._lock:
            end = self.next if before is None else min(before, self.next)
            return end - self._delivered.count(end)

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _open(self) -> int:
        return os.open(_segment(self.folder, self.next), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


class DeliveredCount:
    """How many records are delivered, read from the notes of the delivering process."""

    def __init__(self, folder: Path):
        self._path = folder / "delivered"
        self._position = 0
        self._low = 0
        """All records below are delivered."""
        self._above: dict[int, int] = {}
        """Ranges above that, each first number with its end."""

    def count(self, before: int) -> int:
        """Of the records with a lower number."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._position)
                for first, end in _ranges(file.read()):
                    self._above[first] = end
                    self._position += _RANGE.size
        while self._low in self._above:
            self._low = self._above.pop(self._low)
        parts = (min(end, before) - first for first, end in self._above.items() if first < before)
        return min(self._low, before) + sum(parts)


def _ranges(content: bytes) -> Iterator[tuple[int, int]]:
    return _RANGE.iter_unpack(content[: len(content) - len(content) % _RANGE.size])  # pyright: ignore[reportReturnType]


class Delivered:
    """The notes of the delivering process: written after an object is in S3, so that a death between the two delivers
    again."""

    def __init__(self, folder: Path):
        path = folder / "delivered"
        content = path.read_bytes() if path.exists() else b""
        self._known = sorted(_ranges(content))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # A note that was cut short by a death would shift all that follow.
        os.ftruncate(self._file, len(content) - len(content) % _RANGE.size)

    def before(self) -> set[int]:
        """The numbers that an earlier process has delivered."""
        return {number for first, end in self._known for number in range(first, end)}

    def note(self, numbers: Iterable[int]) -> None:
        """Notes records as delivered, each number once."""
        block = b"".join(_RANGE.pack(first, end) for first, end in _joined(sorted(numbers)))
        if block:
            os.write(self._file, block)


def _joined(numbers: list[int]) -> Iterator[tuple[int, int]]:
    first = end = -1
    for number in numbers:
        if number == end:
            end += 1
            continue
        if first >= 0:
            yield first, end
        first, end = number, number + 1
    if first >= 0:
        yield first, end


class Reader:
    """The reading side: reads on where it stopped, and forgets files that are delivered whole."""

    def __init__(self, folder: Path, skip: set[int]):
        self._folder = folder
        self._skip = skip
        self._path: Path | None = None
        self._position = 0
        self.next = 0
        """The number of the next record to read."""

    def read(self) -> list[Entry]:
        """Complete entries that were appended since the last time; a few megabytes at most."""
        if self._path is None:
            segments = _segments(self._folder)
            if not segments:
                return []
            self.next, self._path = segments[0]
        entries = self._read_file()
        if not entries:
            following = _segment(self._folder, self.next)
            if following != self._path and following.exists():
                self._path, self._position = following, 0
                entries = self._read_file()
        return [entry for entry in entries if entry.number not in self._skip]

    def _read_file(self) -> list[Entry]:
        assert self._path is not None
        with self._path.open("rb") as file:
            file.seek(self._position)
            content = file.read(_READ_BYTES)
        entries: list[Entry] = []
        start = 0
        while start + _ENTRY.size <= len(content):
            number, arrived_us, length = _ENTRY.unpack_from(content, start)
            end = start + _ENTRY.size + length
            if end > len(content):
                break
            entries.append(Entry(number, arrived_us, content[start + _ENTRY.size : end]))
            start = end
        self._position += start
        if entries:
            self.next = entries[-1].number + 1
        return entries

    def forget(self, lowest_waiting: int) -> None:
        """Removes the files whose records are all below this number, except the one that is read."""
        segments = _segments(self._folder)
        for (_, path), (following, _) in itertools.pairwise(segments):
            if following <= lowest_waiting and path != self._path:
                path.unlink()
