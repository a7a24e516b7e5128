"""Text matching of the policy language: wildcards, policy variables, ARNs.

Sources: IAM User Guide, "IAM policy elements: Variables and tags", "IAM JSON policy elements: Resource" and "Condition
operators".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

Context = Mapping[str, Sequence[str]]
"""Condition keys in lower case, each with its values. A key that is absent is not in the request."""

_LITERAL = {"*": "\ue000", "?": "\ue001"}
"""Private characters that stand for a `*` or `?` that came in as text, not as a wildcard."""
_PLAIN = {mark: char for char, mark in _LITERAL.items()}
_VARIABLE = re.compile(r"\$\{\s*([^}',]*?)\s*(?:,\s*'([^']*)'\s*)?\}")


def render(text: str, context: Context | None) -> str | None:
    """The pattern with its policy variables filled in; None when a variable has neither a value nor a default.

    Wildcards inside a value are text. `${*}`, `${?}` and `${$}` are the characters themselves. With `context` None
    (a document of version 2008-10-17) nothing is a variable. A key with several values can't be a variable.
    """
    if context is None or "${" not in text:
        return text
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        name, default = found.group(1), found.group(2)
        if name in ("*", "?", "$"):
            return _LITERAL.get(name, name)
        values = context.get(name.lower(), ())
        value = values[0] if len(values) == 1 else default
        if value is None:
            missing = True
            return ""
        return value.translate(_ESCAPE)

    rendered = _VARIABLE.sub(fill, text)
    return None if missing else rendered


def plain(rendered: str) -> str:
    """The rendered pattern as text to compare: characters that are no wildcards become themselves again."""
    return rendered.translate(_UNESCAPE)


def like(pattern: str, value: str) -> bool:
    """True when the rendered pattern matches the whole value. Case matters."""
    if pattern == "*":
        return True
    return _compiled(pattern).fullmatch(value) is not None


def arn_like(pattern: str, value: str) -> bool:
    """True when each of the six parts of the ARN matches. A wildcard doesn't reach beyond its part."""
    wanted, got = pattern.split(":", 5), value.split(":", 5)
    if len(wanted) != 6 or len(got) != 6:
        return pattern == "*"
    return all(like(part, text) for part, text in zip(wanted, got, strict=True))


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str]:
    out: list[str] = []
    for char in pattern:
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        else:
            out.append(re.escape(_PLAIN.get(char, char)))
    return re.compile("".join(out), re.DOTALL)


_ESCAPE = str.maketrans(_LITERAL)
_UNESCAPE = str.maketrans(_PLAIN)
