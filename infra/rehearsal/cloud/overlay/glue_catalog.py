"""Glue's catalog: what moto drops or gets wrong of databases, tables and their versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.overlay import after, before, handler
from infra.rehearsal.cloud.overlay.answers import page

_DEFAULT_PERMISSIONS = [
    {"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}
]
"""What Glue gives a database where Lake Formation's default settings were never changed (Lake Formation Developer
Guide, "Changing the default settings for your data lake")."""


def _whole_database(database: dict[str, Any]) -> dict[str, Any]:
    return {"CreateTableDefaultPermissions": _DEFAULT_PERMISSIONS, **database}


@after("glue", "GetDatabase")
def whole_database(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return {**output, "Database": _whole_database(output["Database"])}


@after("glue", "GetDatabases")
def whole_databases(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    entries, token = page(
        [_whole_database(one) for one in output["DatabaseList"]],
        call.params.get("NextToken"),
        call.params.get("MaxResults") or 100,
        error="InvalidInputException",
    )
    return {"DatabaseList": entries, **({"NextToken": token} if token else {})}


@before("glue", "UpdateTable")
def table_is_there(call: Call) -> None:
    """moto looks the table up by its new name alone. A rename is refused: Glue has none."""
    name = call.params["TableInput"]["Name"] if "TableInput" in call.params else call.params.get("Name")
    table = _table(call, call.params["DatabaseName"], str(name))
    if call.params.get("VersionId") and call.params["VersionId"] != table["VersionId"]:
        raise AwsError(
            "ConcurrentModificationException",
            f"Update table failed due to concurrent modifications. The version is {table['VersionId']}.",
        )
    if call.params.get("TableInput") is None:
        raise AwsError("NotCarried", "The emulated Glue updates a table by TableInput only.", 501)


@before("glue", "CreateTable")
def no_open_formats(call: Call) -> None:
    for member in ("OpenTableFormatInput", "PartitionIndexes"):
        if call.params.get(member):
            raise AwsError("NotCarried", f"The emulated Glue does not carry CreateTable with {member}.", 501)
    if call.params.get("TableInput", {}).get("ViewDefinition"):
        raise AwsError("NotCarried", "The emulated Glue does not carry views of several dialects.", 501)


@handler("glue", "GetTableVersion")
def get_table_version(call: Call) -> dict[str, Any]:
    """A version of a table, the latest when none is named. moto needs the number."""
    asked = call.params
    version = asked.get("VersionId") or _table(call, asked["DatabaseName"], asked["TableName"])["VersionId"]
    return call.cloud.to_moto(replace(call, params={**asked, "VersionId": version}, request=UNPARSED))


@after("glue", "GetTableVersions")
def newest_first(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    versions = sorted(output["TableVersions"], key=lambda one: int(one["VersionId"]), reverse=True)
    entries, token = page(
        versions, call.params.get("NextToken"), call.params.get("MaxResults") or 100, error="InvalidInputException"
    )
    return {"TableVersions": entries, **({"NextToken": token} if token else {})}


@after("glue", "GetTables")
def paged(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    entries, token = page(
        output["TableList"],
        call.params.get("NextToken"),
        call.params.get("MaxResults") or 100,
        error="InvalidInputException",
    )
    return {"TableList": entries, **({"NextToken": token} if token else {})}


@handler("glue", "GetPartitionIndexes")
def get_partition_indexes(call: Call) -> dict[str, Any]:
    """None: CreatePartitionIndex and CreateTable with PartitionIndexes are not carried."""
    _table(call, call.params["DatabaseName"], call.params["TableName"])
    return {"PartitionIndexDescriptorList": []}


def _table(call: Call, database: str, name: str) -> dict[str, Any]:
    asked = {"DatabaseName": database, "Name": name}
    return call.cloud.to_moto(replace(call, operation="GetTable", params=asked, request=UNPARSED))["Table"]
