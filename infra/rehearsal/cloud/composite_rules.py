"""The rules of composite alarms: their grammar, the alarms that they name, whether they hold.

Source: CloudWatch API reference, PutCompositeAlarm (AlarmRule). NOT binds closer than AND, AND closer than OR; TRUE and
FALSE may be written in small letters (API reference, "change the AlarmRule of one of the alarms to false"); both are
unconfirmed beyond the reference's examples. The wording of refusals is that of AWS, as users have published it
(aws/aws-cdk issue 34662). AT_LEAST is not carried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
MOST_ALARMS = 100
MOST_ELEMENTS = 500
"""Alarms, TRUE, FALSE and parentheses."""
_STARTS = "'(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA"
_TOKEN = re.compile(r'\s*(?:(?P<punctuation>[(),])|(?P<quoted>"[^"]*")|(?P<word>[^\s()",]+))')

StateOf = Callable[[str], str]
"""The state of an alarm by the name or ARN that the rule has."""


class RuleError(ValueError):
    """A rule that CloudWatch refuses."""


class NotCarriedRule(ValueError):
    """A rule that CloudWatch takes and this cloud does not carry; the text is the function."""


@dataclass(frozen=True)
class Expression:
    """A part of a rule. `kind` is a state's name, TRUE, FALSE, NOT, AND or OR."""

    kind: str
    alarm: str = ""
    """The name or ARN whose state is asked; empty for what asks none."""
    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class _Token:
    text: str
    at: int
    quoted: bool = False


def parse(rule: str) -> Expression:
    """The rule as a tree. RuleError or NotCarriedRule for what is none."""
    if not rule or rule != rule.strip():
        raise RuleError("AlarmRule must not contain leading or trailing whitespace or be null")
    reader = _Reader(list(_tokens(rule)), len(rule))
    found = reader.disjunction()
    if reader.token is not None:
        raise _unsupported(reader.token, "the end, AND or OR")
    if reader.elements > MOST_ELEMENTS:
        raise RuleError(f"AlarmRule must not contain more than {MOST_ELEMENTS} elements")
    if len(alarms_in(found)) > MOST_ALARMS:
        raise RuleError(f"AlarmRule must not contain more than {MOST_ALARMS} alarms")
    return found


def alarms_in(rule: Expression) -> tuple[str, ...]:
    """The names and ARNs in a rule, each once, in order."""
    return tuple(dict.fromkeys(_named(rule)))


def holds(rule: Expression, state_of: StateOf) -> bool:
    """Whether the rule is true for these states."""
    if rule.kind in STATES:
        return state_of(rule.alarm) == rule.kind
    if rule.kind == "NOT":
        return not holds(rule.parts[0], state_of)
    if rule.kind == "AND":
        return all(holds(part, state_of) for part in rule.parts)
    if rule.kind == "OR":
        return any(holds(part, state_of) for part in rule.parts)
    return rule.kind == "TRUE"


def _named(rule: Expression) -> Iterator[str]:
    if rule.alarm:
        yield rule.alarm
    for part in rule.parts:
        yield from _named(part)


def _tokens(rule: str) -> Iterator[_Token]:
    at = 0
    while at < len(rule):
        found = _TOKEN.match(rule, at)
        if found is None:
            rest = rule[at:].lstrip()
            if rest:
                raise _unsupported(_Token(rest[0], len(rule) - len(rest)), "a closing quote")
            return
        kind = str(found.lastgroup)
        yield _Token(found.group(kind).strip('"'), found.start(kind), kind == "quoted")
        at = found.end()


class _Reader:
    def __init__(self, tokens: list[_Token], length: int):
        self._tokens = tokens
        self._end = length
        self._next = 0
        self.elements = 0

    @property
    def token(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def disjunction(self) -> Expression:
        return self._chain("OR", self._conjunction)

    def _conjunction(self) -> Expression:
        return self._chain("AND", self._negation)

    def _chain(self, word: str, read: Callable[[], Expression]) -> Expression:
        parts = [read()]
        while self._takes(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else Expression(word, parts=tuple(parts))

    def _negation(self) -> Expression:
        if self._takes("NOT"):
            return Expression("NOT", parts=(self._negation(),))
        return self._atom()

    def _atom(self) -> Expression:
        token = self._taken(_STARTS)
        self.elements += 1
        if token.text == "(" and not token.quoted:
            inner = self.disjunction()
            self._wants(")")
            self.elements += 1
            return inner
        if token.quoted:
            raise _unsupported(token, _STARTS)
        if token.text.upper() in ("TRUE", "FALSE"):
            return Expression(token.text.upper())
        if token.text == "AT_LEAST":
            raise NotCarriedRule(token.text)
        if token.text not in STATES:
            raise _unsupported(token, _STARTS)
        self._wants("(")
        alarm = self._taken("the name or the ARN of an alarm")
        if not alarm.text or (alarm.text in ("(", ")", ",") and not alarm.quoted):
            raise _unsupported(alarm, "the name or the ARN of an alarm")
        self._wants(")")
        return Expression(token.text, alarm=alarm.text)

    def _takes(self, word: str) -> bool:
        token = self.token
        if token is None or token.quoted or token.text != word:
            return False
        self._next += 1
        return True

    def _taken(self, wanted: str) -> _Token:
        token = self.token
        if token is None:
            raise _unsupported(_Token("the end", self._end), wanted)
        self._next += 1
        return token

    def _wants(self, sign: str) -> None:
        token = self._taken(f"'{sign}'")
        if token.text != sign or token.quoted:
            raise _unsupported(token, f"'{sign}'")


def _unsupported(token: _Token, wanted: str) -> RuleError:
    return RuleError(f"Error in AlarmRule [Unsupported token '{token.text}' at char {token.at}, must be: {wanted}]")
