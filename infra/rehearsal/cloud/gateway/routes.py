"""Which route of an HTTP API a request takes. What a route key may be: validator/rules/gateways.py.

Source: API Gateway developer guide, "Create routes for HTTP APIs"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html): a full match of method and
path wins, then one with a greedy path variable, then $default; of several the most specific. That a literal segment
beats a variable one, segment by segment, and a named method beats ANY on equal paths, follows from the guide's
example; that the path is compared before the method is unconfirmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

DEFAULT = "$default"
_VARIABLE = re.compile(r"\{([A-Za-z0-9._-]+)(\+?)\}")
_LITERAL, _ONE, _GREEDY = 0, 1, 2


@dataclass(frozen=True)
class Pattern:
    """A route key, taken apart."""

    key: str
    method: str
    """"" for $default."""
    path: str
    segments: tuple[tuple[int, str], ...]
    """(kind, text or name of the variable)."""

    @classmethod
    def of(cls, route_key: str) -> Pattern:
        if route_key == DEFAULT:
            return cls(route_key, "", "", ())
        method, _, path = route_key.partition(" ")
        segments: list[tuple[int, str]] = []
        for segment in path.split("/")[1:]:
            variable = _VARIABLE.fullmatch(segment)
            if variable is None:
                segments.append((_LITERAL, segment))
            else:
                segments.append((_GREEDY if variable[2] else _ONE, variable[1]))
        return cls(route_key, method, path, tuple(segments))

    @property
    def is_plain(self) -> bool:
        """Whether the path has no variables."""
        return bool(self.method) and all(kind == _LITERAL for kind, _ in self.segments)

    def variables(self, segments: list[str]) -> dict[str, str] | None:
        """The variables of a path that fits, decoded; None when it does not fit."""
        found: dict[str, str] = {}
        for index, (kind, text) in enumerate(self.segments):
            if kind == _GREEDY:
                # At least one segment, which may be empty only where nothing was left of it.
                rest = "/".join(segments[index:])
                if not rest:
                    return None
                return {**found, text: unquote(rest)}
            if index >= len(segments):
                return None
            if kind == _ONE:
                if not segments[index]:
                    return None
                found[text] = unquote(segments[index])
            elif segments[index] != text:
                return None
        return found if len(segments) == len(self.segments) else None

    def rank(self) -> tuple[object, ...]:
        """Most specific first."""
        return (tuple(kind for kind, _ in self.segments), -len(self.segments), self.method == "ANY")


class Table:
    """The routes of a deployment. `find` costs one dictionary look-up for a route without variables."""

    def __init__(self, keys: Iterable[str]):
        patterns = [Pattern.of(key) for key in keys]
        self._plain: Mapping[tuple[str, str], Pattern] = {
            (pattern.method, pattern.path): pattern for pattern in patterns if pattern.is_plain
        }
        self._variable = sorted(
            (pattern for pattern in patterns if pattern.method and not pattern.is_plain), key=Pattern.rank
        )
        self._default = next((pattern for pattern in patterns if not pattern.method), None)

    def find(self, method: str, path: str) -> tuple[Pattern, dict[str, str]] | None:
        """The route of a request and its path variables. path: as it came, below the stage, with a leading slash."""
        plain = self._plain.get((method, path)) or self._plain.get(("ANY", path))
        if plain is not None:
            return plain, {}
        segments = path.split("/")[1:]
        for pattern in self._variable:
            if pattern.method in (method, "ANY"):
                variables = pattern.variables(segments)
                if variables is not None:
                    return pattern, variables
        return None if self._default is None else (self._default, {})
