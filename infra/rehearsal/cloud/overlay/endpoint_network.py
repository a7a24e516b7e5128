"""The network of a model in a VPC: its interfaces, made under the execution role, and whether S3 can be reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3

    from infra.rehearsal.cloud.cloud import Cloud

SERVICE = "sagemaker.amazonaws.com"
HTTPS = 443
_OUTWARD = ("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId", "VpcPeeringConnectionId")
"""Targets of a default route that lead out of a private subnet. An internet gateway is none: SageMaker's interfaces
have no public address (developer guide, "Give SageMaker hosted endpoints access to resources in your VPC")."""


def make_interfaces(
    session: boto3.Session, region: str, vpc: Mapping[str, Any], count: int, made: list[tuple[str, str]]
) -> None:
    """Makes `count` network interfaces, round robin over the subnets, with every call that SageMaker makes for it.

    The calls are those that the developer guide lists for a role with a VPC ("SageMaker roles", CreateModel API). What
    was made is noted in `made` at once, so that a later failure can give it back. ClientError when the role may not,
    or when a subnet or security group is missing.
    """
    ec2 = session.client("ec2", region_name=region)
    subnets = ec2.describe_subnets(SubnetIds=vpc["Subnets"])["Subnets"]
    ec2.describe_security_groups(GroupIds=vpc["SecurityGroupIds"])
    network = ec2.describe_vpcs(VpcIds=sorted({subnet["VpcId"] for subnet in subnets}))["Vpcs"][0]
    # moto gives a VPC without options of its own "default", which it then does not find.
    options = network.get("DhcpOptionsId", "default")
    ec2.describe_dhcp_options(**({} if options == "default" else {"DhcpOptionsIds": [options]}))
    for number in range(count):
        interface = ec2.create_network_interface(
            SubnetId=vpc["Subnets"][number % len(vpc["Subnets"])],
            Groups=vpc["SecurityGroupIds"],
            Description="Amazon SageMaker endpoint",
        )["NetworkInterface"]["NetworkInterfaceId"]
        made.append((interface, ""))
        permission = ec2.create_network_interface_permission(
            NetworkInterfaceId=interface, AwsService=SERVICE, Permission="INSTANCE-ATTACH"
        )["InterfacePermission"]["NetworkInterfacePermissionId"]
        made[-1] = (interface, permission)
    ec2.describe_network_interfaces(NetworkInterfaceIds=[interface for interface, _ in made])


def give_back(session: boto3.Session, region: str, made: list[tuple[str, str]]) -> None:
    """Deletes the interfaces. ClientError when the role may not any more: they stay then, and hold their security
    group."""
    ec2 = session.client("ec2", region_name=region)
    while made:
        interface, permission = made[-1]
        if permission:
            ec2.delete_network_interface_permission(NetworkInterfacePermissionId=permission)
            made[-1] = (interface, "")
        ec2.delete_network_interface(NetworkInterfaceId=interface)
        made.pop()


def s3_is_reachable(cloud: Cloud, region: str, vpc: Mapping[str, Any]) -> bool:
    """Whether every subnet leads to S3: a gateway endpoint on its route table, or a default route to a NAT device; and
    whether the security groups let HTTPS out to S3. Network ACLs are not looked at."""
    ec2 = cloud.client("ec2", region)
    subnets = ec2.describe_subnets(SubnetIds=vpc["Subnets"])["Subnets"]
    gateways = _s3_gateway_tables(ec2, region, sorted({subnet["VpcId"] for subnet in subnets}))
    tables = [_route_table(ec2, subnet) for subnet in subnets]
    routed = all(table["RouteTableId"] in gateways or _leads_out(ec2, table) for table in tables)
    prefix_lists = {
        entry["PrefixListId"]
        for entry in ec2.describe_managed_prefix_lists()["PrefixLists"]
        if entry["PrefixListName"].endswith(".s3")
    }
    groups = ec2.describe_security_groups(GroupIds=vpc["SecurityGroupIds"])["SecurityGroups"]
    rules = [rule for group in groups for rule in group["IpPermissionsEgress"] if _covers_https(rule)]
    anywhere = any(_is_everywhere(entry["CidrIp"]) for rule in rules for entry in rule["IpRanges"])
    to_s3 = any(entry["PrefixListId"] in prefix_lists for rule in rules for entry in rule["PrefixListIds"])
    return routed and (anywhere or to_s3)


def _s3_gateway_tables(ec2: Any, region: str, vpc_ids: list[str]) -> set[str]:
    """Route tables that an available gateway endpoint of S3 is on."""
    endpoints = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": vpc_ids}])["VpcEndpoints"]
    return {
        table
        for endpoint in endpoints
        if endpoint["ServiceName"] == f"com.amazonaws.{region}.s3"
        and endpoint["VpcEndpointType"] == "Gateway"
        and endpoint.get("State", "available").lower() == "available"
        for table in endpoint.get("RouteTableIds", ())
    }


def _route_table(ec2: Any, subnet: Mapping[str, Any]) -> dict[str, Any]:
    """The subnet's own route table, or the VPC's main one."""
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])["RouteTables"]
    for table in tables:
        if any(entry.get("SubnetId") == subnet["SubnetId"] for entry in table["Associations"]):
            return table
    return next(table for table in tables if any(entry.get("Main") for entry in table["Associations"]))


def _leads_out(ec2: Any, route_table: Mapping[str, Any]) -> bool:
    """Whether the default route ends at something that is there; a deleted NAT gateway leaves a route that leads
    nowhere."""
    for route in route_table["Routes"]:
        if route.get("DestinationCidrBlock") != "0.0.0.0/0":
            continue
        if route.get("NatGatewayId"):
            found = ec2.describe_nat_gateways(Filter=[{"Name": "nat-gateway-id", "Values": [route["NatGatewayId"]]}])
            return any(gateway["State"] in ("available", "pending") for gateway in found["NatGateways"])
        return any(route.get(target) for target in _OUTWARD)
    return False


def _covers_https(rule: Mapping[str, Any]) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    return rule["IpProtocol"] in ("tcp", "6") and rule["FromPort"] <= HTTPS <= rule["ToPort"]


def _is_everywhere(cidr: str) -> bool:
    return ipaddress.ip_network(cidr, strict=False).prefixlen == 0
