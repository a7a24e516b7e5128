"""The syntax of CloudWatch metric math: text to tree. `metric_math.py` gives the tree its meaning.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html). The guide lists operators and
gives no precedence; the usual one is taken here (^, unary -, * /, + -, comparisons, AND, OR): unconfirmed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


class MathError(ValueError):
    """An expression that CloudWatch would refuse. The text says why."""


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Word:
    """A bare word in capitals, such as REPEAT, ASC or AVG as an argument."""

    name: str


@dataclass(frozen=True)
class Reference:
    """The id of a metric or of another expression."""

    id: str


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Array:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Negated:
    operand: Node


@dataclass(frozen=True)
class Operation:
    operator: str
    """One of + - * / ^ == != <= >= < > AND OR."""
    left: Node
    right: Node


Node = Number | Text | Word | Reference | Call | Array | Negated | Operation

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<id>[a-z][A-Za-z0-9_]*)|(?P<word>[A-Z][A-Z0-9_]*)|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]]))"
)
_SPELLINGS = {"&&": "AND", "||": "OR"}
_LEVELS = (("OR",), ("AND",), ("==", "!=", "<=", ">=", "<", ">"), ("+", "-"), ("*", "/"))
"""Operators from the one that binds least to the one that binds most; each from left to right."""
_DEEPEST = 64


def parse(text: str) -> Node:
    """The tree of an expression. MathError names the place where it cannot be read."""
    return _Parser(text).whole()


def references(node: Node) -> Iterator[str]:
    """The ids that a tree names, repeated as they come."""
    match node:
        case Reference(id):
            yield id
        case Call(_, children) | Array(children):
            for child in children:
                yield from references(child)
        case Negated(operand):
            yield from references(operand)
        case Operation(_, left, right):
            yield from references(left)
            yield from references(right)
        case _:
            return


class _Parser:
    def __init__(self, text: str):
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._level(0)
        if self._at < len(self._tokens):
            raise self._unexpected()
        return node

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._level(level + 1)
        while self._peek() in _LEVELS[level]:
            operator = self._take()
            node = Operation(operator, node, self._level(level + 1))
        return node

    def _unary(self) -> Node:
        if self._peek() == "-":
            self._take()
            return Negated(self._nested(self._unary))
        base = self._primary()
        if self._peek() != "^":
            return base
        self._take()
        return Operation("^", base, self._nested(self._unary))

    def _nested(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise MathError(f"The expression is nested deeper than {_DEEPEST} levels")
        node = read()
        self._depth -= 1
        return node

    def _primary(self) -> Node:
        if self._at >= len(self._tokens):
            raise MathError("The expression ends too early")
        kind, token = self._tokens[self._at]
        if kind == "sign" and token not in ("(", "["):
            raise self._unexpected()
        self._at += 1
        if kind == "number":
            return Number(float(token))
        if kind == "text":
            return Text(token[1:-1])
        if kind == "id":
            return Reference(token)
        if token == "(":
            return self._closed(")")[0]
        if token == "[":
            return Array(tuple(self._closed("]", most=None)))
        if self._peek() != "(":
            return Word(token)
        self._take()
        return Call(token, tuple(self._closed(")", most=None, empty=True)))

    def _closed(self, end: str, *, most: int | None = 1, empty: bool = False) -> list[Node]:
        """What stands up to the closing sign, separated by commas."""
        items: list[Node] = []
        if not (empty and self._peek() == end):
            items.append(self._nested(lambda: self._level(0)))
            while self._peek() == "," and most is None:
                self._take()
                items.append(self._nested(lambda: self._level(0)))
        if self._peek() != end:
            raise self._unexpected()
        self._take()
        return items

    def _peek(self) -> str:
        if self._at >= len(self._tokens):
            return ""
        kind, token = self._tokens[self._at]
        if kind not in ("sign", "word"):
            return ""
        return _SPELLINGS.get(token, token)

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _unexpected(self) -> MathError:
        if self._at >= len(self._tokens):
            return MathError("The expression ends too early")
        return MathError(f"Unexpected {self._tokens[self._at][1]!r} in the expression {self._text!r}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise MathError(f"Unexpected {text[at:].strip()[:1]!r} in the expression {text!r}")
        kind = str(found.lastgroup)
        yield kind, found[kind]
        at = found.end()
