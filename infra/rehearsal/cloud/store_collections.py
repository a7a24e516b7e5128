"""The collections of the store: which operations carry which records, and what AWS adds to them.

To carry another operation, add a collection: its service, the members that identify a record, the operations by verb,
and what AWS makes up at creation. A test reads every collection back and names each input that does not return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.rehearsal.cloud import reference_kinds as kinds
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam.arns import partition_of, split


@dataclass(frozen=True)
class Making:
    """What is at hand when a record is made."""

    call: Call
    now: datetime
    random_id: Callable[[str], str]
    """Takes a prefix, gives an id from the cloud's seed."""

    def arn(self, resource: str) -> str:
        call = self.call
        return f"arn:{partition_of(call.region)}:{call.service}:{call.region}:{call.account_id}:{resource}"


def _nothing(making: Making) -> dict[str, Any]:
    return {}


def _no_requirement(call: Call) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Collection:
    """One kind of record."""

    service: str
    noun: str
    """As messages name it."""
    key: tuple[str, ...]
    """Members that identify a record in reads; those that creation does not take are made up by `made`."""
    operations: Mapping[str, str]
    """Operation -> verb: create (refuses a second), put (replaces), read, update (merges), delete, list."""
    member: str = ""
    """The output's member that holds the record; empty: its members stand in the output itself."""
    list_member: str = ""
    listed: str = ""
    """For lists of one member's values, that member; empty: lists of structures."""
    unique: tuple[str, ...] = ()
    """Members that may stand together once; empty: the key's."""
    made: Callable[[Making], dict[str, Any]] = _nothing
    """What AWS adds. What the caller gives goes over it."""
    modified: tuple[str, ...] = ()
    """Members that take the time of each update."""
    update_type: str = ""
    """EKS answers some updates with an Update of this type instead of the record."""
    refused: tuple[str, ...] = ()
    """Input members whose effect nobody carries."""
    requires: Callable[[Call], None] = _no_requirement
    """Raises AwsError when what the record belongs to is not there."""
    parent: str = ""
    """The noun of the collection of the same service whose record must be there."""
    regional: bool = True
    """False: a record is seen from every region."""
    exists_code: tuple[str, int] = ("ResourceInUseException", 409)
    missing_code: tuple[str, int] = ("ResourceNotFoundException", 404)

    def __post_init__(self) -> None:
        if not self.unique:
            object.__setattr__(self, "unique", self.key)

    def key_of(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(record.get(name, "")) for name in self.key)

    def exists(self, call: Call) -> AwsError:
        names = ", ".join(str(call.params.get(name)) for name in self.unique)
        return AwsError(self.exists_code[0], f"The specified {self.noun} already exists: {names}", self.exists_code[1])

    def missing(self, call: Call) -> AwsError:
        names = ", ".join(self.key_of(call.params))
        return AwsError(
            self.missing_code[0], f"The specified {self.noun} could not be found: {names}", self.missing_code[1]
        )


def _cluster(call: Call) -> None:
    name = call.params["clusterName"]
    if not kinds.CLUSTER.exists(call, name):
        raise AwsError("ResourceNotFoundException", f"No cluster found for name: {name}.", 404)


def _bucket(call: Call) -> None:
    if not kinds.BUCKET.exists(call, call.params["Bucket"]):
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404, BucketName=call.params["Bucket"])
    configuration = next((value for value in call.params.values() if isinstance(value, dict) and "Id" in value), None)
    if configuration is not None and configuration["Id"] != call.params.get("Id"):
        raise AwsError(
            "InvalidArgument", f"The id {call.params.get('Id')} is not the configuration's: {configuration['Id']}"
        )


def _access_entry(making: Making) -> dict[str, Any]:
    """https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html"""
    params = making.call.params
    principal = split(params["principalArn"])
    kind, _, path = principal.resource.partition("/") if principal else ("", "", "")
    name = path.rpartition("/")[2]
    account_id = principal.account_id if principal else making.call.account_id
    entry_type = params.get("type", "STANDARD")
    username = params["principalArn"]
    if kind == "role":
        username = f"arn:{partition_of(making.call.region)}:sts::{account_id}:assumed-role/{name}/{{{{SessionName}}}}"
    if entry_type in ("EC2_LINUX", "EC2_WINDOWS"):
        username = "system:node:{{EC2PrivateDNSName}}"
    return {
        "accessEntryArn": making.arn(
            f"access-entry/{params['clusterName']}/{kind}/{account_id}/{name}/{making.random_id('')}"
        ),
        "createdAt": making.now,
        "modifiedAt": making.now,
        "kubernetesGroups": ["system:nodes"] if entry_type in ("EC2_LINUX", "EC2_WINDOWS") else [],
        "tags": {},
        "type": entry_type,
        "username": username,
    }


def _associated_policy(making: Making) -> dict[str, Any]:
    return {"associatedAt": making.now, "modifiedAt": making.now}


def _addon(making: Making) -> dict[str, Any]:
    params = making.call.params
    return {
        "addonArn": making.arn(f"addon/{params['clusterName']}/{params['addonName']}/{making.random_id('')}"),
        "status": "ACTIVE",
        "health": {"issues": []},
        "createdAt": making.now,
        "modifiedAt": making.now,
        "tags": {},
    }


def _pod_identity(making: Making) -> dict[str, Any]:
    number = making.random_id("a-")
    return {
        "associationId": number,
        "associationArn": making.arn(f"podidentityassociation/{making.call.params['clusterName']}/{number}"),
        "createdAt": making.now,
        "modifiedAt": making.now,
        "tags": {},
        "disableSessionTags": False,
    }


def _s3(noun: str, member: str) -> Collection:
    return Collection(
        service="s3",
        noun=f"{noun} configuration",
        key=("Bucket", "Id"),
        operations={
            f"PutBucket{noun}Configuration": "put",
            f"GetBucket{noun}Configuration": "read",
            f"DeleteBucket{noun}Configuration": "delete",
            f"ListBucket{noun}Configurations": "list",
        },
        list_member=f"{member}List",
        listed=member,
        requires=_bucket,
        regional=False,
        missing_code=("NoSuchConfiguration", 404),
    )


COLLECTIONS: tuple[Collection, ...] = (
    Collection(
        service="eks",
        noun="access entry",
        key=("clusterName", "principalArn"),
        operations={
            "CreateAccessEntry": "create",
            "DescribeAccessEntry": "read",
            "UpdateAccessEntry": "update",
            "DeleteAccessEntry": "delete",
            "ListAccessEntries": "list",
        },
        member="accessEntry",
        list_member="accessEntries",
        listed="principalArn",
        made=_access_entry,
        refused=("associatedPolicyArn",),
        modified=("modifiedAt",),
        requires=_cluster,
    ),
    Collection(
        service="eks",
        noun="associated access policy",
        key=("clusterName", "principalArn", "policyArn"),
        operations={
            "AssociateAccessPolicy": "put",
            "DisassociateAccessPolicy": "delete",
            "ListAssociatedAccessPolicies": "list",
        },
        member="associatedAccessPolicy",
        list_member="associatedAccessPolicies",
        parent="access entry",
        made=_associated_policy,
        requires=_cluster,
    ),
    Collection(
        service="eks",
        noun="addon",
        key=("clusterName", "addonName"),
        operations={
            "CreateAddon": "create",
            "DescribeAddon": "read",
            "UpdateAddon": "update",
            "DeleteAddon": "delete",
            "ListAddons": "list",
        },
        member="addon",
        list_member="addons",
        listed="addonName",
        made=_addon,
        modified=("modifiedAt",),
        update_type="AddonUpdate",
        refused=("podIdentityAssociations",),
        requires=_cluster,
    ),
    Collection(
        service="eks",
        noun="pod identity association",
        key=("clusterName", "associationId"),
        unique=("clusterName", "namespace", "serviceAccount"),
        operations={
            "CreatePodIdentityAssociation": "create",
            "DescribePodIdentityAssociation": "read",
            "UpdatePodIdentityAssociation": "update",
            "DeletePodIdentityAssociation": "delete",
            "ListPodIdentityAssociations": "list",
        },
        member="association",
        list_member="associations",
        made=_pod_identity,
        modified=("modifiedAt",),
        requires=_cluster,
    ),
    _s3("Metrics", "MetricsConfiguration"),
    _s3("Analytics", "AnalyticsConfiguration"),
    _s3("IntelligentTiering", "IntelligentTieringConfiguration"),
    _s3("Inventory", "InventoryConfiguration"),
)

BY_OPERATION: Mapping[tuple[str, str], tuple[Collection, str]] = {
    (collection.service, operation): (collection, verb)
    for collection in COLLECTIONS
    for operation, verb in collection.operations.items()
}


def _named(service: str, noun: str) -> Collection:
    return next(found for found in COLLECTIONS if (found.service, found.noun) == (service, noun))


PARENTS: Mapping[Collection, Collection] = {
    found: _named(found.service, found.parent) for found in COLLECTIONS if found.parent
}

CASCADES: Mapping[tuple[str, str], tuple[tuple[Collection, Mapping[str, str]], ...]] = {
    ("eks", "DeleteCluster"): tuple(
        (found, {"clusterName": "name"}) for found in COLLECTIONS if found.service == "eks"
    ),
    ("eks", "DeleteAccessEntry"): (
        (_named("eks", "associated access policy"), {"clusterName": "clusterName", "principalArn": "principalArn"}),
    ),
    ("s3", "DeleteBucket"): tuple((found, {"Bucket": "Bucket"}) for found in COLLECTIONS if found.service == "s3"),
}
"""Deleting operation -> the collections whose records go with the thing, with record member -> the call's member."""
