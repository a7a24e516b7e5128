"""What a model host's process really uses: the numbers behind the utilisation metrics of an endpoint."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PS_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Usage:
    """One look at a process."""

    cpu_seconds: float
    """Used since it started."""
    resident_bytes: int
    at: float
    """Monotonic seconds."""


def look(pid: int) -> Usage | None:
    """What the process has used so far; None when it is gone or the machine does not tell."""
    try:
        return _from_proc(pid) if _PROC.joinpath("self/stat").exists() else _from_ps(pid)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return None


def cpu_percent(before: Usage | None, now: Usage) -> float:
    """Percent of one core between two looks: 0 to 100 times the cores, as SageMaker's CPUUtilization. 0 at the first
    look."""
    if before is None or now.at <= before.at:
        return 0.0
    return max(0.0, (now.cpu_seconds - before.cpu_seconds) / (now.at - before.at) * 100)


def memory_percent(usage: Usage) -> float:
    """Percent of the machine's memory."""
    return usage.resident_bytes / (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) * 100


def _from_proc(pid: int) -> Usage:
    # The command's name may hold spaces and brackets: fields are counted from the last closing one (proc(5)).
    fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(_PROC.joinpath(str(pid), "statm").read_text().split()[1])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"), time.monotonic())


def _from_ps(pid: int) -> Usage:
    answer = subprocess.run(
        ["ps", "-o", "time=,rss=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=_PS_TIMEOUT_SECONDS,
        check=True,
    )
    clock, kibibytes = answer.stdout.split()
    seconds = 0.0
    for part in clock.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return Usage(seconds, int(kibibytes) * 1024, time.monotonic())
