"""S3: operations whose permission has another name, and what each acts on.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; S3 User Guide,
"Required permissions for Amazon S3 API operations".
"""

from __future__ import annotations

from urllib.parse import unquote

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam.arns import partition_of
from infra.rehearsal.cloud.iam.need import Need

_NAMES = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "ListBuckets": "ListAllMyBuckets",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    **{
        called: f"{verb}{kind}Configuration"
        for kind in ("Analytics", "Inventory", "Metrics", "IntelligentTiering")
        for verb, called in (
            ("Get", f"GetBucket{kind}Configuration"),
            ("Get", f"ListBucket{kind}Configurations"),
            ("Put", f"PutBucket{kind}Configuration"),
            ("Put", f"DeleteBucket{kind}Configuration"),
        )
    },
}
_VERSIONED = {
    "GetObject",
    "GetObjectAcl",
    "PutObjectAcl",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "DeleteObject",
    "GetObjectAttributes",
}
"""Actions that are called ...ObjectVersion... when the request names a version."""
_NO_RESOURCE = {"ListBuckets", "ListDirectoryBuckets"}


def needs(call: Call) -> list[Need]:
    """The permissions of one S3 call. A copy needs to read its source; tags, ACL and locks on a put need their own."""
    params = call.params
    bucket = params.get("Bucket", "")
    if call.operation in _NO_RESOURCE or not bucket:
        return [Need(f"s3:{_NAMES.get(call.operation, call.operation)}")]
    if call.operation in ("CopyObject", "UploadPartCopy"):
        return [*_reads_source(call), *_puts(call)]
    if call.operation == "DeleteObjects":
        return [
            Need(
                "s3:DeleteObjectVersion" if entry.get("VersionId") else "s3:DeleteObject",
                object_arn(call, bucket, entry["Key"]),
            )
            for entry in params.get("Delete", {}).get("Objects", ())
        ]
    if call.operation in ("PutObject", "CreateMultipartUpload"):
        return _puts(call)
    action = _NAMES.get(call.operation, call.operation)
    if params.get("VersionId") and action in _VERSIONED:
        action = action.replace("Object", "ObjectVersion", 1)
    resource = object_arn(call, bucket, params["Key"]) if "Key" in params else bucket_arn(call, bucket)
    found = [Need(f"s3:{action}", resource)]
    if call.operation == "GetObjectAttributes":
        found.append(Need("s3:GetObjectVersion" if params.get("VersionId") else "s3:GetObject", resource))
    return found


def bucket_arn(call: Call, bucket: str) -> str:
    """A bucket's ARN; what comes as an ARN (an access point) stays one."""
    return bucket if bucket.startswith("arn:") else f"arn:{partition_of(call.region)}:s3:::{bucket}"


def object_arn(call: Call, bucket: str, key: str) -> str:
    """An object's ARN."""
    return f"{bucket_arn(call, bucket)}/{key}"


def copy_source(call: Call) -> tuple[str, str, str]:
    """Bucket, key and version ("" for the newest) of a copy's source."""
    source = call.params["CopySource"]
    if isinstance(source, dict):
        return source["Bucket"], source["Key"], source.get("VersionId", "")
    path, _, version = unquote(str(source)).lstrip("/").partition("?versionId=")
    bucket, _, key = path.partition("/")
    return bucket, key, version


def _reads_source(call: Call) -> list[Need]:
    bucket, key, version = copy_source(call)
    return [Need("s3:GetObjectVersion" if version else "s3:GetObject", object_arn(call, bucket, key))]


def _puts(call: Call) -> list[Need]:
    params = call.params
    resource = object_arn(call, params["Bucket"], params["Key"])
    extra = {
        "s3:PutObjectTagging": ("Tagging",),
        "s3:PutObjectAcl": ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"),
        "s3:PutObjectRetention": ("ObjectLockMode", "ObjectLockRetainUntilDate"),
        "s3:PutObjectLegalHold": ("ObjectLockLegalHoldStatus",),
    }
    asked = [Need(action, resource) for action, names in extra.items() if any(params.get(name) for name in names)]
    return [Need("s3:PutObject", resource), *asked]
