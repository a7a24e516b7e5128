"""The overlay: what the emulated cloud answers itself, because moto lacks it or gets it wrong.

A module of this package registers its functions when it is imported; all modules are imported once, at the first
`find`.

    @handler("sagemaker", "CreateModel")          # answers instead of moto
    def create_model(call: Call) -> dict: ...

    @before("sns", "Publish")                     # further checks; raises AwsError to refuse
    def topic_is_there(call: Call) -> None: ...

    @after("s3", "GetBucketLifecycleConfiguration")   # mends what moto answered
    def dropped_fields(call: Call, output: dict) -> dict: ...

Outputs have the form that botocore gives a caller: the members of the operation's output shape, datetimes for
timestamps, bytes for blobs and streaming bodies.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.cloud.api import Call

Handler = Callable[[Call], dict[str, Any]]
Before = Callable[[Call], None]
After = Callable[[Call, dict[str, Any]], dict[str, Any]]
Key = tuple[str, str]


@dataclass(frozen=True)
class Handlers:
    """What the overlay has for one operation. All empty: the operation goes on to the store or to moto unchanged."""

    handler: Handler | None = None
    befores: tuple[Before, ...] = ()
    afters: tuple[After, ...] = ()


_handlers: dict[Key, Handler] = {}
_befores: dict[Key, tuple[Before, ...]] = {}
_afters: dict[Key, tuple[After, ...]] = {}
_loading = threading.RLock()
_loaded = False


def handler(service: str, operation: str) -> Callable[[Handler], Handler]:
    """Registers the function that answers this operation instead of moto. Two for one operation raise ValueError."""

    def register(function: Handler) -> Handler:
        known = _handlers.setdefault((service, operation), function)
        if known is not function:
            raise ValueError(f"{service}.{operation} has two handlers: {_name(known)} and {_name(function)}; keep one")
        return function

    return register


def before(service: str, operation: str) -> Callable[[Before], Before]:
    """Registers a check that runs before the operation is answered. Several run in the order of registration."""

    def register(function: Before) -> Before:
        _befores[service, operation] = (*_befores.get((service, operation), ()), function)
        return function

    return register


def after(service: str, operation: str) -> Callable[[After], After]:
    """Registers a function that mends the answer of moto or of the store. Several run in the order of registration."""

    def register(function: After) -> After:
        _afters[service, operation] = (*_afters.get((service, operation), ()), function)
        return function

    return register


def find(service: str, operation: str) -> Handlers:
    """What the overlay has for this operation. The first call imports every module of the overlay."""
    _load()
    key = (service, operation)
    return Handlers(_handlers.get(key), _befores.get(key, ()), _afters.get(key, ()))


def carried() -> frozenset[Key]:
    """The (service, operation) pairs that the overlay answers itself."""
    _load()
    return frozenset(_handlers)


def _load() -> None:
    global _loaded
    if _loaded:
        return
    with _loading:
        if _loaded:
            return
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module(f"{__name__}.{module.name}")
        _loaded = True


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}"
