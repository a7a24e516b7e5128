"""How commands speak: tables for people, JSON for scripts, one clear error, no traceback for a person's mistake."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def emit(value: Any, *, as_json: bool, render: Callable[[Any], Any]) -> None:
    """Prints `value`: as one JSON document for a script, else as `render(value)` for a person."""
    if as_json:
        sys.stdout.write(to_json(value) + "\n")
    elif (shown := render(value)) is not None:
        # Text is never broken: a person pastes commands and addresses from it. Tables fit themselves to the screen.
        console.print(shown, soft_wrap=isinstance(shown, str))


def to_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def say(text: str, *, as_json: bool = False) -> None:
    """A line for a person. With --json it goes to standard error, so that standard output stays one document."""
    (errors if as_json else console).print(text, soft_wrap=True)


def fail(message: str, *, as_json: bool = False) -> None:
    """The one error of a command. The caller exits."""
    if as_json:
        sys.stdout.write(to_json({"error": message}) + "\n")
    errors.print("error:", style="bold red", end=" ")
    errors.print(message, markup=False, soft_wrap=True)


def working(text: str) -> AbstractContextManager[Status]:
    """A spinner on standard error while something takes time; nothing but silence where no person looks."""
    return errors.status(text)
