from __future__ import annotations

import json

import pytest

PREFIX = "arn:aws:sagemaker:eu-west-1:111111111111"
GROUP = f"{PREFIX}:model-package-group/iris"


@pytest.fixture
def registry(cloud):
    client = cloud.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="iris", ModelPackageGroupDescription="flowers")
    return client


def package(client, **options):
    return client.create_model_package(ModelPackageGroupName="iris", **options)["ModelPackageArn"]


def test_a_group_is_described(registry):
    found = registry.describe_model_package_group(ModelPackageGroupName="iris")
    assert found["ModelPackageGroupArn"] == GROUP
    assert found["ModelPackageGroupDescription"] == "flowers"
    assert found["ModelPackageGroupStatus"] == "Completed"
    assert "_last_version" not in found
    assert registry.describe_model_package_group(ModelPackageGroupName=GROUP)["ModelPackageGroupName"] == "iris"
    listed = registry.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in listed] == ["iris"]


def test_a_group_is_made_once(registry, refused):
    code, message = refused(registry.create_model_package_group, ModelPackageGroupName="iris")
    assert code == "ValidationException"
    assert GROUP in message


def test_a_missing_group(registry, refused):
    missing = f"{PREFIX}:model-package-group/none"
    for method in (registry.describe_model_package_group, registry.delete_model_package_group):
        assert refused(method, ModelPackageGroupName="none") == (
            "ValidationException",
            f"ModelPackageGroup {missing} does not exist.",
        )
    assert refused(registry.create_model_package, ModelPackageGroupName="none")[1].endswith("does not exist.")


def test_versions_are_numbered_and_numbers_never_come_back(registry):
    assert package(registry) == f"{PREFIX}:model-package/iris/1"
    second = package(registry)
    assert second == f"{PREFIX}:model-package/iris/2"
    registry.delete_model_package(ModelPackageName=second)
    assert package(registry) == f"{PREFIX}:model-package/iris/3"
    found = registry.list_model_packages(ModelPackageGroupName="iris")["ModelPackageSummaryList"]
    assert [entry["ModelPackageVersion"] for entry in found] == [3, 1]


def test_a_version_is_described_with_all_that_was_given(registry):
    arn = package(
        registry,
        ModelPackageDescription="first",
        SourceUri="s3://registry-of-tests/models/iris/1/model.tar.gz",
        CustomerMetadataProperties={"commit": "abc"},
        ModelCard={"ModelCardContent": "{}", "ModelCardStatus": "Draft"},
        ModelLifeCycle={"Stage": "Development", "StageStatus": "Pending"},
    )
    found = registry.describe_model_package(ModelPackageName=arn)
    assert found["ModelPackageVersion"] == 1
    assert found["ModelPackageGroupName"] == "iris"
    assert found["ModelPackageStatus"] == "Completed"
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["SourceUri"] == "s3://registry-of-tests/models/iris/1/model.tar.gz"
    assert found["CustomerMetadataProperties"] == {"commit": "abc"}
    assert found["ModelCard"]["ModelCardStatus"] == "Draft"
    assert found["ModelLifeCycle"]["Stage"] == "Development"


def test_a_version_is_updated(registry):
    arn = package(registry, CustomerMetadataProperties={"commit": "abc", "old": "x"})
    registry.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="metrics are good",
        CustomerMetadataProperties={"by": "eve"},
        CustomerMetadataPropertiesToRemove=["old"],
    )
    found = registry.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["ApprovalDescription"] == "metrics are good"
    assert found["CustomerMetadataProperties"] == {"commit": "abc", "by": "eve"}
    assert "LastModifiedTime" in found
    approved = registry.list_model_packages(ModelPackageGroupName="iris", ModelApprovalStatus="Approved")
    assert len(approved["ModelPackageSummaryList"]) == 1
    assert (
        registry.list_model_packages(ModelPackageGroupName="iris", ModelApprovalStatus="Rejected")[
            "ModelPackageSummaryList"
        ]
        == []
    )


def test_a_group_with_versions_stays(registry, refused):
    arn = package(registry)
    assert refused(registry.delete_model_package_group, ModelPackageGroupName="iris")[0] == "ConflictException"
    registry.delete_model_package(ModelPackageName=arn)
    registry.delete_model_package_group(ModelPackageGroupName="iris")
    assert registry.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_missing_version(registry, refused):
    missing = f"{PREFIX}:model-package/iris/9"
    assert refused(registry.describe_model_package, ModelPackageName=missing) == (
        "ValidationException",
        f"ModelPackage {missing} does not exist.",
    )


def test_name_and_group_exclude_each_other(registry, refused):
    both = {"ModelPackageName": "solo", "ModelPackageGroupName": "iris"}
    assert "Cannot determine which one to use" in refused(registry.create_model_package, **both)[1]
    assert refused(registry.create_model_package)[1] == "Missing ARN."


def test_a_package_of_its_own(registry):
    registry.create_model_package(ModelPackageName="solo")
    found = registry.list_model_packages()["ModelPackageSummaryList"]
    assert [entry["ModelPackageName"] for entry in found] == ["solo"]
    both = registry.list_model_packages(ModelPackageType="Both")["ModelPackageSummaryList"]
    assert len(both) == 1


def test_a_group_policy(registry, refused):
    code, message = refused(registry.get_model_package_group_policy, ModelPackageGroupName="iris")
    assert (code, message) == ("ValidationException", f"Cannot find resource policy for {GROUP}.")
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
                    "Action": "sagemaker:DescribeModelPackageGroup",
                    "Resource": GROUP,
                }
            ],
        }
    )
    registry.put_model_package_group_policy(ModelPackageGroupName="iris", ResourcePolicy=policy)
    assert registry.get_model_package_group_policy(ModelPackageGroupName="iris")["ResourcePolicy"] == policy
    registry.delete_model_package_group_policy(ModelPackageGroupName="iris")
    assert refused(registry.delete_model_package_group_policy, ModelPackageGroupName="iris")[0] == "ValidationException"


def test_tags(registry, refused):
    registry.add_tags(ResourceArn=GROUP, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}])
    registry.add_tags(ResourceArn=GROUP, Tags=[{"Key": "a", "Value": "3"}])
    assert registry.list_tags(ResourceArn=GROUP)["Tags"] == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    registry.delete_tags(ResourceArn=GROUP, TagKeys=["b", "none"])
    assert registry.list_tags(ResourceArn=GROUP)["Tags"] == [{"Key": "a", "Value": "3"}]
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    assert refused(registry.add_tags, ResourceArn=GROUP, Tags=many)[0] == "ResourceLimitExceeded"
    gone = f"{PREFIX}:model-package-group/none"
    assert refused(registry.list_tags, ResourceArn=gone)[0] == "ValidationException"
