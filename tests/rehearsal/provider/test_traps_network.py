"""Traps of VPC, routes, endpoints and security groups (terraform-provider-aws, internal/service/ec2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import REGION, CheckFailed, Driver, configured
from provider_world import World

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import InitializationFailed, ProviderError
from infra.rehearsal.provider.rows.routes import route_id

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

VPC = "aws:ec2/vpc:Vpc"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ROUTE = "aws:ec2/route:Route"
VPC_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"


def describe_group(cloud: Cloud, id: str) -> dict[str, Any]:
    return cloud.client("ec2").describe_security_groups(GroupIds=[id])["SecurityGroups"][0]


# -- VPC ---------------------------------------------------------------------------------------------------------------


def test_vpc_dedicated_to_default_tenancy_is_the_one_change_in_place(engine: Driver) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", instanceTenancy="dedicated")
    assert engine.changed(made, cidrBlock="10.0.0.0/16") == {"instanceTenancy": False}


def test_vpc_argument_that_aws_fills_in_is_no_change_when_left_out(engine: Driver) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", enableDnsHostnames=True)
    assert engine.changed(made, cidrBlock="10.0.0.0/16") == {}


def test_vpc_range_larger_than_16_is_refused_in_preview(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(VPC, "net", cidrBlock="10.0.0.0/8")
    assert "between /16 and /28, got '10.0.0.0/8'" in caught.value.failures["cidrBlock"]


def test_vpc_with_something_left_in_it_fails_after_the_retries(engine: Driver, world: World) -> None:
    vpc = world.vpc
    assert world.subnet.id
    with pytest.raises(ProviderError, match=r"DependencyViolation.*the real provider goes on for 5 min"):
        engine.delete(vpc)


def test_vpc_drift_of_an_attribute_is_found(engine: Driver, cloud: Cloud) -> None:
    inputs: dict[str, Any] = {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True}
    made = engine.create(VPC, "net", **inputs)
    cloud.client("ec2").modify_vpc_attribute(VpcId=made.id, EnableDnsHostnames={"Value": False})
    drifted = engine.read(made)
    assert drifted is not None
    assert drifted.inputs["enableDnsHostnames"] is False
    assert engine.changed(drifted, **inputs) == {"enableDnsHostnames": False}


def test_vpc_deleted_behind_the_back_is_gone(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16")
    cloud.client("ec2").delete_vpc(VpcId=made.id)
    assert engine.read(made) is None


# -- gateways and routes -----------------------------------------------------------------------------------------------


def test_internet_gateway_moves_between_vpcs_in_place(engine: Driver, world: World, cloud: Cloud) -> None:
    other = engine.create(VPC, "other", cidrBlock="10.2.0.0/16")
    gateway = world.gateway
    assert engine.changed(gateway, vpcId=other.id) == {"vpcId": False}
    engine.update(gateway, vpcId=other.id)
    found = cloud.client("ec2").describe_internet_gateways(InternetGatewayIds=[gateway.id])["InternetGateways"][0]
    assert [one["VpcId"] for one in found["Attachments"]] == [other.id]


def test_address_shows_the_nat_gateways_interface_without_a_diff(engine: Driver, world: World) -> None:
    address = world.address
    nat = engine.create("aws:ec2/natGateway:NatGateway", "nat", subnetId=world.subnet.id, allocationId=address.id)
    held = engine.read(address)
    assert held is not None
    assert held.outputs["publicIp"] == nat.outputs["publicIp"]
    assert engine.changed(held, domain="vpc") == {}


def test_private_nat_gateway_refuses_an_allocation_in_preview(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(
            "aws:ec2/natGateway:NatGateway",
            "nat",
            subnetId="subnet-0123456789abcdef0",
            allocationId="eipalloc-1",
            connectivityType="private",
        )
    assert set(caught.value.failures) == {"allocationId"}


def test_route_id_is_the_table_and_the_hash_of_the_destination() -> None:
    assert route_id("rtb-4fbb3ac4", "0.0.0.0/0") == "r-rtb-4fbb3ac41080289494"


def test_route_to_a_destination_that_is_there_fails_the_create(engine: Driver, world: World) -> None:
    inputs: dict[str, Any] = {
        "routeTableId": world.table.id,
        "destinationCidrBlock": "0.0.0.0/0",
        "gatewayId": world.gateway.id,
    }
    engine.create(ROUTE, "first", **inputs)
    with pytest.raises(ProviderError, match="RouteAlreadyExists"):
        engine.create(ROUTE, "second", **inputs)


def test_route_target_changes_in_place(engine: Driver, world: World) -> None:
    key: dict[str, Any] = {"routeTableId": world.table.id, "destinationCidrBlock": "0.0.0.0/0"}
    made = engine.create(ROUTE, "out", **key, gatewayId=world.gateway.id)
    nat = engine.create("aws:ec2/natGateway:NatGateway", "nat", subnetId=world.subnet.id, allocationId=world.address.id)
    assert engine.changed(made, **key, natGatewayId=nat.id) == {"gatewayId": False, "natGatewayId": False}
    updated = engine.update(made, **key, natGatewayId=nat.id)
    assert engine.changed(updated, **key, natGatewayId=nat.id) == {}


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ({"gatewayId": "igw-1"}, "destinationCidrBlock"),
        ({"destinationCidrBlock": "0.0.0.0/0"}, "carrierGatewayId"),
        ({"destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1", "natGatewayId": "nat-1"}, "carrierGatewayId"),
    ],
)
def test_route_takes_one_destination_and_one_target(engine: Driver, extra: dict[str, str], path: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(ROUTE, "out", routeTableId="rtb-0123456789abcdef0", **extra)
    assert "exactly one of" in caught.value.failures[path]


def test_route_table_of_an_association_changes_in_place_and_is_still_found(engine: Driver, world: World) -> None:
    """ReplaceRouteTableAssociation gives a new id, which an update cannot report."""
    inputs: dict[str, Any] = {"routeTableId": world.table.id, "subnetId": world.subnet.id}
    made = engine.create("aws:ec2/routeTableAssociation:RouteTableAssociation", "a", **inputs)
    other = engine.create("aws:ec2/routeTable:RouteTable", "other", vpcId=world.vpc.id)
    news = {**inputs, "routeTableId": other.id}
    assert engine.changed(made, **news) == {"routeTableId": False}
    updated = engine.update(made, **news)
    refreshed = engine.read(updated)
    assert refreshed is not None
    assert refreshed.outputs["routeTableId"] == other.id
    engine.delete(refreshed)
    assert engine.read(refreshed) is None


def test_inline_routes_are_refused_by_name(engine: Driver, world: World) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check("aws:ec2/routeTable:RouteTable", "t", {"vpcId": "vpc-0123456789abcdef0", "routes": []})
    assert "has no rule for aws:ec2/routeTable:RouteTable routes" in caught.value.failures["routes"]


# -- VPC endpoints, flow logs ------------------------------------------------------------------------------------------


def test_vpc_endpoint_without_a_type_is_a_gateway_with_its_prefix_list(engine: Driver, world: World) -> None:
    made = engine.create(
        VPC_ENDPOINT, "s3", vpcId=world.vpc.id, serviceName=f"com.amazonaws.{REGION}.s3", routeTableIds=[world.table.id]
    )
    assert made.outputs["vpcEndpointType"] == "Gateway"
    assert made.outputs["prefixListId"].startswith("pl-")


def test_vpc_endpoint_lists_and_policy_left_out_keep_the_old(engine: Driver, world: World) -> None:
    base: dict[str, Any] = {"vpcId": world.vpc.id, "serviceName": f"com.amazonaws.{REGION}.s3"}
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}'
    made = engine.create(VPC_ENDPOINT, "s3", **base, routeTableIds=[world.table.id], policy=policy)
    assert engine.changed(made, **base) == {}


def test_interface_endpoint_order_of_lists_does_not_count(engine: Driver, world: World) -> None:
    second = engine.create("aws:ec2/subnet:Subnet", "two", vpcId=world.vpc.id, cidrBlock="10.0.3.0/24")
    base: dict[str, Any] = {
        "vpcId": world.vpc.id,
        "serviceName": f"com.amazonaws.{REGION}.logs",
        "vpcEndpointType": "Interface",
        "privateDnsEnabled": True,
        "securityGroupIds": [world.group.id],
    }
    made = engine.create(VPC_ENDPOINT, "logs", **base, subnetIds=[world.subnet.id, second.id])
    assert engine.changed(made, **base, subnetIds=[second.id, world.subnet.id]) == {}
    assert engine.changed(made, **base, subnetIds=[second.id]) == {"subnetIds": False}
    assert engine.changed(made, **{**base, "privateDnsEnabled": False}) == {"privateDnsEnabled": False}


def test_flow_log_reads_the_failure_that_ec2_answers_with_200(engine: Driver, world: World) -> None:
    inputs: dict[str, Any] = {
        "vpcId": world.vpc.id,
        "trafficType": "ALL",
        "logDestinationType": "s3",
        "logDestination": "arn:aws:s3:::no-such-bucket-anywhere",
    }
    with pytest.raises(ProviderError, match="no-such-bucket-anywhere"):
        engine.create(FLOW_LOG, "logs", **inputs)


def test_flow_log_arn_with_star_plans_a_replacement_for_ever(engine: Driver, world: World) -> None:
    """:* is cut from what is sent, while Read sets what comes back."""
    inputs: dict[str, Any] = {
        "vpcId": world.vpc.id,
        "trafficType": "ALL",
        "logDestination": world.log_group.outputs["arn"] + ":*",
        "iamRoleArn": world.flow_role.outputs["arn"],
    }
    made = engine.create(FLOW_LOG, "logs", **inputs)
    assert made.outputs["logDestination"] == world.log_group.outputs["arn"]
    assert engine.changed(made, **inputs) == {"logDestination": True}


# -- security groups ---------------------------------------------------------------------------------------------------


def test_group_without_egress_has_none_as_the_default_is_revoked(engine: Driver, world: World, cloud: Cloud) -> None:
    assert describe_group(cloud, world.group.id)["IpPermissionsEgress"] == []


def test_group_made_without_a_description_says_managed_by_pulumi(engine: Driver, world: World) -> None:
    made = engine.create(GROUP, "plain", vpcId=world.vpc.id)
    assert made.outputs["description"] == "Managed by Pulumi"
    assert made.inputs["__defaults"] == ["description", "name", "revokeRulesOnDelete"]


def test_group_inline_rules_left_out_are_left_alone_and_an_empty_list_revokes(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    rule = {"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrBlocks": ["10.0.0.0/16"]}
    made = engine.create(GROUP, "g", vpcId=world.vpc.id, ingress=[rule])
    assert engine.changed(made, vpcId=world.vpc.id) == {}
    emptied = engine.update(made, vpcId=world.vpc.id, ingress=[])
    assert describe_group(cloud, emptied.id)["IpPermissions"] == []


def test_group_rules_grouped_another_way_mean_the_same(engine: Driver, world: World) -> None:
    rule = {"protocol": "tcp", "fromPort": 80, "toPort": 80}
    made = engine.create(
        GROUP, "g", vpcId=world.vpc.id, ingress=[{**rule, "cidrBlocks": ["10.0.0.0/24", "10.0.1.0/24"]}]
    )
    split = [{**rule, "cidrBlocks": ["10.0.1.0/24"]}, {**rule, "cidrBlocks": ["10.0.0.0/24"]}]
    assert engine.changed(made, vpcId=world.vpc.id, ingress=split) == {}


def test_group_rules_that_somebody_changed_are_read_and_put_back(engine: Driver, world: World, cloud: Cloud) -> None:
    rule = {"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrBlocks": ["10.0.0.0/24"]}
    made = engine.create(GROUP, "g", vpcId=world.vpc.id, ingress=[rule])
    foreign = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    cloud.client("ec2").authorize_security_group_ingress(GroupId=made.id, IpPermissions=[foreign])
    found = engine.read(made)
    assert found is not None
    assert [one["fromPort"] for one in found.outputs["ingress"]] == [22, 80]
    assert {path.split("[")[0] for path in engine.changed(found, vpcId=world.vpc.id, ingress=[rule])} == {"ingress"}
    mended = engine.update(found, vpcId=world.vpc.id, ingress=[rule])
    assert [one["FromPort"] for one in describe_group(cloud, mended.id)["IpPermissions"]] == [80]


def test_group_protocol_all_with_ports_fails_at_apply_only(engine: Driver, world: World) -> None:
    rule = {"protocol": "-1", "fromPort": 80, "toPort": 80, "cidrBlocks": ["0.0.0.0/0"]}
    engine.preview(GROUP, "g", vpcId=world.vpc.id, egress=[rule])
    with pytest.raises(InitializationFailed, match="must both be 0"):
        engine.create(GROUP, "g", vpcId=world.vpc.id, egress=[rule])


def test_group_with_a_name_given_by_hand_is_deleted_before_its_replacement(engine: Driver, world: World) -> None:
    named = engine.create(GROUP, "g", vpcId=world.vpc.id, name="fixed")
    assert engine.diff(named, vpcId=world.vpc.id, name="fixed", description="other").deleteBeforeReplace is True
    auto = engine.create(GROUP, "h", vpcId=world.vpc.id)
    assert engine.diff(auto, vpcId=world.vpc.id, description="other").deleteBeforeReplace is False


def test_group_in_use_is_tried_again_then_fails(engine: Driver, world: World, cloud: Cloud) -> None:
    group = world.group
    in_use = cloud.faults.add("ec2", "DeleteSecurityGroup", AwsError("DependencyViolation", "has a dependent object"))
    with pytest.raises(ProviderError, match=r"DependencyViolation.*the real provider goes on for 15 min"):
        engine.delete(group)
    in_use.remove()
    cloud.faults.add("ec2", "DeleteSecurityGroup", AwsError("DependencyViolation", "leaving"), times=2)
    configured(cloud, propagation_seconds=60).delete(group)  # as often as it takes, on a slow machine too
    assert engine.read(group) is None


def test_rule_of_another_kind_replaces_and_another_value_does_not(engine: Driver, world: World) -> None:
    base: dict[str, Any] = {"securityGroupId": world.group.id, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    made = engine.create(RULE, "r", **base, cidrIpv4="10.0.0.0/16")
    assert engine.changed(made, **base, cidrIpv4="10.1.0.0/16") == {"cidrIpv4": False}
    assert engine.changed(made, **base, referencedSecurityGroupId=world.group.id) == {
        "cidrIpv4": True,
        "referencedSecurityGroupId": True,
    }


def test_rule_declared_twice_fails_at_create(engine: Driver, world: World) -> None:
    base: dict[str, Any] = {"securityGroupId": world.group.id, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    engine.create(RULE, "one", **base, cidrIpv4="10.0.0.0/16")
    with pytest.raises(ProviderError, match=r"InvalidPermission\.Duplicate"):
        engine.create(RULE, "two", **base, cidrIpv4="10.0.0.0/16")


def test_rule_for_all_protocols_reads_its_ports_as_unset(engine: Driver, world: World) -> None:
    inputs: dict[str, Any] = {"securityGroupId": world.group.id, "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    made = engine.create("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "all", **inputs)
    assert "fromPort" not in made.outputs
    refreshed = engine.read(made)
    assert refreshed is not None
    assert engine.changed(refreshed, **inputs) == {}


def test_rule_takes_exactly_one_source(engine: Driver) -> None:
    base: dict[str, Any] = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 1, "toPort": 1}
    with pytest.raises(CheckFailed, match="exactly one of cidrIpv4, cidrIpv6"):
        engine.preview(RULE, "r", **base)
    with pytest.raises(CheckFailed, match="got: cidrIpv4, prefixListId"):
        engine.preview(RULE, "r", **base, cidrIpv4="10.0.0.0/8", prefixListId="pl-1")


def test_default_group_is_adopted_emptied_and_never_deleted(engine: Driver, world: World, cloud: Cloud) -> None:
    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    default = world.vpc.outputs["defaultSecurityGroupId"]
    assert describe_group(cloud, default)["IpPermissionsEgress"] != []
    made = engine.create(token, "default", vpcId=world.vpc.id)
    assert made.id == default
    assert describe_group(cloud, default)["IpPermissions"] == []
    assert describe_group(cloud, default)["IpPermissionsEgress"] == []
    engine.delete(made)
    assert engine.read(made) is not None
