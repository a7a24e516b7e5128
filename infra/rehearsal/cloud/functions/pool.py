"""The execution environments of one deployment: the idle ones, those that start, and who waits for one."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from infra.rehearsal.cloud.functions.deployment import Deployment
from infra.rehearsal.cloud.functions.environment import Environment

MOST_STARTING = max(2, os.cpu_count() or 1)
"""Environments of a function that start at the same time here. On AWS every waiting invocation starts one; here more
wait for one of these, or for one that becomes free, because they all share this machine's cores."""


GRACE_SECONDS = 0.005
"""How long an invocation waits for an environment that may become free before another one is started. A runtime that
has answered needs a moment to ask for more; on AWS that is over before the caller's next request arrives."""


class Drained(Exception):
    """The pool's deployment has been replaced."""


class _Ticket:
    def __init__(self) -> None:
        self.called = threading.Event()
        self.environment: Environment | None = None
        self.failure: Exception | None = None


class Pool:
    """Hands out environments, newest idle one first, and starts more when there is none. Thread-safe."""

    def __init__(self, deployment: Deployment, start: Callable[[Pool], Environment]):
        """start: makes an environment that is ready; raises what the waiting caller is to get."""
        self.deployment = deployment
        self._start = start
        self._lock = threading.Lock()
        self._idle: list[Environment] = []
        self._tickets: deque[_Ticket] = deque()
        self._starting = 0
        self._members: set[Environment] = set()
        self._closed = False

    def acquire(self) -> Environment:
        """An environment for one invocation. Raises what its start raised, or Drained."""
        with self._lock:
            if self._closed:
                raise Drained
            if self._idle:
                return self._idle.pop()
            ticket = _Ticket()
            self._tickets.append(ticket)
            hopeful = bool(self._members)
        if not (hopeful and ticket.called.wait(GRACE_SECONDS)):
            with self._lock:
                self._start_more()
        ticket.called.wait()
        if ticket.failure is not None:
            raise ticket.failure
        assert ticket.environment is not None
        return ticket.environment

    def joined(self, environment: Environment) -> bool:
        """Counts an environment whose process has been launched. False when the pool has been closed: end it."""
        with self._lock:
            if not environment.ended:  # else `gone` may have been here already
                self._members.add(environment)
            return not self._closed

    def release(self, environment: Environment) -> None:
        """Takes an environment that waits for an invocation: for the next caller, or frozen, or, drained, ended."""
        with self._lock:
            if environment not in self._members:
                return  # it has ended meanwhile
            closed = self._closed
            if not closed:
                if self._tickets:
                    ticket = self._tickets.popleft()
                    ticket.environment = environment
                    ticket.called.set()
                else:
                    environment.freeze()
                    self._idle.append(environment)
        if closed:
            environment.kill()

    def gone(self, environment: Environment) -> None:
        """Forgets an environment that has ended."""
        with self._lock:
            self._members.discard(environment)
            if environment in self._idle:
                self._idle.remove(environment)

    def members(self) -> list[Environment]:
        with self._lock:
            return list(self._members)

    def drain(self) -> None:
        """No more invocations: the idle ones end now, the busy ones when they are done, and waiters look elsewhere."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            tickets, self._tickets = list(self._tickets), deque()
        for ticket in tickets:
            ticket.failure = Drained()
            ticket.called.set()
        for environment in idle:
            environment.kill()

    def _start_more(self) -> None:
        """The lock is held."""
        while not self._closed and self._starting < min(len(self._tickets), MOST_STARTING):
            self._starting += 1
            threading.Thread(target=self._start_one, name=f"lambda-start-{self.deployment.name}", daemon=True).start()

    def _start_one(self) -> None:
        environment, failure = None, None
        try:
            environment = self._start(self)
        except Exception as error:
            failure = error
        with self._lock:
            self._starting -= 1
            if failure is not None and self._tickets:
                ticket = self._tickets.popleft()
                ticket.failure = failure
                ticket.called.set()
        if environment is not None:
            self.release(environment)
        with self._lock:
            self._start_more()
