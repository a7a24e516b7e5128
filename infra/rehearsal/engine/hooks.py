"""Resource hooks: calls back into the program, over the SDK's own callback server, as the real engine does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from infra.rehearsal.engine.state import ResourceState
from infra.rehearsal.engine.values import to_struct

MOMENTS = (
    "before_create",
    "after_create",
    "before_update",
    "after_update",
    "before_delete",
    "after_delete",
    "on_error",
)
MAXIMUM_RETRIES = 100
"""How often an on_error hook may ask for another try (maxErrorHookRetries, pkg/resource/deploy/retries.go)."""


class HookFailed(Exception):
    """A hook refused or broke; the text is the real engine's."""


@dataclass(frozen=True)
class _Hook:
    name: str
    target: str
    token: str
    on_dry_run: bool = False
    ignore_errors: bool = False


class Hooks:
    """The hooks that a program registered in this run."""

    def __init__(self, *, preview: bool, warn: Callable[[str, str], None]):
        self._preview = preview
        self._warn = warn
        self._hooks: dict[tuple[bool, str], _Hook] = {}
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = threading.Lock()

    def register(self, request: Any, *, error: bool = False) -> None:
        """Takes a RegisterResourceHook or RegisterErrorHook request."""
        callback = request.callback
        with self._lock:
            if any(name == request.name for _, name in self._hooks):
                raise HookFailed(f'resource hook already registered for name "{request.name}"')
            self._hooks[error, request.name] = _Hook(
                request.name,
                callback.target,
                callback.token,
                False if error else request.on_dry_run,
                False if error else request.ignore_errors,
            )

    def run(
        self,
        moment: str,
        resource: ResourceState,
        *,
        new_inputs: Mapping[str, Any] | None = None,
        old_inputs: Mapping[str, Any] | None = None,
        new_outputs: Mapping[str, Any] | None = None,
        old_outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Runs a resource's hooks of one moment in order. HookFailed at the first that fails."""
        for name in resource.hooks.get(moment, ()):
            hook = self._hooks.get((False, name))
            if hook is None:
                raise HookFailed(f'hook "{name}" was not registered')
            if self._preview and not hook.on_dry_run:
                continue
            request = resource_pb2.ResourceHookRequest(
                urn=resource.urn,
                id=resource.id,
                name=resource.name,
                type=resource.type,
                new_inputs=_struct(new_inputs),
                old_inputs=_struct(old_inputs),
                new_outputs=_struct(new_outputs),
                old_outputs=_struct(old_outputs),
            )
            response = resource_pb2.ResourceHookResponse.FromString(self._call(hook, request))
            if not response.error:
                continue
            if hook.ignore_errors:
                self._warn(resource.urn, f'{moment} hook "{name}" failed: {response.error}')
                continue
            raise HookFailed(f'{moment.split("_", 1)[0]} hook "{name}" failed: {response.error}')

    def retry(
        self,
        resource: ResourceState,
        operation: str,
        errors: Sequence[str],
        *,
        new_inputs: Mapping[str, Any] | None = None,
        old_inputs: Mapping[str, Any] | None = None,
        old_outputs: Mapping[str, Any] | None = None,
    ) -> bool:
        """Asks the on_error hooks whether to try again. `errors` has the latest first."""
        again = False
        for name in resource.hooks.get("on_error", ()):
            hook = self._hooks.get((True, name))
            if hook is None:
                raise HookFailed(f'error hooks execution failed: error hook "{name}" was not registered')
            request = resource_pb2.ErrorHookRequest(
                urn=resource.urn,
                id=resource.id,
                name=resource.name,
                type=resource.type,
                new_inputs=_struct(new_inputs),
                old_inputs=_struct(old_inputs),
                old_outputs=_struct(old_outputs),
                failed_operation=operation,
                errors=errors,
            )
            response = resource_pb2.ErrorHookResponse.FromString(self._call(hook, request))
            if response.error:
                raise HookFailed(f'error hooks execution failed: error hook "{name}" failed: {response.error}')
            again = again or response.retry
        return again

    def close(self) -> None:
        """Closes the connections to the callback server."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def _call(self, hook: _Hook, request: Any) -> bytes:
        with self._lock:
            channel = self._channels.get(hook.target)
            if channel is None:
                channel = grpc.insecure_channel(hook.target, options=_GRPC_CHANNEL_OPTIONS)
                self._channels[hook.target] = channel
        stub = callback_pb2_grpc.CallbacksStub(channel)
        message = callback_pb2.CallbackInvokeRequest(token=hook.token, request=request.SerializeToString())
        try:
            return stub.Invoke(message).response
        except grpc.RpcError as error:
            details = error.details() if isinstance(error, grpc.Call) else str(error)
            raise HookFailed(f'hook "{hook.name}" could not be called: {details}') from error


def _struct(properties: Mapping[str, Any] | None) -> Any:
    return None if properties is None else to_struct(properties)
