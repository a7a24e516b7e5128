"""SecureBucket: a bucket that is private, encrypted, versioned and reached over TLS only."""

from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._patterns import BUCKET_NAME, KEY_ARN, Pattern
from ._policy import Statement, document
from ._resolve import Reader

_PREFIX = Pattern(r"[A-Za-z0-9!_.()/-]+/", "a key prefix that ends in /, for example models/", maximum=512)


class SecureBucketArgs(AccountArgs):
    """Arguments of SecureBucket."""

    bucket_name: str
    """Name of the bucket, unique in all of AWS. With `adopt`, the name of the existing bucket."""
    adopt: NotRequired[bool]
    """True: the bucket exists and stays as it is; nothing is made, and the other settings are refused. Omitted:
    false."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """Key that encrypts the objects. Required unless `adopt`."""
    write_once_prefixes: NotRequired[list[str]]
    """Objects under these prefixes are written once: a PUT has to carry `If-None-Match: *`, and while
    `deletion_protection` is on nobody deletes them. Omitted: none."""
    noncurrent_days: NotRequired[float]
    """Days that a replaced or deleted object's old version is kept, 1 to 36,500. Omitted: 90."""
    expire_days: NotRequired[float]
    """Days after which objects are deleted, 1 to 36,500. Omitted: never."""
    deletion_protection: NotRequired[bool]
    """True: the bucket is neither deleted nor replaced, and survives the stack. False: it goes with the stack, with
    all objects in it. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    bucket_name: str
    adopt: bool
    kms_key_arn: pulumi.Input[str]
    write_once_prefixes: tuple[str, ...]
    noncurrent_days: int
    expire_days: Optional[int]
    deletion_protection: bool
    tags: dict[str, pulumi.Input[str]]


def _resolve(name: str, args: SecureBucketArgs) -> _Resolved:
    reader = Reader("SecureBucket", name, args, SecureBucketArgs)
    adopt = reader.flag("adopt", default=False)
    if adopt:
        for field in ("kms_key_arn", "write_once_prefixes", "noncurrent_days", "expire_days"):
            if reader.has(field):
                reader.refuse(field, reader.raw(field), "nothing beside adopt", f"remove {field}, or adopt")
    resolved = _Resolved(
        account=read_account(reader),
        bucket_name=reader.plain("bucket_name", BUCKET_NAME),
        adopt=adopt,
        kms_key_arn="" if adopt else reader.text("kms_key_arn", KEY_ARN),
        write_once_prefixes=reader.plain_list("write_once_prefixes", _PREFIX, default=()),
        noncurrent_days=reader.whole("noncurrent_days", minimum=1, maximum=36_500, default=90),
        expire_days=reader.optional_whole("expire_days", minimum=1, maximum=36_500),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def bucket_policy(
    account: Account, bucket_name: str, write_once_prefixes: tuple[str, ...], *, deletion_protection: bool
) -> list[Statement]:
    """What nobody may do, whatever their own policies say."""
    bucket = account.bucket_arn(bucket_name)
    statements = [
        Statement(
            sid="RefusePlainHttp",
            reason="objects and credentials never cross the network in the clear",
            effect="Deny",
            principals={"*": []},
            actions=["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            resources=[bucket, f"{bucket}/*"],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        )
    ]
    if write_once_prefixes:
        objects = [f"{bucket}/{prefix}*" for prefix in write_once_prefixes]
        statements.append(
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html: the second
            # condition
            # lets the parts of a multipart upload through; only what creates the object has to be conditional.
            Statement(
                sid="RefuseOverwrite",
                reason="a version is immutable: what was approved and served stays what it was",
                effect="Deny",
                principals={"*": []},
                actions=["s3:PutObject"],
                resources=objects,
                conditions={
                    "Null": {"s3:if-none-match": "true"},
                    "BoolIfExists": {"s3:ObjectCreationOperation": "true"},
                },
            )
        )
        if deletion_protection:
            statements.append(
                Statement(
                    sid="RefuseDelete",
                    reason="a live endpoint reads its archive again whenever an instance is replaced",
                    effect="Deny",
                    principals={"*": []},
                    actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                    resources=objects,
                )
            )
    return statements


class SecureBucket(pulumi.ComponentResource):
    """A private, encrypted, versioned bucket with a policy that refuses plain HTTP. Or an existing one, adopted."""

    bucket_name: pulumi.Output[str]
    """Name of the bucket. Whatever takes it comes after the bucket's policy and encryption."""
    bucket_arn: pulumi.Output[str]
    """ARN of the bucket."""

    def __init__(self, name: str, args: SecureBucketArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:SecureBucket", name, {}, opts)
        resolved = _resolve(name, args)
        if resolved.adopt:
            self.bucket_name = pulumi.Output.from_input(resolved.bucket_name)
            self.bucket_arn = pulumi.Output.from_input(resolved.account.bucket_arn(resolved.bucket_name))
        else:
            ready = self._make(name, resolved)
            self.bucket_name = ready["bucket_name"]
            self.bucket_arn = ready["bucket_arn"]
        self.register_outputs({"bucket_name": self.bucket_name, "bucket_arn": self.bucket_arn})

    def _make(self, name: str, resolved: _Resolved) -> dict[str, pulumi.Output[str]]:
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=resolved.bucket_name,
            force_destroy=not resolved.deletion_protection,
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=resolved.deletion_protection,
                retain_on_delete=resolved.deletion_protection,
            ),
        )
        # All four are written out: a flag that is left out is sent as false and opens what AWS blocks by default.
        private = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": resolved.kms_key_arn,
                    },
                    # Left out, it is sent as false: every object then costs a call to KMS.
                    "bucket_key_enabled": True,
                }
            ],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.bucket,
            policy=document(
                bucket_policy(
                    resolved.account,
                    resolved.bucket_name,
                    resolved.write_once_prefixes,
                    deletion_protection=resolved.deletion_protection,
                )
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        # Its Put is not retried while the bucket settles, so it comes after the policy.
        ownership = aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=_lifecycle(resolved),
            # A rule on noncurrent versions says nothing until versioning is on.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        ready = pulumi.Output.all(bucket.bucket, bucket.arn, encryption.id, policy.id, ownership.id)
        return {"bucket_name": ready.apply(lambda parts: parts[0]), "bucket_arn": ready.apply(lambda parts: parts[1])}


def _lifecycle(resolved: _Resolved) -> "list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]":
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "end-old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": resolved.noncurrent_days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
    ]
    if resolved.expire_days is not None:
        rules.append(
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": resolved.expire_days},
            }
        )
    return rules
