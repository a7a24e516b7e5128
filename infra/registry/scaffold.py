"""Writes the two files that an ML engineer brings: the model's `inference.py` and its catalog file.

The scaffold serves any scikit-learn estimator or Pipeline saved as `model.joblib`: rows come in as
{"instances": [{field: value}, ...]} and go out as {"predictions": [{output: value}, ...]}.
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from infra.catalog.names import MAXIMUM_MODEL_NAME, MODEL_NAME_PATTERN
from infra.registry.infer import Field, Inferred

DEFAULT_PRESET = "sklearn-1.4-2"
CONFIDENCE = "confidence"
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
"""Names that YAML reads as something else, so they are quoted."""

_INFERENCE = Template('''"""Serves $model.

SageMaker calls model_fn once, then input_fn, predict_fn and output_fn for every request.

Change what you like; the file is yours. A request is {"instances": [{field: value}, ...]},
an answer is {"predictions": [{$answer}, ...]}.
"""

import json
import os

import joblib
import pandas

INPUTS = $inputs


def model_fn(model_dir):
    """Loads what training saved with joblib.dump(model, "model.joblib")."""
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def input_fn(body, content_type):
    """Turns a request into rows, one column a field of the signature; a null is NaN, and so is a field left out.

    The front door has held the request against the signature already: what has to be there is there.
    """
    if content_type.split(";")[0].strip() != "application/json":
        raise ValueError("Content-Type %r; this model takes application/json" % content_type)
    instances = json.loads(body)["instances"]
    for row in instances:
        # A misspelt field must not be taken for one left out.
        if not set(row) <= set(INPUTS):
            raise ValueError("fields %s beside %s" % (sorted(set(row) - set(INPUTS)), sorted(INPUTS)))
    rows = pandas.DataFrame(instances, columns=INPUTS)
$timestamps    return rows


${in_utc}def predict_fn(rows, model):
    """Asks the model for one answer a row."""
    features = rows
    if not hasattr(model, "feature_names_in_"):
$nameless
    labels = model.predict(features)
$predictions


def output_fn(predictions, accept):
    return json.dumps({"predictions": predictions}), "application/json"
''')

# Value by value: rows of one request may write the time differently, and the pandas of older images (1.1) has no
# format="ISO8601", which takes a column of such at once.
_IN_UTC = '''def in_utc(texts):
    """Timestamps as the front door takes them, days or times with or without an offset, as a column in UTC."""
    return pandas.to_datetime([pandas.to_datetime(text, utc=True) for text in texts], utc=True)


'''

_ONE_TEXT = """        # Trained on a list of texts.
        features = rows[INPUTS[0]]"""

_MATRIX = """        # Trained without column names, on a plain matrix.
        features = rows.to_numpy()"""

_WITH_CONFIDENCE = """    answers = [{"$output": getattr(label, "item", lambda: label)()} for label in labels]
    if hasattr(model, "predict_proba"):
        for answer, row in zip(answers, model.predict_proba(features)):
            answer["confidence"] = float(row.max())
    return answers"""

_PLAIN = """    return [{"$output": getattr(label, "item", lambda: label)()} for label in labels]"""


class ScaffoldError(ValueError):
    """Something in the way of a scaffold; the message names the file or the name and the fix."""


@dataclass(frozen=True)
class Scaffold:
    inference: Path
    catalog: Path
    sample_request: str
    """One request body (JSON) that the signature takes."""


def scaffold(
    name: str,
    *,
    root: Path,
    folder: Path,
    inferred: Inferred | None,
    preset: str = DEFAULT_PRESET,
    owner: str = "",
    instances: Mapping[str, int] | None = None,
) -> Scaffold:
    """Writes `folder`/inference.py and stacks/models/<name>.yaml; both or neither.

    `instances` are the fewest that each environment allows. Without a sample the signature has one numeric input `x`
    and one output, to be edited. Raises ScaffoldError when one of the files is there already or the name cannot be a
    model's.
    """
    if not re.fullmatch(MODEL_NAME_PATTERN, name) or len(name) > MAXIMUM_MODEL_NAME:
        raise ScaffoldError(
            f"model name {name!r}: allowed are small letters, digits and single hyphens, first a letter, "
            f"at most {MAXIMUM_MODEL_NAME} characters (it becomes part of AWS names)"
        )
    catalog = root / "stacks" / "models" / f"{name}.yaml"
    inference = folder / "inference.py"
    for path in (catalog, inference):
        if path.exists():
            raise ScaffoldError(f"{path}: is there already; remove it, or choose another name or --folder")
    inputs = inferred.inputs if inferred else (Field("x", "double"),)
    outputs = _outputs(inferred)
    example = dict(inferred.example) if inferred else {"x": 1.0}
    inference_text = render_inference(name, inputs, outputs)
    catalog_text = render_catalog(
        name, inputs, outputs, preset=preset, owner=owner or _user(), instances=instances or {}
    )
    folder.mkdir(parents=True, exist_ok=True)
    catalog.parent.mkdir(parents=True, exist_ok=True)
    inference.write_text(inference_text, encoding="utf-8")
    try:
        catalog.write_text(catalog_text, encoding="utf-8")
    except OSError:
        inference.unlink()
        raise
    return Scaffold(inference, catalog, json.dumps({"instances": [example]}, ensure_ascii=False))


def _outputs(inferred: Inferred | None) -> tuple[Field, ...]:
    targets = inferred.outputs if inferred and inferred.outputs else (Field("prediction", "double"),)
    # A class label comes with the probability of the class that won; a number does not.
    is_label = targets[0].type in ("string", "boolean", "integer")
    return (*targets[:1], Field(CONFIDENCE, "double", nullable=True)) if is_label else targets[:1]


def render_inference(name: str, inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> str:
    """The text of inference.py."""
    with_confidence = any(field.name == CONFIDENCE for field in outputs[1:])
    predictions = Template(_WITH_CONFIDENCE if with_confidence else _PLAIN).substitute(output=outputs[0].name)
    return _INFERENCE.substitute(
        model=name,
        answer=", ".join(field.name for field in outputs),
        inputs=_python_list([field.name for field in inputs]),
        timestamps="".join(
            f'    rows["{field.name}"] = in_utc(rows["{field.name}"])\n'
            for field in inputs
            if field.type == "timestamp"
        ),
        in_utc=_IN_UTC if any(field.type == "timestamp" for field in inputs) else "",
        nameless=_ONE_TEXT if len(inputs) == 1 and inputs[0].type == "string" else _MATRIX,
        predictions=predictions,
    )


def _python_list(names: list[str]) -> str:
    return json.dumps(names) if len(json.dumps(names)) < 100 else "[\n" + "".join(f'    "{n}",\n' for n in names) + "]"


def render_catalog(
    name: str,
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    *,
    preset: str,
    owner: str,
    instances: Mapping[str, int],
) -> str:
    """The text of stacks/models/<name>.yaml: awaiting its first version, every field that matters said."""
    lines = [
        "# yaml-language-server: $schema=../../docs/schemas/model.schema.json",
        f"model: {name}",
        f"owner: {json.dumps(owner, ensure_ascii=False)}",
        "backend: sagemaker",
        f"runtime: {preset}",
        "",
        "# What a request and an answer look like.",
        "signature:",
        "  inputs:",
        *(_field_line(field) for field in inputs),
        "  outputs:",
        *(_field_line(field) for field in outputs),
    ]
    if any(field.name == CONFIDENCE for field in outputs[1:]):
        lines.append(f"  confidence: {CONFIDENCE}")
    lines += [
        "",
        "# Which version serves. `awaiting: true` is none yet; `mainstage model promote` puts one here.",
        "awaiting: true",
        "",
        "capacity:",
        "  instance_type: ml.m5.large",
        "  instance_count: 1",
        "",
        "# Guard alarms take these limits: a release that breaks them is taken back.",
        "slo:",
        "  p95_ms: 200",
        "  p99_ms: 500",
        "  error_ratio: 0.01",
        "",
    ]
    if overlays := {environment: count for environment, count in instances.items() if count > 1}:
        lines += ["environments:"]
        for environment, count in overlays.items():
            lines += [f"  {environment}:", f"    capacity: {{instance_count: {count}}}"]
        lines.append("")
    return "\n".join(lines)


def _field_line(field: Field) -> str:
    name = json.dumps(field.name) if field.name.lower() in _YAML_WORDS else field.name
    parts = [f"name: {name}", f"type: {field.type}"]
    if field.nullable:
        parts.append("nullable: true")
    if field.categories:
        parts.append(
            "categories: [" + ", ".join(json.dumps(value, ensure_ascii=False) for value in field.categories) + "]"
        )
    return "    - {" + ", ".join(parts) + "}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry for this user id, as in some containers
        return "unknown"
