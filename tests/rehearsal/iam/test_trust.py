"""Roles are taken by their trust policies: by services, by identities, with session policies, tags and external ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.rehearsal.cloud.api import AwsError

Refused = Callable[..., tuple[str, str]]


def trust(principal: Any, **rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **rest}


def service_refusal(account: Any, role_arn: str, **options: Any) -> str:
    asked = {"service": account.service, "session_name": "run", **options}
    with pytest.raises(AwsError) as caught:
        account.cloud.assume_role(role_arn, **asked)
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)
    return caught.value.message


class TestService:
    def test_the_trusted_service_gets_a_session(self, account: Any) -> None:
        session = account.session(account.role())
        identity = session.client("sts").get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/reader/run"
        assert identity["Account"] == account.id
        assert identity["UserId"] == f"{account.iam.get_role(RoleName='reader')['Role']['RoleId']}:run"

    def test_another_service_is_refused(self, account: Any) -> None:
        role = account.role()
        assert service_refusal(account, role, service="lambda.amazonaws.com") == (
            f"User: lambda.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: {role} "
            "because no role trust policy allows the sts:AssumeRole action"
        )

    def test_a_missing_role_is_refused(self, account: Any) -> None:
        missing = f"arn:aws:iam::{account.id}:role/missing"
        assert service_refusal(account, missing) == (
            f"User: {account.service} is not authorized to perform: sts:AssumeRole on resource: {missing}"
        )
        assert "no arn" in service_refusal(account, "no arn")

    def test_the_confused_deputy_conditions_hold(self, account: Any) -> None:
        endpoint = f"arn:aws:sagemaker:{account.region}:{account.id}:endpoint/iris"
        condition = {
            "StringEquals": {"aws:SourceAccount": account.id},
            "ArnLike": {"aws:SourceArn": endpoint.replace("iris", "*")},
        }
        role = account.role(trust=trust({"Service": account.service}, Condition=condition))
        account.cloud.assume_role(role, service=account.service, session_name="s", source_arn=endpoint)
        assert "no role trust policy" in service_refusal(account, role)
        assert "no role trust policy" in service_refusal(
            account, role, source_arn=endpoint.replace("endpoint", "pipeline")
        )

    def test_a_changed_trust_policy_counts_at_once(self, account: Any) -> None:
        role = account.role()
        account.session(role)
        account.iam.update_assume_role_policy(
            RoleName="reader", PolicyDocument=account.document(trust({"Service": "lambda.amazonaws.com"}))
        )
        service_refusal(account, role)


class TestIdentity:
    def test_the_operator_takes_a_role_that_trusts_the_account(self, account: Any) -> None:
        role = account.role(account.allow("s3:ListAllMyBuckets"), trust=trust({"AWS": account.root}))
        made = account.sts.assume_role(RoleArn=role, RoleSessionName="me")
        assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/reader/me"
        keys = made["Credentials"]
        principal = account.cloud.principals.of(keys["AccessKeyId"])
        assert principal.role_arn == role
        assert account.cloud.session(principal).client("s3").list_buckets()["Buckets"] == []

    def test_a_role_that_trusts_a_service_only_is_closed_to_people(self, account: Any, refused: Refused) -> None:
        code, message = refused(account.sts.assume_role, RoleArn=account.role(), RoleSessionName="me")
        assert code == "AccessDenied"
        assert message.endswith("because no role trust policy allows the sts:AssumeRole action")

    def test_trusting_the_account_leaves_it_to_the_callers_policies(self, account: Any, refused: Refused) -> None:
        target = account.role(name="target", trust=trust({"AWS": account.root}))
        client = account.acting().client("sts")
        code, message = refused(client.assume_role, RoleArn=target, RoleSessionName="me")
        assert (code, message.rpartition(" because ")[2]) == (
            "AccessDenied",
            "no identity-based policy allows the sts:AssumeRole action",
        )
        account.grant(account.allow("sts:AssumeRole", target))
        client.assume_role(RoleArn=target, RoleSessionName="me")

    def test_trusting_the_role_itself_is_enough(self, account: Any) -> None:
        session = account.acting()
        reader = account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        target = account.role(name="target", trust=trust({"AWS": reader}))
        session.client("sts").assume_role(RoleArn=target, RoleSessionName="me")

    def test_an_external_id_must_be_the_one_of_the_trust(self, account: Any, refused: Refused) -> None:
        condition = {"StringEquals": {"sts:ExternalId": "42"}}
        role = account.role(trust=trust({"AWS": account.root}, Condition=condition))
        asked = {"RoleArn": role, "RoleSessionName": "me"}
        assert refused(account.sts.assume_role, **asked)[0] == "AccessDenied"
        assert refused(account.sts.assume_role, **asked, ExternalId="43")[0] == "AccessDenied"
        account.sts.assume_role(**asked, ExternalId="42")

    def test_session_tags_need_their_own_permission_and_become_principal_tags(
        self, account: Any, refused: Refused
    ) -> None:
        account.make_bucket()
        tagged = account.allow("s3:ListBucket", Condition={"StringEquals": {"aws:PrincipalTag/team": "iris"}})
        role = account.role(tagged, trust=trust({"AWS": account.root}))
        asked = {"RoleArn": role, "RoleSessionName": "me", "Tags": [{"Key": "team", "Value": "iris"}]}
        assert "sts:TagSession" in refused(account.sts.assume_role, **asked)[1]
        both = {**trust({"AWS": account.root}), "Action": ["sts:AssumeRole", "sts:TagSession"]}
        account.iam.update_assume_role_policy(RoleName="reader", PolicyDocument=account.document(both))
        keys = account.sts.assume_role(**asked)["Credentials"]
        client = account.cloud.session(account.cloud.principals.of(keys["AccessKeyId"])).client("s3")
        assert client.list_objects_v2(Bucket=account.bucket)["KeyCount"] == 0

    def test_a_session_policy_narrows(self, account: Any, refused: Refused) -> None:
        account.make_bucket()
        role = account.role(account.allow("s3:*"), trust=trust({"AWS": account.root}))
        keys = account.sts.assume_role(
            RoleArn=role, RoleSessionName="me", Policy=account.document(account.allow("s3:ListBucket"))
        )["Credentials"]
        client = account.cloud.session(account.cloud.principals.of(keys["AccessKeyId"])).client("s3")
        assert client.list_objects_v2(Bucket=account.bucket)["KeyCount"] == 0
        assert refused(client.put_object, Bucket=account.bucket, Key="k")[1].endswith(
            "because no session policy allows the s3:PutObject action"
        )

    def test_a_malformed_session_policy_is_refused(self, account: Any, refused: Refused) -> None:
        role = account.role(trust=trust({"AWS": account.root}))
        asked = {"RoleArn": role, "RoleSessionName": "me"}
        code, message = refused(account.sts.assume_role, **asked, Policy='{"Version": "2012-10-17"}')
        assert code == "MalformedPolicyDocument"
        assert "at least one statement is required" in message
        missing = {"arn": f"arn:aws:iam::{account.id}:policy/missing"}
        assert refused(account.sts.assume_role, **asked, PolicyArns=[missing])[0] == "MalformedPolicyDocument"

    def test_durations(self, account: Any, refused: Refused) -> None:
        role = account.role(trust=trust({"AWS": account.root}), MaxSessionDuration=7200)
        asked = {"RoleArn": role, "RoleSessionName": "me"}
        keys = account.sts.assume_role(**asked, DurationSeconds=7200)["Credentials"]["AccessKeyId"]
        assert refused(account.sts.assume_role, **asked, DurationSeconds=7201)[0] == "ValidationError"
        account.cloud.principals.of(keys)
        account.cloud.clock.advance(7201)
        with pytest.raises(AwsError) as caught:
            account.cloud.principals.of(keys)
        assert (caught.value.code, caught.value.status) == ("ExpiredToken", 403)

    def test_a_session_cannot_chain_for_more_than_an_hour(self, account: Any, refused: Refused) -> None:
        client = account.acting(account.allow("sts:AssumeRole")).client("sts")
        target = account.role(name="target", trust=trust({"AWS": account.root}), MaxSessionDuration=7200)
        code, message = refused(client.assume_role, RoleArn=target, RoleSessionName="me", DurationSeconds=3601)
        assert code == "ValidationError"
        assert "role chaining" in message


def test_a_role_of_another_account_needs_both_sides(account: Any, refused: Refused) -> None:
    client = account.acting(account.allow("sts:AssumeRole")).client("sts")
    foreign = account.cloud.principals.operator.__class__
    other = account.cloud.session(
        foreign("operator", "arn:aws:iam::999999999999:user/other-operator", "999999999999")
    ).client("iam")
    statement = trust({"AWS": account.id})
    target = other.create_role(RoleName="far", AssumeRolePolicyDocument=account.document(statement))["Role"]["Arn"]
    assert target == "arn:aws:iam::999999999999:role/far"
    made = client.assume_role(RoleArn=target, RoleSessionName="me")
    assert made["AssumedRoleUser"]["Arn"] == "arn:aws:sts::999999999999:assumed-role/far/me"
    account.grant(account.allow("s3:*"))
    assert refused(client.assume_role, RoleArn=target, RoleSessionName="me")[0] == "AccessDenied"


def test_get_session_token_gives_keys_of_the_same_identity_to_people_only(account: Any, refused: Refused) -> None:
    account.iam.create_user(UserName="ann")
    account.iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=account.document(account.allow("sts:*")))
    key = account.iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    principal = account.cloud.principals.of(key)
    made = account.cloud.session(principal).client("sts").get_session_token()["Credentials"]["AccessKeyId"]
    assert account.cloud.principals.of(made) == principal
    assert refused(account.acting().client("sts").get_session_token)[0] == "AccessDenied"
    assert refused(account.sts.get_federation_token, Name="x1")[0] == "NotCarried"
