"""What the Pulumi SDK wastes, and how to get it back. Imported before `pulumi`.

Three remedies, measured on 991 resources over the real engine (SDK 3.272.0, two cores): the raised collection
threshold takes 8.5 s of program time to 5.6 s; waiting in linear time and dropping debug messages take it on to 3.2 s.
The first is plain Python and on by default. The other two replace names inside the SDK: they are off unless asked for,
and stay off where the SDK's source is not the one that they were tested with.

    MAINSTAGE_TUNE_GC=0      leaves the collection threshold alone
    MAINSTAGE_TUNE_WAIT=1    waits for outputs in linear time
    MAINSTAGE_TUNE_DEBUG=1   drops debug messages (with MAINSTAGE_TUNE_WAIT=1 only: alone it makes programs slower)
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

GC_THRESHOLD = (10_000, 20, 20)

TESTED_SOURCES: Mapping[str, str] = {
    "wait_for_rpcs": "c0f9027f85ad09255ded0a1908033b490f76d303a3e40b50d3cf47a69265469d",
    "debug": "381cd6115cca6ca19ddc9416014d9afb086d7b7a9cb3ca8d80f2be24bdb44d6f",
}
"""SHA-256 of the source of each SDK function that a remedy changes, as of 3.272.0. A newer SDK with the same text is
as good; any other text means: read it, test it, then put its hash here."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Remedy:
    """What became of one remedy: `applied`, or `why` not. `undo` takes it back."""

    name: str
    applied: bool
    why: str = ""
    undo: Callable[[], None] = _nothing


def apply(environment: Mapping[str, str] = os.environ) -> list[Remedy]:
    """Applies every remedy that is on. Never fails: a remedy that doesn't fit says why and is left out."""
    return [raise_gc_threshold(environment), wait_in_linear_time(environment), drop_debug_messages(environment)]


def raise_gc_threshold(environment: Mapping[str, str] = os.environ) -> Remedy:
    """Lets Python collect garbage less often: a program's objects nearly all live to its end."""
    if environment.get("MAINSTAGE_TUNE_GC", "1") == "0":
        return Remedy("gc", False, "MAINSTAGE_TUNE_GC=0")
    before = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLD)
    return Remedy("gc", True, undo=lambda: gc.set_threshold(*before))


def wait_in_linear_time(environment: Mapping[str, str] = os.environ) -> Remedy:
    """Makes the SDK's wait for outstanding outputs linear.

    It waits for the first of all outstanding tasks and goes through all of them again each time. Waiting until all are
    done or one fails keeps the early failure.
    """
    if environment.get("MAINSTAGE_TUNE_WAIT", "0") != "1":
        return Remedy("wait", False, "MAINSTAGE_TUNE_WAIT is not 1")
    from pulumi.runtime import stack

    if other := _other_source(stack.wait_for_rpcs):
        return Remedy("wait", False, other)
    genuine = vars(stack)["asyncio"]
    _set(stack, "asyncio", _PatientAsyncio(genuine))
    return Remedy("wait", True, undo=lambda: _set(stack, "asyncio", genuine))


def drop_debug_messages(environment: Mapping[str, str] = os.environ) -> Remedy:
    """Drops the SDK's debug messages: each is a round trip to the engine that holds up the program's event loop."""
    if environment.get("MAINSTAGE_TUNE_DEBUG", "0") != "1":
        return Remedy("debug", False, "MAINSTAGE_TUNE_DEBUG is not 1")
    from pulumi import log
    from pulumi.runtime import stack

    if not isinstance(vars(stack)["asyncio"], _PatientAsyncio):
        return Remedy("debug", False, "it needs the linear wait: alone it makes programs slower")
    if other := _other_source(log.debug):
        return Remedy("debug", False, other)
    genuine = log.debug
    _set(log, "debug", _drop)
    return Remedy("debug", True, undo=lambda: _set(log, "debug", genuine))


def source_hash(function: Callable[..., Any]) -> str:
    """SHA-256 of a function's source text; empty where there is no source to read."""
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    except (OSError, TypeError):
        return ""


def _other_source(function: Callable[..., Any]) -> str:
    if source_hash(function) == TESTED_SOURCES.get(function.__name__):
        return ""
    return f"{function.__module__}.{function.__name__} of this SDK is not the one that the remedy was tested with"


def _set(module: ModuleType, name: str, value: object) -> None:
    setattr(module, name, value)


def _drop(msg: str, resource: object = None, stream_id: int | None = None, ephemeral: bool | None = None) -> None:
    """Takes what `pulumi.log.debug` takes."""


class _PatientAsyncio:
    """`asyncio`, but a wait for the first of many ends when all are done or one has failed."""

    def __init__(self, genuine: Any):
        self._genuine = genuine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._genuine, name)

    async def wait(self, tasks: Any, *, timeout: float | None = None, return_when: str) -> Any:
        if return_when == self._genuine.FIRST_COMPLETED:
            return_when = self._genuine.FIRST_EXCEPTION
        return await self._genuine.wait(tasks, timeout=timeout, return_when=return_when)
