"""dev by `rehearse-up` and `rehearse-down`, each killed on the way: the next run goes on; at last nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from census import census
from whole_checkout import WholeCheckout, whole_checkout

from infra.recover.locks import locks_of
from infra.rehearsal import cloud_control, standing
from infra.rehearsal.cloud_control import Running
from infra.rehearsal.pointer import alive

PLATFORM, MODELS = "platform-dev", "models-dev"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[WholeCheckout]:
    (tmp_path / "checkout").mkdir()
    made = whole_checkout(tmp_path / "checkout")
    yield made
    made.end()


def until(found: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    limit = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


def held(running: Running, stack: str) -> int:
    """How many resources the stack's state has now."""
    try:
        written = json.loads(running.project.checkpoint(stack).read_text())
    except (FileNotFoundError, ValueError):
        return 0
    return len((written["checkpoint"].get("latest") or {}).get("resources") or ())


def kill_9(process: subprocess.Popen[str], *others: int) -> None:
    for pid in (process.pid, *others):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def test_killed_up_and_killed_down(checkout: WholeCheckout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkout.run("cloud", "start", "--env", "dev").returncode == 0
    running = cloud_control.found(checkout.root, "dev")
    before = census(running.target)

    # Killed alone, the command takes pulumi along, which ends what it has under way and gives its lock back.
    process = checkout.start("rehearse-up", "--env", "dev", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: held(running, PLATFORM) > 10, "ten resources of the platform")
    [lock] = locks_of(running.project.backend.as_uri(), PLATFORM)
    kill_9(process)
    until(lambda: not alive(lock.pid), "the end of pulumi", 60)
    assert locks_of(running.project.backend.as_uri(), PLATFORM) == []
    made = held(running, PLATFORM)
    assert checkout.git_status() == ""

    # Killed with pulumi, it leaves the lock. The next run says so, removes it and goes on.
    process = checkout.start("rehearse-up", "--env", "dev", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: held(running, PLATFORM) > made + 5, "more resources of the platform")
    [lock] = locks_of(running.project.backend.as_uri(), PLATFORM)
    kill_9(process, lock.pid)
    assert [each.pid for each in locks_of(running.project.backend.as_uri(), PLATFORM)] == [lock.pid]
    up = checkout.run("rehearse-up", "--env", "dev", "--json")
    assert up.returncode == 0, up.stderr
    assert f"{PLATFORM}: removed a lock left by process {lock.pid} (" in up.stderr
    assert json.loads(up.stdout)["registered"] == ["iris 1"]
    assert checkout.git_status() == ""

    process = checkout.start("rehearse-down", "--env", "dev", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    all_of_them = held(running, MODELS)
    until(lambda: held(running, MODELS) < all_of_them - 10, "ten resources of the models less")
    kill_9(process)
    assert checkout.git_status() == ""

    # In this process, with a cloud that is not stopped, so that it can be asked what it still has.
    stopped: list[Path] = []
    monkeypatch.setattr(cloud_control, "stop", stopped.append)
    monkeypatch.setenv("PYTHONPATH", checkout.environment["PYTHONPATH"])
    left = standing.down(checkout.root, "dev", lambda _: None, lambda _: None)
    assert (left.remaining, left.cloud_stopped, stopped) == ([], True, [checkout.root])
    assert (held(running, MODELS), held(running, PLATFORM)) == (0, 0)
    assert census(running.target) == before
    monkeypatch.undo()

    # Nothing stands: said, and no error; with nothing left of it the cloud goes.
    down = checkout.run("rehearse-down", "--env", "dev")
    assert (down.returncode, down.stdout.splitlines()[-1]) == (
        0, "Nothing remains of dev; its emulated cloud is stopped.",
    )  # fmt: skip
    assert cloud_control.find(checkout.root) is None
    until(lambda: not alive(running.pid), "the end of the cloud's process", 60)  # its lock is free a moment earlier
    down = checkout.run("rehearse-down", "--env", "dev")
    assert (down.returncode, down.stdout) == (0, "no emulated cloud runs, so nothing stands\n")
    assert checkout.git_status() == ""
