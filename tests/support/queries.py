"""Asks Athena as a client does: boto3, no knowledge of the emulation."""

from __future__ import annotations

import time
from typing import Any

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


class QueryEnded(Exception):
    """A query that did not succeed. `state` and `reason` as Athena gives them."""

    def __init__(self, state: str, reason: str):
        super().__init__(f"{state}: {reason}")
        self.state = state
        self.reason = reason


def start(session: Any, sql: str, workgroup: str, database: str, **options: Any) -> str:
    """Starts a query and returns its id. `session`: a boto3 session, or a cloud (its operator's)."""
    return session.client("athena").start_query_execution(
        QueryString=sql, WorkGroup=workgroup, QueryExecutionContext={"Database": database}, **options
    )["QueryExecutionId"]


def finished(session: Any, query_id: str, seconds: float = 60.0) -> dict[str, Any]:
    """The QueryExecution when the query has ended, however it has; TimeoutError when it has not."""
    athena = session.client("athena")
    end = time.monotonic() + seconds
    while True:
        execution = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if execution["Status"]["State"] in ENDED:
            return execution
        if time.monotonic() >= end:
            raise TimeoutError(f"query {query_id} is {execution['Status']['State']} after {seconds:g} s")
        time.sleep(0.01)


def table(session: Any, query_id: str) -> list[list[str | None]]:
    """All rows of an answer, the header's first; NULL is None."""
    athena, rows, token = session.client("athena"), [], None
    while True:
        more = {"NextToken": token} if token else {}
        answer = athena.get_query_results(QueryExecutionId=query_id, **more)
        rows += [[one.get("VarCharValue") for one in row["Data"]] for row in answer["ResultSet"]["Rows"]]
        token = answer.get("NextToken")
        if not token:
            return rows


def run(session: Any, sql: str, workgroup: str, database: str, **options: Any) -> list[dict[str, str | None]]:
    """A query's rows by column name, values as texts. QueryEnded when it does not succeed."""
    query_id = start(session, sql, workgroup, database, **options)
    status = finished(session, query_id)["Status"]
    if status["State"] != "SUCCEEDED":
        raise QueryEnded(status["State"], status.get("StateChangeReason", ""))
    header, *rows = table(session, query_id)
    return [dict(zip(map(str, header), row, strict=True)) for row in rows]
