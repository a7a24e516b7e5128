"""Network: the VPC that models run in, or one that is there already."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_boundary, read_tags
from ._endpoint_policies import INTERFACE_ENDPOINTS
from ._network_parts import Site, flow_logs, interface_endpoints, nat, private_tier, public_tier, s3_endpoint
from ._patterns import KEY_ARN, LOG_RETENTION_DAYS, Pattern
from ._resolve import Reader
from ._subnets import LARGEST_VPC, MOST_ZONES, SMALLEST_VPC, SubnetPlan, plan_subnets

NAT_CHOICES = ("none", "one", "per_zone")
"""`none`: private subnets reach AWS through endpoints and nothing else. `one`: one gateway for all zones, which fall
with its zone. `per_zone`: one gateway in each."""

CIDR = Pattern(r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}", "an IPv4 block such as 10.20.0.0/16", maximum=18)
ZONE = Pattern(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "an availability zone such as eu-west-1a", maximum=24)
VPC_ID = Pattern(r"vpc-[0-9a-f]{8,17}", "a VPC id such as vpc-0123456789abcdef0")
SUBNET_ID = Pattern(r"subnet-[0-9a-f]{8,17}", "a subnet id such as subnet-0123456789abcdef0")
PREFIX_LIST_ID = Pattern(r"pl-[0-9a-f]{8,17}", "a prefix list id such as pl-6da54004")
SECURITY_GROUP_ID = Pattern(r"sg-[0-9a-f]{8,17}", "a security group id such as sg-0123456789abcdef0")


class ExistingVpcArgs(TypedDict):
    """A VPC that is there already. Nothing is made in it."""

    vpc_id: pulumi.Input[str]
    """Id of the VPC."""
    cidr_block: pulumi.Input[str]
    """Address block of the VPC."""
    private_subnet_ids: list[str]
    """Subnets that models run in, at least two, in different zones."""
    public_subnet_ids: NotRequired[list[str]]
    """Subnets with a way to the internet. Omitted: none."""
    s3_prefix_list_id: pulumi.Input[str]
    """Prefix list of S3 in the region; the private subnets' route tables need its gateway endpoint."""
    endpoint_security_group_id: NotRequired[pulumi.Input[str]]
    """Security group of the VPC's interface endpoints. Omitted: it has none that Mainstage should know of."""


class NetworkArgs(AccountArgs):
    """Arguments of Network."""

    cidr_block: NotRequired[str]
    """Address block of the VPC, /16 to /23. Required unless `existing_vpc`."""
    availability_zones: NotRequired[list[str]]
    """Two to six zones of the region. A zone added at the end later moves nothing. Required unless `existing_vpc`."""
    nat: NotRequired[str]
    """NAT gateways: `none`, `one` or `per_zone`. Omitted: `none`."""
    interface_endpoints: NotRequired[list[str]]
    """AWS services reached inside the network, by the short name after `com.amazonaws.<region>.`. Each costs by zone
    and hour. S3 has a gateway endpoint always, which costs nothing. Omitted: none."""
    flow_log_retention_days: NotRequired[float]
    """Days that flow logs are kept, one of the numbers that CloudWatch Logs takes. Omitted: no flow logs."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """Key that encrypts the flow logs; its policy has to let CloudWatch Logs use it. Required with flow logs."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """Permissions boundary of the role that writes flow logs. Omitted: none."""
    deletion_protection: NotRequired[bool]
    """True: the flow logs are neither deleted nor replaced, and survive the stack. Omitted: true."""
    existing_vpc: NotRequired[ExistingVpcArgs]
    """Adopts this VPC. All other settings but the account's are refused beside it. Omitted: a VPC is made."""


@dataclass(frozen=True, kw_only=True)
class _Existing:
    vpc_id: pulumi.Input[str]
    cidr_block: pulumi.Input[str]
    private_subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    public_subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    s3_prefix_list_id: pulumi.Input[str]
    endpoint_security_group_id: Optional[pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    cidr_block: str
    zones: tuple[str, ...]
    plan: SubnetPlan
    nat: str
    interface_endpoints: tuple[str, ...]
    flow_log_retention_days: Optional[int]
    kms_key_arn: Optional[pulumi.Input[str]]
    permissions_boundary_arn: Optional[pulumi.Input[str]]
    deletion_protection: bool
    existing: Optional[_Existing]
    tags: dict[str, pulumi.Input[str]]


_MADE_ONLY = (
    "cidr_block",
    "availability_zones",
    "nat",
    "interface_endpoints",
    "flow_log_retention_days",
    "kms_key_arn",
    "permissions_boundary_arn",
    "deletion_protection",
)


def _resolve(name: str, args: NetworkArgs) -> _Resolved:
    reader = Reader("Network", name, args, NetworkArgs)
    account = read_account(reader)
    existing = _read_existing(reader)
    cidr_block, zones, plan = "", (), SubnetPlan((), ())
    if existing is None and not reader.has("existing_vpc"):
        cidr_block, zones, plan = _read_layout(reader, account)
    days = None
    if reader.has("flow_log_retention_days"):
        days = reader.whole("flow_log_retention_days", one_of=LOG_RETENTION_DAYS)
        if not reader.has("kms_key_arn"):
            reader.refuse("kms_key_arn", None, "the ARN of a KMS key", "add kms_key_arn: flow logs are encrypted")
    services = Pattern("|".join(map(_quoted, INTERFACE_ENDPOINTS)), "one of " + ", ".join(INTERFACE_ENDPOINTS))
    resolved = _Resolved(
        account=account,
        cidr_block=cidr_block,
        zones=zones,
        plan=plan,
        nat=reader.choice("nat", NAT_CHOICES, default="none"),
        interface_endpoints=reader.plain_list("interface_endpoints", services, default=()),
        flow_log_retention_days=days,
        kms_key_arn=reader.optional_text("kms_key_arn", KEY_ARN),
        permissions_boundary_arn=read_boundary(reader),
        deletion_protection=reader.flag("deletion_protection", default=True),
        existing=existing,
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def _quoted(service: str) -> str:
    return service.replace(".", r"\.")


def _read_existing(reader: Reader) -> Optional[_Existing]:
    section = reader.section("existing_vpc", ExistingVpcArgs)
    if section is None:
        return None
    for field in _MADE_ONLY:
        if reader.has(field):
            reader.refuse(field, reader.raw(field), "nothing beside existing_vpc", f"remove {field} or existing_vpc")
    return _Existing(
        vpc_id=section.text("vpc_id", VPC_ID),
        cidr_block=section.text("cidr_block", CIDR),
        private_subnet_ids=section.text_list("private_subnet_ids", SUBNET_ID, minimum=2),
        public_subnet_ids=section.text_list("public_subnet_ids", SUBNET_ID, default=[]),
        s3_prefix_list_id=section.text("s3_prefix_list_id", PREFIX_LIST_ID),
        endpoint_security_group_id=section.optional_text("endpoint_security_group_id", SECURITY_GROUP_ID),
    )


def _read_layout(reader: Reader, account: Account) -> tuple[str, tuple[str, ...], SubnetPlan]:
    cidr_block = reader.plain("cidr_block", CIDR)
    zones = reader.plain_list("availability_zones", ZONE, minimum=2, maximum=MOST_ZONES)
    for index, zone in enumerate(zones):
        if account.region and zone[:-1] != account.region:
            allowed = f"a zone of {account.region}, such as {account.region}a"
            reader.refuse(f"availability_zones[{index}]", zone, allowed, "name zones of the component's region")
    if not cidr_block:
        return "", zones, SubnetPlan((), ())
    allowed = f"a network block of /{LARGEST_VPC} to /{SMALLEST_VPC}, such as 10.20.0.0/16"
    try:
        block = ipaddress.IPv4Network(cidr_block)
    except ValueError as error:
        fix = "give a valid block"
        if "host bits" in str(error):
            fix = f"write {ipaddress.IPv4Network(cidr_block, strict=False)}"
        reader.refuse("cidr_block", cidr_block, allowed, fix)
        return cidr_block, zones, SubnetPlan((), ())
    if not LARGEST_VPC <= block.prefixlen <= SMALLEST_VPC:
        fix = "take a smaller block" if block.prefixlen < LARGEST_VPC else "take a larger block"
        reader.refuse("cidr_block", cidr_block, allowed, fix)
        return cidr_block, zones, SubnetPlan((), ())
    return cidr_block, zones, plan_subnets(cidr_block, min(len(zones), MOST_ZONES) or 1)


def _texts(values: pulumi.Input[Sequence[pulumi.Input[str]]]) -> pulumi.Output[list[str]]:
    return pulumi.Output.from_input(values).apply(lambda known: [str(value) for value in known])


class Network(pulumi.ComponentResource):
    """A VPC with private subnets and endpoints to AWS, public subnets with NAT. Or an existing VPC, adopted."""

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    cidr_block: pulumi.Output[str]
    """Address block of the VPC."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Ids of the private subnets, in the order of the zones. They come after their way to S3."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Ids of the public subnets, in the order of the zones; empty without NAT."""
    s3_prefix_list_id: pulumi.Output[str]
    """Prefix list of S3: what a security group names to let its members reach S3 and nothing else."""
    endpoint_security_group_id: pulumi.Output[Optional[str]]
    """Security group of the interface endpoints; nothing where there are none."""

    def __init__(self, name: str, args: NetworkArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:Network", name, {}, opts)
        resolved = _resolve(name, args)
        if resolved.existing is None:
            self._make(name, resolved)
        else:
            self._adopt(resolved.existing)
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "cidr_block": self.cidr_block,
                "private_subnet_ids": self.private_subnet_ids,
                "public_subnet_ids": self.public_subnet_ids,
                "s3_prefix_list_id": self.s3_prefix_list_id,
                "endpoint_security_group_id": self.endpoint_security_group_id,
            }
        )

    def _adopt(self, existing: _Existing) -> None:
        self.vpc_id = pulumi.Output.from_input(existing.vpc_id)
        self.cidr_block = pulumi.Output.from_input(existing.cidr_block)
        self.private_subnet_ids = _texts(existing.private_subnet_ids)
        self.public_subnet_ids = _texts(existing.public_subnet_ids)
        self.s3_prefix_list_id = pulumi.Output.from_input(existing.s3_prefix_list_id)
        self.endpoint_security_group_id = pulumi.Output.from_input(existing.endpoint_security_group_id)

    def _make(self, name: str, resolved: _Resolved) -> None:
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=resolved.cidr_block,
            instance_tenancy="default",
            enable_dns_support=True,
            # Interface endpoints answer under AWS's own host names only when both DNS attributes are on.
            enable_dns_hostnames=True,
            tags={**resolved.tags, "Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
        site = Site(name=name, parent=self, account=resolved.account, vpc=vpc, zones=resolved.zones, tags=resolved.tags)
        # AWS makes this group in every VPC, and it lets its members talk to each other and to anyone. Adopting it with
        # no rules empties it.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-group", vpc_id=vpc.id, ingress=[], egress=[], tags=site.tagged("unused"), opts=site.child()
        )
        private = private_tier(site, resolved.plan.private)
        public = public_tier(site, resolved.plan.public) if resolved.nat != "none" else None
        if public is not None:
            nat(site, per_zone=resolved.nat == "per_zone", public=public, private=private)
        s3 = s3_endpoint(site, private.tables)
        group = None
        if resolved.interface_endpoints:
            group = interface_endpoints(site, resolved.interface_endpoints, private.subnets)
        if resolved.flow_log_retention_days is not None and resolved.kms_key_arn is not None:
            flow_logs(
                site,
                retention_days=resolved.flow_log_retention_days,
                kms_key_arn=resolved.kms_key_arn,
                boundary=resolved.permissions_boundary_arn,
                deletion_protection=resolved.deletion_protection,
            )
        self.vpc_id = vpc.id
        self.cidr_block = vpc.cidr_block
        # Whoever starts something in these subnets needs their way to S3, so the ids come after it.
        way_to_s3 = [s3.id, *(association.id for association in private.associations)]
        subnet_ids = [subnet.id for subnet in private.subnets]
        self.private_subnet_ids = pulumi.Output.all(*subnet_ids, *way_to_s3).apply(lambda ids: ids[: len(subnet_ids)])
        self.public_subnet_ids = pulumi.Output.all(*(subnet.id for subnet in public.subnets) if public else ())
        self.s3_prefix_list_id = s3.prefix_list_id
        self.endpoint_security_group_id = pulumi.Output.from_input(group.id if group else None)
