"""Patterns of AWS's models. They are written for Java; a match is a match of the whole value."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import botocore.loaders
import regex

_TIMEOUT_SECONDS = 1.0
_JAVA_ASTRAL = r"\uD800\uDC00-\uDBFF\uDFFF"
"""Java writes a range of astral characters as two surrogate pairs; Python's strings have no surrogates."""
_ASTRAL = r"\U00010000-\U0010FFFF"


@functools.cache
def compiled(pattern: str) -> regex.Pattern[str]:
    """Raises regex.error when the pattern has no meaning here; `uncompilable` says for which models that happens."""
    return regex.compile(pattern.replace(_JAVA_ASTRAL, _ASTRAL), flags=regex.V0)


def matches(pattern: str, value: str, *, whole: bool = True) -> bool:
    """Whether the value fits. whole=False: JSON Schema's search. A pattern that takes too long counts as fitting."""
    expression = compiled(pattern)
    try:
        found = (expression.fullmatch if whole else expression.search)(value, timeout=_TIMEOUT_SECONDS)
    except TimeoutError:
        return True
    return found is not None


def uncompilable(services: list[str]) -> Iterator[tuple[str, str, str]]:
    """(service, shape, pattern) of every pattern of these services' models that does not compile."""
    loader = botocore.loaders.Loader()
    for service in services:
        for name, shape in loader.load_service_model(service, "service-2")["shapes"].items():
            pattern = shape.get("pattern")
            if pattern is None:
                continue
            try:
                compiled(pattern)
            except regex.error:
                yield service, name, pattern
