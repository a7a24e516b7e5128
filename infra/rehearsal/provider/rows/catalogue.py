"""Glue's databases and tables: internal/service/glue/catalog_database.go, catalog_table.go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, Rule, matches, one_of, step, values_at
from infra.rehearsal.provider.tags import by_arn, mapped_tagging, optional
from infra.rehearsal.provider.translate import Call
from infra.rehearsal.provider.values import is_unknown

_GONE = "EntityNotFoundException"


def _no_capitals(path: str) -> Rule:
    return matches(path, r"[^A-Z]{1,255}", "uppercase characters cannot be used")


def _at_most(path: str, length: int) -> Rule:
    def rule(inputs: Inputs) -> Iterable[Problem]:
        for where, value in values_at(inputs, path):
            if isinstance(value, str) and not is_unknown(value) and len(value) > length:
                yield where, f"expected length of {where} to be in the range (0 - {length}), got {len(value)}"

    return rule


def _split(count: int) -> Callable[[str], tuple[str, ...]]:
    def split(text: str) -> tuple[str, ...]:
        parts = text.split(":", count - 1)
        if len(parts) != count or not all(parts):
            raise ValueError(f"unexpected format for ID ({text}), expected {count} parts between colons")
        return tuple(parts)

    return split


_database_parts, _table_parts = _split(2), _split(3)

# -- aws:glue/catalogDatabase:CatalogDatabase ---------------------------------------------------------------

_DATABASE_ARGUMENTS = frozenset(
    {"catalogId", "createTableDefaultPermissions", "description", "locationUri", "name", "parameters"}
)
_DATABASE_RULES = {
    name: f"DatabaseInput.{member}"
    for name, member in (
        ("createTableDefaultPermissions", "CreateTableDefaultPermissions"),
        ("description", "Description"),
        ("locationUri", "LocationUri"),
        ("name", "Name"),
        ("parameters", "Parameters"),
    )
}
_CREATE_DATABASE = Call("glue", "CreateDatabase", rules=_DATABASE_RULES, only=_DATABASE_ARGUMENTS)
_UPDATE_DATABASE = Call("glue", "UpdateDatabase", rules=_DATABASE_RULES, only=_DATABASE_ARGUMENTS)


def _catalog(op: Operation) -> str:
    return str(op.inputs.get("catalogId") or op.account.account_id)


def _create_database(op: Operation) -> None:
    name = op.name_from()
    op.send(_CREATE_DATABASE, CatalogId=_catalog(op), **optional("Tags", op.wanted_tags()))
    op.created(f"{_catalog(op)}:{name}")


def _update_database(op: Operation) -> None:
    catalog, name = _database_parts(op.id)
    # The whole input: what the program leaves out is gone.
    op.send(_UPDATE_DATABASE, CatalogId=catalog, Name=name)


def _read_database(op: Operation) -> Mapping[str, Any] | None:
    catalog, name = _database_parts(op.id)
    answer = op.found(lambda: op.call("glue", "GetDatabase", CatalogId=catalog, Name=name), _GONE)
    if answer is None:
        return None
    arn = f"arn:aws:glue:{op.region}:{op.account.account_id}:database/{name}"
    live = op.described("glue", "GetDatabase", "Database", answer["Database"])
    tags = op.call("glue", "GetTags", ResourceArn=arn).get("Tags") or {}
    return live | op.shown_tags(tags) | {"arn": arn, "catalogId": catalog, "name": name}


def _delete_database(op: Operation) -> None:
    """No force flag and no question: Glue drops every table in it; what lies in S3 stays."""
    catalog, name = _database_parts(op.id)
    op.gone(lambda: op.call("glue", "DeleteDatabase", CatalogId=catalog, Name=name), _GONE)


def _database_from_id(given: str) -> tuple[str, Mapping[str, Any]]:
    catalog, name = _database_parts(given)
    return given, {"catalogId": catalog, "name": name}


DATABASE = Row(
    type="aws:glue/catalogDatabase:CatalogDatabase",
    source="glue/catalog_database.go",
    label="Glue Catalog Database",
    create=_create_database,
    read=_read_database,
    delete=_delete_database,
    calls=(_CREATE_DATABASE,),
    steps=(step(_update_database, "createTableDefaultPermissions", "description", "locationUri", "parameters"),),
    name=AutoName(max_length=255),
    force_new=frozenset({"catalogId", "name"}),
    computed=frozenset({"catalogId", "createTableDefaultPermissions", "locationUri", "name"}),
    sets=frozenset({"createTableDefaultPermissions.permissions"}),
    rules=(_no_capitals("name"), _at_most("description", 2048)),
    tagging=mapped_tagging("glue", "ResourceArn", by_arn, keys="TagsToRemove", tags_member="TagsToAdd"),
    from_id=_database_from_id,
)

# -- aws:glue/catalogTable:CatalogTable ---------------------------------------------------------------------

_TABLE_ARGUMENTS = frozenset(
    {
        "catalogId",
        "databaseName",
        "description",
        "name",
        "owner",
        "parameters",
        "partitionKeys",
        "retention",
        "storageDescriptor",
        "tableType",
        "viewExpandedText",
        "viewOriginalText",
    }
)
_TABLE_RULES = {
    name: f"TableInput.{name[0].upper()}{name[1:]}" for name in _TABLE_ARGUMENTS - {"catalogId", "databaseName"}
}
_CREATE_TABLE = Call("glue", "CreateTable", rules=_TABLE_RULES, only=_TABLE_ARGUMENTS)
_UPDATE_TABLE = Call("glue", "UpdateTable", rules=_TABLE_RULES, only=_TABLE_ARGUMENTS)


def _table_input(op: Operation, call: Call) -> dict[str, Any]:
    params = op.params(call)
    # Sent even when there are none (expandTableInput).
    params["TableInput"].setdefault("PartitionKeys", [])
    return params


def _create_table(op: Operation) -> None:
    params = {**_table_input(op, _CREATE_TABLE), "CatalogId": _catalog(op)}
    params["TableInput"]["Name"] = op.name_from()
    op.call("glue", "CreateTable", **params)
    op.created(f"{_catalog(op)}:{op.inputs['databaseName']}:{params['TableInput']['Name']}")


def _update_table(op: Operation) -> None:
    """One call with the whole input: what the program omits is gone, columns that a writer added are set back."""
    catalog, database, _ = _table_parts(op.id)
    op.call(
        "glue", "UpdateTable", **{**_table_input(op, _UPDATE_TABLE), "CatalogId": catalog, "DatabaseName": database}
    )


def _read_table(op: Operation) -> Mapping[str, Any] | None:
    catalog, database, name = _table_parts(op.id)
    place = {"CatalogId": catalog, "DatabaseName": database}
    answer = op.found(lambda: op.call("glue", "GetTable", **place, Name=name), _GONE)
    if answer is None:
        return None
    table = answer["Table"]
    live = op.described("glue", "GetTable", "Table", table)
    # Without the indexes a read fails: the role that deploys needs glue:GetPartitionIndexes.
    indexes = op.call("glue", "GetPartitionIndexes", **place, TableName=name).get("PartitionIndexDescriptorList") or []
    return live | {
        "arn": f"arn:aws:glue:{op.region}:{op.account.account_id}:table/{database}/{name}",
        "catalogId": catalog,
        "databaseName": database,
        "name": name,
        "partitionIndices": indexes or None,
        "partitionKeys": live.get("partitionKeys") or None,
    }


def _delete_table(op: Operation) -> None:
    catalog, database, name = _table_parts(op.id)
    op.gone(lambda: op.call("glue", "DeleteTable", CatalogId=catalog, DatabaseName=database, Name=name), _GONE)


def _table_from_id(given: str) -> tuple[str, Mapping[str, Any]]:
    catalog, database, name = _table_parts(given)
    return given, {"catalogId": catalog, "databaseName": database, "name": name}


TABLE = Row(
    type="aws:glue/catalogTable:CatalogTable",
    source="glue/catalog_table.go",
    label="Glue Catalog Table",
    create=_create_table,
    read=_read_table,
    delete=_delete_table,
    calls=(_CREATE_TABLE,),
    steps=(step(_update_table, *(_TABLE_ARGUMENTS - {"catalogId", "databaseName", "name"})),),
    name=AutoName(max_length=255),
    force_new=frozenset({"catalogId", "databaseName", "name", "partitionIndices"}),
    computed=frozenset(
        {"catalogId", "name", "parameters", "partitionIndices", "storageDescriptor", "storageDescriptor.columns"}
    ),
    rules=(
        _no_capitals("name"),
        _at_most("description", 2048),
        _at_most("viewOriginalText", 409600),
        _at_most("viewExpandedText", 409600),
        _at_most("partitionKeys.comment", 255),
        _at_most("storageDescriptor.columns.comment", 255),
        _at_most("storageDescriptor.columns.type", 131072),
        one_of("storageDescriptor.sortColumns.sortOrder", 0, 1),
    ),
    from_id=_table_from_id,
)

ROWS = (DATABASE, TABLE)
