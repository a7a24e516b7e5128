"""CloudTrail's event history: who has called what, from the cloud's journal.

Sources: CloudTrail API reference, LookupEvents; CloudTrail User Guide, "Working with CloudTrail event history" and
"Logging data events"; Lambda Developer Guide, "Logging Lambda API calls using CloudTrail" (names with dates). An event
is here at once (on AWS within some 15 minutes), and of its parameters only the names, ARNs and ids are kept.
"""

from __future__ import annotations

import functools
import json
from datetime import UTC
from typing import Any

import botocore.session

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.journal import Entry
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page, stable_uuid

MOST_RESULTS = 50
_SOURCES = {"cloudwatch": "monitoring", "apigatewayv2": "apigateway", "application-autoscaling": "autoscaling"}
"""Event sources that are not botocore's name of the service (application-autoscaling's is unconfirmed)."""
_DATED = {
    "AddPermission": "AddPermission20150331v2",
    "CreateEventSourceMapping": "CreateEventSourceMapping20150331",
    "CreateFunction": "CreateFunction20150331",
    "DeleteEventSourceMapping": "DeleteEventSourceMapping20150331",
    "DeleteFunction": "DeleteFunction20150331",
    "RemovePermission": "RemovePermission20150331v2",
    "UpdateEventSourceMapping": "UpdateEventSourceMapping20150331",
    "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
    "UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
}
_DATA = {
    "cloudwatch": ("PutMetricData",),
    "firehose": ("PutRecord",),
    "lambda": ("Invoke",),
    "logs": ("PutLogEvents", "FilterLogEvents", "GetLogEvents"),
    "sagemaker-runtime": ("",),
    "sns": ("Publish",),
    "sqs": ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"),
}
"""Beginnings of operations that are data events, or in no trail at all: the history does not have them."""
_READ_ONLY = ("Describe", "Get", "Head", "List", "Lookup", "Filter", "BatchGet", "Simulate", "Query")


@handler("cloudtrail", "LookupEvents")
def lookup(call: Call) -> dict[str, Any]:
    """The region's management events, newest first; narrowed by one attribute and by time."""
    params = call.params
    if params.get("EventCategory"):
        raise AwsError("NotCarried", "The emulated cloud does not carry CloudTrail Insights events.", 501)
    wanted = params.get("LookupAttributes") or []
    if len(wanted) > 1:
        raise AwsError("InvalidLookupAttributesException", "Only one lookup attribute can be given.", 400)
    start, end = params.get("StartTime"), params.get("EndTime")
    if start and end and start > end:
        raise AwsError("InvalidTimeRangeException", "The start time is after the end time.", 400)
    found = [
        (entry, event)
        for entry in reversed(call.cloud.journal.entries())
        if entry.region == call.region and in_history(entry)
        if (start is None or _at(start) <= entry.time) and (end is None or entry.time <= _at(end))
        if _has((event := _event(call, entry)), wanted)
    ]
    shown, token = page(
        found, params.get("NextToken"), params.get("MaxResults", MOST_RESULTS), error="InvalidNextTokenException"
    )
    events = [{**event, "CloudTrailEvent": _record(call, entry, event)} for entry, event in shown]
    return {"Events": events, **({"NextToken": token} if token else {})}


def _at(moment: Any) -> Any:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def in_history(entry: Entry) -> bool:
    """Whether it is a management event."""
    if entry.service == "s3":
        return not _acts_on_objects(entry.operation)
    return not entry.operation.startswith(_DATA.get(entry.service, ("\x00",)))


@functools.cache
def _acts_on_objects(operation: str) -> bool:
    model: Any = botocore.session.get_session().get_service_model("s3").operation_model(operation)
    members = model.input_shape.members if model.input_shape else {}
    return bool({"Key", "Delete", "Prefix"} & set(members))


def _event(call: Call, entry: Entry) -> dict[str, Any]:
    name = _DATED.get(entry.operation, entry.operation) if entry.service == "lambda" else entry.operation
    source = f"{_SOURCES.get(entry.service, entry.service)}.amazonaws.com"
    parts = (entry.time.isoformat(), entry.service, entry.operation, entry.principal, *sorted(entry.params.items()))
    event: dict[str, Any] = {
        "EventId": stable_uuid(call.cloud.seed, "cloudtrail", *parts),
        "EventName": name,
        "ReadOnly": str(entry.operation.startswith(_READ_ONLY)).lower(),
        "EventTime": entry.time,
        "EventSource": source,
        "Resources": [{"ResourceName": value} for _, value in sorted(entry.params.items())],
    }
    if entry.principal.startswith("arn:"):
        event["Username"] = entry.principal.rpartition("/")[2].rpartition(":")[2]
    return event


def _record(call: Call, entry: Entry, event: dict[str, Any]) -> str:
    """The event as trails write it, as far as the journal knows it."""
    person = "Username" in event
    record = {
        "userIdentity": {"arn": entry.principal} if person else {"type": "AWSService", "invokedBy": entry.principal},
        "eventTime": entry.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": event["EventSource"],
        "eventName": event["EventName"],
        "awsRegion": entry.region,
        "requestParameters": {f"{key[0].lower()}{key[1:]}": value for key, value in sorted(entry.params.items())},
        "readOnly": event["ReadOnly"] == "true",
        "eventID": event["EventId"],
        "managementEvent": True,
        "recipientAccountId": call.account_id,
        **({} if entry.outcome == "ok" else {"errorCode": entry.outcome}),
    }
    return json.dumps(record)


def _has(event: dict[str, Any], wanted: list[dict[str, str]]) -> bool:
    for one in wanted:
        key, value = one["AttributeKey"], one["AttributeValue"]
        if key == "ResourceName":
            if value not in {each["ResourceName"] for each in event["Resources"]}:
                return False
        elif event.get(key) != value:
            return False
    return True
