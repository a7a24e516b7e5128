"""Types of Glue columns (Hive's), as they are read from JSON and written to Parquet.

Source of the JSON rules: https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion-concepts.html and the
OpenX SerDe that it names. What neither says is marked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

Reading = Callable[[Any], Any]
"""A JSON value (not null) as the column's Python value; ValueError when it does not fit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_SECONDS = 10**11
"""Integers beyond this are epoch milliseconds (the year 5138 in seconds)."""
_TIMESTAMP = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z?)")
_WORD = re.compile(r"\s*([A-Za-z_][\w.-]*|\d+|[<>(),:])\s*")


class SchemaError(ValueError):
    """A column type that is not understood or not carried; the message names it."""


class DoesNotFit(ValueError):
    """A value that its column does not take."""


@dataclass(frozen=True)
class ColumnType:
    arrow: pa.DataType
    read: Reading


def column_type(text: str) -> ColumnType:
    """The type that a Glue column's Type text stands for. SchemaError names what is not carried."""
    words = _words(text)
    kind, rest = _parse(words, text)
    if rest:
        raise SchemaError(f"{text!r} is no column type: {' '.join(rest)!r} is left over")
    return kind


def _words(text: str) -> list[str]:
    words: list[str] = []
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise SchemaError(f"{text!r} is no column type")
        words.append(match[1])
        position = match.end()
    return words


def _parse(words: Sequence[str], text: str) -> tuple[ColumnType, Sequence[str]]:
    if not words:
        raise SchemaError(f"{text!r} is no column type: it ends early")
    name, rest = words[0].lower(), words[1:]
    if name in _PRIMITIVES:
        return _PRIMITIVES[name], rest
    if name in ("varchar", "char"):
        return STRING, _after(rest, text, "(", None, ")")
    if name == "decimal":
        return _decimal(rest, text)
    if name == "array":
        item, rest = _parse(_after(rest, text, "<"), text)
        return _array(item), _after(rest, text, ">")
    if name == "map":
        key, rest = _parse(_after(rest, text, "<"), text)
        value, rest = _parse(_after(rest, text, ","), text)
        return _map(key, value), _after(rest, text, ">")
    if name == "struct":
        return _struct(rest, text)
    raise SchemaError(f"{text!r}: the type {words[0]!r} is not carried by the rehearsal's conversion")


def _after(words: Sequence[str], text: str, *wanted: str | None) -> Sequence[str]:
    """The words behind the wanted ones; None stands for any."""
    for one in wanted:
        if not words or (one is not None and words[0] != one):
            raise SchemaError(f"{text!r} is no column type: {one or 'a word'!r} is missing")
        words = words[1:]
    return words


def _decimal(rest: Sequence[str], text: str) -> tuple[ColumnType, Sequence[str]]:
    precision, scale = 10, 0
    if rest and rest[0] == "(":
        precision, rest = int(rest[1]), rest[2:]
        if rest and rest[0] == ",":
            scale, rest = int(rest[1]), rest[2:]
        rest = _after(rest, text, ")")

    def read(value: Any) -> Decimal:
        try:
            number = Decimal(str(_plain_number(value))).quantize(Decimal(1).scaleb(-scale))
        except InvalidOperation:
            raise DoesNotFit(f"{value!r} is no decimal") from None
        if not number.is_finite() or len(number.as_tuple().digits) > precision:
            raise DoesNotFit(f"{value!r} has more than {precision} digits")
        return number

    return ColumnType(pa.decimal128(precision, scale), read), rest


def _struct(rest: Sequence[str], text: str) -> tuple[ColumnType, Sequence[str]]:
    rest = _after(rest, text, "<")
    fields: dict[str, ColumnType] = {}
    while True:
        if len(rest) < 2:
            raise SchemaError(f"{text!r} is no column type: it ends early")
        name = rest[0].lower()
        fields[name], rest = _parse(_after(rest[1:], text, ":"), text)
        if rest and rest[0] == ",":
            rest = rest[1:]
            continue
        rest = _after(rest, text, ">")
        break

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise DoesNotFit(f"{_shown(value)} is no object")
        return {name: None if value.get(name) is None else kind.read(value[name]) for name, kind in fields.items()}

    return ColumnType(pa.struct([(name, kind.arrow) for name, kind in fields.items()]), read), rest


def _array(item: ColumnType) -> ColumnType:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise DoesNotFit(f"{_shown(value)} is no array")
        return [None if one is None else item.read(one) for one in value]

    return ColumnType(pa.list_(item.arrow), read)


def _map(key: ColumnType, value_type: ColumnType) -> ColumnType:
    def read(value: Any) -> list[tuple[Any, Any]]:
        if not isinstance(value, Mapping):
            raise DoesNotFit(f"{_shown(value)} is no object")
        return [(key.read(name), None if one is None else value_type.read(one)) for name, one in value.items()]

    return ColumnType(pa.map_(key.arrow, value_type.arrow), read)


def _plain_number(value: Any) -> int | float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise DoesNotFit(f"{_shown(value)} is no number")
    if isinstance(value, str) and "_" in value:  # Python's digits may have them, Java's not
        raise DoesNotFit(f"{_shown(value)} is no number")
    return value


def _text(value: Any) -> str:
    """Whatever JSON holds, as text: the SerDe's string column takes numbers, flags and objects too."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and UTF-8 cannot
        raise DoesNotFit(f"{_shown(value)} is no text") from None
    return text


def _integer(bits: int) -> Reading:
    limit = 1 << (bits - 1)

    def read(value: Any) -> int:
        # A number with a fraction is no integer. Whether AWS cuts it instead is unconfirmed.
        number = _plain_number(value)
        if isinstance(number, float):
            raise DoesNotFit(f"{value!r} is no whole number")
        try:
            found = int(number)
        except ValueError:
            raise DoesNotFit(f"{_shown(value)} is no whole number") from None
        if not -limit <= found < limit:
            raise DoesNotFit(f"{value!r} is beyond {bits} bits")
        return found

    return read


def _float(value: Any) -> float:
    try:
        return float(_plain_number(value))
    except (ValueError, OverflowError):
        raise DoesNotFit(f"{_shown(value)} is no number") from None


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise DoesNotFit(f"{_shown(value)} is no boolean")


def _timestamp(value: Any) -> datetime:
    """The forms that the guide lists for the OpenX SerDe; fractions beyond a microsecond are cut."""
    if isinstance(value, bool):
        raise DoesNotFit(f"{value!r} is no timestamp")
    try:
        if isinstance(value, int):
            micros = value * (1000 if abs(value) >= _LARGEST_SECONDS else 1_000_000)
            return _EPOCH + timedelta(microseconds=micros)
        if isinstance(value, float):
            return _EPOCH + timedelta(microseconds=round(value * 1_000_000))
        match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
        if match is not None:
            micros = int((match[7] or "")[:6].ljust(6, "0"))
            year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
            return datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise DoesNotFit(f"{_shown(value)} is no timestamp")


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DoesNotFit(f"{_shown(value)} is no date") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


STRING = ColumnType(pa.string(), _text)
_PRIMITIVES: Mapping[str, ColumnType] = {
    "string": STRING,
    "tinyint": ColumnType(pa.int32(), _integer(8)),
    "smallint": ColumnType(pa.int32(), _integer(16)),
    "int": ColumnType(pa.int32(), _integer(32)),
    "integer": ColumnType(pa.int32(), _integer(32)),
    "bigint": ColumnType(pa.int64(), _integer(64)),
    "double": ColumnType(pa.float64(), _float),
    "float": ColumnType(pa.float32(), _float),
    "boolean": ColumnType(pa.bool_(), _flag),
    "timestamp": ColumnType(pa.timestamp("us"), lambda value: _timestamp(value).replace(tzinfo=None)),
    "date": ColumnType(pa.date32(), _date),
}
"""Hive's small integers are 32-bit columns in Parquet."""
