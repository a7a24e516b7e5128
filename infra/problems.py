"""What is wrong in a file that a person wrote, said so that the person can mend it.

Settings and catalog collect every problem of every file and raise once. A `Problem` names the place (file and line),
the dotted field, what stood there, what is allowed, the nearest known word where a word was misspelt, and what to do.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

_SHOWN_CHARACTERS = 80
_WORTH_COMPARING = 4  # characters


@dataclass(frozen=True, order=True)
class Problem:
    """One problem at one place. `line` counts from 1; an empty text means that there is nothing to say about it."""

    file: str
    line: int
    field: str
    message: str
    got: str = ""
    allowed: str = ""
    nearest: str = ""
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: "
        if self.field:
            text += f"{self.field}: "
        text += self.message
        if self.got:
            text += f"; got {self.got}"
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.fix:
            text += f"; fix: {self.fix}"
        return text

    def as_json(self) -> dict[str, str | int]:
        """The same for a script: every member, empty ones included."""
        return asdict(self)


class InputError(Exception):
    """Everything that is wrong in the files that were read; `problems` in order of file and line, each once."""

    subject = "input"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        if not self.problems:
            raise ValueError(f"{type(self).__name__} needs at least one problem")
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.problems)
        heading = f"{count} problem{'s' if count > 1 else ''} in the {self.subject}:"
        return "\n".join([heading, *(f"  {problem}" for problem in self.problems)])


def shown(value: object) -> str:
    """A value as a person would recognise it from the file, cut where it is long."""
    if value is None:
        return "nothing"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # a value outside JSON, or an integer of more digits than Python prints
        try:
            text = str(value)
        except ValueError:
            return "a number of thousands of digits"
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def nearest(word: object, known: Iterable[str]) -> str:
    """The known word that `word` most resembles, or "" when none is near."""
    if not isinstance(word, str):
        return ""
    by_lower = {name.lower(): name for name in known}
    # Long words cost quadratic time and resemble nothing.
    if len(word) > 128:
        return ""
    typed = word.lower()
    # A word that was cut short or runs on: difflib rates these below words that differ by single letters.
    near = [
        name for name in by_lower if min(len(name), len(typed)) >= _WORTH_COMPARING and (typed in name or name in typed)
    ]
    if near:
        return by_lower[min(near, key=lambda name: abs(len(name) - len(typed)))]
    matches = difflib.get_close_matches(typed, by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else ""
