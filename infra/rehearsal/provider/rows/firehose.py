"""Firehose streams to S3: internal/service/firehose/delivery_stream.go. Other destinations and sources are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, between, matches, one_of, step, values_at
from infra.rehearsal.provider.tags import listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call, Rules, To, from_api

_GONE = ("ResourceNotFoundException",)
_TARGET = "extendedS3Configuration"
_TRANSIENT = (
    *("is not authorized to", "Please check the role provided or validity of bucket you provided"),
    *("is unable to assume role", "Verify that the IAM role has access", "Access was denied when calling Glue"),
)


def _rules(member: str, backup: str) -> Rules:
    rules: dict[str, To] = {_TARGET: To(member), f"{_TARGET}.s3BackupConfiguration": To(backup)}
    for block in (_TARGET, f"{_TARGET}.s3BackupConfiguration"):
        rules[f"{block}.bufferingInterval"] = To("BufferingHints.IntervalInSeconds")
        rules[f"{block}.bufferingSize"] = To("BufferingHints.SizeInMBs")
        rules[f"{block}.kmsKeyArn"] = To("EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN")
    rules[f"{_TARGET}.dynamicPartitioningConfiguration.retryDuration"] = To("RetryOptions.DurationInSeconds")
    return rules


_CREATED, _UPDATED = "ExtendedS3DestinationConfiguration", "ExtendedS3DestinationUpdate"
_CREATE = Call(
    "firehose",
    "CreateDeliveryStream",
    rules={**_rules(_CREATED, "S3BackupConfiguration"), "name": "DeliveryStreamName"},
    only=frozenset({_TARGET, "name"}),
)
_UPDATE = Call("firehose", "UpdateDestination", rules=_rules(_UPDATED, "S3BackupUpdate"), only=frozenset({_TARGET}))
_DESCRIBED = _rules("", "S3BackupDescription")


def _target(op: Operation, call: Call, member: str) -> dict[str, Any]:
    """The destination as it is sent: without a key it says that there is none."""
    target = op.params(call).get(member) or {}
    target.setdefault("EncryptionConfiguration", {"NoEncryptionConfig": "NoEncryption"})
    return target


def _retried(op: Operation, call: Callable[[], Any]) -> Any:
    """Repeats what fails while a role spreads."""

    def transient(error: ApiError) -> bool:
        return error.is_code("InvalidArgumentException") and error.says(*_TRANSIENT)

    return op.retry(call, transient, "2 min")


def _create(op: Operation) -> None:
    name = op.name_from()
    _retried(
        op,
        lambda: op.call(
            "firehose",
            "CreateDeliveryStream",
            DeliveryStreamName=name,
            DeliveryStreamType="DirectPut",
            **{_CREATED: _target(op, _CREATE, _CREATED)},
            **optional("Tags", tag_list(op.wanted_tags())),
        ),
    )
    # The id is recorded only when the stream is ACTIVE: one that fails on the way is known to no state.
    op.wait(
        lambda: _describe(op, name)["DeliveryStreamStatus"],
        pending={"CREATING"},
        target={"ACTIVE"},
        timeout_seconds=1800,
        what=f"Kinesis Firehose Delivery Stream ({name}) create",
    )
    op.created(_describe(op, name)["DeliveryStreamARN"])
    if (op.inputs.get("serverSideEncryption") or {}).get("enabled"):
        _encrypt(op)


def _describe(op: Operation, name: str) -> dict[str, Any]:
    return op.call("firehose", "DescribeDeliveryStream", DeliveryStreamName=name)["DeliveryStreamDescription"]


def _name(op: Operation) -> str:
    return op.id.rpartition("/")[2]


def _update_destination(op: Operation) -> None:
    """Against the version in the state: a change by someone else makes it fail until the state is refreshed."""
    _retried(
        op,
        lambda: op.call(
            "firehose",
            "UpdateDestination",
            DeliveryStreamName=_name(op),
            CurrentDeliveryStreamVersionId=op.state["versionId"],
            DestinationId=op.state["destinationId"],
            **{_UPDATED: _target(op, _UPDATE, _UPDATED)},
        ),
    )


def _encrypt(op: Operation) -> None:
    wanted = op.inputs.get("serverSideEncryption") or {}
    if wanted.get("enabled"):
        op.call(
            "firehose",
            "StartDeliveryStreamEncryption",
            DeliveryStreamName=_name(op),
            DeliveryStreamEncryptionConfigurationInput={
                "KeyType": wanted.get("keyType") or "AWS_OWNED_CMK",
                **optional("KeyARN", wanted.get("keyArn")),
            },
        )
        pending, target = "ENABLING", "ENABLED"
    else:
        op.call("firehose", "StopDeliveryStreamEncryption", DeliveryStreamName=_name(op))
        pending, target = "DISABLING", "DISABLED"
    op.wait(
        lambda: _describe(op, _name(op))["DeliveryStreamEncryptionConfiguration"]["Status"],
        pending={pending},
        target={target},
        timeout_seconds=600,
        what=f"Kinesis Firehose Delivery Stream ({_name(op)}) encryption",
    )


def _read(op: Operation) -> Mapping[str, Any] | None:
    found = op.found(lambda: _describe(op, _name(op)), *_GONE)
    if found is None:
        return None
    encryption = found.get("DeliveryStreamEncryptionConfiguration") or {}
    # Shown even where nobody asked for any.
    shown: dict[str, Any] = {"enabled": encryption.get("Status") == "ENABLED", "keyType": "AWS_OWNED_CMK"}
    if shown["enabled"]:
        shown |= {"keyType": encryption["KeyType"], **optional("keyArn", encryption.get("KeyARN"))}
    destination = found["Destinations"][0]
    return op.shown_tags(_tags(op)) | {
        "arn": found["DeliveryStreamARN"],
        "destination": "extended_s3",
        "destinationId": destination["DestinationId"],
        _TARGET: _shown(op, destination["ExtendedS3DestinationDescription"]),
        "name": found["DeliveryStreamName"],
        "serverSideEncryption": shown,
        "versionId": found["VersionId"],
    }


def _tags(op: Operation) -> dict[str, str]:
    return tag_map(op.call("firehose", "ListTagsForDeliveryStream", DeliveryStreamName=_name(op), Limit=50)["Tags"])


def _shown(op: Operation, description: dict[str, Any]) -> dict[str, Any]:
    """The block. Parameters of a Lambda processor that have their default value are left out, as the provider does: a
    program that names one shows a change for ever (the provider's documentation says so)."""
    shape: Any = op.account.model("firehose", "DescribeDeliveryStream").output_shape
    for member in ("DeliveryStreamDescription", "Destinations"):
        shape = shape.members[member]
    shape = shape.member.members["ExtendedS3DestinationDescription"]
    block = from_api(shape, description, op.row.schema.outputs[_TARGET].members, _DESCRIBED, _TARGET)
    defaults = {
        "BufferIntervalInSeconds": "60",
        "BufferSizeInMBs": "1",
        "NumberOfRetries": "3",
        "RoleArn": description["RoleARN"],
    }
    for processor in (block.get("processingConfiguration") or {}).get("processors") or ():
        if processor["type"] == "Lambda":
            processor["parameters"] = [
                one
                for one in processor.get("parameters") or ()
                if defaults.get(one["parameterName"]) != one["parameterValue"]
            ]
    return block


def _delete(op: Operation) -> None:
    if op.gone(lambda: op.call("firehose", "DeleteDeliveryStream", DeliveryStreamName=_name(op)), *_GONE):
        return
    op.wait(
        lambda: (op.found(lambda: _describe(op, _name(op)), *_GONE) or {}).get("DeliveryStreamStatus", ""),
        pending={"DELETING"},
        target={""},
        timeout_seconds=1800,
        what=f"Kinesis Firehose Delivery Stream ({_name(op)}) delete",
    )


def _destination_rules(inputs: Inputs) -> Iterable[Problem]:
    destination = str(inputs.get("destination") or "").lower()
    if destination and destination != "extended_s3":
        yield "destination", f"the rehearsal carries extended_s3 only, got {destination!r}"
    elif inputs.get(_TARGET) is None:
        yield _TARGET, f"when destination is 'extended_s3', {_TARGET} is required"


def _exclusive(first: str, second: str) -> Callable[[Inputs], Iterable[Problem]]:
    def rule(inputs: Inputs) -> Iterable[Problem]:
        where = first.rpartition(".")[0]
        for path, block in values_at(inputs, where):
            names = (first.rpartition(".")[2], second)
            if isinstance(block, Mapping) and all(block.get(name) is not None for name in names):
                yield f"{path}.{names[0]}", f"{names[0]} excludes {names[1]}: give one of them"

    return rule


_CONVERSION = f"{_TARGET}.dataFormatConversionConfiguration"
_READING = f"{_CONVERSION}.inputFormatConfiguration.deserializer"
_WRITING = f"{_CONVERSION}.outputFormatConfiguration.serializer"
_LARGE_BLOCK = 268435456

STREAM = Row(
    type="aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
    source="firehose/delivery_stream.go",
    label="Kinesis Firehose Delivery Stream",
    create=_create,
    read=_read,
    delete=_delete,
    calls=(_CREATE, _UPDATE),
    steps=(
        # The destination is sent with any change but one of tags.
        step(_update_destination, _TARGET, "serverSideEncryption"),
        step(_encrypt, "serverSideEncryption"),
    ),
    name=AutoName(max_length=64),
    force_new=frozenset(
        {"name", "destination", f"{_TARGET}.dynamicPartitioningConfiguration"},
    ),
    in_place=frozenset({f"{_TARGET}.dynamicPartitioningConfiguration.retryDuration"}),
    computed=frozenset(
        {
            *("arn", "destinationId", "name", "serverSideEncryption", "versionId"),
            f"{_TARGET}.cloudwatchLoggingOptions",
            f"{_TARGET}.processingConfiguration",
            f"{_CONVERSION}.schemaConfiguration.catalogId",
            f"{_CONVERSION}.schemaConfiguration.region",
        }
    ),
    defaults={
        f"{_TARGET}.bufferingInterval": 300,
        f"{_TARGET}.bufferingSize": 5,
        f"{_TARGET}.cloudwatchLoggingOptions.enabled": False,
        f"{_TARGET}.compressionFormat": "UNCOMPRESSED",
        f"{_TARGET}.customTimeZone": "UTC",
        f"{_CONVERSION}.enabled": True,
        f"{_READING}.openXJsonSerDe.caseInsensitive": True,
        f"{_READING}.openXJsonSerDe.convertDotsInJsonKeysToUnderscores": False,
        f"{_WRITING}.parquetSerDe.blockSizeBytes": _LARGE_BLOCK,
        f"{_WRITING}.parquetSerDe.compression": "SNAPPY",
        f"{_WRITING}.parquetSerDe.enableDictionaryCompression": False,
        f"{_WRITING}.parquetSerDe.maxPaddingBytes": 0,
        f"{_WRITING}.parquetSerDe.pageSizeBytes": 1048576,
        f"{_WRITING}.parquetSerDe.writerVersion": "V1",
        f"{_CONVERSION}.schemaConfiguration.versionId": "LATEST",
        f"{_TARGET}.dynamicPartitioningConfiguration.enabled": False,
        f"{_TARGET}.dynamicPartitioningConfiguration.retryDuration": 300,
        f"{_TARGET}.s3BackupMode": "Disabled",
        "serverSideEncryption.enabled": False,
        "serverSideEncryption.keyType": "AWS_OWNED_CMK",
    },
    sets=frozenset({f"{_TARGET}.processingConfiguration.processors.parameters"}),
    equal={"destination": lambda old, new: str(old).lower() == str(new).lower()},
    never_sent=frozenset({"destination", "serverSideEncryption"}),
    rules=(
        _destination_rules,
        matches("name", r"[a-zA-Z0-9_.-]{1,64}", "name takes 1 to 64 of letters, digits and _ . -"),
        one_of(f"{_TARGET}.compressionFormat", "UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY"),
        one_of(f"{_TARGET}.s3BackupMode", "Disabled", "Enabled"),
        one_of("serverSideEncryption.keyType", "AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"),
        between(f"{_TARGET}.dynamicPartitioningConfiguration.retryDuration", 0, 7200),
        _exclusive(f"{_READING}.openXJsonSerDe", "hiveJsonSerDe"),
        _exclusive(f"{_WRITING}.parquetSerDe", "orcSerDe"),
    ),
    tagging=listed_tagging("firehose", "TagDeliveryStream", "UntagDeliveryStream", "DeliveryStreamName", _name),
    from_id=lambda id: (id, {"name": id.rpartition("/")[2]}),
)

ROWS = (STREAM,)
