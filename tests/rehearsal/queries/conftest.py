"""A log as the product deploys one: a bucket, a table with projection, the view of one row a request, a workgroup."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import queries

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

BUCKET, DATABASE, WORKGROUP = "log-of-tests", "mainstage_dev_iris", "mainstage-dev-iris"
COLUMNS = {
    "request_id": "string",
    "at": "timestamp",
    "version": "string",
    "status": "int",
    "latency_ms": "double",
    "rows": "int",
    "truncated": "boolean",
    "logged_at": "timestamp",
    "input_age": "array<double>",
    "output_label": "array<string>",
}
ARROW = {
    "string": pa.string(),
    "timestamp": pa.timestamp("ms"),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "array<double>": pa.list_(pa.float64()),
    "array<string>": pa.list_(pa.string()),
}
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
PROJECTION = {
    "EXTERNAL": "TRUE",
    "classification": "parquet",
    "projection.enabled": "true",
    "projection.day.type": "date",
    "projection.day.format": "yyyy-MM-dd",
    "projection.day.range": "2026-11-01,NOW+1DAYS",
    "projection.hour.type": "integer",
    "projection.hour.range": "0,23",
    "projection.hour.digits": "2",
    "storage.location.template": f"s3://{BUCKET}/records/dev-iris/day=${{day}}/hour=${{hour}}/",
}


def view_text(sql: str, columns: Mapping[str, str]) -> str:
    content = {
        "originalSql": sql,
        "catalog": "awsdatacatalog",
        "schema": DATABASE,
        "columns": [{"name": name, "type": type_} for name, type_ in columns.items()],
    }
    return f"/* Presto View: {base64.b64encode(json.dumps(content).encode()).decode()} */"


class Log:
    """What the tests do with the log, as the operator unless another session is given."""

    bucket, database, workgroup = BUCKET, DATABASE, WORKGROUP

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.s3, self.glue, self.athena = cloud.client("s3"), cloud.client("glue"), cloud.client("athena")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.region})
        self.glue.create_database(DatabaseInput={"Name": DATABASE})
        self.table("records", COLUMNS)
        listed = ", ".join([*COLUMNS, "day", "hour"])
        self.view(
            "predictions",
            f"SELECT {listed} FROM (SELECT *, row_number() OVER (PARTITION BY day, hour, request_id ORDER BY logged_at)"
            f" AS copy FROM {DATABASE}.records) WHERE copy = 1",
            {**dict.fromkeys(COLUMNS, "varchar"), "day": "varchar", "hour": "varchar"},
        )
        self.athena.create_work_group(
            Name=WORKGROUP,
            Configuration={
                "ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/queries/dev-iris/"},
                "EnforceWorkGroupConfiguration": True,
                "BytesScannedCutoffPerQuery": 10_485_760,
            },
        )

    def table_input(self, name: str, columns: Mapping[str, str], **parameters: str) -> dict[str, Any]:
        return {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {**PROJECTION, **parameters},
            "PartitionKeys": [{"Name": "day", "Type": "string"}, {"Name": "hour", "Type": "string"}],
            "StorageDescriptor": {
                "Columns": [{"Name": column, "Type": type_} for column, type_ in columns.items()],
                "Location": f"s3://{BUCKET}/records/dev-iris/",
                **PARQUET,
            },
        }

    def table(self, name: str, columns: Mapping[str, str], **parameters: str) -> None:
        self.glue.create_table(DatabaseName=DATABASE, TableInput=self.table_input(name, columns, **parameters))

    def view(self, name: str, sql: str, columns: Mapping[str, str]) -> None:
        self.glue.create_table(
            DatabaseName=DATABASE,
            TableInput={
                "Name": name,
                "TableType": "VIRTUAL_VIEW",
                "Parameters": {"presto_view": "true", "comment": "Presto View"},
                "ViewOriginalText": view_text(sql, columns),
                "ViewExpandedText": "/* Presto View */",
                "StorageDescriptor": {"Columns": [{"Name": name, "Type": "string"} for name in columns]},
            },
        )

    def put(
        self,
        rows: list[dict[str, Any]],
        day: str = "2026-11-20",
        hour: str = "07",
        name: str = "a.parquet",
        columns: Mapping[str, str] = COLUMNS,
        **options: Any,
    ) -> str:
        """Writes one Parquet object of the log and returns its key."""
        schema = pa.schema([(column, ARROW[type_]) for column, type_ in columns.items()])
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([{**dict.fromkeys(columns), **row} for row in rows], schema), buffer)
        key = f"records/dev-iris/day={day}/hour={hour}/{name}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue(), **options)
        return key

    def ask(self, sql: str, session: Any = None, **options: Any) -> list[dict[str, str | None]]:
        return queries.run(session or self.cloud, sql, WORKGROUP, DATABASE, **options)

    def execution(self, sql: str, session: Any = None, **options: Any) -> dict[str, Any]:
        where = session or self.cloud
        return queries.finished(where, queries.start(where, sql, WORKGROUP, DATABASE, **options))

    def reason(self, sql: str, session: Any = None, **options: Any) -> str:
        """State and reason of a query that is not to succeed."""
        status = self.execution(sql, session, **options)["Status"]
        return f"{status['State']}: {status.get('StateChangeReason', '')}"

    def scanned(self, sql: str) -> int:
        return self.execution(sql)["Statistics"]["DataScannedInBytes"]


def row(request_id: str, minute: int = 0, **values: Any) -> dict[str, Any]:
    """A record with the values that the tests look at."""
    return {
        "request_id": request_id,
        "at": datetime(2026, 11, 20, 7, minute, 1, 250_000),
        "logged_at": datetime(2026, 11, 20, 7, minute, 30),
        "version": "3",
        "status": 200,
        "latency_ms": 12.5,
        "rows": 1,
        "truncated": False,
        "input_age": [41.5],
        "output_label": ["a"],
        **values,
    }


@pytest.fixture
def log(cloud: Cloud) -> Log:
    return Log(cloud)
