"""Runs one SQL statement in Athena and brings its rows: start, wait, read every page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from infra.layers.names import database_name, workgroup_name
from infra.registry.target import Target

WAIT_SECONDS = 300
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0

_NUMBERS: dict[str, Callable[[str], Any]] = {
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "float": float,
    "real": float,
    "double": float,
    "boolean": lambda text: text == "true",
}


class QueryError(ValueError):
    """A query that did not succeed; the message is Athena's, with what to do about it where that is known."""


@dataclass(frozen=True)
class Answer:
    """A query's rows, and what it cost."""

    columns: Sequence[str]
    """Each name once: a second column called `a` is `a_2`."""
    rows: Sequence[dict[str, Any]]
    """Values by column: numbers and booleans as such, everything else as Athena writes it; None for null."""
    scanned_bytes: int
    seconds: float
    query_execution_id: str
    renamed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names that several columns of the result have, and what the second and later ones are called in `columns`."""


def run(target: Target, model: str, sql: str, parameters: Sequence[str] = ()) -> Answer:
    """Runs `sql` over the log of `model` in the environment of `target`. Raises QueryError.

    parameters: values for the `?` of the statement, each as an SQL literal.
    """
    athena = target.client("athena")
    workgroup = workgroup_name(target.environment, model)
    try:
        started = athena.start_query_execution(
            QueryString=sql,
            WorkGroup=workgroup,
            QueryExecutionContext={"Database": database_name(target.environment, model)},
            **({"ExecutionParameters": list(parameters)} if parameters else {}),
        )
    except ClientError as error:
        raise QueryError(_refused(target, model, workgroup, error)) from error
    query = started["QueryExecutionId"]
    try:
        done = _wait(athena, query)
    except BaseException:
        # Whoever stops waiting (Ctrl-C, a time-out) doesn't want the scan to go on and be paid for.
        athena.stop_query_execution(QueryExecutionId=query)
        raise
    statistics = done.get("Statistics", {})
    columns, renamed, rows = _rows(athena, query)
    return Answer(
        columns,
        rows,
        statistics.get("DataScannedInBytes", 0),
        statistics.get("TotalExecutionTimeInMillis", 0) / 1000,
        query,
        renamed,
    )


def _wait(athena: Any, query: str) -> dict[str, Any]:
    end, pause = time.monotonic() + WAIT_SECONDS, _FIRST_PAUSE_SECONDS
    while True:
        execution = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        state = execution["Status"]["State"]
        if state == "SUCCEEDED":
            return execution
        if state in ("FAILED", "CANCELLED"):
            raise QueryError(_explained(execution["Status"].get("StateChangeReason", state)))
        if time.monotonic() > end:
            raise QueryError(f"the query is not done after {WAIT_SECONDS} s and was stopped; ask for fewer days")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _explained(reason: str) -> str:
    if "bytes scanned limit" in reason.lower():
        return (
            f"{reason}\nThe workgroup's scan limit ended the query. Name fewer days (WHERE day = '2026-01-31'), fewer "
            "columns, or raise mainstage:prediction_log scan_limit_mib in the models stack"
        )
    return reason


def _refused(target: Target, model: str, workgroup: str, error: ClientError) -> str:
    message = error.response["Error"]["Message"]
    if "WorkGroup" in message and "not found" in message.lower():
        return f"{model} has no prediction log in {target.environment} (no workgroup {workgroup}): {target.bring_up}"
    return message


def _rows(athena: Any, query: str) -> tuple[list[str], dict[str, list[str]], list[dict[str, Any]]]:
    columns: list[str] = []
    renamed: dict[str, list[str]] = {}
    readers: list[Callable[[str], Any]] = []
    rows: list[dict[str, Any]] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        found = page["ResultSet"]["Rows"]
        if not columns:
            described = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            names = [column["Name"] for column in described]
            readers = [_NUMBERS.get(column["Type"], str) for column in described]
            if found and [cell.get("VarCharValue") for cell in found[0]["Data"]] == names:
                found = found[1:]  # a SELECT's first row is the header
            columns, renamed = _once_each(names)
        for row in found:
            cells = [cell.get("VarCharValue") for cell in row["Data"]]
            values = (None if cell is None else read(cell) for cell, read in zip(cells, readers, strict=False))
            rows.append(dict(zip(columns, values, strict=False)))
    return columns, renamed, rows


def _once_each(names: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Names for columns, no name twice (SQL lets a result have that; rows by name would lose values), and which names
    were given instead."""
    columns: list[str] = []
    renamed: dict[str, list[str]] = {}
    for name in names:
        given, number = name, 2
        while given in columns or (given != name and given in names):
            given, number = f"{name}_{number}", number + 1
        if given != name:
            renamed.setdefault(name, []).append(given)
        columns.append(given)
    return columns, renamed
