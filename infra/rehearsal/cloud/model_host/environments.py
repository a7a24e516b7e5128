"""Environments of the runtime presets: a Python and the packages of the preset's lock, built once a machine with uv.

An environment is a folder `<preset>-<lock hash>-py<version>`. It is built beside its place and renamed, under a file
lock, so that it is whole or absent however many processes ask for it. One that is there is used without network and
without uv.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstage.runtime_presets import RuntimePreset, preset_named

from infra.rehearsal.cloud.model_host import pythons

REPOSITORY = Path(__file__).resolve().parents[4]
LOCKS = REPOSITORY / "requirements" / "presets"
DEFAULT_DIRECTORY = REPOSITORY / ".mainstage" / "environments"

_NEWER_PYTHON = ".newer-python.lock"
"""A preset's second lock: the nearest versions for a machine whose Pythons are all too new for the image's."""
_RECORD = "mainstage-environment.json"
_GUARD = Path(__file__).with_name("container") / "guard.py"
_BUILD_TIMEOUT_SECONDS = 1800

Progress = Callable[[str], None]


class EnvironmentUnavailable(RuntimeError):
    """A preset's environment is not there and cannot be built. The message says why and what to run."""


@dataclass(frozen=True)
class PresetRuntime:
    """What really runs a model in a rehearsal, and how it differs from the AWS image."""

    preset: str
    folder: Path
    python: Path
    """The interpreter."""
    python_version: str
    """Full version: "3.10.13"."""
    packages: Mapping[str, str]
    """Every distribution of the environment and its version."""
    differences: list[str]
    """At most one line, such as "sklearn-1.4-2: Python 3.11.7 here, 3.10 in the image". Empty: as AWS publishes it."""


def hosted_presets() -> list[str]:
    """The presets that a rehearsal can serve: those with a lock."""
    return sorted(path.stem for path in LOCKS.glob("*.lock") if not path.name.endswith(_NEWER_PYTHON))


class PresetEnvironments:
    """The environments in one folder.

    `directory` defaults to .mainstage/environments of this checkout. `uv` is the program; found in this order when left
    out: .tools/uv/bin/uv of the checkout, PATH, the `uv` package of the running Python.
    """

    def __init__(self, directory: Path | None = None, uv: str | None = None):
        self.directory = Path(directory or DEFAULT_DIRECTORY).absolute()
        self._uv = uv

    def find(self, preset: str) -> PresetRuntime | None:
        """The preset's environment if it is there; no network. Raises EnvironmentUnavailable for one without a lock."""
        known, locks = _preset_and_locks(preset)
        return self._existing(known, _stem(preset, locks))

    def ensure(self, preset: str, *, offline: bool = False, progress: Progress | None = None) -> PresetRuntime:
        """The preset's environment, built when it is missing. `offline`: build from uv's cache alone.

        Raises EnvironmentUnavailable: no such preset or no lock for it, no uv, no Python that the lock resolves for, no
        network and nothing in uv's cache, or a folder that cannot be written.
        """
        tell = progress or (lambda _line: None)
        known, locks = _preset_and_locks(preset)
        stem = _stem(preset, locks)
        found = self._existing(known, stem)
        if found is None:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                with self._locked(stem, tell):
                    found = self._existing(known, stem) or self._build(known, locks, stem, offline, tell)
            except OSError as error:
                raise EnvironmentUnavailable(
                    f"{self.directory}: cannot hold the environment of the preset {preset}: {error}. "
                    "Make the folder writable, or move the checkout to where you may write"
                ) from error
        return found

    def _existing(self, preset: RuntimePreset, stem: str) -> PresetRuntime | None:
        folders = [path for path in self.directory.glob(f"{stem}-py*") if (path / _RECORD).is_file()]
        for folder in sorted(folders, key=lambda path: pythons.distance(path.name.rpartition("-py")[2], preset.python)):
            try:
                record = json.loads((folder / _RECORD).read_text())
                python = folder / "bin" / "python"
                if not python.exists():
                    continue  # its Python was uninstalled: a link to nowhere
                _place_guard(folder, record["site_packages"])
                return _runtime(preset, folder, record)
            except (OSError, ValueError, KeyError):
                continue  # not one of ours, or half deleted: build anew
        return None

    @contextmanager
    def _locked(self, stem: str, tell: Progress) -> Iterator[None]:
        with (self.directory / f".{stem}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell("another process builds this environment; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _build(
        self, preset: RuntimePreset, locks: list[Path], stem: str, offline: bool, tell: Progress
    ) -> PresetRuntime:
        uv = pythons.find_uv(REPOSITORY, self._uv)
        if uv is None:
            raise EnvironmentUnavailable(
                f"the environment of the preset {preset.name} is missing and uv, which builds it, is not found "
                "(.tools/uv/bin/uv, PATH, or the package uv of this Python): run `make rehearse`, or `pip install uv`"
            )
        for stale in self.directory.glob(f".building-{stem}-*"):  # of a build that was killed; the lock is ours
            shutil.rmtree(stale, ignore_errors=True)
        refused = []
        pairs = [(lock, candidate) for lock in locks for candidate in pythons.candidates(uv, preset.python)]
        for lock, candidate in pairs:
            scratch = Path(tempfile.mkdtemp(prefix=f".building-{stem}-", dir=self.directory))
            try:
                tell(f"building the environment of {preset.name} with Python {candidate.version}")
                problem = self._fill(scratch, candidate.path, uv, lock, offline)
                if problem is None:
                    return self._place(preset, scratch, self.directory / f"{stem}-py{candidate.minor}")
                if not problem.of_this_python:
                    raise EnvironmentUnavailable(_not_built(preset, problem.text, offline))
                refused.append(f"{lock.stem} with Python {candidate.version}: {problem.text}")
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        raise EnvironmentUnavailable(
            f"no Python on this machine can hold the preset {preset.name}, whose image has Python {preset.python}: "
            + ("; ".join(refused) or f"none from {preset.python} on was found")
            + f". Install Python {preset.python} (for example `uv python install {preset.python}`) and run this again"
        )

    @staticmethod
    def _place(preset: RuntimePreset, scratch: Path, target: Path) -> PresetRuntime:
        record = _survey(scratch)
        _place_guard(scratch, record["site_packages"])
        (scratch / _RECORD).write_text(json.dumps(record, indent=1))
        shutil.rmtree(target, ignore_errors=True)
        scratch.rename(target)
        return _runtime(preset, target, record)

    @staticmethod
    def _fill(scratch: Path, python: Path, uv: list[str], lock: Path, offline: bool) -> pythons.Problem | None:
        own = str(scratch / "bin" / "python")
        venv = ["venv", "--quiet", "--allow-existing", "--relocatable", "--python", str(python), str(scratch)]
        # Byte code is made now: a model's first start would pay for it otherwise, and its container writes none.
        install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", own]
        locked = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]
        for arguments in (venv, [*install, *(["--offline"] if offline else []), *locked]):
            problem = pythons.run_uv([*uv, *arguments], cwd=scratch, timeout_seconds=_BUILD_TIMEOUT_SECONDS)
            if problem is not None:
                return problem
        return None


def _preset_and_locks(preset: str) -> tuple[RuntimePreset, list[Path]]:
    try:
        known = preset_named(preset)
    except ValueError as error:
        raise EnvironmentUnavailable(str(error)) from error
    lock = LOCKS / f"{preset}.lock"
    if not lock.is_file():
        raise EnvironmentUnavailable(
            f"a rehearsal cannot serve the runtime preset {preset}: there is no requirements/presets/{preset}.lock. "
            f"It can serve: {', '.join(hosted_presets())}. On AWS the preset works"
        )
    newer = LOCKS / f"{preset}{_NEWER_PYTHON}"
    return known, [lock, newer] if newer.is_file() else [lock]


def _stem(preset: str, locks: list[Path]) -> str:
    return f"{preset}-{hashlib.sha256(b''.join(lock.read_bytes() for lock in locks)).hexdigest()[:12]}"


def _survey(folder: Path) -> dict[str, Any]:
    """What is in the environment, from its own mouth."""
    code = (
        "import json, platform, sysconfig\n"
        "from importlib import metadata\n"
        "print(json.dumps({'python': platform.python_version(), 'site_packages': sysconfig.get_path('purelib'),\n"
        "  'packages': {d.metadata['Name']: d.version for d in metadata.distributions()}}))"
    )
    done = subprocess.run(
        [folder / "bin" / "python", "-I", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise EnvironmentUnavailable(
            f"the environment that was built in {folder} does not run: {done.stderr.strip()[-500:]}"
        )
    record = json.loads(done.stdout)
    record["site_packages"] = Path(record["site_packages"]).resolve().relative_to(folder.resolve()).as_posix()
    return record


def _place_guard(folder: Path, site_packages: str) -> None:
    """Makes the network guard the environment's `sitecustomize`; renewed when this checkout's guard is another."""
    place = folder / site_packages / "sitecustomize.py"
    wanted = _GUARD.read_bytes()
    if place.is_file() and place.read_bytes() == wanted:
        return
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".sitecustomize-", delete=False) as file:
        file.write(wanted)
    os.chmod(file.name, 0o644)
    os.replace(file.name, place)


def _runtime(preset: RuntimePreset, folder: Path, record: Mapping[str, Any]) -> PresetRuntime:
    packages: dict[str, str] = record["packages"]
    version = str(record["python"])
    differs = []
    if pythons.minor_of(version) != preset.python:
        differs.append(f"Python {version} here, {preset.python} in the image")
    for name, wanted in preset.packages.items():
        if packages.get(name) != wanted:
            differs.append(f"{name} {packages.get(name, 'missing')} here, {wanted} in the image")
    line = [f"{preset.name}: " + "; ".join(differs)] if differs else []
    return PresetRuntime(preset.name, folder, folder / "bin" / "python", version, packages, line)


def _not_built(preset: RuntimePreset, text: str, offline: bool) -> str:
    first = (
        "uv may not use the network here"
        if offline
        else "it needs a package index once, and none was reached or it refused"
    )
    return (
        f"the environment of the preset {preset.name} is missing and could not be built: {first}. With network, run "
        f"`mainstage rehearse` or `make rehearse` once; after that none is needed. uv said: {text}"
    )
