"""EC2 flow logs: a bucket with a path, which moto refuses, and a log group named by its ARN, which moto takes for
missing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import Call, HttpRequest
from infra.rehearsal.cloud.overlay import after, handler
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


class Destinations:
    """Destinations with a path, by flow log."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.by_flow_log: dict[str, str] = {}

    def close(self) -> None:
        """Nothing runs here."""


@handler("ec2", "CreateFlowLogs")
def create_flow_logs(call: Call) -> dict[str, Any]:
    """`arn:aws:s3:::bucket/folder/` is a destination on AWS (VPC user guide, "Publish flow logs to Amazon S3")."""
    destination = call.params.get("LogDestination", "")
    bucket, slash, _ = destination.partition("/")
    if call.params.get("LogDestinationType") != "s3" or not slash:
        return call.cloud.to_moto(call)
    plain = {**call.params, "LogDestination": bucket}
    # Without a URL the request is built anew from the parameters.
    answer = call.cloud.to_moto(dataclasses.replace(call, params=plain, request=HttpRequest("POST", "", {}, b"")))
    kept = state_of(call.cloud, Destinations).by_flow_log
    kept.update(dict.fromkeys(answer["FlowLogIds"], destination))
    return answer


@after("ec2", "DescribeFlowLogs")
def mend_flow_logs(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Whether a flow log delivers is said by the part that tries its role."""
    kept = state_of(call.cloud, Destinations).by_flow_log
    for flow_log in output["FlowLogs"]:
        destination = kept.get(flow_log["FlowLogId"]) or flow_log.get("LogDestination", "")
        if flow_log["FlowLogId"] in kept:
            flow_log["LogDestination"] = destination
        if ":log-group:" in destination:
            flow_log["LogGroupName"] = destination.split(":log-group:")[1].removesuffix(":*")
    return output
