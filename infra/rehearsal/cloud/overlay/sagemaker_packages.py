"""SageMaker model registry: model package groups with their policies, and model packages (versions of a group)."""

from __future__ import annotations

import copy
import re
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import arn, listed, picked, tags_of
from infra.rehearsal.cloud.overlay.sagemaker_store import Record, in_region, sagemaker_of

_PACKAGE = re.compile(r"arn:[^:]+:sagemaker:[^:]+:\d{12}:model-package/(.+)")
_GROUP = re.compile(r"arn:[^:]+:sagemaker:[^:]+:\d{12}:model-package-group/(.+)")
_NOT_DESCRIBED = ("Tags", "ClientToken")
_LAST_VERSION = "_last_version"
"""Of a group: the highest number given so far. It is no member of any answer."""


@handler("sagemaker", "CreateModelPackageGroup")
def create_model_package_group(call: Call) -> dict[str, Any]:
    """A group is Completed at once; AWS passes Pending and InProgress first. Wording of the refusal: unconfirmed."""
    sagemaker, name = sagemaker_of(call.cloud), call.params["ModelPackageGroupName"]
    group_arn = arn(call, f"model-package-group/{name}")
    with sagemaker.lock:
        if (call.region, name) in sagemaker.groups:
            raise AwsError("ValidationException", f"Model Package Group already exists: {group_arn}")
        sagemaker.groups[call.region, name] = {
            **picked(copy.deepcopy(call.params), ("ModelPackageGroupDescription", "ManagedConfiguration")),
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": group_arn,
            "CreationTime": call.cloud.clock.now(),
            "CreatedBy": _caller(call),
            "ModelPackageGroupStatus": "Completed",
        }
        sagemaker.tags[group_arn] = tags_of(call.params.get("Tags"))
    return {"ModelPackageGroupArn": group_arn}


@handler("sagemaker", "DescribeModelPackageGroup")
def describe_model_package_group(call: Call) -> dict[str, Any]:
    return {key: value for key, value in _group(call).items() if key != _LAST_VERSION}


@handler("sagemaker", "ListModelPackageGroups")
def list_model_package_groups(call: Call) -> dict[str, Any]:
    members = (
        "ModelPackageGroupName",
        "ModelPackageGroupArn",
        "ModelPackageGroupDescription",
        "CreationTime",
        "ModelPackageGroupStatus",
        "ManagedConfiguration",
    )
    return listed(
        call,
        in_region(call, sagemaker_of(call.cloud).groups),
        name="ModelPackageGroupName",
        member="ModelPackageGroupSummaryList",
        summary=lambda record: picked(record, members),
        sort_keys={"CreationTime": "CreationTime", "Name": "ModelPackageGroupName"},
    )


@handler("sagemaker", "DeleteModelPackageGroup")
def delete_model_package_group(call: Call) -> dict[str, Any]:
    """Refused while the group has versions: ConflictException (botocore's model). The wording is unconfirmed."""
    sagemaker, group = sagemaker_of(call.cloud), _group(call)
    name = group["ModelPackageGroupName"]
    with sagemaker.lock:
        versions = [record for record in in_region(call, sagemaker.packages) if _belongs(record, name)]
        if versions:
            raise AwsError(
                "ConflictException",
                f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted: it contains {len(versions)} "
                "model package(s). Delete all model packages in it first.",
            )
        del sagemaker.groups[call.region, name]
        sagemaker.group_policies.pop((call.region, name), None)
        sagemaker.tags.pop(group["ModelPackageGroupArn"], None)
    return {}


@handler("sagemaker", "PutModelPackageGroupPolicy")
def put_model_package_group_policy(call: Call) -> dict[str, Any]:
    group = _group(call)
    sagemaker_of(call.cloud).group_policies[call.region, group["ModelPackageGroupName"]] = call.params["ResourcePolicy"]
    return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}


@handler("sagemaker", "GetModelPackageGroupPolicy")
def get_model_package_group_policy(call: Call) -> dict[str, Any]:
    return {"ResourcePolicy": _group_policy(call)}


@handler("sagemaker", "DeleteModelPackageGroupPolicy")
def delete_model_package_group_policy(call: Call) -> dict[str, Any]:
    _group_policy(call)
    del sagemaker_of(call.cloud).group_policies[call.region, _group(call)["ModelPackageGroupName"]]
    return {}


def _group_policy(call: Call) -> str:
    """The Terraform provider knows a missing one by "Cannot find resource policy" (model_package_group_policy.go)."""
    group = _group(call)
    policy = sagemaker_of(call.cloud).group_policies.get((call.region, group["ModelPackageGroupName"]))
    if policy is None:
        raise AwsError("ValidationException", f"Cannot find resource policy for {group['ModelPackageGroupArn']}.")
    return policy


@handler("sagemaker", "CreateModelPackage")
def create_model_package(call: Call) -> dict[str, Any]:
    """A version of a group (numbered from 1, numbers are never used again), or a package of its own name.

    Images and data that it names are not looked at: SageMaker scans them later. The status is Completed at once.
    """
    sagemaker, asked = sagemaker_of(call.cloud), call.params
    name = asked.get("ModelPackageName")
    if name and asked.get("ModelPackageGroupName"):
        raise AwsError(
            "ValidationException",
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to "
            "use.",
        )
    if not name and not asked.get("ModelPackageGroupName"):
        raise AwsError("ValidationException", "Missing ARN.")
    record: Record = {key: value for key, value in copy.deepcopy(asked).items() if key not in _NOT_DESCRIBED}
    with sagemaker.lock:
        if name:
            package_arn = arn(call, f"model-package/{name}")
            if (call.region, package_arn) in sagemaker.packages:
                raise AwsError("ConflictException", f"Model Package already exists: {package_arn}")
        else:
            group = _group(call)
            number = group[_LAST_VERSION] = group.get(_LAST_VERSION, 0) + 1
            record |= {"ModelPackageGroupName": group["ModelPackageGroupName"], "ModelPackageVersion": number}
            package_arn = arn(call, f"model-package/{group['ModelPackageGroupName']}/{number}")
            record.setdefault("ModelApprovalStatus", "PendingManualApproval")
        now = call.cloud.clock.now()
        record |= {
            "ModelPackageArn": package_arn,
            "CreationTime": now,
            "CreatedBy": _caller(call),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        }
        sagemaker.packages[call.region, package_arn] = record
        sagemaker.tags[package_arn] = tags_of(asked.get("Tags"))
    return {"ModelPackageArn": package_arn}


@handler("sagemaker", "DescribeModelPackage")
def describe_model_package(call: Call) -> dict[str, Any]:
    return dict(_package(call, call.params["ModelPackageName"]))


@handler("sagemaker", "ListModelPackages")
def list_model_packages(call: Call) -> dict[str, Any]:
    """Versions of a group when one is named; otherwise packages of their own, as ModelPackageType asks (API
    reference)."""
    asked = call.params
    group = _group(call)["ModelPackageGroupName"] if asked.get("ModelPackageGroupName") else None
    kind = asked.get("ModelPackageType") or ("Versioned" if group else "Unversioned")
    found = [
        record
        for record in in_region(call, sagemaker_of(call.cloud).packages)
        if (group is None or _belongs(record, group))
        and (kind == "Both" or ("ModelPackageVersion" in record) == (kind == "Versioned"))
        and asked.get("ModelApprovalStatus") in (None, record.get("ModelApprovalStatus"))
    ]
    members = (
        "ModelPackageName",
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "ModelPackageDescription",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
        "ModelLifeCycle",
        "ModelPackageRegistrationType",
    )
    return listed(
        call,
        found,
        name="ModelPackageName",
        member="ModelPackageSummaryList",
        summary=lambda record: picked(record, members),
        sort_keys={"CreationTime": "CreationTime", "Name": "ModelPackageArn"},
    )


@handler("sagemaker", "UpdateModelPackage")
def update_model_package(call: Call) -> dict[str, Any]:
    """Changes what may change after registration; metadata is merged, additional specifications are added."""
    asked = copy.deepcopy(call.params)
    record = _package(call, asked["ModelPackageArn"])
    with sagemaker_of(call.cloud).lock:
        replaced = (
            "ModelApprovalStatus",
            "ModelPackageRegistrationType",
            "ApprovalDescription",
            "InferenceSpecification",
            "SourceUri",
            "ModelCard",
            "ModelLifeCycle",
        )
        record |= picked(asked, replaced)
        metadata = {**record.get("CustomerMetadataProperties", {}), **asked.get("CustomerMetadataProperties", {})}
        for key in asked.get("CustomerMetadataPropertiesToRemove", ()):
            metadata.pop(key, None)
        if metadata or "CustomerMetadataProperties" in record:
            record["CustomerMetadataProperties"] = metadata
        added = asked.get("AdditionalInferenceSpecificationsToAdd")
        if added:
            record["AdditionalInferenceSpecifications"] = [*record.get("AdditionalInferenceSpecifications", ()), *added]
        record |= {"LastModifiedTime": call.cloud.clock.now(), "LastModifiedBy": _caller(call)}
    return {"ModelPackageArn": record["ModelPackageArn"]}


@handler("sagemaker", "DeleteModelPackage")
def delete_model_package(call: Call) -> dict[str, Any]:
    record = _package(call, call.params["ModelPackageName"])
    sagemaker = sagemaker_of(call.cloud)
    with sagemaker.lock:
        sagemaker.packages.pop((call.region, record["ModelPackageArn"]), None)
        sagemaker.tags.pop(record["ModelPackageArn"], None)
    return {}


def _group(call: Call) -> Record:
    """The group that the call names, by name or ARN ("does not exist": the Terraform provider,
    model_package_group.go)."""
    given = call.params["ModelPackageGroupName"]
    found = _GROUP.fullmatch(given)
    name = found[1] if found else given
    group = sagemaker_of(call.cloud).groups.get((call.region, name))
    if group is None:
        raise AwsError(
            "ValidationException", f"ModelPackageGroup {arn(call, f'model-package-group/{name}')} does not exist."
        )
    return group


def _package(call: Call, given: str) -> Record:
    package_arn = given if _PACKAGE.fullmatch(given) else arn(call, f"model-package/{given}")
    record = sagemaker_of(call.cloud).packages.get((call.region, package_arn))
    if record is None:
        raise AwsError("ValidationException", f"ModelPackage {package_arn} does not exist.")
    return record


def _belongs(record: Record, group: str) -> bool:
    return record.get("ModelPackageGroupName") == group and "ModelPackageVersion" in record


def _caller(call: Call) -> dict[str, Any]:
    return {"IamIdentity": {"Arn": call.principal.arn}}
