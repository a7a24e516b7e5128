"""Services that take a role when they are given it: they try it at once, and VPC flow logs deliver under it.

Sources: EC2, Lambda and Firehose API references (CreateFlowLogs, CreateFunction, CreateDeliveryStream); VPC User Guide,
"IAM role for publishing flow logs to CloudWatch Logs" and "Troubleshoot VPC Flow Logs".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.decide import decide
from infra.rehearsal.cloud.iam.evaluate import Question
from infra.rehearsal.cloud.overlay import after, before
from infra.rehearsal.cloud.overlay.answers import partition_of

FLOW_LOGS = "vpc-flow-logs.amazonaws.com"
FLOW_LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams")
"""What the documented role must allow on a log group that is there."""
_DESTINATIONS = ("ExtendedS3DestinationConfiguration", "S3DestinationConfiguration", "IcebergDestinationConfiguration")


def _try(call: Call, role_arn: str, service: str, refusal: Callable[[], AwsError], source_arn: str = "") -> None:
    try:
        call.cloud.principals.assume(role_arn, service=service, session_name="check", source_arn=source_arn)
    except AwsError:
        raise refusal() from None


@before("ec2", "CreateFlowLogs")
def flow_logs_role(call: Call) -> None:
    """The role must trust VPC Flow Logs, for a flow log of this account and region whose id nobody knows yet."""
    role = call.params.get("DeliverLogsPermissionArn")
    if role:
        refusal = AwsError("InvalidParameter", f"Unable to assume given IAM role: {role}", 400)
        _try(call, role, FLOW_LOGS, lambda: refusal, _flow_log_arn(call, "fl-00000000000000000"))


@before("lambda", "CreateFunction")
@before("lambda", "UpdateFunctionConfiguration")
def function_role(call: Call) -> None:
    """The role must trust Lambda."""
    role = call.params.get("Role")
    if role:
        text = "The role defined for the function cannot be assumed by Lambda."
        refusal = AwsError("InvalidParameterValueException", text, 400)
        _try(call, role, "lambda.amazonaws.com", lambda: refusal)


@before("firehose", "CreateDeliveryStream")
def delivery_role(call: Call) -> None:
    """The role of each destination must trust Firehose."""
    for name in _DESTINATIONS:
        role = (call.params.get(name) or {}).get("RoleARN")
        if role:
            text = f"Firehose is unable to assume role {role}. Please check the role provided."
            refusal = AwsError("InvalidArgumentException", text, 400)
            stream = f"deliverystream/{call.params['DeliveryStreamName']}"
            source = f"arn:{partition_of(call.region)}:firehose:{call.region}:{call.account_id}:{stream}"
            _try(call, role, "firehose.amazonaws.com", lambda refusal=refusal: refusal, source)


@after("ec2", "DescribeFlowLogs")
def delivery_status(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Whether each flow log can deliver now, by what its role may do now: AWS says FAILED and "Access error"."""
    logs = [
        _with_status(call, entry) if entry.get("DeliverLogsPermissionArn") else entry
        for entry in output.get("FlowLogs", ())
    ]
    return {**output, "FlowLogs": logs}


def _flow_log_arn(call: Call, flow_log_id: str) -> str:
    """What trust policies see as aws:SourceArn."""
    return f"arn:{partition_of(call.region)}:ec2:{call.region}:{call.account_id}:vpc-flow-log/{flow_log_id}"


def _with_status(call: Call, flow_log: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in flow_log.items() if name != "DeliverLogsErrorMessage"}
    if _delivers(call, flow_log):
        return {**rest, "DeliverLogsStatus": "SUCCESS"}
    return {**rest, "DeliverLogsStatus": "FAILED", "DeliverLogsErrorMessage": "Access error"}


def _delivers(call: Call, flow_log: dict[str, Any]) -> bool:
    parts = arns.split(str(flow_log.get("LogDestination", "")))
    group = flow_log.get("LogGroupName") or (parts.resource.removeprefix("log-group:") if parts else "")
    resource = f"arn:aws:logs:{call.region}:{call.account_id}:log-group:{group.removesuffix(':*')}:log-stream:"
    try:
        session = call.cloud.principals.assume(
            flow_log["DeliverLogsPermissionArn"],
            service=FLOW_LOGS,
            session_name="deliver",
            source_arn=_flow_log_arn(call, flow_log["FlowLogId"]),
        )
    except AwsError:
        return False
    context = {"aws:requestedregion": (call.region,)}
    for action in FLOW_LOG_ACTIONS:
        # Listing all groups is asked about the account, not about one group.
        asked = resource if action != "logs:DescribeLogGroups" else resource.replace(group, "", 1)
        if not decide(call.cloud, Question(session, action, asked, context)).allowed:
            return False
    return True
