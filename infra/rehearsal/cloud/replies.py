"""Answers on the wire: results and errors in the operation's protocol, and the same read back."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from botocore import parsers as botocore_parsers
from botocore.exceptions import ClientError
from moto.core.serialize import SerializationContext, get_serializer_class

from infra.rehearsal.cloud.api import AwsError, HttpResponse
from infra.rehearsal.cloud.wire import Operation

FIRST_ERROR_STATUS = 301
"""botocore takes an answer from this status on as an error."""

_request_numbers = itertools.count(1)


def write_result(operation: Operation, output: Mapping[str, Any]) -> HttpResponse:
    """The answer in the operation's protocol. output: by botocore's output shape; streaming bodies as bytes."""
    request_id = _request_id()
    serializer_class = get_serializer_class(operation.service, operation.protocol)
    serialized = serializer_class(operation_model=operation.model, context=SerializationContext(request_id)).serialize(
        output
    )
    headers = {"x-amzn-requestid": request_id, **{str(k): str(v) for k, v in serialized["headers"].items()}}
    body = serialized["body"]
    status = int(serialized["status_code"])
    shape = operation.model.output_shape
    for name, member in shape.members.items() if shape is not None else ():
        location = member.serialization.get("location")
        value = output.get(name)
        if value is None:
            continue
        if location == "statusCode":
            status = int(value)
        elif location == "header" and member.serialization.get("name", "").lower() == "content-type":
            # The serializer puts the protocol's own content type over the one that the operation answers with.
            headers["Content-Type"] = str(value)
    return HttpResponse(status, headers, body.encode() if isinstance(body, str) else bytes(body or b""))


def write_error(protocol: str, error: AwsError, *, service: str = "", method: str = "POST") -> HttpResponse:
    """An error in the wire format of `protocol`; JSON when the protocol is not known."""
    request_id = _request_id()
    headers = {"x-amzn-requestid": request_id}
    if method == "HEAD":
        return HttpResponse(error.status, headers, b"")
    if protocol in ("query", "rest-xml", "ec2"):
        headers["Content-Type"] = "text/xml"
        return HttpResponse(error.status, headers, _xml_error(protocol, error, request_id, service).encode())
    headers["Content-Type"] = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
    headers["X-Amzn-Errortype"] = error.code
    body = {"__type": error.code, "message": error.message, **error.members}
    return HttpResponse(error.status, headers, json.dumps(body, default=_json_value).encode())


def read_response(operation: Operation, response: HttpResponse) -> dict[str, Any]:
    """Parses an answer by the operation's output shape. Raises AwsError when it is an error."""
    raw = {"headers": _HeaderView(response.headers), "status_code": response.status, "body": response.body}
    parsed = _response_parser(operation.protocol).parse(raw, operation.model.output_shape)
    if response.status >= FIRST_ERROR_STATUS:
        raise _error_of(parsed, response.status)
    parsed.pop("ResponseMetadata", None)
    return parsed


def _error_of(parsed: Mapping[str, Any], status: int) -> AwsError:
    details = parsed.get("Error", {})
    members = {
        name: value for name, value in parsed.items() if name not in ("Error", "ResponseMetadata", "message", "Message")
    }
    return AwsError(details.get("Code") or str(status), details.get("Message") or "", status, **members)


def aws_error_of(refusal: ClientError) -> AwsError:
    """The error that a client met, as the one that made it would be raised here."""
    parsed: Any = refusal.response
    return _error_of(parsed, parsed["ResponseMetadata"]["HTTPStatusCode"])


def error_code(operation: Operation, response: HttpResponse) -> str:
    """The code of an error answer."""
    try:
        read_response(operation, response)
    except AwsError as error:
        return error.code
    return str(response.status)


def _xml_error(protocol: str, error: AwsError, request_id: str, service: str) -> str:
    members = "".join(
        f"<{name}>{escape(str(value))}</{name}>" for name, value in error.members.items() if value is not None
    )
    text = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{members}"
    if protocol == "ec2":
        return f"<Response><Errors><Error>{text}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    if service == "s3":
        return f"<Error>{text}<RequestId>{request_id}</RequestId></Error>"
    fault = "Receiver" if error.status >= 500 else "Sender"
    return (
        f"<ErrorResponse><Error><Type>{fault}</Type>{text}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


@functools.cache
def _response_parser(protocol: str) -> Any:
    return botocore_parsers.create_parser(protocol)


class _HeaderView(dict[str, str]):
    """Response headers that are found whatever their case."""

    def __init__(self, headers: Mapping[str, str]):
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


def _request_id() -> str:
    number = next(_request_numbers)
    return f"00000000-0000-4000-8000-{number:012x}"
