"""Statements that are not to run: malformed ones, hostile ones, ones that Athena would refuse for their meaning."""

from __future__ import annotations

from datetime import datetime

import pytest
from botocore.exceptions import ClientError

AT = datetime(2026, 11, 20, 7, 0, 1, 250_000)


def refusal(log, sql: str, **options) -> str:
    with pytest.raises(ClientError) as caught:
        log.ask(sql, **options)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", "InvalidRequestException: line 1:1: mismatched input 'SELEC'. Expecting: "),
        ("SELECT 1\nFORM records x", "InvalidRequestException: line 2:6: mismatched input 'records'."),
        ("SELECT", "InvalidRequestException: line 1:7: mismatched input '<EOF>'."),
        ("SELECT (1", "InvalidRequestException: line 1:10: mismatched input '<EOF>'. Expecting )"),
        ("SELECT a FROM", "InvalidRequestException: line 1:14: mismatched input '<EOF>'."),
        ("SELECT a\nFROM t WHERE", "InvalidRequestException: line 2:13: mismatched input '<EOF>'."),
        ("SELECT a FROM t WHERE a = = 2", "InvalidRequestException: line 1:27: mismatched input '='."),
        ("SELECT 1 x y", "InvalidRequestException: line 1:12: mismatched input 'y'."),
        ("SELECT 'x", "InvalidRequestException: line 1:1: mismatched input"),
        (" ; ", "InvalidRequestException: line 1:1: mismatched input '<EOF>'."),
        ("SELECT 1; SELECT 2", "InvalidRequestException: Only one sql statement is allowed. Got: SELECT 1; SELECT 2"),
        ("COPY (SELECT 1) TO '/tmp/x'", "InvalidRequestException: line 1:1: mismatched input 'COPY'."),
        ("ATTACH '/tmp/x.db'", "InvalidRequestException: line 1:1: mismatched input 'ATTACH'."),
        ("INSTALL httpfs", "InvalidRequestException: line 1:1: mismatched input 'INSTALL'."),
        ("PRAGMA version", "InvalidRequestException: line 1:1: mismatched input 'PRAGMA'."),
        ("SET memory_limit = '1TB'", "InvalidRequestException: line 1:1: mismatched input 'SET'."),
        ("DROP TABLE records", "NotCarried: The emulated Athena carries SELECT, WITH, SHOW and DESCRIBE, not DROP"),
        ("CREATE TABLE x AS SELECT 1",
         "NotCarried: The emulated Athena carries SELECT, WITH, SHOW and DESCRIBE, not C"),
        ("EXPLAIN SELECT 1", "NotCarried: "),
        ("SHOW CREATE TABLE records", "NotCarried: "),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "InvalidRequestException: line 1:1: statement is too large"),
        ("SELECT " + "1+" * 20000 + "1", "InvalidRequestException: line 1:1: statement is too large"),
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
def test_refused_at_the_call(log, sql, message):
    assert refusal(log, sql).startswith(message)


@pytest.mark.parametrize("sql", ["SELECT", "SELECT a FROM", "SELECT a FROM t WHERE", "SELECT 1 +", "SELECT 1 x y"])
def test_no_words_of_our_parser_are_in_a_refusal(log, sql):
    assert refusal(log, sql).split("mismatched input ")[1] in ("'<EOF>'.", "'y'.")


def test_the_longest_statement(log):
    filling = "SELECT 1 -- "
    assert log.ask(filling + "x" * (262_144 - len(filling))) == [{"_col0": "1"}]
    with pytest.raises(ClientError, match="262144"):
        log.ask(filling + "x" * (262_145 - len(filling)))


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "FUNCTION_NOT_FOUND: line 1:15: Function 'read_csv' not registered"),
        ("SELECT * FROM read_parquet('/etc/x')", "FUNCTION_NOT_FOUND: line 1:15: Function 'read_parquet' not reg"),
        ("SELECT read_text('/etc/passwd')", "FUNCTION_NOT_FOUND: line 1:8: Function 'read_text' not registered"),
        ("SELECT \"read_text\"('/etc/passwd')", "FUNCTION_NOT_FOUND: line 1:8: Function 'read_text' not registered"),
        ("SELECT getenv('HOME')", "FUNCTION_NOT_FOUND: line 1:8: Function 'getenv' not registered"),
        ("SELECT current_setting('memory_limit')", "FUNCTION_NOT_FOUND: line 1:8: Function 'current_setting'"),
        ("SELECT error('x')", "FUNCTION_NOT_FOUND: line 1:8: Function 'error' not registered"),
        ("SELECT strftime(at, '%Y') FROM records", "FUNCTION_NOT_FOUND: line 1:8: Function 'strftime' not registered"),
        ("SELECT string_agg(version, ',') FROM records", "FUNCTION_NOT_FOUND: Function 'group_concat' not registered"),
        ("SELECT * FROM duckdb_settings()", "FUNCTION_NOT_FOUND: line 1:15: Function 'duckdb_settings' not reg"),
        ("SELECT split_part('a', 'b', 1)", "NOT_CARRIED: the emulated Athena does not carry the function split_part"),
        ("SELECT * FROM '/etc/passwd'", "TABLE_NOT_FOUND: "),
        ("SELECT * FROM \"/etc/passwd\"", "TABLE_NOT_FOUND: "),
        ("SELECT * FROM \"../../etc\".\"passwd\"", "SCHEMA_NOT_FOUND: line 1:15: Schema '../../etc' does not exist"),
        ("SELECT * FROM t0", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.mainstage_dev_iris.t0' does not exist"),
        ("SELECT * FROM main.sqlite_master", "SCHEMA_NOT_FOUND: line 1:15: Schema 'main' does not exist"),
        ("SELECT * FROM other.x.y", "CATALOG_NOT_FOUND: line 1:15: Catalog 'other' not found"),
        ("SELECT * FROM information_schema.tables", "NOT_CARRIED: the emulated Athena does not carry information_sch"),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
         "NOT_CARRIED: the emulated Athena does not carry WITH RECURSIVE"),
        ("SELECT \"$path\" FROM records", "COLUMN_NOT_FOUND: "),
        ("SELECT nope FROM records",
         "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved or requester is not"),
        ("SELECT version AS v, count(*) FROM records GROUP BY v", "COLUMN_NOT_FOUND: line 1:53: Column 'v' cannot be"),
        ("SELECT status AS s FROM records WHERE s = 1", "COLUMN_NOT_FOUND: line 1:39: Column 's' cannot be resolved"),
        ("SELECT version, count(*) FROM records", "EXPRESSION_NOT_AGGREGATE: "),
        ("SELECT day FROM records a JOIN records b ON a.rows = b.rows", "AMBIGUOUS_NAME: "),
        ("SELECT 1 FROM records WHERE status = '200'",
         "TYPE_MISMATCH: line 1:29: Cannot apply operator: integer = var"),
        ("SELECT 1 FROM records WHERE at > '2026-11-20'",
         "TYPE_MISMATCH: line 1:29: Cannot apply operator: timestamp >"),
        ("SELECT 1 FROM records WHERE day IN (20261120)",
         "TYPE_MISMATCH: line 1:29: Cannot apply operator: varchar IN"),
        ("SELECT version || 1 FROM records", "FUNCTION_NOT_FOUND: "),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT cast('x' AS integer)", "INVALID_CAST_ARGUMENT: "),
        ("SELECT (SELECT request_id FROM records)", "SUBQUERY_MULTIPLE_ROWS: "),
        ("SELECT 1.0 / 3", "NOT_CARRIED: the emulated Athena does not carry a quotient of decimals: 1.0 / 3"),
        ("SELECT cast(latency_ms AS varchar) FROM records",
         "NOT_CARRIED: the emulated Athena does not carry a cast of"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_failed(log, sql, reason):
    log.put([{"request_id": name, "at": AT, "status": 200, "latency_ms": 1.0} for name in ("a", "b")])
    found = log.reason(sql)
    assert found.startswith(f"FAILED: {reason}"), found


def test_a_named_database_needs_no_context(log):
    log.put([{"request_id": "a"}])
    for table in ("records", f"{log.database}.records", f"awsdatacatalog.{log.database}.records", '"RECORDS"'):
        assert log.ask(f"SELECT REQUEST_ID FROM {table}") == [{"request_id": "a"}]


def test_parameters(log):
    log.put([{"request_id": "it's", "status": 200}, {"request_id": "b", "status": 500}])
    sql = "SELECT request_id FROM records WHERE day = ? AND (request_id = ? OR status > ?)"
    assert log.ask(sql, ExecutionParameters=["'2026-11-20'", "'it''s'", "-1"]) == [
        {"request_id": "it's"},
        {"request_id": "b"},
    ]
    assert log.ask("SELECT '?' AS x, ? AS y", ExecutionParameters=["DATE '2026-11-20'"]) == [
        {"x": "?", "y": "2026-11-20"}
    ]
    assert "Incorrect number of parameters: expected 3 but found 1" in refusal(log, sql, ExecutionParameters=["1"])
    for hostile in ("1 OR 1 = 1", "(SELECT 1)", "abc", "1; DROP TABLE records", "read_csv('/etc/passwd')"):
        with pytest.raises(ClientError, match="is no literal"):
            log.ask("SELECT ?", ExecutionParameters=[hostile])


def test_show_and_describe(log):
    import queries

    def shown(sql):
        query_id = queries.start(log.cloud, sql, log.workgroup, log.database)
        assert queries.finished(log.cloud, query_id)["Status"]["State"] == "SUCCEEDED"
        return queries.table(log.cloud, query_id)

    assert shown("SHOW TABLES") == [["predictions"], ["records"]]
    assert shown("SHOW DATABASES") == [[log.database]]
    assert shown(f"DESCRIBE {log.database}.records")[-3:] == [
        ["output_label", "array(varchar)", ""],
        ["day", "string", ""],
        ["hour", "string", ""],
    ]
    assert "TABLE_NOT_FOUND" in log.reason("DESCRIBE nothing")
