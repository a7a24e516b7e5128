"""From a statement to a plan: which tables are read, which columns and partitions of each, and the text for DuckDB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope, traverse_scope
from sqlglot.schema import MappingSchema

from infra.rehearsal.cloud.queries import functions, pruning, typing
from infra.rehearsal.cloud.queries.catalogue import CATALOG, Catalogue, Table
from infra.rehearsal.cloud.queries.failures import NotAStatement, QueryFailure, not_carried, place
from infra.rehearsal.cloud.queries.presto_view import View
from infra.rehearsal.cloud.queries.statement import AthenaSql, Select, read

DEEPEST_VIEW = 16
MOST_SCANS = 64
_OF_A_VIEW = {
    "AMBIGUOUS_NAME",
    "COLUMN_NOT_FOUND",
    "INVALID_VIEW",
    "SCHEMA_NOT_FOUND",
    "SYNTAX_ERROR",
    "TABLE_NOT_FOUND",
}
"""Failures that are a view's own when they come from its query."""
_TABLE_PARTS = {"this", "db", "catalog", "alias", "joins"}


@dataclass(frozen=True)
class Scan:
    """One mention of a table."""

    name: str
    """Of the relation in DuckDB: "t0"."""
    table: Table
    columns: tuple[str, ...]
    """Names that the statement reads, partition columns too."""
    partitions: tuple[tuple[str, ...], ...] | None
    """For each way in which the mention is reached, predicates on partition columns as DuckDB's SQL; None: no way
    restricts it."""


@dataclass
class Plan:
    sql: str
    """For DuckDB."""
    names: list[str]
    """Names of the answer's columns."""
    scans: list[Scan] = field(default_factory=list)


@dataclass
class _Finder:
    catalogue: Catalogue
    sql: str
    tables: dict[str, Table] = field(default_factory=dict)
    qualifying: bool = False
    """Whether each view's columns are resolved by themselves, so that a failure names the view."""

    def resolve(self, tree: exp.Expr, database: str, depth: int, sql: str) -> None:
        """Puts a relation of ours in the place of every table, and its query in the place of every view."""
        for node in list(tree.find_all(exp.Table)):
            if not isinstance(node.this, exp.Identifier):
                if isinstance(node.this, exp.Func):
                    raise not_carried(f"the table function {node.this.sql_name().lower()}")
                raise QueryFailure(f"TABLE_NOT_FOUND: Table '{node.sql()}' does not exist")
        for scope in traverse_scope(tree):
            for node in scope.tables:
                if not node.db and node.name.lower() in {name.lower() for name in scope.cte_sources}:
                    continue
                if node.meta.get("resolved"):
                    continue
                self._put(node, database, depth, sql)

    def _put(self, node: exp.Table, database: str, depth: int, sql: str) -> None:
        extra = {key for key, value in node.args.items() if value} - _TABLE_PARTS
        if extra:
            raise not_carried(f"a table with {', '.join(sorted(extra))} in FROM")
        name, schema = node.name.lower(), (node.db or database).lower()
        first = node.args.get("catalog") or node.args.get("db") or node.this
        where = place(sql, first.meta.get("start"))
        if (node.catalog or CATALOG).lower() != CATALOG:
            raise QueryFailure(f"CATALOG_NOT_FOUND: {where}Catalog '{node.catalog}' not found")
        if schema == "information_schema":
            raise not_carried("information_schema")
        if not schema:
            raise QueryFailure(f"MISSING_SCHEMA_NAME: {where}Schema must be specified when session schema is not set")
        found = self.catalogue.find(schema, name, where)
        alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name))
        if alias.this is None:
            alias.set("this", exp.to_identifier(name))
        if isinstance(found, Table):
            if len(self.tables) >= MOST_SCANS:
                raise not_carried(f"more than {MOST_SCANS} mentions of tables")
            own = f"t{len(self.tables)}"
            self.tables[own] = found
            new: exp.Expr = exp.Table(this=exp.to_identifier(own), alias=alias, joins=node.args.get("joins"))
            new.meta["resolved"] = True
        else:
            new = exp.Subquery(
                this=self._view(found, schema, name, depth, where), alias=alias, joins=node.args.get("joins")
            )
        node.replace(new)

    def _view(self, view: View, schema: str, name: str, depth: int, where: str) -> exp.Query:
        full = f"{CATALOG}.{schema}.{name}"
        if depth >= DEEPEST_VIEW:
            raise QueryFailure(f"VIEW_IS_RECURSIVE: Statement stack: view '{full}' nests deeper than {DEEPEST_VIEW}")
        try:
            statement = read(view.sql)
        except NotAStatement as error:
            raise QueryFailure(f"INVALID_VIEW: {where}Failed parsing stored view '{full}': {error.message}") from error
        if not isinstance(statement, Select):
            raise QueryFailure(f"INVALID_VIEW: Stored view '{full}' is no query")
        functions.check(statement.tree, statement.sql)
        lowered(statement.tree)
        try:
            self.resolve(statement.tree, view.schema or schema, depth + 1, statement.sql)
            if self.qualifying:
                _qualified(statement.tree.copy(), self.schema(), statement.sql)
        except QueryFailure as failure:
            code, _, text = failure.message.partition(": ")
            if code not in _OF_A_VIEW:
                raise
            # Trino's StatementAnalyzer.analyzeView.
            told = f"INVALID_VIEW: {where}Failed analyzing stored view '{full}': {text}"
            raise QueryFailure(told) from failure
        named = self._columns_of(statement.tree)
        if named is not None and named != list(view.columns):
            text = f"has columns [{', '.join(view.columns)}], its query gives [{', '.join(named)}]"
            raise QueryFailure(f"VIEW_IS_STALE: View '{full}' is stale or in invalid state: {text}")
        return statement.tree

    def _columns_of(self, tree: exp.Query) -> list[str] | None:
        """Names of what a query gives; None when it says * and they are only known later."""
        names = [name.lower() for name in tree.named_selects]
        return None if "*" in names or tree.is_star else names

    def schema(self) -> dict[str, dict[str, str]]:
        return {
            own: {name: type_.duckdb for name, type_ in table.all_columns.items()} for own, table in self.tables.items()
        }


def lowered(tree: exp.Expr) -> None:
    """Names in lower case: Athena does not tell upper from lower, quoted or not."""
    for node in tree.find_all(exp.Identifier):
        node.set("this", node.name.lower())
        node.set("quoted", True)
    for node in tree.find_all(exp.Unnest):
        # The name of the ordinal is one of the relation's columns like the others.
        alias, ordinal = node.args.get("alias"), node.args.get("offset")
        if alias is not None and isinstance(ordinal, exp.Identifier):
            alias.append("columns", ordinal.copy())
            node.set("offset", True)


def plan(select: Select, catalogue: Catalogue, database: str, now: datetime) -> Plan:
    """The plan of a SELECT. QueryFailure as Athena words it."""
    try:
        return _plan(select, catalogue, database, now)
    except RecursionError as error:
        raise QueryFailure("STACK_OVERFLOW: statement is too large (stack overflow during analysis)") from error


def _plan(select: Select, catalogue: Catalogue, database: str, now: datetime) -> Plan:
    tree, sql = select.tree.copy(), select.sql
    if any(with_.args.get("recursive") for with_ in tree.find_all(exp.With)):
        raise not_carried("WITH RECURSIVE")
    if tree.find(exp.Lateral):
        raise not_carried("LATERAL")
    functions.check(tree, sql)
    lowered(tree)
    _name_unnamed(tree)
    finder = _Finder(catalogue, sql)
    finder.resolve(tree, database.lower(), 0, sql)
    try:
        tree = _qualified(tree, finder.schema(), sql)
    except QueryFailure:
        # A view that no longer fits its tables is named. Looked for only now, for it costs as much as a plan.
        again = select.tree.copy()
        lowered(again)
        _Finder(catalogue, sql, qualifying=True).resolve(again, database.lower(), 0, sql)
        raise
    typing.check(tree, sql)
    names = [f"_col{at}" if name.startswith(_UNNAMED) else name for at, name in enumerate(tree.named_selects)]
    # What nothing above uses is taken out first, as Athena's planner does: it is neither read nor counted.
    pushdown_projections(tree)
    needed = _needed(tree, finder.tables)
    tree = _rewritten(tree, now)
    constraints = pruning.constraints(tree, finder.tables)
    result = Plan("", names)
    for own, table in finder.tables.items():
        ways = constraints.get(own)
        texts = None if ways is None else tuple(tuple(one.sql(dialect="duckdb") for one in way) for way in ways)
        result.scans.append(Scan(own, table, needed[own], texts))
    try:
        result.sql = tree.sql(dialect="duckdb")
    except SqlglotError as error:
        raise not_carried(f"this: {str(error).splitlines()[0]}") from error
    return result


_UNNAMED = "unnamed column "
_UNRESOLVED = re.compile(r"Column '([^']+)' could not be resolved.*?(?:Line: (\d+), Col: (\d+))?$")
_UNKNOWN = re.compile(r"Unknown (?:table|column|output column): '?\"?(\w+)")


def _qualified(tree: exp.Expr, schema: Mapping[str, Mapping[str, str]], sql: str) -> exp.Query:
    """Every column with its table, every star spelled out, types where they can be told."""
    known = MappingSchema({own: dict(columns) for own, columns in schema.items()}, dialect="duckdb")
    try:
        found = qualify(
            tree,
            schema=known,
            dialect=AthenaSql,
            expand_alias_refs=False,
            isolate_tables=False,
            validate_qualify_columns=True,
        )
    except OptimizeError as error:
        raise _not_qualified(str(error).splitlines()[0], sql, schema) from error
    except SqlglotError as error:
        raise QueryFailure(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
    annotated = annotate_types(found, schema=known, dialect=AthenaSql)
    assert isinstance(annotated, exp.Query)
    return annotated


def _name_unnamed(tree: exp.Query) -> None:
    """Expressions without a name, marked: Athena calls them _col0, _col1 by their place in the answer."""
    first: exp.Expr = tree
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    for at, one in enumerate(first.selects if isinstance(first, exp.Select) else ()):
        if not isinstance(one, exp.Alias | exp.Column | exp.Star | exp.Dot):
            one.replace(exp.alias_(one.copy(), f"{_UNNAMED}{at}", quoted=True))


def _not_qualified(text: str, sql: str, schema: Mapping[str, Mapping[str, str]]) -> QueryFailure:
    known = _UNRESOLVED.search(text)
    unknown = known or _UNKNOWN.search(text)
    if unknown is not None:
        name = unknown[1]
        where = _place_of(name, sql)
        if known is not None and known[3]:
            # sqlglot counts to a name's last letter.
            where = f"line {known[2]}:{int(known[3]) - len(name) + 1}: "
        if sum(name in columns for columns in schema.values()) > 1:
            return QueryFailure(f"AMBIGUOUS_NAME: {where}Column '{name}' is ambiguous")
        sentence = "cannot be resolved or requester is not authorized to access requested resources"
        return QueryFailure(f"COLUMN_NOT_FOUND: {where}Column '{name}' {sentence}")
    ambiguous = re.match(r"Ambiguous column '(\w+)'", text)
    if ambiguous:
        return QueryFailure(f"AMBIGUOUS_NAME: {_place_of(ambiguous[1], sql)}Column '{ambiguous[1]}' is ambiguous")
    return QueryFailure(f"SYNTAX_ERROR: {text}")


def _place_of(name: str, sql: str) -> str:
    found = re.search(rf"\b{re.escape(name)}\b", sql, re.I)
    return place(sql, found.start() if found else None)


def _needed(tree: exp.Query, tables: Mapping[str, Table]) -> dict[str, tuple[str, ...]]:
    """The columns that each scan must read."""
    found: dict[str, set[str]] = {own: set() for own in tables}
    root = build_scope(tree)
    for scope in root.traverse() if root is not None else ():
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table) and source.name in found:
                found[source.name].update(column.name for column in _columns_of(scope, alias))
    return {own: tuple(name for name in tables[own].all_columns if name in names) for own, names in found.items()}


def _columns_of(scope: Scope, alias: str) -> list[exp.Column]:
    return [column for column in scope.columns if column.table == alias]


def _rewritten(tree: exp.Query, now: datetime) -> exp.Query:
    """Types first, for they look at functions by their Athena names; deepest first, for a node looks at its parts."""
    for step in (typing.rewrite, lambda node: functions.rewrite(node, now)):
        for node in list(tree.walk(bfs=True))[::-1]:
            new = step(node)
            if new is not node:
                node.replace(new)
    return tree
