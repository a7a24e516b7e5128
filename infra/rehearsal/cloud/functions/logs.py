"""The log of an execution environment: its lines, read from a pipe, and their way to CloudWatch Logs.

Lines go there under the function's role, in batches, beside the reply's path. What the role may not write is lost, as
on AWS, and counted.

A function's process sees real time, also when a drill has advanced the cloud's clock: what its code stamps itself (a
record's `at`) is real time. Its lines and its embedded metrics are put on the cloud's clock here.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import Principal

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

MOST_EVENTS = 10_000
MOST_BATCH_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
LONGEST_LINE_BYTES = 256 * 1024 - EVENT_OVERHEAD_BYTES
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html (an event may meanwhile
be larger; a line is cut at the older limit)."""
TAIL_BYTES = 4096
_STAMP = re.compile(r'"Timestamp"\s*:\s*(\d+)')

log = logging.getLogger(__name__)


class EnvironmentLog:
    """Lines in the order in which they were written. `pipe` is the read end of the process's stdout and stderr."""

    def __init__(self, cloud: Cloud, principal: Principal, region: str, group: str, stream: str, pipe: int):
        self.group = group
        self.stream = stream
        self.region = region
        self.pipe = pipe
        self.lost = 0
        """Lines that never reached CloudWatch Logs."""
        self._cloud = cloud
        self._principal = principal
        self._lock = threading.Lock()
        self._shipping = threading.Lock()
        self._partial = b""
        self._pending: deque[tuple[int, str]] = deque()
        self._recent: deque[str] = deque(maxlen=512)
        self._written = 0
        self._ended = False
        self._made = False
        os.set_blocking(pipe, False)

    @property
    def position(self) -> int:
        """The number of lines so far."""
        return self._written

    def drain(self) -> bool:
        """Takes in what the process has written. False at the end of the pipe."""
        with self._lock:
            return self._drain()

    def end(self) -> None:
        """Takes in what is left, once; the pipe may be closed from now on."""
        with self._lock:
            self._drain()
            if not self._ended:  # a process that has left the group still holds the other end
                self._ended = True
                self._end_line()

    def _drain(self) -> bool:
        while not self._ended:
            try:
                data = os.read(self.pipe, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                self._ended = True
                self._end_line()
                return False
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._add(line)
            while len(self._partial) > LONGEST_LINE_BYTES:
                self._add(self._partial[:LONGEST_LINE_BYTES])
                self._partial = self._partial[LONGEST_LINE_BYTES:]
        return False

    def note(self, *lines: str) -> None:
        """Adds lines of Lambda itself, behind everything that the process has written so far."""
        with self._lock:
            self._drain()
            self._end_line()
            for line in lines:
                self._add(line.encode())

    def _end_line(self) -> None:
        if self._partial:
            self._add(self._partial)
            self._partial = b""

    def _add(self, line: bytes) -> None:
        at = int(self._cloud.clock.now().timestamp() * 1000)
        for start in range(0, max(len(line), 1), LONGEST_LINE_BYTES):
            text = self._on_the_clouds_clock(line[start : start + LONGEST_LINE_BYTES].decode("utf-8", "replace"))
            self._written += 1
            self._recent.append(text)
            if text.strip():  # an event needs text
                self._pending.append((at, text))

    def _on_the_clouds_clock(self, text: str) -> str:
        """A line with embedded metrics as it would be if the process saw the cloud's clock: its metrics are of that
        time, or alarms would not find them once a drill has advanced the clock."""
        mark = text.find('"_aws"')
        stamp = _STAMP.search(text, mark) if mark >= 0 else None
        if stamp is None:
            return text
        try:
            # The end of the millisecond: an advance within it came first.
            real = datetime.fromtimestamp(int(stamp[1]) / 1000, UTC) + timedelta(microseconds=999)
            shift = self._cloud.clock.from_real(real) - real
        except (ValueError, OverflowError):
            return text
        if not shift:
            return text
        return f"{text[: stamp.start(1)]}{int(stamp[1]) + round(shift.total_seconds() * 1000)}{text[stamp.end(1) :]}"

    def tail(self, since: int, until: int) -> bytes:
        """The last 4 KB of what was written after the first `since` lines, of the first `until`."""
        with self._lock:
            before = self._written - len(self._recent)
            lines = list(self._recent)[max(since - before, 0) : max(until - before, 0)]
        return "\n".join([*lines, ""]).encode()[-TAIL_BYTES:]

    def ship(self) -> None:
        """Hands over what waits. Returns when it has arrived or is lost."""
        with self._shipping:
            while batch := self._batch():
                try:
                    self._put(batch)
                except ClientError as refusal:
                    self.lost += len(batch)
                    log.debug("%s: %d log lines are lost: %s", self.group, len(batch), refusal)

    def take_lost(self) -> int:
        """The lines that were lost since this was asked last."""
        with self._shipping:
            lost, self.lost = self.lost, 0
        return lost

    def _batch(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        size = 0
        with self._lock:
            while self._pending and len(events) < MOST_EVENTS:
                at, text = self._pending[0]
                size += len(text.encode()) + EVENT_OVERHEAD_BYTES
                if events and size > MOST_BATCH_BYTES:
                    break
                self._pending.popleft()
                # The clock of a drill may be set back; a batch must be in order of time.
                events.append({"timestamp": max(at, events[-1]["timestamp"] if events else at), "message": text})
        return events

    def _put(self, events: list[dict[str, Any]]) -> None:
        logs: Any = self._cloud.session(self._principal).client("logs", region_name=self.region)
        if not self._made:
            make_stream(logs, self.group, self.stream)
            self._made = True
        logs.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=events)


def make_stream(logs: Any, group: str, stream: str) -> None:
    """The stream, and the group when nobody has declared it: the calls of AWSLambdaBasicExecutionRole. Another
    environment of the function may make the group at the same moment."""
    try:
        _unless_there(lambda: logs.create_log_stream(logGroupName=group, logStreamName=stream))
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        _unless_there(lambda: logs.create_log_group(logGroupName=group))
        _unless_there(lambda: logs.create_log_stream(logGroupName=group, logStreamName=stream))


def _unless_there(make: Callable[[], object]) -> None:
    try:
        make()
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise


class Shipper:
    """A thread that ships the logs that `logs()` names, a few times a second."""

    def __init__(self, logs: Callable[[], list[EnvironmentLog]], pause_seconds: float = 0.2):
        self._logs = logs
        self._pause = pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lambda-logs", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            for one in self._logs():
                if self._stop.is_set():
                    return
                try:
                    one.ship()
                except Exception:
                    log.exception("%s: log lines could not be shipped", one.group)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
