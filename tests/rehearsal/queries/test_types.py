"""Pure parts: types of columns, texts of values, texts of views."""

from __future__ import annotations

import pyarrow as pa
import pytest

from infra.rehearsal.cloud.queries import hive_types, presto_view, results


@pytest.mark.parametrize(
    ("text", "athena", "duckdb"),
    [
        ("string", "varchar", "VARCHAR"),
        ("array<array<double>>", "array(array(double))", "DOUBLE[][]"),
        ("struct<a:int,b:map<string,bigint>>", "row(a integer, b map(varchar, bigint))",
         'STRUCT("a" INTEGER, "b" MAP(VARCHAR, BIGINT))'),
        ("decimal(10, 2)", "decimal(10,2)", "DECIMAL(10, 2)"),
        ("VARCHAR(20)", "varchar", "VARCHAR"),
    ],
)  # fmt: skip
def test_types(text, athena, duckdb):
    found = hive_types.parse(text)
    assert (found.athena, found.duckdb) == (athena, duckdb)


@pytest.mark.parametrize(
    "text",
    ["", "text", "array", "array<int", "array<int>>", "array<int,int>", "map<int>", "struct<int>", "decimal(50,1)",
     "int)", "string; DROP TABLE x", "struct<a\":int>", "array<" * 40 + "int" + ">" * 40],
)  # fmt: skip
def test_no_types(text):
    with pytest.raises(ValueError, match=r"type|read|lacks|limits|goes on|takes|name"):
        hive_types.parse(text)


@pytest.mark.parametrize(
    ("stored", "declared", "fit"),
    [
        (pa.int32(), "bigint", True),
        (pa.int64(), "int", False),
        (pa.float32(), "double", True),
        (pa.int64(), "double", False),
        (pa.string(), "double", False),
        (pa.timestamp("us"), "timestamp", True),
        (pa.list_(pa.float64()), "array<double>", True),
        (pa.list_(pa.float64()), "array<string>", False),
        (pa.float64(), "array<double>", False),
        (pa.struct([("a", pa.int32())]), "struct<a:int,b:string>", True),
        (pa.struct([("a", pa.string())]), "struct<a:int>", False),
        (pa.decimal128(10, 2), "decimal(10,2)", True),
        (pa.decimal128(10, 2), "decimal(12,2)", False),
    ],
)
def test_what_fits(stored, declared, fit):
    assert hive_types.fits(stored, hive_types.parse(declared)) is fit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (1.0, "1.0"), (-0.0, "-0.0"), (1e7, "1.0E7"), (9999999.0, "9999999.0"), (0.001, "0.001"),
        (0.0001, "1.0E-4"), (1.234e-300, "1.234E-300"), (float("inf"), "Infinity"), (float("nan"), "NaN"),
        (b"hel", "68 65 6c"), ({"k": [1, None]}, "{k=[1, null]}"), (None, None), (True, "true"),
    ],
)  # fmt: skip
def test_texts_of_values(value, text):
    assert results.text(value) == text


def test_csv_both_ways():
    rows = [("a", None), ('q"u\no,te', ""), (None, "x")]
    columns = [results.Column("x", "VARCHAR"), results.Column("y", "VARCHAR")]
    body = b"".join(results.write_csv(columns, rows)).decode()
    assert results.read_csv(body) == [["x", "y"], *[list(row) for row in rows]]


def test_views_both_ways():
    view = presto_view.View("SELECT 1 AS a", "awsdatacatalog", "db", ("a",), ("integer",))
    assert presto_view.decode(presto_view.encode(view)) == view


@pytest.mark.parametrize("text", ["", "SELECT 1", "/* Presto View: x */", "/* Presto View: e30= */"])
def test_texts_that_are_no_views(text):
    with pytest.raises(ValueError, match=r"text is not|no base64|has no"):
        presto_view.decode(text)
