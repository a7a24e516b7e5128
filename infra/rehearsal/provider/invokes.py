"""Functions of the aws package that a program may call. Everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3

from infra.rehearsal.provider.account import Account

_SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}


def _caller_identity(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accountId": account.account_id,
        "arn": account.caller_arn,
        "userId": account.caller_id,
        "id": account.account_id,
    }


def _region(account: Account, arguments: Mapping[str, Any]) -> dict[str, Any]:
    region = arguments.get("region") or arguments.get("name") or account.region
    known = set().union(*(boto3.Session().get_available_regions("ec2", partition) for partition in _SUFFIXES))
    if region not in known:
        raise ValueError(f"region not found: {region!r}; AWS regions look like eu-west-1")
    return {
        "region": region,
        "name": region,
        "id": region,
        "endpoint": f"ec2.{region}.{_SUFFIXES[account.partition]}",
        "description": account_region_name(account, region),
    }


def account_region_name(account: Account, region: str) -> str:
    """The region's long name from botocore's endpoint data."""
    data = boto3.Session()._session.get_component("data_loader").load_data("endpoints")
    for partition in data["partitions"]:
        if partition["partition"] == account.partition and region in partition["regions"]:
            return partition["regions"][region]["description"]
    return region


def _partition(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    suffix = _SUFFIXES[account.partition]
    reverse = ".".join(reversed(suffix.split(".")))
    return {"partition": account.partition, "id": account.partition, "dnsSuffix": suffix, "reverseDnsPrefix": reverse}


INVOKES: Mapping[str, Callable[[Account, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
}
