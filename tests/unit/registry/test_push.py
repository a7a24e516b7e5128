"""What a push makes of a model that does not load."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.registry.push import missing_artefact, not_trained

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


def test_a_model_that_was_not_trained_yet_says_how_it_is(tmp_path: Path) -> None:
    assert not_trained("iris", tmp_path, "model.joblib") == (
        f"{tmp_path}: no model.joblib, which its inference.py loads. What training makes is no part of git: train the "
        "model into this folder again, or give it a train.py, which a rehearsal runs (as examples/models/iris/train.py)"
    )
    (tmp_path / "train.py").write_text("")
    assert not_trained("iris", tmp_path, "model.joblib") == (
        f"{tmp_path}: no model.joblib, which its inference.py loads. What training makes is no part of git: run its "
        f"train.py with the image's versions, mainstage model python iris {tmp_path}/train.py --output build/iris, and "
        "push build/iris"
    )
