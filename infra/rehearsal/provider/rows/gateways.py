"""Internet gateway, elastic address, NAT gateway: internal/service/ec2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, one_of, step
from infra.rehearsal.provider.rows.network import ec2_arn, first, while_in_use
from infra.rehearsal.provider.tags import ec2_tagging, specification, tag_map
from infra.rehearsal.provider.translate import Call

# -- aws:ec2/internetGateway:InternetGateway ----------------------------------------------------------------


def _create_gateway(op: Operation) -> None:
    answer = op.call("ec2", "CreateInternetGateway", **specification("internet-gateway", op.wanted_tags()))
    op.created(answer["InternetGateway"]["InternetGatewayId"])
    if op.inputs.get("vpcId"):
        _attach(op, op.inputs["vpcId"])


def _attach(op: Operation, vpc_id: str) -> None:
    op.call("ec2", "AttachInternetGateway", InternetGatewayId=op.id, VpcId=vpc_id)


def _detach(op: Operation, vpc_id: str) -> None:
    while_in_use(
        op,
        lambda: op.call("ec2", "DetachInternetGateway", InternetGatewayId=op.id, VpcId=vpc_id),
        20,
        "Gateway.NotAttached",
        "InvalidInternetGatewayID.NotFound",
    )


def _move_gateway(op: Operation) -> None:
    if op.state.get("vpcId"):
        _detach(op, op.state["vpcId"])
    if op.inputs.get("vpcId"):
        _attach(op, op.inputs["vpcId"])


def _read_gateway(op: Operation) -> Mapping[str, Any] | None:
    gateway = first(
        op,
        "DescribeInternetGateways",
        "InternetGateways",
        ("InvalidInternetGatewayID.NotFound",),
        InternetGatewayIds=[op.id],
    )
    if gateway is None:
        return None
    attachments = gateway.get("Attachments") or []
    owner = gateway.get("OwnerId") or op.account.account_id
    return op.shown_tags(tag_map(gateway.get("Tags"))) | {
        "arn": ec2_arn(op, "internet-gateway", op.id, owner),
        "ownerId": owner,
        "vpcId": attachments[0]["VpcId"] if attachments else None,
    }


def _delete_gateway(op: Operation) -> None:
    if op.state.get("vpcId"):
        _detach(op, op.state["vpcId"])
    while_in_use(
        op,
        lambda: op.call("ec2", "DeleteInternetGateway", InternetGatewayId=op.id),
        20,
        "InvalidInternetGatewayID.NotFound",
    )


INTERNET_GATEWAY = Row(
    type="aws:ec2/internetGateway:InternetGateway",
    source="ec2/vpc_internet_gateway.go",
    label="EC2 Internet Gateway",
    create=_create_gateway,
    read=_read_gateway,
    delete=_delete_gateway,
    steps=(step(_move_gateway, "vpcId"),),
    computed=frozenset({"vpcId"}),
    tagging=ec2_tagging(),
)

# -- aws:ec2/eip:Eip ----------------------------------------------------------------------------------------

_ALLOCATE = Call("ec2", "AllocateAddress", only=frozenset({"domain"}))


def _create_eip(op: Operation) -> None:
    op.created(op.send(_ALLOCATE, **specification("elastic-ip", op.wanted_tags()))["AllocationId"])


def _read_eip(op: Operation) -> Mapping[str, Any] | None:
    address = first(op, "DescribeAddresses", "Addresses", ("InvalidAllocationID.NotFound",), AllocationIds=[op.id])
    if address is None:
        return None
    host = "ec2-" + address["PublicIp"].replace(".", "-")
    zone = "compute-1.amazonaws.com" if op.region == "us-east-1" else f"{op.region}.compute.amazonaws.com"
    return op.shown_tags(tag_map(address.get("Tags"))) | {
        "allocationId": op.id,
        "arn": ec2_arn(op, "elastic-ip", op.id),
        "associationId": address.get("AssociationId") or "",
        "domain": address.get("Domain"),
        "instance": address.get("InstanceId") or "",
        "networkInterface": address.get("NetworkInterfaceId") or "",
        "networkBorderGroup": address.get("NetworkBorderGroup") or op.region,
        "privateIp": address.get("PrivateIpAddress") or None,
        "publicDns": f"{host}.{zone}",
        "publicIp": address["PublicIp"],
        "publicIpv4Pool": address.get("PublicIpv4Pool") or "amazon",
        "ptrRecord": "",
        "carrierIp": "",
        "customerOwnedIp": "",
        "customerOwnedIpv4Pool": "",
    }


def _delete_eip(op: Operation) -> None:
    """Disassociates, then releases, with no retry on "in use": the NAT gateway must be gone."""
    address = first(op, "DescribeAddresses", "Addresses", ("InvalidAllocationID.NotFound",), AllocationIds=[op.id])
    if address is None:
        return
    if address.get("AssociationId"):
        op.gone(
            lambda: op.call("ec2", "DisassociateAddress", AssociationId=address["AssociationId"]),
            "InvalidAssociationID.NotFound",
        )
    op.gone(lambda: op.call("ec2", "ReleaseAddress", AllocationId=op.id), "InvalidAllocationID.NotFound")


EIP = Row(
    type="aws:ec2/eip:Eip",
    source="ec2/ec2_eip.go",
    label="EC2 EIP",
    create=_create_eip,
    read=_read_eip,
    delete=_delete_eip,
    calls=(_ALLOCATE,),
    force_new=frozenset({"domain"}),
    # Read shows whatever holds the address, a NAT gateway's interface too: computed, so no diff.
    computed=frozenset({"domain", "instance", "networkInterface", "networkBorderGroup", "publicIpv4Pool"}),
    rules=(one_of("domain", "vpc", "standard"),),
    tagging=ec2_tagging(),
)

# -- aws:ec2/natGateway:NatGateway --------------------------------------------------------------------------

_CREATE_NAT = Call(
    "ec2",
    "CreateNatGateway",
    only=frozenset({"allocationId", "connectivityType", "privateIp", "subnetId"}),
    rules={"privateIp": "PrivateIpAddress"},
)


def _nat(op: Operation) -> Any | None:
    return first(
        op,
        "DescribeNatGateways",
        "NatGateways",
        ("NatGatewayNotFound", "NatGatewayMalformed"),
        NatGatewayIds=[op.id],
    )


def _nat_state(op: Operation) -> str:
    gateway = _nat(op)
    return "deleted" if gateway is None else gateway["State"]


def _create_nat(op: Operation) -> None:
    answer = op.send(_CREATE_NAT, **specification("natgateway", op.wanted_tags()))
    op.created(answer["NatGateway"]["NatGatewayId"])
    op.wait(
        lambda: _nat_state(op),
        pending={"pending"},
        target={"available"},
        timeout_seconds=600,
        what=f"EC2 NAT Gateway ({op.id}) create",
        reason=lambda: (_nat(op) or {}).get("FailureMessage", ""),
    )


def _read_nat(op: Operation) -> Mapping[str, Any] | None:
    gateway = _nat(op)
    if gateway is None or gateway["State"] == "deleted":
        return None
    addresses = gateway.get("NatGatewayAddresses") or [{}]
    main = next((one for one in addresses if one.get("IsPrimary")), addresses[0])
    others = [one for one in addresses if one is not main]
    return op.shown_tags(tag_map(gateway.get("Tags"))) | {
        "allocationId": main.get("AllocationId"),
        "associationId": main.get("AssociationId"),
        "availabilityMode": "zonal",
        "availabilityZoneAddresses": [],
        "connectivityType": gateway.get("ConnectivityType", "public"),
        "networkInterfaceId": main.get("NetworkInterfaceId"),
        "privateIp": main.get("PrivateIp"),
        "publicIp": main.get("PublicIp"),
        "secondaryAllocationIds": [one["AllocationId"] for one in others if one.get("AllocationId")],
        "secondaryPrivateIpAddresses": [one["PrivateIp"] for one in others if one.get("PrivateIp")],
        "secondaryPrivateIpAddressCount": len(others),
        "subnetId": gateway.get("SubnetId"),
        "vpcId": gateway.get("VpcId"),
        "autoProvisionZones": "",
        "autoScalingIps": "",
        "regionalNatGatewayAddresses": [],
        "regionalNatGatewayAutoMode": "",
        "routeTableId": "",
    }


def _delete_nat(op: Operation) -> None:
    if op.gone(lambda: op.call("ec2", "DeleteNatGateway", NatGatewayId=op.id), "NatGatewayNotFound"):
        return
    op.wait(
        lambda: _nat_state(op),
        pending={"deleting"},
        target={"deleted"},
        timeout_seconds=1800,
        what=f"EC2 NAT Gateway ({op.id}) delete",
    )


def _nat_rules(inputs: Inputs) -> Iterable[Problem]:
    if inputs.get("connectivityType") == "private" and inputs.get("allocationId"):
        yield "allocationId", '`allocationId` is not supported with connectivityType = "private"'


NAT_GATEWAY = Row(
    type="aws:ec2/natGateway:NatGateway",
    source="ec2/vpc_nat_gateway.go",
    label="EC2 NAT Gateway",
    create=_create_nat,
    read=_read_nat,
    delete=_delete_nat,
    calls=(_CREATE_NAT,),
    force_new=frozenset({"subnetId", "allocationId", "connectivityType", "privateIp"}),
    computed=frozenset(
        {
            "availabilityMode",
            "availabilityZoneAddresses",
            "privateIp",
            "secondaryAllocationIds",
            "secondaryPrivateIpAddressCount",
            "secondaryPrivateIpAddresses",
            "vpcId",
        }
    ),
    defaults={"connectivityType": "public"},
    rules=(_nat_rules, one_of("connectivityType", "public", "private")),
    tagging=ec2_tagging(),
)

ROWS = (INTERNET_GATEWAY, EIP, NAT_GATEWAY)
