"""What the delivering process needs to know of a stream, from its description in the API's form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024
TRANSFORM_DEFAULTS = {"NumberOfRetries": "3", "BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}
"""https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html,
https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html"""


@dataclass(frozen=True)
class Transform:
    function: str
    """The function's ARN, a qualifier included."""
    role: str
    retries: int
    size_bytes: int
    interval_seconds: float


@dataclass(frozen=True)
class Conversion:
    role: str
    catalog: str
    database: str
    table: str
    region: str
    version: str
    """LATEST, or the number of a table version."""
    case_insensitive: bool
    dots_to_underscores: bool
    mappings: dict[str, str]
    compression: str
    writer_version: str


@dataclass(frozen=True)
class Settings:
    stream: str
    arn: str
    region: str
    version: str
    role: str
    bucket: str
    prefix: str
    error_output_prefix: str
    size_bytes: int
    interval_seconds: float
    zone: str
    extension: str
    gzip: bool
    key: str
    """ARN of the KMS key that objects are written with; "" leaves it to the bucket."""
    log_group: str
    """"" writes no error log."""
    log_stream: str
    partitioned: bool
    transform: Transform | None
    conversion: Conversion | None

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        transform, conversion = value["transform"], value["conversion"]
        return cls(
            **{
                **value,
                "transform": Transform(**transform) if transform else None,
                "conversion": Conversion(**conversion) if conversion else None,
            }
        )


def settings_of(name: str, arn: str, region: str, version: str, destination: Mapping[str, Any]) -> Settings:
    """The settings of a stream whose ExtendedS3DestinationDescription is `destination`."""
    hints = destination["BufferingHints"]
    logging = destination["CloudWatchLoggingOptions"]
    conversion = _conversion(destination)
    gzip = destination["CompressionFormat"] == "GZIP"
    default_extension = ".parquet" if conversion else ".gz" if gzip else ""
    key = (destination["EncryptionConfiguration"].get("KMSEncryptionConfig") or {}).get("AWSKMSKeyARN", "")
    logs = bool(logging.get("Enabled"))
    return Settings(
        stream=name,
        arn=arn,
        region=region,
        version=version,
        role=destination["RoleARN"],
        bucket=destination["BucketARN"].rpartition(":")[2],
        prefix=destination.get("Prefix") or "",
        error_output_prefix=destination.get("ErrorOutputPrefix") or "",
        size_bytes=hints["SizeInMBs"] * MIB,
        interval_seconds=hints["IntervalInSeconds"],
        zone=destination.get("CustomTimeZone") or "UTC",
        extension=destination.get("FileExtension") or default_extension,
        gzip=gzip,
        key=key,
        log_group=logging.get("LogGroupName", "") if logs else "",
        log_stream=logging.get("LogStreamName", "") if logs else "",
        partitioned=bool((destination.get("DynamicPartitioningConfiguration") or {}).get("Enabled")),
        transform=_transform(destination),
        conversion=conversion,
    )


def parameters_of(processor: Mapping[str, Any]) -> dict[str, str]:
    """A processor's parameters by name."""
    return {one["ParameterName"]: one["ParameterValue"] for one in processor.get("Parameters") or ()}


def _transform(destination: Mapping[str, Any]) -> Transform | None:
    processing = destination.get("ProcessingConfiguration") or {}
    if not processing.get("Enabled"):
        return None
    for processor in processing.get("Processors") or ():
        if processor["Type"] == "Lambda":
            given = {**TRANSFORM_DEFAULTS, **parameters_of(processor)}
            return Transform(
                function=given["LambdaArn"],
                role=given.get("RoleArn") or destination["RoleARN"],
                retries=int(given["NumberOfRetries"]),
                size_bytes=int(float(given["BufferSizeInMBs"]) * MIB),
                interval_seconds=float(given["BufferIntervalInSeconds"]),
            )
    return None


def _conversion(destination: Mapping[str, Any]) -> Conversion | None:
    given = destination.get("DataFormatConversionConfiguration") or {}
    if not given.get("Enabled"):
        return None
    schema = given["SchemaConfiguration"]
    reading = given["InputFormatConfiguration"]["Deserializer"]["OpenXJsonSerDe"]
    writing = given["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"]
    return Conversion(
        role=schema["RoleARN"],
        catalog=schema.get("CatalogId", ""),
        database=schema["DatabaseName"],
        table=schema["TableName"],
        region=schema["Region"],
        version=schema.get("VersionId") or "LATEST",
        case_insensitive=reading.get("CaseInsensitive", True),
        dots_to_underscores=reading.get("ConvertDotsInJsonKeysToUnderscores", False),
        mappings=dict(reading.get("ColumnToJsonKeyMappings") or {}),
        compression=writing.get("Compression") or "SNAPPY",
        writer_version=writing.get("WriterVersion") or "V1",
    )
