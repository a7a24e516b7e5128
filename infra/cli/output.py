"""How commands speak: tables for people, JSON for scripts, one clear error, no traceback for a person's mistake."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.status import Status
from rich.text import Text

from infra.cli.screen import OBEYED, Screen, as_text

console = Screen()
errors = Screen(stderr=True)


def emit(value: Any, *, as_json: bool, render: Callable[[Any], Any]) -> None:
    """Prints `value`: as one JSON document for a script, else as `render(value)` for a person."""
    if as_json:
        document.write(value)
    elif (shown := render(value)) is not None:
        # Text is never broken: a person pastes commands and addresses from it. Tables fit themselves to the screen.
        console.print(shown, soft_wrap=isinstance(shown, str | Text), crop=False)


class _Document:
    """The one document that a script reads from standard output: what went wrong after it adds no second one."""

    def __init__(self) -> None:
        self._written = False

    def begin(self) -> None:
        """A new command line."""
        self._written = False

    def write(self, value: Any) -> None:
        if not self._written:
            self._written = True
            sys.stdout.write(to_json(value) + "\n")


document = _Document()


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON that every reader takes and that a terminal may be shown: letters as they are, controls escaped; what JSON
    has no number for as Athena writes it: "NaN", "Infinity"."""
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    # Outside of strings JSON has none of these.
    return OBEYED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value if value is None or isinstance(value, str | int | float) else _finite(_plain(value))


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


def say(text: str | Text, style: str = "", *, as_json: bool = False) -> None:
    """A line for a person. With --json it goes to standard error, so that standard output stays one document."""
    (errors if as_json else console).print(text, style=style, soft_wrap=True)


def note(text: str, *, as_json: bool = False) -> None:
    """Something that a person should know of, which is no error."""
    say(Text.assemble(("note:", "yellow"), " ", as_text(text)), as_json=as_json)


def fail(message: str, *, as_json: bool = False, details: Mapping[str, Any] | None = None) -> None:
    """The one error of a command. The caller exits.

    details: further members of the error's JSON document.
    """
    if as_json:
        document.write({"error": message, **(details or {})})
    errors.print(Text.assemble(("error:", "bold red"), " ", as_text(message)), soft_wrap=True)


class Working:
    """A spinner's text."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def update(self, text: str) -> None:
        self._status.update(as_text(text))


@contextmanager
def working(text: str) -> Iterator[Working]:
    """A spinner on standard error while something takes time; nothing but silence where no person looks."""
    with errors.status(as_text(text)) as status:
        yield Working(status)


def on_a_terminal() -> bool:
    """Whether a person sees standard output as it is written."""
    return sys.stdout.isatty()
