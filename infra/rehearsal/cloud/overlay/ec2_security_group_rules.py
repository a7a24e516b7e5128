"""EC2 security group rules: descriptions of rules for groups and prefix lists, which moto drops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_TARGETS = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("UserIdGroupPairs", "GroupId"),
    ("PrefixListIds", "PrefixListId"),
)


class Descriptions:
    """Descriptions by rule id."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.by_rule: dict[str, str] = {}

    def close(self) -> None:
        """Nothing runs here."""


@after("ec2", "AuthorizeSecurityGroupIngress")
@after("ec2", "AuthorizeSecurityGroupEgress")
def keep_descriptions(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    asked = dict(_asked(call.params))
    kept = state_of(call.cloud, Descriptions).by_rule
    for rule in output.get("SecurityGroupRules", ()):
        description = asked.get((_ports(rule), _target(rule)))
        if description:
            kept[rule["SecurityGroupRuleId"]] = rule["Description"] = description
    return output


@after("ec2", "ModifySecurityGroupRules")
def change_descriptions(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """The whole rule is given anew: one without a description has none any more."""
    kept = state_of(call.cloud, Descriptions).by_rule
    for change in call.params["SecurityGroupRules"]:
        kept[change["SecurityGroupRuleId"]] = change["SecurityGroupRule"].get("Description", "")
    return output


@after("ec2", "DescribeSecurityGroupRules")
def give_descriptions(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    kept = state_of(call.cloud, Descriptions).by_rule
    for rule in output["SecurityGroupRules"]:
        description = kept.get(rule["SecurityGroupRuleId"])
        if description:
            rule["Description"] = description
        elif description == "":
            rule.pop("Description", None)
    return output


def _asked(params: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, str], str]]:
    """Each rule that the call asks for, by ports and target, with its description."""
    for permission in params.get("IpPermissions") or ():
        for member, target in _TARGETS:
            for entry in permission.get(member) or ():
                yield (_ports(permission), entry.get(target, "")), entry.get("Description", "")


def _ports(rule: Mapping[str, Any]) -> tuple[str, int, int]:
    return rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1)


def _target(rule: Mapping[str, Any]) -> str:
    group = rule.get("ReferencedGroupInfo", {}).get("GroupId")
    return rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or group or ""
