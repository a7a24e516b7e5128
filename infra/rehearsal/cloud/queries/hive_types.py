"""Types of Glue columns: what they are in Athena's answers, in DuckDB, and which Parquet columns fit them.

Sources: Athena User Guide, "Data types in Amazon Athena"; for Parquet, the error that Athena gives for a column that
does not fit ("HIVE_BAD_DATA: Field x's type INT64 in parquet file ... is incompatible with type double defined in
table schema").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

_SIMPLE = {
    "boolean": ("boolean", "BOOLEAN"),
    "tinyint": ("tinyint", "TINYINT"),
    "smallint": ("smallint", "SMALLINT"),
    "int": ("integer", "INTEGER"),
    "integer": ("integer", "INTEGER"),
    "bigint": ("bigint", "BIGINT"),
    "float": ("float", "FLOAT"),
    "double": ("double", "DOUBLE"),
    "string": ("varchar", "VARCHAR"),
    "date": ("date", "DATE"),
    "timestamp": ("timestamp", "TIMESTAMP"),
    "binary": ("varbinary", "BLOB"),
}
"""Hive type: Athena's name, DuckDB's."""
_SIZED = re.compile(r"(varchar|char)\((\d+)\)|decimal\((\d+)(?:,\s*(\d+))?\)|decimal")
_MOST_NESTED = 16


@dataclass(frozen=True)
class HiveType:
    """A parsed type. `kind` is a simple Hive name, "varchar", "char", "decimal", "array", "map" or "struct"."""

    kind: str
    parts: tuple[HiveType, ...] = ()
    names: tuple[str, ...] = ()
    """Names of a struct's fields."""
    precision: int = 0
    scale: int = 0

    @property
    def duckdb(self) -> str:
        """As DuckDB writes it."""
        if self.kind == "array":
            return f"{self.parts[0].duckdb}[]"
        if self.kind == "map":
            return f"MAP({self.parts[0].duckdb}, {self.parts[1].duckdb})"
        if self.kind == "struct":
            fields = (f'"{name}" {part.duckdb}' for name, part in zip(self.names, self.parts, strict=True))
            return f"STRUCT({', '.join(fields)})"
        if self.kind == "decimal":
            return f"DECIMAL({self.precision}, {self.scale})"
        return "VARCHAR" if self.kind in ("varchar", "char") else _SIMPLE[self.kind][1]

    @property
    def athena(self) -> str:
        """As the table's schema shows it to Athena's users: "array(double)", "row(a integer)"."""
        if self.kind == "array":
            return f"array({self.parts[0].athena})"
        if self.kind == "map":
            return f"map({self.parts[0].athena}, {self.parts[1].athena})"
        if self.kind == "struct":
            pairs = (f"{name} {part.athena}" for name, part in zip(self.names, self.parts, strict=True))
            return f"row({', '.join(pairs)})"
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return "varchar" if self.kind in ("varchar", "char") else _SIMPLE[self.kind][0]


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> HiveType:
    """Reads a Glue column type. ValueError says what is wrong."""
    tokens = list(_tokens(text.strip().lower()))
    found, rest = _read(tokens, text, 0)
    if rest:
        raise ValueError(f"{text!r} goes on after its end with {rest[0]!r}")
    return found


def _tokens(text: str) -> Iterator[str]:
    at = 0
    pattern = re.compile(r"\s*((?:varchar|char|decimal)\s*\([\d,\s]+\)|[a-z0-9_]+|[<>:,])")
    while at < len(text):
        found = pattern.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} cannot be read from {text[at:]!r} on")
        at = found.end()
        yield found[1]


def _read(tokens: list[str], whole: str, depth: int) -> tuple[HiveType, list[str]]:
    if not tokens or depth > _MOST_NESTED:
        raise ValueError(f"{whole!r} is no type")
    head, rest = tokens[0], tokens[1:]
    if head in _SIMPLE:
        return HiveType({"integer": "int"}.get(head, head)), rest
    sized = _SIZED.fullmatch(re.sub(r"\s", "", head))
    if sized is not None:
        if sized[1]:
            return HiveType(sized[1], precision=int(sized[2])), rest
        precision, scale = int(sized[3] or 10), int(sized[4] or 0)
        if not 1 <= precision <= 38 or scale > precision:
            raise ValueError(f"{head} is out of decimal's limits (precision 1 to 38, scale up to it)")
        return HiveType("decimal", precision=precision, scale=scale), rest
    if head not in ("array", "map", "struct"):
        raise ValueError(f"{head!r} is no type of Athena's; allowed: {', '.join(sorted(_SIMPLE))}, varchar(n), "
                         "char(n), decimal(p,s), array<>, map<,>, struct<:>")  # fmt: skip
    return _composite(head, _after(rest, "<", whole), whole, depth)


def _composite(head: str, rest: list[str], whole: str, depth: int) -> tuple[HiveType, list[str]]:
    parts: list[HiveType] = []
    names: list[str] = []
    while True:
        if head == "struct":
            if not rest or not re.fullmatch(r"[a-z0-9_]+", rest[0]):
                raise ValueError(f"{whole!r} has a struct whose field has no name")
            names.append(rest[0])
            rest = _after(rest[1:], ":", whole)
        part, rest = _read(rest, whole, depth + 1)
        parts.append(part)
        if rest[:1] != [","]:
            break
        rest = rest[1:]
    wanted = {"array": 1, "map": 2}.get(head)
    if wanted is not None and len(parts) != wanted:
        raise ValueError(f"{whole!r}: {head} takes {wanted}, has {len(parts)}")
    return HiveType(head, tuple(parts), tuple(names)), _after(rest, ">", whole)


def _after(tokens: list[str], wanted: str, whole: str) -> list[str]:
    if tokens[:1] != [wanted]:
        raise ValueError(f"{whole!r} lacks a {wanted!r}")
    return tokens[1:]


def fits(found: pa.DataType, wanted: HiveType) -> bool:
    """Whether Athena reads a Parquet column of the type `found` as `wanted`. Wider integers and doubles are read from
    narrower ones, nothing else is converted."""
    checks = _FITS.get(wanted.kind)
    if checks is not None:
        return any(check(found) for check in checks)
    if wanted.kind == "decimal":
        return pa.types.is_decimal(found) and (found.precision, found.scale) == (wanted.precision, wanted.scale)
    if wanted.kind == "array":
        return _is_list(found) and fits(found.value_type, wanted.parts[0])
    if wanted.kind == "map":
        return pa.types.is_map(found) and fits(found.key_type, wanted.parts[0]) and fits(
            found.item_type, wanted.parts[1]
        )  # fmt: skip
    if not pa.types.is_struct(found):
        return False
    fields = {found.field(at).name.lower(): found.field(at).type for at in range(found.num_fields)}
    pairs = zip(wanted.names, wanted.parts, strict=True)
    return all(name not in fields or fits(fields[name], part) for name, part in pairs)


def _is_list(found: pa.DataType) -> bool:
    return pa.types.is_list(found) or pa.types.is_large_list(found)


def _is_text(found: pa.DataType) -> bool:
    return pa.types.is_string(found) or pa.types.is_large_string(found)


def _is_bytes(found: pa.DataType) -> bool:
    return pa.types.is_binary(found) or pa.types.is_large_binary(found)


_INT32: tuple[Any, ...] = (pa.types.is_int8, pa.types.is_int16, pa.types.is_int32)
_FITS: dict[str, tuple[Any, ...]] = {
    "boolean": (pa.types.is_boolean,),
    "tinyint": _INT32,
    "smallint": _INT32,
    "int": _INT32,
    "bigint": (*_INT32, pa.types.is_int64),
    "float": (pa.types.is_float32,),
    "double": (pa.types.is_float32, pa.types.is_float64),
    "string": (_is_text,),
    "varchar": (_is_text,),
    "char": (_is_text,),
    "date": (pa.types.is_date32,),
    "timestamp": (pa.types.is_timestamp,),
    "binary": (_is_bytes, _is_text),
}


def parquet_name(found: pa.DataType) -> str:
    """The physical type of a Parquet column, as HIVE_BAD_DATA names it."""
    for check, name in (
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_int64, "INT64"),
        (pa.types.is_integer, "INT32"),
        (pa.types.is_float32, "FLOAT"),
        (pa.types.is_float64, "DOUBLE"),
        (pa.types.is_date, "INT32"),
        (pa.types.is_timestamp, "INT64"),
        (_is_text, "BINARY"),
        (_is_bytes, "BINARY"),
    ):
        if check(found):
            return name
    return str(found)
