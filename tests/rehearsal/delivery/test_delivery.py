"""From PutRecord to objects in S3: through the function, by partitions, as Parquet, under the stream's role."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

STREAM = "dev-iris-predictions"


def row(request_id: str, amount: float = 1.5, count: int = 2) -> dict[str, Any]:
    return {"request_id": request_id, "amount": amount, "count": count}


def test_records_become_parquet_in_their_partition(world: Any, function: Any) -> None:
    world.create(world.destination())
    world.put(row("a"), row("b", 2.5, 3))
    answer = world.firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": json.dumps(row("c")).encode()})
    assert answer["RecordId"].isdecimal()
    assert answer["Encrypted"] is False
    assert world.waiting() == 3
    assert world.flush() == 0
    (key,) = world.names()
    uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    time = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
    assert re.fullmatch(rf"records/day=2026-11-21/{STREAM}-1-{time}-{uuid}\.parquet", key)
    assert world.rows() == [row("a"), row("b", 2.5, 3), row("c")]
    assert world.waiting() == 0


def test_the_function_gets_the_documented_event(world: Any, function: list[Any]) -> None:
    events: list[dict[str, Any]] = []
    by_day = function[-1]
    function.append(lambda event: events.append(event) or by_day(event))
    world.create(world.destination())
    world.put(row("a"))
    world.flush()
    (event,) = events
    assert sorted(event) == ["deliveryStreamArn", "invocationId", "records", "region"]
    assert event["deliveryStreamArn"] == world.stream_arn
    assert event["region"] == "eu-west-1"
    (record,) = event["records"]
    assert sorted(record) == ["approximateArrivalTimestamp", "data", "recordId"]
    assert json.loads(base64.b64decode(record["data"])) == row("a")
    age_ms = world.cloud.clock.now().timestamp() * 1000 - record["approximateArrivalTimestamp"]
    assert 0 <= age_ms < 60_000


def test_results_of_the_function_decide(world: Any, function: list[Any]) -> None:
    """Ok is stored, Dropped is gone, ProcessingFailed lies under the error prefix as it came."""

    def judge(event: dict[str, Any]) -> dict[str, Any]:
        results = ["Ok", "Dropped", "ProcessingFailed"]
        return {
            "records": [
                {
                    "recordId": record["recordId"],
                    "result": result,
                    "data": record["data"],
                    "metadata": {"partitionKeys": {"day": "2026-11-20"}},
                }
                for record, result in zip(event["records"], results, strict=True)
            ]
        }

    function.append(judge)
    world.create(world.destination())
    world.put(row("kept"), row("dropped"), row("failed"))
    assert world.flush() == 0
    assert [one["request_id"] for one in world.rows("records/day=2026-11-20/")] == ["kept"]
    (error,) = world.errors("processing-failed")
    assert json.loads(base64.b64decode(error.pop("rawData"))) == row("failed")
    assert error.pop("attemptEndingTimestamp") >= error.pop("arrivalTimestamp")
    assert error == {
        "attemptsMade": 1,
        "errorCode": "Lambda.ProcessingFailedStatus",
        "errorMessage": "ProcessingFailed status set for record",
        "lambdaArn": world.function,
    }
    day = f"{world.cloud.clock.now():%Y-%m-%d}"
    assert all(key.startswith(f"rejected/processing-failed/day={day}/") for key in world.names("rejected/"))


def test_partitions_are_objects_of_their_own(world: Any, function: list[Any]) -> None:
    def by_amount(event: dict[str, Any]) -> dict[str, Any]:
        answer = {"records": []}
        for record in event["records"]:
            day = f"day-{json.loads(base64.b64decode(record['data']))['count']}"
            answer["records"].append(
                {**record, "result": "Ok", "metadata": {"partitionKeys": {"day": day, "unused": "x"}}}
            )
        return answer

    function.append(by_amount)
    world.create(world.destination())
    world.put(*(row(f"r{index}", count=index % 3) for index in range(9)))
    world.flush()
    assert len(world.names("records/")) == 3
    assert [one["request_id"] for one in world.rows("records/day=day-1/")] == ["r1", "r4", "r7"]


def test_a_record_without_its_partition_key_is_rejected(world: Any, function: list[Any]) -> None:
    def half(event: dict[str, Any]) -> dict[str, Any]:
        first, second = event["records"]
        return {
            "records": [
                {**first, "result": "Ok", "metadata": {"partitionKeys": {"day": "2026-11-21"}}},
                {**second, "result": "Ok", "metadata": {"partitionKeys": {"hour": "10"}}},
            ]
        }

    function.append(half)
    world.create(world.destination())
    world.put(row("a"), row("b"))
    assert world.flush() == 0
    assert [one["request_id"] for one in world.rows()] == ["a"]
    (error,) = world.errors("processing-failed")
    assert (error["errorCode"], error["errorMessage"]) == (
        "DynamicPartitioning.MetadataExtractionFailed",
        "partitionKeys values must not be null or empty: day",
    )


def test_poison_does_not_hold_up_the_others(world: Any, function: Any) -> None:
    world.create(world.destination())
    poison = [b"no json", b'{"request_id": "x", "count": "many"}', b"[1]", b" \n", b'{"amount": NaN}', b"\xff\xfe"]
    poison.append(b'{"request_id": "\\ud800"}')
    world.put(row("a"), *poison, row("b"))
    assert world.flush() == 0
    assert [one["request_id"] for one in world.rows()] == ["a", "b"]
    errors = world.errors("format-conversion-failed")
    assert [base64.b64decode(error["rawData"]) for error in errors] == poison
    assert [error["lastErrorCode"].partition(".")[2] for error in errors] == [
        *("ParseError", "MalformedData", "MalformedData", "MalformedData", "ParseError", "ParseError"),
        "MalformedData",
    ]
    assert errors[1]["lastErrorMessage"] == ("Data does not match the schema. Column count: 'many' is no whole number")
    assert errors[1]["attemptsMade"] == 1
    assert errors[1]["dataCatalogTable"] == {
        "catalogId": world.cloud.account_id,
        "databaseName": "predictions",
        "tableName": "records",
        "region": "eu-west-1",
        "versionId": "LATEST",
        "catalogArn": None,
    }
    assert world.metric("FailedConversion.Records") == 7
    assert world.metric("SucceedConversion.Records") == 2


def test_a_changed_table_is_seen_at_the_next_object(world: Any, function: Any) -> None:
    world.create(world.destination())
    world.put({**row("a"), "extra": True})
    world.flush()
    columns = [{"Name": "request_id", "Type": "string"}, {"Name": "extra", "Type": "boolean"}]
    world.glue.update_table(DatabaseName="predictions", TableInput=world.table(columns))
    world.put({**row("b"), "extra": True})
    world.flush()
    assert sorted(world.rows(), key=lambda one: one["request_id"]) == [row("a"), {"request_id": "b", "extra": True}]


def test_without_conversion_records_are_joined_as_they_are(world: Any) -> None:
    world.create(world.plain())
    world.put(b"one", b"two\n", b"")
    assert world.flush() == 0
    (key,) = world.names()
    now = world.cloud.clock.now()
    assert re.match(rf"records/{now:%Y/%m/%d}/\d\d/{STREAM}-1-{now:%Y-%m-%d}", key)
    assert not key.endswith(".parquet")
    assert world.body(key) == b"onetwo\n"


def test_buffers_wait_for_the_cloud_s_clock(world: Any, until: Any) -> None:
    world.create(world.plain(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 300}))
    world.put(b"early")
    until(lambda: bool(world.pids()), "it runs")
    world.cloud.clock.advance(250)
    world.put(b"+late")
    assert world.names() == []
    world.cloud.clock.advance(60)
    until(lambda: world.waiting() == 0, "the interval is over")
    assert [world.body(key) for key in world.names()] == [b"early+late"]


def test_a_full_buffer_does_not_wait(world: Any, until: Any) -> None:
    world.create(world.plain(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900}))
    world.put(b"x" * 700_000, b"y" * 400_000, b"z")
    until(lambda: world.waiting() == 1, "a full buffer is written")
    assert len(world.names()) == 1


def test_metrics_of_a_delivery(world: Any, function: Any) -> None:
    world.create(world.destination())
    world.put(row("a"), row("b"))
    world.flush()
    size = 2 * len(json.dumps(row("a")))
    assert world.metric("IncomingRecords") == 2
    assert world.metric("IncomingBytes") == size
    assert world.metric("IncomingPutRequests") == 1
    assert world.metric("PutRecordBatch.Records") == 2
    assert world.metric("ThrottledRecords") == 0
    assert world.metric("SucceedProcessing.Records") == 2
    assert world.metric("ExecuteProcessing.Success", "Average") == 1
    assert world.metric("ExecuteProcessing.Duration", "SampleCount") == 1
    assert world.metric("DeliveryToS3.Records") == 2
    assert world.metric("DeliveryToS3.Success", "Average") == 1
    assert world.metric("DeliveryToS3.Bytes") == len(world.body(world.names()[0]))
    assert world.metric("DeliveryToS3.DataFreshness", "Minimum") is not None


def test_a_flush_waits_for_what_was_there_and_not_for_traffic_to_end(world: Any) -> None:
    world.create(world.plain())
    world.put(b"first")
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.005):
            world.put(b".")

    traffic = threading.Thread(target=go_on, daemon=True)
    traffic.start()
    started = time.monotonic()
    try:
        assert world.flush(30) == 0
    finally:
        stop.set()
        traffic.join()
    assert time.monotonic() - started < 20
    bodies = [world.body(name) for name in world.names()]
    assert sum(b"first" in body for body in bodies) == 1


@pytest.mark.parametrize("missing", ["bucket", "objects", "schema"])
def test_without_a_statement_records_wait_and_nothing_is_lost(
    world: Any, function: Any, until: Any, missing: str
) -> None:
    world.create(world.destination())
    world.grant(missing)
    world.put(row("a"))
    # The process may still be starting when the first second is over.
    until(lambda: world.flush(1.0) == 1 and world.metric("DeliveryToS3.Success", "Maximum") is not None, "an attempt")
    assert world.names() == []
    assert world.metric("DeliveryToS3.Success", "Maximum") == 0
    wanted = {"bucket": "S3.AccessDenied", "objects": "S3.AccessDenied", "schema": "DataFormatConversion.AccessDenied"}
    assert world.error_log()[0]["errorCode"].startswith(wanted[missing])
    assert world.error_log()[0]["deliveryStreamARN"] == world.stream_arn
    world.grant()
    assert world.flush() == 0
    assert world.rows() == [row("a")]


def test_without_the_transform_statement_records_are_rejected(world: Any, function: Any) -> None:
    world.create(world.destination())
    world.grant("transform")
    world.put(row("a"))
    assert world.flush() == 0
    (error,) = world.errors("processing-failed")
    assert (error["errorCode"], error["attemptsMade"]) == ("Lambda.InvokeAccessDenied", 4)
    assert [line["errorCode"] for line in world.error_log()] == ["Lambda.InvokeAccessDenied"]
    assert world.error_log()[0]["processor"] == world.function


def test_without_the_log_statement_only_the_log_is_missing(world: Any, function: Any) -> None:
    world.create(world.destination(ProcessingConfiguration=world.transformed(NumberOfRetries="0")))
    world.grant("transform", "log")
    world.put(row("a"))
    assert world.flush() == 0
    assert len(world.errors("processing-failed")) == 1
    assert world.error_log() == []


def test_a_role_that_no_longer_trusts_firehose_holds_everything(world: Any, function: Any) -> None:
    world.create(world.destination())
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": ""}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    statement["Principal"]["Service"] = "lambda.amazonaws.com"
    world.iam.update_assume_role_policy(RoleName="delivery", PolicyDocument=json.dumps(trust))
    world.put(row("a"))
    assert world.flush(0.8) == 1
    statement["Principal"]["Service"] = "firehose.amazonaws.com"
    world.iam.update_assume_role_policy(RoleName="delivery", PolicyDocument=json.dumps(trust))
    assert world.flush() == 0
    assert world.rows() == [row("a")]


def test_objects_are_encrypted_as_the_destination_says(world: Any) -> None:
    key = world.kms.create_key()["KeyMetadata"]["Arn"]
    world.create(world.plain(EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": key}}))
    world.put(b"secret")
    assert world.flush(1.0) == 1  # the role has no right on the key
    statement = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}
    world.iam.put_role_policy(
        RoleName="delivery",
        PolicyName="key",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    assert world.flush() == 0
    (name,) = world.names()
    head = world.s3.head_object(Bucket="predictions-of-tests", Key=name)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_an_unknown_stream_takes_no_record(world: Any) -> None:
    with pytest.raises(ClientError) as refusal:
        world.firehose.put_record(DeliveryStreamName="nowhere", Record={"Data": b"x"})
    assert refusal.value.response["Error"] == {
        "Code": "ResourceNotFoundException",
        "Message": f"Firehose nowhere under account {world.cloud.account_id} not found.",
    }


def test_limits_of_records_and_batches(world: Any) -> None:
    world.create(world.plain())
    world.firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": b"x" * 1_024_000})
    for records in ([b"x" * 1_024_001], [b"x"] * 501, [b"x" * 1_000_000] * 5):
        with pytest.raises(ClientError) as refusal:
            world.put(*records)
        assert refusal.value.response["Error"]["Code"] == "InvalidArgumentException"
    world.put(*[b"x"] * 500)
    assert world.waiting() == 501
