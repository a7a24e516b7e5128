"""Whatever happens to the log, predictions go on, nothing acknowledged is lost, and what is lost is counted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from log_drills import (
    CALM_SECONDS,
    DOWN,
    FRONT_DOOR,
    GONE,
    LINGERS,
    RAISES,
    REPLAY,
    SPOOL_SECONDS,
    STREAM,
    THROTTLED,
    TRANSFORM,
    Clients,
    LossAlarm,
    exchanged,
    invokes,
    kill_function,
    lines,
    logged_once,
    planted,
    rejected,
)
from mainstage._log_spool import RECEIVES
from rehearsed import LOG, ROW, Rehearsed, kill_9, until

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.firehose_delivery import flush
from infra.rehearsal.cloud.overlay.firehose_delivery import pids as firehose_pids
from infra.rehearsal.drills.assertions import told_of_records


@pytest.mark.parametrize("error", [DOWN, THROTTLED], ids=["down", "throttled"])
def test_while_firehose_refuses_records_wait_in_the_spool(rehearsed: Rehearsed, error: AwsError) -> None:
    spooled, failed = rehearsed.log_metric("Spooled"), rehearsed.log_metric("ReplayFailed")
    with planted(rehearsed, "firehose", "*", error):
        ids = rehearsed.served(4)
        until(lambda: rehearsed.log_metric("Spooled") == spooled + 4 or None, "four in the spool")
        until(lambda: rehearsed.log_metric("ReplayFailed") == failed + 4 or None, "four replays in vain")
    assert not set(ids) & set(rehearsed.in_log())
    rehearsed.cloud.clock.advance(SPOOL_SECONDS)
    logged_once(rehearsed, ids)
    told = ", ".join(f"'{each}'" for each in ids)
    rows = rehearsed.sql(f"SELECT DISTINCT replayed FROM predictions WHERE request_id IN ({told})")
    assert rows == [{"replayed": True}]


def test_what_became_a_dead_letter_in_an_outage_is_logged_after_the_runbook(rehearsed: Rehearsed) -> None:
    sqs, dead_arn = rehearsed.client("sqs"), f"arn:aws:sqs:eu-west-1:111111111111:{LOG}-spool-dead"
    dead_url = sqs.get_queue_url(QueueName=f"{LOG}-spool-dead")["QueueUrl"]

    def dead() -> int:
        asked = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])

    def alarm() -> str:
        named = [f"{LOG}-log-spool-dead"]
        return rehearsed.client("cloudwatch").describe_alarms(AlarmNames=named)["MetricAlarms"][0]["StateValue"]

    failed = rehearsed.log_metric("ReplayFailed")
    with planted(rehearsed, "firehose", "*", DOWN):
        ids = rehearsed.served(2)
        for tries in range(1, RECEIVES + 1):
            wanted = failed + 2 * tries
            until(lambda wanted=wanted: rehearsed.log_metric("ReplayFailed") >= wanted or None, "replays in vain")
            rehearsed.cloud.clock.advance(SPOOL_SECONDS)
        until(lambda: dead() == 2 or None, "both among the dead letters")
    rehearsed.cloud.clock.advance(CALM_SECONDS)
    assert alarm() == "ALARM"
    assert not set(ids) & set(rehearsed.in_log())

    # docs/runbooks/log-spool-dead.md
    sqs.start_message_move_task(SourceArn=dead_arn)
    logged_once(rehearsed, ids)

    [task] = sqs.list_message_move_tasks(SourceArn=dead_arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"], dead()) == ("COMPLETED", 2, 0)
    rehearsed.cloud.clock.advance(CALM_SECONDS)
    assert alarm() == "OK"


def test_a_stream_that_is_gone_for_a_while_in_the_middle_of_traffic(rehearsed: Rehearsed) -> None:
    with Clients(rehearsed) as clients:
        clients.more(5)
        with planted(rehearsed, "firehose", "*", GONE) as fault:
            clients.more(5)
            until(lambda: fault.hits >= 5 or None, "five refusals")
        clients.more(5)
    assert clients.others == []
    rehearsed.cloud.clock.advance(SPOOL_SECONDS)
    logged_once(rehearsed, clients.ids)


def test_with_the_spool_down_too_predictions_succeed_and_the_loss_is_counted(rehearsed: Rehearsed) -> None:
    alarm, failed = LossAlarm(rehearsed), rehearsed.log_metric("LogFailed")
    with planted(rehearsed, "firehose", "*", DOWN), planted(rehearsed, "sqs", "SendMessage", DOWN):
        ids = rehearsed.served(3)
        until(lambda: rehearsed.log_metric("LogFailed") == failed + 3 or None, "three failures")
    others = rehearsed.served(2)
    logged_once(rehearsed, others)
    assert not set(ids) & set(rehearsed.in_log())
    alarm.rings_for(3)
    # A drill that misses records tells why.
    lost = f"3 × record_lost (queue {DOWN.code}, stream {DOWN.code})"
    assert told_of_records(rehearsed.cloud, LOG, {*ids, *others}) == lost
    assert told_of_records(rehearsed.cloud, LOG, others) == "nothing"


@contextmanager
def four_new_environments(rehearsed: Rehearsed) -> Iterator[None]:
    """No more than four of the front door's, none of which has met a fault; and none of them is left."""
    lambdas = rehearsed.client("lambda")

    def let_go() -> None:
        if functions.pids(rehearsed.cloud, FRONT_DOOR):
            kill_function(rehearsed, FRONT_DOOR)

    let_go()
    lambdas.put_function_concurrency(FunctionName=FRONT_DOOR, ReservedConcurrentExecutions=4)
    try:
        yield
    finally:
        rehearsed.cloud.faults.clear()
        lambdas.delete_function_concurrency(FunctionName=FRONT_DOOR)
        let_go()


def test_a_stream_that_hangs_costs_each_environment_one_put_and_no_prediction(rehearsed: Rehearsed) -> None:
    """What hung is in the stream after all, and in the spool: in the view once."""
    spooled = rehearsed.log_metric("Spooled")
    with four_new_environments(rehearsed):
        fault = rehearsed.cloud.faults.add("firehose", "PutRecord", delay_seconds=2.6)
        ids = rehearsed.served(3)
        until(lambda: rehearsed.log_metric("Spooled") == spooled + 3 or None, "three in the spool")
        ids += rehearsed.served(24)
        until(lambda: rehearsed.log_metric("Spooled") == spooled + 27 or None, "all in the spool")
        assert 1 <= fault.hits <= 4
    logged_once(rehearsed, ids)


def test_a_spool_that_hangs_too_loses_records_and_no_prediction(rehearsed: Rehearsed) -> None:
    alarm, failed = LossAlarm(rehearsed), rehearsed.log_metric("LogFailed")
    with four_new_environments(rehearsed):
        stream = rehearsed.cloud.faults.add("firehose", "PutRecord", DOWN, delay_seconds=2.6)
        queue = rehearsed.cloud.faults.add("sqs", "SendMessage", DOWN, delay_seconds=2.6)
        rehearsed.served(3)
        until(lambda: rehearsed.log_metric("LogFailed") == failed + 3 or None, "three lost")
        rehearsed.served(12)
        until(lambda: rehearsed.log_metric("LogFailed") == failed + 15 or None, "fifteen lost")
        assert 1 <= stream.hits <= 4
        assert 1 <= queue.hits <= 12, "less often each time"
    alarm.rings_for(15)


def test_without_a_loss_the_alarm_is_silent(rehearsed: Rehearsed) -> None:
    """Also when Firehose refuses: what the spool took is not lost."""
    alarm, handed = LossAlarm(rehearsed), rehearsed.log_metric("HandedOver")
    with planted(rehearsed, "firehose", "PutRecord", DOWN):
        rehearsed.served(2)
        until(lambda: rehearsed.log_metric("HandedOver") == handed + 2 or None, "both handed over")
    rehearsed.cloud.clock.advance(120)
    assert alarm.messages() == []


def test_a_transform_that_cannot_be_invoked_for_a_moment_is_tried_again(rehearsed: Rehearsed) -> None:
    rehearsed.in_log()
    with planted(rehearsed, "lambda", "Invoke", DOWN, times=2, match=invokes(TRANSFORM)) as fault:
        ids = rehearsed.served(3)
        logged_once(rehearsed, ids)
    assert fault.hits == 2
    lines = [line["data"].decode("utf-8", "replace") for each in rejected(rehearsed).values() for line in each]
    assert [line for line in lines if any(each in line for each in ids)] == []


def test_a_transform_that_raises_leaves_its_records_under_the_error_prefix(rehearsed: Rehearsed) -> None:
    """As they were: put into the stream again, as the runbook says, they are in the view."""
    rehearsed.in_log()
    handed, before = rehearsed.log_metric("HandedOver"), rejected(rehearsed).keys()
    with exchanged(rehearsed, TRANSFORM, RAISES):
        ids = rehearsed.served(3)
        until(lambda: rehearsed.log_metric("HandedOver") == handed + 3 or None, "three handed over")
        assert flush(rehearsed.cloud, STREAM) == 0
    found = [line for key, each in rejected(rehearsed).items() if key not in before for line in each]
    assert {(line["errorCode"], line["attemptsMade"]) for line in found} == {("Lambda.FunctionError", 4)}
    assert sorted(json.loads(line["data"])["request_id"] for line in found) == sorted(ids)
    assert not set(ids) & set(rehearsed.in_log())
    for line in found:
        rehearsed.client("firehose").put_record(DeliveryStreamName=STREAM, Record={"Data": line["data"]})
    logged_once(rehearsed, ids)


def test_a_poison_record_goes_to_the_error_prefix_and_takes_nobody_with_it(rehearsed: Rehearsed) -> None:
    rehearsed.in_log()
    count, before = rehearsed.log_metric("Rejected"), rejected(rehearsed).keys()
    poison = [b"\x00\xff not json", b'{"schema_version": 1}', b"[]", b'{"request_id": "x", "unheard_of": 1}']
    ids = rehearsed.served(2)
    for data in poison:
        rehearsed.client("firehose").put_record(DeliveryStreamName=STREAM, Record={"Data": data})
    logged_once(rehearsed, ids)
    until(lambda: rehearsed.log_metric("Rejected") == count + 4 or None, "four rejected")
    found = [line["data"] for key, each in rejected(rehearsed).items() if key not in before for line in each]
    assert sorted(found) == sorted(poison)


def test_firehose_refuses_a_record_above_its_limit(rehearsed: Rehearsed) -> None:
    firehose = rehearsed.client("firehose")
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="1024000"):
        firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": b"x" * (1000 * 1024 + 1)})


def test_a_prediction_whose_record_would_be_too_long_is_logged_without_its_values(rehearsed: Rehearsed) -> None:
    rows = [{name: value + number * 1e-15 for name, value in ROW.items()} for number in range(12_000)]
    body = json.dumps({"instances": rows}, separators=(",", ":")).encode()
    lambdas = rehearsed.client("lambda")
    own = lambdas.get_function_configuration(FunctionName=FRONT_DOOR)["Environment"]["Variables"]
    more = {**own, "MAINSTAGE_MAXIMUM_BODY_BYTES": str(4 * 1024**2)}
    lambdas.update_function_configuration(FunctionName=FRONT_DOOR, Environment={"Variables": more})
    try:
        reply = rehearsed.ask(body)
        assert (reply.status, len(json.loads(reply.body)["predictions"])) == (200, 12_000)
        logged_once(rehearsed, [reply.request_id])
    finally:
        lambdas.update_function_configuration(FunctionName=FRONT_DOOR, Environment={"Variables": own})
    row = rehearsed.record(reply.request_id)
    assert (row["truncated"], row["rows"], row["replayed"]) == (True, 12_000, False)
    assert (row["input_bytes"], row["output_bytes"]) == (len(body), len(reply.body))
    assert {value for name, value in row.items() if name.startswith(("input_", "output_")) and name[-5:] != "bytes"
            and name != "input_sha256"} == {None}  # fmt: skip


def test_a_record_that_is_replayed_twice_shows_once(rehearsed: Rehearsed) -> None:
    """The same message again in the spool: the record stands twice in the table and once in the view."""
    bodies: list[str] = []

    def heard(call: Any) -> bool:
        bodies.append(call.params["MessageBody"])
        return False

    with (
        planted(rehearsed, "firehose", "PutRecord", DOWN),
        planted(rehearsed, "sqs", "SendMessage", DOWN, match=heard),
    ):
        [request_id] = rehearsed.served(1)
        [body] = until(lambda: bodies or None, "the message in the spool")
    logged_once(rehearsed, [request_id])
    sqs = rehearsed.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=f"{LOG}-spool")["QueueUrl"], MessageBody=body)

    def twice() -> bool | None:
        flush(rehearsed.cloud)
        rows = rehearsed.sql(f"SELECT request_id FROM records WHERE request_id = '{request_id}'")
        return len(rows) == 2 or None

    until(twice, "the record twice in the table")
    logged_once(rehearsed, [request_id])


def test_firehose_killed_again_and_again_in_the_middle_of_traffic(rehearsed: Rehearsed) -> None:
    """At rest, and while it delivers."""
    with Clients(rehearsed) as clients:
        for delivering in (False, True, True):
            clients.more(6)
            pids = until(lambda: firehose_pids(rehearsed.cloud, STREAM) or None, "a delivering process")
            delivery = threading.Thread(target=flush, args=(rehearsed.cloud, STREAM), daemon=True)
            if delivering:
                delivery.start()
            kill_9(pids)
            if delivering:
                delivery.join(30)
        clients.more(6)
    assert clients.others == []
    logged_once(rehearsed, clients.ids)


def test_a_transform_killed_at_work_in_the_middle_of_traffic(rehearsed: Rehearsed) -> None:
    done = lines(rehearsed, TRANSFORM, "drill: done")
    with Clients(rehearsed) as clients, exchanged(rehearsed, TRANSFORM, LINGERS):
        clients.more(5)
        delivery = threading.Thread(target=flush, args=(rehearsed.cloud, STREAM), daemon=True)
        delivery.start()
        until(lambda: lines(rehearsed, TRANSFORM, "drill: done") > done or None, "a transform at work")
        kill_function(rehearsed, TRANSFORM)
        clients.more(5)
    delivery.join(30)
    assert clients.others == []
    assert rehearsed.metric("AWS/Lambda", "Errors", FunctionName=TRANSFORM) >= 1
    logged_once(rehearsed, clients.ids)


def test_a_replay_killed_at_work_in_the_middle_of_traffic(rehearsed: Rehearsed) -> None:
    """It had put its records into the stream and was not done: they come again, and stand in the view once."""
    with Clients(rehearsed) as clients, exchanged(rehearsed, REPLAY, LINGERS):
        with planted(rehearsed, "firehose", "PutRecord", DOWN):
            clients.more(5)
            until(lambda: lines(rehearsed, REPLAY, "drill: done") or None, "a replay at work")
            kill_function(rehearsed, REPLAY)
            clients.more(5)
        functions.flush(rehearsed.cloud)
    assert clients.others == []
    assert rehearsed.metric("AWS/Lambda", "Errors", FunctionName=REPLAY) >= 1
    rehearsed.cloud.clock.advance(SPOOL_SECONDS)
    logged_once(rehearsed, clients.ids)
    told = ", ".join(f"'{each}'" for each in clients.ids)

    def doubled() -> bool | None:
        flush(rehearsed.cloud)
        [row] = rehearsed.sql(f"SELECT count(*) AS many FROM records WHERE request_id IN ({told})")
        return row["many"] > len(clients.ids) or None

    until(doubled, "a record that came twice")
    logged_once(rehearsed, clients.ids)


def test_a_front_door_killed_between_reply_and_put_is_a_loss_that_is_counted(rehearsed: Rehearsed) -> None:
    alarm = LossAlarm(rehearsed)
    served, handed = rehearsed.log_metric("Served"), rehearsed.log_metric("HandedOver")
    with planted(rehearsed, "firehose", "PutRecord", DOWN, delay_seconds=2.0, times=1) as fault:
        [request_id] = rehearsed.served(1)
        until(lambda: fault.hits or None, "the put under way")
        kill_function(rehearsed, FRONT_DOOR)
    until(lambda: rehearsed.log_metric("Served") == served + 1 or None, "the reply counted")
    [other] = rehearsed.served(1)
    logged_once(rehearsed, [other])
    until(lambda: rehearsed.log_metric("HandedOver") == handed + 1 or None, "the other handed over")
    assert request_id not in rehearsed.in_log()
    alarm.rings_for(1)


def test_a_client_without_a_signature_is_403(rehearsed: Rehearsed) -> None:
    assert rehearsed.ask(signed=False).status == 403


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
