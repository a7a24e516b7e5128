"""The door over HTTP, for other processes on this machine. Loopback only."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ErrorTask, WSGITask

from infra.rehearsal.cloud.api import HttpRequest, HttpResponse

HOST = "127.0.0.1"
THREADS = 32
"""Requests answered at the same time. An InvokeEndpoint holds a thread for as long as its model takes."""
_LINGERING_BYTES = 64 * 1024 * 1024
"""Read and thrown away after a refusal. One that stays silent is closed by waitress (channel_timeout, 120 s)."""

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


class LingeringErrorTask(ErrorTask):
    """Refuses a request that was not read to its end."""

    def execute(self) -> None:
        cast(Channel, self.channel).lingers = True
        super().execute()


class Channel(HTTPChannel):
    """One connection. After a refusal it reads on until the client has read the reply and closed: a socket that is
    closed with input unread resets the connection, and the client may lose the reply (RFC 9112, section 9.6)."""

    error_task_class = LingeringErrorTask
    lingers = False
    """Set by the task that refuses."""
    _lingering_bytes = 0

    def handle_close(self) -> None:
        if self.lingers and self.connected and self.will_close and not self._lingering_bytes:
            self._lingering_bytes = _LINGERING_BYTES
            self.will_close = False
            with contextlib.suppress(OSError):
                cast(socket.socket, self.socket).shutdown(socket.SHUT_WR)
                return
        super().handle_close()

    def handle_read(self) -> None:
        if self._lingering_bytes:
            self._read_on()
        else:
            super().handle_read()
        self._let_go()

    def handle_write(self) -> None:
        super().handle_write()
        self._let_go()

    def end(self) -> None:
        """Closes at once, with the files of its buffers."""
        self.lingers = False
        self.handle_close()
        self._let_go()

    def _read_on(self) -> None:
        try:
            read = len(self.recv(self.adj.recv_bytes))  # closes at the end of the input
        except OSError:
            read = self._lingering_bytes
        self._lingering_bytes -= read
        if self.connected and self._lingering_bytes <= 0:
            super().handle_close()

    def _let_go(self) -> None:
        """A request that was not read to its end: waitress leaves its file to the garbage collector."""
        if self.request is not None and not self.connected:
            self.request.close()
            self.request = None


class _Channel(Channel):
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
        channel: type[Channel] = Channel,
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
        for channel in list(self._server.active_channels.values()):
            channel.end()  # close_all would leave the files of its buffers open
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
