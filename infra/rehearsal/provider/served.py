"""The emulated provider over gRPC: what Pulumi's own engine attaches to.

    with ServedProvider(cloud.session) as served:
        run("pulumi up", PULUMI_DEBUG_PROVIDERS=f"aws:{served.port}")

An engine that attaches to a running provider speaks to one server for all provider resources of a stack, of several
stacks even; each has a connection of its own, and by it an AwsProvider of its own, with its own account and tags
(https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/plugin, NewProvider).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent import futures
from types import TracebackType
from typing import Any

import boto3
import grpc
from google.protobuf import any_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from infra.rehearsal.provider.errors import InitializationFailed, ProviderError
from infra.rehearsal.provider.provider import AwsProvider
from infra.rehearsal.provider.values import to_struct

HOST = "127.0.0.1"
WORKERS = 64
"""Calls under way at the same time, from all engines; a create may hold one while it waits for an endpoint."""
_DETAILS = "grpc-status-details-bin"
_OPTIONS = (*_GRPC_CHANNEL_OPTIONS, ("grpc.so_reuseport", 0))
"""Without the second, two servers share a port on Linux, and each gets some of the connections."""

log = logging.getLogger(__name__)


class ServedProvider:
    """Serves AwsProvider on 127.0.0.1 until it is closed. `port` 0 takes a free one; one in use is an OSError."""

    def __init__(self, session_for: Callable[[], boto3.Session], *, port: int = 0, **options: Any):
        """options: AwsProvider's own."""
        self._server = grpc.server(futures.ThreadPoolExecutor(WORKERS, "provider"), options=_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(_ByConnection(session_for, options), self._server)
        try:
            self.port = self._server.add_insecure_port(f"{HOST}:{port}")
        except RuntimeError:
            raise OSError(f"port {port} on {HOST} is in use: choose another, or 0 for a free one") from None
        self._server.start()

    def close(self) -> None:
        self._server.stop(grace=1).wait()

    def __enter__(self) -> ServedProvider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _ByConnection(provider_pb2_grpc.ResourceProviderServicer):
    """Hands each call to its connection's provider, and turns errors into what the engine reads."""

    def __init__(self, session_for: Callable[[], boto3.Session], options: dict[str, Any]):
        self._session_for = session_for
        self._options = options
        self._lock = threading.Lock()
        self._providers: dict[str, AwsProvider] = {}

    def _of(self, connection: str) -> AwsProvider:
        with self._lock:
            if connection not in self._providers:
                self._providers[connection] = AwsProvider(self._session_for, **self._options)
            return self._providers[connection]

    def _answer(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        connection = context.peer()
        try:
            return getattr(self._of(connection), method)(request, context)
        except InitializationFailed as error:
            context.set_trailing_metadata(((_DETAILS, _half_made(error)),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except NotImplementedError:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the rehearsal's provider has no {method}")
        except Exception as error:
            log.exception("%s of %s", method, getattr(request, "urn", ""))
            context.abort(grpc.StatusCode.INTERNAL, f"a fault in the rehearsal's provider: {error!r}")


def _half_made(error: InitializationFailed) -> bytes:
    """The gRPC detail that makes the engine record a resource that exists but is not as asked (rpcerror.FromError)."""
    detail = pb.ErrorResourceInitFailed(
        id=error.id, properties=to_struct(error.properties), reasons=error.reasons, inputs=to_struct(error.inputs)
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
    return status.SerializeToString()


def _method(name: str) -> Callable[..., Any]:
    def answer(self: _ByConnection, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(name, request, context)

    return answer


for _name in dir(provider_pb2_grpc.ResourceProviderServicer):
    if not _name.startswith("_"):
        setattr(_ByConnection, _name, _method(_name))
