"""A command that changes a stack, by a played `pulumi`: others that work on it, and every way not to end well."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.recover.locks import StackLocked, locks_in
from infra.rehearsal import changing, cloud_control, disk
from infra.rehearsal.changing import change, in_the_cloud
from infra.rehearsal.cloud_control import CloudError, Running, prepare
from infra.rehearsal.pulumi_cli.cli import Cli

STACK = "platform-dev"

# A pulumi whose `up` is the test's; it counts how often it was called.
PLAYED = """#!/bin/sh
case "$1 $2" in
"stack export") echo '{"version": 3, "deployment": {}}' ;;
"stack select")
    file="$PLAYED/backend/.pulumi/stacks/mainstage/$4.json"
    sleep 0.3
    if [ -e "$file" ]; then echo "error: stack '$4' already exists" >&2; exit 255; fi
    mkdir -p "$(dirname "$file")" && echo '{}' >"$file" ;;
"up "*)
    echo once >>"$PLAYED/ups"
    UP ;;
esac
"""
LOCKED = """\
error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file
  file:///backend/.pulumi/locks/x.json: created by ROOT@HOST (pid 4711) at 2026-11-21T20:00:00Z
"""
ENDS_WELL = "printf 'Resources:\\n    + 3 created\\n'"


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    root = tmp_path / "checkout"
    for folder in ("stacks", ".tools/bin", ".mainstage"):
        (root / folder).mkdir(parents=True)
    (root / "Pulumi.yaml").write_text("name: mainstage\n")
    (root / "stacks" / "Pulumi.platform-dev.yaml").write_text("config: {}\n")
    monkeypatch.setattr(cloud_control, "lives", lambda _: True)
    monkeypatch.setenv("PLAYED", str(tmp_path))
    return Running(root, 7, "dev", "111111111111", "eu-west-1", "http://127.0.0.1:1", 2, "AKIA", "rehearsal", tmp_path)


@pytest.fixture
def up(running: Running) -> Callable[[str], changing.StackDone]:
    """Brings the platform up with a pulumi that does what the lines of shell say."""

    def up(lines: str) -> changing.StackDone:
        pulumi = running.root / ".tools" / "bin" / "pulumi"
        pulumi.write_text(PLAYED.replace("UP", lines))
        pulumi.chmod(0o755)
        cli = Cli(running.project, running.emulated)
        running.project.folder.mkdir(exist_ok=True)
        with in_the_cloud(running):
            return change(cli, STACK, running.target, ("up", "--yes"), lambda _: None, lambda _: None)

    return up


def ups(running: Running) -> int:
    return len((running.directory / "ups").read_text().splitlines())


def test_it_counts_what_was_done(up: Callable[[str], changing.StackDone]) -> None:
    assert up(ENDS_WELL).changes == {"created": 3}


def test_a_failure_is_told_with_what_pulumi_said(up: Callable[[str], changing.StackDone]) -> None:
    with pytest.raises(CloudError) as refused:
        up("printf 'Diagnostics:\\n  a (b):\\n    error: AccessDenied\\n'; exit 1")
    assert str(refused.value) == (
        "pulumi up of platform-dev failed:\n  a (b):\n    error: AccessDenied\n"
        "What was done stays done. Mend it, then: make rehearse-up ENV=dev"
    )


def test_killed_is_called_killed(up: Callable[[str], changing.StackDone]) -> None:
    with pytest.raises(CloudError) as refused:
        up("echo working; kill -9 $$")
    assert str(refused.value) == (
        "pulumi up of platform-dev: pulumi was killed (signal 9). Run the same again: make rehearse-up ENV=dev. "
        "It clears up first what was under way"
    )


def test_who_loses_the_lock_waits_again(up: Callable[[str], changing.StackDone], running: Running) -> None:
    told = LOCKED.replace("HOST", socket.gethostname())
    assert up(f"[ $(wc -l <$PLAYED/ups) = 1 ] && echo '{told}' && exit 255; {ENDS_WELL}").changes == {"created": 3}
    assert ups(running) == 2


def test_who_loses_it_again_and_again_says_to_whom(up: Callable[[str], changing.StackDone], running: Running) -> None:
    with pytest.raises(StackLocked) as refused:
        up(f"echo '{LOCKED}'; exit 255")
    [lock] = locks_in(LOCKED)
    assert lock.pid == 4711
    assert str(refused.value) == (
        f"platform-dev is being worked on by {lock}, and others before: when they have ended, make rehearse-up ENV=dev"
    )
    assert ups(running) == changing.ATTEMPTS


def test_a_cloud_that_ended_meanwhile_is_why(
    up: Callable[[str], changing.StackDone], running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_control, "lives", lambda _: False)
    assert up(ENDS_WELL).changes == {"created": 3}
    with pytest.raises(CloudError) as refused:
        up("echo 'error: error reading from server: EOF'; exit 1")
    assert str(refused.value) == (
        "the emulated cloud of dev (process 7) has ended, and what stood in it is gone. From the beginning: "
        f"make rehearse-up ENV=dev; its log: {running.root}/.mainstage/cloud.log"
    )


def test_a_failure_while_the_disk_is_full_says_so(
    up: Callable[[str], changing.StackDone], running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = running.root / ".mainstage"
    usage = shutil.disk_usage(own)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: usage._replace(free=0 if folder == own else disk.ENOUGH_BYTES)
    )
    with pytest.raises(CloudError) as refused:
        up("exit 1")
    assert str(refused.value).splitlines()[-1] == (
        f"no room is left on the disk of {own}: make some, then run the same again"
    )


def test_an_error_of_a_full_disk_gets_a_place_and_others_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(disk.DiskFull) as refused, disk.naming_it(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(refused.value) == (
        f"no room is left for {tmp_path}/.mainstage (No space left on device): make some, then run the same again"
    )
    with pytest.raises(PermissionError), disk.naming_it(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_pulumis_own_word_for_a_full_disk_is_explained(
    up: Callable[[str], changing.StackDone], running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be room again by the time that it has ended."""
    monkeypatch.setattr(changing, "full_told", lambda _: "")
    with pytest.raises(CloudError) as refused:
        up("echo 'error: failed to save snapshot: write x.json: no space left on device'; exit 255")
    assert str(refused.value).splitlines()[-1] == (
        f"a disk was full, {running.root}/.mainstage or another: make room, then: make rehearse-up ENV=dev"
    )


def test_a_state_that_a_full_disk_has_damaged_is_named(running: Running) -> None:
    file = running.project.checkpoint(STACK)
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 3, "checkpoint": {"la')
    with pytest.raises(CloudError) as refused:
        prepare(running)
    assert str(refused.value) == (
        f"{STACK}: {file} is damaged, as a full disk leaves it, and pulumi cannot read what stands in this emulated "
        "cloud: mainstage cloud stop, then make rehearse-up ENV=dev"
    )


def test_two_that_begin_at_once_make_each_stack_once(running: Running) -> None:
    pulumi = running.root / ".tools" / "bin" / "pulumi"
    pulumi.write_text(PLAYED)
    pulumi.chmod(0o755)
    failed: list[Exception] = []

    def one() -> None:
        try:
            prepare(running)
        except Exception as error:
            failed.append(error)

    both = [threading.Thread(target=one) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert failed == []
    assert all(Cli(running.project, running.emulated).exists(stack) for stack in running.stacks)
