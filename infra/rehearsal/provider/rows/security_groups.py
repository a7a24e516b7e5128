"""Security groups and their rules: internal/service/ec2/vpc_security_group*.go, vpc_default_security_group.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, Step, between, matches, required_one_of, step
from infra.rehearsal.provider.rows.network import ec2_arn, first, while_in_use
from infra.rehearsal.provider.tags import ec2_tagging, optional, specification, tag_map
from infra.rehearsal.provider.translate import Call
from infra.rehearsal.provider.values import has_unknown

_GONE = ("InvalidGroup.NotFound", "InvalidGroupId.Malformed")

# -- inline rules -------------------------------------------------------------------------------------------

_SOURCES = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}
Permission = tuple[str, int, int, str, str, str]
"""(protocol, from port, to port, list member, source, description): one rule as EC2 counts them."""


def _permissions(rules: Iterable[Mapping[str, Any]], group_id: str) -> set[Permission]:
    """The program's rules, one entry a source."""
    found: set[Permission] = set()
    for rule in rules:
        protocol = str(rule.get("protocol", "")).lower()
        protocol = "-1" if protocol == "all" else protocol
        ports = (0, 0) if protocol == "-1" else (int(rule.get("fromPort") or 0), int(rule.get("toPort") or 0))
        if protocol == "-1" and (rule.get("fromPort") or rule.get("toPort")):
            raise ApiError(
                "ec2",
                "AuthorizeSecurityGroupRules",
                "InvalidParameterValue",
                f"from_port ({rule.get('fromPort')}) and to_port ({rule.get('toPort')}) must both be 0 to use the"
                ' "-1" (all) protocol',
            )
        text = str(rule.get("description") or "")
        sources = [
            (list_member, str(value)) for name, (list_member, _) in _SOURCES.items() for value in rule.get(name) or []
        ]
        if rule.get("self"):
            sources.append(("UserIdGroupPairs", group_id))
        found |= {(protocol, ports[0], ports[1], list_member, value, text) for list_member, value in sources}
    return found


def _ip_permission(one: Permission) -> dict[str, Any]:
    protocol, low, high, list_member, source, text = one
    key = next(key for member, key in _SOURCES.values() if member == list_member)
    ports = {} if protocol == "-1" else {"FromPort": low, "ToPort": high}
    return {"IpProtocol": protocol, **ports, list_member: [{key: source, **optional("Description", text)}]}


def _live_permissions(permissions: Iterable[Mapping[str, Any]]) -> set[Permission]:
    found: set[Permission] = set()
    for permission in permissions:
        protocol = permission["IpProtocol"]
        ports = (0, 0) if protocol == "-1" else (permission.get("FromPort", 0), permission.get("ToPort", 0))
        for list_member, key in _SOURCES.values():
            for source in permission.get(list_member) or []:
                text = source.get("Description") or ""
                found.add((protocol, ports[0], ports[1], list_member, source.get(key, ""), text))
    return found


def _shown_rules(live: set[Permission], group_id: str) -> list[dict[str, Any]]:
    """One rule block an entry; Read keeps the program's grouping where it means the same."""
    rules = []
    for protocol, low, high, list_member, source, text in sorted(live):
        name = next(name for name, (member, _) in _SOURCES.items() if member == list_member)
        own = list_member == "UserIdGroupPairs" and source == group_id
        rule: dict[str, Any] = {"protocol": protocol, "fromPort": low, "toPort": high, "self": own}
        rules.append(rule | ({} if own else {name: [source]}) | optional("description", text))
    return rules


def _same_rules(old: Any, new: Any) -> bool:
    if has_unknown(new):
        return False
    try:
        return _permissions(old, "self") == _permissions(new, "self")
    except ApiError:
        return False  # an impossible rule is found at apply, as in the real provider


_DIRECTIONS = {"ingress": ("Ingress", "IpPermissions"), "egress": ("Egress", "IpPermissionsEgress")}


def _group(op: Operation) -> Any | None:
    return first(op, "DescribeSecurityGroups", "SecurityGroups", _GONE, GroupIds=[op.id])


def _set_rules(op: Operation, direction: str) -> None:
    """Revokes what goes, then authorises what comes: a gap in traffic."""
    word, member = _DIRECTIONS[direction]
    group = _group(op) or {}
    live = _live_permissions(group.get(member) or [])
    wanted = _permissions(op.inputs.get(direction) or [], op.id)
    if live - wanted:
        _change(op, f"RevokeSecurityGroup{word}", live - wanted)
    if wanted - live:
        _change(op, f"AuthorizeSecurityGroup{word}", wanted - live)


def _change(op: Operation, operation: str, entries: set[Permission]) -> None:
    op.call("ec2", operation, GroupId=op.id, IpPermissions=[_ip_permission(one) for one in sorted(entries)])


def _read_group(op: Operation) -> Mapping[str, Any] | None:
    group = _group(op)
    if group is None:
        return None
    owner = group.get("OwnerId") or op.account.account_id
    return op.shown_tags(tag_map(group.get("Tags"))) | {
        "arn": ec2_arn(op, "security-group", op.id, owner),
        "description": group.get("Description"),
        "ingress": _shown_rules(_live_permissions(group.get("IpPermissions") or []), op.id),
        "egress": _shown_rules(_live_permissions(group.get("IpPermissionsEgress") or []), op.id),
        "name": group["GroupName"],
        "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
        "ownerId": owner,
        "vpcId": group.get("VpcId"),
    }


_RULE_STEPS: tuple[Step, ...] = (
    step(lambda op: _set_rules(op, "ingress"), "ingress"),
    step(lambda op: _set_rules(op, "egress"), "egress"),
)

# -- aws:ec2/securityGroup:SecurityGroup --------------------------------------------------------------------

_CREATE_GROUP = Call(
    "ec2",
    "CreateSecurityGroup",
    rules={"name": "GroupName"},
    only=frozenset({"name", "description", "vpcId"}),
)


def _create_group(op: Operation) -> None:
    answer = op.send(_CREATE_GROUP, GroupName=op.name_from(), **specification("security-group", op.wanted_tags()))
    op.created(answer["GroupId"])
    op.wait(
        lambda: "found" if _group(op) else "missing",
        pending={"missing"},
        target={"found"},
        timeout_seconds=600,
        what=f"EC2 Security Group ({op.id}) create",
    )
    # AWS puts an allow-all egress rule on every group in a VPC; without egress in the program there is none.
    for source in ("0.0.0.0/0", "::/0"):
        list_member, key = ("IpRanges", "CidrIp") if "." in source else ("Ipv6Ranges", "CidrIpv6")
        op.gone(
            lambda member=list_member, key=key, source=source: op.call(
                "ec2",
                "RevokeSecurityGroupEgress",
                GroupId=op.id,
                IpPermissions=[{"IpProtocol": "-1", member: [{key: source}]}],
            ),
            "InvalidPermission.NotFound",
        )
    for direction in _DIRECTIONS:
        if op.inputs.get(direction):
            _set_rules(op, direction)


def _delete_group(op: Operation) -> None:
    if op.state.get("revokeRulesOnDelete"):
        group = _group(op) or {}
        for word, member in _DIRECTIONS.values():
            entries = _live_permissions(group.get(member) or [])
            if entries:
                _change(op, f"RevokeSecurityGroup{word}", entries)
    while_in_use(op, lambda: op.call("ec2", "DeleteSecurityGroup", GroupId=op.id), 15, *_GONE)


SECURITY_GROUP = Row(
    type="aws:ec2/securityGroup:SecurityGroup",
    source="ec2/vpc_security_group.go",
    label="EC2 Security Group",
    create=_create_group,
    read=_read_group,
    delete=_delete_group,
    calls=(_CREATE_GROUP,),
    steps=_RULE_STEPS,
    name=AutoName(),
    force_new=frozenset({"description", "name", "namePrefix", "vpcId"}),
    computed=frozenset({"egress", "ingress", "name", "namePrefix", "vpcId"}),
    defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
    equal={"ingress": _same_rules, "egress": _same_rules},
    state_only=frozenset({"revokeRulesOnDelete"}),
    never_sent=frozenset({"namePrefix"}),
    rules=(matches("name", r"(?!sg-).{1,255}", "name takes 1 to 255 characters and may not start with sg-"),),
    tagging=ec2_tagging(),
)

# -- aws:ec2/defaultSecurityGroup:DefaultSecurityGroup ------------------------------------------------------


def _adopt_group(op: Operation) -> None:
    """Finds the VPC's `default` group, revokes every rule it has, applies the program's."""
    filters = [{"Name": "group-name", "Values": ["default"]}]
    if op.inputs.get("vpcId"):
        filters.append({"Name": "vpc-id", "Values": [op.inputs["vpcId"]]})
    else:
        filters.append({"Name": "description", "Values": ["default group"]})
    group = first(op, "DescribeSecurityGroups", "SecurityGroups", (), Filters=filters)
    if group is None:
        where = op.inputs.get("vpcId") or "the default VPC"
        raise ApiError(
            "ec2", "DescribeSecurityGroups", "InvalidGroup.NotFound", f"no default security group in {where}"
        )
    op.created(group["GroupId"])
    for direction in _DIRECTIONS:
        _set_rules(op, direction)
    if op.wanted_tags() and op.row.tagging:
        op.row.tagging.put(op, op.wanted_tags())


DEFAULT_SECURITY_GROUP = Row(
    type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    source="ec2/vpc_default_security_group.go",
    label="EC2 Default Security Group",
    create=_adopt_group,
    read=_read_group,
    # The group lives and dies with its VPC.
    delete=lambda op: None,
    steps=_RULE_STEPS,
    force_new=frozenset({"vpcId"}),
    computed=frozenset({"egress", "ingress", "vpcId"}),
    defaults={"revokeRulesOnDelete": False},
    equal={"ingress": _same_rules, "egress": _same_rules},
    state_only=frozenset({"revokeRulesOnDelete"}),
    never_sent=frozenset({"vpcId"}),
    tagging=ec2_tagging(),
)

# -- aws:vpc/securityGroup{Ingress,Egress}Rule --------------------------------------------------------------

_RULE_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _rule_permission(inputs: Mapping[str, Any]) -> dict[str, Any]:
    permission: dict[str, Any] = {"IpProtocol": str(inputs["ipProtocol"])}
    for name, member in (("fromPort", "FromPort"), ("toPort", "ToPort")):
        if inputs.get(name) is not None:
            permission[member] = inputs[name]
    text = optional("Description", inputs.get("description"))
    if inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **text}]
    elif inputs.get("cidrIpv6"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": inputs["cidrIpv6"], **text}]
    elif inputs.get("prefixListId"):
        permission["PrefixListIds"] = [{"PrefixListId": inputs["prefixListId"], **text}]
    else:
        permission["UserIdGroupPairs"] = [{**_reference(str(inputs["referencedSecurityGroupId"])), **text}]
    return permission


def _reference(id: str) -> dict[str, str]:
    """A group of another account is written account/sg-id."""
    account, _, group = id.rpartition("/")
    return {"GroupId": group, **optional("UserId", account)}


def _create_rule(op: Operation, operation: str) -> None:
    answer = op.call(
        "ec2",
        operation,
        GroupId=op.inputs["securityGroupId"],
        IpPermissions=[_rule_permission(op.inputs)],
        **specification("security-group-rule", op.wanted_tags()),
    )
    op.created(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])


def _read_rule(op: Operation) -> Mapping[str, Any] | None:
    rule = first(
        op,
        "DescribeSecurityGroupRules",
        "SecurityGroupRules",
        ("InvalidSecurityGroupRuleId.NotFound",),
        SecurityGroupRuleIds=[op.id],
    )
    if rule is None:
        return None
    reference = rule.get("ReferencedGroupInfo") or {}
    asked = {**op.state, **op.inputs}
    return op.shown_tags(tag_map(rule.get("Tags"))) | {
        "arn": ec2_arn(op, "security-group-rule", op.id),
        "cidrIpv4": rule.get("CidrIpv4"),
        "cidrIpv6": rule.get("CidrIpv6"),
        "description": rule.get("Description"),
        # Ports read back as unset where AWS says -1 and the program gave none.
        "fromPort": _port(rule.get("FromPort"), asked.get("fromPort")),
        "ipProtocol": rule.get("IpProtocol"),
        "prefixListId": rule.get("PrefixListId"),
        "referencedSecurityGroupId": reference.get("GroupId"),
        "securityGroupId": rule.get("GroupId"),
        "securityGroupRuleId": op.id,
        "toPort": _port(rule.get("ToPort"), asked.get("toPort")),
    }


def _port(live: Any, asked: Any) -> Any:
    return None if live == -1 and asked is None else live


def _modify_rule(op: Operation) -> None:
    rule: dict[str, Any] = {"IpProtocol": str(op.inputs["ipProtocol"])}
    members = {
        "cidrIpv4": "CidrIpv4",
        "cidrIpv6": "CidrIpv6",
        "prefixListId": "PrefixListId",
        "referencedSecurityGroupId": "ReferencedGroupId",
        "description": "Description",
        "fromPort": "FromPort",
        "toPort": "ToPort",
    }
    rule |= {member: op.inputs[name] for name, member in members.items() if op.inputs.get(name) is not None}
    op.call(
        "ec2",
        "ModifySecurityGroupRules",
        GroupId=op.inputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": op.id, "SecurityGroupRule": rule}],
    )


def _delete_rule(op: Operation, operation: str) -> None:
    op.gone(
        lambda: op.call("ec2", operation, GroupId=op.state["securityGroupId"], SecurityGroupRuleIds=[op.id]),
        "InvalidSecurityGroupRuleId.NotFound",
        "InvalidGroup.NotFound",
        "InvalidPermission.NotFound",
    )


def _kind_changes(old: Any, new: Any, _: Mapping[str, Any]) -> bool:
    """Changing which kind of source a rule has replaces it; another value of the same kind does not."""
    return (old is None) != (new is None)


def _rule_row(direction: str) -> Row:
    word = direction.capitalize()
    return Row(
        type=f"aws:vpc/securityGroup{word}Rule:SecurityGroup{word}Rule",
        source=f"ec2/vpc_security_group_{direction}_rule.go",
        label=f"VPC Security Group {word} Rule",
        create=lambda op: _create_rule(op, f"AuthorizeSecurityGroup{word}"),
        read=_read_rule,
        delete=lambda op: _delete_rule(op, f"RevokeSecurityGroup{word}"),
        steps=(step(_modify_rule, *_RULE_SOURCES, "description", "fromPort", "toPort", "ipProtocol"),),
        force_new=frozenset({"securityGroupId"}),
        replaces_when=dict.fromkeys(_RULE_SOURCES, _kind_changes),
        never_sent=frozenset({"securityGroupId"}),
        rules=(
            required_one_of(*_RULE_SOURCES),
            between("fromPort", -1, 65535),
            between("toPort", -1, 65535),
        ),
        tagging=ec2_tagging(),
        framework=True,
    )


ROWS = (SECURITY_GROUP, DEFAULT_SECURITY_GROUP, _rule_row("ingress"), _rule_row("egress"))
