"""The delivering process's end of the pipes: messages in, reports out, and credentials asked for."""

from __future__ import annotations

import json
import queue
from collections import deque
from collections.abc import Iterator, Mapping
from typing import IO, Any

from infra.rehearsal.cloud.delivery.clients import RoleRefused


class Channel:
    """JSON lines. `send` reports; `messages` gives what came; `credentials` asks and waits for the answer."""

    def __init__(self, inbox: queue.SimpleQueue[dict[str, Any]], reports: IO[bytes]):
        self._inbox = inbox
        self._reports = reports
        self._later: deque[dict[str, Any]] = deque()

    def send(self, report: Mapping[str, Any]) -> None:
        self._reports.write(json.dumps(report).encode() + b"\n")

    def messages(self, timeout_seconds: float) -> Iterator[dict[str, Any]]:
        """What has come; waits for the first until the time-out."""
        try:
            while True:
                if (
                    self._later
                ):  # looked at each time: whoever takes a message may ask for keys, and that puts off others
                    yield self._later.popleft()
                else:
                    yield self._inbox.get(timeout=timeout_seconds) if timeout_seconds else self._inbox.get_nowait()
                timeout_seconds = 0
        except queue.Empty:
            return

    def credentials(self, role: str) -> Mapping[str, Any]:
        """A role's keys from the cloud's process. Raises RoleRefused with the reason."""
        self.send({"ask": role})
        while True:
            message = self._inbox.get()
            if message.get("role") != role:
                self._later.append(message)
            elif "refused" in message:
                raise RoleRefused(message["refused"])
            else:
                return message["keys"]
