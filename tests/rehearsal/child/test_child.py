"""A command that is run for a rehearsal does not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.rehearsal import child


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie that nobody waits for yet is gone too.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_output_and_code_come_back() -> None:
    done = child.run(
        [sys.executable, "-c", "import sys; print('ü'); print('e', file=sys.stderr); sys.exit(3)"], timeout_seconds=60
    )
    assert (done.returncode, sorted(done.output.split())) == (3, ["e", "ü"])


SLOW = """
import os, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {grandchild.pid}")
time.sleep(600)
"""


def pids_in(path: Path) -> list[int]:
    until(lambda: path.exists() and len(path.read_text().split()) == 2, "the command did not start")
    return [int(word) for word in path.read_text().split()]


def test_a_time_out_ends_it_and_what_it_started(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="not done after 3 s"):
        child.run([sys.executable, "-c", SLOW, str(tmp_path / "pids")], timeout_seconds=3)
    for pid in pids_in(tmp_path / "pids"):
        until(lambda pid=pid: gone(pid), f"{pid} lives")


def test_kill_9_of_the_caller_ends_it_and_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path / "pids")]
    program = f"from infra.rehearsal import child; child.run({command!r}, timeout_seconds=600)"
    caller = subprocess.Popen([sys.executable, "-c", program])
    pids = pids_in(tmp_path / "pids")
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait(10)
    for pid in pids:
        until(lambda pid=pid: gone(pid), f"{pid} lives")
