"""Whatever signature is accepted, by the catalog or by a component, its log has each column once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mainstage._resolve import ComponentArgsError, Reader
from mainstage._signature_args import SignatureArgs, read_signature
from mainstage_runtime.record import FIELDS, columns, taken_column
from mainstage_runtime.record_check import RecordCheck
from pydantic import ValidationError
from typing_extensions import TypedDict

from infra.catalog import Signature

TAILS = [tail for field in FIELDS for tail in (field.name, field.name.partition("_")[2]) if tail]
"""Names that might meet a column of every record."""

names = st.sampled_from(sorted({*TAILS, *(tail.upper() for tail in TAILS), "a", "A", "b"}))
actions = st.sampled_from(["hash", "drop"])
fields = st.fixed_dictionaries({"name": names, "type": st.just("double")}, optional={"pii": actions})
sides = st.lists(fields, min_size=1, max_size=3)
signatures = st.fixed_dictionaries({"inputs": sides, "outputs": sides})
ONE = [{"name": "a", "type": "double"}]


class _Args(TypedDict):
    signature: SignatureArgs


def by_component(signature: dict[str, Any]) -> dict[str, Any] | None:
    reader = Reader("Thing", "thing", {"signature": signature}, _Args)
    found = read_signature(reader, "signature")
    try:
        reader.finish()
    except ComponentArgsError:
        return None
    return found


def by_catalog(signature: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return Signature.model_validate(signature).model_dump()
    except ValidationError:
        return None


@given(signatures)
@example({"inputs": [{"name": "bytes", "type": "double"}], "outputs": ONE})
@example({"inputs": [{"name": "SHA256", "type": "double"}], "outputs": ONE})
@example({"inputs": ONE, "outputs": [{"name": "bytes", "type": "double"}]})
def test_the_columns_of_an_accepted_signature_are_unique(signature: dict[str, Any]) -> None:
    found = by_catalog(signature)
    assert (by_component(signature) is None) == (found is None)
    if found is not None:
        names = [column.name for column in columns(found)]
        assert len(names) == len(set(names))
        RecordCheck(found, model="m", log_name="dev-m")


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_exactly_the_columns_of_every_record_are_taken(side: str) -> None:
    taken = {tail for tail in TAILS if taken_column(side, tail)}
    assert taken == {"inputs": {"bytes", "sha256"}, "outputs": {"bytes"}}[side]
