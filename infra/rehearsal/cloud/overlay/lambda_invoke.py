"""Invoke: the deployed code runs; errors as Lambda words them.

Sources: Lambda API reference, Invoke; developer guide, "Lambda quotas", "Invoking a function asynchronously".
"""

from __future__ import annotations

import base64
import json
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.functions.asynchronous import events_of
from infra.rehearsal.cloud.functions.host import functions_of
from infra.rehearsal.cloud.overlay import handler

MOST_BYTES = {"RequestResponse": 6_291_456, "Event": 1_048_576}
"""Of a request's payload."""


@handler("lambda", "Invoke")
def invoke(call: Call) -> dict[str, Any]:
    """Runs the function. A function's own failure is no error of the call: FunctionError says it."""
    params = call.params
    kind = params.get("InvocationType") or "RequestResponse"
    if params.get("DurableExecutionName") or params.get("TenantId"):
        raise AwsError("NotCarried", "The emulated cloud does not carry durable or tenant-isolated functions.", 501)
    host = functions_of(call.cloud)
    name, qualifier = _split(params["FunctionName"], params.get("Qualifier"))
    if kind == "DryRun":
        host.deployment(call.region, name, qualifier)
        return {"StatusCode": 204}
    payload = _bytes(params.get("Payload")) or b"{}"
    if len(payload) > MOST_BYTES[kind]:
        # The code on the wire, which is not the shape's name: serverless/test-workflow logs of 2018, status 413.
        text = (
            f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {MOST_BYTES[kind]} bytes)"
        )
        raise AwsError("RequestEntityTooLargeException", text, 413, Type="User")
    if not _is_json(payload):
        text = "Could not parse request body into json: Could not parse payload into json"
        raise AwsError("InvalidRequestContentException", text, 400, Type="User")
    if kind == "Event":
        events_of(call.cloud).add(call.region, name, qualifier, payload)
        return {"StatusCode": 202, "Payload": b""}
    answer = host.invoke(
        call.region,
        name,
        payload,
        qualifier=qualifier,
        client_context=_client_context(params.get("ClientContext")),
        tail=params.get("LogType") == "Tail",
    )
    output: dict[str, Any] = {"StatusCode": 200, "ExecutedVersion": answer.version, "Payload": answer.payload}
    if answer.function_error:
        output["FunctionError"] = answer.function_error
    if answer.log_tail:
        output["LogResult"] = base64.b64encode(answer.log_tail).decode()
    return output


def _split(name: str, qualifier: str | None) -> tuple[str, str | None]:
    """Name and qualifier of the forms that FunctionName takes: name, ARN, partial ARN, each with ":qualifier"."""
    parts = name.rpartition("function:")[2].split(":")
    if len(parts) > 1:
        if qualifier and qualifier != parts[1]:
            text = "The derived qualifier from the function name does not match the specified qualifier."
            raise AwsError("InvalidParameterValueException", text, 400, Type="User")
        return parts[0], parts[1]
    return parts[0], qualifier


def _bytes(payload: Any) -> bytes:
    if payload is None:
        return b""
    if isinstance(payload, str):
        return payload.encode()
    return bytes(payload) if isinstance(payload, bytes | bytearray) else payload.read()


def _client_context(text: str | None) -> str:
    if not text:
        return ""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise AwsError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
        ) from None


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True
