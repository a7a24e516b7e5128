"""Partition pruning: predicates on partition columns that hold for every row a table's mention gives.

They go down through subqueries, WITH, views and set operations, through a GROUP BY where they are on its keys, and
through window functions where they are on the columns of PARTITION BY, as Trino's PredicatePushDown does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope

from infra.rehearsal.cloud.queries.catalogue import Table

MOST_WAYS = 512
"""A WITH that is mentioned more often than this is not followed any further: nothing is pruned then."""
_OPAQUE = (exp.Subquery, exp.Select, exp.Window, exp.AggFunc, exp.Rand, exp.Unnest)
Ways = dict[str, list[list[exp.Expr]]]


class _TooMany(Exception):
    pass


def constraints(tree: exp.Query, tables: Mapping[str, Table]) -> dict[str, list[list[exp.Expr]] | None]:
    """By relation: for each way in which it is reached the predicates on its partition columns (columns unqualified).

    None where one way has no predicate, so that every partition is needed.
    """
    ways: Ways = {}
    root = build_scope(tree)
    if root is None:
        return {}
    try:
        _walk(root, [], tables, ways, [0])
    except _TooMany:
        return {}
    return {own: None if not all(found) else found for own, found in ways.items()}


def _walk(scope: Scope, pushed: list[exp.Expr], tables: Mapping[str, Table], ways: Ways, count: list[int]) -> None:
    """`pushed`: predicates over the names of the scope's own columns."""
    count[0] += 1
    if count[0] > MOST_WAYS:
        raise _TooMany
    query = scope.expression
    if isinstance(query, exp.SetOperation):
        names = query.named_selects
        passes = not (query.args.get("limit") or query.args.get("offset"))
        for child in scope.set_operation_scopes:
            own = dict(zip(names, _names_of(child.expression), strict=False))
            _walk(child, [_renamed(one, own) for one in pushed] if passes else [], tables, ways, count)
        return
    if not isinstance(query, exp.Select):
        for child in (*scope.subquery_scopes, *scope.derived_table_scopes):
            _walk(child, [], tables, ways, count)
        return
    held = [*_conjuncts(query.args.get("where")), *_through(query, pushed)]
    nullable, joined = _joins(query)
    for alias, (_, source) in scope.selected_sources.items():
        own = [*([] if alias in nullable or None in nullable else held), *joined.get(alias, ()), *joined.get("", ())]
        mine = [_bare(one) for one in own if _about(one, alias)]
        if isinstance(source, Scope):
            _walk(source, mine, tables, ways, count)
        elif isinstance(source, exp.Table) and source.name in tables:
            keys = tables[source.name].partition_keys
            ways.setdefault(source.name, []).append(
                [one for one in mine if all(column.name in keys for column in one.find_all(exp.Column))]
            )
    for child in scope.subquery_scopes:
        _walk(child, [], tables, ways, count)


def _names_of(query: exp.Expr) -> list[str]:
    return query.named_selects if isinstance(query, exp.Query) else []


def _joins(query: exp.Select) -> tuple[set[str | None], dict[str, list[exp.Expr]]]:
    """Sources that an outer join fills with NULL (None: any of them), and what ON says: by source, "" for all."""
    nullable: set[str | None] = set()
    joined: dict[str, list[exp.Expr]] = {}
    for join in query.args.get("joins") or ():
        side = str(join.side or "").upper()
        if side in ("RIGHT", "FULL"):
            nullable.add(None)
            continue
        condition = list(_split(join.args.get("on")))
        if side == "LEFT":
            nullable.add(join.alias_or_name)
            joined.setdefault(join.alias_or_name, []).extend(condition)
        else:
            joined.setdefault("", []).extend(condition)
    if None in nullable:
        return nullable, {}
    # What an inner ON says of a source that a LEFT JOIN fills holds only after that join.
    filled = [name for name in nullable if name]
    joined[""] = [one for one in joined.get("", []) if not any(_about(one, name) for name in filled)]
    return nullable, joined


def _through(query: exp.Select, pushed: list[exp.Expr]) -> Iterator[exp.Expr]:
    """The pushed predicates that hold before the query's own grouping and windows, over its sources' columns."""
    if not pushed or any(query.args.get(part) for part in ("limit", "offset", "qualify")):
        return
    distinct = query.args.get("distinct")
    if distinct is not None and distinct.args.get("on"):
        return
    selected = {one.alias_or_name: one.unalias() for one in query.selects}
    windows = [window for one in query.selects for window in one.find_all(exp.Window)]
    group = query.args.get("group")
    grouped = group is not None or any(one.find(exp.AggFunc) and not one.find(exp.Window) for one in query.selects)
    if group is not None and any(group.args.get(kind) for kind in ("grouping_sets", "rollup", "cube")):
        return
    keys = [key.sql() for key in group.expressions] if group is not None else []
    for one in pushed:
        used = [selected.get(column.name) for column in one.find_all(exp.Column)]
        if any(source is None or source.find(*_OPAQUE) for source in used):
            continue
        texts = [source.sql() for source in used if source is not None]
        if windows and not all(
            text in {part.sql() for part in window.args.get("partition_by") or ()}
            for window in windows
            for text in texts
        ):
            continue
        if grouped and not all(text in keys for text in texts):
            continue
        copy = one.copy()
        holder = exp.Paren(this=copy)
        for column in list(copy.find_all(exp.Column)):
            source = selected[column.name]
            column.replace(source.copy() if isinstance(source, exp.Column) else exp.paren(source, copy=True))
        yield holder


def _conjuncts(where: exp.Expr | None) -> Iterator[exp.Expr]:
    return _split(where.this if where is not None else None)


def _split(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    if condition is None:
        return
    inner = condition.unnest()
    parts = list(inner.flatten()) if isinstance(inner, exp.And) else [inner]
    for part in parts:
        if part is not inner and isinstance(part.unnest(), exp.And):
            yield from _split(part)
        else:
            yield part


def _about(condition: exp.Expr, alias: str) -> bool:
    """Whether a predicate is about one source alone, and can be judged for a row without looking elsewhere."""
    columns = list(condition.find_all(exp.Column))
    return bool(columns) and all(column.table == alias for column in columns) and not condition.find(*_OPAQUE)


def _bare(condition: exp.Expr) -> exp.Expr:
    copy = exp.Paren(this=condition.copy())
    for column in list(copy.find_all(exp.Column)):
        column.replace(exp.Column(this=exp.to_identifier(column.name, quoted=True)))
    return copy


def _renamed(condition: exp.Expr, names: Mapping[str, str]) -> exp.Expr:
    copy = exp.Paren(this=condition.copy())
    for column in list(copy.find_all(exp.Column)):
        column.set("this", exp.to_identifier(names.get(column.name, column.name), quoted=True))
    return copy
