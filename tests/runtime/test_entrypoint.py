"""The entry point that reports a model's version: loaded as the container loads it, beside an `inference.py`."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mainstage_runtime
import pytest
from mainstage.runtime_presets import ENTRY_POINT, MODEL_VERSION_VARIABLE, VERSION_ATTRIBUTE

SOURCE = Path(mainstage_runtime.__file__).with_name("entrypoint.py")
HEADER = "X-Amzn-SageMaker-Custom-Attributes"
LIBRARY = "sagemaker_containers.beta.framework"
MODEL = "def model_fn(model_dir):\n    return model_dir\n"
PREDICT = MODEL + "def predict_fn(data, model):\n    return [data, model]\n"


class Response:
    """Stands in for the container's Response, a flask.Response."""

    def __init__(self, response: Any = None, status: int = 200, headers: Any = None, mimetype: str | None = None):
        self.response, self.status, self.mimetype = response, status, mimetype
        self.headers: dict[str, str] = dict(headers or {})


class UnsupportedFormatError(Exception):
    """Stands in for the container's error of the same name."""


def encode(array_like: Any, content_type: str) -> str:
    if content_type != "application/json":
        raise UnsupportedFormatError(content_type)
    return json.dumps(array_like)


Load = Callable[..., types.ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the entry point beside the given `inference.py`, inside an image with or without the serving library."""

    def loaded(
        inference: str, *, version: str | None = "7", library: tuple[str, ...] = ("worker", "encoders", "errors")
    ):
        (tmp_path / "inference.py").write_text(inference)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "inference", raising=False)
        if version is None:
            monkeypatch.delenv("MAINSTAGE_MODEL_VERSION", raising=False)
        else:
            monkeypatch.setenv("MAINSTAGE_MODEL_VERSION", version)
        members = {
            "worker": {"Response": Response},
            "encoders": {"encode": encode},
            "errors": {"UnsupportedFormatError": UnsupportedFormatError},
        }
        if library:
            for name in ("sagemaker_containers", "sagemaker_containers.beta", LIBRARY):
                package = types.ModuleType(name)
                package.__path__ = []
                monkeypatch.setitem(sys.modules, name, package)
        for name in library:
            module = types.ModuleType(f"{LIBRARY}.{name}")
            module.__dict__.update(members[name])
            monkeypatch.setitem(sys.modules, f"{LIBRARY}.{name}", module)
        spec = importlib.util.spec_from_file_location("mainstage_entrypoint", SOURCE)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.delitem(sys.modules, "inference", raising=False)
        return module

    return loaded


def found(module: types.ModuleType) -> set[str]:
    names = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn", "execution_parameters_fn")
    return {name for name in names if hasattr(module, name)}


@pytest.mark.parametrize(
    ("returned", "body", "mimetype"),
    [
        ("('[1]', 'application/json')", "[1]", "application/json"),
        ("('a,b', 'text/csv')", "a,b", "text/csv"),
        ("'plain'", "plain", "text/html"),
        ("b'raw'", b"raw", "text/html"),
        ("{'a': 1}", '{"a": 1}', "application/json"),
    ],
)
def test_every_kind_of_answer_carries_the_version(load: Load, returned: str, body: Any, mimetype: str) -> None:
    answer = load(PREDICT + f"def output_fn(prediction, accept):\n    return {returned}\n").output_fn([1], "*/*")
    assert (answer.response, answer.mimetype, answer.status) == (body, mimetype, 200)
    assert answer.headers == {HEADER: "mainstage-version=7"}


def test_a_response_of_ones_own_keeps_status_and_attributes(load: Load) -> None:
    source = PREDICT + (
        f"from {LIBRARY}.worker import Response\n"
        "def output_fn(prediction, accept):\n"
        f"    return Response('no', status=422, headers={{'{HEADER}': 'trace=1', 'X-Own': 'kept'}})\n"
    )
    answer = load(source).output_fn([1], "application/json")
    assert (answer.response, answer.status) == ("no", 422)
    assert answer.headers == {HEADER: "trace=1;mainstage-version=7", "X-Own": "kept"}


def test_attributes_that_would_get_too_long_stay_as_they_are(load: Load) -> None:
    own = "x" * 1010
    source = PREDICT + (
        f"from {LIBRARY}.worker import Response\n"
        f"def output_fn(prediction, accept):\n    return Response('', headers={{'{HEADER}': '{own}'}})\n"
    )
    assert load(source).output_fn([1], "").headers == {HEADER: own}


def test_the_containers_output_function_reports_too(load: Load) -> None:
    answer = load(PREDICT).output_fn([1, 2], "application/json")
    assert (answer.response, answer.mimetype) == ("[1, 2]", "application/json")
    assert answer.headers == {HEADER: "mainstage-version=7"}


def test_a_type_that_the_container_cannot_write_is_406(load: Load) -> None:
    answer = load(PREDICT).output_fn([1, 2], "image/png")
    assert answer.status == 406
    assert json.loads(answer.response) == {"error": "UnsupportedFormatError", "error-message": "image/png"}
    assert answer.headers == {HEADER: "mainstage-version=7"}


def test_transform_fn_is_wrapped_and_nothing_stands_beside_it(load: Load) -> None:
    source = MODEL + "def transform_fn(model, content, content_type, accept):\n    return content.upper(), accept\n"
    module = load(source)
    assert found(module) == {"model_fn", "transform_fn"}
    answer = module.transform_fn("m", "abc", "text/plain", "text/plain")
    assert (answer.response, answer.mimetype) == ("ABC", "text/plain")
    assert answer.headers == {HEADER: "mainstage-version=7"}


def test_the_other_functions_are_the_persons_own(load: Load) -> None:
    source = PREDICT + "def input_fn(data, content_type):\n    return data\n"
    module = load(source + "def output_fn(prediction, accept):\n    return '', accept\n")
    assert found(module) == {"model_fn", "input_fn", "predict_fn", "output_fn"}
    for name in ("model_fn", "input_fn", "predict_fn"):
        assert getattr(module, name).__module__ == "inference"
    assert module.predict_fn(1, 2) == [1, 2]
    assert module.output_fn.__name__ == "output_fn"


def test_what_is_no_answer_goes_through_to_the_containers_own_error(load: Load) -> None:
    assert load(PREDICT + "def output_fn(prediction, accept):\n    return 5\n").output_fn([1], "") == 5


@pytest.mark.parametrize(
    ("version", "library"),
    [(None, ("worker", "encoders", "errors")), ("", ("worker", "encoders", "errors")), ("7", ()), ("7", ("encoders",))],
)
def test_without_a_version_or_a_response_class_answers_go_out_as_they_are(
    load: Load, version: str | None, library: tuple[str, ...]
) -> None:
    module = load(
        PREDICT + "def output_fn(prediction, accept):\n    return 'x', accept\n", version=version, library=library
    )
    assert module.output_fn([1], "text/csv") == ("x", "text/csv")
    assert module.output_fn.__module__ == "inference"
    assert found(load(PREDICT, version=version, library=library)) == {"model_fn", "predict_fn"}


def test_without_the_containers_encoders_its_default_is_left_alone(load: Load) -> None:
    assert found(load(PREDICT, library=("worker",))) == {"model_fn", "predict_fn"}


def test_an_error_of_the_persons_file_comes_out_unchanged(load: Load) -> None:
    with pytest.raises(ZeroDivisionError):
        load("1 / 0\n")
    with pytest.raises(KeyError, match="row"):
        load(PREDICT + "def output_fn(prediction, accept):\n    raise KeyError('row')\n").output_fn([1], "")


def test_it_speaks_of_the_version_as_the_presets_do() -> None:
    source = SOURCE.read_text()
    assert f'os.environ.get("{MODEL_VERSION_VARIABLE}", "")' in source
    assert f'f"{VERSION_ATTRIBUTE}={{VERSION}}"' in source
    assert ENTRY_POINT in source


def test_the_file_takes_nothing_but_the_standard_library() -> None:
    imported = [line for line in SOURCE.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert imported == ["import importlib", "import json", "import os", "from typing import Any"]
    compile(SOURCE.read_text(), str(SOURCE), "exec", dont_inherit=True)
