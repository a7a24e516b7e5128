"""PutEvents: events of the account's own. Entries fail one by one.

Source: EventBridge API reference, PutEvents and PutEventsResultEntry; wording of the errors as moto has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.events.bus import bus_of
from infra.rehearsal.cloud.events.rules import BUS
from infra.rehearsal.cloud.overlay import handler

_REQUIRED = ("Source", "DetailType", "Detail")


@handler("events", "PutEvents")
def put_events(call: Call) -> dict[str, Any]:
    if call.params.get("EndpointId"):
        raise AwsError("NotCarried", "The emulated cloud does not carry global endpoints of EventBridge.", 501)
    results = [_put(call, entry) for entry in call.params["Entries"]]
    return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


def _put(call: Call, entry: Mapping[str, Any]) -> dict[str, Any]:
    for name in _REQUIRED:
        if not entry.get(name):
            text = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": text}
    if entry["Source"].startswith("aws."):
        return {"ErrorCode": "NotAuthorizedForSource", "ErrorMessage": "Not authorized for the source."}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    if (entry.get("EventBusName") or BUS).rpartition("/")[2] != BUS:
        # AWS takes events for a bus that is not there, and drops them (unconfirmed for each Region).
        return {"EventId": ""}
    made = bus_of(call.cloud).put(
        source=entry["Source"],
        detail_type=entry["DetailType"],
        detail=detail,
        resources=entry.get("Resources") or (),
        region=call.region,
        time=entry.get("Time"),
    )
    return {"EventId": made}
