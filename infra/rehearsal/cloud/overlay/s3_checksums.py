"""S3 takes no object whose bytes do not have the SHA-256 that came with it. moto keeps what it is told.

Source: S3 User Guide, "Checking object integrity for data uploads". The words are unconfirmed.
"""

from __future__ import annotations

import base64
import hashlib

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import before


@before("s3", "PutObject")
def fits(call: Call) -> None:
    told = call.params.get("ChecksumSHA256")
    if told is None:
        return
    if told != base64.b64encode(hashlib.sha256(call.params.get("Body") or b"").digest()).decode():
        raise AwsError("BadDigest", "The SHA256 you specified did not match the calculated checksum.", 400)
