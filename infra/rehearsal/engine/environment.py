"""Environment variables that a program and its hooks find while they run.

The real engine starts the program as a process of its own, with the environment that `pulumi` was given. Here it is a
thread of this process, whose variables are one for all: they are put for the run and taken back after it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_changed = threading.Condition()
_users = 0
_put: dict[str, str | None] = {}
_before: dict[str, str | None] = {}


@contextmanager
def surrounded(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Puts the variables while the block runs; None takes one away.

    Runs that ask for the same ones go on side by side; one that asks for others waits until they have ended.
    """
    if not variables:
        yield
        return
    _enter(dict(variables))
    try:
        yield
    finally:
        _leave()


def _enter(variables: dict[str, str | None]) -> None:
    global _users, _put, _before
    with _changed:
        _changed.wait_for(lambda: not _users or _put == variables)
        if not _users:
            _put, _before = variables, {name: os.environ.get(name) for name in variables}
            _set(variables)
        _users += 1


def _leave() -> None:
    global _users
    with _changed:
        _users -= 1
        if _users:
            return
        _set(_before)
        _changed.notify_all()


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
