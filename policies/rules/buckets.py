"""What stands around a bucket is complete."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import UNKNOWN, Resource, Stack
from .rule import About, Problem, StackRule

_PARTS = {
    "encryption": "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "public access block": "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "versioning": "aws:s3/bucketVersioning:BucketVersioning",
    "policy": "aws:s3/bucketPolicy:BucketPolicy",
    "lifecycle": "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
}


def _complete(stack: Stack) -> Iterator[Problem]:
    for bucket in stack.of_type("aws:s3/bucket:Bucket"):
        for what, type_ in _PARTS.items():
            if _missing(bucket, stack.of_type(type_)):
                yield Problem(what, None, f"a {type_.rpartition(':')[2]} of this bucket", urn=bucket.urn)


def _missing(bucket: Resource, parts: list[Resource]) -> bool:
    name = bucket.get("bucket")
    for part in parts:
        of = part.get("bucket")
        if bucket.urn in part.needs.get("bucket", ()) or (of is not UNKNOWN and of is not None and of == name):
            return False
        if (of is UNKNOWN or name is UNKNOWN) and not part.needs.get("bucket"):
            return False  # it may be this one's: an `up` will know
    return True


RULES = (
    StackRule(
        About(
            "bucket-complete",
            "Beside every bucket stand its encryption, public access block, versioning, policy and lifecycle.",
            "A bucket without one of them has AWS's default, which no other rule sees: the rules judge what is there.",
            "use SecureBucket, which makes all of them",
        ),
        _complete,
    ),
)
