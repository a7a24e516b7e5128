"""State of the overlay: one object of a class per live cloud, dropped when the cloud is reset or closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


class State(Protocol):
    def close(self) -> None:
        """Ends what the state runs (threads, processes). Called once, at the cloud's reset or end."""
        ...


S = TypeVar("S", bound=State)

_states: WeakKeyDictionary[Cloud, dict[object, Any]] = WeakKeyDictionary()
_lock = threading.RLock()


def state_of(cloud: Cloud, factory: Callable[[Cloud], S]) -> S:
    """The cloud's object of this class; made by `factory(cloud)` when the cloud has none yet."""
    with _lock:
        states = _states.get(cloud)
        if states is None:
            states = _states[cloud] = {}
            cloud.on_reset(lambda: _drop(states))
            cloud.on_close(lambda: _drop(states))
        if factory not in states:
            states[factory] = factory(cloud)
        return states[factory]


def _drop(states: dict[object, Any]) -> None:
    """Closes all, and what those that were ending have made anew meanwhile."""
    while True:
        with _lock:
            ended = list(states.values())
            states.clear()
        if not ended:
            return
        for state in ended:
            state.close()
