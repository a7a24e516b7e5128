"""What a container prints: kept in a bounded list and in a bounded file."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

KEPT_LINES = 5_000
MAX_LINE_CHARACTERS = 16_000
MAX_FILE_BYTES = 32 * 1024**2


class LogBook:
    """Lines in order. Thread-safe. Of too many lines, the list keeps the last and the file the first."""

    def __init__(self, path: Path):
        self.path = path
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._count = 0
        self._written = 0
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)

    def add(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if len(line) > MAX_LINE_CHARACTERS:
            line = f"{line[:MAX_LINE_CHARACTERS]} [cut: {len(line)} characters]"
        with self._lock:
            self._lines.append(line)
            self._count += 1
            self._write(line.encode("utf-8", "replace") + b"\n")

    def _write(self, data: bytes) -> None:
        if self._file.closed or self._written > MAX_FILE_BYTES:
            return
        if self._written + len(data) > MAX_FILE_BYTES:
            data = f"[log cut here: larger than {MAX_FILE_BYTES} bytes]\n".encode()
            self._written = MAX_FILE_BYTES
        self._file.write(data)
        self._written += len(data)

    def lines(self) -> list[str]:
        with self._lock:
            return list(self._lines)

    def since(self, count: int) -> tuple[int, list[str]]:
        """The lines after the first `count`, and the count to ask with next. Lines no longer kept are left out."""
        with self._lock:
            fresh = self._count - count
            return self._count, list(self._lines)[-fresh:] if fresh > 0 else []

    def tail(self, count: int = 40) -> str:
        return "\n".join(self.lines()[-count:])

    def close(self) -> None:
        with self._lock:
            self._file.close()
