"""A request held against a signature: what fits passes, what does not is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.catalog import Signature
from infra.catalog.requests import request_problems

SIGNATURE = Signature.model_validate(
    {
        "inputs": [
            {"name": "area_m2", "type": "double", "minimum": 0, "maximum": 1000},
            {"name": "rooms", "type": "integer"},
            {"name": "garden", "type": "boolean", "required": False},
            {"name": "built", "type": "timestamp", "nullable": True},
            {"name": "heating", "type": "string", "categories": ["gas", "pump"]},
        ],
        "outputs": [{"name": "price", "type": "double"}],
    }
)
ROW = {"area_m2": 46.5, "rooms": 2, "garden": True, "built": "1987-05-01", "heating": "gas"}


def problems(row: Any) -> list[str]:
    return request_problems(SIGNATURE, json.dumps({"instances": [row]}).encode())


def test_a_row_that_fits_passes() -> None:
    assert problems(ROW) == []
    assert problems({**ROW, "built": None, "heating": "wood: a category never seen", "area_m2": 46}) == []
    assert problems({name: value for name, value in ROW.items() if name != "garden"}) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**ROW, "area": 46.5}, ["instances[0].area: no such field; did you mean area_m2?"]),
        ({"rooms": 2, "built": None, "heating": "gas"}, ["instances[0].area_m2: missing (double)"]),
        ({**ROW, "rooms": 2.5}, ["instances[0].rooms: 2.5 is no integer"]),
        ({**ROW, "rooms": True}, ["instances[0].rooms: true is no integer"]),
        ({**ROW, "rooms": None}, ["instances[0].rooms: null, but a value is needed (integer)"]),
        ({**ROW, "area_m2": "large"}, ['instances[0].area_m2: "large" is no double']),
        ({**ROW, "area_m2": -1}, ["instances[0].area_m2: -1 is below the minimum, 0"]),
        ({**ROW, "area_m2": 1001}, ["instances[0].area_m2: 1001 is above the maximum, 1000"]),
        ({**ROW, "built": "May 1987"}, ['instances[0].built: "May 1987" is no timestamp']),
        ({**ROW, "garden": "yes"}, ['instances[0].garden: "yes" is no boolean']),
        ([1, 2], ["instances[0]: [1, 2] instead of an object of field names and values"]),
    ],
)
def test_what_does_not_fit_is_named(row: Any, said: list[str]) -> None:
    assert problems(row) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"instances": [{"area_m2": NaN}]}', "NaN is no JSON value; send null"),
        (b"[]", "a request is an object"),
        (b"null", "a request is an object"),
        (b'{"rows": []}', "a request is an object"),
        (b'{"instances": []}', "instances is empty"),
    ],
)
def test_a_body_that_is_no_request_is_named(body: bytes, said: str) -> None:
    [problem] = request_problems(SIGNATURE, body)
    assert said in problem


def test_many_problems_are_counted() -> None:
    body = json.dumps({"instances": [{}] * 30}).encode()
    found = request_problems(SIGNATURE, body)
    assert len(found) == 11
    assert found[-1] == "and 80 more"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=json_values)
def test_no_json_breaks_it(value: Any) -> None:
    assert all(isinstance(problem, str) for problem in request_problems(SIGNATURE, json.dumps(value).encode()))
    assert request_problems(SIGNATURE, json.dumps({"instances": [value]}).encode()) != []


@given(st.binary(max_size=50))
def test_no_bytes_break_it(body: bytes) -> None:
    assert request_problems(SIGNATURE, body) != []
