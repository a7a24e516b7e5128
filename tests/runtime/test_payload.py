"""The request check: what fits passes, what does not is named by field, value and rule, and nothing breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage_runtime.payload import MOST_PROBLEMS, InvalidJson, InvalidPayload, PayloadCheck

SIGNATURE = {
    "inputs": [
        {"name": "area", "type": "double", "minimum": 0, "maximum": 1000},
        {"name": "rooms", "type": "integer"},
        {"name": "garden", "type": "boolean", "required": False},
        {"name": "built", "type": "timestamp", "nullable": True},
        {"name": "heating", "type": "string", "categories": ["gas"]},
        {"name": "prices", "type": "array<double>", "required": False, "maximum": 10},
        {"name": "tags", "type": "array<string>", "required": False, "nullable": True},
    ],
    "outputs": [{"name": "price", "type": "double"}],
}
ROW = {"area": 46.5, "rooms": 2, "garden": True, "built": "1987-05-01", "heating": "gas"}
CHECK = PayloadCheck(SIGNATURE)


def refused(row: Any) -> list[dict[str, Any]]:
    with pytest.raises(InvalidPayload) as refusal:
        CHECK.rows(json.dumps({"instances": [row]}).encode())
    assert refusal.value.count == len(refusal.value.problems)
    return [problem.as_json() for problem in refusal.value.problems]


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {**ROW, "built": None},
        {**ROW, "area": 46},
        {**ROW, "area": 0, "rooms": -(2**63)},
        {**ROW, "area": 1000, "rooms": 2**63 - 1},
        {**ROW, "heating": "a category never seen, ☃ \x00 \U0001f600"},
        {**ROW, "prices": [], "tags": None},
        {**ROW, "prices": [1, 2.5], "tags": ["a", ""]},
        {**ROW, "built": "2026-02-28T23:59:59.123456789+02:00"},
        {name: value for name, value in ROW.items() if name not in ("garden", "built")},
    ],
)
def test_what_fits_is_given_back_as_it_is(row: dict[str, Any]) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"instances": [row, row]}, ensure_ascii=ascii_only).encode()
        assert CHECK.rows(body) == [row, row]


@pytest.mark.parametrize(
    ("row", "field", "value", "rule", "message"),
    [
        ({**ROW, "aera": 1}, "aera", 1, "known field", "no such field; did you mean area?"),
        ({**ROW, "zzz": "x"}, "zzz", "x", "known field", None),
        ({k: v for k, v in ROW.items() if k != "area"}, "area", None, "required", "missing (double)"),
        ({**ROW, "rooms": 2.5}, "rooms", 2.5, "type integer", "2.5 is no integer"),
        ({**ROW, "rooms": 2.0}, "rooms", 2.0, "type integer", "2.0 is no integer"),
        ({**ROW, "rooms": True}, "rooms", True, "type integer", "true is no integer"),
        ({**ROW, "rooms": 2**63}, "rooms", str(2**63), "type integer", f"{2**63} is beyond 64 bits"),
        ({**ROW, "area": -(2**63) - 1}, "area", str(-(2**63) - 1), "type double", f"{-(2**63) - 1} is beyond 64 bits"),
        ({**ROW, "rooms": None}, "rooms", None, "no null", "null, but a value is needed (integer)"),
        ({**ROW, "area": -1}, "area", -1, "minimum 0", "-1 is below the minimum, 0"),
        ({**ROW, "area": 1000.5}, "area", 1000.5, "maximum 1000", "1000.5 is above the maximum, 1000"),
        ({**ROW, "area": "large"}, "area", "large", "type double", '"large" is no double'),
        ({**ROW, "garden": 1}, "garden", 1, "type boolean", "1 is no boolean"),
        ({**ROW, "built": "2026-02-30"}, "built", "2026-02-30", "type timestamp", '"2026-02-30" is no timestamp'),
        ({**ROW, "built": "١٩٨٧-05-01"}, "built", "١٩٨٧-05-01", "type timestamp", '"١٩٨٧-05-01" is no timestamp'),
        ({**ROW, "built": "0001-01-01T00:00+05:00"}, "built", "0001-01-01T00:00+05:00", "type timestamp", None),
        ({**ROW, "prices": 1}, "prices", 1, "type array<double>", "1 is no array<double>"),
        ({**ROW, "prices": [1, None]}, "prices", "[1, null]", "type array<double>", "[1, null] is no array<double>"),
        ({**ROW, "prices": [1, 11]}, "prices", "[1, 11]", "maximum 10", "11 is above the maximum, 10"),
        ({**ROW, "heating": "\ud800"}, "heating", "\ud800", "text", None),
        ({**ROW, "tags": ["\udc00a"]}, "tags", '["\udc00a"]', "text", None),
    ],
)
def test_what_does_not_fit_is_named(row: Any, field: str, value: Any, rule: str, message: str | None) -> None:
    [problem] = refused(row)
    assert problem["field"] == f"instances[0].{field}"
    assert problem["value"] == value
    assert problem["rule"] == rule
    assert message is None or problem["message"] == message


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (1234567, "1234567"),
        (1234567.0, "1234567"),
        (-0.0, "0"),
        (0.1234567891, "0.1234567891"),
        (2**53 + 1, "9007199254740993"),
        (1e300, "1e+300"),
        (-1e-7, "-1e-07"),
    ],
)
def test_limits_are_told_to_the_last_digit(limit: float, told: str) -> None:
    """As JSON has them: whoever reads the rule can send the very number."""
    assert json.loads(told) == limit
    for name, value in (("minimum", -1e301), ("maximum", 1e301)):
        check = PayloadCheck({"inputs": [{"name": "x", "type": "double", name: limit}], "outputs": []})
        with pytest.raises(InvalidPayload) as refusal:
            check.rows(json.dumps({"instances": [{"x": value}]}).encode())
        [problem] = refusal.value.problems
        assert problem.rule == f"{name} {told}"
        assert problem.said.endswith(f" the {name}, {told}")


def test_a_row_that_is_no_object() -> None:
    [problem] = refused([1, 2])
    assert (problem["field"], problem["rule"]) == ("instances[0]", "object")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON: the body is empty"),
        (b"  \n", "not JSON: the body is empty"),
        (b"{", "not JSON: Expecting property name"),
        (b"\xff{}", "not JSON: byte 0 is no UTF-8"),
        ("{}".encode("utf-16"), "not JSON: byte 0 is no UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON: Unexpected UTF-8 BOM"),
        (b'{"instances": [{"area": NaN}]}', "not JSON: NaN is no JSON value; send null"),
        (b'{"instances": [{"area": -Infinity}]}', "not JSON: -Infinity is no JSON value"),
        (b'{"instances": [' + b"[" * 200_000, "not JSON that can be read: nested too deeply"),
        (b'{"instances": [{"area": ' + b"9" * 5000 + b"}]}", "a number of thousands of digits"),
        (b'{"instances": ["a\tb"]}', "not JSON: Invalid control character"),
    ],
)
def test_a_body_that_is_no_json(body: bytes, said: str) -> None:
    with pytest.raises(InvalidJson) as refusal:
        CHECK.rows(body)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"instances": [{"area": "x", "area": 46.5, "rooms": 2}]}', '"area"'),
        (b'{"instances": [{"\\u0061rea": 1, "area": 46.5}]}', '"area"'),
        (b'{"instances": [], "instances": [{}]}', '"instances"'),
        (b'{"instances": [{"a": {"b": 1, "c": 2, "b": 1}}]}', '"b"'),
        (b'{"' + b"n" * 100 + b'": 1, "' + b"n" * 100 + b'": 1}', f'"{"n" * 56}...'),
    ],
)
def test_a_name_that_stands_twice_in_one_object_is_refused(body: bytes, name: str) -> None:
    """Readers differ in which of the two they take: the container might see what was never checked."""
    with pytest.raises(InvalidJson) as refusal:
        CHECK.rows(body)
    assert str(refusal.value) == f"not JSON that is taken: {name} stands twice in one object"


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (b"[]", "", "list of rows"),
        (b"null", "", "list of rows"),
        (b'{"rows": []}', "instances", "list of rows"),
        (b'{"instances": {}}', "instances", "list of rows"),
        (b'{"instances": []}', "instances", "at least one row"),
    ],
)
def test_json_that_is_no_request(body: bytes, field: str, rule: str) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        CHECK.rows(body)
    [problem] = refusal.value.problems
    assert (problem.field, problem.rule, refusal.value.count) == (field, rule, 0)


def test_a_member_beside_instances_is_named() -> None:
    with pytest.raises(InvalidPayload) as refusal:
        CHECK.rows(json.dumps({"instances": [ROW], "signature_name": "x"}).encode())
    [problem] = refusal.value.problems
    assert (problem.field, problem.value, problem.rule) == ("signature_name", "x", "known field")
    assert (refusal.value.count, refusal.value.rows) == (1, 1)


def test_infinite_numbers_of_many_digits_are_no_double() -> None:
    for written in ("1e999", "-1e999"):
        body = json.dumps({"instances": [ROW]}).replace("46.5", written).encode()
        with pytest.raises(InvalidPayload) as refusal:
            CHECK.rows(body)
        assert refusal.value.problems[0].rule == "type double"


def test_ten_problems_are_told_and_all_are_counted() -> None:
    with pytest.raises(InvalidPayload) as refusal:
        CHECK.rows(json.dumps({"instances": [{}] * 30}).encode())
    assert len(refusal.value.problems) == MOST_PROBLEMS == 10
    assert (refusal.value.count, refusal.value.rows) == (90, 30)
    assert str(refusal.value) == "90 values do not fit the model's signature"


def test_the_place_for_the_log_never_has_a_name_that_the_signature_does_not_know() -> None:
    with pytest.raises(InvalidPayload) as refusal:
        CHECK.rows(json.dumps({"instances": [{**ROW, "jane@example.org": 1, "rooms": "x"}]}).encode())
    assert [problem.place for problem in refusal.value.problems] == ["instances[0]", "instances[0].rooms"]


def test_long_values_and_names_are_cut() -> None:
    [problem] = refused({**ROW, "heating": ["x" * 100_000] * 3})
    assert problem["value"] == f'["{"x" * 55}...'
    [problem] = refused({**ROW, "n" * 10_000: 1})
    assert problem["field"] == f"instances[0].{'n' * 57}..."


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
rows = st.fixed_dictionaries({}, optional={name: json_values for name in ROW} | {"other": json_values})


@given(body=st.binary(max_size=60))
def test_no_bytes_break_it(body: bytes) -> None:
    with pytest.raises((InvalidJson, InvalidPayload)):
        CHECK.rows(body)


@given(value=json_values | st.fixed_dictionaries({"instances": st.lists(json_values | rows, max_size=3)}))
def test_no_json_breaks_it(value: Any) -> None:
    try:
        CHECK.rows(json.dumps(value).encode())
    except (InvalidJson, InvalidPayload) as refusal:
        for problem in getattr(refusal, "problems", ()):
            json.dumps(problem.as_json(), allow_nan=False)
            assert problem.said


@given(st.lists(rows, min_size=1, max_size=3))
def test_refused_with_a_reason_or_taken(found: list[Any]) -> None:
    """The quick look and the long one agree: what is refused has a problem, what has none is taken."""
    try:
        body = json.dumps({"instances": found}, allow_nan=False).encode()
    except ValueError:
        return
    refusal = None
    try:
        assert CHECK.rows(body) == found
    except InvalidPayload as error:
        refusal = error
    if refusal is not None:
        assert refusal.count >= 1
        assert len(refusal.problems) == min(refusal.count, MOST_PROBLEMS)
