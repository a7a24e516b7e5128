"""Answers as Athena writes them: the text of each value, the CSV object, the metadata beside it, pages of rows.

Source: Athena User Guide, "Work with query results and recent queries" (names of the objects). In the CSV every value
stands in quotes and NULL is an empty field without them. What lies in `.csv.metadata` is not documented by AWS; here it
is JSON with the columns.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from infra.rehearsal.cloud.queries.engine import Column
from infra.rehearsal.cloud.queries.failures import QueryFailure

Text = str | None
_TYPES = {
    "BOOLEAN": ("boolean", 0, 0),
    "TINYINT": ("tinyint", 3, 0),
    "SMALLINT": ("smallint", 5, 0),
    "INTEGER": ("integer", 10, 0),
    "UINTEGER": ("bigint", 19, 0),
    "BIGINT": ("bigint", 19, 0),
    "HUGEINT": ("bigint", 19, 0),
    "FLOAT": ("float", 17, 0),
    "DOUBLE": ("double", 17, 0),
    "VARCHAR": ("varchar", 2147483647, 0),
    "DATE": ("date", 0, 0),
    "TIME": ("time", 0, 0),
    "BLOB": ("varbinary", 1073741824, 0),
    "JSON": ("json", 0, 0),
    "INTERVAL": ("interval day to second", 0, 0),
    "UUID": ("uuid", 0, 0),
}


def column_info(column: Column) -> dict[str, Any]:
    """A ColumnInfo of GetQueryResults."""
    name, precision, scale = _type(column.type)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": name,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": name in ("varchar", "char"),
    }


def _type(duckdb: str) -> tuple[str, int, int]:
    decimal = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", duckdb)
    if decimal:
        return "decimal", int(decimal[1]), int(decimal[2])
    if duckdb.endswith("]"):
        return "array", 0, 0
    for prefix, name in (("STRUCT", "row"), ("MAP", "map"), ("TIMESTAMP WITH", "timestamp with time zone")):
        if duckdb.startswith(prefix):
            return name, 0, 0
    if duckdb.startswith("TIMESTAMP"):
        return "timestamp", 3, 0
    return _TYPES.get(duckdb.strip('"'), ("unknown", 0, 0))


def text(value: Any, type_: str = "") -> Text:
    """A value as Athena shows it; None for NULL."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, int):
        if type_ in ("HUGEINT", "BIGINT") and not -(2**63) <= value < 2**63:
            raise QueryFailure("NUMERIC_VALUE_OUT_OF_RANGE: bigint addition overflow")
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds").partition("+")[0]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inner(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_field(key)}={_inner(one)}' for key, one in value.items())}}}"
    return str(value)


def _inner(value: Any) -> str:
    found = text(value)
    return "null" if found is None else found


def _field(key: Any) -> str:
    unnamed = re.fullmatch(r"_(\d+)", key) if isinstance(key, str) else None
    return f"field{unnamed[1]}" if unnamed else _inner(key)


def _double(value: float) -> str:
    """As Java's Double.toString writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = format(Decimal(repr(value)), "f")
        return plain if "." in plain else f"{plain}.0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    power = exponent + len(digits) - 1
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{power}"


def _interval(value: timedelta) -> str:
    seconds = abs(int(value.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    milliseconds = abs(value.microseconds) // 1000 if value >= timedelta() else 0
    sign = "-" if value < timedelta() else ""
    return f"{sign}{days} {rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}.{milliseconds:03d}"


def write_csv(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The CSV object in parts, a header line first."""
    types = [column.type for column in columns]
    part = [_line([column.name for column in columns])]
    for row in rows:
        part.append(_line([text(value, type_) for value, type_ in zip(row, types, strict=True)]))
        if len(part) >= 10_000:
            yield "".join(part).encode()
            part = []
    yield "".join(part).encode()


def _line(values: Sequence[Text]) -> str:
    return ",".join("" if one is None else '"' + one.replace('"', '""') + '"' for one in values) + "\n"


_FIELD = re.compile(r'("(?:[^"]|"")*")?(,|\n)')


def read_csv(body: str) -> list[list[Text]]:
    """The rows of a CSV that `write_csv` wrote, the header among them."""
    rows: list[list[Text]] = []
    row: list[Text] = []
    for found in _FIELD.finditer(body):
        quoted, end = found.groups()
        row.append(None if quoted is None else quoted[1:-1].replace('""', '"'))
        if end == "\n":
            rows.append(row)
            row = []
    return rows


def write_metadata(columns: Sequence[Column]) -> bytes:
    return json.dumps({"columns": [column_info(column) for column in columns]}).encode()


def read_metadata(body: bytes) -> list[Mapping[str, Any]]:
    return json.loads(body)["columns"]


def row_of(values: Sequence[Text]) -> dict[str, Any]:
    """A Row of GetQueryResults: NULL is an empty Datum."""
    return {"Data": [{} if one is None else {"VarCharValue": one} for one in values]}
