"""Each link from the front door to the objects in S3, changed with boto3: what AWS would answer is seen, with
the change and after it was undone. Predictions succeed all the while."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from links import BUCKET, DELIVERY_ROLE, FUNCTION, ROLE, STREAM, changed, without_statement
from rehearsed import LOG, Rehearsed, kill_9, until

from infra.predictions import athena
from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.overlay.firehose_delivery import flush, waiting

SPOOL = f"{LOG}-spool"


def counted(rehearsed: Rehearsed, name: str, before: float, count: int) -> None:
    """Waits for a metric of the log to have risen by `count`."""
    until(lambda: True if rehearsed.log_metric(name) >= before + count else None, f"{count} more {name}")
    assert rehearsed.log_metric(name) == before + count


def replayed(rehearsed: Rehearsed, ids: list[str]) -> set[Any]:
    rehearsed.wait_for_log(ids)
    listed = ", ".join(f"'{each}'" for each in ids)
    rows = rehearsed.sql(f"SELECT replayed FROM predictions WHERE request_id IN ({listed})")
    assert len(rows) == len(ids)
    return {row["replayed"] for row in rows}


def queue_url(rehearsed: Rehearsed) -> str:
    return rehearsed.client("sqs").get_queue_url(QueueName=SPOOL)["QueueUrl"]


def spooled(rehearsed: Rehearsed) -> int:
    """Messages in the spool, taken or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = rehearsed.client("sqs").get_queue_attributes(QueueUrl=queue_url(rehearsed), AttributeNames=names)
    return sum(int(value) for value in found["Attributes"].values())


@contextmanager
def replay_off(rehearsed: Rehearsed) -> Iterator[None]:
    client = rehearsed.client("lambda")
    queue = f"arn:aws:sqs:eu-west-1:111111111111:{SPOOL}"
    [mapping] = client.list_event_source_mappings(EventSourceArn=queue)["EventSourceMappings"]
    update = client.update_event_source_mapping
    with changed(
        lambda: update(UUID=mapping["UUID"], Enabled=False), lambda: update(UUID=mapping["UUID"], Enabled=True)
    ):
        yield


# -- stream and spool -----------------------------------------------------------------------------------------


def test_a_role_that_may_not_put_spools_and_the_spool_is_replayed(rehearsed: Rehearsed) -> None:
    before = rehearsed.log_metric("Spooled")
    with without_statement(rehearsed, ROLE, "PutRecords"):
        ids = rehearsed.served(2)
        counted(rehearsed, "Spooled", before, 2)
    assert replayed(rehearsed, ids) == {True}
    direct = rehearsed.served()
    assert replayed(rehearsed, direct) == {False}


def test_a_mapping_that_is_off_leaves_the_spool_as_it_is(rehearsed: Rehearsed) -> None:
    before, taken = rehearsed.log_metric("Spooled"), rehearsed.log_metric("Replayed")
    with replay_off(rehearsed):
        with without_statement(rehearsed, ROLE, "PutRecords"):
            ids = rehearsed.served(2)
            counted(rehearsed, "Spooled", before, 2)
        assert not set(ids) & set(rehearsed.in_log())
        assert spooled(rehearsed) == 2
        assert rehearsed.log_metric("Replayed") == taken
    assert replayed(rehearsed, ids) == {True}
    assert spooled(rehearsed) == 0


def test_a_role_that_may_neither_put_nor_spool_loses_and_counts(rehearsed: Rehearsed) -> None:
    before = rehearsed.log_metric("LogFailed")
    with without_statement(rehearsed, ROLE, "PutRecords", "SpoolRecords"):
        ids = rehearsed.served(2)
        counted(rehearsed, "LogFailed", before, 2)
    after = rehearsed.served()
    assert not set(ids) & set(rehearsed.wait_for_log(after))


def test_a_spool_that_was_deleted_is_missed_only_when_firehose_is_too(rehearsed: Rehearsed) -> None:
    sqs, url = rehearsed.client("sqs"), queue_url(rehearsed)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    taken = ("MessageRetentionPeriod", "VisibilityTimeout", "RedrivePolicy", "KmsMasterKeyId", "Policy")
    attributes = {name: found[name] for name in (*taken, "KmsDataKeyReusePeriodSeconds")}

    def made() -> None:
        # AWS has a name back after 60 seconds (API reference, CreateQueue: QueueDeletedRecently).
        rehearsed.cloud.clock.advance(61)
        sqs.create_queue(QueueName=SPOOL, Attributes=attributes)

    before, failed = rehearsed.log_metric("Spooled"), rehearsed.log_metric("LogFailed")
    handed = rehearsed.log_metric("HandedOver")
    with changed(lambda: sqs.delete_queue(QueueUrl=url), made):
        kept = rehearsed.served()
        counted(rehearsed, "HandedOver", handed, 1)
        with without_statement(rehearsed, ROLE, "PutRecords"):
            lost = rehearsed.served()
            counted(rehearsed, "LogFailed", failed, 1)
    with without_statement(rehearsed, ROLE, "PutRecords"):
        again = rehearsed.served()
        counted(rehearsed, "Spooled", before, 1)
    assert replayed(rehearsed, again) == {True}
    assert replayed(rehearsed, kept) == {False}
    assert lost[0] not in rehearsed.in_log()


def test_a_stream_that_was_deleted_and_made_again(rehearsed: Rehearsed) -> None:
    """What came meanwhile waits in the spool. The mapping is off, or the replay would use up its attempts."""
    firehose = rehearsed.client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=STREAM)["DeliveryStreamDescription"]
    encryption = described["DeliveryStreamEncryptionConfiguration"]
    arguments = {
        "DeliveryStreamName": STREAM,
        "DeliveryStreamType": "DirectPut",
        "DeliveryStreamEncryptionConfigurationInput": {name: encryption[name] for name in ("KeyARN", "KeyType")},
        "ExtendedS3DestinationConfiguration": described["Destinations"][0]["ExtendedS3DestinationDescription"],
    }
    assert flush(rehearsed.cloud, STREAM) == 0
    before = rehearsed.log_metric("Spooled")
    with replay_off(rehearsed):
        with changed(
            lambda: firehose.delete_delivery_stream(DeliveryStreamName=STREAM),
            lambda: firehose.create_delivery_stream(**arguments),
        ):
            ids = rehearsed.served(2)
            counted(rehearsed, "Spooled", before, 2)
        assert spooled(rehearsed) == 2
    assert replayed(rehearsed, ids) == {True}
    assert replayed(rehearsed, rehearsed.served()) == {False}


def test_a_key_that_is_disabled_stops_the_log_and_no_prediction_of_an_environment_that_runs(
    rehearsed: Rehearsed,
) -> None:
    """Stream and spool have the same key, so neither takes the record: it is lost and counted. SQS may go on for the
    five minutes that it reuses a data key (unconfirmed). What Firehose held already arrives when the key is back."""
    kms = rehearsed.client("kms")
    key = kms.describe_key(KeyId="alias/mainstage-dev")["KeyMetadata"]["KeyId"]
    rehearsed.in_log()
    before, put = rehearsed.log_metric("LogFailed"), rehearsed.log_metric("HandedOver")
    held = rehearsed.served()
    counted(rehearsed, "HandedOver", put, 1)
    with changed(lambda: kms.disable_key(KeyId=key), lambda: kms.enable_key(KeyId=key)):
        lost = rehearsed.served(2)
        counted(rehearsed, "LogFailed", before, 2)
        flush(rehearsed.cloud, STREAM, 1)
        assert waiting(rehearsed.cloud, STREAM) == 1
        with pytest.raises(athena.QueryError):
            rehearsed.sql("SELECT request_id FROM predictions")
        firehose = rehearsed.client("firehose")
        with pytest.raises(firehose.exceptions.InvalidKMSResourceException, match="DisabledException"):
            firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": b"{}"})
        # A new environment cannot read its variables; API Gateway answers 500 for Lambda's KMSDisabledException.
        kill_9(functions.pids(rehearsed.cloud, FUNCTION))
        until(lambda: not functions.pids(rehearsed.cloud, FUNCTION) or None, "the environment is gone")
        assert rehearsed.ask().status == 500
    after = rehearsed.served()
    found = rehearsed.wait_for_log([*held, *after])
    assert not set(lost) & set(found)


# -- delivery to S3 -------------------------------------------------------------------------------------------


def delivery_errors(rehearsed: Rehearsed) -> list[dict[str, Any]]:
    """What Firehose wrote to its error log."""
    found = rehearsed.client("logs").filter_log_events(logGroupName=f"/aws/kinesisfirehose/{STREAM}")["events"]
    return [json.loads(event["message"]) for event in found]


def waits_and_arrives(rehearsed: Rehearsed, broken: Any, *codes: str) -> None:
    """A record that cannot be delivered stays with Firehose and arrives when the link is mended."""
    rehearsed.in_log()
    errors = len(delivery_errors(rehearsed))
    put = rehearsed.log_metric("HandedOver")
    with broken:
        ids = rehearsed.served()
        counted(rehearsed, "HandedOver", put, 1)
        flush(rehearsed.cloud, STREAM, 1)
        assert waiting(rehearsed.cloud, STREAM) == 1
        told = delivery_errors(rehearsed)[errors:]
        assert {each["errorCode"] for each in told} == set(codes)
    assert replayed(rehearsed, ids) == {False}
    assert waiting(rehearsed.cloud, STREAM) == 0


def test_a_delivery_role_that_may_not_write(rehearsed: Rehearsed) -> None:
    waits_and_arrives(rehearsed, without_statement(rehearsed, DELIVERY_ROLE, "WriteRecords"), "S3.AccessDenied")


def test_a_delivery_role_that_may_not_read_the_tables_columns(rehearsed: Rehearsed) -> None:
    """That the records wait, and do not go to the error prefix, is unconfirmed."""
    broken = without_statement(rehearsed, DELIVERY_ROLE, "ReadColumns")
    waits_and_arrives(rehearsed, broken, "DataFormatConversion.AccessDeniedException")


def test_a_bucket_that_refuses_the_delivery_role(rehearsed: Rehearsed) -> None:
    s3 = rehearsed.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/records/*",
    }
    denied = {**policy, "Statement": [*policy["Statement"], deny]}
    broken = changed(
        lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(denied)),
        lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy)),
    )
    waits_and_arrives(rehearsed, broken, "S3.AccessDenied")


def test_a_delivery_role_that_may_not_call_the_transform(rehearsed: Rehearsed) -> None:
    """After its repetitions Firehose puts the records, as they came, under the error prefix, and says why."""
    s3, prefix = rehearsed.client("s3"), f"rejected/{LOG}/processing-failed/"

    def rejected() -> dict[str, dict[str, Any]]:
        """The error records by their request's id, where they are records."""
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        texts = [s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed]
        lines = [json.loads(line) for text in texts for line in text.splitlines()]
        found: dict[str, dict[str, Any]] = {}
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):  # other tests leave what is no record
                found[json.loads(base64.b64decode(line["rawData"]))["request_id"]] = line
        return found

    rehearsed.in_log()
    handed = rehearsed.log_metric("HandedOver")
    with without_statement(rehearsed, DELIVERY_ROLE, "Transform"):
        [refused] = rehearsed.served()
        counted(rehearsed, "HandedOver", handed, 1)
        assert flush(rehearsed.cloud, STREAM) == 0
    line = rejected()[refused]
    assert (line["errorCode"], line["attemptsMade"]) == ("Lambda.InvokeAccessDenied", 4)
    after = rehearsed.served()
    assert refused not in rehearsed.wait_for_log(after)
    assert after[0] not in rejected()
