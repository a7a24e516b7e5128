"""EncryptionKey, SecureBucket, ModelRegistry: exact inputs, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]

KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
ROOT = "arn:aws:iam::111111111111:root"


def statements(policy: str) -> dict[str, dict[str, Any]]:
    return {statement.pop("Sid"): statement for statement in json.loads(policy)["Statement"]}


class TestEncryptionKey:
    def test_children(self, build: Build, tree: Tree) -> None:
        assert tree(build("EncryptionKey")) == [
            ("aws:kms/alias:Alias", "thing-alias", "thing"),
            ("aws:kms/key:Key", "thing-key", "thing"),
            ("mainstage:index:EncryptionKey", "thing", ""),
        ]

    def test_the_key_rotates_and_cannot_be_lost(self, build: Build, inputs: Inputs) -> None:
        result = build("EncryptionKey")
        key = inputs(result, "thing-key")
        key.pop("policy")
        assert key == {
            "description": "Encrypts the data of thing",
            "keyUsage": "ENCRYPT_DECRYPT",
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "isEnabled": True,
            "enableKeyRotation": True,
            "rotationPeriodInDays": 365,
            "multiRegion": False,
            "deletionWindowInDays": 30,
            "bypassPolicyLockoutSafetyCheck": False,
            "tags": {"team": "ml"},
        }
        assert inputs(result, "thing-alias") == {"name": "alias/mainstage", "targetKeyId": result.named("thing-key").id}
        options = result.named("thing-key").options
        assert (options.protect, options.retain_on_delete) == (True, True)
        loose = build("EncryptionKey", deletion_protection=False).named("thing-key").options
        assert (loose.protect, loose.retain_on_delete) == (False, False)

    def test_its_policy_lets_in_this_account_and_the_named_services(self, build: Build, inputs: Inputs) -> None:
        policy = statements(inputs(build("EncryptionKey"), "thing-key")["policy"])
        assert list(policy) == [
            "AdministeredByThisAccount",
            "UsedThroughPoliciesOfThisAccount",
            "GrantedToAwsServicesOfThisAccount",
            "UsedByLogGroupsOfThisAccount",
            "UsedByAlarmsOfThisAccount",
        ]
        assert policy["UsedByAlarmsOfThisAccount"] == {
            "Effect": "Allow",
            "Principal": {"Service": ["cloudwatch.amazonaws.com"]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}},
        }
        assert policy["UsedByLogGroupsOfThisAccount"]["Principal"] == {"Service": ["logs.eu-west-1.amazonaws.com"]}
        assert policy["UsedByLogGroupsOfThisAccount"]["Condition"] == {
            "ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:111111111111:log-group:*"}
        }
        assert policy["GrantedToAwsServicesOfThisAccount"]["Condition"] == {
            "Bool": {"kms:GrantIsForAWSResource": "true"}
        }
        for sid in (
            "AdministeredByThisAccount",
            "UsedThroughPoliciesOfThisAccount",
            "GrantedToAwsServicesOfThisAccount",
        ):
            assert policy[sid]["Principal"] == {"AWS": [ROOT]}
        # Without it KMS refuses the policy: nobody could change it again.
        assert "kms:PutKeyPolicy" in policy["AdministeredByThisAccount"]["Action"]
        assert not [a for statement in policy.values() for a in statement["Action"] if "*" in a]

    def test_services_are_let_in_by_name_only(self, build: Build, inputs: Inputs) -> None:
        policy = statements(inputs(build("EncryptionKey", service_principals=["logs"]), "thing-key")["policy"])
        assert "UsedByAlarmsOfThisAccount" not in policy
        assert "UsedByLogGroupsOfThisAccount" in policy

    def test_an_existing_key_is_adopted(self, build: Build, tree: Tree) -> None:
        result = build("EncryptionKey", alias=None, existing_key_arn=KEY_ARN)
        assert tree(result) == [("mainstage:index:EncryptionKey", "thing", "")]
        assert result.outputs == {"key_arn": KEY_ARN, "key_id": KEY_ARN.split("/")[1]}

    def test_other_partitions(self, build: Build, inputs: Inputs) -> None:
        policy = inputs(build("EncryptionKey", region="cn-north-1"), "thing-key")["policy"]
        assert "arn:aws-cn:iam::111111111111:root" in policy
        assert "arn:aws:" not in policy

    def test_refusals_come_together(self, refused: Refused) -> None:
        found = refused(
            "EncryptionKey", alias="aws/mine", account_id=111111111111, service_principals=["log"], region="Ireland"
        )
        assert [(field, got) for field, got, _, _ in found] == [
            ("region", "'Ireland'"),
            ("account_id", "111111111111"),
            ("service_principals[0]", "'log'"),
            ("alias", "'aws/mine'"),
        ]
        assert found[1][3] == 'write it as text: "111111111111"'

    def test_nothing_beside_an_adopted_key(self, refused: Refused) -> None:
        found = refused("EncryptionKey", existing_key_arn=KEY_ARN, service_principals=["logs"])
        assert [field for field, _, _, _ in found] == ["alias", "service_principals"]


class TestSecureBucket:
    def test_children(self, build: Build, tree: Tree) -> None:
        assert tree(build("SecureBucket")) == [
            ("aws:s3/bucket:Bucket", "thing-bucket", "thing"),
            ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "thing-lifecycle", "thing"),
            ("aws:s3/bucketOwnershipControls:BucketOwnershipControls", "thing-ownership", "thing"),
            ("aws:s3/bucketPolicy:BucketPolicy", "thing-policy", "thing"),
            ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "thing-public-access", "thing"),
            (
                "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
                "thing-encryption",
                "thing",
            ),
            ("aws:s3/bucketVersioning:BucketVersioning", "thing-versioning", "thing"),
            ("mainstage:index:SecureBucket", "thing", ""),
        ]

    def test_everything_that_opens_when_left_out_is_written_out(self, build: Build, inputs: Inputs) -> None:
        result = build("SecureBucket")
        assert inputs(result, "thing-bucket") == {
            "bucket": "mainstage-archive",
            "forceDestroy": False,
            "tags": {"team": "ml"},
        }
        assert inputs(result, "thing-public-access") == {
            "bucket": "mainstage-archive",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }
        assert inputs(result, "thing-encryption")["rules"] == [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY_ARN},
                "bucketKeyEnabled": True,
            }
        ]
        assert inputs(result, "thing-versioning")["versioningConfiguration"] == {"status": "Enabled"}
        assert inputs(result, "thing-ownership")["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
        assert inputs(result, "thing-lifecycle")["rules"] == [
            {
                "id": "end-old-versions",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrentVersionExpiration": {"noncurrentDays": 90},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            },
            {"id": "expire", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 365}},
        ]

    def test_order(self, build: Build) -> None:
        """Ownership controls are not retried while the bucket settles; whoever takes the name finds all of it done."""
        result = build("SecureBucket")
        urns = {name: result.named(f"thing-{name}").urn for name in ("public-access", "policy", "versioning")}
        assert urns["policy"] in result.named("thing-ownership").options.depends_on
        assert urns["public-access"] in result.named("thing-policy").options.depends_on
        assert urns["versioning"] in result.named("thing-lifecycle").options.depends_on

    def test_its_policy_refuses_plain_http_overwriting_and_deleting(self, build: Build, inputs: Inputs) -> None:
        policy = statements(inputs(build("SecureBucket"), "thing-policy")["policy"])
        objects = ["arn:aws:s3:::mainstage-archive/models/*"]
        assert policy == {
            "RefusePlainHttp": {
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
                "Resource": ["arn:aws:s3:::mainstage-archive", "arn:aws:s3:::mainstage-archive/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            "RefuseOverwrite": {
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:PutObject"],
                "Resource": objects,
                "Condition": {
                    "Null": {"s3:if-none-match": "true"},
                    "BoolIfExists": {"s3:ObjectCreationOperation": "true"},
                },
            },
            "RefuseDelete": {
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
                "Resource": objects,
            },
        }

    def test_without_protection_it_goes_with_the_stack(self, build: Build, inputs: Inputs) -> None:
        result = build("SecureBucket", deletion_protection=False)
        assert inputs(result, "thing-bucket")["forceDestroy"] is True
        options = result.named("thing-bucket").options
        assert (options.protect, options.retain_on_delete) == (False, False)
        assert "RefuseDelete" not in inputs(result, "thing-policy")["policy"]

    def test_an_existing_bucket_is_adopted(self, build: Build, tree: Tree) -> None:
        result = build("SecureBucket", adopt=True, kms_key_arn=None, write_once_prefixes=None, expire_days=None)
        assert tree(result) == [("mainstage:index:SecureBucket", "thing", "")]
        assert result.outputs == {"bucket_name": "mainstage-archive", "bucket_arn": "arn:aws:s3:::mainstage-archive"}

    @pytest.mark.parametrize(
        "bucket_name", ["Upper", "a", "two..dots", "192.168.0.1", "xn--name", "ends-s3alias", "under_score", "-begins"]
    )
    def test_bucket_names_that_only_the_service_would_refuse(self, refused: Refused, bucket_name: str) -> None:
        ((field, got, _, _),) = refused("SecureBucket", bucket_name=bucket_name)
        assert (field, got) == ("bucket_name", repr(bucket_name))

    def test_refusals(self, refused: Refused) -> None:
        found = refused("SecureBucket", write_once_prefixes=["models"], noncurrent_days=0, expire_days="many")
        assert [field for field, _, _, _ in found] == ["write_once_prefixes[0]", "noncurrent_days", "expire_days"]
        assert [field for field, _, _, _ in refused("SecureBucket", adopt=True, kms_key_arn=None)] == [
            "write_once_prefixes",
            "expire_days",
        ]


class TestModelRegistry:
    def test_children(self, build: Build, tree: Tree) -> None:
        found = [(type_, name, parent) for type_, name, parent in tree(build("ModelRegistry")) if ":s3/" not in type_]
        assert found == [
            ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "thing-repository-lifecycle", "thing"),
            ("aws:ecr/repository:Repository", "thing-repository", "thing"),
            ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "thing-group-iris", "thing"),
            ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "thing-group-wine", "thing"),
            ("mainstage:index:ModelRegistry", "thing", ""),
            ("mainstage:index:SecureBucket", "thing-bucket", "thing"),
        ]

    def test_images_cannot_be_overwritten_and_versions_are_written_once(self, build: Build, inputs: Inputs) -> None:
        result = build("ModelRegistry")
        assert inputs(result, "thing-repository") == {
            "name": "thing",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY_ARN}],
            "forceDelete": False,
            "tags": {},
        }
        (rule,) = json.loads(inputs(result, "thing-repository-lifecycle")["policy"])["rules"]
        assert rule["selection"] == {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 14,
        }
        assert inputs(result, "thing-group-iris") == {
            "modelPackageGroupName": "thing-iris",
            "modelPackageGroupDescription": "Versions of iris",
            "tags": {},
        }
        policy = statements(inputs(result, "thing-bucket-policy")["policy"])
        assert policy["RefuseOverwrite"]["Resource"] == ["arn:aws:s3:::mainstage-registry/models/*"]
        for name in ("thing-repository", "thing-group-iris", "thing-bucket-bucket"):
            options = result.named(name).options
            assert (options.protect, options.retain_on_delete) == (True, True)

    def test_without_models_there_are_no_groups(self, build: Build) -> None:
        result = build("ModelRegistry", models=[])
        assert result.outputs["model_package_group_names"] == {}

    def test_an_existing_bucket_is_adopted(self, build: Build) -> None:
        result = build("ModelRegistry", adopt_bucket=True)
        assert result.of_type("aws:s3/bucket:Bucket") == []
        assert result.outputs["bucket_arn"] == "arn:aws:s3:::mainstage-registry"

    def test_refusals(self, refused: Refused) -> None:
        long = "m" * 60
        found = refused("ModelRegistry", models=["iris", "iris", "Bad"], repository_name="No", untagged_image_days=0)
        assert [(field, got) for field, got, _, _ in found] == [
            ("models[1]", "'iris'"),
            ("models[2]", "'Bad'"),
            ("repository_name", "'No'"),
            ("untagged_image_days", "0"),
        ]
        ((field, got, allowed, _),) = refused("ModelRegistry", models=[long])
        assert (field, got) == ("models[0]", repr(f"thing-{long}"))
        assert allowed == "at most 63 characters together with package_group_prefix"
