"""Model folders become archives: the same bytes for the same files, code where the image looks for it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from infra.registry.archive import ARCHIVE_NAME, FolderError, pack, stage

FILES = {
    "inference.py": "def model_fn(model_dir): return 1\n",
    "helper.py": "X = 1\n",
    "requirements.txt": "six\n",
    "model.joblib": "weights",
    "vocabulary/words.txt": "a b c",
    "train.py": "not served",
    "training.json": "{}",
    "sample.json": "{}",
    "__pycache__/inference.cpython-311.pyc": "x",
    ".git/config": "x",
}


def folder(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return path


def test_code_goes_under_code_and_artifacts_to_the_top(tmp_path: Path) -> None:
    stage(folder(tmp_path / "in", FILES), tmp_path / "staged")
    packed = pack(tmp_path / "staged", tmp_path / ARCHIVE_NAME)
    assert packed.members == (
        "code/helper.py",
        "code/inference.py",
        "code/mainstage_entrypoint.py",
        "code/requirements.txt",
        "model.joblib",
        "vocabulary/words.txt",
    )
    with tarfile.open(packed.path) as tar:
        assert tar.getnames() == list(packed.members)
        assert {(member.mtime, member.uid, member.mode) for member in tar} == {(0, 0, 0o644)}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "a", FILES), folder(tmp_path / "b", dict(reversed(FILES.items())))
    os.utime(second / "model.joblib", (1, 1))
    os.chmod(second / "model.joblib", 0o600)
    digests = set()
    for number, source in enumerate((first, second)):
        stage(source, tmp_path / f"staged-{number}")
        digests.add(pack(tmp_path / f"staged-{number}", tmp_path / f"{number}.tar.gz").sha256)
    (first / "model.joblib").write_text("other weights")
    stage(first, tmp_path / "staged-2")
    digests.add(pack(tmp_path / "staged-2", tmp_path / "2.tar.gz").sha256)
    assert len(digests) == 2


def test_an_archive_is_staged_as_its_folder_would_be(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", {"training.json": "{}"})
    made = folder(tmp_path / "made", {"code/inference.py": FILES["inference.py"], "model.joblib": "weights"})
    with tarfile.open(source / ARCHIVE_NAME, "w:gz") as tar:
        tar.add(made, ".")
    stage(source, tmp_path / "staged")
    assert pack(tmp_path / "staged", tmp_path / "out.tar.gz").members == (
        "code/inference.py",
        "code/mainstage_entrypoint.py",
        "model.joblib",
    )


def test_a_folder_without_inference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"no inference\.py"):
        stage(folder(tmp_path / "in", {"model.joblib": "x"}), tmp_path / "staged")


def test_a_missing_folder_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no such folder"):
        stage(tmp_path / "nowhere", tmp_path / "staged")
    source = folder(tmp_path / "in", {"inference.py": "x"})
    (source / "model.joblib").symlink_to("/etc/passwd")
    with pytest.raises(FolderError, match=r"model\.joblib: a link"):
        stage(source, tmp_path / "staged-2")
