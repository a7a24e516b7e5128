"""Whatever happens to the log, predictions go on, nothing acknowledged is lost, and what is lost is counted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from rehearsed import LOG, Rehearsed, kill_9, until

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.firehose_delivery import pids as firehose_pids

STREAM = f"{LOG}-predictions"
DOWN = AwsError("ServiceUnavailableException", "The service is unavailable.", 503)
THROTTLED = AwsError("ThrottlingException", "Rate exceeded", 400)


@contextmanager
def planted(rehearsed: Rehearsed, service: str, operation: str, error: AwsError) -> Iterator[Any]:
    fault = rehearsed.cloud.faults.add(service, operation, error)
    try:
        yield fault
    finally:
        fault.remove()


def once_each(found: list[str], wanted: list[str]) -> bool:
    return all(found.count(each) == 1 for each in wanted)


@pytest.mark.parametrize("error", [DOWN, THROTTLED], ids=["down", "throttled"])
def test_firehose_down_goes_to_the_spool_and_is_replayed(rehearsed: Rehearsed, error: AwsError) -> None:
    spooled = rehearsed.log_metric("Spooled")
    with planted(rehearsed, "firehose", "PutRecord", error) as fault:
        ids = rehearsed.served(5)
        until(lambda: True if rehearsed.log_metric("Spooled") >= spooled + 5 else None, "five spooled")
        assert fault.hits >= 5
    found = rehearsed.wait_for_log(ids)
    assert once_each(found, ids)
    assert {rehearsed.record(each)["replayed"] for each in ids} == {True}


def test_both_down_the_prediction_succeeds_and_the_loss_alarm_rings(rehearsed: Rehearsed) -> None:
    served, handed = rehearsed.log_metric("Served"), rehearsed.log_metric("HandedOver")
    messages = len(rehearsed.cloud.messages)
    with planted(rehearsed, "firehose", "PutRecord", DOWN), planted(rehearsed, "sqs", "SendMessage", DOWN):
        ids = rehearsed.served(3)
        until(lambda: True if rehearsed.log_metric("LogFailed") >= 3 else None, "three failures counted")
    assert rehearsed.log_metric("Served") - served == 3
    assert rehearsed.log_metric("HandedOver") - handed == 0
    assert not set(ids) & set(rehearsed.in_log())
    assert loss_alarm_rings(rehearsed, messages)


def loss_alarm_rings(rehearsed: Rehearsed, messages: int) -> bool:
    """Lets the minute end; the loss alarm is then in ALARM and has published to a topic."""
    rehearsed.cloud.clock.advance(130)
    [alarm] = [
        each
        for each in rehearsed.client("cloudwatch").describe_alarms(AlarmNamePrefix=LOG)["MetricAlarms"]
        if "loss" in each["AlarmName"]
    ]
    assert alarm["StateValue"] == "ALARM", alarm["StateReason"]
    told = [each for each in rehearsed.cloud.messages[messages:] if alarm["AlarmName"] in str(each)]
    return bool(told)


def test_firehose_gone_in_the_middle_of_traffic(rehearsed: Rehearsed) -> None:
    """Refused half of the time: each record still arrives, by one way or the other."""
    turns = iter(range(1000))
    fault = rehearsed.cloud.faults.add("firehose", "PutRecord", DOWN, match=lambda call: next(turns) % 2 == 0)
    try:
        ids = rehearsed.served(20)
    finally:
        fault.remove()
    assert once_each(rehearsed.wait_for_log(ids), ids)


def test_a_transform_that_cannot_be_invoked_delays_and_loses_nothing(rehearsed: Rehearsed) -> None:
    """Firehose tries again; what still fails lies under the error prefix with the record in it."""
    with planted(rehearsed, "lambda", "Invoke", DOWN):
        pass  # the gateway invokes too: the fault is narrowed below
    fault = rehearsed.cloud.faults.add(
        "lambda", "Invoke", DOWN, times=2, match=lambda call: "transform" in call.params["FunctionName"]
    )
    ids = rehearsed.served(3)
    found = rehearsed.wait_for_log(ids)
    assert fault.hits == 2
    assert once_each(found, ids)


def test_a_poison_record_goes_to_the_error_prefix_and_takes_nobody_with_it(rehearsed: Rehearsed) -> None:
    rejected = rehearsed.log_metric("Rejected")
    firehose = rehearsed.client("firehose")
    poison = [b"\x00\xff not json", b'{"schema_version": 1}', b"[]", b'{"request_id": "x", "unheard_of": 1}']
    ids = rehearsed.served(2)
    for data in poison:
        firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": data})
    found = rehearsed.wait_for_log(ids)
    assert once_each(found, ids)
    until(lambda: True if rehearsed.log_metric("Rejected") == rejected + 4 else None, "four rejected")
    assert sorted(rejects(rehearsed)[-4:]) == sorted(poison)


def rejects(rehearsed: Rehearsed) -> list[bytes]:
    """The data of every record under the error prefix."""
    s3, bucket = rehearsed.client("s3"), "mainstage-dev-predictions-111111111111-eu-west-1"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"rejected/{LOG}/").get("Contents", [])
    lines = [
        json.loads(line)
        for entry in sorted(listed, key=lambda entry: (entry["LastModified"], entry["Key"]))
        for line in s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().splitlines()
    ]
    return [base64.b64decode(line["rawData"]) for line in lines]


def test_a_record_above_the_limit_is_refused_by_firehose_by_name(rehearsed: Rehearsed) -> None:
    firehose = rehearsed.client("firehose")
    with pytest.raises(firehose.exceptions.ClientError, match=r"(?i)size|length|large"):
        firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": b"x" * (1000 * 1024 + 1)})


def test_a_replay_that_runs_twice_shows_once(rehearsed: Rehearsed) -> None:
    """The same message again in the spool: the record stands twice in the table and once in the view."""
    [request_id] = rehearsed.served(1)
    row = rehearsed.record(request_id)
    bodies: list[str] = []
    fault = rehearsed.cloud.faults.add(
        "sqs",
        "SendMessage",
        match=lambda call: bodies.append(call.params["MessageBody"]) is not None,
        delay_seconds=1e-9,
    )
    with planted(rehearsed, "firehose", "PutRecord", DOWN):
        [spooled] = rehearsed.served(1)
        until(lambda: bodies or None, "the message in the spool")
    fault.remove()
    assert row["replayed"] is False
    rehearsed.wait_for_log([spooled])
    queue = rehearsed.client("sqs").get_queue_url(QueueName=f"{LOG}-spool")["QueueUrl"]
    rehearsed.client("sqs").send_message(QueueUrl=queue, MessageBody=bodies[0])

    def twice() -> list[dict[str, Any]] | None:
        found = rehearsed.in_log()
        rows = rehearsed.sql(f"SELECT request_id FROM records WHERE request_id = '{spooled}'")
        assert found.count(spooled) == 1
        return rows if len(rows) == 2 else None

    until(twice, "the record twice in the table")


def test_firehose_killed_in_the_middle_of_traffic(rehearsed: Rehearsed) -> None:
    ids = rehearsed.served(10)
    kill_9(firehose_pids(rehearsed.cloud, STREAM))
    ids += rehearsed.served(10)
    assert once_each(rehearsed.wait_for_log(ids), ids)


@pytest.mark.parametrize("function", ["transform", "replay"])
def test_a_function_killed_at_work(rehearsed: Rehearsed, function: str) -> None:
    name = f"{LOG}-{function}"
    if function == "replay":
        with planted(rehearsed, "firehose", "PutRecord", DOWN):
            ids = rehearsed.served(6)
    else:
        ids = rehearsed.served(6)
        rehearsed.in_log()
        ids += rehearsed.served(6)
    if running := functions.pids(rehearsed.cloud, name):
        kill_9(running)
    assert once_each(rehearsed.wait_for_log(ids), ids)


def test_the_front_door_killed_between_reply_and_put_is_counted(rehearsed: Rehearsed) -> None:
    """The reply went out, the record did not: served minus handed over says one."""
    served, handed = rehearsed.log_metric("Served"), rehearsed.log_metric("HandedOver")
    messages = len(rehearsed.cloud.messages)
    fault = rehearsed.cloud.faults.add("firehose", "PutRecord", delay_seconds=2.0, error=DOWN, times=1)
    [request_id] = rehearsed.served(1)
    until(lambda: True if fault.hits else None, "the put is under way")
    kill_9(functions.pids(rehearsed.cloud, f"{LOG}-front-door"))
    until(lambda: True if rehearsed.log_metric("Served") == served + 1 else None, "the reply was counted")
    assert rehearsed.log_metric("HandedOver") == handed
    assert rehearsed.ask().status == 200
    assert request_id not in rehearsed.in_log()
    assert loss_alarm_rings(rehearsed, messages)


def test_a_role_without_invoke_is_403(rehearsed: Rehearsed) -> None:
    iam, sts = rehearsed.client("iam"), rehearsed.client("sts")
    me = sts.get_caller_identity()["Arn"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": me}, "Action": "sts:AssumeRole"}],
    }
    arn = iam.create_role(RoleName="a-client", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    taken = sts.assume_role(RoleArn=arn, RoleSessionName="client")["Credentials"]
    session = boto3.Session(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    door = rehearsed.door
    mine, door._credentials = door._credentials, session.get_credentials()
    try:
        assert rehearsed.ask().status == 403
        allowed = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "execute-api:Invoke",
                    "Resource": "arn:aws:execute-api:eu-west-1:111111111111:*/$default/POST/v1/models/iris/predictions",
                }
            ],
        }
        iam.put_role_policy(RoleName="a-client", PolicyName="ask-iris", PolicyDocument=json.dumps(allowed))
        reply = rehearsed.ask()
        assert reply.status == 200
        assert rehearsed.record(reply.request_id)["caller"].startswith(
            "arn:aws:sts::111111111111:assumed-role/a-client"
        )
        assert door.post("/v1/models/card-fraud/predictions", b"{}").status == 403
    finally:
        door._credentials = mine
