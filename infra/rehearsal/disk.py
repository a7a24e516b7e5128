"""Says which disk is full: the operating system's own error names none."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from infra.rehearsal.pointer import FOLDER

ENOUGH_BYTES = 1 << 20
"""With less than that free, a disk is full."""


class DiskFull(ValueError):
    """No room is left; the message says where."""


def full_told(root: Path) -> str:
    """A sentence about the disks that a rehearsal of the checkout writes to and that are full; "" when none is."""
    full = []
    for folder in (root / FOLDER, Path(os.environ.get("TMPDIR") or "/tmp")):
        with contextlib.suppress(OSError):
            if shutil.disk_usage(folder).free < ENOUGH_BYTES:
                full.append(str(folder))
    return f"no room is left on the disk of {' and of '.join(full)}: make some, then run the same again" if full else ""


def told(error: OSError, root: Path) -> str:
    """An error of the operating system in words; one for want of room names the place and says what to do."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return str(error)
    where = error.filename or root / FOLDER
    return full_told(root) or f"no room is left for {where} ({error.strerror}): make some, then run the same again"


@contextlib.contextmanager
def naming_it(root: Path) -> Iterator[None]:
    """Raises DiskFull for the errors of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(told(error, root)) from error
        raise
