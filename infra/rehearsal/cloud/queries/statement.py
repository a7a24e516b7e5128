"""The text of a statement: read, one statement only, of a kind that is carried.

What Athena refuses at StartQueryExecution (a text that cannot be parsed) is NotAStatement, everything after that ends
the query FAILED.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp, parse
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import TokenType

from infra.rehearsal.cloud.queries.failures import NotAStatement, QueryFailure

LONGEST_BYTES = 262_144
"""Athena User Guide, "Service Quotas": query string length."""
DEEPEST = 400
"""Nodes above one another in a statement's tree. Python and DuckDB walk it by recursion; Athena has a limit of its own,
which is not documented."""
NAME = "athena_name"
"""Key of a function's name as it was written, in the metadata of its node."""

logging.getLogger("sqlglot").setLevel(logging.ERROR)


class AthenaSql(Trino):
    """Trino's dialect, with the names of functions kept as they were written."""

    ORIGINAL_NAME_META_KEY = NAME


_KNOWN_BUT_NOT_CARRIED = re.compile(
    r"\s*(CREATE|INSERT|DELETE|UPDATE|MERGE|ALTER|DROP|UNLOAD|OPTIMIZE|VACUUM|MSCK|PREPARE|EXECUTE|DEALLOCATE|ANALYZE"
    r"|EXPLAIN|CALL|USE)\b",
    re.I,
)
_SHOW = re.compile(
    r"\s*(?:(?P<databases>SHOW\s+(?:DATABASES|SCHEMAS))"
    r"|(?P<tables>SHOW\s+TABLES(?:\s+(?:IN|FROM)\s+`?\"?(?P<in>\w+)\"?`?)?)"
    r"|(?P<describe>(?:DESCRIBE|DESC|SHOW\s+COLUMNS\s+(?:IN|FROM))\s+(?:`?\"?(?P<database>\w+)\"?`?\.)?"
    r"`?\"?(?P<table>\w+)\"?`?))\s*",
    re.I,
)
_EXPECTED = "'ALTER', 'ANALYZE', 'CALL', 'CREATE', 'DELETE', 'DESCRIBE', 'DROP', 'EXECUTE', 'EXPLAIN', 'INSERT', …"


@dataclass(frozen=True)
class Show:
    """SHOW DATABASES, SHOW TABLES or DESCRIBE. `what`: "databases", "tables", "describe"."""

    what: str
    database: str = ""
    table: str = ""


@dataclass(frozen=True)
class Select:
    """A SELECT, WITH or VALUES."""

    sql: str
    tree: exp.Query


Statement = Select | Show


class NotCarried(NotAStatement):
    """A statement that Athena runs and the emulation does not."""


def read(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Reads a statement and puts execution parameters in the place of its question marks.

    NotAStatement when it cannot be read, NotCarried when it is of another kind, QueryFailure when parameters are wrong.
    """
    text = sql.strip().rstrip(";").rstrip()
    if not text:
        raise NotAStatement("line 1:1: mismatched input '<EOF>'. Expecting: " + _EXPECTED)
    other = _KNOWN_BUT_NOT_CARRIED.match(text)
    if other:
        word = other[1].upper()
        raise NotCarried(f"The emulated Athena carries SELECT, WITH, SHOW and DESCRIBE, not {word} statements.")
    show = _SHOW.fullmatch(text)
    if show:
        what = next(name for name in ("databases", "tables", "describe") if show[name])
        return Show(what, (show["in"] or show["database"] or "").lower(), (show["table"] or "").lower())
    if re.match(r"(SHOW|DESCRIBE|DESC)\b", text, re.I):
        raise NotCarried(f"The emulated Athena carries SHOW DATABASES, SHOW TABLES and DESCRIBE, not {text[:60]}.")
    if not re.match(r"(SELECT|WITH|VALUES|TABLE|\()", text, re.I):
        word = re.match(r"\S+", text)
        raise NotAStatement(f"line 1:1: mismatched input '{word[0] if word else ''}'. Expecting: {_EXPECTED}")
    return Select(text, _parsed(_bound(text, parameters)))


def _parsed(text: str) -> exp.Query:
    try:
        trees = parse(text, read=AthenaSql)
    except ParseError as error:
        raise NotAStatement(_parse_words(text, error)) from error
    except TokenError as error:
        raise NotAStatement(f"line 1:1: mismatched input: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise NotAStatement("line 1:1: statement is too large (stack overflow while parsing)") from error
    if len(trees) > 1:
        raise NotAStatement(f"Only one sql statement is allowed. Got: {text}")
    tree = trees[0]
    if not isinstance(tree, exp.Query):
        raise NotAStatement("Queries of this type are not supported")
    if isinstance(tree, exp.Select) and not tree.expressions and re.search(r"\bSELECT$", text, re.I):
        raise NotAStatement(_ends_too_early(text))
    if _depth(tree) > DEEPEST:
        raise NotAStatement("line 1:1: statement is too large (stack overflow while parsing)")
    return tree


def _depth(tree: exp.Expr) -> int:
    """How deep a tree is, found without going down it by recursion."""
    deepest, waiting = 0, [(tree, 1)]
    while waiting and deepest <= DEEPEST:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in node.iter_expressions()]
    return deepest


def _parse_words(text: str, error: ParseError) -> str:
    """As Athena words a parse error; what it would have expected is another parser's list and is left out."""
    detail = error.errors[0] if error.errors else {}
    found = str(detail.get("highlight") or "").strip()
    line, column = detail.get("line") or 1, int(detail.get("col") or 1)
    start = max(1, column - len(found) + 1)
    described = str(detail.get("description") or "")
    expected = f" {described}" if described.startswith("Expecting ") else ""
    lines = text.split("\n")
    # The parser points at the last word when something is missing behind it, and at a word that is too much.
    if not found or ((line, column) == (len(lines), len(lines[-1])) and not described.startswith("Invalid expression")):
        return _ends_too_early(text) + expected
    return f"line {line}:{start}: mismatched input '{found}'.{expected}"


def _ends_too_early(text: str) -> str:
    lines = text.split("\n")
    return f"line {len(lines)}:{len(lines[-1]) + 1}: mismatched input '<EOF>'."


def _bound(text: str, parameters: Sequence[str]) -> str:
    """The statement with literals in the place of its question marks, in order."""
    try:
        marks = [token for token in AthenaSql().tokenize(text) if token.token_type == TokenType.PLACEHOLDER]
    except TokenError:
        return text
    if len(marks) != len(parameters):
        found = f"Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}"
        raise QueryFailure(f"INVALID_PARAMETER_USAGE: {found}")
    for mark, parameter in reversed(list(zip(marks, parameters, strict=True))):
        text = f"{text[: mark.start]}{_literal(parameter)}{text[mark.end + 1 :]}"
    return text


def _literal(text: str) -> str:
    """A parameter is a literal of SQL: 'text', 1, DATE '2026-11-21', TRUE, NULL."""
    try:
        values = parse(text, read=AthenaSql)
    except (ParseError, TokenError, RecursionError):
        values = []
    value = values[0] if len(values) == 1 else None
    inner = value.this if isinstance(value, exp.Cast | exp.Neg) else value
    if value is None or not isinstance(inner, exp.Literal | exp.Boolean | exp.Null):
        raise QueryFailure(f"INVALID_PARAMETER_USAGE: {text!r} is no literal; write texts as 'text'")
    return value.sql(dialect=AthenaSql, comments=False)
