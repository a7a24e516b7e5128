"""VPC endpoints and flow logs: internal/service/ec2/vpc_endpoint.go, vpc_flow_log.go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_policy
from infra.rehearsal.provider.row import ALL, Row, one_of, required_one_of, step, valid_json
from infra.rehearsal.provider.rows.network import ec2_arn, first
from infra.rehearsal.provider.tags import ec2_tagging, specification, tag_map
from infra.rehearsal.provider.translate import Call, To

# -- aws:ec2/vpcEndpoint:VpcEndpoint ------------------------------------------------------------------------

_LISTS = {"routeTableIds": "RouteTableIds", "securityGroupIds": "SecurityGroupIds", "subnetIds": "SubnetIds"}
_RULES = {"policy": To("PolicyDocument")}
_CREATE_ENDPOINT = Call(
    "ec2",
    "CreateVpcEndpoint",
    rules=_RULES,
    only=frozenset(
        {
            "dnsOptions",
            "ipAddressType",
            "policy",
            "privateDnsEnabled",
            "serviceName",
            "vpcEndpointType",
            "vpcId",
            *_LISTS,
        }
    ),
)


def _endpoint(op: Operation) -> Any | None:
    return first(op, "DescribeVpcEndpoints", "VpcEndpoints", ("InvalidVpcEndpointId.NotFound",), VpcEndpointIds=[op.id])


def _create_endpoint(op: Operation) -> None:
    answer = op.send(_CREATE_ENDPOINT, **specification("vpc-endpoint", op.wanted_tags()))
    op.created(answer["VpcEndpoint"]["VpcEndpointId"])
    _wait_available(op)


def _wait_available(op: Operation) -> None:
    op.wait(
        lambda: str((_endpoint(op) or {"State": "deleted"})["State"]).lower(),
        pending={"pending"},
        target={"available", "pendingacceptance"},
        timeout_seconds=600,
        what=f"EC2 VPC Endpoint ({op.id}) available",
        reason=lambda: str(((_endpoint(op) or {}).get("LastError") or {}).get("Message", "")),
    )


def _read_endpoint(op: Operation) -> Mapping[str, Any] | None:
    found = _endpoint(op)
    if found is None or str(found.get("State", "")).lower() in {"deleted", "failed"}:
        return None
    live = op.described("ec2", "DescribeVpcEndpoints", "VpcEndpoints", found, _RULES)
    owner = found.get("OwnerId") or op.account.account_id
    document = found.get("PolicyDocument")
    return (
        live
        | op.shown_tags(tag_map(found.get("Tags")))
        | _prefix_list(op, found)
        | {
            "arn": ec2_arn(op, "vpc-endpoint", op.id, owner),
            "ownerId": owner,
            "policy": document if isinstance(document, str) or document is None else json.dumps(document),
            "privateDnsEnabled": bool(found.get("PrivateDnsEnabled")),
            "requesterManaged": bool(found.get("RequesterManaged")),
            "routeTableIds": list(found.get("RouteTableIds") or []),
            "subnetIds": list(found.get("SubnetIds") or []),
            "securityGroupIds": [group["GroupId"] for group in found.get("Groups") or []],
            "networkInterfaceIds": list(found.get("NetworkInterfaceIds") or []),
            "dnsEntries": [
                {"dnsName": entry.get("DnsName"), "hostedZoneId": entry.get("HostedZoneId")}
                for entry in found.get("DnsEntries") or []
            ],
            "ipAddressType": found.get("IpAddressType") or "ipv4",
            "serviceRegion": op.region,
            "state": found.get("State"),
            "vpcEndpointType": found.get("VpcEndpointType") or "Gateway",
        }
    )


def _prefix_list(op: Operation, endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Only a gateway endpoint's service has a prefix list; `cidrBlocks` are its ranges."""
    if endpoint.get("VpcEndpointType", "Gateway") != "Gateway":
        return {"prefixListId": None, "cidrBlocks": None}
    lists = op.call(
        "ec2", "DescribePrefixLists", Filters=[{"Name": "prefix-list-name", "Values": [endpoint["ServiceName"]]}]
    )["PrefixLists"]
    found = next((one for one in lists if one["PrefixListName"] == endpoint["ServiceName"]), None)
    if found is None:
        return {"prefixListId": None, "cidrBlocks": None}
    return {"prefixListId": found["PrefixListId"], "cidrBlocks": list(found.get("Cidrs") or [])}


def _modify_endpoint(op: Operation) -> None:
    """One ModifyVpcEndpoint with add and remove lists; an emptied policy is a reset."""
    params: dict[str, Any] = {}
    for name, member in _LISTS.items():
        if name in op.changed:
            old, new = set(op.state.get(name) or []), set(op.inputs.get(name) or [])
            if new - old:
                params[f"Add{member}"] = sorted(new - old)
            if old - new:
                params[f"Remove{member}"] = sorted(old - new)
    if "policy" in op.changed:
        params |= {"PolicyDocument": op.inputs["policy"]} if op.inputs.get("policy") else {"ResetPolicy": True}
    for name, member in (
        ("privateDnsEnabled", "PrivateDnsEnabled"),
        ("ipAddressType", "IpAddressType"),
        ("dnsOptions", "DnsOptions"),
    ):
        if name in op.changed:
            params[member] = op.params(_CREATE_ENDPOINT)[member]
    op.call("ec2", "ModifyVpcEndpoint", VpcEndpointId=op.id, **params)
    _wait_available(op)


def _delete_endpoint(op: Operation) -> None:
    if str((_endpoint(op) or {"State": "deleted"})["State"]).lower() == "deleted":
        return
    answer = op.call("ec2", "DeleteVpcEndpoints", VpcEndpointIds=[op.id])
    for item in answer.get("Unsuccessful") or []:
        error = item.get("Error", {})
        if error.get("Code") != "InvalidVpcEndpoint.NotFound":
            raise ApiError("ec2", "DeleteVpcEndpoints", error.get("Code", ""), error.get("Message", ""))
    op.wait(
        lambda: str((_endpoint(op) or {"State": "deleted"})["State"]).lower(),
        pending={"available", "deleting"},
        target={"deleted"},
        timeout_seconds=600,
        what=f"EC2 VPC Endpoint ({op.id}) delete",
    )


VPC_ENDPOINT = Row(
    type="aws:ec2/vpcEndpoint:VpcEndpoint",
    source="ec2/vpc_endpoint.go",
    label="EC2 VPC Endpoint",
    create=_create_endpoint,
    read=_read_endpoint,
    delete=_delete_endpoint,
    calls=(_CREATE_ENDPOINT,),
    steps=(step(_modify_endpoint, *_LISTS, "policy", "privateDnsEnabled", "ipAddressType", "dnsOptions"),),
    force_new=frozenset({"vpcId", "serviceName", "vpcEndpointType", "serviceRegion", "privateDnsEnabled"}),
    replaces_when={"privateDnsEnabled": lambda _old, _new, state: state.get("vpcEndpointType") != "Interface"},
    computed=frozenset(
        {"dnsOptions", "ipAddressType", "policy", "privateDnsEnabled", "serviceRegion", "subnetConfigurations", *_LISTS}
    ),
    defaults={"vpcEndpointType": "Gateway"},
    sets=frozenset(_LISTS),
    equal={"policy": same_policy},
    rules=(
        valid_json("policy"),
        one_of("vpcEndpointType", "Gateway", "Interface", "GatewayLoadBalancer", "Resource", "ServiceNetwork"),
    ),
    tagging=ec2_tagging(),
)

# -- aws:ec2/flowLog:FlowLog --------------------------------------------------------------------------------

_KINDS = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
_CREATE_FLOW_LOG = Call(
    "ec2",
    "CreateFlowLogs",
    rules={
        "iamRoleArn": "DeliverLogsPermissionArn",
        "logDestination": To(via=lambda arn: arn.removesuffix(":*")),
        **{name: To("ResourceIds", via=lambda id: [id]) for name in _KINDS},
    },
    only=frozenset(
        {
            "destinationOptions",
            "iamRoleArn",
            "logDestination",
            "logDestinationType",
            "logFormat",
            "maxAggregationInterval",
            "trafficType",
            *_KINDS,
        }
    ),
)


def _create_flow_log(op: Operation) -> None:
    kind = next(kind for name, kind in _KINDS.items() if op.inputs.get(name))
    answer = op.retry(
        lambda: op.send(_CREATE_FLOW_LOG, ResourceType=kind, **specification("vpc-flow-log", op.wanted_tags())),
        lambda error: error.says("Unable to assume given IAM role"),
        "2 min",
    )
    # EC2 answers 200 with what failed in a list.
    for item in answer.get("Unsuccessful") or []:
        error = item.get("Error", {})
        raise ApiError("ec2", "CreateFlowLogs", error.get("Code", ""), error.get("Message", ""))
    op.created(answer["FlowLogIds"][0])


def _read_flow_log(op: Operation) -> Mapping[str, Any] | None:
    log = first(op, "DescribeFlowLogs", "FlowLogs", ("InvalidFlowLogId.NotFound",), FlowLogIds=[op.id])
    if log is None:
        return None
    resource = str(log.get("ResourceId", ""))
    kind = "vpcId" if resource.startswith("vpc-") else "subnetId" if resource.startswith("subnet-") else "eniId"
    live = op.described("ec2", "DescribeFlowLogs", "FlowLogs", log, {"iamRoleArn": "DeliverLogsPermissionArn"})
    return live | op.shown_tags(tag_map(log.get("Tags"))) | {kind: resource, "arn": ec2_arn(op, "vpc-flow-log", op.id)}


def _delete_flow_log(op: Operation) -> None:
    answer = op.found(lambda: op.call("ec2", "DeleteFlowLogs", FlowLogIds=[op.id]), "InvalidFlowLogId.NotFound")
    for item in (answer or {}).get("Unsuccessful") or []:
        error = item.get("Error", {})
        if error.get("Code") != "InvalidFlowLogId.NotFound":
            raise ApiError("ec2", "DeleteFlowLogs", error.get("Code", ""), error.get("Message", ""))


FLOW_LOG = Row(
    type="aws:ec2/flowLog:FlowLog",
    source="ec2/vpc_flow_log.go",
    label="EC2 Flow Log",
    create=_create_flow_log,
    read=_read_flow_log,
    delete=_delete_flow_log,
    calls=(_CREATE_FLOW_LOG,),
    force_new=frozenset({ALL}),
    computed=frozenset({"logDestination", "logFormat"}),
    defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
    rules=(
        required_one_of(*_KINDS, "transitGatewayId", "transitGatewayAttachmentId"),
        one_of("maxAggregationInterval", 60, 600),
    ),
    tagging=ec2_tagging(),
)

ROWS = (VPC_ENDPOINT, FLOW_LOG)
