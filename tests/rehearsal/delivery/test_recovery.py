"""What goes wrong on the way: killed processes, refusals, functions that fail. Nothing acknowledged is lost."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from typing import Any

import pytest

from infra.rehearsal.cloud.api import AwsError

STREAM = "dev-iris-predictions"
THROTTLED = AwsError("TooManyRequestsException", "Rate Exceeded.", 429)


def row(request_id: str) -> dict[str, Any]:
    return {"request_id": request_id, "amount": 1.0, "count": 1}


def ids(world: Any) -> list[str]:
    return [one["request_id"] for one in world.rows()]


def tried(world: Any, down: Any, until: Any) -> None:
    """Waits until a delivery was refused; the process may take its time to start."""
    until(lambda: world.flush(0.5) == 1 and down.hits > 0, "it is tried")


def test_a_killed_process_comes_again_and_loses_nothing(world: Any, function: Any, until: Any) -> None:
    world.create(world.destination())
    world.put(row("a"), row("b"))
    until(lambda: bool(world.pids()), "it runs")
    (first,) = world.pids()
    os.kill(first, signal.SIGKILL)
    world.put(row("c"))
    assert world.flush() == 0
    assert world.pids() != [first]
    assert sorted(ids(world)) == ["a", "b", "c"]


def test_killed_between_the_object_and_the_note_it_delivers_twice(world: Any, until: Any) -> None:
    """At least once: the object is there, the journal does not know it yet."""
    held, go_on = threading.Event(), threading.Event()

    def hold(call: Any) -> bool:
        if not held.is_set():
            held.set()
            go_on.wait(20)
        return False

    world.create(world.plain(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0}))
    world.cloud.faults.add("s3", "PutObject", delay_seconds=0.001, match=hold)
    world.put(b"once ")
    until(held.is_set, "an object is on its way")
    os.kill(world.pids()[0], signal.SIGKILL)
    go_on.set()
    assert world.flush() == 0
    until(lambda: len(world.names()) == 2, "both objects are there")
    assert [world.body(key) for key in world.names()] == [b"once ", b"once "]


def test_killed_again_and_again_in_the_middle_of_traffic(world: Any, function: Any) -> None:
    world.create(world.destination(ProcessingConfiguration=world.transformed(BufferSizeInMBs="0.2")))
    sent = []
    for turn in range(4):
        batch = [f"r{turn}-{index}" for index in range(50)]
        world.put(*(row(one) for one in batch))
        sent += batch
        if turn < 3 and world.pids():
            os.kill(world.pids()[0], signal.SIGKILL)
        world.flush(0.3)
    assert world.flush() == 0
    assert sorted(set(ids(world))) == sorted(sent)


def test_delivered_records_do_not_come_again_after_a_death(world: Any, until: Any) -> None:
    world.create(world.plain())
    world.put(b"one ")
    assert world.flush() == 0
    os.kill(world.pids()[0], signal.SIGKILL)
    world.put(b"two ")
    assert world.flush() == 0
    assert sorted(world.body(key) for key in world.names()) == [b"one ", b"two "]


def test_a_throttled_function_is_asked_again(world: Any, function: Any) -> None:
    world.create(world.destination())
    fault = world.cloud.faults.add("lambda", "Invoke", THROTTLED, times=2)
    world.put(row("a"))
    assert world.flush() == 0
    assert (fault.hits, ids(world)) == (2, ["a"])
    assert world.metric("ExecuteProcessing.Success", "SampleCount") == 3
    assert world.metric("ExecuteProcessing.Success") == 1


def test_a_function_that_stays_throttled_costs_the_batch(world: Any, function: Any) -> None:
    world.create(world.destination())
    world.cloud.faults.add("lambda", "Invoke", THROTTLED)
    world.put(row("a"), row("b"))
    assert world.flush() == 0
    errors = world.errors("processing-failed")
    assert [json.loads(base64.b64decode(error["rawData"]))["request_id"] for error in errors] == ["a", "b"]
    assert {(error["errorCode"], error["attemptsMade"]) for error in errors} == {("Lambda.InvokeLimitExceeded", 4)}
    assert world.names("records/") == []


def _same(event: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    return [{**record, "result": "Ok", **changes} for record in event["records"]]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda event: {"FunctionError": "Unhandled", "errorMessage": "boom"}, "Lambda.FunctionError"),
        (lambda event: b"x" * (6 * 1024 * 1024 + 1), "Lambda.FunctionError"),
        (lambda event: b"no json", "Lambda.JsonProcessingException"),
        (lambda event: {"rows": []}, "Lambda.JsonProcessingException"),
        (lambda event: {"records": _same(event, result="Fine")}, "Lambda.JsonProcessingException"),
        (lambda event: {"records": _same(event, data="%")}, "Lambda.JsonProcessingException"),
        (lambda event: {"records": _same(event, metadata={"partitionKeys": 3})}, "Lambda.JsonProcessingException"),
        (
            lambda event: {"records": _same(event, metadata={"partitionKeys": {"day": "\ud800"}})},
            "Lambda.JsonProcessingException",
        ),
        (lambda event: {"records": _same(event)[:1]}, "Lambda.MissingRecordId"),
        (lambda event: {"records": _same(event)[:1] * 2}, "Lambda.DuplicatedRecordId"),
    ],
)
def test_a_bad_answer_costs_the_batch(world: Any, function: list[Any], answer: Any, code: str) -> None:
    function.append(answer)
    world.create(world.destination(ProcessingConfiguration=world.transformed(NumberOfRetries="1")))
    world.put(row("a"), row("b"))
    assert world.flush() == 0
    errors = world.errors("processing-failed")
    assert [(error["errorCode"], error["attemptsMade"]) for error in errors] == [(code, 2)] * 2
    assert world.names("records/") == []


def test_s3_down_is_waited_out(world: Any, function: Any, until: Any) -> None:
    world.create(world.destination())
    down = world.cloud.faults.add("s3", "PutObject", AwsError("ServiceUnavailable", "Reduce your rate.", 503))
    world.put(row("a"))
    tried(world, down, until)
    world.cloud.clock.advance(120)
    until(lambda: (world.metric("DeliveryToS3.DataFreshness", "Maximum") or 0) >= 120, "freshness tells it")
    assert world.metric("DeliveryToS3.Success", "Maximum") == 0
    assert world.error_log()[0]["errorCode"] == "S3.ServiceUnavailable"
    down.remove()
    world.cloud.clock.advance(61)  # the next attempt comes by itself
    until(lambda: world.waiting() == 0, "it is delivered")
    assert ids(world) == ["a"]


def test_after_a_day_of_refusals_data_is_given_up(world: Any, until: Any) -> None:
    world.create(world.plain())
    down = world.cloud.faults.add("s3", "PutObject", AwsError("AccessDenied", "Access Denied", 403))
    world.put(b"lost")
    tried(world, down, until)  # the day begins with the first refusal
    world.cloud.clock.advance(24 * 3600)
    until(lambda: world.waiting() == 0, "it is given up")
    assert world.names() == []


def test_the_retry_duration_of_a_partition_ends_nothing(world: Any, function: Any, until: Any) -> None:
    """With S3 as the destination Firehose goes on to the end of the retention period, whatever RetryOptions say."""
    world.create(world.destination())
    down = world.cloud.faults.add("s3", "PutObject", AwsError("AccessDenied", "Access Denied", 403))
    world.put(row("a"))
    tried(world, down, until)
    hits = down.hits
    world.cloud.clock.advance(7200 + 60)
    until(lambda: down.hits > hits, "it is tried again")
    assert world.waiting() == 1
    down.remove()
    assert world.flush() == 0
    assert (ids(world), world.names("rejected/")) == (["a"], [])


def test_error_objects_are_never_given_up(world: Any, function: list[Any], until: Any) -> None:
    function.append(lambda event: {"records": _same(event, result="ProcessingFailed")})
    world.create(world.destination())
    down = world.cloud.faults.add("s3", "PutObject", AwsError("AccessDenied", "Access Denied", 403))
    world.put(row("a"))
    tried(world, down, until)
    hits = down.hits
    world.cloud.clock.advance(25 * 3600)
    until(lambda: down.hits > hits, "it is tried again")
    assert world.waiting() == 1
    down.remove()
    assert world.flush() == 0
    assert len(world.errors("processing-failed")) == 1


def test_a_missing_table_holds_the_records(world: Any, function: Any, until: Any) -> None:
    world.create(world.destination())
    world.glue.delete_table(DatabaseName="predictions", Name="records")
    world.put(row("a"))
    until(lambda: world.flush(0.8) == 1 and world.error_log() != [], "an attempt")
    assert world.error_log()[0]["errorCode"] == "DataFormatConversion.EntityNotFoundException"
    world.glue.create_table(
        DatabaseName="predictions", TableInput=world.table([{"Name": "request_id", "Type": "string"}])
    )
    assert world.flush() == 0
    assert world.rows() == [{"request_id": "a"}]


def test_keys_are_renewed_when_they_expire(world: Any) -> None:
    world.create(world.plain())
    world.put(b"one")
    assert world.flush() == 0
    world.cloud.clock.advance(3600)
    world.put(b"two")
    assert world.flush() == 0
    assert len(world.names()) == 2


def test_an_update_holds_for_what_is_buffered(world: Any, function: Any) -> None:
    world.create(world.destination())
    world.put(row("a"))
    world.update(Prefix="moved/day=!{partitionKeyFromLambda:day}/", ProcessingConfiguration=world.transformed())
    world.iam.put_role_policy(
        RoleName="delivery",
        PolicyName="moved",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "s3:PutObject",
                        "Resource": "arn:aws:s3:::predictions-of-tests/moved/*",
                    }
                ],
            }
        ),
    )
    assert world.flush() == 0
    (key,) = world.names()
    assert key.startswith(f"moved/day=2026-11-21/{STREAM}-2-")


def test_a_deleted_stream_takes_what_waits_with_it(world: Any, until: Any) -> None:
    world.create(world.plain())
    world.put(b"waits")
    until(lambda: bool(world.pids()), "it runs")
    (pid,) = world.pids()
    world.firehose.delete_delivery_stream(DeliveryStreamName=STREAM)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert world.names() == []
    with pytest.raises(KeyError, match=STREAM):
        world.flush()
    world.create(world.plain())
    assert world.waiting() == 0


def test_a_reset_of_the_cloud_ends_the_processes(world: Any, until: Any) -> None:
    world.create(world.plain())
    world.put(b"waits")
    until(lambda: bool(world.pids()), "it runs")
    (pid,) = world.pids()
    world.cloud.reset()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
