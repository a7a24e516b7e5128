"""AWS Signature Version 4 of requests to an HTTP API, verified for real.

Source: IAM User Guide, "AWS Signature Version 4 for API requests"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html). The body is always hashed: what a client says of
it in x-amz-content-sha256 must agree. A signature may be five minutes off (same guide, "Troubleshoot"). Time here is
the machine's, not the cloud's clock: clients sign by theirs, which no drill advances.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from infra.rehearsal.cloud.gateway.request import Request

if TYPE_CHECKING:
    from infra.rehearsal.cloud.iam.principals import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
SKEW = timedelta(minutes=5)
LONGEST_PRESIGNED = 604_800
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<credential>[^,\s]+)\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)


class BadSignature(Exception):
    """Why a signature does not hold."""


@dataclass(frozen=True)
class Signed:
    """What a request says of its signature."""

    access_key_id: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    stamp: str
    """yyyymmddThhmmssZ."""
    token: str
    expires: int | None
    """Seconds; None for a signature in the header."""


def read(request: Request) -> Signed:
    """What the request says, in its header or its query. BadSignature when it is unsigned or malformed."""
    header = request.headers.get("authorization", "")
    if header:
        found = _AUTHORIZATION.fullmatch(header.strip())
        if found is None:
            raise BadSignature("the Authorization header is no Signature Version 4")
        stamp = request.headers.get("x-amz-date", "")
        token = request.headers.get("x-amz-security-token", "")
        return _signed(found["credential"], found["headers"], found["signature"], stamp, token, None)
    query = {unquote(name): unquote(value) for name, value in _pairs(request.query)}
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise BadSignature("the request is not signed")
    expires = query.get("X-Amz-Expires", "")
    if not expires.isdecimal() or not 1 <= int(expires) <= LONGEST_PRESIGNED:
        raise BadSignature(f"X-Amz-Expires is {expires!r}; 1 to {LONGEST_PRESIGNED} seconds")
    return _signed(
        query.get("X-Amz-Credential", ""),
        query.get("X-Amz-SignedHeaders", ""),
        query.get("X-Amz-Signature", ""),
        query.get("X-Amz-Date", ""),
        query.get("X-Amz-Security-Token", ""),
        int(expires),
    )


def verify(request: Request, signed: Signed, credentials: Credentials, *, region: str, now: datetime) -> None:
    """Raises BadSignature unless the credentials made this signature over this request, now, for this region."""
    if (signed.region, signed.service) != (region, SERVICE):
        raise BadSignature(f"signed for {signed.service} in {signed.region}; this is {SERVICE} in {region}")
    _check_time(signed, now)
    if not hmac.compare_digest(signed.token.encode(), credentials.session_token.encode()):
        raise BadSignature("the session token is not that of the access key")
    body_hash = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", body_hash) != body_hash:
        raise BadSignature("the body is not the one that was signed")
    canonical = canonical_request(request, signed.headers, body_hash)
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    to_sign = f"{ALGORITHM}\n{signed.stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(credentials.secret_access_key, signed.date, signed.region, signed.service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signed.signature):
        raise BadSignature("the signature does not match the request")


def canonical_request(request: Request, signed_headers: tuple[str, ...], body_hash: str) -> str:
    """The text that is signed. The path is encoded once more, as for every service but S3."""
    for needed in ("host", *(name for name in request.headers if name.startswith("x-amz-"))):
        if needed not in signed_headers and needed != "x-amz-content-sha256":
            raise BadSignature(f"the header {needed} is not signed")
    lines = [f"{name}:{_header(request.headers, name)}\n" for name in signed_headers]
    return "\n".join(
        (
            request.method,
            quote(_normal_path(request.path), safe="/~-_."),
            _canonical_query(request.query),
            "".join(lines),
            ";".join(signed_headers),
            body_hash,
        )
    )


def _signed(credential: str, headers: str, signature: str, stamp: str, token: str, expires: int | None) -> Signed:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise BadSignature(f"{credential!r} is no credential scope")
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or not stamp.startswith(parts[1]):
        raise BadSignature("the request's date is missing, or is not the one of its credential scope")
    names = tuple(headers.split(";"))
    if list(names) != sorted(set(names)):
        raise BadSignature("SignedHeaders are not in order")
    return Signed(parts[0], parts[1], parts[2], parts[3], names, signature, stamp, token, expires)


def _check_time(signed: Signed, now: datetime) -> None:
    try:
        at = datetime.strptime(signed.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise BadSignature(f"{signed.stamp} is no time") from None
    valid_for = SKEW if signed.expires is None else timedelta(seconds=signed.expires)
    if not at - SKEW <= now <= at + valid_for:
        raise BadSignature(f"the signature of {signed.stamp} is not valid at {now:%Y%m%dT%H%M%SZ}")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise BadSignature(f"the signed header {name} is missing")
    return " ".join(value.split())


def _pairs(query: str) -> list[tuple[str, str]]:
    found = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part:
            found.append((name, value))
    return found


def _canonical_query(query: str) -> str:
    pairs = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, value in _pairs(query)
    )
    return "&".join(f"{name}={value}" for name, value in pairs if name != "X-Amz-Signature")


def _normal_path(path: str) -> str:
    """Without dot segments and doubled slashes (the guide's CanonicalUri)."""
    if "." not in path and "//" not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if path.endswith("/") and kept else "")


@functools.lru_cache(maxsize=256)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
