"""Hands a prediction record over: to Firehose, else to the spool queue. What neither took is counted as lost.

Runs off the reply's path, and never raises. Metrics carry the moment of the request, so that a minute's requests and a
minute's records can be held against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstage_runtime import emf
from mainstage_runtime.clients import LOG_ATTEMPTS, LOG_CONNECT_SECONDS, LOG_READ_SECONDS
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.redact import Pseudonyms

LONGEST_SECONDS = (1 + 2 * LOG_ATTEMPTS) * (LOG_CONNECT_SECONDS + LOG_READ_SECONDS) + 2
"""Longest that handing over takes: the key, Firehose and the queue, each with its attempts, and the pauses between
them. Lambda's time-out has to leave it that much after the deadline, or a record that Firehose is slow to take is lost
(and counted)."""


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
    ) -> None:
        self._writer, self._pseudonyms, self._log_name = writer, pseudonyms, log_name
        self._stream_name, self._spool_url = stream_name, spool_url
        self._firehose, self._sqs = firehose, sqs

    def __call__(self, served: Served) -> None:
        try:
            self._pseudonyms.prepare()
            if self._pseudonyms.failure:
                emf.note("no_pseudonyms", request_id=served.request_id, error=self._pseudonyms.failure)
            record = self._writer.write(served)
        except Exception as error:
            self._lost(served, record=type(error).__name__)
            return
        stream_error = _error_of(lambda: self._put(record))
        if not stream_error:
            self._count(served, {"HandedOver": 1})
            return
        queue_error = _error_of(lambda: self._spool(record))
        if not queue_error:
            emf.note("spooled", request_id=served.request_id, stream=stream_error)
            self._count(served, {"HandedOver": 1, "Spooled": 1})
            return
        self._lost(served, stream=stream_error, queue=queue_error)

    def lost(self, served: Served, reason: str) -> None:
        """Counts a record that never came to be handed over."""
        self._lost(served, reason=reason)

    def _put(self, record: bytes) -> None:
        self._firehose.put_record(DeliveryStreamName=self._stream_name, Record={"Data": record})

    def _spool(self, record: bytes) -> None:
        self._sqs.send_message(QueueUrl=self._spool_url, MessageBody=record.decode("ascii"))

    def _lost(self, served: Served, **errors: str) -> None:
        emf.note("record_lost", request_id=served.request_id, **errors)
        self._count(served, {"LogFailed": 1})

    def _count(self, served: Served, metrics: dict[str, float]) -> None:
        emf.publish(served.at_ms, [(metrics, [{"LogName": self._log_name}])])


def _error_of(call: Callable[[], None]) -> str:
    """Runs the call. Returns what it failed with, a name without any value; empty when it did not fail."""
    try:
        call()
    except Exception as error:
        return emf.error_name(error)
    return ""
