"""Route tables, routes, associations: internal/service/ec2."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, required_one_of, step
from infra.rehearsal.provider.rows.network import ec2_arn, first, while_in_use
from infra.rehearsal.provider.tags import ec2_tagging, specification, tag_map
from infra.rehearsal.provider.translate import Call

_GONE = ("InvalidRouteTableID.NotFound",)


def _table(op: Operation, id: str) -> Any | None:
    return first(op, "DescribeRouteTables", "RouteTables", _GONE, RouteTableIds=[id])


# -- aws:ec2/routeTable:RouteTable -------------------------------------------------------------------------

_CREATE_TABLE = Call("ec2", "CreateRouteTable", only=frozenset({"vpcId"}))


def _create_table(op: Operation) -> None:
    answer = op.send(_CREATE_TABLE, **specification("route-table", op.wanted_tags()))
    op.created(answer["RouteTable"]["RouteTableId"])


def _read_table(op: Operation) -> Mapping[str, Any] | None:
    table = _table(op, op.id)
    if table is None:
        return None
    owner = table.get("OwnerId") or op.account.account_id
    return op.shown_tags(tag_map(table.get("Tags"))) | {
        "arn": ec2_arn(op, "route-table", op.id, owner),
        "ownerId": owner,
        "propagatingVgws": [one["GatewayId"] for one in table.get("PropagatingVgws") or []],
        "routes": [_shown_route(route) for route in table.get("Routes") or [] if _owned(route)],
        "vpcId": table["VpcId"],
    }


def _owned(route: Mapping[str, Any]) -> bool:
    """Local, propagated and gateway-endpoint routes are nobody's."""
    gateway = str(route.get("GatewayId", ""))
    made = route.get("Origin", "CreateRoute") == "CreateRoute"
    return made and gateway != "local" and not gateway.startswith("vpce-")


def _shown_route(route: Mapping[str, Any]) -> dict[str, Any]:
    members = {
        "carrierGatewayId": "CarrierGatewayId",
        "cidrBlock": "DestinationCidrBlock",
        "coreNetworkArn": "CoreNetworkArn",
        "destinationPrefixListId": "DestinationPrefixListId",
        "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
        "gatewayId": "GatewayId",
        "ipv6CidrBlock": "DestinationIpv6CidrBlock",
        "localGatewayId": "LocalGatewayId",
        "natGatewayId": "NatGatewayId",
        "networkInterfaceId": "NetworkInterfaceId",
        "transitGatewayId": "TransitGatewayId",
        "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    }
    return {name: route.get(member) or "" for name, member in members.items()} | {"vpcEndpointId": ""}


def _delete_table(op: Operation) -> None:
    table = _table(op, op.id)
    for association in (table or {}).get("Associations") or []:
        if not association.get("Main"):
            op.gone(
                lambda one=association: op.call(
                    "ec2", "DisassociateRouteTable", AssociationId=one["RouteTableAssociationId"]
                ),
                "InvalidAssociationID.NotFound",
            )
    while_in_use(op, lambda: op.call("ec2", "DeleteRouteTable", RouteTableId=op.id), 5, *_GONE)


ROUTE_TABLE = Row(
    type="aws:ec2/routeTable:RouteTable",
    source="ec2/vpc_route_table.go",
    label="EC2 Route Table",
    create=_create_table,
    read=_read_table,
    delete=_delete_table,
    calls=(_CREATE_TABLE,),
    force_new=frozenset({"vpcId"}),
    # Inline routes own the whole table and would delete those of Route resources: the row carries none on purpose.
    computed=frozenset({"routes", "propagatingVgws"}),
    tagging=ec2_tagging(),
)

# -- aws:ec2/route:Route ------------------------------------------------------------------------------------

_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_TARGETS = {
    "carrierGatewayId": "CarrierGatewayId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}
_CREATE_ROUTE = Call(
    "ec2",
    "CreateRoute",
    rules={"egressOnlyGatewayId": "EgressOnlyInternetGatewayId"},
    only=frozenset({"routeTableId", *_DESTINATIONS, *_TARGETS}),
)


def _destination(values: Mapping[str, Any]) -> tuple[str, str]:
    """(member, value) of the route's destination."""
    for name, member in _DESTINATIONS.items():
        if values.get(name):
            return member, values[name]
    raise KeyError("destination")


def _route(op: Operation, table_id: str, member: str, destination: str) -> Any | None:
    table = _table(op, table_id)
    routes = (table or {}).get("Routes") or []
    return next((route for route in routes if route.get(member) == destination), None)


def route_id(table_id: str, destination: str) -> str:
    """r-<table><CRC-32 of the destination> (create.StringHashcode)."""
    return f"r-{table_id}{zlib.crc32(destination.encode())}"


def _create_route(op: Operation) -> None:
    table_id = op.inputs["routeTableId"]
    member, destination = _destination(op.inputs)
    there = _route(op, table_id, member, destination)
    if there is not None and there.get("Origin", "CreateRoute") == "CreateRoute":
        raise ApiError(
            "ec2",
            "CreateRoute",
            "RouteAlreadyExists",
            f"Route in Route Table ({table_id}) with destination ({destination}) already exists",
        )
    op.send(_CREATE_ROUTE)
    op.created(route_id(table_id, destination))


def _read_route(op: Operation) -> Mapping[str, Any] | None:
    asked = {**op.state, **op.inputs}
    member, destination = _destination(asked)
    route = _route(op, asked["routeTableId"], member, destination)
    if route is None:
        return None
    live: dict[str, Any] = {name: route.get(target) or "" for name, target in _TARGETS.items()}
    gateway = str(live["gatewayId"])
    if gateway.startswith("vpce-"):
        live |= {"gatewayId": "", "vpcEndpointId": gateway}
    return live | {
        "routeTableId": asked["routeTableId"],
        **{name: route.get(target) or "" for name, target in _DESTINATIONS.items()},
        "coreNetworkArn": "",
        "localGatewayId": "",
        "odbNetworkArn": "",
        "instanceId": route.get("InstanceId") or "",
        "instanceOwnerId": route.get("InstanceOwnerId") or "",
        "origin": route.get("Origin", "CreateRoute"),
        "state": route.get("State", "active"),
    }


def _replace_route(op: Operation) -> None:
    op.call("ec2", "ReplaceRoute", **op.params(_CREATE_ROUTE))


def _delete_route(op: Operation) -> None:
    member, destination = _destination(op.state)
    op.gone(
        lambda: op.call("ec2", "DeleteRoute", RouteTableId=op.state["routeTableId"], **{member: destination}),
        "InvalidRoute.NotFound",
        "InvalidRouteTableID.NotFound",
    )


def _route_from_id(id: str) -> tuple[str, Mapping[str, Any]]:
    table_id, _, destination = id.partition("_")
    if destination.startswith("pl-"):
        name = "destinationPrefixListId"
    else:
        name = "destinationIpv6CidrBlock" if ":" in destination else "destinationCidrBlock"
    return route_id(table_id, destination), {"routeTableId": table_id, name: destination}


ROUTE = Row(
    type="aws:ec2/route:Route",
    source="ec2/vpc_route.go",
    label="EC2 Route",
    create=_create_route,
    read=_read_route,
    delete=_delete_route,
    calls=(_CREATE_ROUTE,),
    steps=(step(_replace_route, *_TARGETS),),
    force_new=frozenset({"routeTableId", *_DESTINATIONS}),
    computed=frozenset({"networkInterfaceId"}),
    rules=(required_one_of(*_DESTINATIONS), required_one_of(*_TARGETS)),
    from_id=_route_from_id,
)

# -- aws:ec2/routeTableAssociation:RouteTableAssociation ----------------------------------------------------

_ASSOCIATE = Call("ec2", "AssociateRouteTable", only=frozenset({"routeTableId", "subnetId", "gatewayId"}))


def _create_association(op: Operation) -> None:
    op.created(op.send(_ASSOCIATE)["AssociationId"])


def _association(op: Operation) -> Any | None:
    """By id; after ReplaceRouteTableAssociation, which gives a new id that an update cannot report, by its subnet."""
    tables = op.call("ec2", "DescribeRouteTables")["RouteTables"]
    every = [one for table in tables for one in table.get("Associations") or []]
    for one in every:
        if one["RouteTableAssociationId"] == op.id:
            return one
    asked = {**op.state, **op.inputs}
    for one in every:
        for name, member in (("subnetId", "SubnetId"), ("gatewayId", "GatewayId")):
            if asked.get(name) and one.get(member) == asked[name]:
                return one
    return None


def _read_association(op: Operation) -> Mapping[str, Any] | None:
    association = _association(op)
    if association is None:
        return None
    return {
        "routeTableId": association["RouteTableId"],
        "subnetId": association.get("SubnetId") or None,
        "gatewayId": association.get("GatewayId") or None,
    }


def _replace_association(op: Operation) -> None:
    association = _association(op)
    op.call(
        "ec2",
        "ReplaceRouteTableAssociation",
        AssociationId=association["RouteTableAssociationId"] if association else op.id,
        RouteTableId=op.inputs["routeTableId"],
    )


def _delete_association(op: Operation) -> None:
    association = _association(op)
    if association is not None:
        op.gone(
            lambda: op.call("ec2", "DisassociateRouteTable", AssociationId=association["RouteTableAssociationId"]),
            "InvalidAssociationID.NotFound",
        )


ROUTE_TABLE_ASSOCIATION = Row(
    type="aws:ec2/routeTableAssociation:RouteTableAssociation",
    source="ec2/vpc_route_table_association.go",
    label="EC2 Route Table Association",
    create=_create_association,
    read=_read_association,
    delete=_delete_association,
    calls=(_ASSOCIATE,),
    steps=(step(_replace_association, "routeTableId"),),
    force_new=frozenset({"subnetId", "gatewayId"}),
    rules=(required_one_of("subnetId", "gatewayId"),),
)

ROWS = (ROUTE_TABLE, ROUTE, ROUTE_TABLE_ASSOCIATION)
