"""Real archives, real processes, the real environment of the preset (built once a machine)."""

from __future__ import annotations

import io
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from mainstage.runtime_presets import image_uri, preset_named

from infra.rehearsal.cloud.model_host import HostSpec, ModelHost, PresetEnvironments

IMAGE = image_uri(preset_named("sklearn-1.4-2"), "eu-west-1")
SCRIPT_MODE = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}

ECHO = """
    def model_fn(model_dir):
        return None

    def input_fn(body, content_type):
        return body

    def predict_fn(body, model):
        return body

    def output_fn(body, accept):
        return body, accept
"""


@pytest.fixture(scope="session")
def environments() -> PresetEnvironments:
    environments = PresetEnvironments()
    environments.ensure("sklearn-1.4-2")
    return environments


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[..., Path]:
    """make_archive(inference, files={name: content}): a model.tar.gz with that code/inference.py."""
    made: list[Path] = []

    def make(inference: str | None = ECHO, files: Mapping[str, str | bytes] | None = None) -> Path:
        path = tmp_path / f"model-{len(made)}.tar.gz"
        made.append(path)
        members = dict(files or {})
        if inference is not None:
            members["code/inference.py"] = textwrap.dedent(inference)
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            for name, content in members.items():
                data = content.encode() if isinstance(content, str) else content
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture
def make_host(
    tmp_path: Path, environments: PresetEnvironments, make_archive: Callable[..., Path]
) -> Iterator[Callable[..., ModelHost]]:
    """make_host(inference, files=..., environment=...): a host that has not been started; ended after the test."""
    hosts: list[ModelHost] = []

    def make(
        inference: str | None = ECHO,
        *,
        files: Mapping[str, str | bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        image: str = IMAGE,
        archive: Path | None = None,
    ) -> ModelHost:
        spec = HostSpec(
            name="model/1",
            image_uri=image,
            environment={**SCRIPT_MODE, **(environment or {})},
            archive=archive or make_archive(inference, files),
        )
        host = ModelHost(spec, directory=tmp_path / "hosts", environments=environments)
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        host.stop()


@pytest.fixture
def serve(make_host: Callable[..., ModelHost]) -> Callable[..., ModelHost]:
    """As make_host, and started."""

    def start(*arguments: str, **options: object) -> ModelHost:
        host = make_host(*arguments, **options)
        host.start(30)
        return host

    return start


@pytest.fixture
def eventually() -> Callable[..., None]:
    """eventually(condition): waits until it holds; fails after 20 s."""

    def wait(condition: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.02)

    return wait
