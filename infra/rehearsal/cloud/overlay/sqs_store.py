"""What the emulated SQS adds around moto's queues: one lock, the cloud's clock, a signal for waiting readers, gauges.

moto's queues are lists that each call rebuilds, so a send beside a delete could lose a message: calls on messages go
one at a time. Visibility, delays and retention follow the cloud's clock, so that drills can advance them.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock
from weakref import WeakKeyDictionary

from moto.sqs import models
from moto.sqs.models import sqs_backends

from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

NAMESPACE = "AWS/SQS"
TICK_SECONDS = 0.25
MOST_MINUTES = 180
"""Of a leap of the clock that gauges are filled in for."""


class Queues:
    """One for each cloud. `changed` guards every change of messages; sends notify it."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self.changed = threading.Condition(threading.RLock())
        self._patches = ExitStack()
        self._patches.enter_context(mock.patch.object(models, "unix_time", self._seconds))
        self._patches.enter_context(mock.patch.object(models, "unix_time_millis", self._millis))
        # Topics and rules put messages into moto's queues without passing the door.
        added = models.Queue.add_message
        self._been_in: WeakKeyDictionary[models.Message, list[str]] = WeakKeyDictionary()

        def add_message(queue: models.Queue, message: models.Message) -> None:
            with self.changed:
                added(queue, message)
                self._been_in.setdefault(message, []).append(queue.queue_arn)
                self.changed.notify_all()

        self._patches.enter_context(mock.patch.object(models.Queue, "add_message", add_message))
        self._stop = threading.Event()
        self._minute = self._this_minute()
        cloud.clock.add_timer(self)
        self._thread = threading.Thread(target=self._tick, name="sqs-gauges", daemon=True)
        self._thread.start()

    def _seconds(self, when: datetime | None = None) -> float:
        return (when or self._cloud.clock.now()).timestamp()

    def _millis(self, when: datetime | None = None) -> float:
        return self._seconds(when) * 1000

    def wait(self, seconds: float) -> None:
        """Waits for a send, or a moment in which the clock may have moved. The lock is held."""
        self.changed.wait(min(max(seconds, 0.0), TICK_SECONDS / 5))

    def queue(self, region: str, name: str) -> Any | None:
        """moto's queue."""
        return sqs_backends[self._cloud.account_id][region].queues.get(name)

    def all(self, region: str) -> list[Any]:
        """moto's queues of a region."""
        return list(sqs_backends[self._cloud.account_id][region].queues.values())

    def came_from(self, region: str, name: str, message_id: str) -> str | None:
        """ARN of the queue whose redrive policy has moved this message into the queue; None for one sent to it."""
        with self.changed:
            queue = self.queue(region, name)
            message = next((one for one in queue._messages if one.id == message_id), None) if queue else None
            been_in = self._been_in.get(message, []) if message is not None else []
        return been_in[-2] if len(been_in) > 1 else None

    def count(self, region: str, name: str, metric: str, value: float, *, unit: str = "Count", times: int = 1) -> None:
        """Publishes one of the queue's own metrics."""
        self._cloud.metrics.put(
            NAMESPACE, metric, value, region=region, dimensions={"QueueName": name}, unit=unit, count=times
        )

    def gauge(self, region: str, name: str, at: datetime | None = None) -> None:
        """Publishes how full the queue is (SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS").

        SQS does so every minute; here also after each change, so that a minute's values are never older than it.
        """
        queue = self.queue(region, name)
        if queue is None:
            return
        moment = at or self._cloud.clock.now()
        messages = list(queue._messages)
        millis = moment.timestamp() * 1000
        delayed = sum(1 for one in messages if one.delayed_until > millis)
        hidden = sum(1 for one in messages if one.visible_at > millis)
        oldest = min((one.sent_timestamp for one in messages), default=millis)
        for metric, value, unit in (
            ("ApproximateNumberOfMessagesVisible", len(messages) - delayed - hidden, "Count"),
            ("ApproximateNumberOfMessagesNotVisible", hidden, "Count"),
            ("ApproximateNumberOfMessagesDelayed", delayed, "Count"),
            ("ApproximateAgeOfOldestMessage", max(0.0, (millis - oldest) / 1000), "Seconds"),
        ):
            self._cloud.metrics.put(
                NAMESPACE, metric, value, region=region, dimensions={"QueueName": name}, unit=unit, at=moment
            )

    def catch_up(self) -> None:
        """Publishes the gauges of every minute that has begun since the last time."""
        with self.changed:
            now = self._this_minute()
            first = max(self._minute + timedelta(minutes=1), now - timedelta(minutes=MOST_MINUTES))
            self._minute = now
            minutes = int((now - first).total_seconds() // 60) + 1
            for number in range(minutes):
                for region, backend in list(sqs_backends[self._cloud.account_id].items()):
                    for name in list(backend.queues):
                        self.gauge(region, name, first + timedelta(minutes=number))

    def next_due(self) -> datetime | None:
        """The next minute, when there are queues: a leap of the clock publishes each minute on the way."""
        backends = list(sqs_backends[self._cloud.account_id].values())
        return self._minute + timedelta(minutes=1) if any(backend.queues for backend in backends) else None

    def run_due(self, now: datetime) -> None:
        del now
        if self._this_minute() != self._minute:
            self.catch_up()

    def close(self) -> None:
        self._cloud.clock.remove_timer(self)
        self._stop.set()
        self._thread.join()
        self._patches.close()

    def _this_minute(self) -> datetime:
        return self._cloud.clock.now().astimezone(UTC).replace(second=0, microsecond=0)

    def _tick(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            self.run_due(self._cloud.clock.now())


def queues_of(cloud: Cloud) -> Queues:
    """The queues of this cloud. The first call puts moto's SQS on the cloud's clock."""
    return state_of(cloud, Queues)
