"""Unpacks a `model.tar.gz` without trusting it.

Nothing is written outside the target folder, nothing is left behind when the archive is refused, and neither memory nor
disk is given to an archive that lies about its size.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

REQUIRED = ("code/inference.py",)
MAX_TOTAL_BYTES = 8 * 1024**3
MAX_MEMBERS = 20_000
_MAX_HEADER_BYTES = 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


class BadArchive(ValueError):
    """The archive is refused. The message names the archive and, where there is one, the member."""


def unpack_model_archive(
    archive: Path,
    into: Path,
    *,
    required: Sequence[str] = REQUIRED,
    max_total_bytes: int = MAX_TOTAL_BYTES,
    max_members: int = MAX_MEMBERS,
) -> None:
    """Unpacks `archive` into the folder `into`, which is made, or must be empty.

    Regular files, folders and links that stay inside are taken; permissions are reduced to rwx for the owner. Raises
    BadArchive for anything else: an absolute path, `..`, a link that leads out, a device or pipe, the same file twice,
    more than `max_total_bytes` of content or `max_members` members, no gzip-compressed tar, or a missing `required`
    member. `into` is then as it was before.
    """
    if into.exists() and any(into.iterdir()):
        raise BadArchive(f"{archive.name}: {into} is not empty; unpack into a new folder")
    into.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unpack-", dir=into.parent))
    try:
        _Unpacking(archive, scratch, max_total_bytes, max_members).run()
        _check_required(archive, scratch, required)
        if into.exists():
            into.rmdir()
        scratch.rename(into)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    into.chmod(0o755)


def _check_required(archive: Path, root: Path, required: Sequence[str]) -> None:
    missing = [name for name in required if not (root / name).is_file()]
    if not missing:
        return
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listing = ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
    stray = [name for name in found if PurePosixPath(name).name == PurePosixPath(missing[0]).name]
    hint = f"; move {stray[0]} to {missing[0]}" if stray else ""
    raise BadArchive(f"{archive.name}: no {' and no '.join(missing)} in it; it holds {listing or 'no file'}{hint}")


class _Metered:
    """A file that gives out no more than it was allowed to: tarfile takes any header into memory, whatever its size."""

    def __init__(self, file: gzip.GzipFile, refusal: str):
        self._file = file
        self.refusal = refusal
        self.allowed = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.allowed -= len(data)
        if self.allowed < 0:
            raise BadArchive(self.refusal)
        return data


class _Unpacking:
    def __init__(self, archive: Path, root: Path, max_total_bytes: int, max_members: int):
        self.archive = archive
        self.root = root
        self.max_total_bytes = max_total_bytes
        self.max_members = max_members
        self.total_bytes = 0
        self.files: set[str] = set()
        self.links: list[tuple[str, Path]] = []

    def refuse(self, member: str, why: str) -> BadArchive:
        return BadArchive(f"{self.archive.name}: member {member!r} {why}")

    def run(self) -> None:
        try:
            with gzip.open(self.archive, "rb") as plain:
                metered = _Metered(
                    plain, f"{self.archive.name}: a member's header is larger than {_MAX_HEADER_BYTES} bytes"
                )
                metered.allowed = _MAX_HEADER_BYTES
                with tarfile.open(fileobj=cast(IO[bytes], metered), mode="r|", errorlevel=2) as tar:
                    self._members(tar, metered)
                # To the end, where gzip's checksum stands: a damaged archive is found out.
                metered.allowed = _MAX_HEADER_BYTES
                metered.refusal = f"{self.archive.name}: more than {_MAX_HEADER_BYTES} bytes behind the end of its tar"
                while metered.read(_CHUNK_BYTES):
                    pass
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError) as error:
            raise BadArchive(
                f"{self.archive.name}: not a whole gzip-compressed tar ({error}); "
                "make it with `tar czf model.tar.gz ...` "
                "or `mainstage model push`"
            ) from error
        except OSError as error:
            raise BadArchive(f"{self.archive.name}: cannot be unpacked: {error}") from error
        for name, link in self.links:
            # Once more at the end: what a link leads to may itself be a link that came later.
            if not _inside(self.root, link):
                raise self.refuse(name, "is a link that leads out of the archive")

    def _members(self, tar: tarfile.TarFile, metered: _Metered) -> None:
        count = 0
        while True:
            metered.allowed = _MAX_HEADER_BYTES
            member = tar.next()
            if member is None:
                return
            count += 1
            if count > self.max_members:
                raise BadArchive(f"{self.archive.name}: more than {self.max_members} members")
            metered.allowed = member.size + _MAX_HEADER_BYTES
            self._take(tar, member)
            cast(Any, tar).members.clear()  # tarfile keeps every header it has read; none is needed again

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = self._safe_name(member.name)
        target = self.root / name
        self._check_parents(member.name, target)
        if member.isdir():
            if name in self.files:
                raise self.refuse(member.name, "is there twice, as a file and as a folder")
            target.mkdir(mode=0o755, parents=True, exist_ok=True)
            return
        if name in self.files or os.path.lexists(target):
            raise self.refuse(member.name, "is there twice")
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if member.isreg():
            self._write(tar, member, target)
        elif member.issym():
            self._link(member, target, (target.parent / member.linkname))
        elif member.islnk():
            self._hard_link(member, target)
        else:
            kind = {tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a named pipe"}
            raise self.refuse(
                member.name, f"is {kind.get(member.type, 'of an unknown kind')}; only files, folders and links inside"
            )
        self.files.add(name)

    def _safe_name(self, name: str) -> str:
        if name.startswith("/"):
            raise self.refuse(name, "has an absolute path")
        parts = PurePosixPath(name).parts
        if ".." in parts:
            raise self.refuse(name, "climbs out of its folder with '..'")
        if "\0" in name or any(0xD800 <= ord(character) <= 0xDFFF for character in name):
            raise self.refuse(name, "has a name that is not UTF-8 text")
        if any(len(part.encode()) > 255 for part in parts):
            raise self.refuse(name[:80] + "...", "has a name longer than 255 bytes")
        return str(PurePosixPath(*parts))

    def _check_parents(self, name: str, target: Path) -> None:
        for folder in target.relative_to(self.root).parents:
            path = self.root / folder
            if path.is_symlink():
                raise self.refuse(name, f"would be written through the link {folder.as_posix()!r}")
            if path.exists() and not path.is_dir():
                raise self.refuse(name, f"lies below {folder.as_posix()!r}, which is a file")

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        self.total_bytes += member.size
        if self.total_bytes > self.max_total_bytes:
            raise self.refuse(member.name, f"brings the unpacked size above {self.max_total_bytes} bytes")
        source = tar.extractfile(member)
        if source is None:
            raise self.refuse(member.name, "has no content")
        with source, target.open("xb") as out:
            left = member.size
            while left:
                chunk = source.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise self.refuse(member.name, "is shorter than its header says")
                out.write(chunk)
                left -= len(chunk)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)

    def _link(self, member: tarfile.TarInfo, target: Path, leads_to: Path) -> None:
        if os.path.isabs(member.linkname) or not _inside(self.root, leads_to):
            raise self.refuse(member.name, f"is a link to {member.linkname!r}, out of the archive")
        target.symlink_to(member.linkname)
        self.links.append((member.name, target))

    def _hard_link(self, member: tarfile.TarInfo, target: Path) -> None:
        if member.linkname.startswith("/") or ".." in PurePosixPath(member.linkname).parts:
            raise self.refuse(member.name, f"is a hard link to {member.linkname!r}, out of the archive")
        source = self.root / member.linkname
        if str(PurePosixPath(member.linkname)) not in self.files or source.is_symlink():
            raise self.refuse(
                member.name, f"is a hard link to {member.linkname!r}, which is no earlier file of the archive"
            )
        self._check_parents(member.name, source)
        os.link(source, target)


def _inside(root: Path, path: Path) -> bool:
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    except OSError:
        return False  # a loop of links leads nowhere
