"""What the operator sees is what was written: values that others wrote (logged inputs, answers, messages of AWS and of
containers) can neither style our output nor drive the terminal.

Nothing that is printed is rich's markup; style is given beside the text. Control characters and the marks that turn
the direction of writing are spelled: `\\x1b`, `\\u202e`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

# C0 but for tab and line feed, DEL, C1; bidirectional embeddings, overrides and isolates (they can make one word look
# like another: CVE-2021-42574); halves of surrogate pairs, which no terminal can be sent.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with every character that a terminal obeys spelled as Python does; everything else as it is."""
    return OBEYED.sub(_spelled, text)


def as_text(value: Any, style: str | Style = "") -> Text:
    """A value of others for a table, a tree or a line: one style, no markup of its own."""
    return Text(visible(str(value)), style)


class Screen(Console):
    """A rich console that takes no markup and no :emoji: from what it prints, and lets through no control character
    but rich's own, whatever the renderable."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control is None and OBEYED.search(segment.text):
                yield Segment(visible(segment.text), segment.style)
            else:
                yield segment


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
