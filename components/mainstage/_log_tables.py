"""Where a prediction log is read: Glue database, table of records, view of predictions, Athena workgroup with queries.

The table's partitions are projected: Athena works out from a query's conditions which days and hours to read, so that
no partition is ever registered and none can be missing.
https://docs.aws.amazon.com/athena/latest/ug/partition-projection-setting-up.html
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
from mainstage_runtime.record import PARTITION_KEYS, Column, columns

from ._account import Account
from ._policy import Text, join
from .prediction_queries import NAMED_QUERIES, TABLE, VIEW, view_sql

FIRST_DAY = "2026-01-01"
"""No record is older: a query without a condition on `day` looks at every hour from here on."""

_LONGEST_COMMENT = 255
"""https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html"""

_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_MEBIBYTE = 1024 * 1024

_QUERY_TYPES = {
    "string": "varchar",
    "int": "integer",
    "bigint": "bigint",
    "double": "double",
    "boolean": "boolean",
    "timestamp": "timestamp(3)",
}
"""Glue's types by what Athena's engine calls them: a view names both."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the tables are made for."""

    account: Account
    log_name: str
    database_name: str
    workgroup_name: str
    signature: Mapping[str, Any]
    bucket_name: Text
    kms_key_arn: Text
    scan_limit_mib: int
    deletion_protection: bool
    tags: Mapping[str, Text]

    @property
    def columns(self) -> list[Column]:
        """Columns of the table, partitions apart."""
        return columns(self.signature)

    @property
    def partition_keys(self) -> list[Column]:
        return [Column(key.name, key.type, key.description) for key in PARTITION_KEYS]


def records_prefix(log_name: str) -> str:
    """Where the records lie in the bucket, with the slash at its end."""
    return f"records/{log_name}/"


def queries_prefix(log_name: str) -> str:
    """Where Athena puts the results of queries, with the slash at its end."""
    return f"queries/{log_name}/"


def make_database(name: str, tables: Tables, *, parent: pulumi.Resource) -> "aws.glue.CatalogDatabase":
    """Makes `<name>-database`. Protected: with a database go all its tables, unasked."""
    return aws.glue.CatalogDatabase(
        f"{name}-database",
        name=tables.database_name,
        description=f"The prediction log {tables.log_name}",
        tags=dict(tables.tags),
        opts=pulumi.ResourceOptions(parent=parent, protect=tables.deletion_protection),
    )


def make_table(
    name: str, tables: Tables, database: "aws.glue.CatalogDatabase", *, parent: pulumi.Resource
) -> "aws.glue.CatalogTable":
    """Makes `<name>-records`. A signature that grows changes it in place."""
    location = join("s3://", tables.bucket_name, "/", records_prefix(tables.log_name))
    return aws.glue.CatalogTable(
        f"{name}-records",
        name=TABLE,
        database_name=database.name,
        description="Prediction records as they arrived; a request may stand here more than once",
        table_type="EXTERNAL_TABLE",
        parameters={
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            "parquet.compression": "SNAPPY",
            "projection.enabled": "true",
            "projection.day.type": "date",
            "projection.day.format": "yyyy-MM-dd",
            "projection.day.range": f"{FIRST_DAY},NOW",
            "projection.day.interval": "1",
            "projection.day.interval.unit": "DAYS",
            "projection.hour.type": "integer",
            "projection.hour.range": "0,23",
            "projection.hour.digits": "2",
            "storage.location.template": join(location, "day=${day}/hour=${hour}/"),
        },
        storage_descriptor={
            "location": location,
            "input_format": _PARQUET_INPUT,
            "output_format": _PARQUET_OUTPUT,
            "compressed": False,
            "stored_as_sub_directories": False,
            "ser_de_info": {
                "name": "parquet",
                "serialization_library": _PARQUET_SERDE,
                "parameters": {"serialization.format": "1"},
            },
            "columns": _glue_columns(tables.columns),
        },
        partition_keys=_glue_columns(tables.partition_keys),
        opts=pulumi.ResourceOptions(parent=parent, protect=tables.deletion_protection),
    )


def make_view(
    name: str,
    tables: Tables,
    database: "aws.glue.CatalogDatabase",
    table: "aws.glue.CatalogTable",
    *,
    parent: pulumi.Resource,
) -> "aws.glue.CatalogTable":
    """Makes `<name>-predictions`: the view, in the form that Athena's own CREATE VIEW leaves in the catalogue."""
    shown = [*tables.columns, *tables.partition_keys]
    return aws.glue.CatalogTable(
        f"{name}-predictions",
        name=VIEW,
        database_name=database.name,
        description="One row a request: what every query of the log reads",
        table_type="VIRTUAL_VIEW",
        parameters={"presto_view": "true", "comment": "Presto View"},
        view_original_text=view_text(tables.database_name, shown),
        view_expanded_text="/* Presto View */",
        storage_descriptor={
            "compressed": False,
            "stored_as_sub_directories": False,
            "ser_de_info": {"name": "-", "serialization_library": "-"},
            "columns": _glue_columns(shown),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[table]),
    )


def view_text(database_name: str, shown: Sequence[Column]) -> str:
    """The view as Athena keeps it: a comment that holds base64 of JSON. The same columns give the same text.

    Undocumented by AWS; the form is that of views made by CREATE VIEW, as
    https://github.com/iconara/terraform-aws-athena-view writes it too.
    """
    body = {
        "originalSql": view_sql(database_name, tuple(column.name for column in shown)),
        "catalog": "awsdatacatalog",
        "schema": database_name,
        "columns": [{"name": column.name, "type": query_type(column.type)} for column in shown],
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"/* Presto View: {base64.b64encode(text.encode()).decode()} */"


def query_type(glue_type: str) -> str:
    """What Athena's engine calls a type of Glue: `array<bigint>` is `array(bigint)`."""
    if glue_type.startswith("array<"):
        return f"array({query_type(glue_type[len('array<') : -1])})"
    return _QUERY_TYPES[glue_type]


def make_workgroup(name: str, tables: Tables, *, parent: pulumi.Resource) -> "aws.athena.Workgroup":
    """Makes `<name>-workgroup`: whoever queries through it can neither read more than the limit nor put the results
    elsewhere or in the clear."""
    return aws.athena.Workgroup(
        f"{name}-workgroup",
        name=tables.workgroup_name,
        description=f"Queries of the prediction log {tables.log_name}",
        state="ENABLED",
        # Named queries of people and the history of queries block a delete otherwise; where they are to stay, so does
        # what holds them, or a destroy would stop here.
        force_destroy=not tables.deletion_protection,
        configuration={
            "enforce_workgroup_configuration": True,
            "publish_cloudwatch_metrics_enabled": True,
            "bytes_scanned_cutoff_per_query": tables.scan_limit_mib * _MEBIBYTE,
            "requester_pays_enabled": False,
            "engine_version": {"selected_engine_version": "Athena engine version 3"},
            "result_configuration": {
                "output_location": join("s3://", tables.bucket_name, "/", queries_prefix(tables.log_name)),
                "expected_bucket_owner": tables.account.account_id,
                "encryption_configuration": {"encryption_option": "SSE_KMS", "kms_key_arn": tables.kms_key_arn},
            },
        },
        tags=dict(tables.tags),
        opts=pulumi.ResourceOptions(parent=parent, protect=tables.deletion_protection),
    )


def make_named_queries(
    name: str,
    tables: Tables,
    workgroup: "aws.athena.Workgroup",
    view: "aws.glue.CatalogTable",
    *,
    parent: pulumi.Resource,
) -> None:
    """Makes `<name>-query-<slug>` for each named query: they are gone before the workgroup goes."""
    for slug, query in NAMED_QUERIES.items():
        aws.athena.NamedQuery(
            f"{name}-query-{slug}",
            name=f"{tables.log_name}-{slug}",
            description=query.description,
            database=tables.database_name,
            workgroup=workgroup.name,
            query=query.sql(tables.database_name),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[view]),
        )


def _glue_columns(shown: Sequence[Column]) -> list[Any]:
    """For the columns and for the partition keys of a table: two types of pulumi-aws with the same members."""
    return [
        {"name": column.name, "type": column.type, **({"comment": comment} if (comment := _comment(column)) else {})}
        for column in shown
    ]


def _comment(column: Column) -> str:
    """One line, as long as Glue takes."""
    line = " ".join(column.comment.split())
    return line if len(line) <= _LONGEST_COMMENT else line[: _LONGEST_COMMENT - 1] + "…"
