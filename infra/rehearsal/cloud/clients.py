"""boto3 sessions whose requests never leave the process: the bytes that would be sent are handed to the door.

Import this module, or `cloud`, before any boto3 session is made: moto registers itself with botocore when it is
imported.
"""

from __future__ import annotations

import copy
import functools
import io
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
import botocore.handlers
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.hooks import HierarchicalEmitter
from botocore.loaders import Loader

from infra.rehearsal.cloud.api import HttpRequest, HttpResponse

Handle = Callable[[HttpRequest], HttpResponse]

IN_PROCESS_CONFIG = Config(
    # The beginning of boto3's own, which is put together anew for each request out of twenty parts.
    user_agent=f"Boto3/{boto3.__version__} md/Botocore#{botocore.__version__}",
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=10,
    read_timeout=120,
)

_loader = Loader()
"""botocore's models are large: every session of the process shares one loader and its cache."""


def warm_up(services: Iterable[str]) -> None:
    """Reads what clients of these services are made of, for a process that others are forked from."""
    for name in services:
        for kind in ("service-2", "endpoint-rule-set-1"):
            _loader.load_service_model(name, kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        _loader.load_data(name)


def closed_core() -> botocore.session.Session:
    """A botocore session that neither a profile, nor configuration files, nor AWS_* variables reach.

    An emulated cloud's client must be the same on every machine, whatever AWS settings a person has.
    """
    nothing = os.devnull
    core = botocore.session.Session(
        event_hooks=copy.copy(_handlers(len(botocore.handlers.BUILTIN_HANDLERS))),
        include_builtin_handlers=False,
        # Each: (name in a file, environment variables, default, conversion). None: there is no such source.
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, nothing, None),
            "credentials_file": (None, None, nothing, None),
        },
    )
    core.set_config_variable("ignore_configured_endpoint_urls", True)
    core.register_component("data_loader", _loader)
    return core


@functools.cache
def _handlers(count: int) -> HierarchicalEmitter:
    """What a session registers by itself, for sessions to begin with a copy of: a cloud makes one for each principal.

    `count` is how many there are to register: moto's own joins them when it is imported.
    """
    emitter = HierarchicalEmitter()
    botocore.session.Session(event_hooks=emitter)
    return emitter


class DoorSession(boto3.Session):
    """A boto3 session with its requests handed to the door. Safe to share between threads; plain clients are cached."""

    def __init__(
        self, handle: Handle, *, access_key_id: str, secret_access_key: str, session_token: str | None, region: str
    ):
        super().__init__(
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            aws_session_token=session_token,
            region_name=region,
            botocore_session=closed_core(),
        )
        self._handle = handle
        self._making = threading.Lock()
        self._clients: dict[tuple[str, str, Config], Any] = {}
        self.events.register_first("before-send", self._send)

    def client(self, service_name: Any, region_name: str | None = None, *more: Any, **options: Any) -> Any:
        """A client of the service. Made once for each service, region and Config, anew when other options are given."""
        with self._making:
            config = options.pop("config", None) or IN_PROCESS_CONFIG
            if more or options:
                return super().client(service_name, region_name, *more, config=config, **options)
            key = (str(service_name), region_name or str(self.region_name), config)
            if key not in self._clients:
                self._clients[key] = super().client(key[0], key[1], config=config)
            return self._clients[key]

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        answer = self._handle(HttpRequest(str(request.method), str(request.url), headers, _bytes_of(request.body)))
        raw: Any = _Body(answer.body)
        return AWSResponse(str(request.url), answer.status, _headers(answer), raw)


class _Body(io.BytesIO):
    """An answer's body as botocore reads it from urllib3."""

    def stream(self, amt: int = 64 * 1024, **_: Any) -> Any:
        while chunk := self.read(amt):
            yield chunk


def _headers(answer: HttpResponse) -> Any:
    headers = HTTPHeaders()
    for name, value in answer.headers.items():
        headers[name] = value
    # The answer to a HEAD has no body and yet a length.
    if "content-length" not in headers:
        headers["content-length"] = str(len(answer.body))
    return headers


def _bytes_of(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    read = body.read()
    return read.encode() if isinstance(read, str) else read
