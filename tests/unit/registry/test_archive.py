"""Model folders become archives: the same bytes for the same files, code where the image looks for it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from infra.registry.archive import ARCHIVE_NAME, ArchiveDiffers, FolderError, pack, stage

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


ARCHIVED = {"code/inference.py": FILES["inference.py"], "code/helper.py": "X = 1\n", "model.joblib": "weights"}


def trained(path: Path, loose: dict[str, str], archived: dict[str, str] = ARCHIVED) -> Path:
    """A folder into which training has written a model.tar.gz, beside loose files."""
    source = folder(path / "model", loose)
    made = folder(path / "made", archived)
    with tarfile.open(source / ARCHIVE_NAME, "w:gz") as tar:
        tar.add(made, ".")
    return source


@pytest.mark.parametrize(
    "loose",
    [
        {"training.json": "{}", "sample.json": "{}", "train.py": "trains"},
        {"inference.py": FILES["inference.py"], "model.joblib": "weights"},
        {"evaluate.py": "no part of what serves", "notes.md": "x", ".git/config": "x"},
        {"code/inference.py": FILES["inference.py"]},
    ],
)
def test_files_that_say_what_the_archive_says_are_in_nobody_s_way(tmp_path: Path, loose: dict[str, str]) -> None:
    stage(trained(tmp_path, loose), tmp_path / "staged")
    assert (tmp_path / "staged" / "code" / "inference.py").read_text() == FILES["inference.py"]


@pytest.mark.parametrize(
    ("loose", "differ"),
    [
        ({"inference.py": "def model_fn(model_dir): return 2\n"}, ("inference.py",)),
        ({"inference.py": "2", "helper.py": "X = 2\n"}, ("helper.py", "inference.py")),
        ({"code/inference.py": "2"}, ("code/inference.py",)),
        ({"inference.py": FILES["inference.py"], "requirements.txt": "six\n"}, ("requirements.txt",)),
        ({"model.joblib": "other weights"}, ("model.joblib",)),
    ],
)
def test_an_archive_that_is_older_than_what_lies_beside_it_is_refused(
    tmp_path: Path, loose: dict[str, str], differ: tuple[str, ...]
) -> None:
    source = trained(tmp_path, loose)
    # When a file was written says nothing: a checkout and a copy change it.
    os.utime(source / ARCHIVE_NAME, (4_000_000_000, 4_000_000_000))
    with pytest.raises(ArchiveDiffers) as refused:
        stage(source, tmp_path / "staged")
    assert refused.value.details == {"archive": str(source / ARCHIVE_NAME), "differ": list(differ)}
    # The archive by its own name is what a person has asked for.
    stage(source / ARCHIVE_NAME, tmp_path / "staged-2")


def test_the_refusal_says_what_would_be_registered_and_every_way_out(tmp_path: Path) -> None:
    source = trained(tmp_path / "a", {"inference.py": "2"})
    with pytest.raises(ArchiveDiffers) as refused:
        stage(source, tmp_path / "staged")
    assert str(refused.value) == (
        f"{source}: inference.py is not what {ARCHIVE_NAME} beside it holds, and the archive is what would be "
        f"registered. Train again, which packs it anew; or push {source / ARCHIVE_NAME} by its own name, to register "
        "the archive as it stands"
    )
    whole = trained(tmp_path / "b", {"inference.py": "2", "helper.py": "X = 3\n", "model.joblib": "weights"})
    with pytest.raises(ArchiveDiffers) as refused:
        stage(whole, tmp_path / "staged-2")
    assert str(refused.value) == (
        f"{whole}: helper.py, inference.py are not what {ARCHIVE_NAME} beside them holds, and the archive is what "
        f"would be registered. Train again, which packs it anew; or delete {ARCHIVE_NAME}: the folder has all that it "
        f"holds, and is packed then; or push {whole / ARCHIVE_NAME} by its own name, to register the archive as it "
        "stands"
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
