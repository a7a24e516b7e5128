"""Versions of a drill's model: the same tiny code, behaving as a file in the version's own archive says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

INFERENCE = '''\
"""A drill's model. What it does is in behaviour.json of its archive; `answered_by` is the archive's own number."""

import itertools
import json
import os
import time


def model_fn(model_dir):
    with open(os.path.join(model_dir, "behaviour.json")) as file:
        behaviour = json.load(file)
    if behaviour["crashes"]:
        print("no such weights: ending")
        os._exit(3)
    if behaviour["never_ready"]:
        time.sleep(3600)
    return {**behaviour, "calls": itertools.count(1)}


def input_fn(body, content_type):
    return json.loads(body)["instances"]


def predict_fn(rows, model):
    number = next(model["calls"])
    if model["fails_every"] and number % model["fails_every"] == 0:
        raise RuntimeError(f"call {number}: a table that this version needs is not there")
    if model["slow_every"] and number % model["slow_every"] == 0:
        time.sleep(model["slow_seconds"])
    return [{"answered_by": model["version"], "score": 0.5} for _ in rows]


def output_fn(predictions, accept):
    return json.dumps({"predictions": predictions}), "application/json"
'''


@dataclass(frozen=True)
class Behaviour:
    """How a version behaves. Nothing set: well."""

    fails_every: int = 0
    """Each so many requests of a container one fails; 0 for none."""
    slow_every: int = 0
    slow_seconds: float = 0.0
    crashes: bool = False
    """Ends while it loads."""
    never_ready: bool = False
    """Loads for ever."""

    def write(self, folder: Path, version: int) -> Path:
        """Writes the folder that is registered as this version."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "inference.py").write_text(INFERENCE, encoding="utf-8")
        values = {**asdict(self), "version": version}
        (folder / "behaviour.json").write_text(json.dumps(values, sort_keys=True), encoding="utf-8")
        return folder


SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "amount", "type": "double", "minimum": 0, "maximum": 100}],
    "outputs": [
        {"name": "answered_by", "type": "integer", "minimum": 1},
        {"name": "score", "type": "double", "minimum": 0, "maximum": 1},
    ],
    "confidence": "score",
}
SLO: dict[str, Any] = {
    "p95_ms": 3000,
    "p99_ms": 4000,
    "front_door_p99_ms": 8000,
    "error_ratio": 0.01,
    "minimum_requests": 10,
}
"""Wide limits: a drill runs on any machine, beside anything. What a drill is about it sets itself."""
REQUEST = json.dumps({"instances": [{"amount": 42.0}]}).encode()


def catalog_text(model: str, **asked: Any) -> str:
    """A model file. `asked` takes the place of single keys of it; None leaves one out."""
    values: dict[str, Any] = {
        "model": model,
        "owner": "drills",
        "runtime": "sklearn-1.4-2",
        "signature": SIGNATURE,
        "awaiting": True,
        "capacity": {"instance_type": "ml.m5.large", "instance_count": 2},
        "rollout": {"strategy": "canary", "percent": 50, "bake_minutes": 5},
        "slo": {**SLO},
        **asked,
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join(["# Written by a drill.", *lines, ""])
