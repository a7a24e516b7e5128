"""EC2 network interface permissions, which moto lacks: SageMaker asks for one with each interface in a customer's
VPC."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import after, handler
from infra.rehearsal.cloud.overlay.answers import page, picked, stable_uuid
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


class Permissions:
    """Permissions by region and id."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.Lock()
        self.permissions: dict[tuple[str, str], dict[str, Any]] = {}
        self.made = 0

    def close(self) -> None:
        """Nothing runs here."""


def _permissions(call: Call) -> Permissions:
    return state_of(call.cloud, Permissions)


@handler("ec2", "CreateNetworkInterfacePermission")
def create_network_interface_permission(call: Call) -> dict[str, Any]:
    """Grants an account or a service the use of an interface that is there."""
    asked, table = call.params, _permissions(call)
    if not asked.get("AwsAccountId") and not asked.get("AwsService"):
        raise AwsError("MissingParameter", "The request must contain the parameter AwsAccountId or AwsService")
    try:
        call.cloud.client("ec2", call.region).describe_network_interfaces(
            NetworkInterfaceIds=[asked["NetworkInterfaceId"]]
        )
    except ClientError as missing:
        raise AwsError(missing.response["Error"]["Code"], missing.response["Error"]["Message"]) from missing
    with table.lock:
        table.made += 1
        number = f"eni-perm-{stable_uuid(asked['NetworkInterfaceId'], table.made).replace('-', '')[:17]}"
        permission = {
            **picked(asked, ("NetworkInterfaceId", "AwsAccountId", "AwsService", "Permission")),
            "NetworkInterfacePermissionId": number,
            "PermissionState": {"State": "granted"},
        }
        table.permissions[call.region, number] = permission
    return {"InterfacePermission": permission}


@handler("ec2", "DeleteNetworkInterfacePermission")
def delete_network_interface_permission(call: Call) -> dict[str, Any]:
    table, number = _permissions(call), call.params["NetworkInterfacePermissionId"]
    with table.lock:
        if table.permissions.pop((call.region, number), None) is None:
            raise AwsError(
                "InvalidPermissionID.NotFound", f"The network interface permission ID '{number}' does not exist"
            )
    return {"Return": True}


@handler("ec2", "DescribeNetworkInterfacePermissions")
def describe_network_interface_permissions(call: Call) -> dict[str, Any]:
    """Permissions by id, or all. Filters are not carried."""
    asked, table = call.params, _permissions(call)
    if asked.get("Filters"):
        raise AwsError("NotCarried", "Filters of DescribeNetworkInterfacePermissions are not carried", 501)
    wanted = asked.get("NetworkInterfacePermissionIds") or []
    with table.lock:
        found = [
            permission
            for (region, number), permission in sorted(table.permissions.items())
            if region == call.region and (not wanted or number in wanted)
        ]
    entries, token = page(found, asked.get("NextToken"), asked.get("MaxResults") or 50)
    return {"NetworkInterfacePermissions": entries, **({"NextToken": token} if token else {})}


@after("ec2", "DeleteNetworkInterface")
def drop_permissions(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """A deleted interface takes its permissions with it."""
    table = _permissions(call)
    with table.lock:
        for key, permission in list(table.permissions.items()):
            if permission["NetworkInterfaceId"] == call.params["NetworkInterfaceId"]:
                del table.permissions[key]
    return output
