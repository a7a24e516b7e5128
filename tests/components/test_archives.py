"""The functions' archives are the same wherever they are made: a deployment changes a function when its code changes,
and never because somebody else deploys."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.engine.goal import with_hashes
from infra.rehearsal.provider.rows.functions import FUNCTION
from infra.rehearsal.provider.values import ARCHIVE, ASSET, SIGNATURE, asset_bytes

SUPPORT = Path(__file__).resolve().parents[1] / "support"
FUNCTIONS = {"mainstage-prod-not-found", "prod-iris-front-door", "prod-iris-transform", "prod-iris-replay"}

Archives = dict[str, dict[str, Any]]


def checkout(root: Path, folder: Path) -> Path:
    """What a deployment reads of the repository, copied to another folder."""
    folder.mkdir(parents=True)
    for name in ("components", "infra", "stacks"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copyfile(root / "Pulumi.yaml", folder / "Pulumi.yaml")
    return folder


def start(folder: Path, umask: int, **environment: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LC_", "PYTHON"))}
    return subprocess.Popen(
        [sys.executable, str(SUPPORT / "archives.py"), "prod"],
        cwd=folder,
        env={**inherited, "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "components")]), **environment},
        umask=umask,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> Archives:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out)


@pytest.fixture(scope="module")
def both(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Archives, Archives]:
    """The archives out of two checkouts that have nothing in common but the files' contents."""
    one = checkout(root, tmp_path_factory.mktemp("one") / "mainstage")
    two = checkout(root, tmp_path_factory.mktemp("two") / "a checkout, elsewhere" / "ümläut")
    runtime = two / "components" / "mainstage_runtime"
    for path in runtime.rglob("*.py"):
        path.chmod(0o755)
        os.utime(path, (86_400, 86_400))
    cached = runtime / "__pycache__"
    cached.mkdir()
    (cached / "front_door.cpython-399.pyc").write_bytes(b"of another Python")
    (runtime / "front_door.pyc").write_bytes(b"a leftover")
    (runtime / ".front_door.py.swp").write_bytes(b"an editor's")
    running = [
        start(one, 0o022, LC_ALL="C", PYTHONHASHSEED="1", TZ="UTC", PYTHONUTF8="1"),
        start(two, 0o077, LC_ALL="C.UTF-8", PYTHONHASHSEED="2", TZ="Asia/Tokyo", PYTHONDONTWRITEBYTECODE="1"),
    ]
    first, second = (told(each) for each in running)
    return first, second


def test_two_checkouts_give_the_same_archives(both: tuple[Archives, Archives]) -> None:
    """Pulumi's hash, which a preview compares, and the bytes that are uploaded."""
    one, two = both
    assert one.keys() >= FUNCTIONS
    assert one == two
    assert len({one[name]["sha256"] for name in FUNCTIONS}) == len(FUNCTIONS)


def test_an_archive_holds_source_and_its_configuration_and_nothing_else(both: tuple[Archives, Archives]) -> None:
    for function in both[1].values():
        runtime = {name for name in function["members"] if name != "mainstage.json"}
        assert all(name.startswith("mainstage_runtime/") and name.endswith(".py") for name in runtime)
        assert function["handler"].rpartition(".")[0].replace(".", "/") + ".py" in runtime


def other_pythons() -> Iterator[tuple[str, str]]:
    """Command and version of each Python from 3.11 on that is installed here and is not this one."""
    names = [f"python3.{minor}" for minor in range(11, 16)]
    known = [shutil.which(name) for name in names]
    for folder in (Path.home() / ".pyenv" / "versions", Path.home() / ".local" / "share" / "uv" / "python"):
        known += [str(path) for path in sorted(folder.glob("*/bin/python3"))]
    seen = {".".join(map(str, sys.version_info[:2]))}
    for command in filter(None, known):
        ask = [command, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        # A shim may stand for a Python that is not there.
        done = subprocess.run(ask, capture_output=True, text=True, timeout=30)
        version = done.stdout.strip()
        if done.returncode == 0 and version not in seen and int(version.split(".")[1]) >= 11:
            seen.add(version)
            yield command, version


def test_another_python_gives_the_same_archives(both: tuple[Archives, Archives], root: Path) -> None:
    pythons = list(other_pythons())
    if not pythons:
        pytest.skip("no second Python from 3.11 on is installed")
    for command, version in pythons:
        done = subprocess.run(
            [command, "-I", str(SUPPORT / "archive_elsewhere.py"), str(root / "components")],
            input=json.dumps(both[0]),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{version}: {done.stderr[-3000:]}"
        assert json.loads(done.stdout) == {name: each["members"] for name, each in both[0].items()}, version


def test_lines_end_alike_in_every_checkout(root: Path) -> None:
    """A git that is told to write carriage returns would give other archives."""
    if not (root / ".git").exists():
        pytest.skip("this is no checkout of git")
    names = [path.relative_to(root).as_posix() for path in (root / "components" / "mainstage_runtime").glob("*.py")]
    command = ["git", "-C", str(root), "check-attr", "eol", "text", "--", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    said = {tuple(line.rsplit(": ", 2)[1:]) for line in done.stdout.splitlines()}
    assert said == {("eol", "lf"), ("text", "auto")}
    assert [name for name in names if b"\r" in (root / name).read_bytes()] == []


def file_archive(folder: Path, text: str) -> Mapping[str, Any]:
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(text)
    assets = {"app.py": {SIGNATURE: ASSET, "path": str(folder / "app.py")}}
    return with_hashes({SIGNATURE: ARCHIVE, "assets": assets})


def test_a_second_preview_from_elsewhere_changes_nothing(tmp_path: Path) -> None:
    """The state remembers the first checkout's paths; what is compared is the content."""
    same = FUNCTION.equal["code"]
    first = file_archive(tmp_path / "one", "print(1)\n")
    again = file_archive(tmp_path / "two", "print(1)\n")
    other = file_archive(tmp_path / "three", "print(2)\n")
    assert first != again
    assert same(first, again)
    assert not same(first, other)
    digests = [base64.b64encode(hashlib.sha256(asset_bytes(each)).digest()) for each in (first, again, other)]
    assert digests[0] == digests[1] != digests[2]
