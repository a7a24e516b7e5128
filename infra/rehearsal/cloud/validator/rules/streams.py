"""Firehose delivery streams.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html
https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html
The 64 MB for partitions and conversion, in AWS's words: hashicorp/terraform-provider-aws
internal/service/firehose/delivery_stream_test.go and aws/aws-cdk aws-kinesisfirehose/lib/s3-bucket.ts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.delivery import prefixes
from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

LARGE_BUFFER_MB = 64
DEFAULT_BUFFER_MB = 5
TRANSFORM_MB = (0.2, 3)
INTERVAL_SECONDS = (0, 900)
MOST_RETRIES = 300
_DESTINATION = "ExtendedS3DestinationConfiguration"
_NAMESPACES = ("firehose", "timestamp", "partitionKeyFromQuery", "partitionKeyFromLambda")


@rule("firehose", "CreateDeliveryStream")
def new_stream(params: Params, partial: bool) -> Iterator[Finding]:
    """A whole destination."""
    target = params.get(_DESTINATION)
    if target is not None:
        yield from _always(_DESTINATION, target, partial)
        yield from _whole(_DESTINATION, target, partial)
    yield from _encryption(params, partial)


@rule("firehose", "UpdateDestination")
def changed_stream(params: Params, partial: bool) -> Iterator[Finding]:
    """A part of a destination; the whole is looked at when the part is merged in."""
    target = params.get("ExtendedS3DestinationUpdate")
    if target is not None:
        yield from _always("ExtendedS3DestinationUpdate", target, partial)


@rule("firehose", "StartDeliveryStreamEncryption")
def encryption(params: Params, partial: bool) -> Iterator[Finding]:
    yield from _encryption(params, partial)


def _encryption(params: Params, partial: bool) -> Iterator[Finding]:
    asked = params.get("DeliveryStreamEncryptionConfigurationInput") or {}
    path = "DeliveryStreamEncryptionConfigurationInput.KeyARN"
    if asked.get("KeyType") == "CUSTOMER_MANAGED_CMK" and not asked.get("KeyARN") and not partial:
        yield Finding(path, "is required with KeyType CUSTOMER_MANAGED_CMK")
    if asked.get("KeyType") == "AWS_OWNED_CMK" and asked.get("KeyARN"):
        yield Finding(path, "belongs to KeyType CUSTOMER_MANAGED_CMK, and KeyType is AWS_OWNED_CMK")


def _always(path: str, target: Mapping[str, Any], partial: bool) -> Iterator[Finding]:
    """What holds for a whole destination and for any part."""
    hints = target.get("BufferingHints")
    if (
        hints is not None
        and not partial
        and (hints.get("SizeInMBs") is None) != (hints.get("IntervalInSeconds") is None)
    ):
        given = "SizeInMBs" if hints.get("SizeInMBs") is not None else "IntervalInSeconds"
        yield Finding(f"{path}.BufferingHints", f"has {given} alone; SizeInMBs and IntervalInSeconds come together")
    yield from _prefix(f"{path}.Prefix", target.get("Prefix"), error=False)
    yield from _prefix(f"{path}.ErrorOutputPrefix", target.get("ErrorOutputPrefix"), error=True)
    for index, processor in enumerate(_processors(target)):
        if processor.get("Type") == "Lambda":
            yield from _transform(f"{path}.ProcessingConfiguration.Processors[{index}]", processor)


def _processors(target: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return (target.get("ProcessingConfiguration") or {}).get("Processors") or []


def _prefix(path: str, value: str | None, *, error: bool) -> Iterator[Finding]:
    if not value:
        return
    try:
        found = prefixes.expressions(value)
    except prefixes.PrefixError as problem:
        yield Finding(path, f"{shown(value)} {problem}")
        return
    for expression in found:
        if expression.namespace not in _NAMESPACES:
            yield Finding(path, f"has the namespace {expression.namespace!r}; allowed: {', '.join(_NAMESPACES)}")
        elif expression.namespace == "firehose" and expression.value not in (prefixes.ERROR_TYPE, prefixes.RANDOM):
            yield Finding(
                path, f"has !{{firehose:{expression.value}}}; allowed: {prefixes.ERROR_TYPE}, {prefixes.RANDOM}"
            )
        elif error and expression.namespace.startswith("partitionKey"):
            yield Finding(path, f"has !{{{expression.namespace}:{expression.value}}}, which belongs to Prefix")
    kinds = {expression.value for expression in found if expression.namespace == "firehose"}
    if error and found and prefixes.ERROR_TYPE not in kinds:
        yield Finding(path, f"has expressions, and !{{firehose:{prefixes.ERROR_TYPE}}} is not among them")
    if not error and prefixes.ERROR_TYPE in kinds:
        yield Finding(path, f"has !{{firehose:{prefixes.ERROR_TYPE}}}, which belongs to ErrorOutputPrefix")


def _transform(path: str, processor: Mapping[str, Any]) -> Iterator[Finding]:
    given = {one.get("ParameterName"): one.get("ParameterValue") for one in processor.get("Parameters") or ()}
    limits: tuple[tuple[str, tuple[float, float]], ...] = (
        ("BufferSizeInMBs", TRANSFORM_MB),
        ("BufferIntervalInSeconds", INTERVAL_SECONDS),
        ("NumberOfRetries", (0, MOST_RETRIES)),
    )
    for name, (least, most) in limits:
        value = given.get(name)
        if value is not None:
            try:
                fits = least <= float(value) <= most
            except ValueError:
                fits = False
            if not fits:
                yield Finding(f"{path}.Parameters", f"{name} is {shown(value)}, allowed are {least:g} to {most:g}")


def _whole(path: str, target: Mapping[str, Any], partial: bool) -> Iterator[Finding]:
    partitioned = bool((target.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))
    conversion = target.get("DataFormatConversionConfiguration") or {}
    converts = bool(conversion) and conversion.get("Enabled", True)
    yield from _buffer(f"{path}.BufferingHints", target, partitioned, converts, partial)
    if converts:
        yield from _conversion(path, target, conversion, partial)
    yield from _partitions(path, target, partitioned, partial)
    for index, processor in enumerate(_processors(target)):
        names = {one.get("ParameterName") for one in processor.get("Parameters") or ()}
        if processor.get("Type") == "Lambda" and "LambdaArn" not in names and not partial:
            yield Finding(f"{path}.ProcessingConfiguration.Processors[{index}].Parameters", "LambdaArn is missing")


def _buffer(
    path: str, target: Mapping[str, Any], partitioned: bool, converts: bool, partial: bool
) -> Iterator[Finding]:
    hints = target.get("BufferingHints")
    if hints is None and partial:
        return
    size = (hints or {}).get("SizeInMBs")
    default = ""
    if size is None and hints is None:
        size, default = DEFAULT_BUFFER_MB, ", which is the default"
    for reason, asks in (("Dynamic Partitioning", partitioned), ("data format conversion", converts)):
        if asks and size is not None and size < LARGE_BUFFER_MB:
            yield Finding(
                f"{path}.SizeInMBs",
                f"BufferingHints.SizeInMBs must be at least {LARGE_BUFFER_MB} when {reason} is enabled (it is {size}"
                f"{default})",
            )
    if partitioned and (hints or {}).get("IntervalInSeconds") == 0:
        # "Zero buffering feature is not available for dynamic partitioning": guide, buffering.html.
        yield Finding(f"{path}.IntervalInSeconds", "is 0; zero buffering is not available for dynamic partitioning")


def _conversion(
    path: str, target: Mapping[str, Any], conversion: Mapping[str, Any], partial: bool
) -> Iterator[Finding]:
    if target.get("CompressionFormat") not in (None, "UNCOMPRESSED"):
        yield Finding(
            f"{path}.CompressionFormat",
            f"is {target['CompressionFormat']}; with data format conversion it must be UNCOMPRESSED (the serializer"
            " compresses)",
        )
    base = f"{path}.DataFormatConversionConfiguration"
    if partial:
        return
    for member in ("SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"):
        if not conversion.get(member):
            yield Finding(f"{base}.{member}", "is required when data format conversion is enabled")
    for member in ("RoleARN", "DatabaseName", "TableName"):
        if conversion.get("SchemaConfiguration") and not conversion["SchemaConfiguration"].get(member):
            yield Finding(f"{base}.SchemaConfiguration.{member}", "is required when data format conversion is enabled")
    for side, inner, allowed in (
        ("InputFormatConfiguration", "Deserializer", ("OpenXJsonSerDe", "HiveJsonSerDe")),
        ("OutputFormatConfiguration", "Serializer", ("ParquetSerDe", "OrcSerDe")),
    ):
        if conversion.get(side):
            given = [name for name in allowed if (conversion[side].get(inner) or {}).get(name) is not None]
            if len(given) != 1:
                yield Finding(f"{base}.{side}.{inner}", f"takes exactly one of {' and '.join(allowed)}")


def _partitions(path: str, target: Mapping[str, Any], partitioned: bool, partial: bool) -> Iterator[Finding]:
    prefix = target.get("Prefix")
    try:
        found = prefixes.expressions(prefix or "")
    except prefixes.PrefixError:
        return  # said already
    keys = [one for one in found if one.namespace.startswith("partitionKey")]
    unknown = partial and prefix is None
    if keys and not partitioned and not (partial and "DynamicPartitioningConfiguration" not in target):
        yield Finding(
            f"{path}.Prefix", "has partition keys; they can only be used when Dynamic Partitioning is enabled"
        )
    if partitioned and not keys and not unknown:
        yield Finding(f"{path}.Prefix", "has no partition key, and dynamic partitioning is enabled")
    processing = target.get("ProcessingConfiguration")
    enabled = (processing or {}).get("Enabled")
    kinds = {one.get("Type") for one in _processors(target)} if enabled else set()
    if not (partial and (processing is None or enabled is None)):
        for namespace, kind in (("partitionKeyFromLambda", "Lambda"), ("partitionKeyFromQuery", "MetadataExtraction")):
            if any(one.namespace == namespace for one in keys) and kind not in kinds:
                yield Finding(f"{path}.Prefix", f"has {namespace}, and no {kind} processor is enabled")
    if (found or partitioned) and not target.get("ErrorOutputPrefix") and not partial:
        why = "Prefix has expressions" if found else "dynamic partitioning is enabled"
        yield Finding(f"{path}.ErrorOutputPrefix", f"is required when {why}")
