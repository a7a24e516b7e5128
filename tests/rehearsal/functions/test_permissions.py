"""Who may invoke: services by the function's own policy, roles by theirs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import Principal

from .conftest import TRUST, Bench
from .test_invoke import refusal

ARN = "arn:aws:lambda:eu-west-1:111111111111:function:f"
ROUTE = "arn:aws:execute-api:eu-west-1:111111111111:abc/$default/POST/v1/models/iris/predictions"


def gateway(bench: Bench, source_arn: str = ROUTE, service: str = "apigateway.amazonaws.com") -> Any:
    context = {"aws:SourceArn": source_arn, "aws:SourceAccount": "111111111111"}
    return bench.cloud.session(Principal("service", service, "111111111111", context=context)).client("lambda")


@pytest.fixture
def deployed(bench: Bench) -> Bench:
    bench.deploy("def handler(event, context):\n    return 1")
    return bench


def test_a_service_needs_a_statement_for_itself_and_for_its_resource(deployed: Bench) -> None:
    allow = {"FunctionName": "f", "StatementId": "route", "Action": "lambda:InvokeFunction"}
    code, message, status = refusal(gateway(deployed).invoke, FunctionName="f")
    assert (code, status) == ("AccessDeniedException", 403)
    assert "lambda:InvokeFunction" in message

    deployed.lambdas.add_permission(
        **allow, Principal="apigateway.amazonaws.com", SourceArn=ROUTE.replace("abc/$default", "abc/*")
    )

    assert gateway(deployed).invoke(FunctionName="f")["Payload"].read() == b"1"
    for other in (gateway(deployed, ROUTE.replace("abc", "xyz")), gateway(deployed, service="s3.amazonaws.com")):
        assert refusal(other.invoke, FunctionName="f")[0] == "AccessDeniedException"
    deployed.lambdas.remove_permission(FunctionName="f", StatementId="route")
    assert refusal(gateway(deployed).invoke, FunctionName="f")[0] == "AccessDeniedException"


def test_a_role_needs_invoke_function_on_this_function(deployed: Bench) -> None:
    trust = {**TRUST, "Statement": {**TRUST["Statement"], "Principal": {"Service": "firehose.amazonaws.com"}}}
    role = deployed.role("caller", trust=trust)
    session = deployed.cloud.assume_role(role, service="firehose.amazonaws.com", session_name="x")
    caller: Any = session.client("lambda")

    assert refusal(caller.invoke, FunctionName="f")[0] == "AccessDeniedException"
    for resource in (f"{ARN}s", ARN.replace(":f", ":g"), f"{ARN}:live"):
        deployed.allow("caller", {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": resource})
        assert refusal(caller.invoke, FunctionName="f")[0] == "AccessDeniedException"
    deployed.allow("caller", {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ARN})
    assert caller.invoke(FunctionName="f")["Payload"].read() == b"1"
    assert caller.invoke(FunctionName=ARN)["Payload"].read() == b"1"


def test_statements_read_back_as_lambda_writes_them(deployed: Bench) -> None:
    add = deployed.lambdas.add_permission
    add(FunctionName="f", StatementId="a", Action="lambda:InvokeFunction", Principal="222222222222")
    add(FunctionName="f", StatementId="b", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=ROUTE, SourceAccount="111111111111")  # fmt: skip

    policy = json.loads(deployed.lambdas.get_policy(FunctionName="f")["Policy"])

    assert policy["Statement"] == [
        {
            "Sid": "a",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
            "Action": "lambda:InvokeFunction",
            "Resource": ARN,
        },
        {
            "Sid": "b",
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": ARN,
            "Condition": {
                "ArnLike": {"AWS:SourceArn": ROUTE},
                "StringEquals": {"AWS:SourceAccount": "111111111111"},
            },
        },
    ]
    code, message, status = refusal(
        add, FunctionName="f", StatementId="a", Action="lambda:InvokeFunction", Principal="222222222222"
    )
    assert (code, status) == ("ResourceConflictException", 409)
    assert message.startswith("The statement id (a) provided already exists.")


def test_a_permission_for_a_missing_function(bench: Bench) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        bench.lambdas.add_permission(
            FunctionName="f", StatementId="a", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        )


def test_whoever_deploys_with_a_key_may_use_it(bench: Bench) -> None:
    """Lambda makes itself a grant, as the caller (developer guide, "Securing Lambda environment variables")."""
    key = bench.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    function_role = bench.role()
    trust = {**TRUST, "Statement": {**TRUST["Statement"], "Principal": {"Service": "codebuild.amazonaws.com"}}}
    deployer = bench.role("deployer", trust=trust)
    passing = {"Effect": "Allow", "Action": ["lambda:CreateFunction", "iam:PassRole"], "Resource": "*"}
    session = bench.cloud.assume_role(deployer, service="codebuild.amazonaws.com", session_name="x")
    operator, bench.lambdas = bench.lambdas, session.client("lambda")

    bench.allow("deployer", passing)
    code, message, _ = refusal(bench.deploy, "x = 1", role=function_role, KMSKeyArn=key)
    assert code == "InvalidParameterValueException"
    assert "the KMS key is invalid for CreateGrant" in message
    bench.allow("deployer", passing, {"Effect": "Allow", "Action": ["kms:CreateGrant", "kms:Encrypt"], "Resource": key})
    assert bench.deploy("x = 1", role=function_role, KMSKeyArn=key)["KMSKeyArn"] == key

    bench.allow("deployer", {"Effect": "Allow", "Action": "lambda:CreateFunction", "Resource": "*"})
    code, message, _ = refusal(bench.deploy, "x = 1", "g", role=function_role)
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in message
    assert [one["FunctionName"] for one in operator.list_functions()["Functions"]] == ["f"]
