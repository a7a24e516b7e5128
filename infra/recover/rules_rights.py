"""How roles, keys, repositories and buckets are found. From the references of IAM, KMS, ECR and S3."""

from __future__ import annotations

from collections.abc import Mapping

from infra.recover.finding import Look, Remove, Rule

_NO_ENTITY = ("NoSuchEntity",)
_NO_BUCKET = "NoSuchBucket"

RIGHTS: Mapping[str, Rule] = {
    "aws:iam/role:Role": Rule(
        Look("iam", "get_role", {"RoleName": "=asked.name"}, "Role", _NO_ENTITY),
        "found.RoleName",
        tags=Look("iam", "list_role_tags", {"RoleName": "=found.RoleName"}, "Tags", _NO_ENTITY),
        named=True,
    ),
    "aws:iam/policy:Policy": Rule(
        Look(
            "iam",
            "get_policy",
            {"PolicyArn": "=join('', ['arn:aws:iam::', account, ':policy', asked.path || '/', asked.name])"},
            "Policy",
            _NO_ENTITY,
        ),
        "found.Arn",
        tags=Look("iam", "list_policy_tags", {"PolicyArn": "=found.Arn"}, "Tags"),
        named=True,
    ),
    "aws:iam/rolePolicy:RolePolicy": Rule(
        Look("iam", "get_role_policy", {"RoleName": "=asked.role", "PolicyName": "=asked.name"}, missing=_NO_ENTITY),
        "join(':', [found.RoleName, found.PolicyName])",
        named=True,
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Rule(
        Look("iam", "list_attached_role_policies", {"RoleName": "=asked.role"}, "AttachedPolicies", missing=_NO_ENTITY),
        "join('/', [asked.role, found.PolicyArn])",
        same={"policyArn": "PolicyArn"},
    ),
    "aws:kms/key:Key": Rule(
        Look("kms", "list_keys", {}, "Keys"),
        "found.KeyId",
        detail=Look(
            "kms",
            "describe_key",
            {"KeyId": "=found.KeyId"},
            "[KeyMetadata][?KeyManager!='AWS']",
            ("NotFoundException",),
        ),
        same={"description": "Description"},
        tags=Look("kms", "list_resource_tags", {"KeyId": "=found.KeyId"}, "Tags"),
        status="KeyState",
        gone=frozenset({"pendingdeletion", "pendingreplicadeletion"}),
        every=Look("kms", "list_keys", {}, "Keys"),
        remove=Remove(
            "kms",
            "schedule_key_deletion",
            {"KeyId": "=found.KeyId"},
            "join('', ['aws kms schedule-key-deletion --key-id ', found.KeyId])",
        ),
    ),
    "aws:kms/alias:Alias": Rule(
        Look("kms", "list_aliases", {}, "Aliases"),
        "found.AliasName",
        same={"name": "AliasName"},
    ),
    "aws:ecr/repository:Repository": Rule(
        Look(
            "ecr",
            "describe_repositories",
            {"repositoryNames": ["=asked.name"]},
            "repositories",
            ("RepositoryNotFoundException",),
        ),
        "found.repositoryName",
        tags=Look("ecr", "list_tags_for_resource", {"resourceArn": "=found.repositoryArn"}, "tags"),
        named=True,
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Rule(
        Look(
            "ecr",
            "get_lifecycle_policy",
            {"repositoryName": "=asked.repository"},
            missing=("LifecyclePolicyNotFoundException", "RepositoryNotFoundException"),
        ),
        "found.repositoryName",
    ),
}


def _of_bucket(call: str, member: str, *missing: str) -> Rule:
    """A setting of a bucket: up writes over what is there, so what is there may be taken."""
    return Rule(Look("s3", call, {"Bucket": "=asked.bucket"}, member, (_NO_BUCKET, *missing)), "asked.bucket")


BUCKETS: Mapping[str, Rule] = {
    # Of this account: elsewhere in the world the name may be somebody else's.
    "aws:s3/bucket:Bucket": Rule(
        Look("s3", "list_buckets", {}, "=join('', ['Buckets[?Name==`\"', asked.bucket, '\"`]'])"),
        "found.Name",
        tags=Look("s3", "get_bucket_tagging", {"Bucket": "=found.Name"}, "TagSet", ("NoSuchTagSet",)),
        named=True,
        tags_late=True,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket("get_bucket_versioning", "Status"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of_bucket(
        "get_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket(
        "get_public_access_block", "PublicAccessBlockConfiguration", "NoSuchPublicAccessBlockConfiguration"
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket(
        "get_bucket_ownership_controls", "OwnershipControls", "OwnershipControlsNotFoundError"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _of_bucket("get_bucket_policy", "Policy", "NoSuchBucketPolicy"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket(
        "get_bucket_lifecycle_configuration", "[@]", "NoSuchLifecycleConfiguration"
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Rule(
        Look(
            "s3",
            "head_object",
            {"Bucket": "=asked.bucket", "Key": "=asked.key"},
            missing=("404", "NoSuchKey", _NO_BUCKET),
        ),
        "asked.key",
        within=True,
    ),
}
