"""A function that writes down what it was given, a topic and queues, and a rule that reaches them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from infra.rehearsal.cloud.cloud import Cloud

REGION, ACCOUNT_ID = "eu-west-1", "111111111111"
SERVICE = "events.amazonaws.com"
SOURCE = """
import json, os
def handler(event, context):
    print("got " + json.dumps(event))
    if event.get("detail", {}).get("fail"):
        raise RuntimeError("as asked")
"""
STATE_CHANGES = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}


class Bus:
    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.events: Any = cloud.client("events")
        self.lambdas: Any = cloud.client("lambda")
        self.sqs: Any = cloud.client("sqs")
        self.sns: Any = cloud.client("sns")

    def rule_arn(self, name: str = "r") -> str:
        return f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{name}"

    def rule(self, pattern: dict[str, Any] = STATE_CHANGES, name: str = "r", **more: Any) -> str:
        return self.events.put_rule(Name=name, EventPattern=json.dumps(pattern), **more)["RuleArn"]

    def target(self, arn: str, rule: str = "r", **more: Any) -> None:
        answer = self.events.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": arn, **more}])
        assert answer["FailedEntryCount"] == 0

    def function(self, name: str = "f") -> str:
        iam: Any = self.cloud.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": trust})
        role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        writing = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": writing})
        iam.put_role_policy(RoleName=f"{name}-role", PolicyName="own", PolicyDocument=policy)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app.py", SOURCE)
        made = self.lambdas.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": buffer.getvalue()},
            Timeout=10,
        )
        return made["FunctionArn"]

    def allow(self, name: str = "f", rule: str = "r") -> None:
        self.lambdas.add_permission(
            FunctionName=name,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal=SERVICE,
            SourceArn=self.rule_arn(rule),
        )

    def queue(self, name: str, *, admits: bool = True) -> tuple[str, str]:
        """URL and ARN of a queue that admits the rule."""
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"
        if admits:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": SERVICE},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": self.rule_arn()}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return url, arn

    def put(self, **detail: Any) -> str:
        """An event of SageMaker's, delivered when this returns."""
        made = self.cloud.events.put(
            source="aws.sagemaker",
            detail_type="SageMaker Endpoint State Change",
            resources=[f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:endpoint/iris"],
            detail=detail,
        )
        self.cloud.events.wait_until_delivered(30)
        return made

    def got(self, name: str = "f") -> list[Any]:
        """What the function was given, by its log."""
        from infra.rehearsal.cloud import functions

        functions.flush(self.cloud)
        logs: Any = self.cloud.client("logs")
        group = f"/aws/lambda/{name}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        return [json.loads(line.removeprefix("got ")) for line in lines if line.startswith("got ")]

    def messages(self, url: str) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        return found.get("Messages", [])

    def counted(self, name: str) -> float | None:
        return self.cloud.metrics.statistic("AWS/Events", name, "Sum", region=REGION, dimensions={"RuleName": "r"})


@pytest.fixture
def bus(cloud: Cloud) -> Bus:
    return Bus(cloud)
