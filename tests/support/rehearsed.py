"""A rehearsal in the test's own process: faults can be planted, processes killed, the clock advanced."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from infra.front_door import FrontDoor, Reply
from infra.predictions import athena
from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.overlay.firehose_delivery import flush
from infra.rehearsal.rehearse import Rehearsal

MODEL = "iris"
LOG = "dev-iris"
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
GOOD = json.dumps({"instances": [ROW]}).encode()
WAIT_SECONDS = 30


@dataclass
class Rehearsed:
    """dev, up and served in this process, with a client of its front door."""

    rehearsal: Rehearsal
    door: FrontDoor
    ids: list[str] = field(default_factory=list)
    """Every request id that a reply has carried."""

    @property
    def cloud(self) -> Cloud:
        return self.rehearsal.cloud

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def ask(self, body: bytes = GOOD, **options: Any) -> Reply:
        """One request; its id is remembered."""
        reply = self.door.post(self.door.path_of(MODEL), body, **options)
        if reply.request_id:
            self.ids.append(reply.request_id)
        return reply

    def served(self, count: int = 1) -> list[str]:
        """Makes `count` predictions and returns their request ids."""
        replies = [self.ask() for _ in range(count)]
        assert [(reply.status, reply.body[:200]) for reply in replies if reply.status != 200] == []
        return [reply.request_id for reply in replies]

    def sql(self, text: str) -> list[dict[str, Any]]:
        return list(athena.run(self.rehearsal.target, MODEL, text).rows)

    def in_log(self) -> list[str]:
        """Request ids in the view, after everything that Firehose holds was delivered."""
        flush(self.cloud)
        return [row["request_id"] for row in self.sql("SELECT request_id FROM predictions")]

    def record(self, request_id: str) -> dict[str, Any]:
        """The one row of a request. Waits for it: the record is put when the reply has gone."""

        def row() -> dict[str, Any] | None:
            flush(self.cloud)
            found = self.sql(f"SELECT * FROM predictions WHERE request_id = '{request_id}'")
            assert len(found) < 2, found
            return found[0] if found else None

        return until(row, f"the record of {request_id}")

    def wait_for_log(self, ids: Iterable[str]) -> list[str]:
        """Waits until every id is in the view; returns all ids of the view."""
        wanted = set(ids)

        def complete() -> list[str] | None:
            found = self.in_log()
            return found if wanted <= set(found) else None

        return until(complete, f"{len(wanted)} ids in the log")

    def metric(self, namespace: str, name: str, **dimensions: str) -> float:
        """Sum of a metric over the last two hours and the coming minutes."""
        now = self.cloud.clock.now()
        points = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now.timestamp() - 7200,
            EndTime=now.timestamp() + 600,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    def log_metric(self, name: str) -> float:
        """A metric of the front door or of the log's functions, with all that they have printed so far."""
        functions.flush(self.cloud)
        return self.metric("Mainstage", name, LogName=LOG)


def until(found: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Waits until `found` returns something other than None, and returns it."""
    end = time.monotonic() + seconds
    while (value := found()) is None:
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return value


def kill_9(pids: Iterable[int]) -> None:
    killed = list(pids)
    assert killed, "there is no process to kill"
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
