"""The door over HTTP, for other processes on this machine. Loopback only."""

from __future__ import annotations

import errno
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import WSGITask

from infra.rehearsal.cloud.api import HttpRequest, HttpResponse

HOST = "127.0.0.1"
THREADS = 32
"""Requests answered at the same time. An InvokeEndpoint holds a thread for as long as its model takes."""

_METADATA = re.compile(rb"(?mi)^x-amz-meta-[^:\r\n]*")
_UNDERSCORED_METADATA = re.compile(rb"(?mi)^x-amz-meta-[^:\r\n]*_[^:\r\n]*(?=:)")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "trailer"}


class _Parser(HTTPRequestParser):
    """Reads requests as AWS's clients send them."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if not self.chunked and not self.content_length:
            # waitress would send the 100 and then wait for a body that never comes.
            self.expect_continue = False
        lost = _UNDERSCORED_METADATA.search(header_plus)
        if lost is not None:
            # WSGI cannot tell "_" from "-", so waitress drops such a header; metadata must not be lost in silence.
            raise ParsingError(
                f"{lost[0].decode('latin-1')}: user metadata with '_' in its name is not carried over HTTP; use '-'"
            )


class _Task(WSGITask):
    def build_response_header(self) -> bytes:
        """With the names of user metadata in lower case, as S3 sends them; waitress capitalises every name."""
        return _METADATA.sub(lambda name: name[0].lower(), super().build_response_header())


class _Channel(HTTPChannel):
    parser_class = _Parser
    task_class = _Task


class LoopbackServer:
    """A WSGI application on 127.0.0.1 until `close`, with threads of its own. Keeps connections alive and answers
    `Expect: 100-continue`."""

    def __init__(
        self,
        application: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]],
        *,
        port: int = 0,
        threads: int = THREADS,
        name: str = "rehearsal-door",
        channel: type[HTTPChannel] = HTTPChannel,
        **adjustments: Any,
    ):
        """port 0 takes a free one; one in use is an OSError that names it. adjustments: waitress's own."""
        # A busy moment is no news: waitress would warn each time a request waits for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._sockets: dict[int, Any] = {}
        listener = _listener(port)
        self._server: Any = create_server(
            application,
            map=self._sockets,
            sockets=[listener],
            threads=threads,
            ident="mainstage-rehearsal",
            **adjustments,
        )
        self._server.channel_class = channel
        self.port = int(self._server.effective_port)
        self.url = f"http://{HOST}:{self.port}"
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening, lets the requests under way end, and closes every connection."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._server.pull_trigger()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=1, map=self._sockets, count=1)
        # The trigger is one of the sockets: it must not be closed, and its number reused, before `close` pulled it.
        self._woken.wait()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)


class Server(LoopbackServer):
    """Serves a door on 127.0.0.1 until `close`."""

    def __init__(self, handle: Callable[[HttpRequest], HttpResponse], port: int = 0):
        self._handle = handle
        super().__init__(self._application, port=port, channel=_Channel)

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if refusal := _from_a_page(environ):
            start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(refusal)))])
            return [refusal]
        answer = self._handle(_request(environ))
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} {phrase(answer.status)}", headers)
        return [answer.body]


def _listener(port: int) -> socket.socket:
    """A socket bound to the port. Bound here, because waitress would leave sockets open when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port that a server has just left may be taken again at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(
            errno.EADDRINUSE,
            f"port {port} on {HOST} is in use: stop what listens there, or choose another with --port"
            " (0 takes a free one)",
        ) from None
    return listener


def _from_a_page(environ: dict[str, Any]) -> bytes:
    """Why a request is refused that a web page may have sent: pages reach loopback too, by DNS rebinding even.

    AWS's clients send no Origin, and name this host.
    """
    if "HTTP_ORIGIN" in environ:
        return b"requests of web pages are refused (they carry Origin)"
    return foreign_host(environ).encode()


def foreign_host(environ: dict[str, Any]) -> str:
    """Why a request is refused whose Host is not this machine, or "": a page that came by DNS rebinding names its
    own."""
    host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
    if host not in (HOST, "localhost") and not host.endswith((".localhost", ".amazonaws.com")):
        return f"Host {host!r} is not this one; use {HOST}"
    return ""


def _request(environ: dict[str, Any]) -> HttpRequest:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    # The path as it was sent: an S3 key may hold an encoded slash, which PATH_INFO has decoded away.
    target = environ["REQUEST_URI"]
    host = headers.get("host", f"{HOST}:{environ['SERVER_PORT']}")
    url = target if target.startswith("http://") else f"http://{host}{target}"
    return HttpRequest(environ["REQUEST_METHOD"], url, headers, environ["wsgi.input"].read())


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
