"""Hands a prediction record over: to Firehose, else to the spool queue. What neither took is counted as lost.

Runs off the reply's path, and never raises. But it keeps the environment busy, and a function has so many environments
and no more: were each record to wait for a stream that hangs, the next requests would find no environment. So each
service has one attempt of a second, and one that gave no answer is not asked for a while (`Breaker`).

Metrics carry the moment of the request, so that a minute's requests and a minute's records can be held against each
other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from mainstage_runtime import emf
from mainstage_runtime.clients import HAND_OVER_READ_SECONDS, LOG_CONNECT_SECONDS, LOG_READ_SECONDS
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.redact import Pseudonyms

STREAM_PAUSE_SECONDS = 30.0
"""How long at least, and twice as long at most, Firehose is not asked after it gave no answer; the spool takes the
records meanwhile."""

QUEUE_PAUSE_SECONDS = 10.0
"""The same of the spool queue. Shorter: while it is not asked records are lost."""

QUEUE_FIRST_PAUSE_SECONDS = 1.0
"""The queue's pause after a first silence; each next in a row doubles it. A machine or a network that stands still for
a moment silences both services at once: that must not cost the records of the next ten seconds too."""

AT_ONCE_SECONDS = 0.1
"""What failed sooner is tried once more: mostly a connection that was closed while the environment was frozen."""

_ONE_SERVICE_SECONDS = AT_ONCE_SECONDS + LOG_CONNECT_SECONDS + HAND_OVER_READ_SECONDS

LONGEST_SECONDS = LOG_CONNECT_SECONDS + LOG_READ_SECONDS + 2 * _ONE_SERVICE_SECONDS + 1
"""Longest that handing over takes: the key, Firehose and the queue, one attempt each, and a second for our own work.
Once only: after that the breakers are open. Lambda's time-out has to leave it that much after the deadline, or a record
that Firehose is slow to take is lost (and counted)."""

_PAUSED = "gave no answer a moment ago"


class Breaker:
    """Whether a service is worth asking: after it gave no answer, not for one to two times a pause; then it is tried
    again, and one more silence is one more pause.

    `pause_seconds` is the longest. The first is `first_seconds`, and each silence in a row doubles it; left out, every
    pause is the longest.

    The environments of a function meet a silence at one moment. Each draws a pause of its own, so that they do not all
    try again, and are all held up, at one moment too.
    """

    def __init__(
        self,
        pause_seconds: float,
        *,
        first_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw` gives a number from 0 up to 1."""
        self._longest, self._first = pause_seconds, pause_seconds if first_seconds is None else first_seconds
        self._pause, self._clock, self._draw, self._until = self._first, clock, draw, 0.0

    def lets_through(self) -> bool:
        return self._clock() >= self._until

    def no_answer(self) -> None:
        self._until = self._clock() + self._pause * (1 + self._draw())
        self._pause = min(2 * self._pause, self._longest)

    def answer(self) -> None:
        self._pause, self._until = self._first, 0.0


class HandOver:
    """Hands over the records of one model."""

    def __init__(
        self,
        writer: RecordWriter,
        pseudonyms: Pseudonyms,
        *,
        log_name: str,
        stream_name: str,
        spool_url: str,
        firehose: Any,
        sqs: Any,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`firehose` and `sqs` are clients that make one attempt of HAND_OVER_READ_SECONDS."""
        self._writer, self._pseudonyms, self._log_name = writer, pseudonyms, log_name
        self._stream_name, self._spool_url = stream_name, spool_url
        self._firehose, self._sqs, self._clock = firehose, sqs, clock
        self._stream = Breaker(STREAM_PAUSE_SECONDS, clock=clock)
        self._queue = Breaker(QUEUE_PAUSE_SECONDS, first_seconds=QUEUE_FIRST_PAUSE_SECONDS, clock=clock)

    def __call__(self, served: Served) -> None:
        try:
            self._pseudonyms.prepare()
            if self._pseudonyms.failure:
                emf.note("no_pseudonyms", request_id=served.request_id, error=self._pseudonyms.failure)
            record = self._writer.write(served)
        except Exception as error:
            self._lost(served, record=type(error).__name__)
            return
        stream_error = self._ask(self._stream, lambda: self._put(record))
        if not stream_error:
            self._count(served, {"HandedOver": 1})
            return
        queue_error = self._ask(self._queue, lambda: self._spool(record))
        if not queue_error:
            emf.note("spooled", request_id=served.request_id, stream=stream_error)
            self._count(served, {"HandedOver": 1, "Spooled": 1})
            return
        self._lost(served, stream=stream_error, queue=queue_error)

    def lost(self, served: Served, reason: str) -> None:
        """Counts a record that never came to be handed over."""
        self._lost(served, reason=reason)

    def _ask(self, breaker: Breaker, call: Callable[[], None]) -> str:
        """What the call failed with, a name without any value; empty when it did not fail."""
        if not breaker.lets_through():
            return _PAUSED
        started = self._clock()
        error = _error_of(call)
        if error is not None and not 400 <= _status(error) < 500 and self._clock() - started <= AT_ONCE_SECONDS:
            error = _error_of(call)
        if error is not None and _status(error) == 0:
            breaker.no_answer()
        else:
            breaker.answer()
        return "" if error is None else emf.error_name(error)

    def _put(self, record: bytes) -> None:
        self._firehose.put_record(DeliveryStreamName=self._stream_name, Record={"Data": record})

    def _spool(self, record: bytes) -> None:
        self._sqs.send_message(QueueUrl=self._spool_url, MessageBody=record.decode("ascii"))

    def _lost(self, served: Served, **errors: str) -> None:
        emf.note("record_lost", request_id=served.request_id, **errors)
        self._count(served, {"LogFailed": 1})

    def _count(self, served: Served, metrics: dict[str, float]) -> None:
        emf.publish(served.at_ms, [(metrics, [{"LogName": self._log_name}])])


def _error_of(call: Callable[[], None]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def _status(error: Exception) -> int:
    """HTTP status that AWS answered with; 0 when it gave no answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return 0
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 400
