"""Starts, finds and stops the process of a checkout's emulated cloud."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from infra import settings
from infra.registry.target import Target
from infra.rehearsal import pointer
from infra.rehearsal.cloud.pace import SERVED_MINUTE_SECONDS
from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.environment import Emulated
from infra.rehearsal.pulumi_cli.project import LAYERS, Project, make_project, project_at
from infra.settings.load import stack_file

KIND = "cloud"
"""What the pointer file says that this is; a rehearsal that is served says nothing."""
LOCK = pointer.FOLDER / "cloud.lock"
"""Held by the process of a cloud as long as it lives: a process id may be another's by now, a lock may not."""
PROJECT = "pulumi"
"""The folder of the run folder with the pulumi project."""
LOG = pointer.FOLDER / "cloud.log"
START_SECONDS = 120
HEARD = b"!"
"""What a cloud is answered that has told where it is. One that is not answered ends: its starter was killed."""
STOP_SECONDS = 30
"""How long an end may take before it is made one; model processes are asked to end first."""


class CloudError(ValueError):
    """The emulated cloud cannot be started, found or used; the message says what to do."""


@dataclass(frozen=True)
class Running:
    """A cloud that runs."""

    root: Path
    """The checkout that it belongs to."""
    pid: int
    environment: str
    account_id: str
    region: str
    endpoint_url: str
    provider_port: int
    access_key_id: str
    secret_access_key: str
    directory: Path
    """Where the pulumi project, its states and PULUMI_HOME are."""
    token: str | None = None
    """What the front door takes, where it takes tokens."""
    issuer: str | None = None
    """Whose tokens those are: the issuer that is played."""

    def __str__(self) -> str:
        return str(self.target)

    @property
    def stacks(self) -> tuple[str, ...]:
        """Platform, then models."""
        return tuple(f"{layer}-{self.environment}" for layer in LAYERS)

    @property
    def log(self) -> Path:
        return self.root / LOG

    @property
    def emulated(self) -> Emulated:
        return Emulated(self.endpoint_url, self.provider_port, self.region, self.access_key_id, self.secret_access_key)

    @property
    def project(self) -> Project:
        return project_at(self.root, self.directory)

    @property
    def target(self) -> Target:
        return Target(
            self.environment,
            self.account_id,
            self.region,
            self.endpoint_url,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
        )


def find(root: Path) -> Running | None:
    """The checkout's cloud, or None when none runs. Raises CloudError when a served rehearsal has its place."""
    told = pointer.read(root)
    if told is None:
        return None
    if told.get("kind") != KIND:
        raise CloudError(
            f"a rehearsal of {told['environment']} is being served from this checkout (process {told['pid']}), which "
            "has an engine of its own and no room for another cloud: end it first, with Ctrl-C where it runs"
        )
    return _running(root, told) if _holds_lock(root) else None


def found(root: Path, environment: str | None = None) -> Running:
    """The cloud that runs, of `environment` if one is named. Raises CloudError when there is none."""
    running = find(root)
    if running is None:
        raise CloudError(f"no emulated cloud runs: mainstage cloud start --env {environment or 'dev'}")
    if environment is not None and running.environment != environment:
        raise CloudError(_other(running, environment))
    return running


def lives(running: Running) -> bool:
    """Whether this very cloud runs still."""
    told = pointer.read(running.root)
    return told is not None and told["pid"] == running.pid and _holds_lock(running.root)


def start(
    root: Path, environment: str, port: int = 0, minute_seconds: float = SERVED_MINUTE_SECONDS
) -> tuple[Running, bool]:
    """The cloud of `environment`, and whether it had to be started. Returns when it answers.

    minute_seconds: how long a minute of its time takes while a release waits, in real seconds.

    Raises CloudError (another one runs, the port is in use, it did not come up), SettingsError (a broken stack file).
    """
    with alone(root, "start"):
        running = find(root)
        if running is not None:
            if running.environment != environment:
                raise CloudError(_other(running, environment))
            if port and running.endpoint_url.rpartition(":")[2] != str(port):
                raise CloudError(
                    f"the emulated cloud of {environment} runs already, at {running.endpoint_url}, not on port {port}: "
                    "use it as it is, or mainstage cloud stop first (what stands in it goes with it)"
                )
            return running, False
        stack = f"platform-{environment}"
        settings.load_platform(settings.stack_config(stack_file(root, stack), root), stack, root)
        return _running(root, _spawn(root, environment, port, minute_seconds)), True


def stop(root: Path) -> Running | None:
    """Ends the checkout's cloud and returns what it was; None when none ran. All that stood in it is gone."""
    with alone(root, "start"):
        running = find(root)
        if running is None:
            return None
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, number)
            if _ended(root, STOP_SECONDS):
                break
        # One that was killed, by us or meanwhile by somebody else, leaves both.
        pointer.remove(root)
        shutil.rmtree(running.directory.parent, ignore_errors=True)
        return running


def prepare(running: Running) -> Cli:
    """Writes the cloud's pulumi project from the checkout's files, and makes both stacks where they are not there.

    Raises PulumiMissing; the project is written then. CloudError when a state cannot be read.
    """
    with alone(running.root, "prepare"):
        cli = Cli(make_project(running.root, running.directory), running.emulated)
        missing = [stack for stack in running.stacks if not cli.exists(stack)]
        for stack in set(running.stacks) - set(missing):
            checkpoint(running, stack)
        for stack in missing:
            cli.select(stack)
        if missing:  # pulumi has put the numbers of their files into quotes
            make_project(running.root, running.directory)
        return cli


def checkpoint(running: Running, stack: str) -> dict[str, Any] | None:
    """What the file of a stack's state says; None when there is none. Raises CloudError when it cannot be read."""
    file = running.project.checkpoint(stack)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise CloudError(
            f"{stack}: {file} is damaged, as a full disk leaves it, and pulumi cannot read what stands in this "
            f"emulated cloud: mainstage cloud stop, then make rehearse-up ENV={running.environment}"
        ) from None


def _spawn(root: Path, environment: str, port: int, minute_seconds: float) -> dict[str, Any]:
    log_file = root / LOG
    ours, its = socket.socketpair()
    command = [sys.executable, "-m", "infra.rehearsal.cloud_process", "--root", str(root), "--env", environment]
    command += ["--minute-seconds", str(minute_seconds)]
    with log_file.open("w", encoding="utf-8") as log, ours, ours.makefile(encoding="utf-8") as answer:
        with its:
            process = subprocess.Popen(
                [*command, "--port", str(port), "--ready", str(its.fileno())],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        try:
            readable, _, _ = select.select([ours], [], [], START_SECONDS)
            line = answer.readline() if readable else ""
            if line:
                ours.sendall(HEARD)
        except BaseException:
            process.kill()
            raise
    if not line:
        process.kill()
        process.wait()
        tail = "\n".join(log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:])
        what = "ended before it answered" if readable else f"did not answer within {START_SECONDS} s"
        raise CloudError(f"the emulated cloud {what}; its log, {LOG}, ends with:\n{tail or '(nothing)'}")
    told = cast(dict[str, Any], json.loads(line))
    if "error" in told:
        process.wait()
        raise CloudError(told["error"])
    process.returncode = 0  # it lives on: without this Popen complains that nobody waits for it
    return told


def _running(root: Path, told: dict[str, Any]) -> Running:
    return Running(
        root=root,
        pid=told["pid"],
        environment=told["environment"],
        account_id=told["account_id"],
        region=told["region"],
        endpoint_url=told["endpoint"],
        provider_port=told["provider_port"],
        access_key_id=told["access_key_id"],
        secret_access_key=told["secret_access_key"],
        directory=Path(told["pulumi"]),
        token=told.get("token"),
        issuer=told.get("issuer"),
    )


def _other(running: Running, environment: str) -> str:
    return (
        f"the emulated cloud of {running.environment} runs in this checkout, not that of {environment}, and there is "
        f"one at a time: make rehearse-down ENV={running.environment}, or mainstage cloud stop, which forgets all that "
        "stands in it"
    )


def _holds_lock(root: Path) -> bool:
    """Whether some process is the checkout's cloud."""
    try:
        with (root / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _ended(root: Path, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while _holds_lock(root):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def alone(root: Path, what: str) -> Iterator[None]:
    """One `what` of a checkout at a time: a second one waits for the first."""
    path = root / pointer.FOLDER / f"cloud-{what}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
