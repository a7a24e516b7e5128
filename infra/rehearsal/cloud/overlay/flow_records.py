"""VPC flow log records of the traffic that the emulated cloud knows of: a model host's download of its archive from S3.

The record is emulated, its occasion is real: the bytes are those of the object, the interface is the one that was
made. It is written under the flow log's own role, with the calls that the role is documented to need (VPC user guide,
"IAM role for publishing flow logs to CloudWatch Logs"). Flow logs to S3 or Firehose keep no records here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.answers import partition_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

SERVICE = "vpc-flow-logs.amazonaws.com"
S3_ADDRESS = "52.218.0.1"
"""Stands for S3's side of a connection; one of the addresses that AWS publishes for S3 in eu-west-1."""
_HTTPS, _TCP, _PACKET_BYTES, _CLIENT_PORT = 443, 6, 1500, 49152

log = logging.getLogger(__name__)


def record_download(cloud: Cloud, region: str, interface_ids: Iterable[str], size_bytes: int) -> None:
    """Writes what the flow logs of the interfaces, their subnets and their VPC keep of a download over HTTPS."""
    ec2 = cloud.client("ec2", region)
    flow_logs = [
        entry
        for entry in ec2.describe_flow_logs()["FlowLogs"]
        if entry.get("LogDestinationType") == "cloud-watch-logs" and entry["TrafficType"] != "REJECT"
    ]
    if not flow_logs:
        return
    for interface in ec2.describe_network_interfaces(NetworkInterfaceIds=list(interface_ids))["NetworkInterfaces"]:
        watched = {interface["VpcId"], interface["SubnetId"], interface["NetworkInterfaceId"]}
        for flow_log in flow_logs:
            if flow_log["ResourceId"] in watched:
                _deliver(cloud, region, flow_log, interface, size_bytes)


def _deliver(
    cloud: Cloud, region: str, flow_log: Mapping[str, Any], interface: Mapping[str, Any], size_bytes: int
) -> None:
    """A role that may not write loses the records and nothing else; the flow log's delivery status says so."""
    group, stream = flow_log["LogGroupName"], f"{interface['NetworkInterfaceId']}-{flow_log['TrafficType'].lower()}"
    source = f"arn:{partition_of(region)}:ec2:{region}:{cloud.account_id}:vpc-flow-log/{flow_log['FlowLogId']}"
    now = cloud.clock.now().timestamp()
    try:
        session = cloud.assume_role(
            flow_log["DeliverLogsPermissionArn"], service=SERVICE, session_name="flow-logs", source_arn=source
        )
        logs = session.client("logs", region_name=region)
        known = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if not any(entry["logGroupName"] == group for entry in known):
            logs.create_log_group(logGroupName=group)
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
        if not any(entry["logStreamName"] == stream for entry in streams):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": int(now * 1000), "message": _record(cloud, interface, size_bytes, int(now))}]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    except (AwsError, ClientError) as refusal:
        log.warning("flow log %s could not be delivered: %s", flow_log["FlowLogId"], refusal)


def _record(cloud: Cloud, interface: Mapping[str, Any], size_bytes: int, now: int) -> str:
    """The default format, version 2 (VPC user guide, "Flow log records")."""
    fields = (
        2,
        cloud.account_id,
        interface["NetworkInterfaceId"],
        S3_ADDRESS,
        interface["PrivateIpAddress"],
        _HTTPS,
        _CLIENT_PORT,
        _TCP,
        size_bytes // _PACKET_BYTES + 1,
        size_bytes,
        now,
        now,
        "ACCEPT",
        "OK",
    )
    return " ".join(map(str, fields))
