"""Throttling of a route: a token bucket, as API Gateway documents it.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html. The bucket holds `burst`
tokens and gets `rate` of them a second; a request without a token is answered 429. Real time, not the cloud's clock:
requests arrive in real time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

ACCOUNT_RATE = 10_000.0
ACCOUNT_BURST = 5_000
"""What an account has by default; a stage that names no limits has these
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""


class Bucket:
    """A token bucket. Thread-safe."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = time.monotonic):
        """rate: tokens a second. burst: tokens at most. 0 of both lets nothing through."""
        self.rate = rate
        self.burst = burst
        self._now = now
        self._tokens = float(burst)
        self._filled = now()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Takes a token; False when there is none."""
        with self._lock:
            now = self._now()
            self._tokens = min(float(self.burst), self._tokens + (now - self._filled) * self.rate)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
