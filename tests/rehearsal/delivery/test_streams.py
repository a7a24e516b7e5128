"""Streams themselves: described whole, changed by version, encrypted, tagged, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import Principal
from infra.rehearsal.cloud.overlay import firehose_delivery

STREAM = "dev-iris-predictions"


def refused(call: Any, **asked: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**asked)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_stream_is_described_with_every_default(world: Any) -> None:
    arn = world.create(
        {"RoleARN": world.role, "BucketARN": "arn:aws:s3:::predictions-of-tests"}, Tags=[{"Key": "team", "Value": "ml"}]
    )
    shown = world.described()
    created = shown.pop("CreateTimestamp")
    assert abs((world.cloud.clock.now() - created).total_seconds()) < 60
    plain = {
        "RoleARN": world.role,
        "BucketARN": "arn:aws:s3:::predictions-of-tests",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": False},
    }
    assert shown == {
        "DeliveryStreamName": STREAM,
        "DeliveryStreamARN": arn,
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"},
        "DeliveryStreamType": "DirectPut",
        "VersionId": "1",
        "Destinations": [
            {
                "DestinationId": "destinationId-000000000001",
                "S3DestinationDescription": plain,
                "ExtendedS3DestinationDescription": {
                    **plain,
                    "S3BackupMode": "Disabled",
                    "ProcessingConfiguration": {"Enabled": False, "Processors": []},
                },
            }
        ],
        "HasMoreDestinations": False,
    }
    assert world.firehose.list_tags_for_delivery_stream(DeliveryStreamName=STREAM)["Tags"] == [
        {"Key": "team", "Value": "ml"}
    ]


def test_a_processor_gets_its_defaults(world: Any) -> None:
    world.create(world.destination())
    target = world.described()["Destinations"][0]["ExtendedS3DestinationDescription"]
    (processor,) = target["ProcessingConfiguration"]["Processors"]
    assert {one["ParameterName"]: one["ParameterValue"] for one in processor["Parameters"]} == {
        "LambdaArn": world.function,
        "NumberOfRetries": "3",
        "RoleArn": world.role,
        "BufferSizeInMBs": "1",
        "BufferIntervalInSeconds": "60",
    }
    assert target["DataFormatConversionConfiguration"]["SchemaConfiguration"] == {
        "RoleARN": world.role,
        "DatabaseName": "predictions",
        "TableName": "records",
        "Region": "eu-west-1",
        "CatalogId": world.cloud.account_id,
        "VersionId": "LATEST",
    }
    assert target["DynamicPartitioningConfiguration"] == {"Enabled": True, "RetryOptions": {"DurationInSeconds": 300}}


def test_an_update_merges_and_counts_the_version(world: Any) -> None:
    world.create(world.destination())
    world.update(ErrorOutputPrefix="elsewhere/!{firehose:error-output-type}/")
    shown = world.described()
    target = shown["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert shown["VersionId"] == "2"
    assert shown["LastUpdateTimestamp"] >= shown["CreateTimestamp"]
    assert target["ErrorOutputPrefix"] == "elsewhere/!{firehose:error-output-type}/"
    assert target["Prefix"] == "records/day=!{partitionKeyFromLambda:day}/"
    assert target["DynamicPartitioningConfiguration"]["Enabled"] is True


def test_a_stale_version_and_a_wrong_destination_are_refused(world: Any) -> None:
    world.create(world.plain())
    world.update(Prefix="later/")
    asked = {
        "DeliveryStreamName": STREAM,
        "CurrentDeliveryStreamVersionId": "1",
        "DestinationId": "destinationId-000000000001",
        "ExtendedS3DestinationUpdate": {"Prefix": "never/"},
    }
    assert refused(world.firehose.update_destination, **asked)[0] == "ConcurrentModificationException"
    wrong = {**asked, "CurrentDeliveryStreamVersionId": "2", "DestinationId": "destinationId-000000000002"}
    assert refused(world.firehose.update_destination, **wrong) == (
        "InvalidArgumentException",
        "Destination Id destinationId-000000000002 not found",
    )
    target = world.described()["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert target["Prefix"] == "later/"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"DynamicPartitioningConfiguration": {"Enabled": False}}, "cannot be disabled on an existing"),
        ({"BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60}}, "must be at least 64"),
        ({"Prefix": "records/"}, "has no partition key"),
    ],
)
def test_an_update_is_checked_against_the_whole(world: Any, change: dict[str, Any], says: str) -> None:
    world.create(world.destination())
    with pytest.raises(ClientError, match=says) as caught:
        world.update(**change)
    assert caught.value.response["Error"]["Code"] == "InvalidArgumentException"
    assert world.described()["VersionId"] == "1"


def test_names_are_taken_once_a_region(world: Any) -> None:
    world.create(world.plain())
    assert refused(world.create, destination=world.plain()) == (
        "ResourceInUseException",
        f"Firehose {STREAM} under accountId {world.cloud.account_id} already exists",
    )
    world.firehose.delete_delivery_stream(DeliveryStreamName=STREAM)
    for call in (world.firehose.delete_delivery_stream, world.firehose.describe_delivery_stream):
        assert refused(call, DeliveryStreamName=STREAM)[0] == "ResourceNotFoundException"
    world.create(world.plain())


def test_streams_are_listed_in_pages(world: Any) -> None:
    for index in range(3):
        world.create(world.plain(), name=f"stream-{index}")
    first = world.firehose.list_delivery_streams(Limit=2)
    assert (first["DeliveryStreamNames"], first["HasMoreDeliveryStreams"]) == (["stream-0", "stream-1"], True)
    rest = world.firehose.list_delivery_streams(ExclusiveStartDeliveryStreamName="stream-1")
    assert (rest["DeliveryStreamNames"], rest["HasMoreDeliveryStreams"]) == (["stream-2"], False)


def test_tags_come_and_go(world: Any) -> None:
    world.create(world.plain())
    world.firehose.tag_delivery_stream(
        DeliveryStreamName=STREAM, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]
    )
    shown = world.firehose.list_tags_for_delivery_stream(DeliveryStreamName=STREAM, Limit=1)
    assert (shown["Tags"], shown["HasMoreTags"]) == ([{"Key": "a", "Value": "1"}], True)
    world.firehose.untag_delivery_stream(DeliveryStreamName=STREAM, TagKeys=["a"])
    shown = world.firehose.list_tags_for_delivery_stream(DeliveryStreamName=STREAM)
    assert (shown["Tags"], shown["HasMoreTags"]) == ([{"Key": "b", "Value": "2"}], False)
    many = [{"Key": f"k{index}", "Value": ""} for index in range(50)]
    assert refused(world.firehose.tag_delivery_stream, DeliveryStreamName=STREAM, Tags=many)[0] == (
        "LimitExceededException"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"CompressionFormat": "ZIP"}, "CompressionFormat ZIP"),
        ({"S3BackupMode": "Enabled"}, "S3BackupMode Enabled"),
        ({"Prefix": "!{timestamp:EEE}/", "ErrorOutputPrefix": "e/!{firehose:error-output-type}/"}, "letters 'EEE'"),
    ],
)
def test_what_is_not_carried_is_refused_by_name(world: Any, changes: dict[str, Any], says: str) -> None:
    code, message = refused(world.create, destination=world.plain(**changes))
    assert code == "NotCarried"
    assert says in message


def test_other_processors_serdes_and_destinations_are_refused_by_name(world: Any) -> None:
    appends = {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]}
    conversion = world.converted()
    conversion["InputFormatConfiguration"] = {"Deserializer": {"HiveJsonSerDe": {}}}
    conversion["OutputFormatConfiguration"] = {"Serializer": {"OrcSerDe": {}}}
    hints = {"SizeInMBs": 64, "IntervalInSeconds": 60}
    asked = world.plain(
        ProcessingConfiguration=appends, DataFormatConversionConfiguration=conversion, BufferingHints=hints
    )
    code, message = refused(world.create, destination=asked)
    assert code == "NotCarried"
    assert "a processor of type AppendDelimiterToRecord; HiveJsonSerDe; OrcSerDe" in message
    http = {
        "EndpointConfiguration": {"Url": "https://example.com"},
        "S3Configuration": {"RoleARN": world.role, "BucketARN": "arn:aws:s3:::predictions-of-tests"},
    }
    code, message = refused(
        world.firehose.create_delivery_stream, DeliveryStreamName="h", HttpEndpointDestinationConfiguration=http
    )
    assert code == "NotCarried"
    assert "HttpEndpointDestinationConfiguration" in message
    code, message = refused(world.create, destination=world.plain(), DeliveryStreamType="MSKAsSource")
    assert (code, "MSKAsSource" in message) == ("NotCarried", True)


def test_missing_things_are_refused_and_named(world: Any) -> None:
    wrong = {
        "the bucket": world.plain(BucketARN="arn:aws:s3:::nowhere-at-all"),
        "the role": world.plain(RoleARN=f"arn:aws:iam::{world.cloud.account_id}:role/nobody"),
        "the log group": world.plain(
            CloudWatchLoggingOptions={"Enabled": True, "LogGroupName": "/no", "LogStreamName": "s"}
        ),
        "predictions.missing": world.destination(
            DataFormatConversionConfiguration=world.converted(TableName="missing")
        ),
        "function:missing": world.destination(
            ProcessingConfiguration=world.transformed(LambdaArn=f"{world.function[:-9]}missing")
        ),
    }
    everything = {"Effect": "Allow", "Action": "glue:*", "Resource": "*"}
    world.iam.put_role_policy(
        RoleName="delivery",
        PolicyName="catalogue",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    for what, destination in wrong.items():
        code, message = refused(world.create, destination=destination)
        assert (code, what in message) == ("InvalidArgumentException", True), message
    assert world.firehose.list_delivery_streams()["DeliveryStreamNames"] == []


def test_a_role_must_trust_firehose_and_may_ask_for_this_stream(world: Any) -> None:
    def trust(**condition: Any) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "firehose.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    other = trust(ArnEquals={"aws:SourceArn": world.stream_arn + "-other"})
    world.iam.update_assume_role_policy(RoleName="delivery", PolicyDocument=other)
    assert refused(world.create, destination=world.plain()) == (
        "InvalidArgumentException",
        f"Firehose is unable to assume role {world.role}. Please check the role provided.",
    )
    this = trust(
        ArnEquals={"aws:SourceArn": world.stream_arn}, StringEquals={"aws:SourceAccount": world.cloud.account_id}
    )
    world.iam.update_assume_role_policy(RoleName="delivery", PolicyDocument=this)
    world.create(world.plain())
    world.put(b"x")
    assert world.flush() == 0


def test_a_customer_s_key_needs_a_grant_of_the_caller(world: Any) -> None:
    key = world.kms.create_key()["KeyMetadata"]["Arn"]
    world.create(world.plain())
    made = world.iam.create_role(
        RoleName="deployer",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )
    actions = ["firehose:StartDeliveryStreamEncryption"]

    def grant() -> None:
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
        }
        world.iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=json.dumps(document))

    grant()
    caller = world.cloud.assume_role(made["Role"]["Arn"], service="ec2.amazonaws.com", session_name="deploy").client(
        "firehose", region_name="eu-west-1"
    )
    asked = {
        "DeliveryStreamName": STREAM,
        "DeliveryStreamEncryptionConfigurationInput": {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key},
    }
    code, message = refused(caller.start_delivery_stream_encryption, **asked)
    assert (code, "kms:CreateGrant" in message) == ("InvalidKMSResourceException", True)
    actions.append("kms:CreateGrant")
    grant()
    caller.start_delivery_stream_encryption(**asked)
    assert world.described()["DeliveryStreamEncryptionConfiguration"] == {
        "KeyARN": key,
        "KeyType": "CUSTOMER_MANAGED_CMK",
        "Status": "ENABLED",
    }
    put = {"DeliveryStreamName": STREAM, "Record": {"Data": b"x"}}
    assert world.firehose.put_record(**put)["Encrypted"] is True
    key_id = key.rpartition("/")[2]
    world.kms.disable_key(KeyId=key_id)
    assert refused(world.firehose.put_record, **put)[0] == "InvalidKMSResourceException"
    world.kms.enable_key(KeyId=key_id)
    (held,) = world.kms.list_grants(KeyId=key)["Grants"]
    world.kms.revoke_grant(KeyId=key, GrantId=held["GrantId"])
    assert "was revoked" in refused(world.firehose.put_record, **put)[1]
    world.firehose.stop_delivery_stream_encryption(DeliveryStreamName=STREAM)
    assert world.firehose.put_record(**put)["Encrypted"] is False


def test_a_producer_needs_the_right_to_put(world: Any) -> None:
    world.create(world.plain())
    nobody = Principal("role", "arn:aws:sts::111111111111:assumed-role/function/s", world.cloud.account_id,
                       role_arn=f"arn:aws:iam::{world.cloud.account_id}:role/function")  # fmt: skip
    client = world.cloud.session(nobody).client("firehose", region_name="eu-west-1")
    put = {"DeliveryStreamName": STREAM, "Record": {"Data": b"x"}}
    assert refused(client.put_record, **put)[0] == "AccessDeniedException"
    statement = {"Effect": "Allow", "Action": "firehose:PutRecord", "Resource": world.stream_arn}
    world.iam.put_role_policy(
        RoleName="function",
        PolicyName="put",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    client.put_record(**put)
    assert world.waiting() == 1


def test_all_streams_are_flushed_and_an_unknown_one_is_named(world: Any) -> None:
    for name in ("one", "two"):
        world.create(world.plain(Prefix=f"records/{name}/"), name=name)
        world.firehose.put_record(DeliveryStreamName=name, Record={"Data": name.encode()})
    assert firehose_delivery.flush(world.cloud) == 0
    assert [world.body(key) for key in world.names()] == [b"one", b"two"]
    assert firehose_delivery.pids(world.cloud, "one") != firehose_delivery.pids(world.cloud, "two")
    with pytest.raises(KeyError, match="there are: one, two"):
        firehose_delivery.waiting(world.cloud, "three")
