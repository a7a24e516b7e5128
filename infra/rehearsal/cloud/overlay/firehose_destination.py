"""A stream's S3 destination: what is carried, the defaults that AWS fills in, and what an update leaves as it is.

Sources: API reference, ExtendedS3DestinationConfiguration, ExtendedS3DestinationDescription, UpdateDestination; the
defaults of a Lambda processor as terraform-provider-aws takes them out again (internal/service/firehose/
delivery_stream.go, "Ignore defaults").
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.delivery import prefixes
from infra.rehearsal.cloud.delivery.settings import TRANSFORM_DEFAULTS, parameters_of

_MERGED = (
    "BufferingHints",
    "CloudWatchLoggingOptions",
    "DataFormatConversionConfiguration",
    "DynamicPartitioningConfiguration",
)
_KEPT = (
    *("RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat"),
    *("EncryptionConfiguration", "CloudWatchLoggingOptions", "ProcessingConfiguration", "S3BackupMode"),
    *("DataFormatConversionConfiguration", "DynamicPartitioningConfiguration", "FileExtension", "CustomTimeZone"),
)
_PLAIN = (
    *("RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat"),
    *("EncryptionConfiguration", "CloudWatchLoggingOptions"),
)
"""Members of the S3DestinationDescription that AWS shows beside the extended one."""


def refuse_uncarried(call: Call, given: Mapping[str, Any]) -> None:
    """Raises NotCarried with everything in a destination that the rehearsal cannot do."""
    problems = list(_uncarried(given))
    if problems:
        raise AwsError(
            "NotCarried", f"The emulated Firehose does not carry in {call.operation}: {'; '.join(problems)}.", 501
        )


def _uncarried(given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("S3BackupMode") == "Enabled":
        yield "S3BackupMode Enabled"
    if given.get("CompressionFormat") not in (None, "UNCOMPRESSED", "GZIP"):
        yield f"CompressionFormat {given['CompressionFormat']}"
    processing = given.get("ProcessingConfiguration") or {}
    kinds = [processor["Type"] for processor in processing.get("Processors") or ()] if processing.get("Enabled") else []
    for kind in kinds:
        if kind != "Lambda":
            yield f"a processor of type {kind}"
    if kinds.count("Lambda") > 1:
        yield "two Lambda processors"
    conversion = given.get("DataFormatConversionConfiguration") or {}
    if conversion and conversion.get("Enabled", True):
        reading = (conversion.get("InputFormatConfiguration") or {}).get("Deserializer") or {}
        writing = (conversion.get("OutputFormatConfiguration") or {}).get("Serializer") or {}
        if "HiveJsonSerDe" in reading:
            yield "HiveJsonSerDe"
        if "OrcSerDe" in writing:
            yield "OrcSerDe"
    for member in ("Prefix", "ErrorOutputPrefix"):
        for part in prefixes.uncarried(given.get(member) or ""):
            yield f"in {member}, {part}"


def described(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with every default, as DescribeDeliveryStream shows it."""
    shown: dict[str, Any] = {member: copy.deepcopy(given[member]) for member in _KEPT if given.get(member) is not None}
    shown.setdefault("BufferingHints", {"SizeInMBs": 5, "IntervalInSeconds": 300})
    shown.setdefault("CompressionFormat", "UNCOMPRESSED")
    shown.setdefault("EncryptionConfiguration", {"NoEncryptionConfig": "NoEncryption"})
    shown.setdefault("CloudWatchLoggingOptions", {}).setdefault("Enabled", False)
    shown.setdefault("S3BackupMode", "Disabled")
    processing = shown.setdefault("ProcessingConfiguration", {})
    processing.setdefault("Enabled", False)
    processing["Processors"] = [_processor(one, shown["RoleARN"]) for one in processing.get("Processors") or ()]
    conversion = shown.get("DataFormatConversionConfiguration")
    if conversion is not None:
        conversion.setdefault("Enabled", True)
        schema = conversion.get("SchemaConfiguration")
        if schema is not None:
            schema.setdefault("Region", call.region)
            schema.setdefault("CatalogId", call.account_id)
            schema.setdefault("VersionId", "LATEST")
    partitioning = shown.get("DynamicPartitioningConfiguration")
    if partitioning is not None:
        partitioning.setdefault("Enabled", False)
        partitioning.setdefault("RetryOptions", {}).setdefault("DurationInSeconds", 300)
    return shown


def _processor(given: Mapping[str, Any], role: str) -> dict[str, Any]:
    if given["Type"] != "Lambda":
        return dict(given)
    parameters = {"RoleArn": role, **TRANSFORM_DEFAULTS, **parameters_of(given)}
    return {
        "Type": "Lambda",
        "Parameters": [{"ParameterName": name, "ParameterValue": parameters[name]} for name in sorted(parameters)],
    }


def updated(call: Call, before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The destination after an update: what the update does not name stays (API reference, UpdateDestination: "If the
    destination type is the same, Firehose merges the configuration parameters").

    EncryptionConfiguration is replaced whole, never merged, as that text says. Others are merged member by member here;
    how deep AWS merges is unconfirmed.
    """
    merged = copy.deepcopy(dict(before))
    for member, value in change.items():
        if member in _MERGED and member in merged:
            merged[member] = {**merged[member], **value}
        elif member in _KEPT:
            merged[member] = copy.deepcopy(value)
    if "RoleARN" in change and "ProcessingConfiguration" not in change:
        # The processor's role follows unless it was another one.
        for processor in merged["ProcessingConfiguration"]["Processors"]:
            for parameter in processor["Parameters"]:
                if parameter == {"ParameterName": "RoleArn", "ParameterValue": before["RoleARN"]}:
                    parameter["ParameterValue"] = change["RoleARN"]
    return described(call, merged)


def plain(extended: Mapping[str, Any]) -> dict[str, Any]:
    """The S3DestinationDescription of an extended destination."""
    return {member: copy.deepcopy(extended[member]) for member in _PLAIN if member in extended}
