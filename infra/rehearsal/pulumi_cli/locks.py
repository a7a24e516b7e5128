"""The locks of a backend of files: whose a lock is, and whether it may go.

An update holds its stack's lock, a file that names process, user and host
(https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/backend/diy/lock.go). Killed, it leaves the file, and every later
command refuses. `pulumi cancel` deletes the locks of a stack whoever holds them; here a lock goes only when it is of
this machine and the process that wrote it is gone.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal.pointer import alive
from infra.rehearsal.pulumi_cli.project import Project

WAIT_SECONDS = 60
"""How long another command is waited for: one that was told to stop ends what it has under way first."""
_POLL_SECONDS = 0.2


class StackLocked(ValueError):
    """Somebody else works on the stack; the message says who, and what to do."""


@dataclass(frozen=True)
class Lock:
    """One lock file."""

    file: Path
    pid: int
    username: str
    hostname: str
    since: str
    """As pulumi wrote it: RFC 3339."""

    @property
    def stale(self) -> bool:
        """Whether the process that wrote it is known to be gone. Of another machine's nothing is known."""
        return self.hostname == platform.node() and not alive(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} of {self.username} on {self.hostname}, since {self.since[:19]}"


def locks_of(project: Project, stack: str) -> list[Lock]:
    """The stack's locks. Raises StackLocked for a file that is none."""
    found = []
    for file in sorted(project.locks(stack).glob("*.json")):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            lock = Lock(file, int(told["pid"]), told["username"], told["hostname"], told["timestamp"])
        except FileNotFoundError:
            continue  # given back meanwhile
        except (ValueError, KeyError, TypeError):
            raise StackLocked(
                f"{stack}: {file} is no lock that this can read; when no pulumi works on the stack, delete it"
            ) from None
        found.append(lock)
    return found


def free(
    project: Project, stack: str, say: Callable[[str], None] = lambda _: None, *, wait_seconds: float = WAIT_SECONDS
) -> None:
    """Returns when the stack can be locked: deletes what dead processes left, and says so; waits for living ones.

    Raises StackLocked when one still holds it after `wait_seconds`.
    """
    end = time.monotonic() + wait_seconds
    told = ""
    while held := _without_stale(project, stack, say):
        holders = "; ".join(map(str, held))
        if time.monotonic() >= end:
            raise StackLocked(
                f"{stack} is being worked on by {holders}: wait for it to end, or stop it (kill -INT "
                f"{held[0].pid}); if it is no pulumi any more: pulumi cancel --yes --stack {stack}"
            )
        if holders != told:
            say(f"{stack}: waiting for {holders}")
            told = holders
        time.sleep(_POLL_SECONDS)


def _without_stale(project: Project, stack: str, say: Callable[[str], None]) -> list[Lock]:
    """Deletes the stale locks and returns the others."""
    held = []
    for lock in locks_of(project, stack):
        if not lock.stale:
            held.append(lock)
            continue
        lock.file.unlink(missing_ok=True)
        say(f"{stack}: removed the lock that {lock} left: that process is gone")
    return held
