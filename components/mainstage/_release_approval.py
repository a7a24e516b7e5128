"""The gate: a version is released only after somebody else than who pushed it has said so."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Optional

from mainstage_runtime.release_history import error_code

from ._release_access import GONE, Session, said, signed_in
from ._release_verdict import ReleaseError

CARD, APPROVAL = "card.json", "approval.json"
"""Beside the archive in the registry."""
UNCHECKED = "it was uploaded without a SHA-256 for S3 to check (up to 0.1.0, or not by mainstage model push)"


def archive_place(url: str) -> Optional[tuple[str, str]]:
    """Bucket and key of an archive; None for a URL that is none of S3's."""
    if not url.startswith("s3://"):
        return None
    bucket, slash, key = url.removeprefix("s3://").partition("/")
    return (bucket, key) if bucket and slash and key else None


def beside(key: str, name: str) -> str:
    """Key of another file of the version."""
    return key.rpartition("/")[0] + "/" + name


def problem(
    version: int,
    archive_sha256: Optional[str],
    card: Optional[Mapping[str, Any]],
    approval: Optional[Mapping[str, Any]],
) -> Optional[str]:
    """What is wrong with a version's approval; None when it may be released.

    `archive_sha256`: see the function of this name.
    """
    if card is None:
        return "it has no card: its push was interrupted. Push its folder again"
    archive = card.get("archive")
    sha256 = archive.get("sha256") if isinstance(archive, Mapping) else None
    if not sha256:
        return "its card names no SHA-256 of the archive"
    if archive_sha256 is None:
        return f"its archive is gone, or {UNCHECKED}. Push its folder again as a new version"
    if archive_sha256 != sha256:
        return f"its archive (SHA-256 {archive_sha256}) is not the one of its card ({sha256})"
    if approval is None:
        return "nobody has approved it"
    if approval.get("version") != version:
        return f"its approval is for version {approval.get('version')}"
    if approval.get("archive_sha256") != sha256:
        return f"its approval names another archive (SHA-256 {approval.get('archive_sha256')}) than its card ({sha256})"
    pushed_by, approved_by = card.get("pushed_by"), approval.get("approved_by")
    if not approved_by:
        return "its approval does not say whose it is"
    if not pushed_by:
        return "its card does not say who pushed it, so nobody can tell whether somebody else approved it"
    if approved_by == pushed_by:
        return f"{approved_by} pushed it and approved it: an approval comes from somebody else"
    return None


def check_approval(*, account_id: str, model: str, version: int, url: str, session: Session) -> None:
    """Refuses a version that nobody but its pusher has approved. Raises ReleaseError.

    `url`: the archive's, `s3://bucket/key`; card and approval lie beside it.
    """
    wrong: Optional[str]
    try:
        made, _ = signed_in(session, account_id)
        place = archive_place(url)
        if place is None:
            wrong = f"its archive {url} is in no registry, so nobody can have approved it"
        else:
            s3, (bucket, key) = made.client("s3"), place
            wrong = problem(
                version,
                archive_sha256(s3, bucket, key),
                _json(s3, bucket, beside(key, CARD)),
                _json(s3, bucket, beside(key, APPROVAL)),
            )
    except Exception as error:
        raise ReleaseError(
            f"approval unknown for model {model} version {version}: {said(error)}\nnothing was made of it"
        ) from error
    if wrong is not None:
        raise ReleaseError(
            f"model {model} version {version} is not released: {wrong}\n"
            f"next: somebody else than who pushed it runs: mainstage model approve {model} {version}"
        )


def _json(s3: Any, bucket: str, key: str) -> Optional[Mapping[str, Any]]:
    try:
        found = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except Exception as error:
        if error_code(error) in GONE:
            return None
        raise
    return found if isinstance(found, Mapping) else None


def archive_sha256(s3: Any, bucket: str, key: str) -> Optional[str]:
    """The SHA-256 of an object's bytes, hexadecimal, as S3 has checked it when they came.

    None: there is no such object, or it came without one. What its uploader says elsewhere (in the object's metadata,
    in the card) proves nothing.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    try:
        found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except Exception as error:
        if error_code(error) in GONE:
            return None
        raise
    checksum = str(found.get("ChecksumSHA256", ""))
    # That of an upload in parts is one of the parts' checksums, and ends in their number.
    whole = found.get("ChecksumType") != "COMPOSITE" and "-" not in checksum
    return base64.b64decode(checksum).hex() if checksum and whole else None
