"""The YAML reader: plain data, a line for each value, a problem for everything else."""

# ruff: noqa: E501 -- a row of a table is one line, what was written beside what is said

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.yaml_lines import MAXIMUM_BYTES, Document, dotted, read, read_text


def reading(text: str) -> Document:
    document = Document("f.yaml")
    read_text(text, document)
    return document


def complaints(text: str) -> list[str]:
    return [str(problem) for problem in reading(text).problems]


def test_values_come_with_their_lines() -> None:
    document = reading("a: 1\nb:\n  - x\n  - {c: true,\n     d: 2.5}\ne: ~\n")
    assert document.data == {"a": 1, "b": ["x", {"c": True, "d": 2.5}], "e": None}
    assert document.problems == []
    lines = {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4, ("b", 1, "d"): 5, ("e",): 6}
    assert {location: document.line_of(location) for location in lines} == lines
    assert document.line_of(("b", 1, "missing")) == 4
    assert dotted(("b", 1, "c")) == "b[1].c"


def test_what_one_reader_does_with_its_data_no_other_one_sees() -> None:
    text = "a: &one {b: [1]}\nc: *one\nc: 2\n"
    first = reading(text)
    told, lines = [str(problem) for problem in first.problems], dict(first.lines)
    first.data["a"]["b"].append(2)
    first.lines.clear()
    first.problems.clear()
    second = reading(text)
    assert second.data == {"a": {"b": [1]}, "c": {"b": [1]}}
    assert ([str(problem) for problem in second.problems], second.lines) == (told, lines)
    assert "this key stands twice" in told[0]


def test_words_of_yaml_1_1_are_text() -> None:
    document = reading("a: yes\nb: on\nc: 2024-01-01\nd: '5'\ne: 012\nf: 0x1f\ng: .inf\nh: 1e3\ni: 1_000\n")
    assert document.data == {
        "a": "yes", "b": "on", "c": "2024-01-01", "d": "5", "e": 12, "f": 31, "g": float("inf"), "h": 1000.0, "i": "1_000",
    }  # fmt: skip


def test_anchors_and_merge_keys_work() -> None:
    document = reading("base: &base {x: 1, y: 2}\nother:\n  <<: *base\n  y: 3\nsame: *base\n")
    assert document.data == {"base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}
    assert document.problems == []
    assert document.line_of(("other", "y")) == 4


def test_every_duplicate_key_is_named() -> None:
    assert complaints("a: 1\nb: {c: 1, c: 2}\na: 3\nb: 4\n") == [
        "f.yaml:2: b.c: this key stands twice; the first is on line 2; fix: keep one of the two",
        "f.yaml:3: a: this key stands twice; the first is on line 1; fix: keep one of the two",
        "f.yaml:4: b: this key stands twice; the first is on line 2; fix: keep one of the two",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "f.yaml:1: the file is empty; allowed: a mapping (key: value)"),
        ("# nothing\n", "f.yaml:1: the file is empty; allowed: a mapping (key: value)"),
        ("- a\n", "f.yaml:1: the file holds a list; allowed: a mapping (key: value)"),
        ("a\n", "f.yaml:1: the file holds a single value; allowed: a mapping (key: value)"),
        ("a:\n\tb: 1\n", "f.yaml:2: a tab stands where YAML takes spaces only; fix: replace the tab with spaces"),
        ("1: a\n", 'f.yaml:1: keys are text; got "1"; fix: quote the key or correct it'),
        ("a: &a [*a]\n", "f.yaml:1: a[0]: an alias points at something that contains it; fix: write the value out"),
        ("a: !secret x\n", 'f.yaml:1: a: the tag !secret is not used here; got "x"; fix: remove the tag'),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: not readable as YAML: but found another document (column 1); fix: correct the syntax"),
        ("a: 'x\n", "f.yaml:2: not readable as YAML: found unexpected end of stream (column 1); fix: correct the syntax"),
        ("[" * 3000, "f.yaml:1: values are nested too deeply; fix: flatten the file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(text: str, complaint: str) -> None:
    assert complaints(text) == [complaint]


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    (complaint,) = complaints("a: " + "9" * 5000)
    assert complaint.startswith("f.yaml:1: a: the number is too long; got ")
    assert len(complaint) < 200


def test_aliases_cannot_multiply_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    document = reading("\n".join(lines))
    assert [problem.message for problem in document.problems] == [
        "the file stands for more than 20000 values, aliases counted"
    ]


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    assert [str(problem) for problem in read(path, tmp_path).problems] == [
        "f.yaml:2: byte 0xff is not UTF-8; fix: save the file as UTF-8"
    ]
    path.write_bytes(b"a: 1\nb: \x00\n")
    assert [problem.line for problem in read(path, tmp_path).problems] == [2]
    path.write_bytes(b"#" * (MAXIMUM_BYTES + 1))
    assert [problem.message for problem in read(path, tmp_path).problems] == ["the file has 1000001 bytes"]
    assert [problem.message for problem in read(tmp_path / "none.yaml", tmp_path).problems] == [
        "the file does not exist"
    ]
    assert [problem.message for problem in read(tmp_path, tmp_path).problems] == [
        "the file cannot be read (Is a directory)"
    ]


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read(path, tmp_path)
    assert (document.data, document.problems, document.line_of(("b",))) == ({"a": 1, "b": 2}, [], 2)


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
    | st.text(alphabet="a:-[]{}&*<#'\"\n\t |>!%@`,?1", max_size=40)
)
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    document = reading(text)
    assert document.problems or isinstance(document.data, dict)
    assert all(problem.line >= 1 for problem in document.problems)
