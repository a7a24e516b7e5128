"""Functions that are really deployed and really run."""

from __future__ import annotations

import io
import json
import textwrap
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.cloud import Cloud

LOGGING = {
    "Effect": "Allow",
    "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": "*",
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    },
}


def zipped(source: str, **more: str) -> bytes:
    """A deployment package with `app.py`, and further files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", textwrap.dedent(source))
        for name, text in more.items():
            archive.writestr(f"{name}.py", textwrap.dedent(text))
    return buffer.getvalue()


def eventually(look: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """What `look` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {look}"
        time.sleep(0.01)
    return found


class Bench:
    """A cloud with the calls that tests of functions make."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lambdas: Any = cloud.client("lambda")
        self.iam: Any = cloud.client("iam")
        self.logs: Any = cloud.client("logs")
        self.sqs: Any = cloud.client("sqs")

    def role(self, name: str = "function", *statements: dict[str, Any], trust: dict[str, Any] = TRUST) -> str:
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            self.allow(name, *statements)
        return arn

    def allow(self, name: str, *statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)

    def deploy(self, source: str, name: str = "f", *, role: str = "", **options: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": role or self.role(f"{name}-role", LOGGING),
            "Handler": "app.handler",
            "Timeout": 10,
            "Code": {"ZipFile": zipped(source)},
            **options,
        }
        return self.lambdas.create_function(**given)

    def invoke(self, event: Any = None, name: str = "f", **options: Any) -> tuple[Any, str]:
        """The answer's JSON, and FunctionError or ""."""
        answer = self.lambdas.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **options)
        return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")

    def lambdas_once(self) -> Any:
        """A client that does not try again what is throttled."""
        return self.cloud.session().client("lambda", config=Config(retries={"total_max_attempts": 1}))

    def pids(self, name: str = "f") -> list[int]:
        return functions.pids(self.cloud, name)

    def log_lines(self, name: str = "f") -> list[str]:
        """What has reached the function's log group, stream by stream."""
        functions.flush(self.cloud)
        return self.log_lines_now(name)

    def log_lines_now(self, name: str = "f") -> list[str]:
        """Without waiting for invocations under way."""
        group = f"/aws/lambda/{name}"
        found: list[str] = []
        if not self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return found
        for stream in self.logs.describe_log_streams(logGroupName=group)["logStreams"]:
            page = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )
            found += [event["message"] for event in page["events"]]
        return found

    def metric(self, name: str, statistic: str = "Sum", *, namespace: str = "AWS/Lambda", **dimensions: str) -> Any:
        functions.flush(self.cloud)  # metrics come when the invocation is over, after the reply
        dimensions = dimensions or {"FunctionName": "f"}
        return self.cloud.metrics.statistic(namespace, name, statistic, region=self.cloud.region, dimensions=dimensions)


@pytest.fixture
def bench(cloud: Cloud) -> Bench:
    return Bench(cloud)
