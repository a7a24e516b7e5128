"""Queues as event sources: batches, failures, dead letters, and what Lambda refuses of a mapping."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from infra.rehearsal.cloud.functions.host import Functions
from infra.rehearsal.cloud.functions.poller import Poller, _Batch, failed_items, pollers_of

from .conftest import LOGGING, Bench, eventually
from .test_invoke import refusal

QUEUE = "arn:aws:sqs:eu-west-1:111111111111:spool"
DEAD = f"{QUEUE}-dead"
POLLING = {
    "Effect": "Allow",
    "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    "Resource": QUEUE,
}
CONSUMER = """
    import json
    def handler(event, context):
        bodies = [record["body"] for record in event["Records"]]
        print("batch", json.dumps(bodies))
        if "raise" in bodies:
            raise ValueError("raise")
        bad = [{"itemIdentifier": record["messageId"]} for record in event["Records"] if record["body"] == "bad"]
        return {"batchItemFailures": bad}
"""


class Spool:
    def __init__(self, bench: Bench, **attributes: str):
        self.bench = bench
        self.dead = bench.sqs.create_queue(QueueName="spool-dead")["QueueUrl"]
        redrive = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 2})
        given = {"VisibilityTimeout": "10", "RedrivePolicy": redrive, **attributes}
        self.url = bench.sqs.create_queue(QueueName="spool", Attributes=given)["QueueUrl"]

    def map(self, **options: Any) -> str:
        given = {"EventSourceArn": QUEUE, "FunctionName": "f", "BatchSize": 10, **options}
        return self.bench.lambdas.create_event_source_mapping(**given)["UUID"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.bench.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def counts(self, url: str = "") -> tuple[int, int]:
        """Visible and in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.bench.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def batches(self) -> list[list[str]]:
        return [json.loads(line[6:]) for line in self.bench.log_lines() if line.startswith("batch ")]


@pytest.fixture
def spool(bench: Bench) -> Spool:
    bench.deploy(CONSUMER, role=bench.role("f-role", LOGGING, POLLING))
    return Spool(bench)


def test_a_batch_is_handed_over_and_deleted(bench: Bench) -> None:
    bench.deploy(
        "import json\ndef handler(event, context):\n    print('event', json.dumps(event))",
        role=bench.role("f-role", LOGGING, POLLING),
    )
    spool = Spool(bench)
    attribute = {"Kind": {"DataType": "String", "StringValue": "x"}}
    sent = bench.sqs.send_message(QueueUrl=spool.url, MessageBody="größe", MessageAttributes=attribute)
    spool.map()

    eventually(lambda: spool.counts() == (0, 0))

    [line] = [line for line in bench.log_lines() if line.startswith("event ")]
    [record] = json.loads(line[6:])["Records"]
    assert record["messageId"] == sent["MessageId"]
    assert record["body"] == "größe"
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["messageAttributes"] == {
        "Kind": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
    }
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert set(record["attributes"]) == {
        "ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp",
    }  # fmt: skip
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", QUEUE, "eu-west-1")
    assert bench.metric("NumberOfMessagesDeleted", namespace="AWS/SQS", QueueName="spool") == 1


def test_batches_hold_no_more_than_asked_for(spool: Spool) -> None:
    spool.send(*[str(number) for number in range(7)])
    spool.map(BatchSize=3)

    eventually(lambda: spool.counts() == (0, 0))

    batches = spool.batches()
    assert sorted(len(batch) for batch in batches) == [1, 3, 3]
    assert sorted(body for batch in batches for body in batch) == [str(number) for number in range(7)]


def test_a_window_gathers_more_than_one_receive_brings(spool: Spool) -> None:
    spool.send(*[str(number) for number in range(25)])
    spool.map(BatchSize=25, MaximumBatchingWindowInSeconds=5)

    eventually(lambda: spool.counts() == (0, 0))

    assert [len(batch) for batch in spool.batches()] == [25]


def test_a_failed_batch_comes_again_and_ends_with_the_dead(spool: Spool) -> None:
    spool.send("raise")
    spool.map()
    for attempt in (1, 2):
        eventually(lambda attempt=attempt: len(spool.batches()) == attempt)
        assert spool.counts() == (0, 1)
        assert spool.counts(spool.dead) == (0, 0)
        spool.bench.cloud.clock.advance(11)

    eventually(lambda: spool.counts(spool.dead) == (1, 0))

    assert spool.counts() == (0, 0)
    assert len(spool.batches()) == 2
    [message] = spool.bench.sqs.receive_message(QueueUrl=spool.dead)["Messages"]
    assert message["Body"] == "raise"


def test_only_the_failed_items_come_again_when_they_are_reported(spool: Spool) -> None:
    spool.send("good", "bad", "fine")
    spool.map(FunctionResponseTypes=["ReportBatchItemFailures"])

    eventually(lambda: spool.counts() == (0, 1))
    spool.bench.cloud.clock.advance(11)
    eventually(lambda: len(spool.batches()) == 2)

    assert sorted(spool.batches()[0]) == ["bad", "fine", "good"]
    assert spool.batches()[1] == ["bad"]


def test_without_that_the_report_counts_for_nothing(spool: Spool) -> None:
    spool.send("good", "bad")
    spool.map()

    eventually(lambda: spool.counts() == (0, 0))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "c"}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', None),
        (b'{"batchItemFailures": [{"key": "a"}]}', None),
        (b'{"batchItemFailures": ["a"]}', None),
        (b"no json", None),
    ],
)
def test_what_a_report_means(payload: bytes, expected: set[str] | None) -> None:
    assert failed_items(payload, {"a", "b"}) == expected


def test_a_role_that_loses_its_permissions_stops_the_poller_until_it_has_them_again(spool: Spool) -> None:
    uuid = spool.map()
    spool.bench.allow("f-role", LOGGING)

    spool.send("one")
    eventually(lambda: "sqs:receivemessage" in pollers_of(spool.bench.cloud).problem(uuid).lower())
    assert spool.counts() == (1, 0)

    spool.bench.allow("f-role", LOGGING, POLLING)
    eventually(lambda: spool.counts() == (0, 0))
    assert pollers_of(spool.bench.cloud).problem(uuid) == ""


def test_a_reset_while_a_mapping_polls_leaves_the_next_functions_whole(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, close, polled = Poller._poll, Functions.close, threading.Event()

    def poll_and_tell(poller: Poller) -> bool:
        try:
            return poll(poller)
        finally:
            polled.set()

    def close_while_it_polls(host: Functions) -> None:
        polled.clear()
        assert polled.wait(20)
        close(host)

    monkeypatch.setattr(Poller, "_poll", poll_and_tell)
    spool.map()
    spool.bench.allow("f-role", LOGGING)  # so that the message stays, and each poll looks at the function
    spool.send("one")
    monkeypatch.setattr(Functions, "close", close_while_it_polls)
    spool.bench.cloud.reset()
    monkeypatch.setattr(Functions, "close", close)

    spool.bench.deploy("import boto3\ndef handler(event, context):\n    return 1")
    assert spool.bench.invoke({}) == (1, "")


def test_a_reset_waits_for_the_batches_under_way(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    began, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        began.set()
        let_go.wait(20)
        ended.set()

    monkeypatch.setattr(_Batch, "run", slow)
    spool.send("one")
    spool.map()
    assert began.wait(20)
    timer = threading.Timer(0.5, let_go.set)
    timer.start()

    spool.bench.cloud.reset()

    assert ended.is_set()
    timer.join()


def test_an_encrypted_queue_needs_the_key_too(bench: Bench) -> None:
    key = bench.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    bench.deploy(CONSUMER, role=bench.role("f-role", LOGGING, POLLING))
    spool = Spool(bench, KmsMasterKeyId=key)
    uuid = spool.map()
    spool.send("one")
    eventually(lambda: "kms:Decrypt" in pollers_of(bench.cloud).problem(uuid))

    bench.allow("f-role", LOGGING, POLLING, {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key})

    eventually(lambda: spool.counts() == (0, 0))


def test_a_disabled_and_a_deleted_mapping_take_nothing(spool: Spool) -> None:
    uuid = spool.map(Enabled=False)
    spool.send("one")
    assert spool.bench.lambdas.get_event_source_mapping(UUID=uuid)["State"] == "Disabled"
    spool.bench.lambdas.update_event_source_mapping(UUID=uuid, Enabled=True)
    eventually(lambda: spool.counts() == (0, 0))

    spool.bench.lambdas.delete_event_source_mapping(UUID=uuid)
    spool.send("two")

    assert refusal(spool.bench.lambdas.get_event_source_mapping, UUID=uuid)[0] == "ResourceNotFoundException"
    assert spool.counts() == (1, 0)
    assert spool.batches() == [["one"]]


def test_a_mapping_reads_back(spool: Spool) -> None:
    uuid = spool.map(BatchSize=50, MaximumBatchingWindowInSeconds=2, ScalingConfig={"MaximumConcurrency": 2},
                     FunctionResponseTypes=["ReportBatchItemFailures"])  # fmt: skip

    found = spool.bench.lambdas.get_event_source_mapping(UUID=uuid)

    assert (found["BatchSize"], found["MaximumBatchingWindowInSeconds"]) == (50, 2)
    assert (found["State"], found["EventSourceArn"]) == ("Enabled", QUEUE)
    assert found["FunctionArn"] == "arn:aws:lambda:eu-west-1:111111111111:function:f"
    assert found["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    for name in ("f", found["FunctionArn"]):
        listed = spool.bench.lambdas.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        assert [one["UUID"] for one in listed] == [uuid]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"BatchSize": 11}, "InvalidParameterValueException",
         "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"),
        ({"EventSourceArn": f"{QUEUE}s"}, "InvalidParameterValueException", "The specified queue does not exist"),
        ({"FunctionName": "g"}, "ResourceNotFoundException", "Function not found"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "NotCarried", "FilterCriteria"),
        ({"EventSourceArn": "arn:aws:kinesis:eu-west-1:111111111111:stream/s", "StartingPosition": "LATEST"},
         "NotCarried", "StartingPosition"),
    ],
)  # fmt: skip
def test_what_a_mapping_may_not_be(spool: Spool, options: dict[str, Any], code: str, message: str) -> None:
    refused, text, _ = refusal(spool.map, **options)

    assert refused == code
    assert message in text


def test_the_queue_must_hide_messages_as_long_as_the_function_may_run(spool: Spool) -> None:
    spool.bench.lambdas.update_function_configuration(FunctionName="f", Timeout=11)

    assert refusal(spool.map)[:2] == (
        "InvalidParameterValueException",
        "Queue visibility timeout: 10 seconds is less than Function timeout: 11 seconds",
    )


@pytest.mark.parametrize("missing", ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"])
def test_the_role_is_tried_at_once(spool: Spool, missing: str) -> None:
    left = [action for action in POLLING["Action"] if not action.endswith(missing)]
    spool.bench.allow("f-role", LOGGING, {**POLLING, "Action": left})

    assert refusal(spool.map)[:2] == (
        "InvalidParameterValueException",
        f"The provided execution role does not have permissions to call {missing} on SQS",
    )


def test_one_mapping_for_a_queue_and_a_function(spool: Spool) -> None:
    uuid = spool.map()

    code, message, status = refusal(spool.map)

    assert (code, status) == ("ResourceConflictException", 409)
    assert message.endswith(f"Please update or delete the existing mapping with UUID {uuid}")
