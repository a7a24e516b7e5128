"""The way of a prediction to its reply: each right of the front door taken away in turn, and what is seen then.

`TAKEN` has an entry for each action of each statement; a statement that is added to a role has to be added here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from log_paths import DOOR, IN_SPOOL, IN_STREAM, LOST, NOT_FOUND, WATCH, Paths, Seen, role_of
from rehearsed import LOG, MODEL
from taken_away import (
    another_account,
    another_service,
    permission_changed,
    permissions,
    rights_of,
    role_document,
    role_names,
    role_without,
    trust_changed,
)

AWAITED = "card-fraud"
SPOOLED = Seen(200, IN_SPOOL)
DENIED = "AccessDeniedException"

TAKEN = {
    # Answered as what it is, an error of the platform, and logged as one.
    ("InvokeEndpoint", "sagemaker:InvokeEndpoint"): Seen(
        500, IN_STREAM, frozenset({f"sagemaker-runtime.InvokeEndpoint {DENIED}"})
    ),
    ("PutRecords", "firehose:PutRecord"): Seen(200, IN_SPOOL, frozenset({f"firehose.PutRecord {DENIED}"})),
}
"""One right gone: the prediction and its record."""

TAKEN_FIREHOSE_DOWN = {
    ("SpoolRecords", "sqs:SendMessage"): "AccessDenied",
    ("EncryptSpooledRecords", "kms:Decrypt"): "KMS.AccessDeniedException",
    ("EncryptSpooledRecords", "kms:GenerateDataKey"): "KMS.AccessDeniedException",
}
"""Rights that only a record needs which Firehose does not take: without them it is lost, and counted. What SQS says."""

LOG_RIGHTS = {
    ("WriteOwnLogs", "logs:CreateLogStream"): frozenset({f"logs.CreateLogStream {DENIED}"}),
    ("WriteOwnLogs", "logs:PutLogEvents"): frozenset({f"logs.PutLogEvents {DENIED}"}),
}


def test_every_right_has_an_entry(paths: Paths) -> None:
    iam = paths.rehearsed.client("iam")
    _, door = role_document(iam, role_of(DOOR))
    assert rights_of(door) == {*TAKEN, *TAKEN_FIREHOSE_DOWN, *LOG_RIGHTS}
    _, not_found = role_document(iam, role_of(NOT_FOUND))
    assert rights_of(not_found) == set(LOG_RIGHTS)


def test_with_everything_allowed(paths: Paths) -> None:
    assert paths.asked() == Seen(200, IN_STREAM)
    assert paths.asked(firehose_down=True) == SPOOLED
    assert paths.heals()
    assert paths.not_found() == 404


@pytest.mark.parametrize(("sid", "action"), TAKEN)
def test_the_prediction_without(paths: Paths, sid: str, action: str) -> None:
    with role_without(paths.rehearsed.client("iam"), role_of(DOOR), sid, action):
        assert paths.asked() == TAKEN[sid, action]
        paths.rehearsed.wait_for_log([paths.last_id])
    record = paths.rehearsed.record(paths.last_id)
    assert record["replayed"] is (TAKEN[sid, action].record == IN_SPOOL)
    assert record["error_code"] == ("internal_error" if TAKEN[sid, action].status == 500 else None)
    assert paths.asked() == Seen(200, IN_STREAM)


@pytest.mark.parametrize(("sid", "action"), TAKEN_FIREHOSE_DOWN)
def test_the_spool_without(paths: Paths, sid: str, action: str) -> None:
    """The prediction goes on, its record is lost and counted, and the log says why."""
    code = TAKEN_FIREHOSE_DOWN[sid, action]
    since = paths.now_ms()
    with role_without(paths.rehearsed.client("iam"), role_of(DOOR), sid, action):
        assert paths.asked(firehose_down=True) == Seen(200, LOST, frozenset({f"sqs.SendMessage {code}"}))
        [note] = [each for each in paths.notes(DOOR, "record_lost", since) if each["request_id"] == paths.last_id]
        assert (note["stream"], note["queue"]) == ("ServiceUnavailableException", code)
        # Nobody misses it while Firehose takes records.
        assert paths.asked() == Seen(200, IN_STREAM)
    assert paths.asked(firehose_down=True) == SPOOLED
    assert paths.heals()


def test_the_front_doors_log_without(paths: Paths) -> None:
    """Predictions and records go on; what the function prints is lost, its metrics among it."""
    served = paths.rehearsed.log_metric("Served")
    for right, refused in LOG_RIGHTS.items():
        with role_without(paths.rehearsed.client("iam"), role_of(DOOR), *right):
            assert paths.log_of(DOOR, paths.asked) == (Seen(200, IN_STREAM), "lost", refused)
            assert paths.heals()
    assert paths.rehearsed.log_metric("Served") == served
    assert paths.log_of(DOOR, paths.asked) == (Seen(200, IN_STREAM), "written", frozenset())
    assert paths.rehearsed.log_metric("Served") == served + 1


def test_the_log_of_what_is_not_found_without(paths: Paths) -> None:
    for right, refused in LOG_RIGHTS.items():
        with role_without(paths.rehearsed.client("iam"), role_of(NOT_FOUND), *right):
            assert paths.log_of(NOT_FOUND, paths.not_found) == (404, "lost", refused)
    assert paths.log_of(NOT_FOUND, paths.not_found) == (404, "written", frozenset())


def ask_iris(paths: Paths) -> int:
    return paths.rehearsed.ask().status


def ask_nobody(paths: Paths) -> int:
    return paths.not_found()


@pytest.mark.parametrize("change", [another_service, another_account])
@pytest.mark.parametrize(("function", "ask", "whole"), [(DOOR, ask_iris, 200), (NOT_FOUND, ask_nobody, 404)])
def test_a_function_whose_role_does_not_trust_lambda(
    paths: Paths, function: str, ask: Callable[[Paths], int], whole: int, change: Callable[[dict[str, Any]], None]
) -> None:
    """No new process starts: the gateway answers by itself. Its access log says that there is no permission."""
    with trust_changed(paths.rehearsed.client("iam"), role_of(function), change):
        paths.restart(function)
        assert ask(paths) == 500
    assert ask(paths) == whole


def test_functions_that_others_call_have_one_permission_each_and_others_have_none(paths: Paths) -> None:
    client = paths.rehearsed.client("lambda")
    names = {each["FunctionName"] for each in client.list_functions()["Functions"]}
    counts = {name: len(permissions(client, name)) for name in names}
    assert {name for name, count in counts.items() if count} == {DOOR, NOT_FOUND, WATCH, f"dev-{AWAITED}-front-door"}
    assert set(counts.values()) == {0, 1}


@pytest.mark.parametrize("api", ["gone", "another API", "another route"])
@pytest.mark.parametrize(("function", "ask", "whole"), [(DOOR, ask_iris, 200), (NOT_FOUND, ask_nobody, 404)])
def test_the_permission_of_a_route(
    paths: Paths, function: str, ask: Callable[[Paths], int], whole: int, api: str
) -> None:
    [gateway] = paths.rehearsed.client("apigatewayv2").get_apis()["Items"]
    account = f"arn:aws:execute-api:eu-west-1:{paths.rehearsed.rehearsal.target.account_id}"
    source = {
        "gone": None,
        "another API": f"{account}:zzzzzzzzzz/*/*",
        "another route": f"{account}:{gateway['ApiId']}/*/POST/v1/models/{AWAITED}/predictions",
    }[api]
    with permission_changed(paths.rehearsed.client("lambda"), function, source):
        assert ask(paths) == 500
    assert ask(paths) == whole


def test_an_access_log_needs_the_rights_of_log_delivery(paths: Paths) -> None:
    """API Gateway sets up delivery with the rights of whoever configures the stage; without one of them, no access
    log. The service itself has no role here."""
    iam, gateway = paths.rehearsed.client("iam"), paths.rehearsed.client("apigatewayv2")
    [api] = gateway.get_apis()["Items"]
    stage = gateway.get_stage(ApiId=api["ApiId"], StageName="$default")
    given = {"ApiId": api["ApiId"], "StageName": "$default", "AccessLogSettings": stage["AccessLogSettings"]}
    me = paths.rehearsed.client("sts").get_caller_identity()["Arn"]
    trust = {"Effect": "Allow", "Principal": {"AWS": me}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    rights = [
        *("apigateway:PATCH", "logs:CreateLogDelivery", "logs:CreateLogGroup", "logs:DeleteLogDelivery"),
        *("logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy"),
        "logs:UpdateLogDelivery",
    ]
    keys = paths.rehearsed.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    cloud = paths.rehearsed.cloud
    deployer: Any = cloud.session(cloud.principals.of(keys["AccessKeyId"])).client("apigatewayv2")

    def allow(actions: list[str]) -> None:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        iam.put_role_policy(RoleName="deployer", PolicyName="own", PolicyDocument=policy(statement))

    try:
        for right in rights:
            allow([each for each in rights if each != right])
            with pytest.raises(ClientError, match=right) as refused:
                deployer.update_stage(**given)
            assert refused.value.response["Error"]["Code"] == DENIED
        allow(rights)
        assert deployer.update_stage(**given)["AccessLogSettings"] == stage["AccessLogSettings"]
    finally:
        iam.delete_role_policy(RoleName="deployer", PolicyName="own")
        iam.delete_role(RoleName="deployer")


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_pseudonyms_need_the_right_to_derive_them(paths: Paths) -> None:
    """Without it the answer and the rest of the record are as they were; what would be hashed is null, never clear."""
    assert paths.hashed() == (503, True, [])
    role = role_of(f"dev-{AWAITED}-front-door")
    with role_without(paths.rehearsed.client("iam"), role, "DerivePseudonyms", "kms:GenerateMac"):
        assert paths.hashed() == (503, False, [DENIED])


def test_the_roles_of_an_awaited_model_differ_in_two_rights_only(paths: Paths) -> None:
    """It has no endpoint to ask, and personal data to hash. All else follows from the model that serves."""
    iam = paths.rehearsed.client("iam")
    names = {name for name in role_names(iam) if name.startswith("dev-")}
    parts = {name.removeprefix(f"{LOG}-") for name in names if name.startswith(f"{LOG}-")}
    assert parts == {name.removeprefix(f"dev-{AWAITED}-") for name in names if AWAITED in name}
    for part in parts - {"eu-west-1"}:
        served, awaited = (
            {each["Sid"]: plain(each, model) for each in role_document(iam, f"dev-{model}-{part}")[1]["Statement"]}
            for model in (MODEL, AWAITED)
        )
        if part == role_of("front-door"):
            assert served.pop("InvokeEndpoint")
            assert awaited.pop("DerivePseudonyms")
        assert served == awaited


def plain(statement: dict[str, Any], model: str) -> str:
    """The statement without its model's name."""
    return json.dumps(statement).replace(model, "MODEL").replace(model.replace("-", "_"), "MODEL")
