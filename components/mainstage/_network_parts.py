"""The pieces of a VPC: subnets with their routes, endpoints, flow logs. `network.py` puts them together."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from ._account import Account
from ._endpoint_policies import interface_endpoint_policy, s3_endpoint_policy
from ._policy import Statement, document
from ._roles import service_role


@dataclass(frozen=True, kw_only=True)
class Site:
    """What every piece needs to know: whose child it is, where it stands, how it is tagged."""

    name: str
    parent: pulumi.Resource
    account: Account
    vpc: "aws.ec2.Vpc"
    zones: tuple[str, ...]
    tags: dict[str, pulumi.Input[str]]

    def child(self, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
        """Fresh options for one child."""
        return pulumi.ResourceOptions(parent=self.parent, depends_on=list(depends_on))

    def tagged(self, suffix: str) -> dict[str, pulumi.Input[str]]:
        """The tags of one child; the console shows `Name`."""
        return {**self.tags, "Name": f"{self.name}-{suffix}"}


@dataclass(frozen=True)
class Tier:
    """Subnets of one kind, with the route table of each."""

    subnets: "tuple[aws.ec2.Subnet, ...]"
    tables: "tuple[aws.ec2.RouteTable, ...]"
    associations: "tuple[aws.ec2.RouteTableAssociation, ...]"


def private_tier(site: Site, blocks: Sequence[str]) -> Tier:
    """A private subnet and a route table for each zone. Each zone has a table of its own whatever the NAT, so that
    another choice of NAT changes routes and nothing else."""
    subnets, tables, associations = [], [], []
    for number, (zone, block) in enumerate(zip(site.zones, blocks, strict=True), start=1):
        subnet = _subnet(site, f"private-{number}", zone, block)
        table = _table(site, f"private-{number}-routes")
        subnets.append(subnet)
        tables.append(table)
        associations.append(_associate(site, f"private-{number}-association", subnet, table))
    return Tier(tuple(subnets), tuple(tables), tuple(associations))


def public_tier(site: Site, blocks: Sequence[str]) -> Tier:
    """A public subnet for each zone, one route table, and the way to the internet."""
    gateway = aws.ec2.InternetGateway(
        f"{site.name}-internet", vpc_id=site.vpc.id, tags=site.tagged("internet"), opts=site.child()
    )
    table = _table(site, "public-routes")
    aws.ec2.Route(
        f"{site.name}-public-default",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=gateway.id,
        opts=site.child(),
    )
    subnets, associations = [], []
    for number, (zone, block) in enumerate(zip(site.zones, blocks, strict=True), start=1):
        subnet = _subnet(site, f"public-{number}", zone, block)
        subnets.append(subnet)
        associations.append(_associate(site, f"public-{number}-association", subnet, table))
    return Tier(tuple(subnets), (table,), tuple(associations))


def nat(site: Site, *, per_zone: bool, public: Tier, private: Tier) -> None:
    """NAT gateways, and the private tier's default routes through them."""
    gateways = []
    for number, subnet in enumerate(public.subnets if per_zone else public.subnets[:1], start=1):
        address = aws.ec2.Eip(
            f"{site.name}-nat-{number}-address",
            domain="vpc",
            tags=site.tagged(f"nat-{number}"),
            opts=site.child(),
        )
        gateways.append(
            aws.ec2.NatGateway(
                f"{site.name}-nat-{number}",
                subnet_id=subnet.id,
                allocation_id=address.allocation_id,
                connectivity_type="public",
                tags=site.tagged(f"nat-{number}"),
                # A gateway whose subnet has no way out fails to come up.
                opts=site.child(public.associations[number - 1]),
            )
        )
    for number, table in enumerate(private.tables, start=1):
        gateway = gateways[number - 1] if per_zone else gateways[0]
        aws.ec2.Route(
            f"{site.name}-private-{number}-default",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            nat_gateway_id=gateway.id,
            opts=site.child(),
        )


def s3_endpoint(site: Site, tables: "Sequence[aws.ec2.RouteTable]") -> "aws.ec2.VpcEndpoint":
    """The gateway endpoint of S3 in the given route tables. It costs nothing."""
    return aws.ec2.VpcEndpoint(
        f"{site.name}-s3-endpoint",
        vpc_id=site.vpc.id,
        service_name=f"com.amazonaws.{site.account.region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[table.id for table in tables],
        policy=document(s3_endpoint_policy(site.account)),
        tags=site.tagged("s3"),
        opts=site.child(),
    )


def interface_endpoints(
    site: Site, services: Sequence[str], subnets: "Sequence[aws.ec2.Subnet]"
) -> "aws.ec2.SecurityGroup":
    """An endpoint for each service in every private subnet, behind one group that takes HTTPS from the VPC."""
    group = aws.ec2.SecurityGroup(
        f"{site.name}-endpoints",
        vpc_id=site.vpc.id,
        # A changed description replaces the group, which hangs while endpoints use it: it never changes. No rules here:
        # inline rules and rule resources fight over them.
        description="HTTPS from the VPC to interface endpoints of AWS services",
        tags=site.tagged("endpoints"),
        opts=site.child(),
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{site.name}-endpoints-https",
        security_group_id=group.id,
        description="HTTPS from the VPC",
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_ipv4=site.vpc.cidr_block,
        tags=site.tagged("endpoints-https"),
        opts=site.child(),
    )
    for service in services:
        aws.ec2.VpcEndpoint(
            f"{site.name}-endpoint-{service.replace('.', '-')}",
            vpc_id=site.vpc.id,
            service_name=f"com.amazonaws.{site.account.region}.{service}",
            # Left out, it is Gateway, which AWS refuses for these services.
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[subnet.id for subnet in subnets],
            security_group_ids=[group.id],
            policy=document(interface_endpoint_policy(site.account, service)),
            tags=site.tagged(service.replace(".", "-")),
            opts=site.child(),
        )
    return group


def flow_logs(
    site: Site,
    *,
    retention_days: int,
    kms_key_arn: pulumi.Input[str],
    boundary: pulumi.Input[str] | None,
    deletion_protection: bool,
) -> None:
    """Every accepted and refused connection, in an encrypted log group."""
    group = aws.cloudwatch.LogGroup(
        f"{site.name}-flow-logs",
        retention_in_days=retention_days,
        kms_key_id=kms_key_arn,
        log_group_class="STANDARD",
        tags=site.tagged("flow-logs"),
        opts=pulumi.ResourceOptions(
            parent=site.parent, protect=deletion_protection, retain_on_delete=deletion_protection
        ),
    )
    taken = service_role(
        f"{site.name}-flow-logs",
        parent=site.parent,
        service="vpc-flow-logs.amazonaws.com",
        account_id=site.account.account_id,
        source_arn=site.account.arn("ec2", "vpc-flow-log/*"),
        description="Writes the VPC's flow logs",
        statements=[
            # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
            Statement(
                sid="WriteFlowLogs",
                reason="VPC Flow Logs writes one stream for each network interface",
                actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                resources=[group.arn.apply(lambda arn: f"{arn}:*")],
            ),
            Statement(
                sid="FindLogGroup",
                reason="VPC Flow Logs looks the log group up; Logs asks about all groups, whatever the prefix",
                actions=["logs:DescribeLogGroups"],
                resources=[site.account.arn("logs", "log-group:*")],
            ),
        ],
        boundary=boundary,
        tags=site.tags,
    )
    aws.ec2.FlowLog(
        f"{site.name}-flow-log",
        vpc_id=site.vpc.id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=taken.role.arn,
        max_aggregation_interval=600,
        tags=site.tagged("flow-log"),
        opts=site.child(taken.policy),
    )


def _subnet(site: Site, suffix: str, zone: str, block: str) -> "aws.ec2.Subnet":
    return aws.ec2.Subnet(
        f"{site.name}-{suffix}",
        vpc_id=site.vpc.id,
        availability_zone=zone,
        cidr_block=block,
        # Nothing gets a public address by standing in a subnet, not even in a public one.
        map_public_ip_on_launch=False,
        tags=site.tagged(suffix),
        opts=site.child(),
    )


def _table(site: Site, suffix: str) -> "aws.ec2.RouteTable":
    # No inline routes: they would own all routes of the table and delete those of Route resources.
    return aws.ec2.RouteTable(f"{site.name}-{suffix}", vpc_id=site.vpc.id, tags=site.tagged(suffix), opts=site.child())


def _associate(
    site: Site, suffix: str, subnet: "aws.ec2.Subnet", table: "aws.ec2.RouteTable"
) -> "aws.ec2.RouteTableAssociation":
    return aws.ec2.RouteTableAssociation(
        f"{site.name}-{suffix}", subnet_id=subnet.id, route_table_id=table.id, opts=site.child()
    )
