"""What other languages see of the library. The diff of the golden file is the review.

Regenerate it after a wanted change: UPDATE_GOLDENS=1 python -m pytest -n0 tests/components/test_schema.py
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import mainstage
import pulumi
import pytest
from pulumi.provider.experimental.component import ComponentProvider

GOLDEN = Path(__file__).resolve().parents[1] / "goldens" / "schema.json"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema as the component host makes it: of every component in the package's namespace."""
    components = [
        member
        for _, member in inspect.getmembers(mainstage, inspect.isclass)
        if issubclass(member, pulumi.ComponentResource)
    ]
    text = ComponentProvider(components, "mainstage", version="0.0.0").schema
    assert text is not None
    return json.loads(text)


def test_the_schema_is_the_golden_one(schema: dict[str, Any]) -> None:
    text = json.dumps(schema, indent=2, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDENS") == "1":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "the schema has changed; if that is wanted, see the top of this file"


def test_every_component_is_there(schema: dict[str, Any]) -> None:
    names = sorted(token.rpartition(":")[2] for token in schema["resources"])
    assert names == sorted(name for name in mainstage.__all__ if not name.endswith(("Args", "Identity")))
    assert all(resource["isComponent"] for resource in schema["resources"].values())


def test_no_argument_is_an_integer(schema: dict[str, Any]) -> None:
    """The host fails on an integer that is an Output; numbers are floats."""
    assert '"type": "integer"' not in json.dumps(schema)


def test_every_argument_and_output_says_what_it_is(schema: dict[str, Any]) -> None:
    """The four that all components share are described in the library's README: the host reads no inherited docs."""
    shared = {"accountId", "region", "partition", "tags"}
    silent = [
        f"{token}.{name}"
        for token, resource in schema["resources"].items()
        for name, prop in {**resource["inputProperties"], **resource["properties"]}.items()
        if name not in shared and not prop.get("description")
    ]
    silent += [
        f"{token}.{name}"
        for token, type_ in schema["types"].items()
        for name, prop in type_["properties"].items()
        if not prop.get("description")
    ]
    assert silent == []


def test_no_nested_type_is_empty(schema: dict[str, Any]) -> None:
    """Provider argument classes come out as empty objects, silently."""
    assert [token for token, type_ in schema["types"].items() if not type_["properties"]] == []
