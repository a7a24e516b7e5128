"""One invocation on its way through an execution environment."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from datetime import datetime

MOST_RESPONSE_BYTES = 6_291_556
"""As the message of Function.ResponseSizeTooLarge says it."""


@dataclass(frozen=True)
class Answer:
    """What a caller gets. `function_error` is "" or "Unhandled"; `payload` is JSON."""

    payload: bytes
    function_error: str = ""
    version: str = "$LATEST"
    log_tail: bytes = b""
    """The last 4 KB of the log, when it was asked for."""


class Invocation:
    """`answered` is set when the caller's answer is known, `over` when runtime and extensions are done, or gone."""

    def __init__(self, request_id: str, payload: bytes, *, arn: str, client_context: str, at: datetime):
        self.request_id = request_id
        self.payload = payload
        self.arn = arn
        self.client_context = client_context
        self.at = at
        """When the function was invoked, by the cloud's clock."""
        self.answered = threading.Event()
        self.over = threading.Event()
        self.reply = b""
        self.function_error = ""
        self.timed_out = False
        self.started = time.perf_counter()
        self.replied = 0.0
        self.init_ms: float | None = None
        """Of the environment, when this is its first invocation."""
        self.log_position = 0
        """How many lines the environment's log had before it, and (`log_end`) when it was over."""
        self.log_end = 0
        self._answering = threading.Lock()

    def answer(self, payload: bytes, function_error: str = "") -> bool:
        """Gives the caller its answer. False when it has one already."""
        with self._answering:  # a process that ends as it answers is answered for by two threads
            if self.answered.is_set():
                return False
            self.reply, self.function_error = payload, function_error
            self.replied = time.perf_counter()
            self.answered.set()
        return True


def error_payload(kind: str, message: str) -> bytes:
    """An error that Lambda itself answers for a function."""
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
