"""The log's questions: each text is Athena's SQL, and is run here by DuckDB over a small Parquet table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from mainstage.prediction_queries import (
    NAMED_QUERIES,
    QueryArgumentError,
    Span,
    arm_comparison,
    error_samples,
    find_request,
    latency_by_version,
    requests_by_caller,
    slow_requests,
    view_sql,
)
from mainstage_runtime import record
from sqlglot import exp

DATABASE = "mainstage_dev_iris"
SIGNATURE = {
    "inputs": [{"name": "Age", "type": "integer"}],
    "outputs": [{"name": "score", "type": "double"}],
}
COLUMNS = tuple(column.name for column in (*record.columns(SIGNATURE), *record.PARTITION_KEYS))
EVENING = datetime(2025, 11, 21, 22, 0, tzinfo=UTC)
ALL = Span.days(date(2025, 11, 20), date(2025, 11, 23))

Ask = Callable[[str], list[dict[str, Any]]]


def logged(number: int, at: datetime, **values: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "request_id": f"request-{number:03d}",
        "at": at.replace(tzinfo=None),
        "environment": "dev",
        "model": "iris",
        "version": "7",
        "endpoint_name": "dev-iris",
        "variant": "stable",
        "arm": "stable",
        "status": 200,
        "error_code": None,
        "error_field": None,
        "rows": 1,
        "latency_ms": 10.0,
        "model_ms": 8.0,
        "caller": "arn:aws:iam::111111111111:role/shop",
        "entity_key": "aa",
        "input_bytes": 20,
        "input_sha256": "00",
        "output_bytes": 30,
        "truncated": False,
        "replayed": False,
        "logged_at": at.replace(tzinfo=None) + timedelta(seconds=1),
        "input_age": [number],
        "output_score": [0.5],
        "day": f"{at:%Y-%m-%d}",
        "hour": f"{at:%H}",
        **values,
    }


def rows() -> list[dict[str, Any]]:
    # 100 answers of version 7 of 1 ms to 100 ms, one a minute from 22:00 on; they run past midnight.
    found = [logged(n, EVENING + timedelta(minutes=2 * n), latency_ms=float(n + 1), model_ms=n / 2) for n in range(100)]
    found += [
        logged(200 + n, EVENING, version="8", arm="treatment", entity_key=f"e{n}", caller="other") for n in range(10)
    ]
    invalid = {"status": 400, "error_code": "invalid_payload", "error_field": "instances[0].age", "version": "unknown"}
    found += [logged(300 + n, EVENING + timedelta(seconds=n), **invalid) for n in range(8)]
    found += [logged(400, EVENING, status=504, error_code="deadline_exceeded", version="unknown", latency_ms=29000.0)]
    # Delivered twice, the second time through the spool: the copy lies in the same hour and says something else.
    late = {"replayed": True, "logged_at": datetime(2025, 11, 23), "latency_ms": 99999.0}
    found += [logged(200, EVENING, version="8", **late), logged(0, EVENING, **late)]
    return found


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Runs Athena's SQL on DuckDB: translated by sqlglot, over the records and the view."""
    path = tmp_path_factory.mktemp("records") / "records.parquet"
    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64()}
    types |= {"boolean": pa.bool_(), "timestamp": pa.timestamp("ms")}
    types |= {"array<bigint>": pa.list_(pa.int64()), "array<double>": pa.list_(pa.float64())}
    fields = [(c.name, types[c.type]) for c in (*record.columns(SIGNATURE), *record.PARTITION_KEYS)]
    pq.write_table(pa.Table.from_pylist(rows(), schema=pa.schema(fields)), path)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'America/New_York'")  # texts say UTC themselves
        connection.execute(f"CREATE SCHEMA {DATABASE}")
        connection.execute(f"CREATE TABLE {DATABASE}.records AS SELECT * FROM read_parquet('{path}')")
        connection.execute(f"CREATE VIEW {DATABASE}.predictions AS {in_duckdb(view_sql(DATABASE, COLUMNS))}")

        def asked(sql: str) -> list[dict[str, Any]]:
            cursor = connection.execute(in_duckdb(sql))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        yield asked


def in_duckdb(sql: str) -> str:
    (text,) = sqlglot.transpile(sql, read="athena", write="duckdb")
    return text


def test_the_view_has_one_row_a_request_the_first_that_was_logged(ask: Ask) -> None:
    (counted,) = ask(f"SELECT count(*) AS n, count(DISTINCT request_id) AS ids FROM {DATABASE}.predictions")
    assert counted == {"n": 119, "ids": 119}
    (kept,) = ask(f"SELECT * FROM {DATABASE}.predictions WHERE request_id = 'request-200'")
    assert (kept["replayed"], kept["latency_ms"], tuple(kept)) == (False, 10.0, COLUMNS)


def test_latency_is_by_version_and_of_answered_requests(ask: Ask) -> None:
    seven, eight = ask(latency_by_version(DATABASE, ALL))
    assert list(seven) == [
        "version", "requests", "p50_ms", "p95_ms", "p99_ms", "model_p50_ms", "model_p95_ms", "model_p99_ms",
        "first_at", "last_at",
    ]  # fmt: skip
    assert (seven["version"], seven["requests"]) == ("7", 100)
    assert seven["p50_ms"] == pytest.approx(50, abs=1)
    assert seven["p95_ms"] == pytest.approx(95, abs=1)
    assert seven["p99_ms"] == pytest.approx(99, abs=1)
    assert seven["model_p50_ms"] == pytest.approx(25, abs=1)
    assert seven["model_p95_ms"] == pytest.approx(47.5, abs=1)
    assert seven["first_at"] == EVENING.replace(tzinfo=None)
    assert seven["last_at"] == datetime(2025, 11, 22, 1, 18)
    assert (eight["version"], eight["requests"], eight["p50_ms"], eight["p99_ms"]) == ("8", 10, 10, 10)


def test_a_span_takes_its_start_and_leaves_its_end_out(ask: Ask) -> None:
    def minutes(start: datetime, end: datetime) -> int:
        counted = [
            row["requests"] for row in ask(latency_by_version(DATABASE, Span(start, end))) if row["version"] == "7"
        ]
        return counted[0] if counted else 0

    assert minutes(EVENING, EVENING + timedelta(minutes=4)) == 2
    assert minutes(EVENING + timedelta(microseconds=1), EVENING + timedelta(minutes=4, microseconds=1)) == 2
    assert minutes(EVENING, datetime(2025, 11, 22, tzinfo=UTC)) == 60
    assert minutes(datetime(2025, 11, 21, 23, 59, tzinfo=UTC), datetime(2025, 11, 22, 0, 1, tzinfo=UTC)) == 1
    assert minutes(datetime(2025, 11, 21, 23, 30, tzinfo=UTC), datetime(2025, 11, 22, 0, 30, tzinfo=UTC)) == 30
    assert minutes(datetime(2025, 11, 20, 5, tzinfo=UTC), datetime(2025, 11, 23, 1, tzinfo=UTC)) == 100
    berlin = timezone(timedelta(hours=1))
    assert minutes(datetime(2025, 11, 21, 23, 0, tzinfo=berlin), datetime(2025, 11, 21, 23, 10, tzinfo=berlin)) == 5


@pytest.mark.parametrize(
    ("span", "partitions"),
    [
        (Span.before(datetime(2025, 11, 21, 14, 30, tzinfo=UTC), hours=1), {("2025-11-21", 13), ("2025-11-21", 14)}),
        (Span.before(datetime(2025, 11, 21, 14, tzinfo=UTC), hours=1), {("2025-11-21", 13)}),
        (
            Span.before(datetime(2025, 11, 22, 1, tzinfo=UTC), hours=3),
            {("2025-11-21", 22), ("2025-11-21", 23), ("2025-11-22", 0)},
        ),
        (Span.days(date(2025, 11, 21), date(2025, 11, 21)), {("2025-11-21", hour) for hour in range(24)}),
    ],
)
def test_only_the_partitions_of_the_span_are_read(ask: Ask, span: Span, partitions: set[tuple[str, int]]) -> None:
    """The conditions on day and hour alone, over a calendar of partitions."""
    sql = sqlglot.parse_one(latency_by_version(DATABASE, span), read="athena")
    on_partitions = [
        part.sql("duckdb")
        for part in sql.find(exp.Where).this.flatten(unnest=False)  # pyright: ignore[reportOptionalMemberAccess]
        if {column.name for column in part.find_all(exp.Column)} <= {"day", "hour"}
    ]
    calendar = ", ".join(f"('2025-11-{day}', '{hour:02d}')" for day in (19, 20, 21, 22, 23) for hour in range(24))
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT day, hour FROM (VALUES {calendar}) AS calendar(day, hour) WHERE {' AND '.join(on_partitions)}"
        ).fetchall()
    assert {(day, int(hour)) for day, hour in found} == partitions


def test_error_samples_are_the_newest_of_each_kind(ask: Ask) -> None:
    found = ask(error_samples(DATABASE, ALL, each=2))
    assert [(row["error_code"], row["occurrences"], row["request_id"]) for row in found] == [
        ("invalid_payload", 8, "request-307"),
        ("invalid_payload", 8, "request-306"),
        ("deadline_exceeded", 1, "request-400"),
    ]
    assert found[0]["error_field"] == "instances[0].age"


def test_slow_requests_are_the_slowest_answers(ask: Ask) -> None:
    found = ask(slow_requests(DATABASE, ALL, slower_than_ms=98.5, limit=10))
    assert [(row["request_id"], row["latency_ms"]) for row in found] == [("request-099", 100.0), ("request-098", 99.0)]
    assert len(ask(slow_requests(DATABASE, ALL, limit=3))) == 3


def test_a_request_is_found_by_its_id(ask: Ask) -> None:
    day = date(2025, 11, 21)
    (found,) = ask(find_request(DATABASE, "request-305", day=day))
    assert (found["error_code"], found["input_age"]) == ("invalid_payload", [305])
    assert ask(find_request(DATABASE, "request-305")) == [found]
    assert ask(find_request(DATABASE, "request-305", day=day + timedelta(days=1))) == []
    assert ask(find_request(DATABASE, "JKJaXmPLvHcESHA=")) == []


def test_arms_are_compared(ask: Ask) -> None:
    found = ask(arm_comparison(DATABASE, ALL))
    assert [
        (row["arm"], row["version"], row["requests"], row["failed"], row["refused"], row["entities"]) for row in found
    ] == [("stable", "7", 100, 0, 0, 1), ("stable", "unknown", 9, 1, 8, 1), ("treatment", "8", 10, 0, 0, 10)]
    assert found[1]["p99_ms"] is None
    assert found[2]["p99_ms"] == 10


def test_callers_are_counted(ask: Ask) -> None:
    first, second = ask(requests_by_caller(DATABASE, ALL))
    assert (first["requests"], first["failed"], first["refused"], first["rows"]) == (109, 1, 8, 109)
    assert (second["caller"], second["requests"]) == ("other", 10)
    assert ask(requests_by_caller(DATABASE, ALL, limit=1)) == [first]


@pytest.mark.parametrize("name", NAMED_QUERIES)
def test_named_queries_run_and_read_the_last_day(ask: Ask, name: str) -> None:
    sql = NAMED_QUERIES[name].sql(DATABASE)
    # Nothing of the table lies in the last 24 hours of whoever runs this test.
    assert ask(sql) == []
    assert "current_timestamp AT TIME ZONE 'UTC'" in sql
    assert '"day"' in sql


def test_the_last_day_is_24_hours_in_utc() -> None:
    """The named queries' condition, with a row a minute before now and one a minute beyond a day ago."""
    now = datetime.now(UTC).replace(tzinfo=None)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        connection.execute(f"CREATE SCHEMA {DATABASE}")
        names = ", ".join(f'"{name}"' for name in ("request_id", "version", "status", "latency_ms", "model_ms"))
        moments = ((now - timedelta(minutes=1), 1), (now - timedelta(hours=24, minutes=1), 2))
        values = ", ".join(
            f"('{n}', 'v{n}', 200, 1e0, 1e0, TIMESTAMP '{at}', '{at:%Y-%m-%d}', '{at:%H}')" for at, n in moments
        )
        connection.execute(
            f'CREATE TABLE {DATABASE}.predictions AS SELECT * FROM (VALUES {values}) AS t({names}, "at", day, hour)'
        )
        found = connection.execute(in_duckdb(latency_by_version(DATABASE))).fetchall()
    assert [row[:2] for row in found] == [("v1", 1)]


TEXTS: dict[str, str] = {
    "latency": latency_by_version(DATABASE, ALL),
    "errors": error_samples(DATABASE, ALL),
    "slow": slow_requests(DATABASE, ALL, slower_than_ms=250),
    "find": find_request(DATABASE, "request-1", day=date(2025, 11, 21)),
    "arms": arm_comparison(DATABASE, ALL),
    "callers": requests_by_caller(DATABASE, ALL),
    "view": view_sql(DATABASE, COLUMNS),
    **{f"named {name}": query.sql(DATABASE) for name, query in NAMED_QUERIES.items()},
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_text_is_one_select_of_athenas_dialect(text: str) -> None:
    """Strictly: an unknown construct is an error, and no text needs more than Athena takes."""
    (statement,) = sqlglot.parse(text, read="athena", error_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(statement, exp.Select)
    assert len(text.encode()) < 262_144  # https://docs.aws.amazon.com/athena/latest/ug/service-limits.html


def test_the_text_of_the_latency_question() -> None:
    span = Span(datetime(2025, 11, 21, 13, 5, tzinfo=UTC), datetime(2025, 11, 21, 14, 0, 0, 123000, tzinfo=UTC))
    assert latency_by_version(DATABASE, span) == "\n".join(
        [
            "SELECT",
            '  "version",',
            '  count(*) AS "requests",',
            '  approx_percentile("latency_ms", 0.5) AS "p50_ms",',
            '  approx_percentile("latency_ms", 0.95) AS "p95_ms",',
            '  approx_percentile("latency_ms", 0.99) AS "p99_ms",',
            '  approx_percentile("model_ms", 0.5) AS "model_p50_ms",',
            '  approx_percentile("model_ms", 0.95) AS "model_p95_ms",',
            '  approx_percentile("model_ms", 0.99) AS "model_p99_ms",',
            '  min("at") AS "first_at",',
            '  max("at") AS "last_at"',
            'FROM "mainstage_dev_iris"."predictions"',
            """WHERE "day" = '2025-11-21'""",
            """  AND "hour" BETWEEN '13' AND '14'""",
            """  AND "at" >= TIMESTAMP '2025-11-21 13:05:00.000'""",
            """  AND "at" < TIMESTAMP '2025-11-21 14:00:00.123'""",
            '  AND "status" = 200',
            'GROUP BY "version"',
            'ORDER BY "requests" DESC, "version"',
        ]
    )


NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: find_request(DATABASE, "x' OR '1'='1"), "request_id: \"x' OR '1'='1\" is no request id: up to 128"),
        (lambda: find_request(DATABASE, ""), "request_id: '' is no request id"),
        (lambda: find_request(DATABASE, "a" * 129), "is no request id: up to 128"),
        (lambda: find_request(DATABASE, "a\n"), "is no request id"),
        (lambda: find_request(DATABASE, "a", day="2025-11-21"), "day: '2025-11-21' is no date"),  # type: ignore[arg-type]
        (lambda: find_request('a"."b', "a"), "database: 'a\".\"b' is no name of small letters, digits and _"),
        (lambda: latency_by_version("Capitals", ALL), "database: 'Capitals' is no name"),
        (lambda: error_samples(DATABASE, ALL, each=0), "each: 0 is no whole number from 1 to 1000"),
        (lambda: slow_requests(DATABASE, ALL, limit="1; DROP"), "limit: '1; DROP' is no whole number"),  # type: ignore[arg-type]
        (lambda: slow_requests(DATABASE, ALL, limit=True), "limit: True is no whole number from 1 to 10000"),
        (lambda: slow_requests(DATABASE, ALL, slower_than_ms=float("nan")), "slower_than_ms: nan is no number"),
        (lambda: Span(NOON.replace(tzinfo=None), NOON), "start: 2025-11-21T12:00:00 has no time zone"),
        (lambda: Span(NOON, NOON), "is not before the end, 2025-11-21T12:00:00.000+00:00"),
        (lambda: Span(NOON - timedelta(days=367), NOON), "is more than 366 days before the end"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(make: Callable[[], object], message: str) -> None:
    with pytest.raises(QueryArgumentError) as refused:
        make()
    assert message in str(refused.value)


@given(request_id=st.text(max_size=140))
def test_no_text_gets_out_of_its_quotes(request_id: str) -> None:
    try:
        sql = find_request(DATABASE, request_id)
    except QueryArgumentError:
        return
    parsed = sqlglot.parse_one(sql, read="athena")
    assert [literal.name for literal in parsed.find_all(exp.Literal)] == [request_id]


@given(
    start=st.datetimes(datetime(2025, 1, 1), datetime(2025, 12, 1), timezones=st.just(UTC)),
    length=st.timedeltas(timedelta(milliseconds=1), timedelta(days=3)),
    share=st.floats(0, 1),
)
def test_every_request_of_a_span_lies_in_its_partitions(start: datetime, length: timedelta, share: float) -> None:
    span = Span(start, start + length)
    at = start + share * length
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as records have it
    text = latency_by_version(DATABASE, span)
    condition = sqlglot.parse_one(text, read="athena").find(exp.Where)
    assert condition is not None
    moment = f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S.%f}'"
    row = f"SELECT '{at:%Y-%m-%d}' AS day, '{at:%H}' AS hour, {moment} AS \"at\", 200 AS status"
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM ({row}) {condition.sql('duckdb')}").fetchall()
    assert found == [(1 if span.start <= at < span.end else 0,)]
