"""The functions in the emulated Lambda: from their zip, under their role, through the one door."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from runtime_stub import FRONT_DOOR_ENVIRONMENT, PACKAGE

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.cloud import Cloud

ARRIVES = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
SPOOL = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
EVENT = {
    "version": "2.0",
    "headers": {"content-type": "application/json"},
    "requestContext": {"requestId": "id-1"},
    "body": json.dumps({"instances": [{"months": 5, "plan": "basic"}]}),
    "isBase64Encoded": False,
}


def archive(signature: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for path in PACKAGE.glob("*.py"):
            made.writestr(f"mainstage_runtime/{path.name}", path.read_text(encoding="utf-8"))
        made.writestr("mainstage.json", json.dumps({"signature": signature}))
    return buffer.getvalue()


def deploy(cloud: Cloud, signature: dict[str, Any], spool_url: str, *statements: dict[str, Any]) -> None:
    """A front door of a model that awaits its first version. There is no stream: the spool has to take its records."""
    iam, lambdas = cloud.client("iam"), cloud.client("lambda")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    role = iam.create_role(RoleName="front-door", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName="front-door", PolicyName="own", PolicyDocument=json.dumps(policy))
    cloud.client("logs").create_log_group(logGroupName="/aws/lambda/f")
    variables = {**FRONT_DOOR_ENVIRONMENT, "MAINSTAGE_SPOOL_URL": spool_url}
    del variables["MAINSTAGE_ENDPOINT_NAME"]
    lambdas.create_function(
        FunctionName="f",
        Runtime="python3.13",
        Role=role,
        Handler="mainstage_runtime.front_door.handler",
        Timeout=30,
        Code={"ZipFile": archive(signature)},
        Environment={"Variables": variables},
    )


def metric(cloud: Cloud, name: str) -> float | None:
    functions.flush(cloud)
    return cloud.metrics.statistic("Mainstage", name, "Sum", region=cloud.region, dimensions={"LogName": "dev-churn"})


@pytest.mark.parametrize("may_spool", [True, False])
def test_what_firehose_does_not_take_is_spooled_or_counted(
    cloud: Cloud, plain_signature: dict[str, Any], may_spool: bool
) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="dev-churn-spool")["QueueUrl"]
    deploy(cloud, plain_signature, url, *([ARRIVES, SPOOL] if may_spool else [ARRIVES]))
    for _ in range(2):
        answer = cloud.client("lambda").invoke(FunctionName="f", Payload=json.dumps(EVENT).encode())
        assert "FunctionError" not in answer
        reply = json.loads(answer["Payload"].read())
        assert (reply["statusCode"], json.loads(reply["body"])["error"]["code"]) == (503, "model_awaiting")
    assert metric(cloud, "Served") == 2
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    assert [json.loads(each["Body"])["input_plan"] for each in found] == ([["basic"]] * 2 if may_spool else [])
    counted = {name: metric(cloud, name) for name in ("HandedOver", "Spooled", "LogFailed")}
    if may_spool:
        assert counted == {"HandedOver": 2, "Spooled": 2, "LogFailed": None}
    else:
        assert counted == {"HandedOver": None, "Spooled": None, "LogFailed": 2}
