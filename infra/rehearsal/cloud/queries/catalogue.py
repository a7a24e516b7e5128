"""Glue's databases, tables and partitions, as a query's caller sees them. Every look is a call with the caller's rights
(Athena User Guide, "Fine-grained access to databases and tables in the AWS Glue Data Catalog")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.queries import hive_types, presto_view, projection
from infra.rehearsal.cloud.queries.failures import QueryFailure, not_carried, refused
from infra.rehearsal.cloud.queries.hive_types import HiveType

CATALOG = "awsdatacatalog"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_DENIED = {"AccessDeniedException", "AccessDenied"}


@dataclass(frozen=True)
class Table:
    """A table over objects in S3."""

    database: str
    name: str
    columns: Mapping[str, HiveType]
    """Without the partition columns, in order, names in lower case."""
    partition_keys: Mapping[str, HiveType]
    location: str
    parameters: Mapping[str, str]

    @property
    def all_columns(self) -> dict[str, HiveType]:
        return {**self.columns, **self.partition_keys}


@dataclass(frozen=True)
class Partition:
    """Values as texts, and where the objects lie (ends in a slash)."""

    values: tuple[str, ...]
    location: str


class Catalogue:
    """Glue in one region with one caller's rights; looks are kept for the life of one query."""

    def __init__(self, glue: Any, now: datetime):
        self._glue = glue
        self._now = now
        self._known: dict[tuple[str, str], Table | presto_view.View] = {}

    def find(self, database: str, name: str, where: str = "") -> Table | presto_view.View:
        """The table or view. QueryFailure as Athena words it when there is none. `where`: "line 1:15: "."""
        key = (database, name)
        if key not in self._known:
            self._database(database, where)
            found = self._call("glue:GetTable", "get_table", DatabaseName=database, Name=name)
            if found is None:
                text = f"Table '{CATALOG}.{database}.{name}' does not exist"
                raise QueryFailure(f"TABLE_NOT_FOUND: {where}{text}")
            self._known[key] = _read(database, found["Table"])
        return self._known[key]

    def tables(self, database: str) -> list[dict[str, Any]]:
        """All tables of a database as Glue describes them, in order of name."""
        self._database(database, "")
        found, token = [], ""
        while True:
            more = {"NextToken": token} if token else {}
            answer = self._call("glue:GetTables", "get_tables", DatabaseName=database, **more) or {}
            found += answer.get("TableList", [])
            token = answer.get("NextToken", "")
            if not token:
                return sorted(found, key=lambda table: table["Name"])

    def databases(self) -> list[str]:
        answer = self._call("glue:GetDatabases", "get_databases") or {}
        return sorted(one["Name"] for one in answer.get("DatabaseList", []))

    def registered(self, table: Table) -> list[Partition]:
        """The partitions that Glue holds for a table without projection."""
        found, token = [], ""
        while True:
            more = {"NextToken": token} if token else {}
            answer = self._call(
                "glue:GetPartitions", "get_partitions", DatabaseName=table.database, TableName=table.name, **more
            )
            for one in (answer or {}).get("Partitions", []):
                place = str((one.get("StorageDescriptor") or {}).get("Location") or "")
                found.append(Partition(tuple(one["Values"]), place if place.endswith("/") else f"{place}/"))
            token = (answer or {}).get("NextToken", "")
            if not token:
                return found

    def projected(self, table: Table, column: str) -> list[str]:
        """The values that projection gives a partition column."""
        return projection.values(table.parameters, column, self._now)

    def _database(self, name: str, where: str) -> None:
        if self._call("glue:GetDatabase", "get_database", Name=name) is None:
            raise QueryFailure(f"SCHEMA_NOT_FOUND: {where}Schema '{name}' does not exist")

    def _call(self, action: str, method: str, **arguments: Any) -> Any:
        """Glue's answer; None for what is not there."""
        try:
            return getattr(self._glue, method)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "EntityNotFoundException":
                return None
            message = error.response.get("Error", {}).get("Message", "")
            if code in _DENIED:
                raise refused(action, message) from error
            # A name that Glue's own pattern refuses is the name of nothing.
            if code in ("InvalidInputException", "ValidationException"):
                return None
            raise QueryFailure(f"HIVE_METASTORE_ERROR: {message}", category=1) from error


def _read(database: str, table: Mapping[str, Any]) -> Table | presto_view.View:
    name = table["Name"]
    full = f"{CATALOG}.{database}.{name}"
    if table.get("TableType") == "VIRTUAL_VIEW":
        try:
            return presto_view.decode(table.get("ViewOriginalText") or "")
        except ValueError as error:
            raise QueryFailure(f"INVALID_VIEW: View '{full}' cannot be read: {error}") from error
    storage = table.get("StorageDescriptor") or {}
    serde = (storage.get("SerdeInfo") or {}).get("SerializationLibrary", "")
    if (table.get("Parameters") or {}).get("table_type", "").upper() == "ICEBERG":
        raise not_carried(f"Iceberg tables ({full})")
    if serde != PARQUET:
        raise not_carried(f"tables of the SerDe {serde or 'that is not named'} ({full}); it reads Parquet")
    if not storage.get("Location", "").startswith("s3://"):
        raise QueryFailure(f"HIVE_INVALID_METADATA: Glue table '{full}' has no location in S3")
    return Table(
        database,
        name,
        _columns(full, storage.get("Columns") or []),
        _columns(full, table.get("PartitionKeys") or []),
        storage["Location"],
        {str(key): str(value) for key, value in (table.get("Parameters") or {}).items()},
    )


def _columns(table: str, given: list[dict[str, str]]) -> dict[str, HiveType]:
    columns: dict[str, HiveType] = {}
    for column in given:
        name = column["Name"].lower()
        try:
            columns[name] = hive_types.parse(column.get("Type") or "")
        except ValueError as error:
            text = f"Glue table '{table}' column '{name}' has invalid data type: {column.get('Type')}"
            raise QueryFailure(f"HIVE_INVALID_METADATA: {text}") from error
    return columns
