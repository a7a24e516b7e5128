"""How VPCs and what is in them are found. From the EC2 API reference."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from infra.recover.finding import Look, Remove, Rule

_DELETED = frozenset({"deleted", "deleting"})
_FAILED = frozenset({"failed"})


def _filters(**wanted: str) -> list[dict[str, Any]]:
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in wanted.items()]


def _ec2(call: str, member: str, id: str, same: Mapping[str, str], *, argument: str = "Filters", **filters: str) -> Any:
    """The parts of a rule for things that have tags from the call that makes them."""
    look = Look("ec2", call, {argument: _filters(**filters)} if filters else {}, member)
    return {"look": look, "id": f"found.{id}", "same": same, "tags": "Tags", "every": Look("ec2", call, {}, member)}


def _remove(call: str, argument: str, member: str, command: str) -> Remove:
    words = f"join('', ['aws ec2 {command} ', found.{member}])"
    return Remove("ec2", call, {argument: f"=found.{member}"}, words)


def _with_route_id(answer: Any) -> Any:
    """The provider's id of a route is made of its table and the CRC-32 of its destination."""
    for table in answer["RouteTables"]:
        for route in table["Routes"]:
            destination = route.get("DestinationCidrBlock") or route.get("DestinationPrefixListId") or ""
            route["Id"] = f"r-{table['RouteTableId']}{zlib.crc32(destination.encode())}"
    return answer


_TABLE = {"RouteTableIds": ["=asked.routeTableId"]}
_NO_TABLE = ("InvalidRouteTableID.NotFound",)
_RULE = {
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "fromPort": "FromPort",
    "ipProtocol": "IpProtocol",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId",
    "securityGroupId": "GroupId",
    "toPort": "ToPort",
}


def _security_group_rule(egress: str) -> Rule:
    look = Look(
        "ec2",
        "describe_security_group_rules",
        {"Filters": _filters(group_id="=asked.securityGroupId")},
        f"SecurityGroupRules[?IsEgress==`{egress}`]",
    )
    return Rule(look, "found.SecurityGroupRuleId", same=_RULE, tags="Tags")


NETWORK: Mapping[str, Rule] = {
    "aws:ec2/vpc:Vpc": Rule(
        **_ec2("describe_vpcs", "Vpcs", "VpcId", {"cidrBlock": "CidrBlock"}),
        remove=_remove("delete_vpc", "VpcId", "VpcId", "delete-vpc --vpc-id"),
    ),
    "aws:ec2/subnet:Subnet": Rule(
        **_ec2(
            "describe_subnets",
            "Subnets",
            "SubnetId",
            {"cidrBlock": "CidrBlock", "vpcId": "VpcId", "availabilityZone": "AvailabilityZone"},
            vpc_id="=asked.vpcId",
        ),
        remove=_remove("delete_subnet", "SubnetId", "SubnetId", "delete-subnet --subnet-id"),
    ),
    "aws:ec2/internetGateway:InternetGateway": Rule(
        **_ec2(
            "describe_internet_gateways",
            "InternetGateways",
            "InternetGatewayId",
            {"vpcId": "Attachments[0].VpcId"},
        ),
        late=frozenset({"vpcId"}),
        remove=_remove(
            "delete_internet_gateway",
            "InternetGatewayId",
            "InternetGatewayId",
            "delete-internet-gateway --internet-gateway-id",
        ),
    ),
    "aws:ec2/eip:Eip": Rule(
        **_ec2("describe_addresses", "Addresses", "AllocationId", {"domain": "Domain"}),
        remove=_remove("release_address", "AllocationId", "AllocationId", "release-address --allocation-id"),
    ),
    "aws:ec2/natGateway:NatGateway": Rule(
        **_ec2(
            "describe_nat_gateways",
            "NatGateways",
            "NatGatewayId",
            {"subnetId": "SubnetId", "allocationId": "NatGatewayAddresses[0].AllocationId"},
            argument="Filter",
            subnet_id="=asked.subnetId",
        ),
        status="State",
        busy=frozenset({"pending"}),
        failed=_FAILED,
        gone=_DELETED,
        remove=_remove("delete_nat_gateway", "NatGatewayId", "NatGatewayId", "delete-nat-gateway --nat-gateway-id"),
    ),
    "aws:ec2/routeTable:RouteTable": Rule(
        **_ec2("describe_route_tables", "RouteTables", "RouteTableId", {"vpcId": "VpcId"}, vpc_id="=asked.vpcId"),
        remove=_remove("delete_route_table", "RouteTableId", "RouteTableId", "delete-route-table --route-table-id"),
    ),
    "aws:ec2/route:Route": Rule(
        Look("ec2", "describe_route_tables", _TABLE, "RouteTables[].Routes[]", _NO_TABLE, _with_route_id),
        "found.Id",
        same={
            "destinationCidrBlock": "DestinationCidrBlock",
            "gatewayId": "GatewayId",
            "natGatewayId": "NatGatewayId",
        },
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Rule(
        Look("ec2", "describe_route_tables", _TABLE, "RouteTables[].Associations[]", _NO_TABLE),
        "found.RouteTableAssociationId",
        same={"routeTableId": "RouteTableId", "subnetId": "SubnetId"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Rule(
        **_ec2(
            "describe_vpc_endpoints",
            "VpcEndpoints",
            "VpcEndpointId",
            {"serviceName": "ServiceName", "vpcId": "VpcId"},
            vpc_id="=asked.vpcId",
            service_name="=asked.serviceName",
        ),
        status="State",
        busy=frozenset({"pending"}),
        failed=_FAILED,
        gone=_DELETED,
        remove=Remove(
            "ec2",
            "delete_vpc_endpoints",
            {"VpcEndpointIds": ["=found.VpcEndpointId"]},
            "join('', ['aws ec2 delete-vpc-endpoints --vpc-endpoint-ids ', found.VpcEndpointId])",
        ),
    ),
    "aws:ec2/flowLog:FlowLog": Rule(
        **_ec2(
            "describe_flow_logs",
            "FlowLogs",
            "FlowLogId",
            {"vpcId": "ResourceId", "trafficType": "TrafficType", "logDestination": "LogDestination"},
            argument="Filter",
            resource_id="=asked.vpcId",
        ),
        remove=Remove(
            "ec2",
            "delete_flow_logs",
            {"FlowLogIds": ["=found.FlowLogId"]},
            "join('', ['aws ec2 delete-flow-logs --flow-log-ids ', found.FlowLogId])",
        ),
    ),
    # Never made: the provider takes the one that came with the VPC, and tags it later.
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Rule(
        Look(
            "ec2",
            "describe_security_groups",
            {"Filters": _filters(group_name="default", vpc_id="=asked.vpcId")},
            "SecurityGroups",
        ),
        "found.GroupId",
    ),
    "aws:ec2/securityGroup:SecurityGroup": Rule(
        **_ec2(
            "describe_security_groups",
            "SecurityGroups",
            "GroupId",
            {"name": "GroupName", "vpcId": "VpcId", "description": "Description"},
            group_name="=asked.name",
            vpc_id="=asked.vpcId",
        ),
        named=True,
        remove=_remove("delete_security_group", "GroupId", "GroupId", "delete-security-group --group-id"),
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _security_group_rule("false"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _security_group_rule("true"),
}
