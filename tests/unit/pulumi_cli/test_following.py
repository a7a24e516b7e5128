"""A command whose lines are followed: it is asked to stop when we end, and its end is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.rehearsal.pulumi_cli.following import follow

# As pulumi does: on the first interrupt it ends what it has under way, which takes it a moment.
SLOW_TO_STOP = """
import pathlib, signal, sys, time
def stop(*_):
    print("stopping", flush=True)
    time.sleep(0.3)
    pathlib.Path(sys.argv[1]).write_text("in order")
    print("stopped", flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, stop)
print("working", flush=True)
time.sleep(60)
"""


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def test_lines_come_as_they_are_written_and_all_is_returned(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(3)"
    code, output = follow(python(script), lines.append, cwd=tmp_path, env=os.environ)
    assert (code, output, lines) == (3, "one\ntwo\n", ["one", "two"])


def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    )
    _, output = follow(python(script), lambda _: None, cwd=tmp_path, env=os.environ)
    until_gone(int(output))


def test_an_interrupt_is_passed_on_when_the_command_has_stopped(tmp_path: Path) -> None:
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "working":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(python(SLOW_TO_STOP, str(tmp_path / "end")), on_line, cwd=tmp_path, env=os.environ)
    assert lines == ["working", "stopping", "stopped"]
    assert (tmp_path / "end").read_text() == "in order"


def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    def on_line(line: str) -> None:
        if line == "deaf":
            raise KeyboardInterrupt

    deaf = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        follow(python(deaf), on_line, cwd=tmp_path, env=os.environ, grace_seconds=0.2)
    assert time.monotonic() - started < 30


def test_kill_9_of_who_follows_lets_the_command_end_in_order(tmp_path: Path) -> None:
    end = tmp_path / "end"
    follower = (
        "import os, sys, pathlib\n"
        "from infra.rehearsal.pulumi_cli.following import follow\n"
        f"follow({python(SLOW_TO_STOP, str(end))!r}, lambda line: print(line, flush=True), "
        f"cwd=pathlib.Path({str(tmp_path)!r}), env=os.environ)\n"
    )
    process = subprocess.Popen(python(follower), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    limit = time.monotonic() + 30
    while not end.exists() or not end.read_text():
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert end.read_text() == "in order"


def until_gone(pid: int) -> None:
    from infra.rehearsal.pointer import alive

    limit = time.monotonic() + 30
    while alive(pid):
        assert time.monotonic() < limit
        time.sleep(0.05)
