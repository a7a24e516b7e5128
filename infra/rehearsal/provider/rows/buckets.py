"""Buckets: internal/service/s3/bucket.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, Tagging, conflicts
from infra.rehearsal.provider.tags import tag_list, tag_map
from infra.rehearsal.provider.translate import Call

NO_BUCKET = ("NoSuchBucket", "404", "NotFound")

_HOSTED_ZONES = {  # names/hosted_zones: S3 website endpoints
    "ap-northeast-1": "Z2M4EHUR26P7ZW",
    "ap-south-1": "Z11RGJOFQNVJUP",
    "ap-southeast-1": "Z3O0J2DXBE1FTB",
    "ap-southeast-2": "Z1WCIGYICN2BYD",
    "ca-central-1": "Z1QDHH18159H29",
    "eu-central-1": "Z21DNDUVLTQW6Q",
    "eu-north-1": "Z3BAZG2TWCNX0D",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-west-2": "Z3GKZC51ZF0DB4",
    "eu-west-3": "Z3R1K369G5AVDG",
    "sa-east-1": "Z7KQH4QJS55SO",
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
}

# -- aws:s3/bucket:Bucket -----------------------------------------------------------------------------------

_CREATE_BUCKET = Call(
    "s3",
    "CreateBucket",
    rules={"objectLockEnabled": "ObjectLockEnabledForBucket"},
    only=frozenset({"bucket", "objectLockEnabled"}),
)


def _create_bucket(op: Operation) -> None:
    name = op.name_from("bucket", "bucketPrefix")
    location = {}
    if op.region == "us-east-1":
        # There the API itself succeeds on an own bucket and resets its ACL: the provider looks first.
        if not op.gone(lambda: op.call("s3", "HeadBucket", Bucket=name), *NO_BUCKET):
            raise ApiError("s3", "CreateBucket", "BucketAlreadyExists", f"bucket {name} exists already")
    else:
        location = {"CreateBucketConfiguration": {"LocationConstraint": op.region}}
    op.retry(
        lambda: op.send(_CREATE_BUCKET, Bucket=name, ACL="private", **location),
        lambda error: error.is_code("OperationAborted"),
        "20 min",
    )
    op.created(name)
    op.wait(
        lambda: "missing" if op.gone(lambda: op.call("s3", "HeadBucket", Bucket=name), *NO_BUCKET) else "found",
        pending={"missing"},
        target={"found"},
        timeout_seconds=1200,
        what=f"S3 Bucket ({name}) create",
    )
    # Tags come in a second call: a failure here leaves an untagged bucket in state.
    if op.wanted_tags():
        _put_tags(op, op.wanted_tags())


def _put_tags(op: Operation, _: Mapping[str, str]) -> None:
    """S3 takes the whole set at once."""
    op.call("s3", "PutBucketTagging", Bucket=op.id, Tagging={"TagSet": tag_list(op.wanted_tags())})


def _remove_tags(op: Operation, _: list[str]) -> None:
    if op.wanted_tags():
        _put_tags(op, {})
    else:
        op.call("s3", "DeleteBucketTagging", Bucket=op.id)


def _read_bucket(op: Operation) -> Mapping[str, Any] | None:
    if op.gone(lambda: op.call("s3", "HeadBucket", Bucket=op.id), *NO_BUCKET):
        return None

    def get(operation: str, *absent: str) -> Mapping[str, Any]:
        absent = (*absent, "MethodNotAllowed", "NotImplemented")
        return op.found(lambda: op.call("s3", operation, Bucket=op.id), *absent) or {}

    # What side resources made shows up here too, in computed and deprecated arguments.
    versioning = get("GetBucketVersioning")
    lock = get("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration")
    tags = get("GetBucketTagging", "NoSuchTagSet")
    suffix = "amazonaws.com.cn" if op.account.partition == "aws-cn" else "amazonaws.com"
    return op.shown_tags(tag_map(tags.get("TagSet"))) | {
        "arn": f"arn:{op.account.partition}:s3:::{op.id}",
        "bucket": op.id,
        "bucketDomainName": f"{op.id}.s3.{suffix}",
        "bucketPrefix": op.inputs.get("bucketPrefix") or op.state.get("bucketPrefix") or "",
        "bucketRegion": op.region,
        "bucketRegionalDomainName": f"{op.id}.s3.{op.region}.{suffix}",
        "bucketNamespace": "global",
        "hostedZoneId": _HOSTED_ZONES.get(op.region, ""),
        "objectLockEnabled": (lock.get("ObjectLockConfiguration") or {}).get("ObjectLockEnabled") == "Enabled",
        "policy": get("GetBucketPolicy", "NoSuchBucketPolicy").get("Policy", ""),
        "requestPayer": "BucketOwner",  # no row sets anything else
        "serverSideEncryptionConfiguration": _shown_encryption(
            get("GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError")
        ),
        "versioning": {
            "enabled": versioning.get("Status") == "Enabled",
            "mfaDelete": versioning.get("MFADelete") == "Enabled",
        },
    }


def _shown_encryption(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    rules = (answer.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or []
    if not rules:
        return None
    default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    return {
        "rule": {
            "applyServerSideEncryptionByDefault": {
                "sseAlgorithm": default.get("SSEAlgorithm"),
                "kmsMasterKeyId": default.get("KMSMasterKeyID") or "",
            },
            "bucketKeyEnabled": bool(rules[0].get("BucketKeyEnabled")),
        }
    }


def _delete_bucket(op: Operation) -> None:
    def delete() -> bool:
        return op.gone(lambda: op.call("s3", "DeleteBucket", Bucket=op.id), *NO_BUCKET)

    try:
        delete()
    except ApiError as error:
        if not error.is_code("BucketNotEmpty") or not op.state.get("forceDestroy"):
            if error.is_code("BucketNotEmpty"):
                hint = (
                    "set forceDestroy = true, run up, and only then destroy: the flag counts as it stands in the state"
                )
                raise ApiError(error.service, error.operation, error.code, f"{error.message} ({hint})") from error
            raise
        empty_bucket(op, op.id, bypass=bool(op.state.get("objectLockEnabled")))
        delete()
    op.wait(
        lambda: "gone" if op.gone(lambda: op.call("s3", "HeadBucket", Bucket=op.id), *NO_BUCKET) else "found",
        pending={"found"},
        target={"gone"},
        timeout_seconds=3600,
        what=f"S3 Bucket ({op.id}) delete",
    )


def empty_bucket(op: Operation, bucket: str, *, bypass: bool, key: str = "") -> None:
    """Deletes every version and delete marker; of one key only when `key` is given."""
    marker: dict[str, Any] = {}
    while True:
        page = op.call("s3", "ListObjectVersions", Bucket=bucket, Prefix=key, **marker)
        found = [*(page.get("Versions") or []), *(page.get("DeleteMarkers") or [])]
        victims = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found if not key or one["Key"] == key]
        if victims:
            lifted = {"BypassGovernanceRetention": True} if bypass else {}
            answer = op.call("s3", "DeleteObjects", Bucket=bucket, Delete={"Objects": victims, "Quiet": True}, **lifted)
            for error in answer.get("Errors") or []:
                raise ApiError(
                    "s3", "DeleteObjects", error.get("Code", ""), f"{error.get('Key')}: {error.get('Message')}"
                )
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


BUCKET = Row(
    type="aws:s3/bucket:Bucket",
    source="s3/bucket.go",
    label="S3 Bucket",
    create=_create_bucket,
    read=_read_bucket,
    delete=_delete_bucket,
    calls=(_CREATE_BUCKET,),
    name=AutoName(field="bucket", prefix_field="bucketPrefix", max_length=63, transform=str.lower),
    force_new=frozenset({"bucket", "bucketPrefix", "objectLockEnabled"}),
    computed=frozenset(
        {
            "accelerationStatus",
            "acl",
            "bucket",
            "bucketNamespace",
            "bucketPrefix",
            "corsRules",
            "grants",
            "lifecycleRules",
            "logging",
            "objectLockConfiguration",
            "objectLockEnabled",
            "policy",
            "replicationConfiguration",
            "requestPayer",
            "serverSideEncryptionConfiguration",
            "versioning",
            "website",
        }
    ),
    defaults={"forceDestroy": False},
    state_only=frozenset({"forceDestroy"}),
    never_sent=frozenset({"bucketPrefix"}),
    checked_late=frozenset({"bucket"}),
    rules=(conflicts("bucket", "bucketPrefix"),),
    tagging=Tagging(put=_put_tags, remove=_remove_tags),
)

ROWS = (BUCKET,)
