"""Runs `pulumi` commands on a project."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.rehearsal.pulumi_cli.environment import Emulated, environment
from infra.rehearsal.pulumi_cli.following import follow
from infra.rehearsal.pulumi_cli.project import Project

BINARIES = Path(".tools") / "bin"


class PulumiMissing(ValueError):
    """There is no usable `pulumi`; the message says how to get one."""


class PulumiFailed(ValueError):
    """A command ended with another code than 0; the message has its words."""

    def __init__(self, done: Done):
        how = f"ended with {done.code}" if done.signal is None else f"was killed (signal {done.signal})"
        super().__init__(f"{done.shown} {how}\n{done.told}")
        self.done = done


@dataclass(frozen=True)
class Done:
    """One command that has ended."""

    arguments: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def shown(self) -> str:
        return " ".join(("pulumi", *self.arguments))

    @property
    def signal(self) -> int | None:
        """What it was killed by; None when it ended itself. Negative codes are Popen's, those above 128 a shell's; 255,
        with which pulumi ends too, is no signal's."""
        if self.code < 0:
            return -self.code
        return self.code - 128 if 128 < self.code < 128 + signal.NSIG else None

    @property
    def told(self) -> str:
        """All that it said."""
        return "\n".join(filter(None, (self.stdout.strip(), self.stderr.strip())))


def find(root: Path) -> Path:
    """The `pulumi` of `make pulumi`. Raises PulumiMissing."""
    found = root / BINARIES / "pulumi"
    if not found.exists():
        raise PulumiMissing("this runs the real Pulumi CLI, and it is not here yet: make pulumi")
    return found


@dataclass(frozen=True)
class Cli:
    """`pulumi` on one project and one emulated cloud. Several may run at once; an update holds its stack's lock."""

    project: Project
    emulated: Emulated
    more: Mapping[str, str] = field(default_factory=dict)
    """Further variables."""

    @property
    def program(self) -> Path:
        return find(self.project.root)

    def environment(self) -> dict[str, str]:
        return {**environment(self.emulated, self.project, self.program.parent), **self.more}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a command in a session of its own, output readable as text; options: Popen's own."""
        return subprocess.Popen(
            [str(self.program), *arguments, "--non-interactive"],
            cwd=self.project.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def try_run(self, *arguments: str, timeout_seconds: float = 1800) -> Done:
        """Runs a command to its end, whatever that is. Raises TimeoutError, and nothing of it is left running then."""
        process = self.start(*arguments)
        try:
            stdout, stderr = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"pulumi {' '.join(arguments)}: not done after {timeout_seconds:g} s") from None
        finally:
            kill(process)
        return Done(arguments, process.returncode, stdout, stderr)

    def follow(self, *arguments: str, on_line: Callable[[str], None]) -> Done:
        """Runs a command that has to end with 0, and hands over its lines as they come. When this process ends before
        it, however, it is asked to stop. Raises PulumiFailed."""
        command = [str(self.program), *arguments, "--non-interactive"]
        code, output = follow(command, on_line, cwd=self.project.folder, env=self.environment())
        done = Done(arguments, code, output, "")
        if code:
            raise PulumiFailed(done)
        return done

    def run(self, *arguments: str, timeout_seconds: float = 1800) -> Done:
        """Runs a command that has to end with 0. Raises PulumiFailed, TimeoutError."""
        done = self.try_run(*arguments, timeout_seconds=timeout_seconds)
        if done.code:
            raise PulumiFailed(done)
        return done

    def select(self, stack: str) -> None:
        """Makes the stack where it is not there yet."""
        self.run("stack", "select", "--create", stack)

    def exists(self, stack: str) -> bool:
        """Whether the stack is there. It may hold nothing."""
        return self.project.checkpoint(stack).is_file()

    def up(self, stack: str, *more: str) -> Done:
        return self.run("up", "--yes", "--skip-preview", "--stack", stack, *more)

    def preview(self, stack: str, *more: str) -> Done:
        return self.run("preview", "--stack", stack, *more)

    def outputs(self, stack: str) -> dict[str, Any]:
        return json.loads(self.run("stack", "output", "--json", "--show-secrets", "--stack", stack).stdout)

    def state(self, stack: str) -> dict[str, Any]:
        """The stack's exported state: {"version": 3, "deployment": {"resources": [...], "pending_operations": ...}}."""
        return json.loads(self.run("stack", "export", "--stack", stack).stdout)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill -9 of a command and of everything in its session, and its pipes closed."""
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
