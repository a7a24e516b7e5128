"""No false alarms: calls as a platform really makes them (calls/*.yaml) find nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.rehearsal.cloud.validator import validate

FILES = sorted((Path(__file__).parent / "calls").glob("*.yaml"))
CALLS = [entry for file in FILES for entry in YAML(typ="safe").load(file)]


def _named(entry: Any) -> str:
    return entry["call"]


def _without_each_member(value: Any) -> Iterator[Any]:
    """The value, once for each member of a structure anywhere in it, without that member."""
    if isinstance(value, dict):
        for name, member in value.items():
            rest = {key: other for key, other in value.items() if key != name}
            yield rest
            yield from ({**rest, name: pruned} for pruned in _without_each_member(member))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            for pruned in _without_each_member(item):
                yield [*value[:index], pruned, *value[index + 1 :]]


def test_there_are_calls_enough():
    assert len(CALLS) >= 60


@pytest.mark.parametrize("entry", CALLS, ids=_named)
def test_a_realistic_call_finds_nothing(entry: dict[str, Any]):
    service, operation = entry["call"].split(".")
    assert validate(service, operation, entry["params"]) == []


@pytest.mark.parametrize("entry", CALLS, ids=_named)
def test_with_any_one_member_unknown_it_still_finds_nothing(entry: dict[str, Any]):
    service, operation = entry["call"].split(".")
    for pruned in _without_each_member(entry["params"]):
        assert validate(service, operation, pruned, partial=True) == []
