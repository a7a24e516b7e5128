"""JSON to Parquet: each column type both ways, the SerDe's options, and the file itself."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.rehearsal.cloud.delivery.buffers import Item
from infra.rehearsal.cloud.delivery.convert import Reading, Table, Unconvertible
from infra.rehearsal.cloud.delivery.parquet import converted
from infra.rehearsal.cloud.delivery.schemas import SchemaError, column_type
from infra.rehearsal.cloud.delivery.settings import Conversion


def convert(kind: str, value: Any) -> Any:
    """One value through a Parquet file."""
    table = Table([{"Name": "c", "Type": kind}], Reading())
    rows = table.rows(json.dumps({"c": value}).encode())
    return pq.read_table(io.BytesIO(table.parquet(rows))).to_pylist()[0]["c"]


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("string", "é\u0001☃", "é\u0001☃"),
        ("string", 12, "12"),
        ("string", True, "true"),
        ("string", {"a": [1, "x"]}, '{"a":[1,"x"]}'),
        ("int", 2**31 - 1, 2**31 - 1),
        ("int", "-7", -7),
        ("bigint", -(2**63), -(2**63)),
        ("smallint", 5, 5),
        ("double", 0.1, 0.1),
        ("double", "1e3", 1000.0),
        ("double", 2, 2.0),
        ("float", 0.5, 0.5),
        ("boolean", False, False),
        ("boolean", "TRUE", True),
        ("date", "2026-02-28", dt.date(2026, 2, 28)),
        ("timestamp", "2026-11-21 14:23:21.123", dt.datetime(2026, 11, 21, 14, 23, 21, 123000)),
        ("timestamp", "2017-02-07T15:13:01.39256Z", dt.datetime(2017, 2, 7, 15, 13, 1, 392560)),
        ("timestamp", 1518033528, dt.datetime(2018, 2, 7, 19, 58, 48)),
        ("timestamp", 1518033528123, dt.datetime(2018, 2, 7, 19, 58, 48, 123000)),
        ("timestamp", 1518033528.5, dt.datetime(2018, 2, 7, 19, 58, 48, 500000)),
        ("decimal(6,2)", 12.5, Decimal("12.50")),
        ("varchar(10)", "x", "x"),
        ("array<int>", [1, None, 3], [1, None, 3]),
        ("struct<a:int,b:array<string>>", {"A": 1, "b": ["x"]}, {"a": 1, "b": ["x"]}),
        ("struct<a:int>", {"b": 1}, {"a": None}),
        ("map<string,double>", {"x": 1}, [("x", 1.0)]),
        ("array<struct<k:string,v:map<string,boolean>>>", [{"k": "a", "v": {"t": True}}],
         [{"k": "a", "v": [("t", True)]}]),
        ("int", None, None),
    ],
)  # fmt: skip
def test_a_value_that_fits(kind: str, value: Any, stored: Any) -> None:
    assert convert(kind, value) == stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**31),
        ("int", 1.5),
        ("int", True),
        ("int", "x"),
        ("bigint", 2**63),
        ("tinyint", 128),
        ("double", "x"),
        ("double", "1_000"),
        ("int", "1_0"),
        ("string", "\ud800"),
        ("map<string,int>", {"\ud800": 1}),
        ("decimal(6,2)", "NaN"),
        ("double", False),
        ("boolean", 1),
        ("boolean", "yes"),
        ("date", "2026-02-30"),
        ("date", 5),
        ("timestamp", "2026-11-21T14:23:21+00:00"),
        ("timestamp", "yesterday"),
        ("timestamp", True),
        ("decimal(3,1)", 1234),
        ("array<int>", 1),
        ("array<int>", ["x"]),
        ("struct<a:int>", [1]),
        ("map<string,int>", "x"),
    ],
)
def test_a_value_that_does_not_fit(kind: str, value: Any) -> None:
    with pytest.raises(Unconvertible, match=r"Data does not match the schema\. Column c: ") as caught:
        convert(kind, value)
    assert caught.value.code == "DataFormatConversion.MalformedData"


@pytest.mark.parametrize("kind", ["binary", "array<", "struct<a>", "map<string>", "int int", "uniontype<int>", "?"])
def test_a_type_that_is_not_carried_is_named(kind: str) -> None:
    with pytest.raises(SchemaError, match=kind.replace("?", r"\?")):
        column_type(kind)


def test_keys_are_found_in_any_case_and_renamed() -> None:
    columns = [{"Name": "amount_eur", "Type": "double"}, {"Name": "kind", "Type": "string"}]
    data = b'{"Amount.EUR": 2, "TYPE": "a", "unknown": 1}'
    lenient = Table(columns, Reading(True, True, {"kind": "type"}))
    assert lenient.rows(data) == [[2.0, "a"]]
    exact = Table(columns, Reading(False, False, {"kind": "TYPE"}))
    assert exact.rows(data) == [[None, "a"]]


def test_a_record_may_hold_several_objects() -> None:
    table = Table([{"Name": "a", "Type": "int"}], Reading())
    assert table.rows(b'{"a":1}{"a":2}\n {"a":3}\n') == [[1], [2], [3]]
    with pytest.raises(Unconvertible):
        table.rows(b'{"a":1}{"a":"x"}')
    with pytest.raises(Unconvertible, match="holds a list"):
        table.rows(b'[{"a":1},{"a":2}]')
    with pytest.raises(Unconvertible, match="malformed JSON"):
        table.rows(b"[" * 100_000)


@pytest.mark.parametrize(("asked", "found"), [("SNAPPY", "SNAPPY"), ("GZIP", "GZIP"), ("UNCOMPRESSED", "UNCOMPRESSED")])
def test_the_file_is_compressed_as_asked(asked: str, found: str) -> None:
    table = Table([{"Name": "at", "Type": "timestamp"}], Reading())
    body = table.parquet(table.rows(b'{"at": 1}'), compression=asked)
    column = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0)
    assert (column.compression, column.physical_type) == (found, "INT96")


def test_what_arrow_alone_refuses_costs_its_record_only(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Table.parquet

    def strict(table: Table, rows: Any, **options: Any) -> bytes:
        if ["poison"] in rows:
            raise pa.ArrowInvalid("cannot be written")
        return whole(table, rows, **options)

    monkeypatch.setattr(Table, "parquet", strict)
    items = [Item(index, 1, json.dumps({"c": value}).encode()) for index, value in enumerate(["a", "poison", "b"])]
    settings = Conversion("role", "", "d", "t", "eu-west-1", "LATEST", True, False, {}, "SNAPPY", "V1")
    done = converted(settings, items, [{"Name": "c", "Type": "string"}])
    assert done.body is not None
    assert pq.read_table(io.BytesIO(done.body)).to_pylist() == [{"c": "a"}, {"c": "b"}]
    assert [item.number for item in done.items] == [0, 2]
    assert [(item.number, text) for item, _, text in done.failed] == [
        (1, "Data does not match the schema. cannot be written")
    ]


def test_a_table_with_an_unknown_type_fails_every_record_by_name() -> None:
    settings = Conversion("role", "", "d", "t", "eu-west-1", "LATEST", True, False, {}, "SNAPPY", "V1")
    done = converted(settings, [Item(0, 1, b"{}")], [{"Name": "c", "Type": "binary"}])
    assert (done.body, done.items) == (None, [])
    ((_, code, text),) = done.failed
    assert code == "DataFormatConversion.InvalidSchema"
    assert "the type 'binary' is not carried" in text
