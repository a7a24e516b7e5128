"""Queues: limits, time, metrics, dead letters, keys."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from .conftest import TRUST, Bench, eventually
from .test_invoke import refusal


@pytest.fixture
def url(bench: Bench) -> str:
    return bench.sqs.create_queue(QueueName="q")["QueueUrl"]


def test_a_message_may_be_a_mebibyte_with_its_attributes(bench: Bench, url: str) -> None:
    attribute = {"AB": {"DataType": "String", "StringValue": "xyz"}}
    full = "ü" * ((1_048_576 - len("ABStringxyz")) // 2)

    bench.sqs.send_message(QueueUrl=url, MessageBody=full, MessageAttributes=attribute)

    assert refusal(bench.sqs.send_message, QueueUrl=url, MessageBody=full + "xx", MessageAttributes=attribute)[:2] == (
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    )
    entries = [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)]
    assert refusal(bench.sqs.send_message_batch, QueueUrl=url, Entries=entries)[0] in (
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "BatchRequestTooLong",
    )
    bench.sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
    assert "shorter than 1024 bytes" in refusal(bench.sqs.send_message, QueueUrl=url, MessageBody="x" * 1025)[1]


def test_characters_that_sqs_does_not_take(bench: Bench, url: str) -> None:
    bench.sqs.send_message(QueueUrl=url, MessageBody="tab\t line\n ü 😀")

    assert refusal(bench.sqs.send_message, QueueUrl=url, MessageBody="bell \x07")[0] == "InvalidMessageContents"


def test_hidden_and_delayed_messages_follow_the_clouds_clock(bench: Bench, url: str) -> None:
    bench.sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=900)
    assert "Messages" not in bench.sqs.receive_message(QueueUrl=url)

    bench.cloud.clock.advance(901)
    [message] = bench.sqs.receive_message(QueueUrl=url, VisibilityTimeout=43_000)["Messages"]
    assert "Messages" not in bench.sqs.receive_message(QueueUrl=url)
    bench.cloud.clock.advance(43_001)

    [again] = bench.sqs.receive_message(QueueUrl=url)["Messages"]
    assert again["MessageId"] == message["MessageId"]


def test_a_long_poll_gets_what_comes_meanwhile_and_keeps_nobody_out(bench: Bench, url: str) -> None:
    found: list[Any] = []
    reader = threading.Thread(
        target=lambda: found.append(bench.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages"))
    )
    started = time.monotonic()
    reader.start()

    bench.sqs.send_message(QueueUrl=url, MessageBody="now")
    reader.join(15)

    assert [message["Body"] for message in found[0]] == ["now"]
    assert time.monotonic() - started < 15


def test_a_long_poll_for_a_group_that_is_worked_on_keeps_nobody_out(bench: Bench) -> None:
    fifo = bench.sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for body in ("first", "second"):
        bench.sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=body)
    [first] = bench.sqs.receive_message(QueueUrl=fifo)["Messages"]
    found: list[Any] = []
    reader = threading.Thread(
        target=lambda: found.append(bench.sqs.receive_message(QueueUrl=fifo, WaitTimeSeconds=20).get("Messages"))
    )
    reader.start()
    reader.join(0.2)

    bench.sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
    reader.join(15)

    assert [message["Body"] for message in found[0]] == ["second"]


def test_nothing_is_lost_or_doubled_between_many_senders_and_readers(bench: Bench, url: str) -> None:
    received: list[str] = []
    done = threading.Event()

    def send(start: int) -> None:
        for number in range(40):
            bench.sqs.send_message(QueueUrl=url, MessageBody=str(start + number))

    def read() -> None:
        while not done.is_set():
            for message in bench.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=5).get("Messages", ()):
                received.append(message["Body"])
                bench.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    senders = [threading.Thread(target=send, args=(100 * number,)) for number in range(3)]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in (*senders, *readers):
        thread.start()
    for thread in senders:
        thread.join()
    eventually(lambda: len(received) >= 120, seconds=30)
    done.set()
    for thread in readers:
        thread.join()

    assert sorted(map(int, received)) == sorted(100 * a + b for a in range(3) for b in range(40))


def test_counts_and_gauges(bench: Bench, url: str) -> None:
    def metric(name: str, statistic: str = "Sum") -> Any:
        return bench.metric(name, statistic, namespace="AWS/SQS", QueueName="q")

    bench.sqs.send_message(QueueUrl=url, MessageBody="12345")
    bench.sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(3)])
    assert (metric("NumberOfMessagesSent"), metric("SentMessageSize", "Maximum")) == (4, 5)
    assert metric("ApproximateNumberOfMessagesVisible", "Maximum") == 4

    [message] = bench.sqs.receive_message(QueueUrl=url)["Messages"]
    bench.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    bench.sqs.receive_message(QueueUrl=url)
    assert (metric("NumberOfMessagesReceived"), metric("NumberOfEmptyReceives")) == (4, 1)
    assert metric("ApproximateNumberOfMessagesNotVisible", "Maximum") == 4
    bench.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert metric("NumberOfMessagesDeleted") == 1

    assert metric("ApproximateAgeOfOldestMessage", "Maximum") < 60
    now = bench.cloud.clock.advance(600)
    assert metric("ApproximateAgeOfOldestMessage", "Maximum") >= 540
    points = bench.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "q"}],
        StartTime=now.timestamp() - 600,
        EndTime=now.timestamp() + 60,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert len(points) >= 9


def test_dead_letter_queues_say_whom_they_serve(bench: Bench) -> None:
    def make(name: str, **attributes: str) -> Any:
        return bench.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    arn = "arn:aws:sqs:eu-west-1:111111111111:"
    serves_a = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [f"{arn}a"]})
    dead = make("dead", RedriveAllowPolicy=serves_a)
    redrive = json.dumps({"deadLetterTargetArn": f"{arn}dead", "maxReceiveCount": 3})
    make("a", RedrivePolicy=redrive)

    code, message, _ = refusal(make, "b", RedrivePolicy=redrive)
    assert code in ("InvalidParameterValue", "InvalidAttributeValue")
    assert "RedriveAllowPolicy" in message
    for names in (["All"], ["RedriveAllowPolicy"]):
        shown = bench.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=names)["Attributes"]
        assert shown["RedriveAllowPolicy"] == serves_a
    for wrong in (redrive.replace(":dead", ":none"), redrive.replace("3}", "0}")):
        assert refusal(make, "c", RedrivePolicy=wrong)[0] == "InvalidParameterValue"
    for wrong in ('{"redrivePermission": "some"}', '{"redrivePermission": "byQueue"}', "[]"):
        assert refusal(make, "c", RedriveAllowPolicy=wrong)[0] == "InvalidParameterValue"
    bench.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": ""})
    make("b", RedrivePolicy=redrive)


def test_who_sends_to_an_encrypted_queue_needs_its_key(bench: Bench) -> None:
    key = bench.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    url = bench.sqs.create_queue(QueueName="q", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    role = bench.role("sender", trust=TRUST)
    sqs: Any = bench.cloud.assume_role(role, service="lambda.amazonaws.com", session_name="x").client("sqs")
    sending = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}

    bench.allow("sender", sending)
    assert "KMS.AccessDenied" in refusal(sqs.send_message, QueueUrl=url, MessageBody="x")[0]
    keys = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}
    bench.allow("sender", sending, keys)
    sqs.send_message(QueueUrl=url, MessageBody="x")

    shown = bench.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (shown["KmsMasterKeyId"], shown["SqsManagedSseEnabled"]) == (key, "false")
    both = {"KmsMasterKeyId": key, "SqsManagedSseEnabled": "true"}
    assert refusal(bench.sqs.create_queue, QueueName="p", Attributes=both)[0] == "InvalidAttributeValue"
