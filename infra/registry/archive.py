"""Packs a model folder into the `model.tar.gz` that the serving image unpacks under /opt/ml/model.

The same files give the same bytes: names sorted, owners, times and modes fixed, so that an archive's SHA-256 names its
content and a second push of the same folder is recognised.
"""

from __future__ import annotations

import filecmp
import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mainstage_runtime

from infra.rehearsal.cloud.model_host import unpack_model_archive

ARCHIVE_NAME = "model.tar.gz"
ENTRY_POINT = "mainstage_entrypoint.py"
TRAINING_RECORD = "training.json"
REQUIREMENTS = "requirements.txt"

NOT_SERVED = {TRAINING_RECORD, "card.json", "sample.json", ARCHIVE_NAME, "train.py"}
"""Files of a model folder that describe the model but are not part of what is served."""

MAX_ARCHIVE_BYTES = 5 * 1024**3
"""S3 takes at most 5 GiB in one PutObject, the only call that can be conditional on the object not being there
(S3 user guide, "Uploading objects")."""


class FolderError(ValueError):
    """A model folder that cannot be pushed; the message names the file and the fix."""


class ArchiveDiffers(FolderError):
    """A folder whose files are not what its archive holds: somebody has edited what is not packed."""

    def __init__(self, source: Path, differ: Sequence[str], *, whole: bool) -> None:
        """differ: files of the folder. whole: whether the folder has every file of the archive."""
        archive = source / ARCHIVE_NAME
        is_not, beside = ("is not", "it") if len(differ) == 1 else ("are not", "them")
        delete = f"or delete {ARCHIVE_NAME}: the folder has all that it holds, and is packed then; " if whole else ""
        super().__init__(
            f"{source}: {', '.join(differ)} {is_not} what {ARCHIVE_NAME} beside {beside} holds, and the archive is "
            f"what would be registered. Train again, which packs it anew; {delete}or push {archive} by its own name, "
            "to register the archive as it stands"
        )
        self.details = {"archive": str(archive), "differ": list(differ)}


@dataclass(frozen=True)
class Packed:
    path: Path
    sha256: str
    size_bytes: int
    members: tuple[str, ...]


def stage(source: Path, into: Path) -> None:
    """Lays `source` out in `into` as the archive will hold it: artifacts at the top, Python code under code/.

    `source` is a folder with `inference.py` and the model's files, a folder with a `model.tar.gz`, or such an archive.
    Raises FolderError (no inference.py, a link, not a folder), ArchiveDiffers (files beside a folder's archive say
    something else than it) or BadArchive (what `unpack_model_archive` refuses).
    """
    archive = source if source.is_file() else source / ARCHIVE_NAME
    into.mkdir(parents=True, exist_ok=True)
    if archive.is_file():
        unpack_model_archive(archive, into)
        if archive != source:
            _check_same(source, into)
    elif source.is_dir():
        _copy(source, into)
    else:
        raise FolderError(f"{source}: no such folder; give the folder that holds inference.py and the model's files")
    code = into / "code"
    if not (code / "inference.py").is_file():
        raise FolderError(
            f"{source}: no inference.py; a model folder needs one with model_fn(model_dir) at least "
            "(mainstage model new NAME writes one)"
        )
    shutil.copyfile(Path(mainstage_runtime.__file__).with_name("entrypoint.py"), code / ENTRY_POINT)


def _copy(source: Path, into: Path) -> None:
    for path, place in _served(source):
        if path.is_symlink():
            raise FolderError(
                f"{path}: a link; an archive holds only files of its own: replace it with the file itself"
            )
        target = into / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _served(source: Path) -> Iterator[tuple[Path, Path]]:
    """(file, its place in the archive) of what a model folder serves; links too."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if any(part.startswith(".") or part == "__pycache__" for part in relative.parts):
            continue
        if not (path.is_file() or path.is_symlink()) or (len(relative.parts) == 1 and relative.name in NOT_SERVED):
            continue
        is_code = len(relative.parts) == 1 and (relative.suffix == ".py" or relative.name == REQUIREMENTS)
        yield path, Path("code") / relative if is_code else relative


def _check_same(source: Path, unpacked: Path) -> None:
    """Raises ArchiveDiffers when a file of the folder says something else than the archive. A file that the archive
    does not have is no part of what it serves, but for requirements, which the image would have installed."""
    differ, found = [], set()
    for path, place in _served(source):
        archived = unpacked / place
        found.add(place)
        if archived.is_file() and path.is_file():
            if not filecmp.cmp(path, archived, shallow=False):
                differ.append(path.relative_to(source).as_posix())
        elif place == Path("code") / REQUIREMENTS:
            differ.append(path.relative_to(source).as_posix())
    if differ:
        held = {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()}
        raise ArchiveDiffers(source, differ, whole=held - {Path("code") / ENTRY_POINT} <= found)


def pack(staged: Path, target: Path) -> Packed:
    """Writes the staged files to `target`. Raises FolderError above MAX_ARCHIVE_BYTES."""
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in files:
            member = tarfile.TarInfo(path.relative_to(staged).as_posix())
            member.size, member.mode, member.mtime = path.stat().st_size, 0o644, 0
            with path.open("rb") as content:
                tar.addfile(member, content)
    size = target.stat().st_size
    if size > MAX_ARCHIVE_BYTES:
        raise FolderError(
            f"{target.name}: {size} bytes; S3 takes at most {MAX_ARCHIVE_BYTES} in one write-once upload: "
            "make the model smaller"
        )
    return Packed(target, sha256_of(target), size, tuple(path.relative_to(staged).as_posix() for path in files))


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(io.DEFAULT_BUFFER_SIZE * 16):
            digest.update(chunk)
    return digest.hexdigest()
