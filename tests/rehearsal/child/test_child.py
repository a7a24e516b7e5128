"""A command that is run for a rehearsal does not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.rehearsal import child
from infra.rehearsal.pointer import alive


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
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


def test_a_time_out_ends_it_and_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class AtWork(subprocess.Popen[str]):
        """Its time begins when the command is at work, however slow the machine is."""

        def communicate(self, *given: Any, **options: Any) -> Any:
            pids_in(tmp_path / "pids")
            return super().communicate(*given, **options)

    monkeypatch.setattr(child, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": AtWork}))
    with pytest.raises(TimeoutError, match=r"not done after 0\.2 s"):
        child.run([sys.executable, "-c", SLOW, str(tmp_path / "pids")], timeout_seconds=0.2)
    for pid in pids_in(tmp_path / "pids"):
        until(lambda pid=pid: not alive(pid), f"{pid} lives")


def test_kill_9_of_the_caller_ends_it_and_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path / "pids")]
    program = f"from infra.rehearsal import child; child.run({command!r}, timeout_seconds=600)"
    caller = subprocess.Popen([sys.executable, "-c", program])
    pids = pids_in(tmp_path / "pids")
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    for pid in pids:
        until(lambda pid=pid: not alive(pid), f"{pid} lives")
