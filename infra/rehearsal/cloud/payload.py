"""Request bodies as clients really send them, unwrapped once, so that everything behind the door sees plain bytes.

Two wrappings exist: S3's `aws-chunked` (a body in signed or unsigned chunks, with checksums in a trailer; see
"Signature
Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" in the S3 API reference), and
gzip, which botocore uses for large requests of a few services.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping

from infra.rehearsal.cloud.api import AwsError


def unwrapped(headers: Mapping[str, str], body: bytes, *, is_object: bool) -> tuple[dict[str, str], bytes]:
    """Headers and body without transfer wrapping.

    headers: with lower-case names. is_object: the body may be a caller's object (S3), whose own Content-Encoding
    stays.
    """
    plain = dict(headers)
    encodings = [part.strip() for part in plain.get("content-encoding", "").split(",") if part.strip()]
    streaming = plain.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if streaming or "aws-chunked" in encodings:
        body, trailers = _dechunked(body)
        plain.update(trailers)
        for name in ("x-amz-trailer", "x-amz-decoded-content-length", "transfer-encoding"):
            plain.pop(name, None)
        plain["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        encodings = [encoding for encoding in encodings if encoding != "aws-chunked"]
    if "gzip" in encodings and not is_object:
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise AwsError(
                "SerializationException", f"The body says Content-Encoding: gzip and is no gzip: {error}"
            ) from error
        encodings.remove("gzip")
    if encodings:
        plain["content-encoding"] = ",".join(encodings)
    else:
        plain.pop("content-encoding", None)
    plain["content-length"] = str(len(body))
    return plain, body


def _dechunked(body: bytes) -> tuple[bytes, dict[str, str]]:
    """The bytes inside an aws-chunked body, and the trailer's headers."""
    parts: list[bytes] = []
    position = 0
    while True:
        line_end = body.find(b"\r\n", position)
        size_text = body[position:line_end].split(b";", 1)[0].strip() if line_end >= 0 else b""
        try:
            size = int(size_text, 16)
        except ValueError:
            raise _broken(position) from None
        position = line_end + 2
        if size == 0:
            return b"".join(parts), _trailers(body[position:])
        chunk = body[position : position + size]
        if len(chunk) != size or body[position + size : position + size + 2] != b"\r\n":
            raise _broken(position)
        parts.append(chunk)
        position += size + 2


def _trailers(tail: bytes) -> dict[str, str]:
    trailers: dict[str, str] = {}
    for line in tail.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            trailers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    # A trailer's own signature covers the chunks, which are gone.
    trailers.pop("x-amz-trailer-signature", None)
    return trailers


def _broken(position: int) -> AwsError:
    return AwsError("IncompleteBody", f"The request's aws-chunked body is broken at byte {position}.")
