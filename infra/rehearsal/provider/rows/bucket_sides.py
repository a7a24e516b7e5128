"""What is set beside a bucket: internal/service/s3/bucket_*.go. The id is the bucket; create and update are one Put."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_policy
from infra.rehearsal.provider.row import Inputs, Row, one_of, step, valid_json
from infra.rehearsal.provider.rows.buckets import NO_BUCKET
from infra.rehearsal.provider.translate import Call


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

ROWS = (VERSIONING, ENCRYPTION, PUBLIC_ACCESS_BLOCK, OWNERSHIP_CONTROLS, POLICY)
