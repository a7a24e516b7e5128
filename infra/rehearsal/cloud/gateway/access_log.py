"""The access log of a stage: one line a request, written to CloudWatch Logs off the reply's path.

Sources: API Gateway developer guide, "Configure logging for HTTP APIs"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html) and its list of variables
(.../http-api-logging-variables.html). API Gateway writes by CloudWatch's log delivery, whose right to the group comes
from a resource policy that it sets with the rights of whoever configures the stage (iam/service_actions.py asks for
them), so nothing else of the account is asked here. The name of the log stream and "-" for a variable without a value
are unconfirmed.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.gateway.answer import Answer
from infra.rehearsal.cloud.gateway.request import Request

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_:-]+)*)")
_MOST_EVENTS = 1_000
_GATHER_SECONDS = 0.05
"""Lines are written together that come this close."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """AccessLogSettings of a stage, taken apart."""

    group: str
    region: str
    parts: tuple[str, ...]
    """Literal and variable in turn; literals stand at even places."""

    @classmethod
    def of(cls, destination_arn: str, text: str) -> Settings:
        fields = destination_arn.split(":")
        return cls(":".join(fields[6:]).removesuffix(":*"), fields[3], tuple(_VARIABLE.split(text)))

    def line(self, values: Mapping[str, Any]) -> str:
        """The line of one request. What a client sent is escaped as in JSON, so that a line stays one."""
        return "".join(part if index % 2 == 0 else _shown(values.get(part)) for index, part in enumerate(self.parts))


def values_of(
    request: Request, answer: Answer, *, account_id: str, api_id: str, latency_ms: float, integration_ms: float | None
) -> dict[str, Any]:
    """The $context variables of a request that was answered, by their names without "$context."."""
    integration = None if integration_ms is None else round(integration_ms)
    values: dict[str, Any] = {
        "accountId": account_id,
        "apiId": api_id,
        "dataProcessed": len(request.body) + len(answer.body),
        "domainName": request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host"),
        "domainPrefix": api_id,
        "extendedRequestId": request.request_id,
        "httpMethod": request.method,
        "identity.sourceIp": request.source_ip,
        "identity.userAgent": request.headers.get("user-agent"),
        "integration.latency": integration,
        "integrationLatency": integration,
        "path": request.path,
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": request.received.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(request.received.timestamp()),
        "responseLatency": round(latency_ms),
        "responseLength": len(answer.body),
        "routeKey": request.route_key,
        "stage": request.stage,
        "status": answer.status,
        **request.notes,
    }
    if answer.error:
        values["error.message"] = answer.error
        values["error.messageString"] = json.dumps(answer.error)
    caller = request.authorizer.get("iam")
    if caller:
        values["identity.accountId"] = caller["accountId"]
        values["identity.caller"] = values["authorizer.principalId"] = caller["callerId"]
        values["identity.user"] = caller["userId"]
        values["identity.userArn"] = caller["userArn"]
    for name, value in (request.authorizer.get("jwt") or {}).get("claims", {}).items():
        values[f"authorizer.claims.{name}"] = value
    return values


@dataclass(frozen=True)
class _Line:
    settings: Settings
    stream: str
    millis: int
    values: Callable[[], Mapping[str, Any]]


class AccessLog:
    """The writer of one API: a thread that starts with the first line."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._lines: queue.SimpleQueue[_Line | threading.Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._streams: set[tuple[str, str]] = set()

    def add(self, settings: Settings, stream: str, millis: int, values: Callable[[], Mapping[str, Any]]) -> None:
        """Queues a line. values: called off the reply's path. millis: since the epoch, by the cloud's clock."""
        self._lines.put(_Line(settings, stream, millis, values))
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                    self._thread.start()

    def flush(self) -> None:
        """Returns when everything queued so far was written."""
        if self._thread is not None:
            done = threading.Event()
            self._lines.put(done)
            done.wait()

    def close(self) -> None:
        """Writes what is queued, and ends."""
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join()

    def _run(self) -> None:
        while True:
            item = self._lines.get()
            if isinstance(item, _Line):
                time.sleep(_GATHER_SECONDS)
            batch: list[_Line] = []
            while isinstance(item, _Line):
                batch.append(item)
                if len(batch) == _MOST_EVENTS or self._lines.empty():
                    break
                item = self._lines.get()
            self._write(batch)
            if isinstance(item, threading.Event):
                item.set()
            elif item is None:
                return

    def _write(self, batch: list[_Line]) -> None:
        by_stream: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for line in batch:
            event = {"timestamp": line.millis, "message": line.settings.line(line.values()) or " "}
            key = (line.settings.region, line.settings.group, line.stream)
            by_stream.setdefault(key, []).append(event)
        for (region, group, stream), events in by_stream.items():
            # In order of time, as PutLogEvents wants them (API reference).
            events.sort(key=lambda event: event["timestamp"])
            try:
                self._put(self._cloud.client("logs", region), group, stream, events)
            except ClientError as refusal:
                log.warning("access log %s: %d lines are lost: %s", group, len(events), refusal)
            except Exception:
                # The writer must live on: the next lines may go through.
                log.exception("access log %s: %d lines are lost", group, len(events))

    def _put(self, logs: Any, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        if (group, stream) not in self._streams:
            with suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams.add((group, stream))
        try:
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except logs.exceptions.ResourceNotFoundException:
            # The group was made anew: its streams are gone.
            self._streams.discard((group, stream))
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return json.dumps(str(value), ensure_ascii=False)[1:-1]
