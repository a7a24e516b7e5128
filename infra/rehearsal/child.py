"""Runs a command that ends when this process does, however this process ends, with everything it has started."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# The keeper holds the read end of a pipe whose only write end is ours: when we are gone, it reads the end of the file
# and kills the command's process group. Kill -9 cannot be caught, but it closes pipes.
_KEEPER = """
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
def end(*_):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os._exit(137)
def watch():
    os.read(0, 1)
    end()
threading.Thread(target=watch, daemon=True).start()
signal.signal(signal.SIGTERM, end)
code = child.wait()
try:
    os.killpg(child.pid, signal.SIGKILL)
except ProcessLookupError:
    pass
os._exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    output: str
    """Standard output and error, as they came."""


def run(command: Sequence[str], *, timeout_seconds: float) -> Done:
    """Runs `command` to its end. Raises TimeoutError; nothing of the command is left running then."""
    read_end, write_end = os.pipe()
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-c", _KEEPER, *command],
        stdin=read_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    os.close(read_end)
    try:
        output, _ = keeper.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]}: not done after {timeout_seconds:g} s") from None
    finally:
        with contextlib.suppress(OSError):
            os.close(write_end)
        keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()
    return Done(keeper.returncode, output)
