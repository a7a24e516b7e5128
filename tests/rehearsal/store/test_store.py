"""The generic store: what was put comes back, nothing is dropped in silence, ids and times are the cloud's."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.store_collections import BY_OPERATION, COLLECTIONS, Collection

TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
    ' "Principal": {"Service": ["eks.amazonaws.com", "pods.eks.amazonaws.com"]}}]}'
)
STEERING = {"clientRequestToken", "resolveConflicts", "ExpectedBucketOwner"}
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
OTHER_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy"


@pytest.fixture
def role(cloud: Cloud) -> str:
    return cloud.client("iam").create_role(RoleName="nodes", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]


def _cluster(cloud: Cloud, role: str, name: str = "c") -> Any:
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate("ab")
    ]
    eks = cloud.client("eks")
    eks.create_cluster(name=name, roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
    return eks


@pytest.fixture
def eks(cloud: Cloud, role: str) -> Any:
    return _cluster(cloud, role)


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="a-b", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


def _code(call: Any, **params: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    response: Any = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# The table


def test_every_operation_is_botocores_and_stands_once():
    operations = [(found.service, name) for found in COLLECTIONS for name in found.operations]
    assert sorted(set(operations)) == sorted(operations)
    for service, operation in BY_OPERATION:
        model: Any = get_service_model(service)
        assert operation in model.operation_names


@pytest.mark.parametrize("found", COLLECTIONS, ids=lambda found: found.noun)
def test_no_input_of_a_collection_is_dropped(found: Collection):
    """Each member that creation takes is in the record's answer, is refused, or steers the call."""
    model = get_service_model(found.service)
    verbs = {verb: name for name, verb in found.operations.items()}
    made: Any = model.operation_model(verbs.get("create") or verbs["put"])
    shown: Any = model.operation_model(verbs.get("read") or verbs.get("create") or verbs["put"]).output_shape
    record = shown.members[found.member] if found.member else shown
    kept = {*record.members, *found.key, *found.refused, *STEERING}
    assert [name for name in made.input_shape.members if name not in kept] == []


# EKS


def test_an_access_entry_lives(cloud: Cloud, eks: Any, role: str):
    asked = {"kubernetesGroups": ["viewers"], "tags": {"owner": "ml"}}
    made = eks.create_access_entry(clusterName="c", principalArn=role, **asked)["accessEntry"]
    assert made == eks.describe_access_entry(clusterName="c", principalArn=role)["accessEntry"]
    assert {name: made[name] for name in asked} == asked
    assert made["type"] == "STANDARD"
    assert made["username"] == "arn:aws:sts::111111111111:assumed-role/nodes/{{SessionName}}"
    assert made["accessEntryArn"].startswith(
        "arn:aws:eks:eu-west-1:111111111111:access-entry/c/role/111111111111/nodes/"
    )
    cloud.clock.advance(60)
    eks.update_access_entry(clusterName="c", principalArn=role, kubernetesGroups=["admins"])
    seen = eks.describe_access_entry(clusterName="c", principalArn=role)["accessEntry"]
    assert seen["kubernetesGroups"] == ["admins"]
    assert seen["tags"] == {"owner": "ml"}
    assert seen["createdAt"] == made["createdAt"]
    assert (seen["modifiedAt"] - made["modifiedAt"]).total_seconds() >= 60
    assert eks.list_access_entries(clusterName="c")["accessEntries"] == [role]
    eks.delete_access_entry(clusterName="c", principalArn=role)
    missing = ("ResourceNotFoundException", 404)
    assert _code(eks.describe_access_entry, clusterName="c", principalArn=role) == missing
    assert _code(eks.update_access_entry, clusterName="c", principalArn=role) == missing
    assert _code(eks.delete_access_entry, clusterName="c", principalArn=role) == missing


def test_access_policies_hang_on_their_entry(eks: Any, role: str):
    scope = {"type": "namespace", "namespaces": ["models"]}
    entry = {"clusterName": "c", "principalArn": role}
    assert (
        _code(eks.associate_access_policy, **entry, policyArn=POLICY, accessScope=scope)[0]
        == "ResourceNotFoundException"
    )
    eks.create_access_entry(**entry)
    made = eks.associate_access_policy(**entry, policyArn=POLICY, accessScope=scope)["associatedAccessPolicy"]
    assert (made["policyArn"], made["accessScope"]) == (POLICY, scope)
    eks.associate_access_policy(**entry, policyArn=OTHER_POLICY, accessScope={"type": "cluster"})
    eks.associate_access_policy(**entry, policyArn=POLICY, accessScope={"type": "cluster"})
    listed = eks.list_associated_access_policies(**entry)
    assert (listed["clusterName"], listed["principalArn"]) == ("c", role)
    found = {policy["policyArn"]: policy["accessScope"]["type"] for policy in listed["associatedAccessPolicies"]}
    assert found == {POLICY: "cluster", OTHER_POLICY: "cluster"}
    eks.disassociate_access_policy(**entry, policyArn=POLICY)
    assert _code(eks.disassociate_access_policy, **entry, policyArn=POLICY)[0] == "ResourceNotFoundException"
    eks.delete_access_entry(**entry)
    eks.create_access_entry(**entry)
    assert eks.list_associated_access_policies(**entry)["associatedAccessPolicies"] == []


def test_an_addon_lives(eks: Any, role: str):
    asked = {"addonVersion": "v1.2.3-eksbuild.1", "configurationValues": "{}", "serviceAccountRoleArn": role}
    addon = {"clusterName": "c", "addonName": "vpc-cni"}
    made = eks.create_addon(**addon, **asked, resolveConflicts="OVERWRITE")["addon"]
    assert {name: made[name] for name in asked} == asked
    assert (made["status"], made["health"]) == ("ACTIVE", {"issues": []})
    update = eks.update_addon(**addon, addonVersion="v1.3.0-eksbuild.1")["update"]
    assert (update["type"], update["status"], update["errors"]) == ("AddonUpdate", "Successful", [])
    assert update["params"] == [{"type": "AddonVersion", "value": "v1.3.0-eksbuild.1"}]
    assert eks.describe_addon(**addon)["addon"]["addonVersion"] == "v1.3.0-eksbuild.1"
    assert eks.list_addons(clusterName="c")["addons"] == ["vpc-cni"]
    assert _code(eks.create_addon, **addon) == ("ResourceInUseException", 409)
    assert eks.delete_addon(**addon)["addon"]["addonName"] == "vpc-cni"
    assert eks.list_addons(clusterName="c")["addons"] == []


def test_what_the_store_does_not_carry_of_an_addon_is_refused(eks: Any, role: str):
    identity = [{"serviceAccount": "s", "roleArn": role}]
    refused = _code(eks.create_addon, clusterName="c", addonName="a", podIdentityAssociations=identity)
    assert refused == ("NotCarried", 501)
    assert eks.list_addons(clusterName="c")["addons"] == []


def test_pod_identities_are_one_a_service_account(eks: Any, role: str):
    account = {"clusterName": "c", "namespace": "models", "serviceAccount": "server"}
    made = eks.create_pod_identity_association(**account, roleArn=role)["association"]
    assert made["associationId"].startswith("a-")
    assert made["associationArn"].endswith(f"podidentityassociation/c/{made['associationId']}")
    assert _code(eks.create_pod_identity_association, **account, roleArn=role) == ("ResourceInUseException", 409)
    eks.create_pod_identity_association(**{**account, "namespace": "other"}, roleArn=role)
    listed = eks.list_pod_identity_associations(clusterName="c", namespace="models")["associations"]
    assert [entry["associationId"] for entry in listed] == [made["associationId"]]
    assert len(eks.list_pod_identity_associations(clusterName="c")["associations"]) == 2
    number = {"clusterName": "c", "associationId": made["associationId"]}
    eks.update_pod_identity_association(**number, disableSessionTags=True)
    assert eks.describe_pod_identity_association(**number)["association"]["disableSessionTags"] is True
    eks.delete_pod_identity_association(**number)
    assert _code(eks.describe_pod_identity_association, **number)[0] == "ResourceNotFoundException"


def test_the_same_request_twice_is_one_record(eks: Any, role: str):
    first = eks.create_access_entry(clusterName="c", principalArn=role, clientRequestToken="t")["accessEntry"]
    again = eks.create_access_entry(clusterName="c", principalArn=role, clientRequestToken="t")["accessEntry"]
    assert again == first
    assert _code(eks.create_access_entry, clusterName="c", principalArn=role, clientRequestToken="u")[1] == 409


def test_lists_come_in_pages(eks: Any):
    for number in range(5):
        eks.create_addon(clusterName="c", addonName=f"addon-{number}")
    page = eks.list_addons(clusterName="c", maxResults=2)
    assert page["addons"] == ["addon-0", "addon-1"]
    assert eks.list_addons(clusterName="c", maxResults=2, nextToken=page["nextToken"])["addons"] == [
        "addon-2",
        "addon-3",
    ]
    assert eks.get_paginator("list_addons").paginate(
        clusterName="c", PaginationConfig={"PageSize": 2}
    ).build_full_result()["addons"] == [f"addon-{number}" for number in range(5)]


def test_records_go_with_their_cluster(cloud: Cloud, eks: Any, role: str):
    eks.create_addon(clusterName="c", addonName="a")
    eks.delete_cluster(name="c")
    assert _code(eks.list_addons, clusterName="c")[0] == "ResourceNotFoundException"
    _cluster(cloud, role)
    assert eks.list_addons(clusterName="c")["addons"] == []


def test_regions_do_not_share_records(cloud: Cloud, eks: Any):
    eks.create_addon(clusterName="c", addonName="a")
    assert _code(cloud.client("eks", "us-east-1").describe_addon, clusterName="c", addonName="a")[1] == 404


def test_ids_repeat_with_the_seed(cloud: Cloud):
    def make() -> str:
        role = cloud.client("iam").create_role(RoleName="nodes", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        entry = _cluster(cloud, role).create_access_entry(clusterName="c", principalArn=role)["accessEntry"]
        return entry["accessEntryArn"]

    first = make()
    cloud.reset()
    assert make() == first


# S3


@pytest.mark.parametrize(
    ("kind", "member", "configuration"),
    [
        ("metrics", "MetricsConfiguration", {"Id": "x", "Filter": {"Prefix": "models/"}}),
        (
            "intelligent_tiering",
            "IntelligentTieringConfiguration",
            {"Id": "x", "Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]},
        ),
        ("analytics", "AnalyticsConfiguration", {"Id": "x", "StorageClassAnalysis": {}}),
        (
            "inventory",
            "InventoryConfiguration",
            {
                "Id": "x",
                "IsEnabled": True,
                "IncludedObjectVersions": "Current",
                "Schedule": {"Frequency": "Daily"},
                "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::a-b", "Format": "Parquet"}},
            },
        ),
    ],
)
def test_a_buckets_configuration_lives(s3: Any, kind: str, member: str, configuration: dict[str, Any]):
    def call(verb: str, **params: Any) -> Any:
        return getattr(s3, f"{verb}_bucket_{kind}_configuration")(Bucket="a-b", **params)

    call("put", Id="x", **{member: configuration})
    assert call("get", Id="x")[member] == configuration
    second = {**configuration, "Id": "y"}
    call("put", Id="y", **{member: second})
    listed = getattr(s3, f"list_bucket_{kind}_configurations")(Bucket="a-b")
    assert listed[f"{member}List"] == [configuration, second]
    assert listed["IsTruncated"] is False
    call("delete", Id="x")
    assert _code(call, verb="get", Id="x") == ("NoSuchConfiguration", 404)
    assert _code(call, verb="put", Id="z", **{member: second})[0] == "InvalidArgument"
    assert s3.head_bucket(Bucket="a-b")["ResponseMetadata"]["HTTPStatusCode"] == 200
    s3.delete_bucket(Bucket="a-b")
    assert _code(call, verb="get", Id="y")[0] == "NoSuchBucket"
    s3.create_bucket(Bucket="a-b", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert _code(call, verb="get", Id="y") == ("NoSuchConfiguration", 404)
