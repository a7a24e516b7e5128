"""Lambda's own lines in a function's log."""

from __future__ import annotations

import math
import platform
import sys

from infra.rehearsal.cloud.functions.deployment import Deployment
from infra.rehearsal.cloud.functions.environment import Environment
from infra.rehearsal.cloud.functions.invocation import Invocation


def init_start(deployment: Deployment) -> str:
    """The first line of an environment's log. It says once that the interpreter is another than was asked for."""
    own = f"python3.{sys.version_info.minor}"
    line = f"INIT_START Runtime Version: python:{platform.python_version()}"
    if own != deployment.runtime:
        line += f"\tRehearsal: runs on {own}, the function asks for {deployment.runtime}"
    return line


def report_line(environment: Environment, invocation: Invocation, ms: float, *, failed: bool) -> str:
    """The account of an invocation, as Lambda writes it. ms: until runtime and extensions were done."""
    parts = [
        f"REPORT RequestId: {invocation.request_id}",
        f"Duration: {ms:.2f} ms",
        f"Billed Duration: {math.ceil(ms)} ms",
        f"Memory Size: {environment.deployment.memory_mb} MB",
    ]
    used = _peak_mb(environment.pid)
    if used is not None:
        parts.append(f"Max Memory Used: {used} MB")
    if invocation.init_ms is not None:
        parts.append(f"Init Duration: {invocation.init_ms:.2f} ms")
    if invocation.timed_out:
        parts.append("Status: timeout")
    elif failed:
        parts.append("Status: error")
    return "\t".join(parts)


def _peak_mb(pid: int) -> int | None:
    """Linux's high-water mark of a process. None elsewhere, and when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return math.ceil(int(line.split()[1]) / 1024)
    except OSError:
        return None
    return None
