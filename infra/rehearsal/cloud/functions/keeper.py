"""A process that outlives us for a moment: when we are gone, however we went, it kills what we had started.

Frozen processes (SIGSTOP) notice nothing, not even that their pipes have closed, so somebody else must end them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

# Reads "+pid" and "-pid" lines; the end of the file is the end of us.
_PROGRAM = """
import os, signal, sys
alive = set()
for line in sys.stdin:
    pid = int(line[1:])
    (alive.add if line[0] == "+" else alive.discard)(pid)
for pid in alive:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
"""


class Keeper:
    """Keeps watch over process groups from `add` until `drop`. Thread-safe. Starts its process at the first `add`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def add(self, group: int) -> None:
        """A group that comes after the end of the watch is ended at once."""
        with self._lock:
            if self._closed:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
                return
            self._tell(f"+{group}\n")

    def drop(self, group: int) -> None:
        with self._lock:
            if self._process is not None:
                self._tell(f"-{group}\n")

    def close(self) -> None:
        """Ends the watch, and what is still watched."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()

    def _tell(self, line: str) -> None:
        """The lock is held."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                bufsize=1,
                start_new_session=True,  # Ctrl-C in the terminal is for us
            )
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
