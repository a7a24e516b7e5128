"""Which version answered: the entry point of the archive and the stand-in of its container, together."""

from __future__ import annotations

from pathlib import Path

import mainstage_runtime
import pytest
from mainstage.runtime_presets import ENTRY_POINT, container_environment, preset_named

ENTRY = Path(mainstage_runtime.__file__).with_name("entrypoint.py").read_text()
ENVIRONMENT = container_environment(preset_named("sklearn-1.4-2"), 7)

DEFAULTS = """
    class Double:
        def predict(self, rows):
            return rows * 2

    def model_fn(model_dir):
        return Double()
"""
OUTPUT = (
    DEFAULTS
    + """
    def output_fn(prediction, accept):
        return f"{prediction.tolist()} ü", accept
"""
)
TRANSFORM = """
    def model_fn(model_dir):
        return None

    def transform_fn(model, body, content_type, accept):
        return body, "text/plain"
"""


@pytest.mark.parametrize(
    ("inference", "body"),
    [(DEFAULTS, "[[2.0, 4.0]]"), (OUTPUT, "[[2.0, 4.0]] ü"), (TRANSFORM, "[[1, 2]]")],
)
def test_every_kind_of_inference_reports_its_version(serve, inference, body):
    host = serve(inference, files={f"code/{ENTRY_POINT}": ENTRY}, environment=ENVIRONMENT)
    answer = host.invoke(b"[[1, 2]]", content_type="application/json", accept="application/json")
    assert (answer.status, answer.body.decode(), answer.custom_attributes) == (200, body, "mainstage-version=7")


def test_without_the_entry_point_the_version_is_unknown(serve):
    host = serve(OUTPUT, environment={"MAINSTAGE_MODEL_VERSION": "7"})
    answer = host.invoke(b"[[1, 2]]", content_type="application/json", accept="application/json")
    assert (answer.status, answer.custom_attributes) == (200, "")
