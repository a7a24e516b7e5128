"""Environments of presets: found, built once, atomically, and clear when they cannot be had.

The builds here use a lock without packages and so need no network; the real one is built once a
machine by the other tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage.runtime_presets import preset_named

from infra.rehearsal.cloud.model_host import EnvironmentUnavailable, PresetEnvironments, environments, pythons

PRESET = "sklearn-1.4-2"
UV = pythons.find_uv(environments.REPOSITORY)


@pytest.fixture
def locks(tmp_path, monkeypatch) -> Path:
    """A lock that asks for nothing."""
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / f"{PRESET}.lock").write_text("# nothing\n")
    monkeypatch.setattr(environments, "LOCKS", folder)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_the_real_environment_has_what_the_image_has(environments):
    runtime = environments.ensure(PRESET)
    assert {name: runtime.packages[name] for name in ("scikit-learn", "numpy", "pyarrow")} == {
        "scikit-learn": "1.4.2",
        "numpy": "2.1.0",
        "pyarrow": "17.0.0",
    }
    wanted = (
        []
        if runtime.python_version.startswith("3.10.")
        else [f"{PRESET}: Python {runtime.python_version} here, 3.10 in the image"]
    )
    assert runtime.differences == wanted
    said = subprocess.run(
        [runtime.python, "-c", "import sys, sklearn; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(runtime.folder)


def test_one_that_is_there_needs_neither_uv_nor_network_nor_path(environments, monkeypatch):
    monkeypatch.setattr(pythons, "find_uv", lambda *_: pytest.fail("uv was looked for"))
    monkeypatch.setattr(pythons, "run_uv", lambda *_, **__: pytest.fail("uv was run"))
    assert environments.ensure(PRESET, offline=True) == environments.find(PRESET)


def test_it_is_built_beside_its_place_and_only_once(locks, tmp_path):
    made = PresetEnvironments(tmp_path / "made")
    told: list[str] = []
    assert made.find(PRESET) is None
    runtime = made.ensure(PRESET, offline=True, progress=told.append)
    assert told == [f"building the environment of {PRESET} with Python {runtime.python_version}"]
    assert names(tmp_path / "made") == [runtime.folder.name]
    missing = [
        f"{name} missing here, {version} in the image" for name, version in preset_named(PRESET).packages.items()
    ]
    assert runtime.differences[0].endswith("; ".join(missing))
    assert made.ensure(PRESET, progress=told.append) == runtime
    assert len(told) == 1
    refused = subprocess.run(
        [runtime.python, "-c", "import socket; socket.getaddrinfo('example.com', 1)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "network guard refused it: DNS look-up of example.com" in refused.stderr


def test_parallel_askers_get_one_build(locks, tmp_path, monkeypatch):
    builds: list[str] = []
    build = PresetEnvironments._build

    def counted(self, *arguments):
        builds.append("built")
        return build(self, *arguments)

    monkeypatch.setattr(PresetEnvironments, "_build", counted)
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(PresetEnvironments(tmp_path / "made").ensure(PRESET, offline=True))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds == ["built"]
    assert len(results) == 4
    assert all(result == results[0] for result in results)


def test_a_build_that_was_killed_or_an_environment_that_is_broken_is_replaced(locks, tmp_path):
    made = PresetEnvironments(tmp_path / "made")
    runtime = made.ensure(PRESET, offline=True)
    (tmp_path / "made" / f".building-{runtime.folder.name.rpartition('-py')[0]}-x").mkdir()
    for damage in (lambda: (runtime.folder / "bin" / "python").unlink(), lambda: shutil.rmtree(runtime.folder / "bin")):
        damage()
        assert made.find(PRESET) is None
        assert made.ensure(PRESET, offline=True) == runtime
        assert runtime.python.exists()
        assert names(tmp_path / "made") == [runtime.folder.name]


def test_another_lock_is_another_environment_and_an_old_guard_is_renewed(locks, tmp_path):
    made = PresetEnvironments(tmp_path / "made")
    first = made.ensure(PRESET, offline=True)
    (guard,) = first.folder.rglob("sitecustomize.py")
    guard.write_text("# an older checkout's\n")
    assert made.ensure(PRESET) == first
    assert "network guard" in guard.read_text()
    (locks / f"{PRESET}.lock").write_text("# still nothing\n")
    second = made.ensure(PRESET, offline=True)
    assert second.folder != first.folder
    assert names(tmp_path / "made") == sorted([first.folder.name, second.folder.name])


def test_without_network_and_cache_it_says_what_to_run_and_leaves_nothing(locks, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    (locks / f"{PRESET}.lock").write_text(f"numpy==2.1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(EnvironmentUnavailable) as caught:
        PresetEnvironments(tmp_path / "made").ensure(PRESET, offline=True)
    for words in (
        PRESET,
        "uv may not use the network here",
        "`make rehearse` once",
        "numpy was not found in the cache",
    ):
        assert words in str(caught.value)
    assert names(tmp_path / "made") == []


def test_the_next_python_is_taken_when_one_cannot_hold_the_lock(locks, tmp_path, monkeypatch):
    real = pythons.candidates(UV or [], "3.10")[-1]
    monkeypatch.setattr(pythons, "candidates", lambda *_: [pythons.Candidate("3.10.99", tmp_path / "no-python"), real])
    runtime = PresetEnvironments(tmp_path / "made").ensure(PRESET, offline=True)
    assert runtime.python_version.startswith(real.minor)
    assert names(tmp_path / "made") == [f"{runtime.folder.name}"]


def test_the_lock_for_newer_pythons_is_the_last_resort_and_says_so(locks, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    refused = pythons.Problem("no usable wheels", of_this_python=True)
    real = pythons.run_uv

    def run_uv(command, **options):
        return refused if f"{PRESET}.lock" in command[-1] else real(command, **options)

    monkeypatch.setattr(pythons, "run_uv", run_uv)
    made = PresetEnvironments(tmp_path / "made")
    with pytest.raises(EnvironmentUnavailable, match=f"{PRESET} with Python 3.*: no usable wheels"):
        made.ensure(PRESET, offline=True)
    (locks / f"{PRESET}.newer-python.lock").write_text("# nothing\n")
    runtime = made.ensure(PRESET, offline=True)
    assert "scikit-learn missing here, 1.4.2 in the image" in runtime.differences[0]
    assert environments.hosted_presets() == [PRESET]
    assert made.find(PRESET) == runtime


@pytest.mark.parametrize(("found", "words"), [(False, "none from 3.10 on was found"), (True, "Python 3.10.99: ")])
def test_no_python_at_all(locks, tmp_path, monkeypatch, found, words):
    candidates = [pythons.Candidate("3.10.99", tmp_path / "no-python")] if found else []
    monkeypatch.setattr(pythons, "candidates", lambda *_: candidates)
    with pytest.raises(EnvironmentUnavailable) as caught:
        PresetEnvironments(tmp_path / "made").ensure(PRESET, offline=True)
    assert words in str(caught.value)
    assert "Install Python 3.10 (for example `uv python install 3.10`)" in str(caught.value)
    assert names(tmp_path / "made") == []


def test_without_uv(locks, tmp_path, monkeypatch):
    monkeypatch.setattr(pythons, "find_uv", lambda *_: None)
    with pytest.raises(
        EnvironmentUnavailable, match=r"uv, which builds it, is not found .*run `make rehearse`, or `pip install uv`"
    ):
        PresetEnvironments(tmp_path / "made").ensure(PRESET)


def test_a_uv_that_does_not_run(locks, tmp_path):
    with pytest.raises(EnvironmentUnavailable, match="no-uv"):
        PresetEnvironments(tmp_path / "made", uv=str(tmp_path / "no-uv")).ensure(PRESET)


def test_a_folder_that_cannot_be_written(locks, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        EnvironmentUnavailable, match=r"file/made: cannot hold the environment .*Make the folder writable"
    ):
        PresetEnvironments(tmp_path / "file" / "made").ensure(PRESET)


@pytest.mark.parametrize(
    ("preset", "words"),
    [("sklearn-1.4", "did you mean sklearn-1.4-2"), ("sklearn-1.2-1", "no requirements/presets/sklearn-1.2-1.lock")],
)
def test_presets_that_are_unknown_or_not_hosted(tmp_path, preset, words):
    with pytest.raises(EnvironmentUnavailable, match=words):
        PresetEnvironments(tmp_path / "made").ensure(preset)
    assert not (tmp_path / "made").exists()


def test_uv_is_taken_from_the_checkout_then_path_then_this_python(tmp_path, monkeypatch):
    bin_folder = tmp_path / "bin"
    local = tmp_path / ".tools" / "uv" / "bin"
    for folder in (bin_folder, local):
        folder.mkdir(parents=True)
        (folder / "uv").write_text("#!/bin/sh\n")
        (folder / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_folder))
    assert pythons.find_uv(tmp_path, "/given/uv") == ["/given/uv"]
    assert pythons.find_uv(tmp_path) == [str(local / "uv")]
    (local / "uv").unlink()
    assert pythons.find_uv(tmp_path) == [str(bin_folder / "uv")]
    (bin_folder / "uv").unlink()
    assert pythons.find_uv(tmp_path) == [sys.executable, "-m", "uv"]
    monkeypatch.setattr(pythons.importlib.util, "find_spec", lambda _: None)
    assert pythons.find_uv(tmp_path) is None


def test_pythons_come_nearest_first_and_once_a_minor_version(tmp_path, monkeypatch):
    rows = [
        {"version": version, "path": f"/p/{version}", "implementation": implementation, "variant": variant}
        for version, implementation, variant in (
            ("3.13.0", "cpython", "default"),
            ("3.11.7", "cpython", "default"),
            ("3.11.2", "cpython", "default"),
            ("3.10.9", "pypy", "default"),
            ("3.14.0", "cpython", "freethreaded"),
            ("3.15.0a2", "cpython", "default"),
            ("3.9.1", "cpython", "default"),
        )
    ]
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\n[ \"$UV_PYTHON_DOWNLOADS\" = never ] || exit 1\ncat <<'END'\n{json.dumps(rows)}\nEND\n")
    uv.chmod(0o755)
    for version in ("3.10.1", "3.10.13", "2.7.18", "3.12-dev"):
        (tmp_path / "pyenv/versions" / version / "bin").mkdir(parents=True)
        (tmp_path / "pyenv/versions" / version / "bin/python").write_text("")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert [candidate.version for candidate in pythons.candidates([str(uv)], "3.10")] == ["3.10.13", "3.11.7", "3.13.0"]


@given(st.tuples(st.integers(3, 4), st.integers(0, 40), st.integers(0, 40)))
def test_distance_orders_by_minor_version(version):
    text = ".".join(map(str, version))
    assert pythons.distance(text, pythons.minor_of(text)) == (0, 0)
    newer, older = f"{version[0]}.{version[1] + 1}.0", f"{version[0]}.{version[1] - 1}.0"
    assert pythons.distance(newer, text) == (1, 0)
    assert version[1] == 0 or pythons.distance(older, text) == (1, 1)


def test_the_environment_of_uv_is_the_callers_without_what_redirects_it(monkeypatch):
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    handed = pythons._environment()
    assert "VIRTUAL_ENV" not in handed
    assert (handed["HTTPS_PROXY"], handed["UV_PYTHON_DOWNLOADS"], handed["PATH"]) == (
        "http://proxy",
        "never",
        os.environ["PATH"],
    )
