"""The listener of one HTTP API: its own loopback port and its own threads.

The limits of a payload and of headers: API Gateway developer guide, "Quotas for HTTP APIs"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html).

A request whose Host is not this machine is refused: a web page that came by DNS rebinding would share its origin with
the API and could read the replies. `Origin` is ignored, as an HTTP API without CORS ignores it: API clients may send
it, and a page of another origin cannot read what it gets.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast

from waitress.parser import HTTPRequestParser

from infra.rehearsal.cloud.gateway.answer import Answer, forbidden, refusal, too_large
from infra.rehearsal.cloud.gateway.request import Request, from_environ, new_request_id
from infra.rehearsal.cloud.server import Channel, LingeringErrorTask, LoopbackServer, foreign_host, phrase

MAXIMUM_PAYLOAD_BYTES = 10 * 1024 * 1024
MAXIMUM_HEADER_BYTES = 10_240
"""Request line and header values."""
THREADS = 48
"""Requests under way at the same time; each holds one while its function runs."""
_READ_BYTES = 64 * 1024 * 1024
"""A larger body is not even read to its end."""
_READ_HEADER_BYTES = 64 * 1024

Answerer = Callable[[Request], Answer]

log = logging.getLogger(__name__)


class _ErrorTask(LingeringErrorTask):
    """What the server refuses by itself, in the form of an HTTP API's errors."""

    def execute(self) -> None:
        cast(Channel, self.channel).lingers = True
        request: Any = self.request
        error = request.error
        body = json.dumps({"message": error.reason}, separators=(",", ":")).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [("Content-Type", "application/json"), ("Apigw-Requestid", new_request_id())]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Parser(HTTPRequestParser):
    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if not self.chunked and not self.content_length:
            # waitress would send the 100 and then wait for a body that never comes.
            self.expect_continue = False


class _Channel(Channel):
    parser_class = _Parser
    error_task_class = _ErrorTask


class Listener:
    """Serves one API on 127.0.0.1 until `close`."""

    def __init__(self, api_id: str, answer: Answerer, now: Callable[[], datetime]):
        """answer: raises nothing. now: the cloud's clock."""
        self._answer = answer
        self._now = now
        self._server = LoopbackServer(
            self._application,
            threads=THREADS,
            name=f"http-api-{api_id}",
            channel=_Channel,
            max_request_body_size=_READ_BYTES,
            max_request_header_size=_READ_HEADER_BYTES,
            # Bodies stay in memory up to what is accepted.
            inbuf_overflow=MAXIMUM_PAYLOAD_BYTES + 1,
        )
        self.url = self._server.url
        self.port = self._server.port

    def close(self) -> None:
        self._server.close()

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = from_environ(environ, self._now())
        if why := foreign_host(environ):
            log.warning("%s: %s", self.url, why)
            answer = forbidden().answer
        elif len(request.body) > MAXIMUM_PAYLOAD_BYTES:
            answer = self._answer_unread(request, too_large().answer)
        elif _header_bytes(request) > MAXIMUM_HEADER_BYTES:
            # The status is unconfirmed.
            answer = self._answer_unread(request, refusal(431, "Request Header Fields Too Large").answer)
        else:
            answer = self._answer(request)
        headers = [*answer.headers, ("apigw-requestid", request.request_id)]
        if answer.status >= 200 and answer.status not in (204, 304):
            headers.append(("content-length", str(len(answer.body))))
        start_response(f"{answer.status} {phrase(answer.status)}", headers)
        return [b"" if request.method == "HEAD" else answer.body]

    def _answer_unread(self, request: Request, answer: Answer) -> Answer:
        """A refusal before the request was looked at. It is counted and logged as every other."""
        request.notes["refused"] = answer
        return self._answer(request)


def _header_bytes(request: Request) -> int:
    line = len(request.method) + len(request.path) + len(request.query) + len(request.protocol) + 3
    return line + sum(len(value) for value in request.headers.values())
