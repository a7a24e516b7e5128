"""One object's records as Parquet, and those that do not convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.cloud.delivery.buffers import Item
from infra.rehearsal.cloud.delivery.convert import Reading, Table, Unconvertible
from infra.rehearsal.cloud.delivery.schemas import SchemaError
from infra.rehearsal.cloud.delivery.settings import Conversion


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
    rows: list[list[Any]] = []
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
                found = table.rows(item.data)
            except Unconvertible as error:
                failed.append((item, error.code, error.message))
                continue
            rows += found
            kept.append(item)
        if rows:
            body = table.parquet(rows, compression=conversion.compression, version=conversion.writer_version)
    metrics: list[tuple[str, float, str]] = []
    for name, some in (("SucceedConversion", kept), ("FailedConversion", [item for item, _, _ in failed])):
        if some:
            metrics.append((f"{name}.Records", len(some), "Count"))
            metrics.append((f"{name}.Bytes", sum(len(item.data) for item in some), "Bytes"))
    return Converted(kept, body, failed, metrics, about)
