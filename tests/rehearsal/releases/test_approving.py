"""The colleague that a rehearsal plays: another identity than the push, with an approver's rights and no more."""

from __future__ import annotations

import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from infra.layers.names import model_package_group_name, registry_bucket_name
from infra.registry.approval import approve
from infra.registry.registry import Registry, RegistryError
from infra.registry.target import Target
from infra.rehearsal.approving import approve_as_colleague, approver
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY


@pytest.fixture
def target(cloud: Cloud) -> Target:
    """dev with a registry bucket under a key of its own, and version 1 of iris in it."""
    where = Target(
        "dev",
        cloud.account_id,
        cloud.region,
        cloud.serve(),
        access_key_id=cloud.operator_access_key_id,
        secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
    )
    s3 = where.client("s3")
    bucket = registry_bucket_name("dev", cloud.account_id, cloud.region)
    key = where.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.region})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=bucket, Key="models/iris/1/model.tar.gz", Body=b"x", ChecksumAlgorithm="SHA256")
    pushed_by = where.client("sts").get_caller_identity()["Arn"]
    card = {"archive": {"sha256": hashlib.sha256(b"x").hexdigest()}, "pushed_by": pushed_by}
    s3.put_object(Bucket=bucket, Key="models/iris/1/card.json", Body=json.dumps(card).encode())
    where.client("sagemaker").create_model_package_group(ModelPackageGroupName=model_package_group_name("dev", "iris"))
    return where


def test_a_played_colleague_approves_what_the_operator_pushed(target: Target) -> None:
    with pytest.raises(RegistryError, match="and that is you"):
        approve(Registry.of(target), "iris", 1)
    done = approve_as_colleague(target, "iris", 1)
    assert done.new
    assert done.approval.approved_by == f"arn:aws:iam::{target.account_id}:user/rehearsal-approver"
    assert approve_as_colleague(target, "iris", 1).new is False  # a third key would be refused


def test_the_colleague_may_approve_and_nothing_else(target: Target) -> None:
    colleague = approver(target)
    bucket = registry_bucket_name("dev", target.account_id, target.region)
    with pytest.raises(ClientError, match="AccessDenied"):
        colleague.client("s3").put_object(Bucket=bucket, Key="models/iris/1/card.json", Body=b"{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        colleague.client("s3").put_object(Bucket=bucket, Key="releases/dev-iris/x.json", Body=b"{}")
    with pytest.raises(ClientError, match="not authorized"):
        colleague.client("sagemaker").list_endpoints()
