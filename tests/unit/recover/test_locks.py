"""Locks of a backend of files: the dead's do not hold anybody up, the living's are waited for."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.recover.locks import StackLocked, left_behind, locks_of, wait_for_others

STACK = "platform-dev"


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(backend: Path, pid: int, host: str | None = None) -> Path:
    file = backend / ".pulumi" / "locks" / "organization" / "mainstage" / STACK / "lock.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    at = "2026-11-21T10:00:00.5Z"
    told = {"pid": pid, "username": getpass.getuser(), "hostname": host or socket.gethostname(), "timestamp": at}
    file.write_text(json.dumps(told))
    return file


@pytest.mark.parametrize("locked", [False, True])
def test_nobody_is_waited_for_and_nothing_is_said(tmp_path: Path, gone: int, locked: bool) -> None:
    if locked:
        write(tmp_path, gone)
    said: list[str] = []
    wait_for_others(tmp_path.as_uri(), STACK, said.append)
    assert said == []


def test_a_process_that_has_ended_and_is_not_waited_for_is_gone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        write(tmp_path, process.pid)
        assert left_behind(locks_of(tmp_path.as_uri(), STACK))
    finally:
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("host", [None, "another-machine"])
def test_a_lock_of_a_living_process_or_of_another_machine_is_told(tmp_path: Path, gone: int, host: str | None) -> None:
    pid = gone if host else os.getpid()
    file = write(tmp_path, pid, host)
    with pytest.raises(
        StackLocked, match=rf"^platform-dev is being worked on by process {pid} \(.* on .*kill -INT {pid}"
    ):
        wait_for_others(tmp_path.as_uri(), STACK, list[str]().append, wait_seconds=0)
    assert file.exists()


def test_one_that_is_given_back_is_waited_for(tmp_path: Path) -> None:
    file, said = write(tmp_path, os.getpid()), list[str]()

    def say(line: str) -> None:
        said.append(line)
        file.unlink()  # now that it was seen

    wait_for_others(tmp_path.as_uri(), STACK, say, wait_seconds=30)
    me = f"process {os.getpid()} ({getpass.getuser()} on {socket.gethostname()}, since 2026-11-21T10:00:00)"
    assert said == [f"{STACK}: waiting for {me}"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_file_that_is_no_lock_is_named_and_stays(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, 1)
    file.write_text(text)
    with pytest.raises(StackLocked, match=re.escape(str(file))):
        locks_of(tmp_path.as_uri(), STACK)
    assert file.exists()
