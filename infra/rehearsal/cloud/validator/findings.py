"""What the validator says: where, and what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LONGEST_VALUE = 80
_MOST_LISTED = 24


@dataclass(frozen=True)
class Finding:
    """One problem. `path` as in "Variants[0].InstanceType"; `message` says the value got and what is allowed."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def choices(value: Any, allowed: Iterable[Any]) -> str:
    """The allowed values for a message: all of them when they are few, else the nearest one and their number."""
    names = [str(name) for name in allowed]
    if len(names) <= _MOST_LISTED:
        return f"{nearest(value, names)}allowed: {', '.join(names)}"
    return f"{nearest(value, names)}{len(names)} values are allowed, such as {', '.join(names[:3])}"


def nearest(value: Any, known: Iterable[str]) -> str:
    """The known name that is most like a text, as the beginning of a sentence that goes on; empty for none."""
    found = difflib.get_close_matches(value, list(known), n=1, cutoff=0.5) if isinstance(value, str) else []
    return f"nearest is {found[0]!r}; " if found else ""


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
