"""The pointer file of a served rehearsal, and the folders of rehearsals: who is alive, what may be swept away."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

FOLDER = Path(".mainstage")
POINTER = FOLDER / "rehearsal.json"
RUNS = FOLDER / "rehearsals"


def alive(pid: int) -> bool:
    """Whether a process of that id runs; one that has ended, and that its parent has not noticed yet, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # After the name, which may hold anything but ends with the last bracket (man 5 proc).
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no Linux
    return state not in ("Z", "X")


def make_run_folder(root: Path) -> Path:
    """A new folder for this process's rehearsal, after sweeping away those of processes that are gone."""
    runs = root / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    for old in runs.iterdir():
        pid = old.name.partition("-")[0]
        if pid.isdigit() and (int(pid) == os.getpid() or not alive(int(pid))):
            shutil.rmtree(old, ignore_errors=True)
    folder = runs / f"{os.getpid()}-rehearsal"
    folder.mkdir(mode=0o700)
    return folder


def write(root: Path, told: dict[str, Any]) -> None:
    """Publishes the served rehearsal, readable by this user alone; replaced in one step."""
    path = root / POINTER
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), **told}, file, indent=2)
    partial.replace(path)


def read(root: Path) -> dict[str, Any] | None:
    """What the served rehearsal told about itself; None when none lives."""
    try:
        told = json.loads((root / POINTER).read_text(encoding="utf-8"))
        return told if alive(int(told["pid"])) else None
    except (OSError, ValueError, KeyError):
        return None


def remove(root: Path) -> None:
    """Withdraws this process's pointer; another's stays."""
    told = read(root)
    if told is None or told["pid"] == os.getpid():
        (root / POINTER).unlink(missing_ok=True)
