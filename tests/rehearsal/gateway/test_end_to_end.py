"""From a signed request to a function's own process and back: nothing is stood in for."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

from gateway_world import ACCOUNT_ID, FORBIDDEN, REGION, SERVER_ERROR, Function, World

from infra.rehearsal.cloud.functions import pids

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

CODE = """
import json

def handler(event, context):
    if event.get("body") == "fail":
        raise ValueError("asked to")
    context = event["requestContext"]
    answer = {"route": event["routeKey"], "id": context["requestId"], "who": context["authorizer"]["iam"]["userArn"]}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "x-request-id": context["requestId"]},
        "body": json.dumps({**answer, "body": event.get("body")}),
    }
"""


def test_a_prediction_through_everything(cloud: Cloud) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("index.py", CODE)
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("iam").create_role(RoleName="real", AssumeRolePolicyDocument=trust)
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="front-door",
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT_ID}:role/real",
        Handler="index.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=10,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="front-door", WaiterConfig={"Delay": 0.05})
    world = World(cloud, Function())
    world.open_api()
    world.route(AuthorizationType="AWS_IAM")
    world.stage()
    caller = world.user(world.may_invoke())

    without_permission = world.send(headers=world.signed(caller))
    assert (without_permission.status, without_permission.body) == (500, SERVER_ERROR)
    world.allow_gateway()
    body = '{"text": "fü\u00dfe"}'.encode()
    reply = world.send(body=body, headers=world.signed(caller, body=body))
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "route": "POST /v1/models/iris/predictions",
        "id": reply.headers["apigw-requestid"],
        "who": f"arn:aws:iam::{ACCOUNT_ID}:user/caller",
        "body": body.decode(),
    }
    assert reply.headers["x-request-id"] == reply.headers["apigw-requestid"]
    failed = world.send(body=b"fail", headers=world.signed(caller, body=b"fail"))
    assert (failed.status, failed.body) == (500, SERVER_ERROR)
    assert world.send().body == FORBIDDEN
    running = pids(cloud, "front-door")
    for _ in range(5):
        assert world.send(body=body, headers=world.signed(caller, body=body)).status == 200
    # More may have started: a busy machine lets the next request come before the process asks for it.
    assert set(running) <= set(pids(cloud, "front-door")), "a process serves on, also after a failure"
    assert cloud.metrics.statistic(
        "AWS/ApiGateway", "Count", "Sum", region=REGION, dimensions={"ApiId": world.api_id}
    ) == 9  # fmt: skip
