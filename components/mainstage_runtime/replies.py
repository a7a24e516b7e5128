"""The replies of the front door, as API Gateway takes them from a Lambda function (payload format 2.0).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

STATUS: Mapping[str, int] = MappingProxyType(
    {
        "invalid_json": 400,
        "invalid_payload": 400,
        "model_not_found": 404,
        "body_too_large": 413,
        "unsupported_media_type": 415,
        "internal_error": 500,
        "model_error": 502,
        "model_awaiting": 503,
        "model_unavailable": 503,
        "deadline_exceeded": 504,
    }
)
"""Status of each error code. A code never changes its meaning; clients read it."""

LONGEST_ANSWER_BYTES = 4_400_000
"""Longest answer that goes through. Lambda takes a reply of 6 MB
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and in base64 an answer grows by a third."""

_LONGEST_TEXT_BYTES = 900_000
"""Up to here an answer is a JSON text in the reply, which may grow sixfold; above it goes as base64."""

Reply = dict[str, Any]


def prediction(request_id: str, version: str, body: bytes, content_type: str) -> Reply:
    """The model's answer, unchanged."""
    reply: Reply = {
        "statusCode": 200,
        "headers": {"content-type": content_type, "x-request-id": request_id, "x-model-version": version},
    }
    if len(body) <= _LONGEST_TEXT_BYTES:
        try:
            reply["body"], reply["isBase64Encoded"] = body.decode("utf-8"), False
            return reply
        except UnicodeDecodeError:
            pass
    reply["body"], reply["isBase64Encoded"] = base64.b64encode(body).decode("ascii"), True
    return reply


def error(code: str, message: str, request_id: str, problems: Iterable[Mapping[str, Any]] = ()) -> Reply:
    """An error, as documented in docs/guides/predictions-api.md."""
    told: dict[str, Any] = {"code": code, "message": message, "request_id": request_id}
    if listed := list(problems):
        told["problems"] = listed
    return {
        "statusCode": STATUS[code],
        "headers": {"content-type": "application/json", "x-request-id": request_id},
        "body": json.dumps({"error": told}, allow_nan=False),
        "isBase64Encoded": False,
    }
