"""What a push makes of a model that does not load."""

from __future__ import annotations

import pytest

from infra.registry.push import missing_artefact

HOST = "/tmp/mainstage-check-1/host/check-2/opt/ml/model"


@pytest.mark.parametrize(
    ("problem", "missing"),
    [
        (
            f"model_fn raised FileNotFoundError: [Errno 2] No such file or directory: '{HOST}/model.joblib' "
            "(inference.py line 2). The container's log ends:\n  Traceback",
            "model.joblib",
        ),
        (f"model_fn raised FileNotFoundError: [Errno 2] No such file: '{HOST}/words/a b.txt'", "words/a b.txt"),
        ("model_fn raised FileNotFoundError: [Errno 2] No such file or directory: '/etc/words.txt'", None),
        ("model_fn raised FileNotFoundError: words", None),
        (f"model_fn raised ValueError: '{HOST}/model.joblib' is torn", None),
        (f"it says\nmodel_fn raised FileNotFoundError: '{HOST}/model.joblib'", None),
    ],
)
def test_the_artefact_that_is_missing_is_named(problem: str, missing: str | None) -> None:
    assert missing_artefact(problem) == missing
