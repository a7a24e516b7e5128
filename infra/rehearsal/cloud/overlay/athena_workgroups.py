"""Athena workgroups and their tags."""

from __future__ import annotations

import copy
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page, picked, tag_list, tags_of
from infra.rehearsal.cloud.overlay.athena_store import (
    ENGINE,
    PRIMARY,
    Record,
    athena_of,
    invalid,
    with_defaults,
    workgroup,
    workgroup_arn,
)

_PLAIN = (
    "EnforceWorkGroupConfiguration",
    "PublishCloudWatchMetricsEnabled",
    "BytesScannedCutoffPerQuery",
    "RequesterPaysEnabled",
    "ExecutionRole",
    "EnableMinimumEncryptionConfiguration",
)
_NOT_CARRIED = ("ManagedQueryResultsConfiguration", "CustomerContentEncryptionConfiguration",
                "QueryResultsS3AccessGrantsConfiguration", "IdentityCenterConfiguration", "AdditionalConfiguration",
                "MonitoringConfiguration", "EngineConfiguration")  # fmt: skip


@handler("athena", "CreateWorkGroup")
def create_work_group(call: Call) -> dict[str, Any]:
    athena, asked = athena_of(call.cloud), call.params
    name = asked["Name"]
    _carried(asked.get("Configuration") or {})
    configuration = with_defaults(copy.deepcopy(asked.get("Configuration") or {}))
    _engine(configuration)
    with athena.lock:
        if name == PRIMARY or (call.region, name) in athena.workgroups:
            raise invalid(f"WorkGroup {name} is already created")
        athena.workgroups[call.region, name] = {
            "Name": name,
            "State": "ENABLED",
            "Configuration": configuration,
            "Description": asked.get("Description", ""),
            "CreationTime": call.cloud.clock.now(),
        }
        athena.tags[workgroup_arn(call, name)] = tags_of(asked.get("Tags"))
    return {}


@handler("athena", "GetWorkGroup")
def get_work_group(call: Call) -> dict[str, Any]:
    return {"WorkGroup": copy.deepcopy(workgroup(call, call.params["WorkGroup"]))}


@handler("athena", "ListWorkGroups")
def list_work_groups(call: Call) -> dict[str, Any]:
    workgroup(call, PRIMARY)
    found = [one for (region, _), one in sorted(athena_of(call.cloud).workgroups.items()) if region == call.region]
    entries, token = page(
        [
            {**picked(one, ("Name", "State", "Description", "CreationTime")),
             "EngineVersion": one["Configuration"]["EngineVersion"]}
            for one in found
        ],
        call.params.get("NextToken"),
        call.params.get("MaxResults") or 50,
        error="InvalidRequestException",
    )  # fmt: skip
    return {"WorkGroups": entries, **({"NextToken": token} if token else {})}


@handler("athena", "UpdateWorkGroup")
def update_work_group(call: Call) -> dict[str, Any]:
    """What is left out stays; removals are asked for by their own members (API reference, WorkGroupConfigurationUpdates
    and ResultConfigurationUpdates)."""
    asked = call.params
    record = workgroup(call, asked["WorkGroup"])
    updates = asked.get("ConfigurationUpdates") or {}
    _carried(updates)
    configuration = copy.deepcopy(record["Configuration"])
    for member in _PLAIN:
        if member in updates:
            configuration[member] = updates[member]
    if updates.get("RemoveBytesScannedCutoffPerQuery"):
        configuration.pop("BytesScannedCutoffPerQuery", None)
    if "EngineVersion" in updates:
        configuration["EngineVersion"] = updates["EngineVersion"]
    _engine(configuration)
    changes = updates.get("ResultConfigurationUpdates") or {}
    result = configuration["ResultConfiguration"]
    for member in ("OutputLocation", "EncryptionConfiguration", "ExpectedBucketOwner", "AclConfiguration"):
        if member in changes:
            result[member] = changes[member]
        if changes.get(f"Remove{member}"):
            result.pop(member, None)
    with athena_of(call.cloud).lock:
        record["Configuration"] = configuration
        for member in ("Description", "State"):
            if member in asked:
                record[member] = asked[member]
    return {}


@handler("athena", "DeleteWorkGroup")
def delete_work_group(call: Call) -> dict[str, Any]:
    """A workgroup that holds named queries or executions goes only with RecursiveDeleteOption. The wording is from
    the Terraform provider's tests; unconfirmed."""
    athena, name = athena_of(call.cloud), call.params["WorkGroup"]
    if name == PRIMARY:
        raise invalid("The primary workgroup cannot be deleted")
    workgroup(call, name)
    with athena.lock:
        named = [key for key, one in athena.named.items() if key[0] == call.region and one["WorkGroup"] == name]
        ran = [key for key, one in athena.executions.items() if key[0] == call.region and one.workgroup == name]
        if (named or ran) and not call.params.get("RecursiveDeleteOption"):
            raise invalid(f"WorkGroup {name} is not empty")
        for key in named:
            del athena.named[key]
        gone = [athena.executions.pop(key) for key in ran]
        athena.workgroups.pop((call.region, name), None)
        athena.tags.pop(workgroup_arn(call, name), None)
    for execution in gone:
        execution.stop()
    return {}


def _carried(configuration: Record) -> None:
    for member in _NOT_CARRIED:
        if configuration.get(member):
            raise AwsError("NotCarried", f"The emulated Athena does not carry a workgroup's {member}.", 501)
    result = configuration.get("ResultConfiguration") or configuration.get("ResultConfigurationUpdates") or {}
    if (result.get("EncryptionConfiguration") or {}).get("EncryptionOption") == "CSE_KMS":
        raise AwsError("NotCarried", "The emulated Athena does not carry the encryption option CSE_KMS.", 501)


def _engine(configuration: Record) -> None:
    version = configuration["EngineVersion"]
    if version.get("SelectedEngineVersion", "AUTO") not in ("AUTO", ENGINE):
        raise AwsError(
            "NotCarried", f"The emulated Athena does not carry {version['SelectedEngineVersion']}, only {ENGINE}.", 501
        )
    version["EffectiveEngineVersion"] = ENGINE


@handler("athena", "TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    _tags(call).update(tags_of(call.params["Tags"]))
    return {}


@handler("athena", "UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    for key in call.params["TagKeys"]:
        _tags(call).pop(key, None)
    return {}


@handler("athena", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    return {"Tags": tag_list(_tags(call))}


def _tags(call: Call) -> dict[str, str]:
    arn = call.params["ResourceARN"]
    name = arn.partition(":workgroup/")[2]
    athena = athena_of(call.cloud)
    if not name or (name != PRIMARY and (call.region, name) not in athena.workgroups):
        raise AwsError("ResourceNotFoundException", f"Resource {arn} is not found.", 400, ResourceName=arn)
    return athena.tags.setdefault(arn, {})
