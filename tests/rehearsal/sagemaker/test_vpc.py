"""A model in a VPC: interfaces under the role, S3 through the network that is really there."""

from __future__ import annotations

import pytest

UNREACHABLE = "Please ensure that the subnet's route table has a route to an S3 VPC endpoint or a NAT device"


class Net:
    """A VPC with two private subnets on one route table, a gateway endpoint of S3, and a group that lets HTTPS out to
    S3."""

    def __init__(self, cloud):
        self.ec2 = cloud.client("ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]
            for number in range(2)
        ]
        self.table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        for subnet in self.subnets:
            self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=subnet)
        self.group = self.ec2.create_security_group(GroupName="g", Description="d", VpcId=self.vpc)["GroupId"]
        self.config = {"Subnets": self.subnets, "SecurityGroupIds": [self.group]}
        self.gateway = self.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName="com.amazonaws.eu-west-1.s3", RouteTableIds=[self.table]
        )["VpcEndpoint"]["VpcEndpointId"]

    def interfaces(self):
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])
        return found["NetworkInterfaces"]

    def close_egress(self):
        everywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.ec2.revoke_security_group_egress(GroupId=self.group, IpPermissions=everywhere)

    def open_egress(self, **target):
        rule = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **target}]
        self.ec2.authorize_security_group_egress(GroupId=self.group, IpPermissions=rule)


@pytest.fixture
def net(cloud):
    return Net(cloud)


@pytest.fixture
def placed(net, stage):
    """A stage whose model lies in the VPC. `net` comes first, so that both see the same empty cloud."""
    stage.model(VpcConfig=net.config)
    stage.config(variants={"stable": {"InitialInstanceCount": 3}})
    return stage


def test_interfaces_come_and_go_with_the_fleet(net, placed):
    assert placed.endpoint()["EndpointStatus"] == "InService"
    made = net.interfaces()
    assert sorted(interface["SubnetId"] for interface in made) == sorted([*net.subnets, net.subnets[0]])
    assert {group["GroupId"] for interface in made for group in interface["Groups"]} == {net.group}
    permissions = net.ec2.describe_network_interface_permissions()["NetworkInterfacePermissions"]
    assert len(permissions) == 3
    assert {entry["AwsService"] for entry in permissions} == {"sagemaker.amazonaws.com"}
    placed.deleted()
    assert net.interfaces() == []
    assert net.ec2.describe_network_interface_permissions()["NetworkInterfacePermissions"] == []


@pytest.mark.parametrize(
    "action",
    [
        "CreateNetworkInterface",
        "CreateNetworkInterfacePermission",
        "DescribeDhcpOptions",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcs",
    ],
)
def test_each_permission_of_the_role_is_needed(net, placed, action):
    needed = {
        "CreateNetworkInterface",
        "CreateNetworkInterfacePermission",
        "DeleteNetworkInterface",
        "DeleteNetworkInterfacePermission",
        "DescribeDhcpOptions",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcs",
    }
    others = ("s3:GetObject", "ecr:*", "logs:*", "cloudwatch:*")
    placed.allow(*others, *(f"ec2:{name}" for name in sorted(needed - {action})))
    found = placed.endpoint()
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        "Unable to create network interfaces in the VPC for the production variant stable."
    )
    assert action in found["FailureReason"]
    assert net.interfaces() == []


def test_a_role_that_may_not_delete_leaves_its_interfaces(net, placed):
    placed.endpoint()
    placed.allow("s3:GetObject", "ecr:*", "logs:*", "cloudwatch:*")
    placed.deleted()
    assert len(net.interfaces()) == 3


def test_without_a_way_to_s3(net, placed):
    net.ec2.delete_vpc_endpoints(VpcEndpointIds=[net.gateway])
    found = placed.endpoint()
    assert found["EndpointStatus"] == "Failed"
    assert UNREACHABLE in found["FailureReason"]
    assert net.interfaces() == []


def test_one_subnet_without_the_gateway_is_enough_to_fail(net, placed):
    other = net.ec2.create_route_table(VpcId=net.vpc)["RouteTable"]["RouteTableId"]
    net.ec2.associate_route_table(RouteTableId=other, SubnetId=net.subnets[1])
    tables = net.ec2.describe_route_tables(RouteTableIds=[net.table])["RouteTables"][0]
    old = [entry for entry in tables["Associations"] if entry.get("SubnetId") == net.subnets[1]]
    net.ec2.disassociate_route_table(AssociationId=old[0]["RouteTableAssociationId"])
    assert UNREACHABLE in placed.endpoint()["FailureReason"]


def test_a_nat_gateway_leads_to_s3_until_it_is_deleted(net, placed):
    net.ec2.delete_vpc_endpoints(VpcEndpointIds=[net.gateway])
    address = net.ec2.allocate_address(Domain="vpc")["AllocationId"]
    public = net.ec2.create_subnet(VpcId=net.vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
    nat = net.ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
    net.ec2.create_route(RouteTableId=net.table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    assert placed.endpoint()["EndpointStatus"] == "InService"
    net.ec2.delete_nat_gateway(NatGatewayId=nat)
    assert UNREACHABLE in placed.endpoint("f")["FailureReason"]


def test_an_internet_gateway_is_no_way_out_of_a_private_address(net, placed):
    net.ec2.delete_vpc_endpoints(VpcEndpointIds=[net.gateway])
    gateway = net.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    net.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=net.vpc)
    net.ec2.create_route(RouteTableId=net.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    assert UNREACHABLE in placed.endpoint()["FailureReason"]


def test_the_security_group_must_let_https_out(net, placed):
    net.close_egress()
    assert UNREACHABLE in placed.endpoint("a")["FailureReason"]
    net.open_egress(IpRanges=[{"CidrIp": "10.0.0.0/16"}])
    assert UNREACHABLE in placed.endpoint("b")["FailureReason"]
    lists = net.ec2.describe_managed_prefix_lists()["PrefixLists"]
    s3 = next(entry["PrefixListId"] for entry in lists if entry["PrefixListName"].endswith(".s3"))
    net.open_egress(PrefixListIds=[{"PrefixListId": s3}])
    assert placed.endpoint("d")["EndpointStatus"] == "InService"


def test_a_security_group_that_is_gone(net, placed):
    placed.endpoint()
    placed.deleted()
    net.ec2.delete_security_group(GroupId=net.group)
    found = placed.endpoint("f")
    assert found["EndpointStatus"] == "Failed"
    assert net.group in found["FailureReason"]
