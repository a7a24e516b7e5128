"""Tries a model before it is registered: does it load, and answer, in the environment of its image?"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mainstage.runtime_presets import ENTRY_POINT, RuntimePreset, container_environment, image_uri, preset_named

from infra.rehearsal.cloud.model_host.client import HostAnswer
from infra.rehearsal.cloud.model_host.environments import PresetEnvironments, PresetRuntime
from infra.rehearsal.cloud.model_host.host import HostSpec, ModelHost
from infra.rehearsal.cloud.model_host.process import HostFailed
from infra.rehearsal.cloud.model_host.versions import version_problems

DEFAULT_TIMEOUT_SECONDS = 60.0
_TAIL_LINES = 12


@dataclass(frozen=True)
class CheckReport:
    """What a check saw."""

    preset: str
    problems: list[str]
    """Why the model is refused, each with what to do. Empty when it passed."""
    python: str = ""
    """Version of the Python that loaded it: "3.10.13"."""
    packages: Mapping[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    """At most one line: how this machine's environment differs from the image."""
    warnings: list[str] = field(default_factory=list)
    """What a person should know and that refuses nothing."""
    prediction: HostAnswer | None = None
    """The answer to the sample, when one was given and the model loaded."""
    load_seconds: float = 0.0
    log: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


class CheckFailed(ValueError):
    """A model is refused. The message holds every problem; `report` has the rest, the log too."""

    def __init__(self, report: CheckReport):
        super().__init__("\n".join(report.problems))
        self.report = report


def check_model(
    source: Path,
    preset: str,
    environments: PresetEnvironments,
    sample: bytes | None = None,
    *,
    content_type: str = "application/json",
    accept: str = "application/json",
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> CheckReport:
    """Loads a model in its preset's environment and, with a `sample`, asks it for one prediction.

    `source` is a model.tar.gz, or a folder laid out like an unpacked one or with `inference.py` at its top. Raises
    CheckFailed, with every problem, for a bad archive, missing or contradictory functions, an import error, a model_fn
    that fails, hangs or ends the process, objects saved with another framework version than the image's (also when they
    happen to load), and a sample that is not answered with 200. EnvironmentUnavailable when the preset's environment
    cannot be had.
    """
    known = preset_named(preset)
    runtime = environments.ensure(preset)  # before the deadline starts, and with its own error
    with tempfile.TemporaryDirectory(prefix="mainstage-check-") as scratch:
        folder = Path(scratch)
        archive = _pack(source, folder / "model.tar.gz") if source.is_dir() else source
        spec = HostSpec(
            "check", image_uri(known, next(iter(known.registry_accounts))), _environment(archive, known), archive
        )
        host = ModelHost(spec, directory=folder / "host", environments=environments)
        started = time.monotonic()
        try:
            host.start(timeout_seconds)
        except HostFailed as failure:
            report = _report(known, runtime, host, [_refusal(failure, host)])
        else:
            report = _ask(known, runtime, host, sample, content_type, accept, time.monotonic() - started)
        finally:
            host.stop()
    if report.problems:
        raise CheckFailed(report)
    return report


def _environment(archive: Path, preset: RuntimePreset) -> dict[str, str]:
    """As a deployed Model has it. An archive without our entry point has its inference.py imported itself."""
    environment = container_environment(preset, 0)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            names = {name.removeprefix("./") for name in tar.getnames()}
    except (OSError, tarfile.TarError, EOFError):
        names = set()  # unpacking says what is wrong with it
    if f"code/{ENTRY_POINT}" not in names:
        environment["SAGEMAKER_PROGRAM"] = "inference.py"
    return environment


def _ask(
    preset: RuntimePreset,
    runtime: PresetRuntime,
    host: ModelHost,
    sample: bytes | None,
    content_type: str,
    accept: str,
    seconds: float,
) -> CheckReport:
    problems = version_problems(preset, runtime.packages, host.load_versions, host.folder / "opt/ml/model")
    prediction = None
    if sample is not None:
        prediction = host.invoke(sample, content_type=content_type, accept=accept)
        if prediction.status != 200:
            problems.append(
                f"the sample request was answered with {prediction.status}, not 200. "
                f"The container's log ends:\n{_tail(host)}"
            )
    return _report(preset, runtime, host, problems, prediction, seconds)


def _report(
    preset: RuntimePreset,
    runtime: PresetRuntime,
    host: ModelHost,
    problems: list[str],
    prediction: HostAnswer | None = None,
    seconds: float = 0.0,
) -> CheckReport:
    refused = list(dict.fromkeys(host.refused()))
    warnings = [f"the model tries to reach the network, which a rehearsal refuses: {line}" for line in refused]
    return CheckReport(
        preset=preset.name,
        problems=problems,
        python=runtime.python_version,
        packages=runtime.packages,
        differences=list(runtime.differences),
        warnings=warnings,
        prediction=prediction,
        load_seconds=round(seconds, 3),
        log=host.log_lines(),
    )


def _refusal(failure: HostFailed, host: ModelHost) -> str:
    if failure.kind in ("archive", "functions", "environment", "version"):
        return failure.reason
    tail = _tail(host)
    return f"{failure.reason}. The container's log ends:\n{tail}" if tail else failure.reason


def _tail(host: ModelHost) -> str:
    return "\n".join(f"  {line}" for line in host.log_lines()[-_TAIL_LINES:])


def _pack(source: Path, target: Path) -> Path:
    """A folder as a model.tar.gz: as it is when it has code/, else its Python sources and requirements under code/."""
    laid_out = (source / "code").is_dir()
    with gzip.open(target, "wb", compresslevel=1) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in sorted(source.iterdir()):
            is_code = path.suffix == ".py" or path.name == "requirements.txt" or (path / "__init__.py").is_file()
            if path.name not in ("__pycache__", target.name):
                tar.add(path, arcname=path.name if laid_out or not is_code else f"code/{path.name}")
    return target
