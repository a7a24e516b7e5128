"""Policies that AWS would not store are refused when they are written, in each service's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[..., tuple[str, str]]


def trust(principal: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}


class TestTrust:
    def test_grammar(self, account: Any, refused: Refused) -> None:
        asked = {
            "RoleName": "r",
            "AssumeRolePolicyDocument": account.document({**trust("*"), "Condition": {"StringEqual": {"aws:x": "y"}}}),
        }
        code, message = refused(account.iam.create_role, **asked)
        assert code == "MalformedPolicyDocument"
        assert "Statement[0].Condition: got 'StringEqual'; allowed: one of StringEquals, " in message

    def test_a_misspelt_service_is_named_with_the_nearest(self, account: Any, refused: Refused) -> None:
        document = account.document(trust({"Service": "sagmaker.amazonaws.com"}))
        assert refused(account.iam.create_role, RoleName="r", AssumeRolePolicyDocument=document) == (
            "MalformedPolicyDocument",
            'Invalid principal in policy: "SERVICE":"sagmaker.amazonaws.com" (nearest known: sagemaker.amazonaws.com)',
        )

    @pytest.mark.parametrize(
        "service",
        [
            "lambda", "vpc-flow-logs", "delivery.logs", "firehose", "pods.eks", "application-autoscaling", "scheduler",
            "logs.eu-west-1", "monitoring", "sagemaker", "cloudwatch", "ec2", "ecs-tasks", "states", "apigateway",
        ],
    )  # fmt: skip
    def test_services_that_aws_has(self, account: Any, service: str) -> None:
        account.role(trust=trust({"Service": f"{service}.amazonaws.com"}))

    def test_a_role_that_does_not_exist_is_no_principal(self, account: Any, refused: Refused) -> None:
        missing = f"arn:aws:iam::{account.id}:role/missing"
        account.role()
        code, message = refused(
            account.iam.update_assume_role_policy,
            RoleName="reader",
            PolicyDocument=account.document(trust({"AWS": missing})),
        )
        assert (code, message) == (
            "MalformedPolicyDocument",
            f'Invalid principal in policy: "AWS":"{missing}"',
        )

    def test_accounts_and_strangers_pass(self, account: Any) -> None:
        account.role(name="a", trust=trust({"AWS": account.root}))
        account.role(name="b", trust=trust({"AWS": "arn:aws:iam::999999999999:role/x"}))


def test_identity_policies(account: Any, refused: Refused) -> None:
    account.role()
    broken = account.document({"Effect": "Allow", "Action": "s3:*"})
    for method, params in (
        (account.iam.put_role_policy, {"RoleName": "reader", "PolicyName": "p"}),
        (account.iam.create_policy, {"PolicyName": "p"}),
    ):
        code, message = refused(method, PolicyDocument=broken, **params)
        assert code == "MalformedPolicyDocument"
        assert "Resource or NotResource" in message


class TestKey:
    def test_a_policy_that_locks_the_writer_out_is_refused(self, account: Any, refused: Refused) -> None:
        key = account.make_key().rpartition("/")[2]
        closed = account.document(account.allow("kms:*", Principal={"Service": "logs.amazonaws.com"}))
        lockout = (
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )
        assert refused(account.kms.create_key, Policy=closed) == lockout
        assert refused(account.kms.put_key_policy, KeyId=key, PolicyName="default", Policy=closed) == lockout
        account.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=closed, BypassPolicyLockoutSafetyCheck=True)

    def test_grammar(self, account: Any, refused: Refused) -> None:
        assert refused(account.kms.create_key, Policy='{"Version": "2012-10-17", "Statement": 1}')[0] == (
            "MalformedPolicyDocumentException"
        )


class TestBucket:
    @pytest.fixture
    def bucket(self, account: Any) -> str:
        return account.make_bucket()

    def put(self, account: Any, *statements: dict[str, Any]) -> dict[str, Any]:
        return {"Bucket": account.bucket, "Policy": account.document(*statements)}

    def test_another_buckets_resource(self, account: Any, bucket: str, refused: Refused) -> None:
        statement = account.allow("s3:GetObject", f"arn:aws:s3:::{bucket}-other/*", Principal={"AWS": account.root})
        code, message = refused(account.s3.put_bucket_policy, **self.put(account, statement))
        assert code == "MalformedPolicy"
        assert message.startswith("Policy has invalid resource: ")

    def test_a_public_policy_under_a_block(self, account: Any, bucket: str, refused: Refused) -> None:
        resource = f"arn:aws:s3:::{bucket}/*"
        public = self.put(account, account.allow("s3:GetObject", resource, Principal="*"))
        account.s3.put_bucket_policy(**public)
        account.s3.delete_bucket_policy(Bucket=bucket)
        account.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
        code, message = refused(account.s3.put_bucket_policy, **public)
        assert code == "AccessDenied"
        assert "BlockPublicPolicy" in message
        fixed = {"StringEquals": {"aws:SourceAccount": account.id}}
        account.s3.put_bucket_policy(
            **self.put(account, account.allow("s3:GetObject", resource, Principal="*", Condition=fixed))
        )
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        account.s3.put_bucket_policy(
            **self.put(account, account.deny("s3:*", resource, Principal="*", Condition=insecure))
        )

    def test_a_policy_that_is_no_json(self, account: Any, bucket: str, refused: Refused) -> None:
        assert refused(account.s3.put_bucket_policy, Bucket=bucket, Policy="{")[0] == "MalformedPolicy"


def test_topics_queues_and_repositories(account: Any, refused: Refused) -> None:
    topic = account.sns.create_topic(Name="t")["TopicArn"]
    queue = account.sqs.create_queue(QueueName="q")["QueueUrl"]
    ecr = account.cloud.client("ecr")
    ecr.create_repository(repositoryName="models")
    broken = account.document({"Effect": "Allow", "Action": "x", "Resource": "*", "Principal": "*"})
    assert (
        refused(account.sns.set_topic_attributes, TopicArn=topic, AttributeName="Policy", AttributeValue=broken)[0]
        == "InvalidParameter"
    )
    assert refused(account.sqs.set_queue_attributes, QueueUrl=queue, Attributes={"Policy": broken})[0] == (
        "InvalidAttributeValue"
    )
    assert refused(ecr.set_repository_policy, repositoryName="models", policyText=broken)[0] == (
        "InvalidParameterException"
    )
    account.sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="pages")
