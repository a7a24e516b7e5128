"""The locks of a stack: whose each is, and whether its process can still be alive.

An update holds its stack's lock, a file that names process, user and host
(https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/backend/diy/lock.go). Killed, it leaves the file, and every later
command refuses. `pulumi cancel` deletes the locks of a stack whoever holds them.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.rehearsal.pointer import alive

WAIT_SECONDS = 60
"""How long another command is waited for: one that was told to stop ends what it has under way first."""
_POLL_SECONDS = 0.2
_LOCKED = "the stack is currently locked by"
_LINE = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")


class StackLocked(ValueError):
    """Somebody else works on the stack; the message says who, and what to do."""


@dataclass(frozen=True)
class Lock:
    """As a backend of files or of a bucket records it."""

    user: str
    host: str
    pid: int
    at: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.user} on {self.host}, since {self.at[:19]})"


def locks_in(told: str) -> list[Lock]:
    """The locks that Pulumi names when it refuses for them; none when it refuses for something else."""
    if _LOCKED not in told:
        return []
    return [
        Lock(each["user"], each["host"], int(each["pid"]), each["at"])
        for each in _LINE.finditer(told[told.index(_LOCKED) :])
    ]


def locks_of(backend_url: str, stack: str) -> list[Lock]:
    """The locks of a stack in a backend of files; none that can be seen so in any other.

    Raises StackLocked for a file that is no lock.
    """
    parts = urlsplit(backend_url)
    if parts.scheme != "file":
        return []
    folder = Path(unquote(parts.netloc + parts.path)).expanduser()
    held = []
    for file in sorted((folder / ".pulumi" / "locks").glob(f"*/*/{stack}/*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            held.append(Lock(content["username"], content["hostname"], int(content["pid"]), content["timestamp"]))
        except FileNotFoundError:
            continue  # given back meanwhile
        except (ValueError, KeyError, TypeError):
            raise StackLocked(
                f"{stack}: {file} is no lock that this can read; when no pulumi works on the stack, delete it"
            ) from None
    return held


def left_behind(
    locks: Sequence[Lock],
    *,
    host: str = "",
    user: str = "",
    lives: Callable[[int], bool] = alive,
) -> bool:
    """Whether every lock was made on this machine, by this user, by a process that is dead: then it may be removed.

    host, user: this machine and this user when not given. Machines that share a name are taken for one.
    """
    host, user = host or socket.gethostname(), user or getpass.getuser()
    return bool(locks) and all(each.host == host and each.user == user and not lives(each.pid) for each in locks)


def wait_for_others(
    backend_url: str, stack: str, say: Callable[[str], None], *, wait_seconds: float = WAIT_SECONDS
) -> None:
    """Returns when nobody holds the stack but the dead, whose locks `recover` removes.

    Raises StackLocked when somebody still holds it after `wait_seconds`.
    """
    end = time.monotonic() + wait_seconds
    told = ""
    while held := [each for each in locks_of(backend_url, stack) if not left_behind([each])]:
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
