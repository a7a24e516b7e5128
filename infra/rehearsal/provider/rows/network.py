"""VPC and subnets: internal/service/ec2/vpc_.go, vpc_subnet.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, Step, conflicts, matches, one_of, step
from infra.rehearsal.provider.tags import ec2_tagging, specification, tag_map
from infra.rehearsal.provider.translate import Call

_CIDR_16_28 = r"\d{1,3}(\.\d{1,3}){3}/(1[6-9]|2[0-8])"


def ec2_arn(op: Operation, kind: str, id: str, owner: str = "") -> str:
    return f"arn:{op.account.partition}:ec2:{op.region}:{owner or op.account.account_id}:{kind}/{id}"


def first(op: Operation, operation: str, member: str, not_found: tuple[str, ...], **params: Any) -> Any | None:
    """The first thing a Describe call lists, or None when it is gone."""
    answer = op.found(lambda: op.call("ec2", operation, **params), *not_found)
    return answer[member][0] if answer and answer[member] else None


def while_in_use(op: Operation, call: Any, minutes: int, *not_found: str) -> None:
    """Deletes; DependencyViolation is tried again, as leftovers of other resources go away late."""
    op.retry(
        lambda: op.gone(call, *not_found),
        lambda error: error.is_code("DependencyViolation", "InvalidGroup.InUse"),
        f"{minutes} min",
    )


# -- aws:ec2/vpc:Vpc ---------------------------------------------------------------------------------------

_CREATE_VPC = Call("ec2", "CreateVpc", only=frozenset({"cidrBlock", "instanceTenancy"}))
_VPC_ATTRIBUTES = {
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableDnsSupport": "EnableDnsSupport",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}
_VPC_DEFAULTS = {"enableDnsHostnames": False, "enableDnsSupport": True, "enableNetworkAddressUsageMetrics": False}


def _create_vpc(op: Operation) -> None:
    vpc = op.send(_CREATE_VPC, **specification("vpc", op.wanted_tags()))["Vpc"]
    op.created(vpc["VpcId"])
    op.wait(
        lambda: str((first(op, "DescribeVpcs", "Vpcs", (), VpcIds=[op.id]) or {}).get("State")),
        pending={"pending"},
        target={"available"},
        timeout_seconds=600,
        what=f"EC2 VPC ({op.id}) create",
    )
    # Only what differs from the service's defaults is sent.
    for name, default in _VPC_DEFAULTS.items():
        if op.inputs.get(name) is not None and op.inputs[name] != default:
            _modify_vpc(op, name)


def _modify_vpc(op: Operation, name: str) -> None:
    op.call("ec2", "ModifyVpcAttribute", VpcId=op.id, **{_VPC_ATTRIBUTES[name]: {"Value": op.inputs[name]}})


def _attribute_step(name: str) -> Step:
    return step(lambda op: _modify_vpc(op, name), name)


def _modify_vpc_tenancy(op: Operation) -> None:
    op.call("ec2", "ModifyVpcTenancy", VpcId=op.id, InstanceTenancy=op.inputs["instanceTenancy"])


def _in_vpc(op: Operation, operation: str, member: str, **filters: str) -> Any | None:
    wanted = [{"Name": "vpc-id", "Values": [op.id]}]
    wanted += [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    return first(op, operation, member, (), Filters=wanted)


def _read_vpc(op: Operation) -> Mapping[str, Any] | None:
    vpc = first(op, "DescribeVpcs", "Vpcs", ("InvalidVpcID.NotFound",), VpcIds=[op.id])
    if vpc is None:
        return None
    live = op.described("ec2", "DescribeVpcs", "Vpcs", vpc) | op.shown_tags(tag_map(vpc.get("Tags")))
    for name, member in _VPC_ATTRIBUTES.items():
        attribute = member[0].lower() + member[1:]
        answer = op.call("ec2", "DescribeVpcAttribute", VpcId=op.id, Attribute=attribute)
        live[name] = answer[member]["Value"]
    group = _in_vpc(op, "DescribeSecurityGroups", "SecurityGroups", group_name="default")
    acl = _in_vpc(op, "DescribeNetworkAcls", "NetworkAcls", default="true")
    main = first(
        op,
        "DescribeRouteTables",
        "RouteTables",
        (),
        Filters=[{"Name": "vpc-id", "Values": [op.id]}, {"Name": "association.main", "Values": ["true"]}],
    )
    return live | {
        "arn": ec2_arn(op, "vpc", op.id, vpc.get("OwnerId", "")),
        "ownerId": vpc.get("OwnerId") or op.account.account_id,
        "defaultSecurityGroupId": group["GroupId"] if group else None,
        "defaultNetworkAclId": acl["NetworkAclId"] if acl else None,
        "defaultRouteTableId": main["RouteTableId"] if main else None,
        "mainRouteTableId": main["RouteTableId"] if main else None,
        # No IPv6 here: empty texts, as the provider stores them.
        "ipv6AssociationId": "",
        "ipv6CidrBlock": "",
        "ipv6CidrBlockNetworkBorderGroup": "",
        "ipv6IpamPoolId": "",
        "ipv6NetmaskLength": 0,
        "assignGeneratedIpv6CidrBlock": False,
    }


def _delete_vpc(op: Operation) -> None:
    while_in_use(op, lambda: op.call("ec2", "DeleteVpc", VpcId=op.id), 5, "InvalidVpcID.NotFound")


VPC = Row(
    type="aws:ec2/vpc:Vpc",
    source="ec2/vpc_.go",
    label="EC2 VPC",
    create=_create_vpc,
    read=_read_vpc,
    delete=_delete_vpc,
    calls=(_CREATE_VPC,),
    steps=(
        *(_attribute_step(name) for name in _VPC_ATTRIBUTES),
        step(_modify_vpc_tenancy, "instanceTenancy"),
    ),
    force_new=frozenset({"cidrBlock", "instanceTenancy"}),
    # Dedicated to default is the one change of tenancy that EC2 makes in place.
    replaces_when={"instanceTenancy": lambda old, new, _: not (old == "dedicated" and new == "default")},
    computed=frozenset(
        {
            "cidrBlock",
            "enableDnsHostnames",
            "enableNetworkAddressUsageMetrics",
            "ipv6CidrBlock",
            "ipv6CidrBlockNetworkBorderGroup",
        }
    ),
    defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
    rules=(
        matches("cidrBlock", _CIDR_16_28, "cidrBlock must be an IPv4 CIDR between /16 and /28"),
        one_of("instanceTenancy", "default", "dedicated"),
    ),
    tagging=ec2_tagging(),
)

# -- aws:ec2/subnet:Subnet ----------------------------------------------------------------------------------

_CREATE_SUBNET = Call(
    "ec2", "CreateSubnet", only=frozenset({"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"})
)


def _create_subnet(op: Operation) -> None:
    subnet = op.send(_CREATE_SUBNET, **specification("subnet", op.wanted_tags()))["Subnet"]
    op.created(subnet["SubnetId"])
    op.wait(
        lambda: str((first(op, "DescribeSubnets", "Subnets", (), SubnetIds=[op.id]) or {}).get("State")),
        pending={"pending"},
        target={"available"},
        timeout_seconds=600,
        what=f"EC2 Subnet ({op.id}) create",
    )
    if op.inputs.get("mapPublicIpOnLaunch"):
        _modify_subnet(op)


def _modify_subnet(op: Operation) -> None:
    op.call(
        "ec2",
        "ModifySubnetAttribute",
        SubnetId=op.id,
        MapPublicIpOnLaunch={"Value": bool(op.inputs.get("mapPublicIpOnLaunch"))},
    )


def _read_subnet(op: Operation) -> Mapping[str, Any] | None:
    subnet = first(op, "DescribeSubnets", "Subnets", ("InvalidSubnetID.NotFound",), SubnetIds=[op.id])
    if subnet is None:
        return None
    live = op.described("ec2", "DescribeSubnets", "Subnets", subnet) | op.shown_tags(tag_map(subnet.get("Tags")))
    owner = subnet.get("OwnerId") or op.account.account_id
    return live | {"arn": ec2_arn(op, "subnet", op.id, owner), "ownerId": owner, "ipv6CidrBlockAssociationId": ""}


def _delete_subnet(op: Operation) -> None:
    while_in_use(op, lambda: op.call("ec2", "DeleteSubnet", SubnetId=op.id), 20, "InvalidSubnetID.NotFound")


SUBNET = Row(
    type="aws:ec2/subnet:Subnet",
    source="ec2/vpc_subnet.go",
    label="EC2 Subnet",
    create=_create_subnet,
    read=_read_subnet,
    delete=_delete_subnet,
    calls=(_CREATE_SUBNET,),
    steps=(step(_modify_subnet, "mapPublicIpOnLaunch"),),
    force_new=frozenset({"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"}),
    computed=frozenset({"availabilityZone", "availabilityZoneId", "privateDnsHostnameTypeOnLaunch"}),
    defaults={"mapPublicIpOnLaunch": False},
    rules=(conflicts("availabilityZone", "availabilityZoneId"),),
    tagging=ec2_tagging(),
)

ROWS = (VPC, SUBNET)
