"""Serves the iris classifier.

A request is {"instances": [{field: value}, ...]}, an answer {"predictions": [{species, confidence}, ...]}.
"""

import json
import os

import joblib
import pandas

FIELDS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def model_fn(model_dir):
    """Called once, when the container starts."""
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def input_fn(body, content_type):
    """Called for every request: its body as rows."""
    if content_type.split(";")[0].strip() != "application/json":
        raise ValueError(f"Content-Type {content_type!r}; this model takes application/json")
    instances = json.loads(body)["instances"]
    for row in instances:
        # A misspelt field must not be taken for a missing value.
        if set(row) != set(FIELDS):
            raise ValueError(f"fields {sorted(row)} instead of {sorted(FIELDS)}")
    return pandas.DataFrame(instances, columns=FIELDS)


def predict_fn(rows, model):
    """One species a row, with the probability of the species that won."""
    probabilities = model.predict_proba(rows)
    winners = probabilities.argmax(axis=1)
    return [
        {"species": str(model.classes_[winner]), "confidence": float(row[winner])}
        for winner, row in zip(winners, probabilities, strict=True)
    ]


def output_fn(predictions, accept):
    return json.dumps({"predictions": predictions}), "application/json"
