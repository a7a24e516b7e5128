"""Record format conversion: JSON records to one Parquet file, by the columns of a Glue table.

Source: https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.rehearsal.cloud.delivery.schemas import ColumnType, DoesNotFit, column_type

_CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "UNCOMPRESSED": "none"}
_SPACES = " \t\r\n"
_NAMES = {list: "list", str: "text", bool: "boolean", int: "number", float: "number", type(None): "null"}


class Unconvertible(ValueError):
    """A record that does not convert. `code` as in the error object's lastErrorCode."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Reading:
    """How the OpenX SerDe reads JSON."""

    case_insensitive: bool = True
    dots_to_underscores: bool = False
    mappings: Mapping[str, str] | None = None
    """Column name -> JSON key."""


class Table:
    """The columns of a Glue table version, ready to read records."""

    def __init__(self, columns: Iterable[Mapping[str, Any]], reading: Reading):
        self._columns: dict[str, ColumnType] = {
            column["Name"].lower(): column_type(column.get("Type") or "string") for column in columns
        }
        self._keys = {name: name for name in self._columns}
        for column, key in (reading.mappings or {}).items():
            if column.lower() in self._keys:
                self._keys[column.lower()] = key.lower() if reading.case_insensitive else key
        self._reading = reading
        self._changes_keys = reading.case_insensitive or reading.dots_to_underscores
        self.arrow = pa.schema([(name, kind.arrow) for name, kind in self._columns.items()])

    def rows(self, data: bytes) -> list[list[Any]]:
        """The rows of one record, which may hold several JSON objects one after another. Raises Unconvertible."""
        return [self._row(value) for value in self._objects(data)]

    def parquet(self, rows: Sequence[Sequence[Any]], *, compression: str = "SNAPPY", version: str = "V1") -> bytes:
        """A Parquet file. Timestamps are INT96, as Hive's writer has them (that Firehose's does is unconfirmed)."""
        columns = [
            pa.array([row[index] for row in rows], type=kind.arrow) for index, kind in enumerate(self._columns.values())
        ]
        file = io.BytesIO()
        pq.write_table(
            pa.Table.from_arrays(columns, schema=self.arrow),
            file,
            compression=_CODECS[compression],
            version="1.0" if version == "V1" else "2.6",
            use_deprecated_int96_timestamps=True,
        )
        return file.getvalue()

    def _objects(self, data: bytes) -> list[Mapping[str, Any]]:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise Unconvertible("DataFormatConversion.ParseError", f"Encountered malformed JSON. {error}") from None
        found: list[Mapping[str, Any]] = []
        position, end = 0, len(text)
        while True:
            while position < end and text[position] in _SPACES:
                position += 1
            if position == end:
                break
            try:
                value, position = self._decoder().raw_decode(text, position)
            except (ValueError, RecursionError) as error:
                raise Unconvertible("DataFormatConversion.ParseError", f"Encountered malformed JSON. {error}") from None
            if not isinstance(value, dict):
                raise Unconvertible(
                    "DataFormatConversion.MalformedData",
                    f"A record holds JSON objects one after another, and this one holds a {_NAMES[type(value)]}.",
                )
            found.append(value)
        if not found:
            raise Unconvertible(
                "DataFormatConversion.MalformedData", "The record was empty or contained only whitespace."
            )
        return found

    def _decoder(self) -> json.JSONDecoder:
        return _RENAMING[self._reading.case_insensitive, self._reading.dots_to_underscores]

    def _row(self, value: Mapping[str, Any]) -> list[Any]:
        row: list[Any] = []
        for name, kind in self._columns.items():
            found = value.get(self._keys[name])
            try:
                row.append(None if found is None else kind.read(found))
            except DoesNotFit as error:
                raise Unconvertible(
                    "DataFormatConversion.MalformedData", f"Data does not match the schema. Column {name}: {error}"
                ) from None
        return row


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _decoders() -> Mapping[tuple[bool, bool], json.JSONDecoder]:
    def renamed(lower: bool, dots: bool) -> Any:
        def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
            if dots:
                items = [(key.replace(".", "_"), value) for key, value in items]
            return {key.lower(): value for key, value in items} if lower else dict(items)

        return pairs

    return {
        (lower, dots): json.JSONDecoder(object_pairs_hook=renamed(lower, dots), parse_constant=_no_constant)
        for lower in (False, True)
        for dots in (False, True)
    }


_RENAMING = _decoders()
