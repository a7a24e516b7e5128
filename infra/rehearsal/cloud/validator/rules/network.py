"""EC2 networks, EKS clusters and node groups, Fargate sizes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

_GROUP_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*")
_FARGATE_MEMORY_MB: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16_385, 1024)),
    4096: tuple(range(8192, 30_721, 1024)),
    8192: tuple(range(16_384, 61_441, 4096)),
    16_384: tuple(range(32_768, 122_881, 8192)),
}
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html"""


@rule("ec2", "CreateVpc", "CreateSubnet")
def cidr(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""
    block = params.get("CidrBlock")
    if block is None:
        return
    try:
        network = ipaddress.IPv4Network(block, strict=False)
    except ValueError:
        yield Finding("CidrBlock", f"{shown(block)} is no IPv4 CIDR block; write one as 10.0.0.0/16")
        return
    if "/" not in block or not 16 <= network.prefixlen <= 28:
        yield Finding("CidrBlock", f"{shown(block)} has a mask of /{network.prefixlen}, allowed are /16 to /28")


@rule("ec2", "CreateSecurityGroup")
def security_group(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"""
    for name in ("GroupName", "Description"):
        text = params.get(name)
        if text is None:
            continue
        if len(text) > 255:
            yield Finding(name, f"has {len(text)} characters, at most 255 are allowed")
        if not _GROUP_TEXT.fullmatch(text):
            yield Finding(
                name, f"{shown(text)} has characters outside a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{{}}!$*"
            )
    if (params.get("GroupName") or "").startswith("sg-"):
        yield Finding("GroupName", "begins with sg-, which is kept for ids")


@rule("ec2", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def security_group_rules(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html"""
    for index, permission in enumerate(params.get("IpPermissions") or []):
        path = f"IpPermissions[{index}]"
        first, last, protocol = (permission.get(name) for name in ("FromPort", "ToPort", "IpProtocol"))
        if protocol in ("tcp", "udp", "6", "17"):
            for name, port in (("FromPort", first), ("ToPort", last)):
                if port is not None and not 0 <= port <= 65_535:
                    yield Finding(f"{path}.{name}", f"is {port}, allowed are 0 to 65535")
            if first is not None and last is not None and first > last:
                yield Finding(f"{path}.FromPort", f"is {first}, more than ToPort ({last})")
        for member, key, kind in (("IpRanges", "CidrIp", 4), ("Ipv6Ranges", "CidrIpv6", 6)):
            for number, entry in enumerate(permission.get(member) or []):
                yield from _range(f"{path}.{member}[{number}].{key}", entry.get(key), kind)
                text = entry.get("Description")
                if text is not None and not _GROUP_TEXT.fullmatch(text):
                    yield Finding(
                        f"{path}.{member}[{number}].Description", f"{shown(text)} has characters that EC2 refuses"
                    )


def _range(path: str, block: str | None, kind: int) -> Iterator[Finding]:
    if block is None:
        return
    try:
        version = ipaddress.ip_network(block, strict=False).version
    except ValueError:
        yield Finding(path, f"{shown(block)} is no CIDR block")
        return
    if version != kind:
        yield Finding(path, f"{shown(block)} is no IPv{kind} block")


@rule("ec2", "CreateFlowLogs")
def flow_logs(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html"""
    interval = params.get("MaxAggregationInterval")
    if interval is not None and interval not in (60, 600):
        yield Finding("MaxAggregationInterval", f"is {interval} s, allowed are 60 and 600")
    kind = params.get("LogDestinationType")
    if kind == "s3" and params.get("DeliverLogsPermissionArn"):
        yield Finding("DeliverLogsPermissionArn", "does not belong to a log delivered to S3")
    if kind in (None, "cloud-watch-logs") and not partial:
        if not params.get("LogGroupName") and not params.get("LogDestination"):
            yield Finding("LogDestination", "or LogGroupName is required for cloud-watch-logs")
        if not params.get("DeliverLogsPermissionArn"):
            yield Finding("DeliverLogsPermissionArn", "is required for cloud-watch-logs")
    if kind == "s3" and not params.get("LogDestination") and not partial:
        yield Finding("LogDestination", "is required for s3")


@rule("eks", "CreateCluster")
def cluster(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html"""
    name = params.get("name")
    if name is not None and not re.fullmatch(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", name):
        yield Finding("name", f"{shown(name)} is no cluster name: letters, digits, '-' and '_', at most 100")
    version = params.get("version")
    if version is not None and not re.fullmatch(r"1\.\d\d", version):
        yield Finding("version", f"{shown(version)} is no Kubernetes version; write it as 1.33")
    subnets = (params.get("resourcesVpcConfig") or {}).get("subnetIds")
    if subnets is not None and len(set(subnets)) < 2 and not partial:
        yield Finding("resourcesVpcConfig.subnetIds", f"has {len(set(subnets))} subnets, at least 2 are needed")
    yield from _auto_mode(params, partial)


def _auto_mode(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/eks/latest/userguide/automode-get-started-cli.html"""
    switches = {
        "computeConfig.enabled": (params.get("computeConfig") or {}).get("enabled"),
        "storageConfig.blockStorage.enabled": ((params.get("storageConfig") or {}).get("blockStorage") or {}).get(
            "enabled"
        ),
        "kubernetesNetworkConfig.elasticLoadBalancing.enabled": (
            (params.get("kubernetesNetworkConfig") or {}).get("elasticLoadBalancing") or {}
        ).get("enabled"),
    }
    off = [name for name, on in switches.items() if on is False or (on is None and not partial)]
    if any(switches.values()) and off:
        yield Finding(off[0], f"must be on with Auto Mode: {', '.join(switches)} are switched together")
    if any(switches.values()) and params.get("bootstrapSelfManagedAddons"):
        yield Finding("bootstrapSelfManagedAddons", "must be false with Auto Mode")


@rule("eks", "CreateNodegroup", "UpdateNodegroupConfig")
def nodegroup(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html"""
    scaling = params.get("scalingConfig") or {}
    least, wanted, most = (scaling.get(name) for name in ("minSize", "desiredSize", "maxSize"))
    for low, high, text in ((least, wanted, "minSize, desiredSize"), (wanted, most, "desiredSize, maxSize"),
                            (least, most, "minSize, maxSize")):  # fmt: skip
        if low is not None and high is not None and low > high:
            yield Finding("scalingConfig", f"is out of order: {text.replace(', ', f' ({low}) is above ')} ({high})")
    update = params.get("updateConfig") or {}
    if update.get("maxUnavailable") is not None and update.get("maxUnavailablePercentage") is not None:
        yield Finding("updateConfig", "takes maxUnavailable or maxUnavailablePercentage, not both")
    repair = params.get("nodeRepairConfig") or {}
    for stem in ("maxUnhealthyNodeThreshold", "maxParallelNodesRepaired"):
        if repair.get(f"{stem}Count") is not None and repair.get(f"{stem}Percentage") is not None:
            yield Finding("nodeRepairConfig", f"takes {stem}Count or {stem}Percentage, not both")


@rule("ecs", "RegisterTaskDefinition")
def fargate(params: Params, partial: bool) -> Iterator[Finding]:
    if "FARGATE" not in (params.get("requiresCompatibilities") or []):
        return
    cpu, memory = _size(params.get("cpu"), "vcpu"), _size(params.get("memory"), "gb")
    if cpu is None or memory is None:
        if not partial:
            yield Finding("cpu", "and memory are required for Fargate")
        return
    allowed = _FARGATE_MEMORY_MB.get(cpu)
    if allowed is None:
        yield Finding("cpu", f"is {cpu}; allowed for Fargate: {', '.join(map(str, _FARGATE_MEMORY_MB))}")
    elif memory not in allowed:
        yield Finding("memory", f"is {memory} MiB; with {cpu} CPU units allowed: {', '.join(map(str, allowed))}")


def _size(value: Any, unit: str) -> int | None:
    """CPU units or MiB, from "1024" as from "1 vCPU" and "2 GB"."""
    text = str(value or "").lower().replace(" ", "")
    try:
        return int(float(text.removesuffix(unit)) * 1024) if text.endswith(unit) else int(text)
    except ValueError:
        return None
