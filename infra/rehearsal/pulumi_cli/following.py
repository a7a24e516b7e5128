"""Runs a command whose lines are read as they come, and that is asked to stop when this process ends, however it ends.

`infra/rehearsal/child.py` kills at once. An update that is killed inside a create loses track of what it made; asked to
stop, it ends what it has under way, writes the state and gives the lock back.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 120
"""How long a command may take to stop before it is killed; a call that waits for an endpoint takes that long."""

# The keeper holds the read end of a pipe whose only write end is ours. When we are gone, or close it, it reads the end
# of the file and interrupts the command's process group, as Ctrl-C does. It goes on reading the command's lines, since
# a command that writes into a closed pipe dies of that.
_KEEPER = """
import os, signal, subprocess, sys, threading
grace = float(sys.argv[1])
child = subprocess.Popen(
    sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
)
def send(number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass
def watch():
    os.read(0, 1)
    send(signal.SIGINT)
    timer = threading.Timer(grace, send, [signal.SIGKILL])
    timer.daemon = True
    timer.start()
def reap():
    # What it leaves running would hold the other end of its lines.
    child.wait()
    send(signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
threading.Thread(target=reap, daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: send(signal.SIGKILL))
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
heard = True
while block := child.stdout.read1():
    try:
        if heard:
            os.write(1, block)
    except OSError:
        heard = False
code = child.wait()
os._exit(code if code >= 0 else 128 - code)
"""


def follow(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path,
    env: Mapping[str, str],
    grace_seconds: float = GRACE_SECONDS,
) -> tuple[int, str]:
    """Runs `command` to its end; `on_line` gets each line of its output and errors. Returns exit code and all output.

    A KeyboardInterrupt meanwhile is passed on: raised again when the command has stopped.
    """
    read_end, write_end = os.pipe()
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-c", _KEEPER, str(grace_seconds), *command],
        cwd=cwd,
        env=dict(env),
        stdin=read_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    os.close(read_end)
    assert keeper.stdout is not None
    lines: list[str] = []

    def read() -> None:
        assert keeper.stdout is not None
        for line in keeper.stdout:
            lines.append(line)
            on_line(line.rstrip("\n"))

    try:
        read()
        keeper.wait()
    except BaseException:
        os.close(write_end)
        write_end = -1
        with contextlib.suppress(BaseException):  # a second Ctrl-C does not wait for it
            read()
            keeper.wait()
        raise
    finally:
        if write_end >= 0:
            os.close(write_end)
        if keeper.poll() is None:
            keeper.terminate()
            keeper.wait()
        keeper.stdout.close()
    return keeper.returncode, "".join(lines)
