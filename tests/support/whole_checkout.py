"""A checkout of its own: everything that git has here, as it is now, in another folder and in a git of its own.

Its `.venv`, tools and model environments are this checkout's; the code is not: what runs in it imports its own files.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from served import ROOT, plain_environment

from infra.rehearsal import pointer

_LINKED = (".venv", ".tools")
# Of nobody: the copy's one commit is there to see what changes after it.
_GIT = ("-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class WholeCheckout:
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in plain_environment().items() if not name.startswith("PULUMI_")}
        return {**kept, "PYTHONPATH": f"{self.root}{os.pathsep}{self.root / 'components'}"}

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Starts `mainstage` in the checkout, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "infra.cli", *words],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *words: str, timeout_seconds: float = 400) -> subprocess.CompletedProcess[str]:
        """Runs `mainstage` in the checkout."""
        command = [sys.executable, "-m", "infra.cli", *words]
        return subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=timeout_seconds
        )

    def git_status(self) -> str:
        done = subprocess.run(
            ["git", "status", "--porcelain"], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout

    def end(self) -> None:
        """Ends what still runs for the checkout."""
        told = pointer.read(self.root)
        if told is not None:
            os.kill(told["pid"], signal.SIGKILL)


def whole_checkout(folder: Path) -> WholeCheckout:
    """Copies the checkout into `folder` and commits it there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    environments = ROOT / ".mainstage" / "environments"
    environments.mkdir(parents=True, exist_ok=True)
    (folder / ".mainstage").mkdir()
    (folder / ".mainstage" / "environments").symlink_to(environments)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*_GIT, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    # A link is no folder, which is what .gitignore names.
    (folder / ".git" / "info" / "exclude").write_text("".join(f"/{name}\n" for name in _LINKED))
    for name in _LINKED:
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    return WholeCheckout(folder)
