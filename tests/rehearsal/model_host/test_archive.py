"""Archives that attack, archives that are broken, and what is taken."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.cloud.model_host import BadArchive, unpack_model_archive

Member = tuple[str, bytes] | tarfile.TarInfo
INFERENCE: Member = ("code/inference.py", b"def model_fn(d): return 1\n")


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(*members: Member, compressed: bool = True) -> Path:
        path = tmp_path / "model.tar.gz"
        with tarfile.open(path, "w:gz" if compressed else "w") as tar:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    tar.addfile(member)
                else:
                    info = tarfile.TarInfo(member[0])
                    info.size = len(member[1])
                    tar.addfile(info, io.BytesIO(member[1]))
        return path

    return make


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(archive: Path, tmp_path: Path, *words: str, **limits: Any) -> None:
    before = tree(tmp_path)
    into = tmp_path / "out" / "model"
    with pytest.raises(BadArchive) as caught:
        unpack_model_archive(archive, into, **limits)
    for word in (archive.name, *words):
        assert word in str(caught.value)
    assert not into.exists()
    assert tree(tmp_path) == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == []


def test_files_folders_and_inner_links_are_taken(write, tmp_path):
    script = tarfile.TarInfo("code/run.sh")
    script.mode = 0o4777
    archive = write(
        special("./", tarfile.DIRTYPE),
        special("weights", tarfile.DIRTYPE),
        special("weights/", tarfile.DIRTYPE),
        ("weights/Größe.bin", b"\x00\xff"),
        INFERENCE,
        script,
        special("current", tarfile.SYMTYPE, "weights/Größe.bin"),
        special("code/up", tarfile.SYMTYPE, "../weights"),
        special("again", tarfile.LNKTYPE, "weights/Größe.bin"),
    )
    into = tmp_path / "model"
    into.mkdir()
    unpack_model_archive(archive, into)
    assert (into / "current").read_bytes() == (into / "again").read_bytes() == (into / "code/up/Größe.bin").read_bytes()
    assert (into / "weights/Größe.bin").read_bytes() == b"\x00\xff"
    assert (into / "code/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (into / "code/inference.py").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("/etc/evil", b"x")], ["'/etc/evil'", "absolute path"]),
        ([("../evil", b"x")], ["'../evil'", "'..'"]),
        ([("a/../../evil", b"x")], ["'a/../../evil'", "'..'"]),
        ([special("l", tarfile.SYMTYPE, "/etc/passwd")], ["'l'", "'/etc/passwd'", "out of the archive"]),
        ([special("a/l", tarfile.SYMTYPE, "../../x")], ["'a/l'", "'../../x'", "out of the archive"]),
        (
            [special("here", tarfile.SYMTYPE, "."), special("l", tarfile.SYMTYPE, "here/../x")],
            ["'l'", "out of the archive"],
        ),
        ([special("x", tarfile.SYMTYPE, "y/../../z"), special("y", tarfile.SYMTYPE, "a/b")], ["'x'"]),
        (
            [special("d", tarfile.SYMTYPE, "code"), INFERENCE, ("d/evil.py", b"x")],
            ["'d/evil.py'", "through the link 'd'"],
        ),
        ([special("h", tarfile.LNKTYPE, "/etc/passwd")], ["'h'", "hard link", "out of the archive"]),
        ([special("h", tarfile.LNKTYPE, "../x")], ["'h'", "out of the archive"]),
        ([special("h", tarfile.LNKTYPE, "nothing")], ["'h'", "no earlier file"]),
        (
            [special("s", tarfile.SYMTYPE, "code"), special("h", tarfile.LNKTYPE, "s")],
            ["'h'", "no earlier file"],
        ),
        ([special("d", tarfile.CHRTYPE)], ["'d'", "a device"]),
        ([special("d", tarfile.BLKTYPE)], ["'d'", "a device"]),
        ([special("p", tarfile.FIFOTYPE)], ["'p'", "a named pipe"]),
        ([("a", b"1"), ("a", b"2")], ["'a'", "twice"]),
        ([("a", b"1"), ("./a", b"2")], ["'./a'", "twice"]),
        ([("a", b"1"), special("a", tarfile.DIRTYPE)], ["'a'", "twice"]),
        ([("a", b"1"), ("a/b", b"2")], ["'a/b'", "below 'a', which is a file"]),
        ([("n" * 300, b"1")], ["longer than 255 bytes"]),
    ],
)
def test_attacks_are_refused_and_named_and_leave_nothing(write, tmp_path, members, words):
    assert_refused(write(INFERENCE, *members) if INFERENCE not in members else write(*members), tmp_path, *words)


def test_a_bomb_by_size_is_refused_before_it_is_written(write, tmp_path):
    archive = write(INFERENCE, ("zeros", bytes(3_000_000)))
    assert archive.stat().st_size < 10_000
    assert_refused(archive, tmp_path, "'zeros'", "above 1000000 bytes", max_total_bytes=1_000_000)


def test_many_small_files_count_together(write, tmp_path):
    members = [(f"f{number}", bytes(1000)) for number in range(20)]
    assert_refused(write(INFERENCE, *members), tmp_path, "above 10000 bytes", max_total_bytes=10_000)


def test_a_bomb_by_count_is_refused(write, tmp_path):
    members = [(f"f{number}", b"") for number in range(50)]
    assert_refused(write(INFERENCE, *members), tmp_path, "more than 20 members", max_members=20)


def test_a_header_that_is_a_bomb_costs_no_memory(tmp_path):
    """A pax header may announce any size, and tarfile would take it into memory."""
    size = 200_000_000
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, size
    archive = tmp_path / "model.tar.gz"
    with gzip.GzipFile(archive, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    tracemalloc.start()
    try:
        assert_refused(archive, tmp_path, "header is larger than")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar" * 500), os.urandom(4000)],
    ids=["empty", "text", "gzip of no tar", "noise"],  # the same in every test process
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(content)
    assert_refused(archive, tmp_path, "not a whole gzip-compressed tar")


def test_an_uncompressed_tar_is_refused(write, tmp_path):
    assert_refused(write(INFERENCE, compressed=False), tmp_path, "not a whole gzip-compressed tar", "tar czf")


def test_a_cut_or_damaged_archive_is_refused(write, tmp_path):
    archive = write(INFERENCE, ("w", os.urandom(50_000)))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert_refused(archive, tmp_path, "not a whole gzip-compressed tar")
    archive.write_bytes(whole[:-8] + struct.pack("<II", 1, 2))
    assert_refused(archive, tmp_path, "not a whole gzip-compressed tar")


def test_an_archive_that_is_not_there_is_named(tmp_path):
    (tmp_path / "out").mkdir()
    assert_refused(tmp_path / "model.tar.gz", tmp_path, "No such file")


def test_missing_inference_says_what_there_is_and_where_it_belongs(write, tmp_path):
    archive = write(("inference.py", b""), ("model.joblib", b""))
    assert_refused(
        archive, tmp_path, "no code/inference.py", "inference.py, model.joblib", "move inference.py to code/"
    )


def test_a_folder_that_holds_something_is_left_alone(write, tmp_path):
    into = tmp_path / "model"
    into.mkdir()
    (into / "mine").write_text("kept")
    with pytest.raises(BadArchive, match="not empty"):
        unpack_model_archive(write(INFERENCE), into)
    assert tree(into) == {"mine": b"kept"}
