"""The event of a Lambda proxy integration, payload format 2.0.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from infra.rehearsal.cloud.gateway.request import Request

_TEXT_TYPES = {"application/javascript", "application/json", "application/xml"}


def event_of(
    request: Request, *, account_id: str, api_id: str, stage_variables: Mapping[str, str], port: int
) -> dict[str, Any]:
    """The event. Members without a value are left out, as the guide's example of format 2.0 leaves them out."""
    headers = dict(request.headers)
    cookies = [cookie for cookie in headers.pop("cookie", "").split("; ") if cookie]
    host = headers.get("host", "")
    headers.setdefault("content-length", str(len(request.body)))
    headers["x-amzn-trace-id"] = f"Root=1-{int(request.received.timestamp()):08x}-{_hex(request.request_id)}"
    headers["x-forwarded-for"] = ", ".join(filter(None, (headers.get("x-forwarded-for"), request.source_ip)))
    headers["x-forwarded-port"] = str(port)
    # What the listener speaks; AWS's endpoint speaks HTTPS only.
    headers["x-forwarded-proto"] = "http"
    path = unquote(request.path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": request.route_key,
        # Decoded; the guide does not say. Unconfirmed.
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": account_id,
            "apiId": api_id,
            **({"authorizer": request.authorizer} if request.authorizer else {}),
            "domainName": host.rpartition(":")[0] or host,
            "domainPrefix": api_id,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request.request_id,
            "routeKey": request.route_key,
            "stage": request.stage,
            "time": request.received.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(request.received.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if request.query:
        event["queryStringParameters"] = _query(request.query)
    if request.variables:
        event["pathParameters"] = dict(request.variables)
    if stage_variables:
        event["stageVariables"] = dict(stage_variables)
    if request.body:
        text = _text(request)
        event["isBase64Encoded"] = text is None
        event["body"] = base64.b64encode(request.body).decode() if text is None else text
    return event


def _query(query: str) -> dict[str, str]:
    """Values of a repeated name are joined by commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _text(request: Request) -> str | None:
    """The body as text; None where it goes as base64: every type but text, JSON, XML and JavaScript, and whatever is
    no UTF-8 or is compressed (the last two unconfirmed)."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = (
        content_type.startswith("text/") or content_type in _TEXT_TYPES or content_type.endswith(("+json", "+xml"))
    )
    if not is_text or request.headers.get("content-encoding", "identity") != "identity":
        return None
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        return None


def _hex(request_id: str) -> str:
    return base64.urlsafe_b64decode(request_id).hex().ljust(24, "0") if request_id else "0" * 24
