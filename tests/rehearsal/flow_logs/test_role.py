"""The role of a flow log, narrowed as far as AWS documents: on behalf of flow logs, and on one log group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.flow_records import record_download

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ACCOUNT, REGION = "111111111111", "eu-west-1"
GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/vpc"
WRITE = {
    "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
    "Resource": f"{GROUP_ARN}:*",
}
FIND = {"Action": "logs:DescribeLogGroups", "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"}


class Site:
    """A VPC with one network interface, and a log group."""

    def __init__(self, cloud: Cloud):
        self.cloud, self.ec2, self.iam = cloud, cloud.client("ec2"), cloud.client("iam")
        self.logs = cloud.client("logs")
        self.logs.create_log_group(logGroupName="/vpc")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        made = self.ec2.create_network_interface(SubnetId=subnet)
        self.interface = made["NetworkInterface"]["NetworkInterfaceId"]

    def role(self, source_arn: str, *statements: dict[str, Any]) -> str:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": source_arn}},
        }
        role = self.iam.create_role(RoleName="flow", AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
        self.grant(*statements)
        return role

    def grant(self, *statements: dict[str, Any]) -> None:
        allowed = [{"Effect": "Allow", **statement} for statement in statements]
        self.iam.put_role_policy(RoleName="flow", PolicyName="own", PolicyDocument=_document(*allowed))

    def flow_log(self, role_arn: str) -> str:
        return self.ec2.create_flow_logs(
            ResourceIds=[self.vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogDestination=GROUP_ARN,
            DeliverLogsPermissionArn=role_arn,
        )["FlowLogIds"][0]

    def delivered(self) -> tuple[str, str, int]:
        """Status and message of the flow log, and how many records a download has added."""
        before = self._records()
        record_download(self.cloud, REGION, [self.interface], 1000)
        found = self.ec2.describe_flow_logs()["FlowLogs"][0]
        return found["DeliverLogsStatus"], found.get("DeliverLogsErrorMessage", ""), self._records() - before

    def _records(self) -> int:
        return len(self.logs.filter_log_events(logGroupName="/vpc")["events"])


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def site(cloud: Cloud) -> Site:
    return Site(cloud)


def test_a_role_for_flow_logs_of_this_account_delivers(site: Site) -> None:
    site.flow_log(site.role(f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/*", WRITE, FIND))
    assert site.delivered() == ("SUCCESS", "", 1)


@pytest.mark.parametrize("source", [f"arn:aws:ec2:{REGION}:222222222222:vpc-flow-log/*", "arn:aws:s3:::bucket"])
def test_a_role_for_something_else_is_not_assumed(site: Site, source: str) -> None:
    role = site.role(source, WRITE, FIND)
    with pytest.raises(ClientError, match=f"InvalidParameter.*Unable to assume given IAM role: {role}"):
        site.flow_log(role)


@pytest.mark.parametrize(
    "statements",
    [
        (WRITE,),
        (FIND,),
        # Logs asks about all groups, whatever the prefix: a grant on the one group never matches.
        (WRITE, {**FIND, "Resource": [GROUP_ARN, f"{GROUP_ARN}:*"]}),
        # A stream is not the bare group.
        ({**WRITE, "Resource": GROUP_ARN}, FIND),
    ],
)
def test_a_role_that_may_too_little_delivers_nothing(site: Site, statements: tuple[dict[str, Any], ...]) -> None:
    site.flow_log(site.role(f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/*", *statements))
    assert site.delivered() == ("FAILED", "Access error", 0)
    site.grant(WRITE, FIND)
    assert site.delivered() == ("SUCCESS", "", 1)
