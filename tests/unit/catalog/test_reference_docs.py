"""The generated parts of the documentation are up to date, and the committed model files fit their JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from infra import reference_docs
from infra.catalog import json_schema


@pytest.mark.parametrize("path", [*reference_docs.GUIDES, reference_docs.SCHEMA], ids=str)
def test_what_is_generated_is_up_to_date(root: Path, path: Path) -> None:
    expected = reference_docs.generated(root)[path]
    assert (root / path).read_text(encoding="utf-8") == expected, "run: python -m infra.reference_docs"


def test_every_field_stands_in_a_guide(root: Path) -> None:
    text = (root / "docs/guides/catalog.md").read_text(encoding="utf-8")
    for field in (
        "`model`",
        "`signature.inputs[].categories`",
        "`capacity.autoscaling.minimum`",
        "`environments.<env>.stable`",
    ):
        assert f"| {field} |" in text
    text = (root / "docs/guides/settings.md").read_text(encoding="utf-8")
    for field in (
        "`mainstage:account_id`",
        "`mainstage:network.existing.vpc_id`",
        "`mainstage:limits.maximum_instances`",
    ):
        assert f"| {field} |" in text
    assert "mainstage:environment`" not in text.split("<!-- fields")[1]


def accepts(document: Any) -> bool:
    return jsonschema.Draft202012Validator(json_schema()).is_valid(document)


def test_editors_accept_the_committed_files(root: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for path in sorted((root / "stacks" / "models").glob("*.yaml")):
        assert path.read_text(encoding="utf-8").startswith(
            "# yaml-language-server: $schema=../../docs/schemas/model.schema.json\n"
        )
        assert accepts(YAML(typ="safe", pure=True).load(path))


@pytest.mark.parametrize(
    "change",
    [
        {"stabel": 1},
        {"stable": 0},
        {"stable": "1"},
        {"runtime": "sklearn"},
        {"keep": ["6"]},
        {"environments": {"production": {}}},
        {"environments": {"prod": {"signature": {}}}},
        {"environments": {"prod": {"capacity": {"instances": 2}}}},
        {"rollout": {"strategy": "blue-green"}},
    ],
)
def test_editors_refuse_what_the_loader_refuses(root: Path, change: dict[str, object]) -> None:
    document = YAML(typ="safe", pure=True).load(root / "stacks" / "models" / "iris.yaml")
    assert not accepts({**document, **change})


def test_editors_accept_kept_versions_in_both_forms_and_partial_overlays(root: Path) -> None:
    document = YAML(typ="safe", pure=True).load(root / "stacks" / "models" / "iris.yaml")
    overlay = {"capacity": {"instance_count": 4}, "keep": [3, {"version": 2}], "slo": {"p99_ms": 9}, "capture": None}
    kept = [6, {"version": 5, "runtime": "sklearn-1.2-1"}]
    assert accepts({**document, "keep": kept, "environments": {"prod": overlay}})
    assert json.dumps(json_schema()) == json.dumps(json_schema())
