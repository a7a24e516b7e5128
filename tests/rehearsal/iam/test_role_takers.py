"""Services try a role when they get it, and deliver under it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[..., tuple[str, str]]
FLOW_LOGS = "vpc-flow-logs.amazonaws.com"
NEEDED = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams"]


def trust(service: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


class TestFlowLogs:
    @pytest.fixture
    def asked(self, account: Any) -> dict[str, Any]:
        account.cloud.client("logs").create_log_group(logGroupName="/vpc")
        vpc = account.cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        return {
            "ResourceIds": [vpc],
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogDestinationType": "cloud-watch-logs",
            "LogDestination": f"arn:aws:logs:{account.region}:{account.id}:log-group:/vpc",
        }

    def test_the_role_must_trust_the_service(self, account: Any, asked: dict[str, Any], refused: Refused) -> None:
        role = account.role()
        code, message = refused(account.cloud.client("ec2").create_flow_logs, **asked, DeliverLogsPermissionArn=role)
        assert (code, message) == ("InvalidParameter", f"Unable to assume given IAM role: {role}")

    def test_delivery_follows_the_roles_permissions(self, account: Any, asked: dict[str, Any]) -> None:
        ec2 = account.cloud.client("ec2")
        role = account.role(account.allow(NEEDED), trust=trust(FLOW_LOGS))
        made = ec2.create_flow_logs(**asked, DeliverLogsPermissionArn=role)
        assert not made["Unsuccessful"]

        def status() -> tuple[str, str]:
            found = ec2.describe_flow_logs(FlowLogIds=made["FlowLogIds"])["FlowLogs"][0]
            return found["DeliverLogsStatus"], found.get("DeliverLogsErrorMessage", "")

        assert status() == ("SUCCESS", "")
        for action in NEEDED:
            account.grant(account.allow([other for other in NEEDED if other != action]))
            assert status() == ("FAILED", "Access error"), action
        group = f"arn:aws:logs:{account.region}:{account.id}:log-group:/vpc:*"
        account.grant(account.allow(NEEDED[:2] + NEEDED[3:], group), account.allow("logs:DescribeLogGroups"))
        assert status() == ("SUCCESS", "")
        account.iam.update_assume_role_policy(
            RoleName="reader", PolicyDocument=account.document(trust("lambda.amazonaws.com"))
        )
        assert status() == ("FAILED", "Access error")


def test_a_function_needs_a_role_that_trusts_lambda(account: Any, refused: Refused) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("app.py", "")
    asked = {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Handler": "app.handle",
        "Code": {"ZipFile": archive.getvalue()},
    }
    assert refused(account.cloud.client("lambda").create_function, **asked, Role=account.role()) == (
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    )


def test_a_delivery_stream_needs_a_role_that_trusts_firehose(account: Any, refused: Refused) -> None:
    account.make_bucket()
    destination = {"RoleARN": account.role(), "BucketARN": f"arn:aws:s3:::{account.bucket}"}
    client = account.cloud.client("firehose")
    asked = {"DeliveryStreamName": "d", "ExtendedS3DestinationConfiguration": destination}
    code, message = refused(client.create_delivery_stream, **asked)
    assert (code, message) == (
        "InvalidArgumentException",
        f"Firehose is unable to assume role {destination['RoleARN']}. Please check the role provided.",
    )
    account.iam.update_assume_role_policy(
        RoleName="reader", PolicyDocument=account.document(trust("firehose.amazonaws.com"))
    )
    client.create_delivery_stream(**asked)
