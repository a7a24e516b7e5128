"""One `pulumi` command that changes a stack, and why it did not end well, in words that say what to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.recover import recover_before
from infra.recover.locks import Lock, StackLocked, locks_in, wait_for_others
from infra.registry.target import Target
from infra.rehearsal import cloud_control
from infra.rehearsal.cloud_control import CloudError, Running
from infra.rehearsal.disk import full_told
from infra.rehearsal.pointer import FOLDER
from infra.rehearsal.progress import Progress, Tell
from infra.rehearsal.pulumi_cli import told
from infra.rehearsal.pulumi_cli.cli import Cli, Done, PulumiFailed

Say = Callable[[str], None]
"""Takes a line that a person should read; not progress."""
ATTEMPTS = 3
"""How often a stack's lock may be lost to another command that began in the same moment."""


@dataclass(frozen=True)
class StackDone:
    """What one command did to one stack."""

    stack: str
    changes: dict[str, int]
    seconds: float


def change(cli: Cli, stack: str, target: Target, command: tuple[str, ...], tell: Tell, say: Say) -> StackDone:
    """Runs a command when nobody else works on the stack, after what an earlier one left behind was cleared up.

    Raises CloudError (it failed, or was killed), StackLocked.
    """
    layer, _, environment = stack.partition("-")
    again = f"make rehearse-{'up' if command[0] == 'up' else 'down'} ENV={environment}"
    tell(Progress(layer))
    started = time.perf_counter()

    def on_line(line: str) -> None:
        if step := told.step(line):
            tell(Progress(layer, step))

    held: Sequence[Lock] = ()
    for _ in range(ATTEMPTS):
        # One at a time: of two that see the lock of a dead one, the second would remove the first one's.
        with cloud_control.alone(cli.project.root, "recover"):
            wait_for_others(cli.environment()["PULUMI_BACKEND_URL"], stack, say)
            recover_before(cli, stack, target, say)
        try:
            done = cli.follow(*command, "--stack", stack, on_line=on_line)
        except PulumiFailed as error:
            held = locks_in(error.done.told)
            if not held:
                raise CloudError(_failed(error.done, stack, cli.project.root, again)) from error
        else:
            return StackDone(stack, told.changes(done.stdout), round(time.perf_counter() - started, 1))
    raise StackLocked(
        f"{stack} is being worked on by {'; '.join(map(str, held))}, and others before: when they have ended, {again}"
    )


def _failed(done: Done, stack: str, root: Path, again: str) -> str:
    what = f"pulumi {done.arguments[0]} of {stack}"
    if done.signal is not None:
        return (
            f"{what}: pulumi was killed (signal {done.signal}). Run the same again: {again}. It clears up first what "
            "was under way"
        )
    mend = f"What was done stays done. Mend it, then: {again}"
    if "no space left on device" in done.told:
        mend = f"a disk was full, {root / FOLDER} or another: make room, then: {again}"
    return f"{what} failed:\n{told.diagnostics(done.told)}\n{mend}"


@contextlib.contextmanager
def in_the_cloud(running: Running) -> Iterator[None]:
    """Says so when the cloud ends meanwhile: whatever fails, fails for that. Raises CloudError then, and when a command
    fails while a disk is full."""
    try:
        yield
    except Exception as error:
        full = full_told(running.root)
        if not cloud_control.lives(running):
            raise CloudError(
                f"the emulated cloud of {running.environment} (process {running.pid}) has ended, and what stood in it "
                f"is gone. From the beginning: make rehearse-up ENV={running.environment}; its log: {running.log}"
                + (f"\n{full}" if full else "")
            ) from error
        if full and isinstance(error, CloudError | PulumiFailed):
            raise CloudError(f"{error}\n{full}") from error
        raise
