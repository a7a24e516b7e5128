"""HTTP/1.1 over a Unix domain socket, with connections that are used again."""

from __future__ import annotations

import http.client
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


@dataclass(frozen=True)
class HostAnswer:
    """What a container answered. 502: its process ended meanwhile; 503: it is starting again; 504: it took too long."""

    status: int
    body: bytes
    content_type: str
    custom_attributes: str
    latency_us: int
    """From the request's first byte to the answer's last, in microseconds."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def limit(self, seconds: float) -> None:
        self.timeout = seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)


class Client:
    """Calls one serving process, from any number of threads at once."""

    def __init__(self, path: str):
        self._path = path
        self._idle: deque[_Connection] = deque()  # append and pop are atomic
        self._closed = False

    def request(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout_seconds: float
    ) -> HostAnswer:
        """One request, never sent twice. Raises TimeoutError; OSError or HTTPException when the process is gone."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _Connection(self._path)
        started = time.perf_counter_ns()
        try:
            connection.limit(timeout_seconds)
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        latency_us = (time.perf_counter_ns() - started) // 1000
        if response.will_close or self._closed:
            connection.close()
        else:
            self._idle.append(connection)
            if self._closed:  # meanwhile: nobody else would close this one
                self.close()
        return HostAnswer(
            status=response.status,
            body=content,
            content_type=response.headers.get("Content-Type", ""),
            custom_attributes=response.headers.get(CUSTOM_ATTRIBUTES, ""),
            latency_us=latency_us,
        )

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()
