"""What an HTTP API answers: its own errors, and what it makes of a function's result.

Source of the rules for results: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs",
format 2.0 (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HOP_BY_HOP = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_DEFAULT_TYPE = "text/plain;charset=UTF-8"
"""Of a result with a statusCode and no content-type. Unconfirmed."""


@dataclass(frozen=True)
class Answer:
    """A reply. `headers` in order, a name may repeat (set-cookie)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    error: str = ""
    """The gateway's own word for what went wrong, for the access log."""


class Refused(Exception):
    """A request that the gateway answers itself."""

    def __init__(self, answer: Answer):
        super().__init__(f"{answer.status} {answer.error}")
        self.answer = answer


def refusal(status: int, message: str, *headers: tuple[str, str]) -> Refused:
    """{"message": …}, as HTTP APIs answer."""
    body = json.dumps({"message": message}, separators=(",", ":")).encode()
    return Refused(Answer(status, (("content-type", "application/json"), *headers), body, message))


def not_found() -> Refused:
    """No route, no stage or nothing deployed. Developer guide, "Create routes for HTTP APIs"."""
    return refusal(404, "Not Found")


def forbidden(*headers: tuple[str, str]) -> Refused:
    """IAM or the scope of a token refuses.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html (403 for a scope that is
    missing); the same body for IAM is unconfirmed.
    """
    return refusal(403, "Forbidden", *headers)


def unauthorized(*headers: tuple[str, str]) -> Refused:
    """No valid token."""
    return refusal(401, "Unauthorized", *headers)


def too_large() -> Refused:
    """Payload above 10 MB, or an event above Lambda's 6 MB. The body is unconfirmed."""
    return refusal(413, "Request Entity Too Large")


def too_many() -> Refused:
    """Throttled (developer guide, "Throttle requests to your HTTP APIs")."""
    return refusal(429, "Too Many Requests")


def internal_error() -> Refused:
    """The function failed, may not be called or answered what is no answer.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
    """
    return refusal(500, "Internal Server Error")


def unavailable() -> Refused:
    """The integration took longer than its time-out: 503, not the 504 of REST APIs
    (github.com/serverless/serverless issue 11222; the body is unconfirmed)."""
    return refusal(503, "Service Unavailable")


def of_result(payload: bytes) -> Answer:
    """The reply for what a function returned. Refused (500) for what is no answer."""
    try:
        result = json.loads(payload)
    except ValueError:
        raise internal_error() from None
    if not isinstance(result, dict) or "statusCode" not in result:
        # A bare value is the body of a 200; a text stands for itself.
        body = result.encode() if isinstance(result, str) else json.dumps(result, ensure_ascii=False).encode()
        return Answer(200, (("content-type", "application/json"),), body)
    headers = _headers(result)
    return Answer(_status(result["statusCode"]), headers, _body(result))


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 100 <= value <= 599:
        raise internal_error()
    return value


def _headers(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    given = result.get("headers") or {}
    cookies = result.get("cookies") or []
    if not isinstance(given, dict) or not isinstance(cookies, list):
        raise internal_error()
    pairs = [(str(name).lower(), _text(value)) for name, value in given.items()]
    pairs += [("set-cookie", _text(cookie)) for cookie in cookies]
    for name, value in pairs:
        if not _NAME.fullmatch(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise internal_error()
    kept = [(name, value) for name, value in pairs if name not in _HOP_BY_HOP]
    if not any(name == "content-type" for name, _ in kept):
        kept.append(("content-type", _DEFAULT_TYPE))
    return tuple(kept)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        # Sent as bytes of UTF-8, which the server writes one by one.
        return str(value).encode().decode("latin-1")
    raise internal_error()


def _body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise internal_error()
    if not result.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise internal_error() from None
