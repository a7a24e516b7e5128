"""Glue's catalog and Athena: what their documents say in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.rehearsal.cloud.queries import hive_types, presto_view
from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

_KINDS = ("enum", "integer", "date", "injected")
_NEEDED = {"enum": ("values",), "integer": ("range",), "date": ("range", "format"), "injected": ()}
_FOLDED = "Glue folds it to lower case without a word, so that what is read is not what was written: write lower case"


@rule("glue", "CreateDatabase", "UpdateDatabase")
def database(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/glue/latest/webapi/API_DatabaseInput.html"""
    given = params.get("DatabaseInput") or {}
    yield from _lower("DatabaseInput.Name", given.get("Name"))


@rule("glue", "CreateTable", "UpdateTable")
def table(params: Params, partial: bool) -> Iterator[Finding]:
    """Names, column types, projection, view text. Glue itself takes any type and any property; Athena's queries fail
    later (Athena User Guide, "Data types in Amazon Athena" and "Set up partition projection")."""
    given = params.get("TableInput") or {}
    yield from _lower("TableInput.Name", given.get("Name"))
    storage = given.get("StorageDescriptor") or {}
    columns = list(_columns("TableInput.StorageDescriptor.Columns", storage.get("Columns")))
    keys = list(_columns("TableInput.PartitionKeys", given.get("PartitionKeys")))
    names: list[str] = []
    for path, column in (*columns, *keys):
        name = column.get("Name")
        yield from _lower(f"{path}.Name", name)
        if isinstance(name, str) and name.lower() in names:
            yield Finding(f"{path}.Name", f"{shown(name)} stands twice among columns and partition keys")
        names.append(str(name).lower())
        type_ = column.get("Type")
        if isinstance(type_, str):
            try:
                hive_types.parse(type_)
            except ValueError as error:
                yield Finding(
                    f"{path}.Type",
                    f"{error}. AWS accepts this call and every query on the table fails (HIVE_INVALID_METADATA)",
                )
    yield from _projection(given.get("Parameters") or {}, [str(key.get("Name")) for _, key in keys], partial)
    yield from _view(given)


def _columns(path: str, given: Any) -> Iterator[tuple[str, Any]]:
    for index, column in enumerate(given or ()):
        yield f"{path}[{index}]", column


def _lower(path: str, name: Any) -> Iterator[Finding]:
    if isinstance(name, str) and name != name.lower():
        yield Finding(path, f"{shown(name)} has upper-case letters. {_FOLDED}")


def _projection(parameters: Params, keys: list[str], partial: bool) -> Iterator[Finding]:
    if str(parameters.get("projection.enabled", "")).lower() != "true":
        return
    for key in keys:
        path = f"TableInput.Parameters.projection.{key}"
        kind = parameters.get(f"projection.{key}.type")
        if kind is None:
            if not partial:
                yield Finding(f"{path}.type", f"is missing: projection needs one for each partition key ({key})")
            continue
        if str(kind).lower() not in _KINDS:
            yield Finding(f"{path}.type", f"{shown(kind)} is not allowed; allowed: {', '.join(_KINDS)}")
            continue
        for needed in _NEEDED[str(kind).lower()]:
            if f"projection.{key}.{needed}" not in parameters and not partial:
                yield Finding(f"{path}.{needed}", f"is missing: a projection of type {kind} needs it")
    template = parameters.get("storage.location.template")
    for key in keys if template is not None else ():
        if f"${{{key}}}" not in str(template):
            yield Finding(
                "TableInput.Parameters.storage.location.template", f"does not name the partition key as ${{{key}}}"
            )


def _view(given: Params) -> Iterator[Finding]:
    text = given.get("ViewOriginalText")
    if given.get("TableType") != "VIRTUAL_VIEW" or not isinstance(text, str):
        return
    try:
        presto_view.decode(text)
    except ValueError as error:
        yield Finding("TableInput.ViewOriginalText", f"is no view that Athena can read: {error}")


@rule("athena", "CreateWorkGroup", "UpdateWorkGroup")
def workgroup(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html"""
    for member, results in (
        ("Configuration", "ResultConfiguration"),
        ("ConfigurationUpdates", "ResultConfigurationUpdates"),
    ):
        given = params.get(member) or {}
        result = given.get(results) or {}
        yield from _result(f"{member}.{results}", result, partial)
        managed = given.get("ManagedQueryResultsConfiguration") or {}
        if managed.get("Enabled") and result.get("OutputLocation"):
            yield Finding(
                f"{member}.{results}.OutputLocation", "and ManagedQueryResultsConfiguration exclude each other"
            )


@rule("athena", "StartQueryExecution")
def start(params: Params, partial: bool) -> Iterator[Finding]:
    yield from _result("ResultConfiguration", params.get("ResultConfiguration") or {}, partial)


def _result(path: str, given: Params, partial: bool) -> Iterator[Finding]:
    location = given.get("OutputLocation")
    if isinstance(location, str) and not re.match(r"s3://[a-z0-9][a-z0-9.-]+(/|$)", location):
        yield Finding(f"{path}.OutputLocation", f"{shown(location)} is no S3 location; write s3://bucket/prefix/")
    encryption = given.get("EncryptionConfiguration") or {}
    if encryption.get("EncryptionOption") in ("SSE_KMS", "CSE_KMS") and not encryption.get("KmsKey") and not partial:
        yield Finding(f"{path}.EncryptionConfiguration.KmsKey", f"is required for {encryption['EncryptionOption']}")
