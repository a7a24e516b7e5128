"""The lock that a killed `pulumi` leaves behind: whether its process can still be alive."""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.rehearsal.pointer import alive

_LOCKED = "the stack is currently locked by"
_LINE = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")


@dataclass(frozen=True)
class Lock:
    """As a backend of files or of a bucket records it."""

    user: str
    host: str
    pid: int
    at: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (pid {self.pid}), since {self.at}"


def locks_in(told: str) -> list[Lock]:
    """The locks that Pulumi names when it refuses for them; none when it refuses for something else."""
    if _LOCKED not in told:
        return []
    return [
        Lock(each["user"], each["host"], int(each["pid"]), each["at"])
        for each in _LINE.finditer(told[told.index(_LOCKED) :])
    ]


def locks_of(backend_url: str, stack: str) -> list[Lock]:
    """The locks of a stack in a backend of files; none that can be seen so in any other."""
    parts = urlsplit(backend_url)
    if parts.scheme != "file":
        return []
    folder = Path(unquote(parts.netloc + parts.path)).expanduser()
    held = []
    for file in sorted((folder / ".pulumi" / "locks").glob(f"*/*/{stack}/*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        held.append(Lock(content["username"], content["hostname"], content["pid"], content["timestamp"]))
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
