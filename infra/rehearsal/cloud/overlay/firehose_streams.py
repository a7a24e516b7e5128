"""Delivery streams: made, described, changed, listed, deleted. DirectPut to S3; everything else is refused by name.

Source: Firehose API reference. A stream is ACTIVE, and gone, at once; AWS takes up to a minute for either.
"""

from __future__ import annotations

import copy
from typing import Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud import reference_kinds as kinds
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.delivery.settings import parameters_of, settings_of
from infra.rehearsal.cloud.overlay import before, handler
from infra.rehearsal.cloud.overlay.answers import tags_of
from infra.rehearsal.cloud.overlay.firehose_destination import described, plain, refuse_uncarried, updated
from infra.rehearsal.cloud.overlay.firehose_encryption import encrypt
from infra.rehearsal.cloud.overlay.firehose_store import Stream, stream_named, streams_of
from infra.rehearsal.cloud.references import AWS_IS_SILENT
from infra.rehearsal.cloud.validator import refusal, rules

MOST_STREAMS = 5000
"""Per region (guide, "Amazon Data Firehose quota")."""
_CONFIGURATION = "ExtendedS3DestinationConfiguration"
_UPDATE = "ExtendedS3DestinationUpdate"


@handler("firehose", "CreateDeliveryStream")
def create_delivery_stream(call: Call) -> dict[str, Any]:
    params = call.params
    _refuse_others(call, _CONFIGURATION)
    kind = params.get("DeliveryStreamType") or "DirectPut"
    if kind != "DirectPut":
        raise AwsError("NotCarried", f"The emulated Firehose does not carry the source {kind}; it has DirectPut.", 501)
    given = params.get(_CONFIGURATION)
    if given is None:
        raise AwsError("InvalidArgumentException", "Exactly one destination configuration is supported for a Firehose")
    refuse_uncarried(call, given)
    destination = described(call, given)
    _check_destination(call, destination)
    hint = params.get("DirectPutSourceConfiguration")
    state = streams_of(call.cloud)
    name = params["DeliveryStreamName"]
    with state.lock:
        if (call.region, name) in state.by_name:
            raise AwsError(
                "ResourceInUseException", f"Firehose {name} under accountId {call.account_id} already exists"
            )
        if sum(1 for region, _ in state.by_name if region == call.region) >= MOST_STREAMS:
            raise AwsError("LimitExceededException", f"Limit of {MOST_STREAMS} delivery streams exceeded.")
        stream = state.make(
            call, name, destination, {"DirectPutSourceDescription": copy.deepcopy(hint)} if hint else None
        )
        stream.tags = tags_of(params.get("Tags"))
    asked = params.get("DeliveryStreamEncryptionConfigurationInput")
    if asked is not None:
        try:
            encrypt(call, stream, asked)
        except BaseException:
            state.remove(stream)
            raise
    return {"DeliveryStreamARN": stream.arn}


@handler("firehose", "DescribeDeliveryStream")
def describe_delivery_stream(call: Call) -> dict[str, Any]:
    stream = stream_named(call)
    return {
        "DeliveryStreamDescription": {
            "DeliveryStreamName": stream.name,
            "DeliveryStreamARN": stream.arn,
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamEncryptionConfiguration": dict(stream.encryption),
            "DeliveryStreamType": "DirectPut",
            "VersionId": str(stream.version),
            "CreateTimestamp": stream.created,
            **({"LastUpdateTimestamp": stream.updated} if stream.updated else {}),
            **({"Source": copy.deepcopy(stream.source)} if stream.source else {}),
            "Destinations": [
                {
                    "DestinationId": stream.destination_id,
                    "S3DestinationDescription": plain(stream.destination),
                    "ExtendedS3DestinationDescription": copy.deepcopy(stream.destination),
                }
            ],
            "HasMoreDestinations": False,
        }
    }


@handler("firehose", "UpdateDestination")
def update_destination(call: Call) -> dict[str, Any]:
    """A change counts only against the version that the caller has seen."""
    params = call.params
    stream = stream_named(call)
    _refuse_others(call, _UPDATE)
    with streams_of(call.cloud).lock:
        if params["CurrentDeliveryStreamVersionId"] != str(stream.version):
            # The code is the API's; the sentence is unconfirmed.
            raise AwsError(
                "ConcurrentModificationException",
                f"Cannot update firehose: {stream.name} since the current version id: {stream.version} and specified"
                f" version id: {params['CurrentDeliveryStreamVersionId']} do not match",
            )
        if params["DestinationId"] != stream.destination_id:
            raise AwsError("InvalidArgumentException", f"Destination Id {params['DestinationId']} not found")
        change = params.get(_UPDATE)
        if change is not None:
            _apply(call, stream, change)
        stream.version += 1
        stream.updated = call.cloud.clock.now()
        stream.process.update(
            settings_of(stream.name, stream.arn, stream.region, str(stream.version), stream.destination)
        )
    return {}


def _apply(call: Call, stream: Stream, change: dict[str, Any]) -> None:
    refuse_uncarried(call, change)
    after = updated(call, stream.destination, change)
    was, wanted = _partitioned(stream.destination), _partitioned(after)
    if was != wanted:
        # Guide, "Dynamic partitioning": only when the stream is made. The sentence is unconfirmed.
        raise AwsError(
            "InvalidArgumentException",
            f"Dynamic Partitioning cannot be {'enabled' if wanted else 'disabled'} on an existing delivery stream.",
        )
    findings = list(rules.check("firehose", "CreateDeliveryStream", {_CONFIGURATION: after}, partial=False))
    if findings:
        raise refusal("firehose", "UpdateDestination", findings)
    _check_destination(call, after)
    stream.destination = after


def _partitioned(destination: dict[str, Any]) -> bool:
    return bool((destination.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))


@handler("firehose", "DeleteDeliveryStream")
def delete_delivery_stream(call: Call) -> dict[str, Any]:
    """The stream and what waits in it."""
    stream = stream_named(call)
    streams_of(call.cloud).remove(stream)
    return {}


@handler("firehose", "ListDeliveryStreams")
def list_delivery_streams(call: Call) -> dict[str, Any]:
    """Names in order, 10 a page unless asked otherwise."""
    params = call.params
    after = params.get("ExclusiveStartDeliveryStreamName") or ""
    if params.get("DeliveryStreamType") not in (None, "DirectPut"):
        return {"DeliveryStreamNames": [], "HasMoreDeliveryStreams": False}
    names = sorted(name for region, name in streams_of(call.cloud).by_name if region == call.region and name > after)
    limit = params.get("Limit") or 10
    return {"DeliveryStreamNames": names[:limit], "HasMoreDeliveryStreams": len(names) > limit}


@before("firehose", "UpdateDestination")
def role_of_an_update(call: Call) -> None:
    """A new role must trust Firehose, as at the creation."""
    role = (call.params.get(_UPDATE) or {}).get("RoleARN")
    if role:
        _assume(call, role)


def _assume(call: Call, role: str) -> Any:
    arn = f"arn:aws:firehose:{call.region}:{call.account_id}:deliverystream/{call.params['DeliveryStreamName']}"
    try:
        return call.cloud.assume_role(role, service="firehose.amazonaws.com", session_name="check", source_arn=arn)
    except AwsError:
        raise AwsError(
            "InvalidArgumentException", f"Firehose is unable to assume role {role}. Please check the role provided."
        ) from None


def _refuse_others(call: Call, carried: str) -> None:
    others = [
        name
        for name in call.params
        if name.endswith(("DestinationConfiguration", "DestinationUpdate", "SourceConfiguration"))
        and name not in (carried, "DirectPutSourceConfiguration")
    ]
    if others:
        raise AwsError(
            "NotCarried",
            f"The emulated Firehose does not carry {', '.join(sorted(others))}: it takes direct puts and delivers to"
            f" S3 by {carried}.",
            501,
        )


def _check_destination(call: Call, destination: dict[str, Any]) -> None:
    """The function is there, and the table can be read by the role that is named for it."""
    for processor in destination["ProcessingConfiguration"]["Processors"]:
        function = parameters_of(processor).get("LambdaArn", "")
        if function and not kinds.FUNCTION.exists(call, function):
            raise AwsError(
                "InvalidArgumentException",
                f"{call.operation}: the processor's LambdaArn names the Lambda function {function}, which does not"
                f" exist.{AWS_IS_SILENT}",
            )
    conversion = destination.get("DataFormatConversionConfiguration") or {}
    if conversion.get("Enabled"):
        _check_table(call, conversion["SchemaConfiguration"])


def _check_table(call: Call, schema: dict[str, Any]) -> None:
    """Firehose reads the schema at once. "Access was denied when calling Glue" is what terraform-provider-aws waits
    for (delivery_stream.go, retryDeliveryStreamOp); the rest of the sentences is unconfirmed."""
    glue = _assume(call, schema["RoleARN"]).client("glue", region_name=schema["Region"])
    table = {
        "CatalogId": schema["CatalogId"],
        "DatabaseName": schema["DatabaseName"],
        "TableName": schema["TableName"],
    }
    try:
        if schema["VersionId"] == "LATEST":
            glue.get_table_versions(**table)
        else:
            glue.get_table_version(**table, VersionId=schema["VersionId"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "AccessDeniedException":
            text = (
                "Access was denied when calling Glue. Please ensure that the role specified in the data format"
                " conversion configuration has the necessary permissions."
            )
        else:
            text = (
                f"The table {schema['DatabaseName']}.{schema['TableName']} of the data format conversion configuration"
                f" cannot be read: {error.response['Error']['Message']}"
            )
        raise AwsError("InvalidArgumentException", text) from None
