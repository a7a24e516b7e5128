"""A served rehearsal in a process of its own, for tests that look at it from outside with plain boto3."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm

from infra.registry.target import Target, rehearsal

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("Pulumi.yaml", "stacks", "examples/models")


@dataclass
class Served:
    """A rehearsal that is being served: its checkout, where it is, what it printed."""

    root: Path
    target: Target
    report: dict[str, Any]
    process: warm.Process | subprocess.Popen[bytes]

    def client(self, service: str) -> Any:
        return self.target.client(service)

    def run(self, *words: str, timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs `mainstage` in the rehearsal's checkout."""
        return mainstage(self.root, *words, timeout_seconds=timeout_seconds)


def mainstage(root: Path, *words: str, timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a checkout, in a process of its own."""
    return warm.run(root, words, plain_environment(), timeout_seconds)


def plain_environment() -> dict[str, str]:
    """This process's environment without anything AWS would read credentials from."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONUTF8": "1", "COLUMNS": "160"}


def checkout(folder: Path) -> Path:
    """A checkout in `folder` with this repository's stack and model files; environments are shared with it."""
    for name in SHIPPED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    environments = ROOT / ".mainstage" / "environments"
    environments.mkdir(parents=True, exist_ok=True)
    (folder / ".mainstage").mkdir()
    (folder / ".mainstage" / "environments").symlink_to(environments)
    return folder


@contextmanager
def serving(root: Path, *options: str) -> Iterator[Served]:
    """Serves a rehearsal of `root` until the block ends."""
    words = ["rehearse", "--serve", "--json", "--predictions", "40", "--minute-seconds", "0.05", *options]
    out, log = root / "rehearse.out", root / "rehearse.log"
    process = _started(root, words, out, log)
    try:
        # The last line's bracket: those of what it holds are indented.
        while not (said := out.read_text() if out.exists() else "").endswith("\n}\n"):
            assert process.poll() is None, f"the rehearsal did not come up:\n{log.read_text()[-4000:]}"
            time.sleep(0.1)
        report = json.loads(said)
        out.unlink()
        target = rehearsal(root)
        assert target is not None, f"the rehearsal did not come up: {report.get('error', report)}"
        yield Served(root, target, report, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _started(root: Path, words: list[str], out: Path, log: Path) -> warm.Process | subprocess.Popen[bytes]:
    if warm.CAN_FORK:
        return warm.start(root, words, plain_environment(), out, log)
    command = [sys.executable, "-m", "infra.cli", *words]
    with out.open("wb") as told, log.open("wb") as noted:
        return subprocess.Popen(command, cwd=root, env=plain_environment(), stdout=told, stderr=noted)
