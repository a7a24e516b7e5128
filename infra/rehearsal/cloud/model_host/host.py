"""A model host: one instance that serves one deployed model, and starts its container again when it ends."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from mainstage.runtime_presets import ENTRY_POINT, MODEL_DIRECTORY, RuntimePreset, preset_of_image

from infra.rehearsal.cloud.model_host.archive import BadArchive, unpack_model_archive
from infra.rehearsal.cloud.model_host.client import CUSTOM_ATTRIBUTES, HostAnswer
from infra.rehearsal.cloud.model_host.environments import EnvironmentUnavailable, PresetEnvironments, PresetRuntime
from infra.rehearsal.cloud.model_host.logbook import LogBook
from infra.rehearsal.cloud.model_host.process import ContainerProcess, HostFailed
from infra.rehearsal.cloud.model_host.versions import version_problems

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0
_HEALTHY_SECONDS = 60.0
_MAX_REFUSED_BYTES = 256 * 1024

# Set by the image itself (ENV lines of aws/sagemaker-scikit-learn-container, docker/1.4-2), where a model could notice.
_IMAGE_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "UTF-8",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class HostSpec:
    """What is served: as SageMaker takes it from the Model resource, and from nothing else."""

    name: str
    """For logs and folders, such as "iris-stable-0"."""
    image_uri: str
    environment: Mapping[str, str]
    archive: Path
    """model.tar.gz, as it was fetched from ModelDataUrl."""


class ModelHost:
    """Serves one model in its preset's environment.

    `directory` is where the host makes a folder of its own; after `stop` it holds the log (container.log, at most 32
    MiB) and what the network guard refused (refused.log). Thread-safe.
    """

    def __init__(self, spec: HostSpec, *, directory: Path, environments: PresetEnvironments):
        self.spec = spec
        self.restarts = 0
        directory.mkdir(parents=True, exist_ok=True)
        safe_name = re.sub(r"[^A-Za-z0-9._-]", "-", spec.name)[:60]
        self.folder = Path(tempfile.mkdtemp(prefix=f"{safe_name}-", dir=directory)).resolve()
        self._environments = environments
        self._log = LogBook(self.folder / "container.log")
        self._runtime: PresetRuntime | None = None
        self._process: ContainerProcess | None = None
        self._starting: ContainerProcess | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._timeout_seconds = 0.0
        self._start_seconds = 0.0

    def start(self, timeout_seconds: float) -> None:
        """Unpacks the archive, starts the container, waits until /ping answers 200.

        The deadline holds for the container, not for building the preset's environment. Raises HostFailed, with `kind`
        and a reason for a person: bad archive, environment, import error, missing functions, model_fn fails, saved with
        a framework version that the image cannot load, not ready within `timeout_seconds`, process ended. Nothing runs
        then.

        A model saved with another framework version that loads all the same is served with the framework's warning in
        the log: that is what AWS does. `check_model` refuses it.
        """
        if self._runtime is not None:
            raise RuntimeError(f"model host {self.spec.name} was started before; make a new one")
        preset = preset_of_image(self.spec.image_uri)
        try:
            if preset is None:
                raise HostFailed(
                    "environment", f"a rehearsal cannot run the image {self.spec.image_uri}: it is no runtime preset's"
                )
            self._runtime = self._prepare(preset)
            self._timeout_seconds = timeout_seconds
            started = time.monotonic()
            try:
                self._process = self._launch(self._runtime)
            except HostFailed as failure:
                raise self._explained(failure, preset) from failure
            self._start_seconds = time.monotonic() - started
        except BaseException:
            self._clear()
            raise
        threading.Thread(target=self._keep_running, name=f"mainstage-host-{self.spec.name}", daemon=True).start()

    def _prepare(self, preset: RuntimePreset) -> PresetRuntime:
        try:
            runtime = self._environments.ensure(preset.name)
            unpack_model_archive(self.spec.archive, self.folder / "opt/ml/model", required=self._required_members())
        except EnvironmentUnavailable as error:
            raise HostFailed("environment", str(error)) from error
        except BadArchive as error:
            raise HostFailed("archive", str(error)) from error
        for name in ("opt/ml/code", "root", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return runtime

    def _required_members(self) -> list[str]:
        """The files that the Model's environment counts on, by their names in the archive."""
        program = self.spec.environment.get("SAGEMAKER_PROGRAM", "")
        submitted = PurePosixPath(self.spec.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "/"))
        if not program or not submitted.is_relative_to(MODEL_DIRECTORY):
            return []  # the container says what is wrong with them
        folder = submitted.relative_to(MODEL_DIRECTORY)
        names = [program if program.endswith(".py") else f"{program}.py"]
        if names == [ENTRY_POINT]:
            names.insert(0, "inference.py")  # whose functions the entry point takes
        return [str(folder / name) for name in names]

    def _container_environment(self, runtime: PresetRuntime) -> dict[str, str]:
        """The image's variables, then the Model's; of this process's own environment, nothing."""
        base = self.folder / "opt" / "ml"
        return {
            **_IMAGE_ENVIRONMENT,
            "PATH": os.pathsep.join([str(runtime.folder / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.folder / "root"),
            "TMPDIR": str(self.folder / "tmp"),
            "SM_MODEL_DIR": str(base / "model"),
            **self.spec.environment,
            "SAGEMAKER_BASE_DIR": str(base),
            "MAINSTAGE_GUARD_LOG": str(self.folder / "refused.log"),
        }

    def _launch(self, runtime: PresetRuntime) -> ContainerProcess:
        process = ContainerProcess(
            runtime.python,
            self._container_environment(runtime),
            self.folder / "root",
            self.folder / "opt" / "ml",
            self._log,
        )
        with self._lock:
            self._starting = process
            if self._stopped.is_set():
                process.stop()
        process.start(self._timeout_seconds)
        return process

    def _explained(self, failure: HostFailed, preset: RuntimePreset) -> HostFailed:
        """Says so when saved framework versions explain why the model does not load."""
        if failure.kind not in ("load", "died"):
            return failure
        problems = version_problems(preset, self.runtime.packages, failure.versions, self.folder / "opt/ml/model")
        if not problems:
            return failure
        return HostFailed("version", f"{failure.reason}. {' '.join(problems)}", failure.log_tail, failure.versions)

    def _keep_running(self) -> None:
        """As SageMaker does: a container that ends is started again, later each time that it ends soon."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            process, since = self._process, time.monotonic()
            assert process is not None
            process.ended.wait()
            if self._stopped.is_set():
                return
            if time.monotonic() - since > _HEALTHY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._note(f"the container ended ({process.end_text()}); starting it again in {pause:g} s")
            process.stop()
            fresh = None
            while fresh is None:
                if self._stopped.wait(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                try:
                    fresh = self._launch(self.runtime)
                except HostFailed as failure:
                    self._note(f"the container did not start again: {failure.reason}; next try in {pause:g} s")
            self.restarts += 1
            self._process = fresh

    def _note(self, text: str) -> None:
        self._log.add(f"mainstage-host: {text}".encode())

    def invoke(
        self,
        body: bytes,
        *,
        content_type: str,
        accept: str,
        custom_attributes: str = "",
        timeout_seconds: float = 60,
    ) -> HostAnswer:
        """POST /invocations. Never raises for what the model does.

        A process that ends meanwhile is a 502, one that is starting again a 503, no answer within `timeout_seconds` (or
        SAGEMAKER_MODEL_SERVER_TIMEOUT of the Model, if that is shorter) a 504: what the image's nginx answers.
        """
        process = self._process
        if process is None:
            raise RuntimeError(f"model host {self.spec.name} has not been started")
        if process.ended.is_set() or self._stopped.is_set():
            return _answer_of_host(503, "the container is not running; it is being started again", 0)
        headers = {"Content-Type": content_type, "Accept": accept, CUSTOM_ATTRIBUTES: custom_attributes}
        limit = self._server_timeout_seconds(timeout_seconds)
        started = time.perf_counter_ns()
        try:
            return process.invoke(body, {name: _field(value) for name, value in headers.items() if value}, limit)
        except TimeoutError:
            return _answer_of_host(504, f"no answer from the container within {limit:g} s", started)
        except (OSError, HTTPException):
            process.ended.wait(3)
            return _answer_of_host(
                502, f"the container's process ended while it answered ({process.end_text()})", started
            )

    def _server_timeout_seconds(self, timeout_seconds: float) -> float:
        try:
            return min(timeout_seconds, float(self.spec.environment.get("SAGEMAKER_MODEL_SERVER_TIMEOUT", "60")))
        except ValueError:
            return timeout_seconds

    def stop(self) -> None:
        """Ends the container and all that it started; removes the unpacked model. May be called again."""
        self._stopped.set()
        with self._lock:
            starting = self._starting
        for process in (starting, self._process):
            if process is not None:
                process.stop()
        self._clear()

    def _clear(self) -> None:
        for name in ("opt", "root", "tmp"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self._log.close()

    @property
    def alive(self) -> bool:
        """Whether the container runs and has answered /ping."""
        process = self._process
        return process is not None and not process.ended.is_set() and not self._stopped.is_set()

    @property
    def pid(self) -> int:
        """The serving process; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    @property
    def runtime(self) -> PresetRuntime:
        """What really serves the model. Raises RuntimeError before `start`."""
        if self._runtime is None:
            raise RuntimeError(f"model host {self.spec.name} has not been started")
        return self._runtime

    def log_lines(self) -> list[str]:
        """The container's last 5,000 lines, with all that it has printed until now."""
        process = self._process
        if process is not None:
            process.settle_log()
        return self._log.lines()

    def log_since(self, count: int) -> tuple[int, list[str]]:
        """The lines after the first `count`, and the count to ask with next: for shipping a log on."""
        return self._log.since(count)

    @property
    def load_versions(self) -> list[dict[str, str]]:
        """What frameworks said about objects saved with another version: {"package", "what", "saved", "here"}."""
        return list(self._process.ready.get("versions", [])) if self._process is not None else []

    def refused(self) -> list[str]:
        """What the network guard refused, such as "TCP connection to 192.0.2.1:443 (inference.py line 7)"."""
        try:
            with (self.folder / "refused.log").open("rb") as file:
                return file.read(_MAX_REFUSED_BYTES).decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def describe(self) -> dict[str, object]:
        """For reports: what serves, how it is held, what is real and what is emulated."""
        process, runtime = self._process, self.runtime
        isolated = bool(process and process.ready.get("network_namespace"))
        return {
            "name": self.spec.name,
            "image": self.spec.image_uri,
            "preset": runtime.preset,
            "python": runtime.python_version,
            "packages": dict(runtime.packages),
            "differences": list(runtime.differences),
            "pid": self.pid,
            "alive": self.alive,
            "restarts": self.restarts,
            "start_seconds": round(self._start_seconds, 3),
            "network": "audit hook and a network namespace"
            if isolated
            else "audit hook; no network namespace is permitted here",
            "refused": self.refused(),
            "real": "the deployed archive, the person's code, the framework, HTTP",
            "emulated": "the image's serving stack (nginx, gunicorn, Flask)",
        }


def _field(value: str) -> str:
    """A header's value that HTTP can carry."""
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace").decode("latin-1")


def _answer_of_host(status: int, text: str, started_ns: int) -> HostAnswer:
    latency_us = (time.perf_counter_ns() - started_ns) // 1000 if started_ns else 0
    return HostAnswer(status, f"{status}: {text}".encode(), "text/plain", "", latency_us)
