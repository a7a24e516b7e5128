"""The key of a log group changes after the group was made."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def logs(cloud):
    client = cloud.client("logs")
    client.create_log_group(logGroupName="/group")
    return client


def make_key(cloud, *service_actions):
    root = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "kms:*"}
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
        "Action": list(service_actions),
    }
    statements = [{**each, "Resource": "*"} for each in (root, service)]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return cloud.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]


def key_of(logs):
    return logs.describe_log_groups(logGroupNamePrefix="/group")["logGroups"][0].get("kmsKeyId")


def test_a_key_comes_and_goes(cloud, logs):
    first, second = (make_key(cloud, "kms:Encrypt*", "kms:Decrypt*", "kms:Generate*", "kms:Describe*") for _ in "ab")
    logs.associate_kms_key(logGroupName="/group", kmsKeyId=first)
    assert key_of(logs) == first
    logs.associate_kms_key(resourceIdentifier="arn:aws:logs:eu-west-1:111111111111:log-group:/group:*", kmsKeyId=second)
    assert key_of(logs) == second
    logs.disassociate_kms_key(logGroupName="/group")
    assert key_of(logs) is None


def test_a_key_that_logs_may_not_use_is_refused(cloud, logs):
    with pytest.raises(ClientError, match=r"AccessDeniedException.*not allowed to be used"):
        logs.associate_kms_key(logGroupName="/group", kmsKeyId=make_key(cloud, "kms:Describe*"))
    assert key_of(logs) is None


def test_a_group_that_is_missing_is_said(cloud, logs):
    key = make_key(cloud, "kms:Encrypt*", "kms:Decrypt*", "kms:Generate*", "kms:Describe*")
    with pytest.raises(ClientError, match="The specified log group does not exist"):
        logs.associate_kms_key(logGroupName="/nowhere", kmsKeyId=key)
