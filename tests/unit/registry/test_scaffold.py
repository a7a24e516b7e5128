"""The two files that `mainstage model new` writes."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from infra.catalog import load_catalog
from infra.registry.infer import Field, infer
from infra.registry.scaffold import ScaffoldError, render_inference, scaffold


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "stacks" / "models").mkdir(parents=True)
    return tmp_path


def test_the_scaffold_of_a_sample_is_a_valid_catalog_file(checkout: Path) -> None:
    sample = checkout / "rows.csv"
    sample.write_text("months,plan,churned\n" + "5,basic,yes\n7,pro,no\n" * 10)
    made = scaffold(
        "churn", root=checkout, folder=checkout / "churn", inferred=infer(sample, ["churned"]), owner="growth"
    )
    model = load_catalog(checkout, "dev").models["churn"]
    assert model.awaiting
    assert model.owner == "growth"
    assert [(field.name, field.type) for field in model.signature.inputs] == [("months", "integer"), ("plan", "string")]
    assert [(field.name, field.type) for field in model.signature.outputs] == [
        ("churned", "string"),
        ("confidence", "double"),
    ]
    assert model.signature.confidence == "confidence"
    assert json.loads(made.sample_request) == {"instances": [{"months": 5, "plan": "basic"}]}
    assert "predict_proba" in made.inference.read_text()


def test_without_a_sample_it_is_valid_too(checkout: Path) -> None:
    made = scaffold("price", root=checkout, folder=checkout / "price", inferred=None)
    model = load_catalog(checkout, "dev").models["price"]
    assert [(field.name, field.type) for field in model.signature.outputs] == [("prediction", "double")]
    assert "predict_proba" not in made.inference.read_text()


@pytest.mark.parametrize(
    "inputs",
    [
        (Field("x", "double"),),
        (Field("text", "string"),),
        tuple(Field(f"a_rather_long_feature_name_{number}", "double") for number in range(40)),
        (Field("when", "timestamp"), Field("n", "integer")),
    ],
)
@pytest.mark.parametrize(
    "outputs", [(Field("label", "string"), Field("confidence", "double")), (Field("value", "double"),)]
)
def test_the_rendered_code_is_python(inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> None:
    tree = ast.parse(render_inference("demo", inputs, outputs))
    assert {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} == {
        "model_fn",
        "input_fn",
        "predict_fn",
        "output_fn",
        *(["in_utc"] if any(field.type == "timestamp" for field in inputs) else []),
    }


@pytest.mark.parametrize("name", ["", "Churn", "1st", "a--b", "a-", "über", "x" * 40, "a/../b"])
def test_a_bad_name_is_refused(checkout: Path, name: str) -> None:
    with pytest.raises(ScaffoldError, match="allowed are small letters"):
        scaffold(name, root=checkout, folder=checkout / "m", inferred=None)
    assert not (checkout / "m").exists()


def test_nothing_is_overwritten_and_nothing_half_done(checkout: Path) -> None:
    (checkout / "stacks" / "models" / "churn.yaml").write_text("mine\n")
    with pytest.raises(ScaffoldError, match="is there already"):
        scaffold("churn", root=checkout, folder=checkout / "churn", inferred=None)
    assert (checkout / "stacks" / "models" / "churn.yaml").read_text() == "mine\n"
    assert not (checkout / "churn").exists()
