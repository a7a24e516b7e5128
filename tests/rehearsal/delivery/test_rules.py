"""What the validator has against a stream, one mistake at a time; and a partial call, of which parts are unknown."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.rehearsal.cloud.validator import validate

GOOD: dict[str, Any] = {
    "RoleARN": "arn:aws:iam::111111111111:role/delivery",
    "BucketARN": "arn:aws:s3:::predictions",
    "Prefix": "records/day=!{partitionKeyFromLambda:day}/hour=!{partitionKeyFromLambda:hour}/",
    "ErrorOutputPrefix": "rejected/!{firehose:error-output-type}/day=!{timestamp:yyyy-MM-dd}/",
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "ProcessingConfiguration": {
        "Enabled": True,
        "Processors": [
            {
                "Type": "Lambda",
                "Parameters": [
                    {"ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:eu-west-1:111111111111:function:f"}
                ],
            }
        ],
    },
    "DataFormatConversionConfiguration": {
        "SchemaConfiguration": {
            "RoleARN": "arn:aws:iam::111111111111:role/delivery",
            "DatabaseName": "predictions",
            "TableName": "records",
        },
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
    },
}
PLAIN = {name: GOOD[name] for name in ("RoleARN", "BucketARN")}
BASE = "ExtendedS3DestinationConfiguration"


def found(target: dict[str, Any], *, partial: bool = False) -> list[tuple[str, str]]:
    params = {"DeliveryStreamName": "log", BASE: target}
    return [
        (finding.path.removeprefix(f"{BASE}."), finding.message)
        for finding in validate("firehose", "CreateDeliveryStream", params, partial=partial)
    ]


@pytest.mark.parametrize("good", [GOOD, PLAIN, {**PLAIN, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}}])
def test_a_good_stream_passes(good: dict[str, Any]) -> None:
    assert found(good) == []


@pytest.mark.parametrize("member", sorted(GOOD))
def test_a_member_that_nobody_knows_yet_is_not_asked_for(member: str) -> None:
    assert found({name: value for name, value in GOOD.items() if name != member}, partial=True) == []


def parameters(**given: str) -> dict[str, Any]:
    processing = copy.deepcopy(GOOD["ProcessingConfiguration"])
    processing["Processors"][0]["Parameters"] += [
        {"ParameterName": name, "ParameterValue": value} for name, value in given.items()
    ]
    return processing


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"BufferingHints": {"SizeInMBs": 64}}, "BufferingHints", "come together"),
        ({"BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 901}}, "BufferingHints.IntervalInSeconds", "900"),
        ({"BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 0}}, "BufferingHints.IntervalInSeconds", "is 0"),
        ({"BufferingHints": {"SizeInMBs": 129, "IntervalInSeconds": 60}}, "BufferingHints.SizeInMBs", "128"),
        ({"Prefix": "records/"}, "Prefix", "no partition key"),
        ({"Prefix": GOOD["Prefix"] + "!{day}"}, "Prefix", "outside an expression"),
        ({"Prefix": GOOD["Prefix"] + "!{nothing:x}"}, "Prefix", "namespace 'nothing'"),
        ({"Prefix": GOOD["Prefix"] + "!{firehose:x}"}, "Prefix", "!{firehose:x}"),
        ({"Prefix": GOOD["Prefix"] + "!{firehose:error-output-type}"}, "Prefix", "belongs to ErrorOutputPrefix"),
        ({"ErrorOutputPrefix": None}, "ErrorOutputPrefix", "is required when Prefix has expressions"),
        ({"ErrorOutputPrefix": "e/!{timestamp:yyyy}/"}, "ErrorOutputPrefix", "is not among them"),
        (
            {"ErrorOutputPrefix": "!{firehose:error-output-type}/!{partitionKeyFromLambda:day}/"},
            "ErrorOutputPrefix",
            "belongs to Prefix",
        ),
        ({"DynamicPartitioningConfiguration": {"Enabled": False}}, "Prefix", "can only be used when"),
        ({"ProcessingConfiguration": {"Enabled": False, "Processors": []}}, "Prefix", "no Lambda processor"),
        ({"CompressionFormat": "GZIP"}, "CompressionFormat", "must be UNCOMPRESSED"),
        (
            {"ProcessingConfiguration": parameters(BufferSizeInMBs="4")},
            "ProcessingConfiguration.Processors[0].Parameters",
            "BufferSizeInMBs is '4', allowed are 0.2 to 3",
        ),
        (
            {"ProcessingConfiguration": parameters(BufferIntervalInSeconds="soon")},
            "ProcessingConfiguration.Processors[0].Parameters",
            "BufferIntervalInSeconds is 'soon'",
        ),
        (
            {"DataFormatConversionConfiguration": {**GOOD["DataFormatConversionConfiguration"],
             "SchemaConfiguration": None}},
            "DataFormatConversionConfiguration.SchemaConfiguration",
            "is required",
        ),
        (
            {"DataFormatConversionConfiguration": {**GOOD["DataFormatConversionConfiguration"],
             "InputFormatConfiguration": {"Deserializer": {}}}},
            "DataFormatConversionConfiguration.InputFormatConfiguration.Deserializer",
            "exactly one of",
        ),
    ],
)  # fmt: skip
def test_one_mistake_is_the_one_finding(change: dict[str, Any], path: str, says: str) -> None:
    target = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    conversion = target["DataFormatConversionConfiguration"]
    target["DataFormatConversionConfiguration"] = {n: v for n, v in conversion.items() if v is not None}
    ((where, message),) = found(target)
    assert where == path
    assert says in message


@pytest.mark.parametrize("member", ["DynamicPartitioningConfiguration", "DataFormatConversionConfiguration"])
def test_partitions_and_conversion_need_64_mb(member: str) -> None:
    reason = {"DynamicPartitioningConfiguration": "Dynamic Partitioning"}.get(member, "data format conversion")
    alone = {name: value for name, value in GOOD.items() if name in (*PLAIN, member)}
    if member.startswith("Dynamic"):
        alone |= {name: GOOD[name] for name in ("Prefix", "ErrorOutputPrefix", "ProcessingConfiguration")}
    small = {**alone, "BufferingHints": {"SizeInMBs": 63, "IntervalInSeconds": 60}}
    sentence = f"BufferingHints.SizeInMBs must be at least 64 when {reason} is enabled (it is 63)"
    assert found(small) == [("BufferingHints.SizeInMBs", sentence)]
    assert len(found(alone)) == 1  # the default is 5
    assert found({**alone, "BufferingHints": GOOD["BufferingHints"]}) == []


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"KeyType": "CUSTOMER_MANAGED_CMK"}, "is required"),
        ({"KeyType": "AWS_OWNED_CMK", "KeyARN": "arn:aws:kms:eu-west-1:111111111111:key/k"}, "belongs to"),
    ],
)
def test_a_key_stands_with_its_type(asked: dict[str, str], says: str) -> None:
    params = {"DeliveryStreamName": "log", "DeliveryStreamEncryptionConfigurationInput": asked}
    (finding,) = validate("firehose", "StartDeliveryStreamEncryption", params)
    assert finding.path == "DeliveryStreamEncryptionConfigurationInput.KeyARN"
    assert says in finding.message
