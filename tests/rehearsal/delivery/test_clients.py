"""Keys of the delivering process: renewed before they expire, and when they have expired all the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.delivery.clients import RENEW_BEFORE_SECONDS, Clients, RoleRefused

REGION = "eu-west-1"
ROLE = "arn:aws:iam::111111111111:role/r"
LASTS_SECONDS = 900
CALLS = {"s3": "list_buckets", "lambda": "list_functions", "logs": "describe_log_groups", "glue": "get_databases"}
"""A call of each protocol: XML, JSON by path, JSON by target."""
MAY_LIST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets","lambda:ListFunctions",'
    '"logs:DescribeLogGroups","glue:GetDatabases"],"Resource":"*"}]}'
)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


class Keys:
    """What the cloud's process answers; `told` is the time that the delivering process knows."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.told = cloud.clock.now()
        self.asked = 0
        self.refused = False
        self.lasts_seconds = LASTS_SECONDS

    def now(self) -> datetime:
        return self.told

    def __call__(self, role: str) -> Mapping[str, Any]:
        self.asked += 1
        if self.refused:
            raise RoleRefused("no")
        principal = self.cloud.principals.assume(
            role, service="firehose.amazonaws.com", session_name="s", source_arn=""
        )
        keys = self.cloud.principals.mint(principal, duration_seconds=self.lasts_seconds)
        assert keys.expiration is not None
        return {
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
            "session_token": keys.session_token,
            "expires": keys.expiration.timestamp(),
        }


@pytest.fixture
def keys(cloud: Cloud) -> Keys:
    iam = cloud.client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="r", PolicyName="lists", PolicyDocument=MAY_LIST)
    return Keys(cloud)


@pytest.fixture
def clients(cloud: Cloud, keys: Keys) -> Clients:
    return Clients(cloud.serve(), keys, keys.now)


def test_they_are_renewed_before_they_expire(clients: Clients, keys: Keys) -> None:
    for seconds, asked in ((0, 1), (LASTS_SECONDS - RENEW_BEFORE_SECONDS - 1, 1), (2, 2)):
        keys.cloud.clock.advance(seconds)
        keys.told += timedelta(seconds=seconds)
        clients.client(ROLE, "s3", REGION).list_buckets()
        assert keys.asked == asked


@pytest.mark.parametrize("service", CALLS)
def test_a_clock_that_leaps_unseen_costs_no_attempt(clients: Clients, keys: Keys, service: str) -> None:
    """Every protocol names an expired token in its own way; a service's own session never expires for its caller."""
    client = clients.client(ROLE, service, REGION)
    keys.cloud.clock.advance(LASTS_SECONDS + 1)
    getattr(client, CALLS[service])()
    assert keys.asked == 2


def test_new_keys_that_have_expired_too_are_an_error(clients: Clients, keys: Keys) -> None:
    client = clients.client(ROLE, "s3", REGION)
    keys.cloud.clock.advance(LASTS_SECONDS + 1)
    keys.lasts_seconds = 0
    with pytest.raises(ClientError, match="ExpiredToken"):
        client.list_buckets()
    assert keys.asked == 2


def test_a_role_that_cannot_be_taken_again_is_told(clients: Clients, keys: Keys) -> None:
    client = clients.client(ROLE, "s3", REGION)
    keys.cloud.clock.advance(LASTS_SECONDS + 1)
    keys.refused = True
    with pytest.raises(RoleRefused):
        client.list_buckets()
