"""Reading a log: projection, pruning, views, columns that come and go, what counts as scanned."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COLUMNS = {"request_id": "string", "at": "timestamp", "latency_ms": "double", "logged_at": "timestamp"}


def row(request_id: str, minute: int = 0, **values: Any) -> dict[str, Any]:
    at = datetime(2026, 11, 20, 7, minute, 1, 250_000)
    return {"request_id": request_id, "at": at, "logged_at": at, "latency_ms": 12.5, **values}


def column_bytes(log, key: str, *names: str) -> int:
    """The compressed lengths of columns in an object's footer, counted by hand."""
    footer = pq.read_metadata(io.BytesIO(log.s3.get_object(Bucket=log.bucket, Key=key)["Body"].read()))
    chunks = [
        footer.row_group(group).column(at) for group in range(footer.num_row_groups) for at in range(footer.num_columns)
    ]
    return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)


def test_every_kind_of_value(log):
    log.put(
        [
            row("ä😀\"\n,", version="3", status=200, rows=2, truncated=False,
                input_age=[41.5, None], output_label=["a,b", ""]),
            row("", minute=1, latency_ms=None, version=None, truncated=True, input_age=[], output_label=None),
        ]
    )  # fmt: skip
    rows = log.ask("SELECT * FROM records WHERE day = '2026-11-20' ORDER BY at")
    assert rows == [
        {
            "request_id": 'ä😀"\n,', "at": "2026-11-20 07:00:01.250", "version": "3", "status": "200",
            "latency_ms": "12.5", "rows": "2", "truncated": "false", "logged_at": "2026-11-20 07:00:01.250",
            "input_age": "[41.5, null]", "output_label": "[a,b, ]", "day": "2026-11-20", "hour": "07",
        },
        {
            "request_id": "", "at": "2026-11-20 07:01:01.250", "version": None, "status": None,
            "latency_ms": None, "rows": None, "truncated": "true", "logged_at": "2026-11-20 07:01:01.250",
            "input_age": "[]", "output_label": None, "day": "2026-11-20", "hour": "07",
        },
    ]  # fmt: skip


def test_the_view_gives_one_row_a_request(log):
    log.put([row("a", 5, latency_ms=1.0), row("b")])
    log.put([row("a", 3, latency_ms=2.0)], name="b.parquet")
    log.put([row("a", 9, latency_ms=3.0)], hour="08")
    rows = log.ask("SELECT request_id, hour, latency_ms FROM predictions ORDER BY hour, request_id")
    # The twin in the same hour is gone, the first that was logged stays.
    assert [tuple(one.values()) for one in rows] == [("a", "07", "2.0"), ("b", "07", "12.5"), ("a", "08", "3.0")]


def test_only_the_partitions_asked_for_are_scanned(log):
    key = log.put([row("a")] * 50)
    other = log.put([row("b")] * 900, hour="08")
    third = log.put([row("c")] * 900, day="2026-11-19", hour="07")
    one = column_bytes(log, key, "request_id")
    everything = one + column_bytes(log, other, "request_id") + column_bytes(log, third, "request_id")
    assert log.scanned("SELECT request_id FROM records") == everything
    for where in (
        "day = '2026-11-20' AND hour = '07'",
        "day >= '2026-11-20' AND hour IN ('06', '07')",
        "concat(day, 'T', hour) = '2026-11-20T07'",
        "(day = '2026-11-20' AND hour = '07') OR (day = '2026-11-20' AND hour = '01')",
        "date_parse(day, '%Y-%m-%d') > timestamp '2026-11-19 12:00:00' AND NOT hour >= '08'",
    ):
        assert log.scanned(f"SELECT request_id FROM records WHERE {where}") == one, where
    assert log.scanned("SELECT request_id FROM records WHERE day = '2026-11-20' OR latency_ms > 0") > everything


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT request_id FROM predictions WHERE day = '2026-11-20' AND hour = '07'",
        "SELECT * FROM (SELECT request_id AS id, day AS d, hour FROM predictions)"
        " WHERE d = '2026-11-20' AND hour = '07'",
        "WITH p AS (SELECT * FROM predictions WHERE hour = '07'), q AS (SELECT request_id, day FROM p)"
        " SELECT count(*) FROM q WHERE day = '2026-11-20'",
        "SELECT day, count(*) FROM predictions WHERE hour = '07' GROUP BY day HAVING day > '' UNION ALL"
        " SELECT request_id, 1 FROM predictions WHERE day = '2026-11-20' AND hour = '07' AND day = 'x'",
    ],
)  # fmt: skip
def test_pruning_goes_through_views(log, sql):
    """Of the view's columns the window needs request_id and logged_at too; of other hours nothing is read."""
    day = "2026-11-20"
    key = log.put([row("a")] * 50)
    log.put([row("b")] * 900, hour="08")
    asked = column_bytes(log, key, "request_id", "logged_at")
    found = log.execution(sql)
    assert found["Status"]["State"] == "SUCCEEDED", found["Status"]
    assert found["Statistics"]["DataScannedInBytes"] == asked, day


def test_what_does_not_hold_below_is_not_pushed(log):
    """A predicate on what a window counts over all days, on a limit or behind an outer join prunes nothing."""
    first, second = log.put([row("a")]), log.put([row("b"), row("c")], hour="08")
    both = column_bytes(log, first, "request_id") + column_bytes(log, second, "request_id")
    for sql, answer in (
        ("SELECT n FROM (SELECT hour, request_id, row_number() OVER (ORDER BY request_id) AS n FROM records)"
         " WHERE hour = '08' ORDER BY n", ["2", "3"]),
        ("SELECT request_id FROM (SELECT request_id, hour FROM records ORDER BY request_id LIMIT 1) WHERE hour = '08'",
         []),
    ):  # fmt: skip
        assert [next(iter(one.values())) for one in log.ask(sql)] == answer
        assert log.scanned(sql) == both
    rows = log.ask(
        "SELECT l.request_id FROM records l LEFT JOIN records r ON l.request_id = r.request_id AND r.hour = '08'"
        " WHERE r.hour IS NULL"
    )
    assert rows == [{"request_id": "a"}]


def test_only_the_columns_asked_for_are_scanned(log):
    key = log.put([row("a", input_age=[1.0] * 100)] * 100)
    assert log.scanned("SELECT latency_ms FROM records") == column_bytes(log, key, "latency_ms")
    assert log.scanned("SELECT avg(latency_ms), max(at) FROM records") == column_bytes(log, key, "latency_ms", "at")
    assert log.scanned("SELECT input_age[1] FROM records") == column_bytes(log, key, "input_age")
    assert log.scanned("SELECT count(*) FROM records") == 0
    assert log.ask("SELECT count(*) AS n FROM records") == [{"n": "100"}]


def test_a_column_that_came_later_is_null_in_old_files(log):
    log.put([row("old")], columns=COLUMNS)
    log.put([row("new", version="4")], name="b.parquet")
    rows = log.ask("SELECT request_id, version, cardinality(input_age) AS n FROM records ORDER BY request_id")
    assert rows == [
        {"request_id": "new", "version": "4", "n": None},
        {"request_id": "old", "version": None, "n": None},
    ]


def test_a_retyped_column_is_bad_data_when_it_is_read(log):
    key = log.put([row("a", latency_ms=12)], columns={**COLUMNS, "latency_ms": "bigint"})
    assert log.reason("SELECT latency_ms FROM records") == (
        "FAILED: HIVE_BAD_DATA: Field latency_ms's type INT64 in parquet file "
        f"s3://{log.bucket}/{key} is incompatible with type double defined in table schema"
    )
    assert log.ask("SELECT request_id FROM records") == [{"request_id": "a"}]


def test_a_file_that_is_no_parquet(log):
    log.s3.put_object(Bucket=log.bucket, Key="records/dev-iris/day=2026-11-20/hour=07/x", Body=b"{}")
    assert log.reason("SELECT request_id FROM records").startswith(
        "FAILED: HIVE_BAD_DATA: Malformed Parquet file: s3://"
    )


def test_hidden_and_empty_objects_are_passed_over(log):
    log.put([row("a")])
    for name in ("_SUCCESS", ".part", "empty"):
        key = f"records/dev-iris/day=2026-11-20/hour=07/{name}"
        log.s3.put_object(Bucket=log.bucket, Key=key, Body=b"" if name == "empty" else b"no parquet")
    assert log.ask("SELECT request_id FROM records") == [{"request_id": "a"}]


def test_an_object_that_changed_is_read_anew(log):
    log.put([row("a")])
    assert log.ask("SELECT request_id FROM records") == [{"request_id": "a"}]
    log.put([row("b")])
    assert log.ask("SELECT request_id FROM records") == [{"request_id": "b"}]
    log.s3.delete_object(Bucket=log.bucket, Key="records/dev-iris/day=2026-11-20/hour=07/a.parquet")
    assert log.ask("SELECT request_id FROM records") == []


def test_a_day_beyond_the_projection_is_not_seen(log):
    log.put([row("a")], day="2026-10-31")
    assert log.ask("SELECT request_id FROM records") == []
    assert log.ask("SELECT request_id FROM records WHERE day = '2026-10-31'") == []


def test_now_in_a_range_is_the_clouds(log):
    to_come = (log.cloud.clock.now() + timedelta(days=3)).replace(hour=1)
    log.put([row("a")], day=f"{to_come:%Y-%m-%d}")
    assert log.ask("SELECT request_id FROM records") == []
    log.cloud.clock.advance((to_come - log.cloud.clock.now()).total_seconds())
    assert log.ask("SELECT request_id FROM records WHERE day = date_format(current_timestamp, '%Y-%m-%d')") == [
        {"request_id": "a"}
    ]


def test_partitions_of_glue_without_projection(log):
    log.put([row("a")])
    log.put([row("b")], hour="08")
    log.table("plain", COLUMNS, **{"projection.enabled": "false"})
    assert log.ask("SELECT * FROM plain") == []
    storage = log.table_input("plain", COLUMNS)["StorageDescriptor"]
    for hour in ("07", "08"):
        place = {**storage, "Location": f"s3://{log.bucket}/records/dev-iris/day=2026-11-20/hour={hour}/"}
        log.glue.create_partition(
            DatabaseName=log.database,
            TableName="plain",
            PartitionInput={"Values": ["2026-11-20", hour], "StorageDescriptor": place},
        )
    assert log.ask("SELECT request_id, hour FROM plain WHERE hour > '07'") == [{"request_id": "b", "hour": "08"}]


def test_a_table_without_partitions_and_with_structs(log):
    kind = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
    table = pa.table({"Id": ["x", "y"], "detail": pa.array([{"a": 1, "b": ["p", "q"]}, None], kind)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    log.s3.put_object(Bucket=log.bucket, Key="plain/x.parquet", Body=buffer.getvalue())
    given = log.table_input("things", {"id": "string", "detail": "struct<a:int,b:array<string>,c:double>"})
    given |= {"PartitionKeys": [], "Parameters": {}}
    given["StorageDescriptor"]["Location"] = f"s3://{log.bucket}/plain/"
    log.glue.create_table(DatabaseName=log.database, TableInput=given)
    assert log.ask("SELECT id, detail, detail.a AS a, detail.b[2] AS q FROM things ORDER BY id") == [
        {"id": "x", "detail": "{a=1, b=[p, q], c=null}", "a": "1", "q": "q"},
        {"id": "y", "detail": None, "a": None, "q": None},
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"projection.day.type": "injected"},
         "NOT_CARRIED: the emulated Athena does not carry the injected projection"),
        ({"projection.day.range": "NOW-1YEARS"}, "INVALID_TABLE_PROPERTY: Invalid partition projection of column day"),
        ({"projection.hour.range": "a,b"}, "INVALID_TABLE_PROPERTY: Invalid partition projection of column hour"),
        ({"projection.day.format": "QQ"}, "NOT_CARRIED: the emulated Athena does not carry the letter 'Q'"),
    ],
)  # fmt: skip
def test_projections_that_are_wrong(log, changes, message):
    log.table("odd", COLUMNS, **changes)
    assert log.reason("SELECT request_id FROM odd").startswith(f"FAILED: {message}")


def test_an_enum_and_months(log):
    given = {
        "projection.day.type": "enum",
        "projection.day.values": "red, green",
        "projection.hour.type": "date",
        "projection.hour.format": "yyyy/MM",
        "projection.hour.range": "2026/10,2026/12",
        "projection.hour.interval.unit": "MONTHS",
    }
    log.table("odd", COLUMNS, **given)
    log.put([row("a")], day="green", hour="2026/12")
    assert log.ask("SELECT request_id, day, hour FROM odd") == [{"request_id": "a", "day": "green", "hour": "2026/12"}]


def test_a_view_that_does_not_fit_its_table_any_more(log):
    log.view("odd", f"SELECT request_id AS id FROM {log.database}.records", {"id": "varchar", "more": "varchar"})
    assert log.reason("SELECT * FROM odd").startswith(
        f"FAILED: VIEW_IS_STALE: View 'awsdatacatalog.{log.database}.odd'"
    )
    log.view("gone", f"SELECT x FROM {log.database}.nothing", {"x": "varchar"})
    failed = "FAILED: INVALID_VIEW: line 1:15: Failed analyzing stored view 'awsdatacatalog.mainstage_dev_iris."
    nothing = "Table 'awsdatacatalog.mainstage_dev_iris.nothing' does not exist"
    assert log.reason("SELECT * FROM gone") == f"{failed}gone': line 1:15: {nothing}"
    log.view("lost", f"SELECT colour FROM {log.database}.records", {"colour": "varchar"})
    colour = "Column 'colour' cannot be resolved or requester is not authorized to access requested resources"
    assert log.reason("SELECT * FROM lost") == f"{failed}lost': line 1:8: {colour}"
    # A fault of the statement itself is no view's.
    log.view("fits", f"SELECT request_id FROM {log.database}.records", {"request_id": "varchar"})
    assert log.reason("SELECT colour FROM fits") == f"FAILED: COLUMN_NOT_FOUND: line 1:8: {colour}"
    log.view("again", f"SELECT x FROM {log.database}.again", {"x": "varchar"})
    assert log.reason("SELECT * FROM again").startswith("FAILED: VIEW_IS_RECURSIVE")
