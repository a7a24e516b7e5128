"""Buckets and what is set beside them: internal/service/s3/bucket*.go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_policy
from infra.rehearsal.provider.row import Inputs, Row, Tagging, conflicts, one_of, step, valid_json
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

# -- side resources -----------------------------------------------------------------------------------------


def _bucket_appearing(error: ApiError) -> bool:
    return error.is_code("NoSuchBucket", "OperationAborted")


def put_beside(call: Call) -> Callable[[Operation], None]:
    """A Put on an existing bucket: create and update are the same call, the id is the bucket."""

    def run(op: Operation) -> None:
        op.retry(lambda: op.send(call), _bucket_appearing, "2 min")
        op.created(op.inputs["bucket"])

    return run


def _remove(operation: str, *absent: str) -> Callable[[Operation], None]:
    def run(op: Operation) -> None:
        op.gone(lambda: op.call("s3", operation, Bucket=op.id), *NO_BUCKET, *absent)

    return run


# -- aws:s3/bucketVersioning:BucketVersioning --------------------------------------------------------------

_PUT_VERSIONING = Call("s3", "PutBucketVersioning", only=frozenset({"bucket", "versioningConfiguration"}))


def _create_versioning(op: Operation) -> None:
    # Disabled is the state of a bucket that never had versioning: nothing to send.
    if op.inputs["versioningConfiguration"]["status"] == "Disabled":
        op.created(op.inputs["bucket"])
    else:
        put_beside(_PUT_VERSIONING)(op)


def _read_versioning(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("s3", "GetBucketVersioning", Bucket=op.id), *NO_BUCKET)
    if answer is None:
        return None
    return {
        "bucket": op.id,
        "expectedBucketOwner": "",
        "versioningConfiguration": {
            "status": answer.get("Status") or "Disabled",
            "mfaDelete": answer.get("MFADelete") or "",
        },
    }


def _versioning_plan(state: Mapping[str, Any], news: Inputs) -> str:
    old = (state.get("versioningConfiguration") or {}).get("status")
    new = (news.get("versioningConfiguration") or {}).get("status")
    if old in {"Enabled", "Suspended"} and new == "Disabled":
        return f"versioningConfiguration.status cannot be updated from '{old}' to 'Disabled': use 'Suspended'"
    return ""


def _delete_versioning(op: Operation) -> None:
    """Versioning can be suspended, never taken off."""
    if (op.state.get("versioningConfiguration") or {}).get("status") == "Disabled":
        return
    op.gone(
        lambda: op.call("s3", "PutBucketVersioning", Bucket=op.id, VersioningConfiguration={"Status": "Suspended"}),
        *NO_BUCKET,
        "InvalidBucketState",  # under object lock it stays on, and is forgotten
    )


VERSIONING = Row(
    type="aws:s3/bucketVersioning:BucketVersioning",
    source="s3/bucket_versioning.go",
    label="S3 Bucket Versioning",
    create=_create_versioning,
    read=_read_versioning,
    delete=_delete_versioning,
    calls=(_PUT_VERSIONING,),
    steps=(step(put_beside(_PUT_VERSIONING), "versioningConfiguration"),),
    force_new=frozenset({"bucket", "expectedBucketOwner"}),
    computed=frozenset({"versioningConfiguration.mfaDelete"}),
    plan_error=_versioning_plan,
    checked_late=frozenset({"versioningConfiguration.status"}),
    rules=(
        one_of("versioningConfiguration.status", "Enabled", "Suspended", "Disabled"),
        one_of("versioningConfiguration.mfaDelete", "Enabled", "Disabled"),
    ),
)

# -- aws:s3/bucketServerSideEncryptionConfiguration ---------------------------------------------------------

_PUT_ENCRYPTION = Call(
    "s3",
    "PutBucketEncryption",
    rules={
        "rules": "ServerSideEncryptionConfiguration.Rules",
        "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
        "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
    },
    only=frozenset({"bucket", "rules"}),
)


def _read_encryption(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(
        lambda: op.call("s3", "GetBucketEncryption", Bucket=op.id),
        *NO_BUCKET,
        "ServerSideEncryptionConfigurationNotFoundError",
    )
    if answer is None:
        return None
    live = op.described("s3", "GetBucketEncryption", "", answer, _PUT_ENCRYPTION.rules)
    for rule in live.get("rules") or []:
        rule.setdefault("bucketKeyEnabled", False)
    return {**live, "bucket": op.id, "expectedBucketOwner": ""}


ENCRYPTION = Row(
    type="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    source="s3/bucket_server_side_encryption_configuration.go",
    label="S3 Bucket Server-side Encryption Configuration",
    create=put_beside(_PUT_ENCRYPTION),
    read=_read_encryption,
    # New objects fall back to SSE-S3: the KMS key is lost.
    delete=_remove("DeleteBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError"),
    calls=(_PUT_ENCRYPTION,),
    steps=(step(put_beside(_PUT_ENCRYPTION), "rules"),),
    force_new=frozenset({"bucket", "expectedBucketOwner"}),
    # Left out, bucketKeyEnabled is sent as false: every object then costs a KMS call.
    defaults={"rules.bucketKeyEnabled": False},
    computed=frozenset({"rules.blockedEncryptionTypes"}),
    sets=frozenset({"rules"}),
)

# -- aws:s3/bucketPublicAccessBlock -------------------------------------------------------------------------

_FLAGS = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}
_PUT_BLOCK = Call(
    "s3",
    "PutPublicAccessBlock",
    rules={name: f"PublicAccessBlockConfiguration.{member}" for name, member in _FLAGS.items()},
    only=frozenset({"bucket", *_FLAGS}),
)


def _read_block(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(
        lambda: op.call("s3", "GetPublicAccessBlock", Bucket=op.id),
        *NO_BUCKET,
        "NoSuchPublicAccessBlockConfiguration",
    )
    if answer is None:
        return None
    live = answer["PublicAccessBlockConfiguration"]
    return {"bucket": op.id, **{name: bool(live.get(member)) for name, member in _FLAGS.items()}}


def _delete_block(op: Operation) -> None:
    if not op.state.get("skipDestroy"):
        _remove("DeletePublicAccessBlock", "NoSuchPublicAccessBlockConfiguration")(op)


PUBLIC_ACCESS_BLOCK = Row(
    type="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    source="s3/bucket_public_access_block.go",
    label="S3 Bucket Public Access Block",
    create=put_beside(_PUT_BLOCK),
    read=_read_block,
    delete=_delete_block,
    calls=(_PUT_BLOCK,),
    steps=(step(put_beside(_PUT_BLOCK), *_FLAGS),),
    force_new=frozenset({"bucket"}),
    # A half-filled block opens what AWS blocks by default: all four are false when left out.
    defaults=dict.fromkeys(_FLAGS, False),
    state_only=frozenset({"skipDestroy"}),
)

# -- aws:s3/bucketOwnershipControls -------------------------------------------------------------------------

_PUT_OWNERSHIP = Call(
    "s3",
    "PutBucketOwnershipControls",
    rules={"rule": "OwnershipControls.Rules"},
    only=frozenset({"bucket", "rule"}),
)


def _create_ownership(op: Operation) -> None:
    op.send(_PUT_OWNERSHIP)  # the one Put beside a bucket that the provider does not retry
    op.created(op.inputs["bucket"])


def _read_ownership(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(
        lambda: op.call("s3", "GetBucketOwnershipControls", Bucket=op.id),
        *NO_BUCKET,
        "OwnershipControlsNotFoundError",
    )
    if answer is None:
        return None
    rules = answer["OwnershipControls"]["Rules"]
    return {"bucket": op.id, "rule": {"objectOwnership": rules[0]["ObjectOwnership"]} if rules else None}


OWNERSHIP_CONTROLS = Row(
    type="aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    source="s3/bucket_ownership_controls.go",
    label="S3 Bucket Ownership Controls",
    create=_create_ownership,
    read=_read_ownership,
    delete=lambda op: op.retry(
        lambda: _remove("DeleteBucketOwnershipControls", "OwnershipControlsNotFoundError")(op),
        lambda error: error.is_code("OperationAborted"),
        "5 min",
    ),
    calls=(_PUT_OWNERSHIP,),
    steps=(step(_create_ownership, "rule"),),
    force_new=frozenset({"bucket"}),
    rules=(one_of("rule.objectOwnership", "BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"),),
)

# -- aws:s3/bucketPolicy:BucketPolicy -----------------------------------------------------------------------

_PUT_POLICY = Call("s3", "PutBucketPolicy", only=frozenset({"bucket", "policy"}))


def _put_policy(op: Operation) -> None:
    op.retry(
        lambda: op.send(_PUT_POLICY),
        lambda error: error.is_code("MalformedPolicy", "NoSuchBucket"),
        "1 min",
    )
    op.created(op.inputs["bucket"])


def _read_policy(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("s3", "GetBucketPolicy", Bucket=op.id), *NO_BUCKET, "NoSuchBucketPolicy")
    return None if answer is None else {"bucket": op.id, "policy": answer["Policy"]}


POLICY = Row(
    type="aws:s3/bucketPolicy:BucketPolicy",
    source="s3/bucket_policy.go",
    label="S3 Bucket Policy",
    create=_put_policy,
    read=_read_policy,
    delete=_remove("DeleteBucketPolicy", "NoSuchBucketPolicy"),
    calls=(_PUT_POLICY,),
    steps=(step(_put_policy, "policy"),),
    force_new=frozenset({"bucket"}),
    equal={"policy": same_policy},
    rules=(valid_json("policy"),),
)

ROWS = (BUCKET, VERSIONING, ENCRYPTION, PUBLIC_ACCESS_BLOCK, OWNERSHIP_CONTROLS, POLICY)
