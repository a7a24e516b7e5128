"""A small account for the tests of IAM: roles with chosen permissions, a bucket, keys; all through boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import boto3

    from infra.rehearsal.cloud.cloud import Cloud

BUCKET = "models-of-tests"
SERVICE = "sagemaker.amazonaws.com"


def document(*statements: dict[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **rest}


def deny(action: Any, resource: Any = "*", **rest: Any) -> dict[str, Any]:
    return {**allow(action, resource, **rest), "Effect": "Deny"}


class Account:
    """What the tests need of an account, each with a working default."""

    allow = staticmethod(allow)
    deny = staticmethod(deny)
    document = staticmethod(document)
    bucket = BUCKET
    service = SERVICE

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.id, self.region = cloud.account_id, cloud.region
        self.root = f"arn:aws:iam::{self.id}:root"
        self.iam, self.s3, self.kms = cloud.client("iam"), cloud.client("s3"), cloud.client("kms")
        self.sns, self.sqs, self.sts = cloud.client("sns"), cloud.client("sqs"), cloud.client("sts")

    def role(
        self, *statements: dict[str, Any], name: str = "reader", trust: dict[str, Any] | None = None, **options: Any
    ) -> str:
        """A role that SageMaker may take, with these statements as its inline policy. Returns its ARN."""
        trusted = trust or {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"}
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trusted), **options)
        if statements:
            self.grant(*statements, name=name)
        return made["Role"]["Arn"]

    def grant(self, *statements: dict[str, Any], name: str = "reader") -> None:
        """Replaces the role's inline policy."""
        self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))

    def session(self, role_arn: str, session_name: str = "run") -> boto3.Session:
        return self.cloud.assume_role(role_arn, service=SERVICE, session_name=session_name)

    def acting(self, *statements: dict[str, Any], name: str = "reader", **options: Any) -> boto3.Session:
        """A session of a fresh role with these statements."""
        return self.session(self.role(*statements, name=name, **options))

    def make_bucket(self, name: str = BUCKET) -> str:
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        return name

    def make_key(self, *statements: dict[str, Any]) -> str:
        """A key whose policy lets the account's identities decide, or these statements and the operator."""
        operator = allow("kms:*", Principal={"AWS": self.cloud.principals.operator.arn})
        listed = (operator, *statements) if statements else (allow("kms:*", Principal={"AWS": self.root}),)
        return self.kms.create_key(Policy=document(*listed))["KeyMetadata"]["Arn"]

    def encrypt_bucket(self, key_arn: str, name: str = BUCKET, *, bucket_key: bool = False) -> None:
        rule = {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn},
            "BucketKeyEnabled": bucket_key,
        }
        self.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


@pytest.fixture
def account(cloud: Cloud) -> Account:
    return Account(cloud)


@pytest.fixture
def refused() -> Callable[..., tuple[str, str]]:
    """Calls a client's method and answers code and message of the error that must come."""
    from botocore.exceptions import ClientError

    def call(method: Callable[..., Any], **params: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            method(**params)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return call
