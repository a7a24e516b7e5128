"""Executions as Athena's API shows them: states, numbers, pages, objects of the answer, limits, stopping, metrics."""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime
from typing import Any

import duckdb
import pytest
import queries
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.queries.engine import Engine
from infra.rehearsal.cloud.queries.failures import QueryCancelled
from infra.rehearsal.cloud.queries.planning import Plan
from infra.rehearsal.cloud.queries.storage import Cache

AT = datetime(2026, 11, 20, 7, 0, 1, 250_000)
ENDLESS = "SELECT count(*) FROM UNNEST(sequence(1, 100000)) a(x), UNNEST(sequence(1, 1000000)) b(y) WHERE x + y = -1"


def test_what_an_execution_says(log):
    log.put([{"request_id": "a", "at": AT}])
    sql = "SELECT request_id FROM records"
    found = log.execution(sql)
    output = found["ResultConfiguration"]["OutputLocation"]
    assert output == f"s3://{log.bucket}/queries/dev-iris/{found['QueryExecutionId']}.csv"
    assert {name: found[name] for name in ("Query", "StatementType", "SubstatementType", "WorkGroup")} == {
        "Query": sql,
        "StatementType": "DML",
        "SubstatementType": "SELECT",
        "WorkGroup": log.workgroup,
    }
    assert found["QueryExecutionContext"] == {"Database": log.database}
    assert found["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"
    status, numbers = found["Status"], found["Statistics"]
    assert status["State"] == "SUCCEEDED"
    assert status["SubmissionDateTime"] <= status["CompletionDateTime"]
    assert numbers["TotalExecutionTimeInMillis"] >= numbers["EngineExecutionTimeInMillis"] > 0
    batch = log.athena.batch_get_query_execution(QueryExecutionIds=[found["QueryExecutionId"], "nothing"])
    assert [one["QueryExecutionId"] for one in batch["QueryExecutions"]] == [found["QueryExecutionId"]]
    assert [one["QueryExecutionId"] for one in batch["UnprocessedQueryExecutionIds"]] == ["nothing"]


def test_the_objects_of_an_answer(log):
    found = log.execution("SELECT 'a\"b' AS x, 1.5E0 AS y, CAST(NULL AS varchar) AS z, '' AS e")
    bucket, key = found["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").split("/", 1)
    body = log.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == b'"x","y","z","e"\n"a""b","1.5",,""\n'
    metadata = json.loads(log.s3.get_object(Bucket=bucket, Key=f"{key}.metadata")["Body"].read())
    assert [column["Name"] for column in metadata["columns"]] == ["x", "y", "z", "e"]
    log.s3.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ClientError, match="Could not find results"):
        log.athena.get_query_results(QueryExecutionId=found["QueryExecutionId"])


def test_types_of_columns(log):
    log.put([{"request_id": "a", "at": AT}])
    found = log.execution(
        "SELECT request_id, at, status, latency_ms, truncated, input_age, DATE '2026-11-20' AS d, count(*) AS n,"
        " current_timestamp AS now, sum(status) AS total, 1.25 AS c, row(1, 'x') AS r FROM records GROUP BY 1,2,3,4,5,6"
    )
    answer = log.athena.get_query_results(QueryExecutionId=found["QueryExecutionId"])
    columns = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert {column["Name"]: column["Type"] for column in columns} == {
        "request_id": "varchar",
        "at": "timestamp",
        "status": "integer",
        "latency_ms": "double",
        "truncated": "boolean",
        "input_age": "array",
        "d": "date",
        "n": "bigint",
        "now": "timestamp with time zone",
        "total": "bigint",
        "c": "decimal",
        "r": "row",
    }
    header, row = answer["ResultSet"]["Rows"]
    assert [one["VarCharValue"] for one in header["Data"]] == [column["Name"] for column in columns]
    assert row["Data"][2] == {}
    assert row["Data"][11] == {"VarCharValue": "{field0=1, field1=x}"}
    assert row["Data"][8]["VarCharValue"].endswith(" UTC")


def test_pages(log):
    log.put([{"request_id": f"{number:04d}"} for number in range(1500)])
    query_id = log.execution("SELECT request_id FROM records ORDER BY request_id")["QueryExecutionId"]
    first = log.athena.get_query_results(QueryExecutionId=query_id)
    assert len(first["ResultSet"]["Rows"]) == 1000  # the header among them
    rows = queries.table(log.cloud, query_id)
    assert rows == [["request_id"], *[[f"{number:04d}"] for number in range(1500)]]
    small = log.athena.get_query_results(QueryExecutionId=query_id, MaxResults=2)
    again = log.athena.get_query_results(QueryExecutionId=query_id, MaxResults=2, NextToken=small["NextToken"])
    assert [row["Data"][0]["VarCharValue"] for row in again["ResultSet"]["Rows"]] == ["0001", "0002"]


def test_a_query_above_the_scan_limit_is_cancelled(log):
    big = [{"request_id": os.urandom(60_000).hex()} for _ in range(200)]
    log.put(big)
    log.put(big, hour="08")
    # 12 MB an object: the first one is above the 10 MB that the workgroup allows.
    found = log.execution("SELECT max(request_id) FROM records")
    assert (found["Status"]["State"], found["Status"]["StateChangeReason"]) == (
        "CANCELLED",
        "Bytes scanned limit was exceeded",
    )
    assert found["Statistics"]["DataScannedInBytes"] > 10_485_760
    assert log.ask("SELECT count(*) AS n FROM records") == [{"n": "400"}]
    with pytest.raises(ClientError, match="Final query state: CANCELLED"):
        log.athena.get_query_results(QueryExecutionId=found["QueryExecutionId"])
    log.athena.update_work_group(
        WorkGroup=log.workgroup, ConfigurationUpdates={"RemoveBytesScannedCutoffPerQuery": True}
    )
    assert log.execution("SELECT max(request_id) FROM records")["Status"]["State"] == "SUCCEEDED"


def test_a_running_query_is_stopped(log):
    query_id = queries.start(log.cloud, ENDLESS, log.workgroup, log.database)
    waiting = threading.Event()
    while log.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] == "QUEUED":
        waiting.wait(0.01)
    waiting.wait(0.1)
    with pytest.raises(ClientError, match="Current state: RUNNING"):
        log.athena.get_query_results(QueryExecutionId=query_id)
    log.athena.stop_query_execution(QueryExecutionId=query_id)
    status = queries.finished(log.cloud, query_id)["Status"]
    assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Query cancelled by user")
    log.athena.stop_query_execution(QueryExecutionId=query_id)


def test_one_that_is_stopped_while_its_rows_are_taken_is_stopped(tmp_path):
    """DuckDB raises at the fetch, then, and not where the statement was begun."""

    class Interrupted:
        def execute(self, *_):
            return self

        def fetchall(self):
            raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

        def close(self):
            pass

    engine: Any = Engine(tmp_path / "engine", Cache(tmp_path / "cache"), None, cutoff=None)
    engine.close()
    engine._connection = Interrupted()
    with pytest.raises(QueryCancelled):
        engine.answer(Plan("SELECT 1", ["one"]), None)


def test_queries_wait_their_turn_and_a_waiting_one_is_stopped(log):
    ids = [queries.start(log.cloud, ENDLESS, log.workgroup, log.database) for _ in range(5)]
    state = log.athena.get_query_execution(QueryExecutionId=ids[-1])["QueryExecution"]["Status"]["State"]
    assert state == "QUEUED"
    for query_id in reversed(ids):
        log.athena.stop_query_execution(QueryExecutionId=query_id)
    assert {queries.finished(log.cloud, one)["Status"]["State"] for one in ids} == {"CANCELLED"}


def test_a_token_starts_once(log):
    token = "0123456789abcdef0123456789abcdef"
    first = queries.start(log.cloud, "SELECT 1", log.workgroup, log.database, ClientRequestToken=token)
    assert queries.start(log.cloud, "SELECT 1", log.workgroup, log.database, ClientRequestToken=token) == first
    with pytest.raises(ClientError, match="Idempotent parameters do not match"):
        queries.start(log.cloud, "SELECT 2", log.workgroup, log.database, ClientRequestToken=token)
    with pytest.raises(Exception, match="32"):
        queries.start(log.cloud, "SELECT 1", log.workgroup, log.database, ClientRequestToken="short")
    assert log.athena.list_query_executions(WorkGroup=log.workgroup)["QueryExecutionIds"] == [first]


def test_metrics(log):
    log.put([{"request_id": "a"}])
    good = log.execution("SELECT request_id FROM records")
    log.execution("SELECT nope FROM records")

    def value(name, state, statistic="Sum"):
        dimensions = {"WorkGroup": log.workgroup, "QueryState": state, "QueryType": "DML"}
        return log.cloud.metrics.statistic(
            "AWS/Athena", name, statistic, region=log.cloud.region, dimensions=dimensions
        )

    assert value("ProcessedBytes", "SUCCEEDED") == good["Statistics"]["DataScannedInBytes"] > 0
    assert value("TotalExecutionTime", "SUCCEEDED") == good["Statistics"]["TotalExecutionTimeInMillis"]
    assert value("TotalExecutionTime", "FAILED", "SampleCount") == 1
    updates = {"PublishCloudWatchMetricsEnabled": False}
    log.athena.update_work_group(WorkGroup=log.workgroup, ConfigurationUpdates=updates)
    log.execution("SELECT 1")
    assert value("TotalExecutionTime", "SUCCEEDED", "SampleCount") == 1


def test_output_location_comes_from_the_workgroup_or_the_caller(log):
    own = {"OutputLocation": f"s3://{log.bucket}/mine/"}
    enforced = log.execution("SELECT 1", ResultConfiguration=own)["ResultConfiguration"]["OutputLocation"]
    assert enforced.startswith(f"s3://{log.bucket}/queries/dev-iris/")
    updates = {"EnforceWorkGroupConfiguration": False}
    log.athena.update_work_group(WorkGroup=log.workgroup, ConfigurationUpdates=updates)
    chosen = log.execution("SELECT 1", ResultConfiguration=own)["ResultConfiguration"]["OutputLocation"]
    assert chosen.startswith(f"s3://{log.bucket}/mine/")
    with pytest.raises(ClientError, match="No output location provided"):
        log.athena.start_query_execution(QueryString="SELECT 1")
    with pytest.raises(ClientError, match="Unable to verify/create output bucket no-such-bucket"):
        log.ask("SELECT 1", ResultConfiguration={"OutputLocation": "s3://no-such-bucket/x"})


def test_what_is_not_there(log):
    for call in (log.athena.get_query_execution, log.athena.get_query_results, log.athena.stop_query_execution):
        with pytest.raises(ClientError, match="QueryExecution nothing was not found"):
            call(QueryExecutionId="nothing")
    with pytest.raises(ClientError, match="WorkGroup other is not found"):
        queries.start(log.cloud, "SELECT 1", "other", log.database)
    with pytest.raises(ClientError, match="NotCarried"):
        log.athena.create_prepared_statement(
            StatementName="prepared", WorkGroup=log.workgroup, QueryStatement="SELECT 1"
        )
