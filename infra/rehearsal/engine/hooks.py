"""Resource hooks: calls back into the program, when the real engine calls it and with what it gives.

The SDK's own callback servicer is called, on the program's event loop, as a call over its socket would; the socket
itself is left out, because a gRPC channel to a server that ends first writes to the person's terminal.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pulumi.runtime.proto import callback_pb2, resource_pb2
from pulumi.runtime.settings import SETTINGS

from infra.rehearsal.engine.resource_state import ResourceState
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
    token: str
    servicer: Any
    loop: asyncio.AbstractEventLoop
    on_dry_run: bool = False
    ignore_errors: bool = False


class Hooks:
    """The hooks that a program registered in this run."""

    def __init__(self, *, preview: bool, warn: Callable[[str, str], None]):
        self._preview = preview
        self._warn = warn
        self._hooks: dict[tuple[bool, str], _Hook] = {}
        self._lock = threading.Lock()

    def register(self, request: Any, *, error: bool = False) -> None:
        """Takes a RegisterResourceHook or RegisterErrorHook request. Called on the program's event loop."""
        hook = _Hook(
            request.name,
            request.callback.token,
            SETTINGS.callbacks,  # pyright: ignore[reportAttributeAccessIssue] (a descriptor that the SDK leaves untyped)
            asyncio.get_running_loop(),
            not error and request.on_dry_run,
            not error and request.ignore_errors,
        )
        with self._lock:
            if any(name == request.name for _, name in self._hooks):
                raise HookFailed(f'resource hook already registered for name "{request.name}"')
            self._hooks[error, request.name] = hook

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

    def _call(self, hook: _Hook, request: Any) -> bytes:
        message = callback_pb2.CallbackInvokeRequest(token=hook.token, request=request.SerializeToString())
        call = hook.servicer.Invoke(message, _CallbackContext(hook.name))
        return asyncio.run_coroutine_threadsafe(call, hook.loop).result().response


class _CallbackContext:
    """What the servicer expects beside a request: it may abort."""

    def __init__(self, name: str):
        self._name = name

    async def abort(self, code: Any, details: str) -> NoReturn:
        raise HookFailed(f'hook "{self._name}" could not be called: {details}')


def _struct(properties: Mapping[str, Any] | None) -> Any:
    return None if properties is None else to_struct(properties)
