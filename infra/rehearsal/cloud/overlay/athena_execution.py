"""One execution of a query: its states, its numbers, its end."""

from __future__ import annotations

import copy
import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.overlay.athena_store import ENGINE
from infra.rehearsal.cloud.queries.failures import SYSTEM, USER, QueryCancelled, QueryFailure
from infra.rehearsal.cloud.queries.run import Run
from infra.rehearsal.cloud.queries.statement import Show

if TYPE_CHECKING:
    from infra.rehearsal.cloud.api import Principal
    from infra.rehearsal.cloud.cloud import Cloud

log = logging.getLogger(__name__)

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
ENDED = (SUCCEEDED, FAILED, CANCELLED)


@dataclass
class Execution:
    """An execution. `lock` guards the state; the state only goes forward."""

    cloud: Cloud
    region: str
    principal: Principal
    id: str
    query: str
    workgroup: str
    run: Run
    submitted: datetime
    result_configuration: dict[str, Any]
    context: dict[str, Any]
    publishes: bool
    parameters: list[str] = field(default_factory=list)
    state: str = QUEUED
    reason: str = ""
    category: int = 0
    completed: datetime | None = None
    queue_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    ended: threading.Event = field(default_factory=threading.Event, repr=False)
    _made: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def is_query(self) -> bool:
        return not isinstance(self.run.statement, Show)

    def go(self) -> None:
        """Runs in a thread of the pool. Never raises."""
        with self.lock:
            if self.state != QUEUED:
                return
            self.state = RUNNING
            self.queue_seconds = time.perf_counter() - self._made
        try:
            self.run.go(self.cloud.session(self.principal), self.region)
        except QueryCancelled as cancelled:
            self._end(CANCELLED, cancelled.reason)
        except QueryFailure as failure:
            self._end(FAILED, failure.message, failure.category)
        except Exception as error:
            log.exception("query %s failed inside the emulated Athena", self.id)
            self._end(FAILED, f"GENERIC_INTERNAL_ERROR: {error!r}", SYSTEM)
        else:
            self._end(SUCCEEDED)

    def stop(self) -> None:
        """Cancels a query that has not ended; one that has is left as it is. It ends soon, not at once."""
        self.run.stopped.set()
        with self.lock:
            waiting, over = self.state == QUEUED, self.state in ENDED
        if waiting:
            self._end(CANCELLED)
        elif not over:
            threading.Thread(target=self._interrupt, name=f"stop-{self.id}", daemon=True).start()

    def _interrupt(self) -> None:
        """An interrupt that comes between two steps of the engine is lost, so it is repeated until the end."""
        while not self.ended.wait(0.02):
            interrupt = self.run.interrupt
            if interrupt is not None:
                interrupt()

    def _end(self, state: str, reason: str = "", category: int = 0) -> None:
        with self.lock:
            if self.state in ENDED:
                return
            self.state, self.category = state, category
            self.reason = reason or ("Query cancelled by user" if state == CANCELLED else "")
            self.completed = self.cloud.clock.now()
        if self.publishes:
            self._publish()
        self.ended.set()

    def statistics(self) -> dict[str, Any]:
        """The numbers of GetQueryExecution, milliseconds and bytes."""
        run = self.run
        planning, engine = _ms(run.planning_seconds), _ms(run.planning_seconds + run.engine_seconds)
        queue, service = _ms(self.queue_seconds), _ms(run.writing_seconds)
        found = {
            "EngineExecutionTimeInMillis": engine,
            "DataScannedInBytes": run.scanned,
            "TotalExecutionTimeInMillis": queue + engine + service,
            "QueryQueueTimeInMillis": queue,
            "ServicePreProcessingTimeInMillis": 0,
            "QueryPlanningTimeInMillis": planning,
            "ServiceProcessingTimeInMillis": service,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }
        return found

    def described(self) -> dict[str, Any]:
        """A QueryExecution of the API."""
        with self.lock:
            status: dict[str, Any] = {"State": self.state, "SubmissionDateTime": self.submitted}
            if self.completed is not None:
                status["CompletionDateTime"] = self.completed
            if self.reason:
                status["StateChangeReason"] = self.reason
            if self.state == FAILED:
                status["AthenaError"] = {
                    "ErrorCategory": self.category or USER,
                    "ErrorType": 0,
                    "Retryable": False,
                    "ErrorMessage": self.reason,
                }
            statistics = self.statistics()
        return {
            "QueryExecutionId": self.id,
            "Query": self.query,
            "StatementType": "DML" if self.is_query else "UTILITY",
            "ResultConfiguration": copy.deepcopy(self.result_configuration),
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": dict(self.context),
            "Status": status,
            "Statistics": statistics,
            "WorkGroup": self.workgroup,
            "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE},
            **({"SubstatementType": "SELECT"} if self.is_query else {}),
            **({"ExecutionParameters": list(self.parameters)} if self.parameters else {}),
        }

    def _publish(self) -> None:
        """Metrics of an ended query (Athena User Guide, "Monitor Athena query metrics with CloudWatch"): dimensions
        WorkGroup, QueryState and QueryType together."""
        numbers = self.statistics()
        dimensions = {
            "WorkGroup": self.workgroup,
            "QueryState": "CANCELED" if self.state == CANCELLED else self.state,
            "QueryType": "DML" if self.is_query else "UTILITY",
        }
        for name, member, unit in (
            ("TotalExecutionTime", "TotalExecutionTimeInMillis", "Milliseconds"),
            ("EngineExecutionTime", "EngineExecutionTimeInMillis", "Milliseconds"),
            ("QueryPlanningTime", "QueryPlanningTimeInMillis", "Milliseconds"),
            ("QueryQueueTime", "QueryQueueTimeInMillis", "Milliseconds"),
            ("ServiceProcessingTime", "ServiceProcessingTimeInMillis", "Milliseconds"),
            ("ServicePreProcessingTime", "ServicePreProcessingTimeInMillis", "Milliseconds"),
            ("ProcessedBytes", "DataScannedInBytes", "Bytes"),
        ):
            self.cloud.metrics.put(
                "AWS/Athena", name, numbers[member], region=self.region, dimensions=dimensions, unit=unit
            )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
