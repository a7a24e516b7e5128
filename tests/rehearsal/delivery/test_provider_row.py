"""aws.kinesis.FirehoseDeliveryStream as the real provider treats it."""

from __future__ import annotations

from typing import Any

import pytest
from provider_driver import CheckFailed, configured

from infra.rehearsal.provider import ProviderError

TYPE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
STREAM = "dev-iris-predictions"


def inputs(world: Any, parameters: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    given = {"LambdaArn": world.function, "BufferIntervalInSeconds": "30", **(parameters or {})}
    target = {
        "roleArn": world.role,
        "bucketArn": "arn:aws:s3:::predictions-of-tests",
        "prefix": "records/day=!{partitionKeyFromLambda:day}/",
        "errorOutputPrefix": "rejected/!{firehose:error-output-type}/day=!{timestamp:yyyy-MM-dd}/",
        "bufferingInterval": 60,
        "bufferingSize": 64,
        "dynamicPartitioningConfiguration": {"enabled": True},
        "processingConfiguration": {
            "enabled": True,
            "processors": [
                {
                    "type": "Lambda",
                    "parameters": [{"parameterName": n, "parameterValue": v} for n, v in given.items()],
                }
            ],
        },
        "dataFormatConversionConfiguration": {
            "inputFormatConfiguration": {"deserializer": {"openXJsonSerDe": {}}},
            "outputFormatConfiguration": {"serializer": {"parquetSerDe": {}}},
            "schemaConfiguration": {"databaseName": "predictions", "tableName": "records", "roleArn": world.role},
        },
        **changes,
    }
    return {"name": STREAM, "destination": "extended_s3", "extendedS3Configuration": target}


def test_a_whole_stream_is_quiet_at_the_second_up(world: Any) -> None:
    engine = configured(world.cloud)
    made = engine.create(TYPE, "log", **inputs(world))
    assert made.id == world.stream_arn
    assert engine.changed(made, **inputs(world)) == {}
    assert made.outputs["versionId"] == "1"
    assert made.outputs["serverSideEncryption"] == {"enabled": False, "keyType": "AWS_OWNED_CMK"}
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.outputs == made.outputs
    assert engine.changed(refreshed, **inputs(world)) == {}
    sent = world.described()["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert sent["BufferingHints"] == {"SizeInMBs": 64, "IntervalInSeconds": 60}
    assert sent["DataFormatConversionConfiguration"]["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"] == {
        "BlockSizeBytes": 268435456,
        "Compression": "SNAPPY",
        "EnableDictionaryCompression": False,
        "MaxPaddingBytes": 0,
        "PageSizeBytes": 1048576,
        "WriterVersion": "V1",
    }


def test_a_change_is_an_update_against_the_version_of_the_state(world: Any) -> None:
    engine = configured(world.cloud)
    made = engine.create(TYPE, "log", **inputs(world))
    changed = engine.update(made, **inputs(world, bufferingInterval=120))
    shown = world.described()
    assert shown["VersionId"] == "2"
    assert shown["Destinations"][0]["ExtendedS3DestinationDescription"]["BufferingHints"]["IntervalInSeconds"] == 120
    world.update(BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 300})
    with pytest.raises(ProviderError, match="ConcurrentModificationException"):
        engine.update(changed, **inputs(world, bufferingInterval=90))
    refreshed = engine.read(changed)
    assert refreshed is not None
    engine.update(refreshed, **inputs(world, bufferingInterval=90))
    assert world.described()["VersionId"] == "4"


def test_partitioning_replaces_and_a_key_does_not(world: Any) -> None:
    engine = configured(world.cloud)
    made = engine.create(TYPE, "log", **inputs(world))
    off = inputs(world, dynamicPartitioningConfiguration={"enabled": False}, prefix="records/")
    replaced = {path for path, replaces in engine.changed(made, **off).items() if replaces}
    assert replaced == {"extendedS3Configuration.dynamicPartitioningConfiguration.enabled"}
    key = world.kms.create_key()["KeyMetadata"]["Arn"]
    encrypted = engine.update(made, **inputs(world, kmsKeyArn=key))
    shown = world.described()["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert shown["EncryptionConfiguration"] == {"KMSEncryptionConfig": {"AWSKMSKeyARN": key}}
    engine.update(encrypted, **inputs(world))
    shown = world.described()["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert shown["EncryptionConfiguration"] == {"NoEncryptionConfig": "NoEncryption"}


def test_a_default_parameter_of_the_processor_shows_a_change_for_ever(world: Any) -> None:
    engine = configured(world.cloud)
    asked = inputs(world, {"NumberOfRetries": "3"})
    made = engine.create(TYPE, "log", **asked)
    assert engine.changed(made, **asked) != {}


def test_a_stream_s_own_encryption_starts_and_stops(world: Any) -> None:
    engine = configured(world.cloud)
    made = engine.create(TYPE, "log", **inputs(world), serverSideEncryption={"enabled": True})
    assert world.described()["DeliveryStreamEncryptionConfiguration"] == {
        "KeyType": "AWS_OWNED_CMK",
        "Status": "ENABLED",
    }
    engine.update(made, **inputs(world), serverSideEncryption={"enabled": False})
    assert world.described()["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}


def test_what_check_refuses(world: Any) -> None:
    engine = configured(world.cloud)
    small = inputs(world, bufferingSize=5)
    with pytest.raises(CheckFailed) as caught:
        engine.check(TYPE, "log", small)
    assert list(caught.value.failures) == ["extendedS3Configuration.bufferingSize"]
    with pytest.raises(CheckFailed) as caught:
        engine.check(TYPE, "log", {"name": STREAM, "destination": "iceberg"})
    assert list(caught.value.failures) == ["destination"]
    with pytest.raises(CheckFailed) as caught:
        engine.check(TYPE, "log", {"name": STREAM, "destination": "extended_s3"})
    assert list(caught.value.failures) == ["extendedS3Configuration"]


def test_a_role_that_may_not_read_the_table_fails_the_creation(world: Any) -> None:
    world.grant("schema")
    with pytest.raises(ProviderError, match="Access was denied when calling Glue") as caught:
        configured(world.cloud).create(TYPE, "log", **inputs(world))
    assert "real provider goes on for 2 min" in str(caught.value)
