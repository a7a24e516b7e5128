"""Network, RoleBoundary, Pager: exact inputs, both ways."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage._endpoint_policies import INTERFACE_ENDPOINTS
from mainstage._subnets import plan_subnets

from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]

ADOPTED = {
    "vpc_id": "vpc-0123456789abcdef0",
    "cidr_block": "10.1.0.0/16",
    "private_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "s3_prefix_list_id": "pl-6da54004",
}
MADE = (
    "cidr_block",
    "availability_zones",
    "nat",
    "interface_endpoints",
    "flow_log_retention_days",
    "kms_key_arn",
    "permissions_boundary_arn",
)


@st.composite
def networks(draw: st.DrawFn) -> str:
    prefix = draw(st.integers(16, 23))
    address = draw(st.integers(0, 2**prefix - 1)) << (32 - prefix)
    return str(ipaddress.IPv4Network((address, prefix)))


class TestSubnets:
    @given(networks(), st.integers(1, 6))
    def test_they_lie_in_the_vpc_and_apart_from_each_other(self, cidr_block: str, zones: int) -> None:
        plan = plan_subnets(cidr_block, zones)
        subnets = [ipaddress.IPv4Network(block) for block in (*plan.private, *plan.public)]
        assert len(plan.private) == len(plan.public) == zones
        vpc = ipaddress.IPv4Network(cidr_block)
        assert all(subnet.subnet_of(vpc) for subnet in subnets)
        assert all(16 <= subnet.prefixlen <= 28 for subnet in subnets)
        assert not [(a, b) for i, a in enumerate(subnets) for b in subnets[:i] if a.overlaps(b)]

    @given(networks(), st.integers(1, 5))
    def test_another_zone_moves_none_of_them(self, cidr_block: str, zones: int) -> None:
        fewer, more = plan_subnets(cidr_block, zones), plan_subnets(cidr_block, zones + 1)
        assert more.private[:zones] == fewer.private
        assert more.public[:zones] == fewer.public

    def test_the_layout(self) -> None:
        plan = plan_subnets("10.20.0.0/16", 2)
        assert plan.private == ("10.20.0.0/20", "10.20.16.0/20")
        assert plan.public == ("10.20.128.0/21", "10.20.136.0/21")

    @pytest.mark.parametrize(("cidr_block", "zones"), [("10.0.0.0/15", 2), ("10.0.0.0/24", 2), ("10.0.0.0/16", 7)])
    def test_what_does_not_fit_is_refused(self, cidr_block: str, zones: int) -> None:
        with pytest.raises(ValueError, match="the layout"):
            plan_subnets(cidr_block, zones)


class TestNetwork:
    def test_children(self, build: Build, tree: Tree) -> None:
        found = [(type_.rpartition("/")[2].partition(":")[0], name) for type_, name, _ in tree(build("Network"))]
        assert found == [
            ("logGroup", "thing-flow-logs"),
            ("defaultSecurityGroup", "thing-default-group"),
            ("eip", "thing-nat-1-address"),
            ("eip", "thing-nat-2-address"),
            ("flowLog", "thing-flow-log"),
            ("internetGateway", "thing-internet"),
            ("natGateway", "thing-nat-1"),
            ("natGateway", "thing-nat-2"),
            ("route", "thing-private-1-default"),
            ("route", "thing-private-2-default"),
            ("route", "thing-public-default"),
            ("routeTable", "thing-private-1-routes"),
            ("routeTable", "thing-private-2-routes"),
            ("routeTable", "thing-public-routes"),
            ("routeTableAssociation", "thing-private-1-association"),
            ("routeTableAssociation", "thing-private-2-association"),
            ("routeTableAssociation", "thing-public-1-association"),
            ("routeTableAssociation", "thing-public-2-association"),
            ("securityGroup", "thing-endpoints"),
            ("subnet", "thing-private-1"),
            ("subnet", "thing-private-2"),
            ("subnet", "thing-public-1"),
            ("subnet", "thing-public-2"),
            ("vpc", "thing-vpc"),
            ("vpcEndpoint", "thing-endpoint-ecr-api"),
            ("vpcEndpoint", "thing-endpoint-logs"),
            ("vpcEndpoint", "thing-s3-endpoint"),
            ("role", "thing-flow-logs-role"),
            ("rolePolicy", "thing-flow-logs-policy"),
            ("securityGroupIngressRule", "thing-endpoints-https"),
            ("mainstage", "thing"),
        ]

    def test_the_vpc(self, build: Build, inputs: Inputs) -> None:
        result = build("Network")
        assert inputs(result, "thing-vpc") == {
            "cidrBlock": "10.20.0.0/16",
            "instanceTenancy": "default",
            "enableDnsSupport": True,
            "enableDnsHostnames": True,
            "tags": {"Name": "thing"},
        }
        group = inputs(result, "thing-default-group")
        assert (group["ingress"], group["egress"]) == ([], [])
        for name in ("private-1", "private-2", "public-1", "public-2"):
            assert inputs(result, f"thing-{name}")["mapPublicIpOnLaunch"] is False
        assert inputs(result, "thing-private-2")["availabilityZone"] == "eu-west-1b"
        for table in ("private-1-routes", "public-routes"):
            assert "routes" not in inputs(result, f"thing-{table}")

    def test_nat_none_has_no_way_to_the_internet(self, build: Build) -> None:
        result = build("Network", nat=None)
        for type_ in ("internetGateway:InternetGateway", "natGateway:NatGateway", "eip:Eip", "route:Route"):
            assert result.of_type(f"aws:ec2/{type_}") == []
        assert result.outputs["public_subnet_ids"] == []
        assert len(result.outputs["private_subnet_ids"]) == 2

    def test_another_choice_of_nat_renames_and_moves_nothing(self, build: Build) -> None:
        runs = {nat: build("Network", nat=nat) for nat in ("none", "one", "per_zone")}
        without = {r.urn: r.inputs for r in runs["none"].resources}
        for nat in ("one", "per_zone"):
            now = {r.urn: r.inputs for r in runs[nat].resources}
            assert {urn: now.get(urn) for urn in without} == without, nat
        gateways = {nat: len(run.of_type("aws:ec2/natGateway:NatGateway")) for nat, run in runs.items()}
        assert gateways == {"none": 0, "one": 1, "per_zone": 2}

    def test_one_gateway_serves_all_zones(self, build: Build, inputs: Inputs) -> None:
        result = build("Network", nat="one")
        gateway = result.one("aws:ec2/natGateway:NatGateway").id
        for number in (1, 2):
            assert inputs(result, f"thing-private-{number}-default")["natGatewayId"] == gateway
        options = result.named("thing-nat-1").options
        assert result.named("thing-public-1-association").urn in options.depends_on

    def test_the_way_to_s3(self, build: Build, inputs: Inputs) -> None:
        result = build("Network")
        endpoint = inputs(result, "thing-s3-endpoint")
        assert endpoint["serviceName"] == "com.amazonaws.eu-west-1.s3"
        assert endpoint["vpcEndpointType"] == "Gateway"
        assert endpoint["routeTableIds"] == [result.named(f"thing-private-{n}-routes").id for n in (1, 2)]
        ours, layers = json.loads(endpoint["policy"])["Statement"]
        assert ours["Condition"]["StringEquals"] == {
            "aws:PrincipalAccount": "111111111111",
            "aws:ResourceAccount": "111111111111",
        }
        assert layers["Resource"] == ["arn:aws:s3:::prod-eu-west-1-starport-layer-bucket/*"]

    @pytest.mark.parametrize("service", sorted(INTERFACE_ENDPOINTS))
    def test_interface_endpoints(self, build: Build, inputs: Inputs, service: str) -> None:
        result = build("Network", interface_endpoints=[service])
        endpoint = inputs(result, f"thing-endpoint-{service.replace('.', '-')}")
        policy = json.loads(endpoint.pop("policy"))
        assert endpoint == {
            "vpcId": result.named("thing-vpc").id,
            "serviceName": f"com.amazonaws.eu-west-1.{service}",
            "vpcEndpointType": "Interface",
            "privateDnsEnabled": True,
            "subnetIds": [result.named(f"thing-private-{n}").id for n in (1, 2)],
            "securityGroupIds": [result.named("thing-endpoints").id],
            "tags": {"Name": f"thing-{service.replace('.', '-')}"},
        }
        for statement in policy["Statement"]:
            assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "111111111111"}}
            assert not [action for action in statement["Action"] if "*" in action]
        rule = inputs(result, "thing-endpoints-https")
        assert (rule["fromPort"], rule["toPort"], rule["cidrIpv4"]) == (443, 443, "10.20.0.0/16")

    def test_flow_logs(self, build: Build, inputs: Inputs) -> None:
        result = build("Network")
        group = result.named("thing-flow-logs")
        assert group.inputs["retentionInDays"] == 30
        assert group.inputs["kmsKeyId"].startswith("arn:aws:kms:")
        assert (group.options.protect, group.options.retain_on_delete) == (True, True)
        log = inputs(result, "thing-flow-log")
        assert log["logDestination"] == group.outputs["arn"]
        assert log["logDestinationType"] == "cloud-watch-logs"
        assert log["trafficType"] == "ALL"
        assert result.named("thing-flow-logs-policy").urn in result.named("thing-flow-log").options.depends_on
        (trust,) = json.loads(inputs(result, "thing-flow-logs-role")["assumeRolePolicy"])["Statement"]
        assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "111111111111"},
            "ArnLike": {"aws:SourceArn": "arn:aws:ec2:eu-west-1:111111111111:vpc-flow-log/*"},
        }
        assert build("Network", flow_log_retention_days=None).of_type("aws:ec2/flowLog:FlowLog") == []

    def test_an_existing_vpc_is_adopted(self, build: Build, tree: Tree) -> None:
        result = build("Network", existing_vpc=ADOPTED, **dict.fromkeys(MADE))
        assert tree(result) == [("mainstage:index:Network", "thing", "")]
        assert result.outputs == {
            "vpc_id": ADOPTED["vpc_id"],
            "cidr_block": "10.1.0.0/16",
            "private_subnet_ids": ADOPTED["private_subnet_ids"],
            "public_subnet_ids": [],
            "s3_prefix_list_id": "pl-6da54004",
        }

    def test_refusals(self, refused: Refused) -> None:
        found = refused(
            "Network",
            cidr_block="10.20.0.5/16",
            availability_zones=["eu-west-1a", "us-east-1a"],
            nat="two",
            interface_endpoints=["ecr"],
            flow_log_retention_days=31,
            kms_key_arn=None,
        )
        assert [(field, fix) for field, _, _, fix in found] == [
            ("availability_zones[1]", "name zones of the component's region"),
            ("cidr_block", "write 10.20.0.0/16"),
            ("flow_log_retention_days", "the nearest is 30"),
            ("kms_key_arn", "add kms_key_arn: flow logs are encrypted"),
            ("nat", "choose one of none, one, per_zone"),
            ("interface_endpoints[0]", "give a text of that form"),
        ]

    @pytest.mark.parametrize(
        ("cidr_block", "fix"), [("10.0.0.0/24", "take a larger block"), ("10.0.0.0/8", "take a smaller block")]
    )
    def test_blocks_that_are_too_small_or_too_large(self, refused: Refused, cidr_block: str, fix: str) -> None:
        ((field, _, _, given_fix),) = refused("Network", cidr_block=cidr_block)
        assert (field, given_fix) == ("cidr_block", fix)

    def test_one_zone_is_refused(self, refused: Refused) -> None:
        ((field, got, _, _),) = refused("Network", availability_zones=["eu-west-1a"])
        assert (field, got) == ("availability_zones", "'1 items'")

    def test_nothing_beside_an_adopted_vpc(self, refused: Refused) -> None:
        assert [field for field, _, _, _ in refused("Network", existing_vpc=ADOPTED)] == list(MADE)


class TestRoleBoundary:
    def test_it_is_small_and_names_what_it_allows(self, build: Build, inputs: Inputs) -> None:
        result = build("RoleBoundary")
        policy = inputs(result, "thing-policy")
        assert policy["name"] == "thing"
        body = json.loads(policy["policy"])
        assert len(json.dumps(body, separators=(",", ":"))) < 6144
        found = {statement["Sid"]: statement for statement in body["Statement"]}
        assert found["Objects"]["Resource"] == [
            "arn:aws:s3:::mainstage-registry/*",
            "arn:aws:s3:::mainstage-capture/*",
        ]
        assert found["Images"]["Resource"] == [
            "arn:aws:ecr:eu-west-1:111111111111:repository/*",
            "arn:aws:ecr:eu-west-1:141502667606:repository/*",
            "arn:aws:ecr:eu-west-1:763104351884:repository/*",
        ]
        everywhere = {sid for sid, statement in found.items() if statement["Resource"] == ["*"]}
        assert everywhere == {"ImageLogin", "Metrics", "NetworkLookups"}
        assert all("Condition" in found[sid] for sid in everywhere)

    def test_a_policy_that_iam_would_not_take_is_refused(self, refused: Refused) -> None:
        buckets = [f"bucket-{number:03}-{'x' * 40}" for number in range(80)]
        ((field, _, allowed, fix),) = refused("RoleBoundary", bucket_names=buckets)
        assert (field, allowed, fix) == ("bucket_names", "6144", "name fewer buckets")

    def test_refusals(self, refused: Refused) -> None:
        assert [field for field, _, _, _ in refused("RoleBoundary", bucket_names=[], policy_name="A b")] == [
            "policy_name",
            "bucket_names",
        ]


class TestPager:
    def test_topics_are_encrypted_and_alarms_may_publish(self, build: Build, inputs: Inputs, tree: Tree) -> None:
        result = build("Pager", topic_prefix="mainstage-dev")
        assert [name for _, name, _ in tree(result)] == [
            "thing-page",
            "thing-ticket",
            "thing-page-policy",
            "thing-ticket-policy",
            "thing",
        ]
        assert inputs(result, "thing-page") == {
            "name": "mainstage-dev-page",
            "displayName": "mainstage-dev-page",
            "kmsMasterKeyId": "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001",
            "signatureVersion": 2,
            "tags": {},
        }
        allowed, refused_ = json.loads(inputs(result, "thing-page-policy")["policy"])["Statement"]
        assert allowed["Principal"] == {"Service": ["cloudwatch.amazonaws.com"]}
        assert allowed["Resource"] == ["arn:aws:sns:eu-west-1:111111111111:mainstage-dev-page"]
        assert allowed["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "111111111111"},
            "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:*"},
        }
        assert (refused_["Effect"], refused_["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        assert result.named("thing-page").options.protect is True
        assert build("Pager", deletion_protection=False).named("thing-page").options.protect is False
