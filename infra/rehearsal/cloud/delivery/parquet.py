"""One object's records as Parquet, and those that do not convert."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from infra.rehearsal.cloud.delivery.buffers import Item
from infra.rehearsal.cloud.delivery.convert import Reading, Table, Unconvertible
from infra.rehearsal.cloud.delivery.schemas import SchemaError
from infra.rehearsal.cloud.delivery.settings import Conversion

Rows = list[list[Any]]
"""Of one record, which may hold several objects."""


@dataclass(frozen=True)
class Converted:
    items: list[Item]
    """The records in `body`."""
    body: bytes | None
    """A Parquet file; None when no record converted."""
    failed: list[tuple[Item, str, str]]
    """(record, code, sentence)."""
    metrics: list[tuple[str, float, str]]
    table: Mapping[str, Any]
    """The error line's dataCatalogTable."""


def converted(conversion: Conversion, items: Sequence[Item], columns: Sequence[Mapping[str, Any]]) -> Converted:
    """Converts what converts. A table with a type that is not carried fails every record, with the type's name."""
    about = {
        "catalogId": conversion.catalog or None,
        "databaseName": conversion.database,
        "tableName": conversion.table,
        "region": conversion.region,
        "versionId": conversion.version,
        "catalogArn": None,
    }
    kept: list[Item] = []
    rows: list[Rows] = []
    failed: list[tuple[Item, str, str]] = []
    reading = Reading(conversion.case_insensitive, conversion.dots_to_underscores, conversion.mappings)
    body = None
    try:
        table = Table(columns, reading)
    except SchemaError as error:
        failed = [(item, "DataFormatConversion.InvalidSchema", f"The schema is invalid. {error}") for item in items]
    else:
        for item in items:
            try:
                rows.append(table.rows(item.data))
            except Unconvertible as error:
                failed.append((item, error.code, error.message))
                continue
            kept.append(item)
        write = partial(table.parquet, compression=conversion.compression, version=conversion.writer_version)
        try:
            body = _written(rows, write)
        except pa.ArrowException:
            # A value that the columns' types let pass and Arrow does not: whose it is shows one by one.
            kept, rows = _sift(kept, rows, write, failed)
            body = _written(rows, write)
    metrics: list[tuple[str, float, str]] = []
    for name, some in (("SucceedConversion", kept), ("FailedConversion", [item for item, _, _ in failed])):
        if some:
            metrics.append((f"{name}.Records", len(some), "Count"))
            metrics.append((f"{name}.Bytes", sum(len(item.data) for item in some), "Bytes"))
    return Converted(kept, body, failed, metrics, about)


def _written(rows: Sequence[Rows], write: Callable[[Rows], bytes]) -> bytes | None:
    joined = [row for some in rows for row in some]
    return write(joined) if joined else None


def _sift(
    items: Sequence[Item],
    rows: Sequence[Rows],
    write: Callable[[Rows], bytes],
    failed: list[tuple[Item, str, str]],
) -> tuple[list[Item], list[Rows]]:
    """What can be written; the rest goes to `failed`."""
    kept: list[tuple[Item, Rows]] = []
    for item, some in zip(items, rows, strict=True):
        try:
            write(some)
        except pa.ArrowException as error:
            failed.append((item, "DataFormatConversion.MalformedData", f"Data does not match the schema. {error}"))
            continue
        kept.append((item, some))
    return [item for item, _ in kept], [some for _, some in kept]
