"""uv and the Pythons that it finds on this machine. Nothing is downloaded here but what a lock names."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_NOT_FOR_THIS_PYTHON = re.compile(
    r"no usable wheels|no wheels|has no .*wheel|requires-python|does not satisfy Python|source distribution or wheel|"
    r"Querying Python|Failed to inspect Python|No interpreter found|current Python version",
    re.IGNORECASE,
)
_OFFLINE = re.compile(
    r"network was disabled|network is disabled|not found in the cache|Failed to fetch|error sending request", re.I
)


@dataclass(frozen=True)
class Candidate:
    """A Python on this machine."""

    version: str
    path: Path

    @property
    def minor(self) -> str:
        return minor_of(self.version)


@dataclass(frozen=True)
class Problem:
    """Why uv failed. `of_this_python`: another Python may do."""

    text: str
    of_this_python: bool


def minor_of(version: str) -> str:
    """ "3.10.13" -> "3.10"."""
    return ".".join(version.split(".")[:2])


def distance(version: str, wanted: str) -> tuple[int, int]:
    """How far a Python is from the image's, for sorting. Of two as far away, the newer one is nearer."""
    have, want = (tuple(int(part) for part in minor_of(each).split(".")) for each in (version, wanted))
    steps = (have[0] - want[0]) * 100 + (have[1] - want[1])
    return abs(steps), 0 if steps >= 0 else 1


def find_uv(repository: Path, given: str | None = None) -> list[str] | None:
    """The command that runs uv, or None."""
    if given:
        return [given]
    local = repository / ".tools" / "uv" / "bin" / "uv"
    if os.access(local, os.X_OK):
        return [str(local)]
    on_path = shutil.which("uv")
    if on_path:
        return [on_path]
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    return None


def candidates(uv: list[str], wanted: str) -> list[Candidate]:
    """One Python of each minor version from `wanted` on, nearest first: a lock holds from there upwards."""
    found: dict[str, Candidate] = {}
    for candidate in (*_listed_by(uv), *_of_pyenv()):
        steps = distance(candidate.version, wanted)
        if steps[1] == 0 and candidate.minor not in found:
            found[candidate.minor] = candidate
    return sorted(found.values(), key=lambda candidate: distance(candidate.version, wanted))


def _listed_by(uv: list[str]) -> list[Candidate]:
    command = [*uv, "python", "list", "--only-installed", "--output-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), timeout=60, check=False)
    if done.returncode != 0:
        return []
    rows = json.loads(done.stdout)
    usable = [
        row for row in rows if row.get("implementation") == "cpython" and row.get("variant", "default") == "default"
    ]
    return [Candidate(row["version"], Path(row["path"])) for row in usable if re.fullmatch(r"[\d.]+", row["version"])]


def _of_pyenv() -> list[Candidate]:
    """Versions that pyenv holds but has not put on PATH: uv sees only their shims, which do not run."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [path for path in root.glob("3.*") if re.fullmatch(r"3\.\d+\.\d+", path.name)]
    newest_first = sorted(folders, key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)
    return [
        Candidate(path.name, path / "bin" / "python") for path in newest_first if (path / "bin" / "python").exists()
    ]


def run_uv(command: list[str], *, cwd: Path, timeout_seconds: float) -> Problem | None:
    """Runs one uv command. None when it worked."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, env=_environment(), timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Problem(f"no end after {timeout_seconds:g} s", of_this_python=False)
    except OSError as error:
        return Problem(f"{command[0]} does not run: {error}", of_this_python=False)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    text = " ".join(lines)[-600:]
    return Problem(text, of_this_python=bool(_NOT_FOR_THIS_PYTHON.search(text)) and not _OFFLINE.search(text))


def _environment() -> dict[str, str]:
    """The caller's environment (proxies and package indexes are the caller's), without what would redirect uv."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON")
    }
    return {**kept, "UV_PYTHON_DOWNLOADS": "never"}
