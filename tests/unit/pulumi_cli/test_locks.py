"""A lock goes when the process that wrote it is gone, and only then."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.rehearsal.pulumi_cli.locks import StackLocked, free, locks_of
from infra.rehearsal.pulumi_cli.project import Project, project_at

STACK = "platform-dev"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_at(tmp_path, tmp_path / "pulumi")


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(project: Project, pid: int, host: str | None = None, name: str = "lock") -> Path:
    file = project.locks(STACK) / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"pid": pid, "username": "ada", "hostname": host or platform.node(), "timestamp": "2026-11-21T10:00:00.5Z"}
    file.write_text(json.dumps(told))
    return file


def test_no_lock_nothing_said(project: Project) -> None:
    said: list[str] = []
    free(project, STACK, said.append)
    assert said == []


def test_a_lock_that_a_dead_process_left_goes_and_is_told(project: Project, gone: int) -> None:
    file, said = write(project, gone), list[str]()
    free(project, STACK, said.append)
    assert not file.exists()
    assert said == [
        f"{STACK}: removed the lock that process {gone} of ada on {platform.node()}, since 2026-11-21T10:00:00 left: "
        "that process is gone"
    ]


def test_a_process_that_has_ended_and_is_not_waited_for_is_gone(project: Project) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        file = write(project, process.pid)
        free(project, STACK, wait_seconds=0)
        assert not file.exists()
    finally:
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("host", [None, "another-machine"])
def test_a_lock_of_a_living_process_or_of_another_machine_stays(project: Project, gone: int, host: str | None) -> None:
    pid = gone if host else os.getpid()
    file = write(project, pid, host)
    with pytest.raises(
        StackLocked, match=rf"^platform-dev is being worked on by process {pid} of ada on .*kill -INT {pid}"
    ):
        free(project, STACK, wait_seconds=0)
    assert file.exists()


def test_one_that_is_given_back_is_waited_for(project: Project) -> None:
    file, said = write(project, os.getpid()), list[str]()
    timer = threading.Timer(0.3, file.unlink)
    timer.start()
    free(project, STACK, said.append, wait_seconds=30)
    timer.join()
    assert said == [
        f"{STACK}: waiting for process {os.getpid()} of ada on {platform.node()}, since 2026-11-21T10:00:00"
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_file_that_is_no_lock_is_named_and_stays(project: Project, text: str) -> None:
    file = write(project, 1)
    file.write_text(text)
    with pytest.raises(StackLocked, match=re.escape(str(file))):
        locks_of(project, STACK)
    assert file.exists()
