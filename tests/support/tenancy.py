"""Who lives in a test process's one emulated cloud: an environment that several files of tests look at, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from infra.rehearsal.cloud.cloud import Cloud


class Tenancy:
    """One tenant at a time. It stays until another one moves in, or the cloud is wanted empty."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self._name: str | None = None
        self._tenant: Any = None
        self._lease = ExitStack()

    def take(self, name: str, move_in: Callable[[Cloud], AbstractContextManager[Any]]) -> Any:
        """The tenant called `name`, as `move_in` makes it in the empty cloud when it does not live there already."""
        if name != self._name:
            self.empty()
            self._tenant = self._lease.enter_context(move_in(self.cloud))
            self._name = name
        return self._tenant

    def empty(self) -> Cloud:
        """The cloud without anything in it."""
        self._name, self._tenant = None, None
        try:
            self._lease.close()
        finally:
            self.cloud.reset()
        return self.cloud
