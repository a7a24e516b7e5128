"""The person's own `pulumi` on this checkout: for a real account's backend."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BUILT = Path(".tools") / "bin" / "pulumi"


class NoPulumi(ValueError):
    """There is no `pulumi` to run; the message says how to get one."""


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def told(self) -> str:
        return "\n".join(filter(None, (self.stdout.strip(), self.stderr.strip())))


@dataclass(frozen=True)
class CheckoutPulumi:
    """Runs the `pulumi` of PATH, or else of `make pulumi`, in the checkout, with backend and login of this shell."""

    root: Path

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def try_run(self, *arguments: str) -> Ran:
        """Runs a command to its end. Raises NoPulumi."""
        program = shutil.which("pulumi") or self.root / _BUILT
        try:
            done = subprocess.run(
                [program, *arguments, "--non-interactive"],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError:
            raise NoPulumi(
                "recovering needs the Pulumi CLI: install it (https://www.pulumi.com/docs/install), or: make pulumi"
            ) from None
        return Ran(done.returncode, done.stdout, done.stderr)
