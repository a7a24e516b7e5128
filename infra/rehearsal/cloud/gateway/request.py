"""A request as an HTTP API received it."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Request:
    """One request on its way through an HTTP API."""

    method: str
    path: str
    """As it was sent: still encoded, without the query."""
    query: str
    """As it was sent, without the question mark."""
    headers: Mapping[str, str]
    """Names in lower case; values of a repeated name joined by commas."""
    body: bytes
    protocol: str = "HTTP/1.1"
    source_ip: str = "127.0.0.1"
    request_id: str = ""
    received: datetime = field(default_factory=lambda: datetime.now(UTC))
    """By the cloud's clock."""
    variables: Mapping[str, str] = field(default_factory=dict)
    authorizer: Mapping[str, Any] = field(default_factory=dict)
    """requestContext.authorizer of the event; empty without authorisation."""
    route_key: str = ""
    stage: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    """Further $context variables of the access log."""


def new_request_id() -> str:
    """An id in the form that HTTP APIs give, such as "JKJaXmPLvHcESHA="."""
    return base64.urlsafe_b64encode(os.urandom(11)).decode()


def from_environ(environ: Mapping[str, Any], received: datetime) -> Request:
    """The request of a WSGI environment. Reads the body."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    target = str(environ["REQUEST_URI"])
    if target.startswith("http://"):
        target = "/" + target.removeprefix("http://").partition("/")[2]
    path, _, query = target.partition("?")
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path or "/",
        query=query,
        headers=headers,
        body=environ["wsgi.input"].read(),
        protocol=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        source_ip=environ.get("REMOTE_ADDR", "127.0.0.1"),
        request_id=new_request_id(),
        received=received,
    )
