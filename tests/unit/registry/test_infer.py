"""What a signature inferred from rows says, and what a bad sample is answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.registry.infer import Field, SampleError, infer


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_types_and_missing_values_of_json_lines(tmp_path: Path) -> None:
    sample = written(
        tmp_path / "rows.jsonl",
        '{"age": 41, "income": 1200.5, "member": true, "note": "hello", "since": "2026-01-05", "code": "007"}\n'
        '{"age": 23, "income": 900, "member": false, "note": null, "since": "2026-02-01T10:00:00Z", "code": "12"}\n',
    )
    found = infer(sample)
    assert found.inputs == (
        Field("age", "integer"),
        Field("income", "double"),
        Field("member", "boolean"),
        Field("note", "string", nullable=True),
        Field("since", "timestamp"),
        Field("code", "string"),
    )
    assert found.outputs == ()
    assert found.rows == 2
    assert found.example == {
        "age": 41,
        "income": 1200.5,
        "member": True,
        "note": "hello",
        "since": "2026-01-05",
        "code": "007",
    }


def test_csv_with_target_and_categories(tmp_path: Path) -> None:
    rows = "\n".join(f"{number},{'red' if number % 2 else 'blue'},{number * 0.5},yes" for number in range(20))
    found = infer(written(tmp_path / "rows.csv", f"id,colour,size,bought\n{rows}\n,,NaN,no\n"), ["bought"])
    assert found.inputs == (
        Field("id", "integer", nullable=True),
        Field("colour", "string", nullable=True, categories=("blue", "red")),
        Field("size", "double", nullable=True),
    )
    assert [field.name for field in found.outputs] == ["bought"]
    assert found.example == {"id": 0, "colour": "blue", "size": 0.0}


def test_text_is_not_taken_for_categories(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": f"review number {number}"}) + "\n" for number in range(30))
    assert infer(written(tmp_path / "rows.jsonl", lines)).inputs == (Field("text", "string"),)


@pytest.mark.parametrize(
    ("name", "text", "targets", "said"),
    [
        ("rows.jsonl", "", [], "no rows"),
        ("rows.jsonl", '{"a": 1}\n{"a": \n', [], "rows.jsonl:2: not JSON"),
        ("rows.jsonl", "[1, 2]\n", [], "rows.jsonl:1: list instead of an object"),
        ("rows.jsonl", '{"a": {"b": 1}}\n', [], "field 'a' is nested"),
        ("rows.jsonl", '{"a": 1e400}\n', [], "rows.jsonl:1: field 'a' is infinite"),
        ("rows.jsonl", '{"a b": 1}\n', [], "column 'a b' cannot be a field name"),
        ("rows.jsonl", '{"a": 1}\n', ["b"], "no column 'b' for --answer; the sample has: a"),
        ("rows.jsonl", '{"a": 1}\n', ["a"], "at least one input"),
        ("rows.csv", "", [], "the first line must name the columns"),
        ("rows.csv", "a,a\n1,2\n", [], "column 'a' stands twice"),
        ("rows.csv", "a,b\n1\n", [], "rows.csv:2: 1 values for 2 columns"),
    ],
)
def test_a_bad_sample_is_named(tmp_path: Path, name: str, text: str, targets: list[str], said: str) -> None:
    sample = written(tmp_path / name, text)
    with pytest.raises(SampleError, match=said):
        infer(sample, targets)


@pytest.mark.parametrize(
    ("name", "targets", "column"), [("Bytes", [], "input_bytes"), ("bytes", ["bytes"], "output_bytes")]
)
def test_a_column_that_every_record_of_the_log_has_is_named(
    tmp_path: Path, name: str, targets: list[str], column: str
) -> None:
    sample = written(tmp_path / "rows.csv", f"age,{name}\n41,7\n")
    with pytest.raises(SampleError, match=f"column '{name}' .* has the column {column} already; rename the column"):
        infer(sample, targets)


def test_an_answer_may_have_a_name_that_only_inputs_may_not_have(tmp_path: Path) -> None:
    found = infer(written(tmp_path / "rows.csv", "age,sha256\n41,x\n"), ["sha256"])
    assert [field.name for field in found.outputs] == ["sha256"]


def test_a_missing_or_binary_sample_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="no such file"):
        infer(tmp_path / "rows.jsonl")
    (tmp_path / "rows.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SampleError, match="not a text file in UTF-8"):
        infer(tmp_path / "rows.csv")


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)


@given(rows=st.lists(st.fixed_dictionaries({"a": values, "b": values}), min_size=1, max_size=20))
def test_any_rows_give_a_signature_that_holds_for_them(
    rows: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sample = tmp_path_factory.mktemp("sample") / "rows.jsonl"
    found = infer(written(sample, "".join(json.dumps(row) + "\n" for row in rows)))
    for field in found.inputs:
        seen = [row[field.name] for row in rows]
        assert field.nullable == (None in seen)
        if field.type == "integer":
            assert all(value is None or int(value) == float(value) for value in seen)  # type: ignore[arg-type]
        if field.categories:
            assert {str(value) for value in seen if value is not None} == set(field.categories)
