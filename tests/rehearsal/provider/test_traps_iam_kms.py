"""Traps of roles, policies and keys (terraform-provider-aws, internal/service/iam and kms)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import ACCOUNT_ID, CheckFailed, Driver, allow, trust
from provider_world import World

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import InitializationFailed, ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/policy:Policy"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"

# -- IAM ---------------------------------------------------------------------------------------------------------------


def test_role_shows_what_other_resources_attach_without_a_diff(engine: Driver, world: World) -> None:
    inputs: dict[str, Any] = {"name": "r", "assumeRolePolicy": trust("lambda.amazonaws.com")}
    role = engine.create(ROLE, "r", **inputs)
    engine.create("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", role=role.id, policyArn=world.policy.id)
    engine.create(ROLE_POLICY, "p", role=role.id, policy=allow("s3:GetObject"))
    mirrored = engine.read(role)
    assert mirrored is not None
    assert mirrored.outputs["managedPolicyArns"] == [world.policy.id]
    assert len(mirrored.outputs["inlinePolicies"]) == 1
    assert engine.changed(mirrored, **inputs) == {}


def test_role_that_lists_its_attachments_owns_them_all_and_fights(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs: dict[str, Any] = {
        "name": "r",
        "assumeRolePolicy": trust("lambda.amazonaws.com"),
        "managedPolicyArns": [world.policy.id],
    }
    role = engine.create(ROLE, "r", **inputs)
    other = engine.create(POLICY, "other", policy=allow("s3:ListBucket"))
    engine.create("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", role=role.id, policyArn=other.id)
    fought = engine.read(role)
    assert fought is not None
    assert engine.changed(fought, **inputs) == {"managedPolicyArns": False}
    engine.update(fought, **inputs)
    attached = cloud.client("iam").list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [world.policy.id]


def test_role_trust_policy_compares_by_meaning_and_keeps_its_text(engine: Driver) -> None:
    text = trust("lambda.amazonaws.com")
    written = json.dumps(json.loads(text), indent=4)
    role = engine.create(ROLE, "r", assumeRolePolicy=written)
    assert role.outputs["assumeRolePolicy"] == written
    document = json.loads(text)
    document["Statement"][0]["Action"] = ["sts:AssumeRole"]
    assert engine.changed(role, assumeRolePolicy=json.dumps(document)) == {}
    assert engine.changed(role, assumeRolePolicy=trust("ec2.amazonaws.com")) == {"assumeRolePolicy": False}


def test_role_trust_changed_by_hand_is_found(engine: Driver, cloud: Cloud) -> None:
    role = engine.create(ROLE, "r", assumeRolePolicy=trust("lambda.amazonaws.com"))
    cloud.client("iam").update_assume_role_policy(RoleName=role.id, PolicyDocument=trust("ec2.amazonaws.com"))
    drifted = engine.read(role)
    assert drifted is not None
    assert json.loads(drifted.inputs["assumeRolePolicy"]) == json.loads(trust("ec2.amazonaws.com"))
    assert engine.changed(drifted, assumeRolePolicy=trust("lambda.amazonaws.com")) == {"assumeRolePolicy": False}


def test_role_whose_attachment_fails_is_an_orphan(engine: Driver, cloud: Cloud) -> None:
    """The id is recorded only after the attachments."""
    inputs: dict[str, Any] = {
        "name": "orphan",
        "assumeRolePolicy": trust("lambda.amazonaws.com"),
        "managedPolicyArns": [f"arn:aws:iam::{ACCOUNT_ID}:policy/none"],
    }
    with pytest.raises(ProviderError) as caught:
        engine.create(ROLE, "orphan", **inputs)
    assert not isinstance(caught.value, InitializationFailed)
    assert cloud.client("iam").get_role(RoleName="orphan")["Role"]["RoleName"] == "orphan"


def test_role_whose_inline_policy_fails_is_taken_back(engine: Driver, cloud: Cloud) -> None:
    cloud.faults.add("iam", "PutRolePolicy", AwsError("LimitExceeded", "too many", 409))
    inline = [{"name": "p", "policy": allow("s3:GetObject")}]
    with pytest.raises(ProviderError, match="LimitExceeded"):
        engine.create(ROLE, "r", name="r", assumeRolePolicy=trust("lambda.amazonaws.com"), inlinePolicies=inline)
    assert cloud.client("iam").list_roles()["Roles"] == []


def test_role_changed_inline_policy_is_deleted_first(engine: Driver, cloud: Cloud) -> None:
    inputs: dict[str, Any] = {"name": "r", "assumeRolePolicy": trust("lambda.amazonaws.com")}
    role = engine.create(ROLE, "r", **inputs, inlinePolicies=[{"name": "p", "policy": allow("s3:GetObject")}])
    before = len(cloud.journal.entries())
    engine.update(role, **inputs, inlinePolicies=[{"name": "p", "policy": allow("s3:PutObject")}])
    made = [entry.operation for entry in cloud.journal.entries()[before:] if "RolePolicy" in entry.operation]
    assert made[:2] == ["DeleteRolePolicy", "PutRolePolicy"]


def test_role_with_a_policy_attached_by_hand_fails_after_two_minutes_unless_forced(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    inputs: dict[str, Any] = {"name": "r", "assumeRolePolicy": trust("lambda.amazonaws.com")}
    role = engine.create(ROLE, "r", **inputs)
    cloud.client("iam").attach_role_policy(RoleName="r", PolicyArn=world.policy.id)
    with pytest.raises(ProviderError, match=r"DeleteConflict.*the real provider goes on for 2 min"):
        engine.delete(role)
    forced = engine.update(role, **inputs, forceDetachPolicies=True)
    engine.delete(forced)
    assert engine.read(forced) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maxSessionDuration", 43201),
        ("description", "curly \u201cquotes\u201d"),
        ("permissionsBoundary", "boundary"),
        ("name", "n" * 65),
        ("assumeRolePolicy", "{not json"),
    ],
)
def test_role_plan_time_checks(engine: Driver, name: str, value: object) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(ROLE, "r", **{"assumeRolePolicy": trust("lambda.amazonaws.com"), name: value})
    assert set(caught.value.failures) == {name}


def test_policy_with_five_versions_loses_the_oldest(engine: Driver, cloud: Cloud) -> None:
    policy = engine.create(POLICY, "p", name="p", policy=allow("s3:Get1"))
    for number in range(2, 8):
        policy = engine.update(policy, name="p", policy=allow(f"s3:Get{number}"))
    versions = cloud.client("iam").list_policy_versions(PolicyArn=policy.id)["Versions"]
    assert sorted(one["VersionId"] for one in versions) == ["v3", "v4", "v5", "v6", "v7"]
    assert [one["VersionId"] for one in versions if one["IsDefaultVersion"]] == ["v7"]
    engine.delete(policy)
    assert engine.read(policy) is None


def test_policy_still_attached_fails_at_once(engine: Driver, world: World, cloud: Cloud) -> None:
    policy = world.policy
    cloud.faults.add(
        "iam", "DeletePolicy", AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    )
    with pytest.raises(ProviderError) as caught:
        engine.delete(policy)
    assert "DeleteConflict" in str(caught.value)
    assert "goes on for" not in str(caught.value)


def test_role_policy_of_a_missing_role_is_not_retried(engine: Driver) -> None:
    with pytest.raises(ProviderError) as caught:
        engine.create(ROLE_POLICY, "p", role="none", policy=allow("s3:GetObject"))
    assert "PutRolePolicy: NoSuchEntity" in str(caught.value)
    assert "goes on for" not in str(caught.value)


def test_auto_name_keeps_to_64_characters_and_stays_on_the_next_run(engine: Driver) -> None:
    name = "a-very-long-logical-name-that-would-not-fit-into-a-role-name-at-all"
    role = engine.create(ROLE, name, assumeRolePolicy=trust("lambda.amazonaws.com"))
    assert len(role.inputs["name"]) == 64
    assert role.inputs["__defaults"] == ["forceDetachPolicies", "maxSessionDuration", "name", "path"]
    assert engine.changed(role, assumeRolePolicy=trust("lambda.amazonaws.com")) == {}


# -- KMS ---------------------------------------------------------------------------------------------------------------


def key_policy(*actions: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
        "Action": ["kms:*", *actions],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_key_is_scheduled_for_deletion_within_the_window_of_the_state_and_reads_as_gone(
    engine: Driver, cloud: Cloud
) -> None:
    key = engine.create(KEY, "k", deletionWindowInDays=7)
    engine.delete(key)
    found = cloud.client("kms").describe_key(KeyId=key.id)["KeyMetadata"]
    assert found["KeyState"] == "PendingDeletion"
    assert 6 <= (found["DeletionDate"] - cloud.clock.now()).days <= 7
    assert engine.read(key) is None
    engine.delete(key)


def test_key_policy_taken_out_of_the_program_changes_nothing(engine: Driver) -> None:
    key = engine.create(KEY, "k", policy=key_policy())
    assert engine.changed(key) == {}
    assert engine.changed(key, policy=key_policy("kms:Decrypt")) == {"policy": False}


def test_key_defaults_to_no_rotation(engine: Driver, cloud: Cloud) -> None:
    key = engine.create(KEY, "k")
    assert key.outputs["enableKeyRotation"] is False
    assert cloud.client("kms").get_key_rotation_status(KeyId=key.id)["KeyRotationEnabled"] is False


def test_key_is_enabled_first_and_disabled_last(engine: Driver, cloud: Cloud) -> None:
    key = engine.create(KEY, "k", isEnabled=False)
    assert cloud.client("kms").describe_key(KeyId=key.id)["KeyMetadata"]["Enabled"] is False
    before = len(cloud.journal.entries())
    enabled = engine.update(key, description="two")
    engine.update(enabled, description="three", isEnabled=False)
    wanted = {"EnableKey", "DisableKey", "UpdateKeyDescription"}
    made = [entry.operation for entry in cloud.journal.entries()[before:] if entry.operation in wanted]
    assert made == ["EnableKey", "UpdateKeyDescription", "UpdateKeyDescription", "DisableKey"]


def test_key_rotation_period_needs_rotation(engine: Driver) -> None:
    with pytest.raises(CheckFailed, match="rotationPeriodInDays needs enableKeyRotation"):
        engine.preview(KEY, "k", rotationPeriodInDays=90)


def test_key_whose_rotation_fails_is_kept_in_state_with_what_was_asked(engine: Driver, cloud: Cloud) -> None:
    cloud.faults.add("kms", "EnableKeyRotation", AwsError("UnsupportedOperationException", "not for this key"))
    with pytest.raises(InitializationFailed) as caught:
        engine.create(KEY, "k", enableKeyRotation=True)
    failed = caught.value
    assert cloud.client("kms").describe_key(KeyId=failed.id)["KeyMetadata"]["KeyState"] == "Enabled"
    assert failed.properties["enableKeyRotation"] is True
    assert failed.inputs["enableKeyRotation"] is True
    assert "EnableKeyRotation: UnsupportedOperationException" in failed.reasons[0]


def test_alias_target_by_id_or_arn_is_the_same_key(engine: Driver, world: World) -> None:
    alias = engine.create(ALIAS, "a", name="alias/a", targetKeyId=world.key.outputs["arn"])
    assert alias.outputs["targetKeyArn"] == world.key.outputs["arn"]
    assert engine.changed(alias, name="alias/a", targetKeyId=world.key.id) == {}


@pytest.mark.parametrize("name", ["mainstage", "alias/aws/s3"])
def test_alias_names_that_aws_refuses(engine: Driver, name: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(ALIAS, "a", name=name, targetKeyId="1234")
    assert "must begin with alias/" in caught.value.failures["name"]


def test_hmac_key_makes_macs_and_its_rotation_is_refused(engine: Driver, cloud: Cloud) -> None:
    hmac = {"keyUsage": "GENERATE_VERIFY_MAC", "customerMasterKeySpec": "HMAC_256", "deletionWindowInDays": 7}
    key = engine.create(KEY, "pseudonyms", **hmac)
    assert (key.outputs["keyUsage"], key.outputs["customerMasterKeySpec"]) == ("GENERATE_VERIFY_MAC", "HMAC_256")
    assert key.outputs["enableKeyRotation"] is False
    assert engine.changed(key, **hmac) == {}
    assert engine.changed(key, **(hmac | {"customerMasterKeySpec": "HMAC_512"})) == {"customerMasterKeySpec": True}
    mac = cloud.client("kms").generate_mac(KeyId=key.id, Message=b"m", MacAlgorithm="HMAC_SHA_256")["Mac"]
    assert len(mac) == 32
    with pytest.raises(ProviderError, match="UnsupportedOperationException"):
        engine.update(key, **hmac, enableKeyRotation=True)
