"""What S3 says of an object's SHA-256 it has checked itself."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mainstage._release_approval import archive_sha256

from infra.rehearsal.cloud.cloud import Cloud

BUCKET = "archives-of-tests"


def told(data: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest}


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    client: Any = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.region})
    return client


def test_it_is_kept_when_it_fits_and_shown_when_it_is_asked_for(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x", **told(b"x"))
    assert archive_sha256(s3, BUCKET, "k") == hashlib.sha256(b"x").hexdigest()
    assert "ChecksumSHA256" not in s3.head_object(Bucket=BUCKET, Key="k")


@pytest.mark.parametrize("body", [b"y", b""])
def test_other_bytes_are_refused(s3: Any, body: bytes) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=BUCKET, Key="k", Body=body, **told(b"x"))
    assert refused.value.response["Error"]["Code"] == "BadDigest"
    assert archive_sha256(s3, BUCKET, "k") is None


def test_an_object_that_came_without_one_has_none(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x", Metadata={"sha256": hashlib.sha256(b"x").hexdigest()})
    assert archive_sha256(s3, BUCKET, "k") is None


def test_that_of_an_upload_in_parts_is_not_the_objects(s3: Any) -> None:
    how = {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"}  # of SHA-256 there is no other
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="k", **how)["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="k", UploadId=upload, PartNumber=1, Body=b"x", **told(b"x"))
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    s3.complete_multipart_upload(Bucket=BUCKET, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert archive_sha256(s3, BUCKET, "k") is None
