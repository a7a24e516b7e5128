"""A page as a browser's parser meets it: that every element is closed, what is loaded, what text stands on it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = frozenset({"meta", "br", "line", "circle", "rect", "path", "link", "img", "input", "hr"})
"""Elements that are never closed, and those of SVG that the page closes at once."""
_LOADED = frozenset({"src", "href", "action", "srcset", "data", "poster", "xlink:href", "formaction"})


class Outline(HTMLParser):
    """AssertionError when an element is closed that is not the last one opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        """What the page loads or leads to."""
        self.kinds: list[str] = []
        """Each element with its first class: "g.box", "circle.dot"."""
        self.title = ""
        self.words = ""
        """The text of the body, blanks as one."""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        self.addresses += re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", text)
        self.words = re.sub(r"\s+", " ", self.words)

    def count(self, kind: str) -> int:
        return self.kinds.count(kind)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.kinds.append(".".join([tag, *(given.get("class") or "").split()[:1]]))
        if tag not in _VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in _LOADED]

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "title" in self.open[-1:] and "head" in self.open:
            self.title += data
        elif "body" in self.open and self.open[-1] not in ("script", "style"):
            self.words += data
