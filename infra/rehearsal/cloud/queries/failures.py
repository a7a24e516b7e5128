"""How a query ends when it does not succeed."""

from __future__ import annotations

import re

SYSTEM, USER = 1, 2
"""Categories of AthenaError (API reference, AthenaError: 1 system, 2 user, 3 other)."""


class QueryFailure(Exception):
    """The query ends FAILED. `message` is StateChangeReason, as Athena words it where that is known."""

    def __init__(self, message: str, *, category: int = USER):
        super().__init__(message)
        self.message = message
        self.category = category


class QueryCancelled(Exception):
    """The query ends CANCELLED. `reason` is StateChangeReason; empty when a person stopped it."""

    def __init__(self, reason: str = ""):
        super().__init__(reason)
        self.reason = reason


class NotAStatement(Exception):
    """StartQueryExecution is refused: the text cannot be read. `message` is that of InvalidRequestException."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


def not_carried(what: str) -> QueryFailure:
    """What Athena can do and the emulation cannot. Named, never answered in another way."""
    return QueryFailure(f"NOT_CARRIED: the emulated Athena does not carry {what}")


def refused(action: str, message: str) -> QueryFailure:
    """A permission that the caller lacks. The lead is Athena's; what follows it is unconfirmed in detail."""
    text = message or f"not authorized to perform: {action}"
    return QueryFailure(f"Insufficient permissions to execute the query. {text}")


def place(sql: str, offset: int | None) -> str:
    """ "line 1:8: " of an offset into the statement, as Trino counts (both from 1); empty when nobody knows it."""
    if offset is None or offset < 0 or offset > len(sql):
        return ""
    before = sql[:offset]
    return f"line {before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1}: "


_DUCKDB = (
    (re.compile(r"Division by zero|division by zero"), "DIVISION_BY_ZERO: Division by zero"),
    (re.compile(r"Out of Memory|failed to allocate|could not allocate", re.I), "EXCEEDED_MEMORY_LIMIT: "
     "Query exhausted resources at this scale factor"),
    (re.compile(r"INVALID_FUNCTION_ARGUMENT: [^\n]*"), ""),
    (re.compile(r"must appear in the GROUP BY clause"), "EXPRESSION_NOT_AGGREGATE: {}"),
    (re.compile(r"^Conversion Error|Could not convert|Could not parse"), "INVALID_CAST_ARGUMENT: {}"),
    (re.compile(r"^Out of Range Error|overflow", re.I), "NUMERIC_VALUE_OUT_OF_RANGE: {}"),
    (re.compile(r"subquery.*(more than one|multiple) row|More than one row returned", re.I),
     "SUBQUERY_MULTIPLE_ROWS: Scalar sub-query has returned multiple rows"),
    (re.compile(r"^Binder Error"), "SYNTAX_ERROR: {}"),
)  # fmt: skip


def from_duckdb(error: Exception) -> QueryFailure:
    """DuckDB's error under the name of Trino's that is nearest. Only the names are Athena's, the sentence is not."""
    text = str(error)
    first = text.split("\n")[0]
    for pattern, words in _DUCKDB:
        found = pattern.search(text)
        if found:
            return QueryFailure(words.format(first.partition(": ")[2] or first) if words else found[0])
    return QueryFailure(f"GENERIC_INTERNAL_ERROR: {first}", category=SYSTEM)
