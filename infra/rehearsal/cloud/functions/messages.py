"""HTTP/1.1 as the Runtime and Extensions APIs need it: requests read from a socket, small answers written to one."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_HEAD = 64 * 1024
LONGEST_BODY = 16 * 1024**2
_PHRASES = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Too Large"}


class Malformed(ValueError):
    """Bytes that are no request of these APIs."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Reader:
    """Requests of one connection, in order."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._buffer = b""

    def next(self) -> Request | None:
        """The next request; None when the peer has closed. Malformed for what cannot be read."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > LONGEST_HEAD:
                raise Malformed("the head of the request is too long")
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        parts = first.split(" ")
        if len(parts) != 3:
            raise Malformed(f"not a request line: {first[:80]!r}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > LONGEST_BODY:
                raise Malformed(f"Content-Length {length!r}")
            body = self._exactly(int(length))
        return Request(parts[0], parts[1], headers, body)

    def _chunks(self) -> bytes:
        found: list[bytes] = []
        total = 0
        while True:
            size = int(self._line().partition(b";")[0], 16)
            total += size
            if total > LONGEST_BODY:
                raise Malformed("the body is too long")
            if size == 0:
                while self._line():
                    pass  # trailers, which these APIs use for streamed errors only
                return b"".join(found)
            found.append(self._exactly(size))
            self._line()

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._more():
                raise Malformed("the connection ended within a request")
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, length: int) -> bytes:
        if len(self._buffer) < length:
            parts, have = [self._buffer], len(self._buffer)
            while have < length:
                received = self._connection.recv(1 << 18)
                if not received:
                    raise Malformed("the connection ended within a request")
                parts.append(received)
                have += len(received)
            self._buffer = b"".join(parts)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _more(self) -> bool:
        received = self._connection.recv(1 << 18)
        self._buffer += received
        return bool(received)


def answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an answer with a JSON body."""
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body
