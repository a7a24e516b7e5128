"""Types of expressions, as far as they decide what a statement means: Athena is strict where DuckDB converts.

A comparison of a text with a number, or of a timestamp with a text, is TYPE_MISMATCH in Athena and would work in
DuckDB. A quotient of integers is an integer, of decimals a decimal. What cannot be told is left as it is, except in a
quotient.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from infra.rehearsal.cloud.queries.failures import QueryFailure, not_carried, place

_KINDS: dict[Any, str] = {
    **dict.fromkeys(exp.DataType.INTEGER_TYPES, "integer"),
    **dict.fromkeys(exp.DataType.TEXT_TYPES, "varchar"),
    exp.DataType.Type.DOUBLE: "double",
    exp.DataType.Type.FLOAT: "double",
    exp.DataType.Type.DECIMAL: "decimal",
    exp.DataType.Type.BOOLEAN: "boolean",
    exp.DataType.Type.DATE: "date",
    exp.DataType.Type.TIMESTAMP: "timestamp",
    exp.DataType.Type.TIMESTAMPNTZ: "timestamp",
    exp.DataType.Type.TIMESTAMP_S: "timestamp",
    exp.DataType.Type.TIMESTAMP_MS: "timestamp",
    exp.DataType.Type.TIMESTAMPTZ: "timestamp with time zone",
    exp.DataType.Type.ARRAY: "array",
    exp.DataType.Type.LIST: "array",
    exp.DataType.Type.MAP: "map",
    exp.DataType.Type.STRUCT: "row",
    exp.DataType.Type.INTERVAL: "interval",
}
_GROUPS = {
    **dict.fromkeys(("integer", "double", "decimal"), "number"),
    **dict.fromkeys(("date", "timestamp", "timestamp with time zone"), "time"),
}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Mod)


def kind(node: exp.Expr | None) -> str:
    """The kind of an expression's value; empty when it cannot be told."""
    if isinstance(node, exp.Paren | exp.Neg | exp.Alias | exp.Filter | exp.Window):
        return kind(node.this)
    if isinstance(node, exp.Literal):
        if node.is_string:
            return "varchar"
        return "double" if "e" in node.name.lower() else "decimal" if "." in node.name else "integer"
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Mod | exp.IntDiv | exp.Div):
        return _of_arithmetic(kind(node.left), kind(node.right))
    if isinstance(node, exp.Count | exp.CountIf | exp.ApproxDistinct | exp.ArraySize | exp.Length | exp.DateDiff):
        return "integer"
    if isinstance(node, exp.RowNumber):
        return "integer"
    if isinstance(node, exp.Sum | exp.Max | exp.Min | exp.Abs | exp.AnyValue | exp.ArgMax | exp.ArgMin):
        return kind(node.this)
    if isinstance(node, exp.Avg):
        return "decimal" if kind(node.this) == "decimal" else "double"
    if isinstance(node, exp.ApproxQuantile):
        return "array" if kind(node.args.get("quantile")) == "array" else kind(node.this)
    if isinstance(node, exp.Array):
        return "array"
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc | exp.DateAdd):
        return kind(node.this)
    if isinstance(node, exp.Round | exp.Floor | exp.Ceil | exp.Coalesce | exp.Nullif):
        return kind(node.this)
    if isinstance(node, exp.Case):
        branches = [branch.args["true"] for branch in node.args["ifs"]] + [node.args.get("default")]
        return next((found for found in map(kind, branches) if found), "")
    if isinstance(node, exp.If):
        return kind(node.args["true"]) or kind(node.args.get("false"))
    if isinstance(node, exp.TimeToUnix):
        return "double"
    if isinstance(node, exp.Column) and (node.type is None or node.type.this == exp.DataType.Type.UNKNOWN):
        return ""
    return _KINDS.get(node.type.this, "") if node is not None and node.type is not None else ""  # pyright: ignore[reportArgumentType, reportCallIssue]


def _of_arithmetic(left: str, right: str) -> str:
    both = {left, right}
    if both & {"timestamp", "timestamp with time zone", "date"}:
        return next(one for one in (left, right) if one in _GROUPS and _GROUPS[one] == "time")
    for one in ("double", "", "decimal"):
        if one in both:
            return one
    return "integer" if both == {"integer"} else ""


def check(tree: exp.Expr, sql: str) -> None:
    """Refuses what Athena refuses for its types."""
    for node in tree.walk():
        if isinstance(node, _COMPARISONS):
            _same(node.left, node.right, {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<"}.get(
                type(node), "<="), sql)  # fmt: skip
        elif isinstance(node, exp.Between):
            _same(node.this, node.args["low"], "BETWEEN", sql)
            _same(node.this, node.args["high"], "BETWEEN", sql)
        elif isinstance(node, exp.In):
            for value in node.expressions:
                _same(node.this, value, "IN", sql)
        elif isinstance(node, exp.Div | exp.Add | exp.Sub | exp.Mul | exp.Mod):
            kinds = (kind(node.left), kind(node.right))
            if "varchar" in kinds and not isinstance(node.left, exp.Interval):
                raise _mismatch(node.left, f"Cannot apply operator: {kinds[0]} {_SIGNS[type(node)]} {kinds[1]}", sql)
        elif isinstance(node, exp.DPipe):
            for side in (node.left, node.right):
                found = kind(side)
                if found and found not in ("varchar", "array"):
                    text = f"Unexpected parameters (varchar, {found}) for function concat"
                    raise QueryFailure(f"FUNCTION_NOT_FOUND: {_where(side, sql)}{text}")


_SIGNS: dict[type[exp.Expr], str] = {exp.Div: "/", exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Mod: "%"}


def _same(left: exp.Expr, right: exp.Expr, sign: str, sql: str) -> None:
    one, other = kind(left), kind(right)
    if one and other and _GROUPS.get(one, one) != _GROUPS.get(other, other):
        raise _mismatch(left, f"Cannot apply operator: {one} {sign} {other}", sql)


def _mismatch(node: exp.Expr, text: str, sql: str) -> QueryFailure:
    return QueryFailure(f"TYPE_MISMATCH: {_where(node, sql)}{text}")


def _where(node: exp.Expr, sql: str) -> str:
    return place(sql, next((one.meta["start"] for one in node.walk() if "start" in one.meta), None))


def rewrite(node: exp.Expr) -> exp.Expr:
    """A quotient and a conversion, in Athena's sense. Needs the kinds of what is below, so it comes before functions
    are renamed."""
    if isinstance(node, exp.Div):
        return _quotient(node)
    if isinstance(node, exp.Cast | exp.TryCast):
        return _conversion(node)
    if isinstance(node, exp.Reverse) and kind(node.this) == "array":
        return exp.Anonymous(this="LIST_REVERSE", expressions=[node.this])
    if kind(node) == "date" and _leaves_dates(node):
        # DuckDB makes a timestamp of a date here, Athena a date.
        return exp.cast(node.copy(), "DATE")
    return node


def _leaves_dates(node: exp.Expr) -> bool:
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc | exp.DateAdd):
        return node.text("unit").lower() in _UNITS_OF_DATES
    if isinstance(node, exp.Add | exp.Sub):
        return any(
            isinstance(side, exp.Interval) and side.text("unit").lower() in _UNITS_OF_DATES
            for side in (node.left, node.right)
        )
    return False


_UNITS_OF_DATES = ("day", "week", "month", "quarter", "year")


def _quotient(node: exp.Div) -> exp.Expr:
    left, right = kind(node.left), kind(node.right)
    if "double" in (left, right):
        # Trino follows IEEE: a double by zero is Infinity or NaN, never an error and never NULL.
        # DuckDB does the same for doubles; a decimal beside one is made one.
        for side in ("this", "expression"):
            if kind(node.args[side]) == "decimal":
                node.set(side, exp.cast(node.args[side], "DOUBLE"))
        node.set("typed", False)
        node.set("safe", False)
        return node
    if left == right == "integer":
        return exp.IntDiv(this=node.left, expression=node.right)
    what = "of decimals" if "decimal" in (left, right) else "whose operands' types cannot be told"
    raise not_carried(f"a quotient {what}: {node.sql()[:80]} (cast one side, as in CAST(x AS double))")


def _conversion(node: exp.Cast) -> exp.Expr:
    found = kind(node.this)
    target = node.to.this
    if found == "double" and target in exp.DataType.INTEGER_TYPES:
        # DuckDB rounds halves to even, Athena away from zero.
        node.set("this", exp.Round(this=node.this))
    if target in exp.DataType.TEXT_TYPES:
        if found == "double":
            raise not_carried("a cast of double to varchar (Athena writes 5.0E-1)")
        if found in ("timestamp", "timestamp with time zone"):
            form = exp.Literal.string("%Y-%m-%d %H:%M:%S.%g" + (" UTC" if "zone" in found else ""))
            return exp.Anonymous(this="STRFTIME", expressions=[node.this, form])
    return node
