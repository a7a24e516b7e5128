"""A new fleet beside the old one, from its first request to the end of the old: SageMaker's deployment guardrails.

Traffic moves in the steps of the plan, each step bakes in the cloud's time, and an alarm that rings meanwhile takes the
release back: all traffic returns to the old fleet at once, the endpoint is RollingBack for a while and then InService
as before, with the reason beside it. Alarms are looked at under the execution role: before every shift, once a minute,
and when one of them changes its state (how often SageMaker looks is unconfirmed). An alarm counts whatever rang it, the
old fleet too, and in the last wait as well (developer guide, deployment-guardrails-configuration: "if your old fleet
trips an alarm during the deployment, SageMaker AI ends your deployment").
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.alarm_rules import ALARM
from infra.rehearsal.cloud.overlay.cloudwatch_alarms import alarms_of
from infra.rehearsal.cloud.overlay.deployment_plan import Plan, Step
from infra.rehearsal.cloud.overlay.endpoint_events import tell_deployment, tell_end, tell_state
from infra.rehearsal.cloud.overlay.endpoint_fleet import LONGEST_REASON
from infra.rehearsal.cloud.overlay.endpoint_pending import pending_summary
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Fleet

if TYPE_CHECKING:
    from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker

LOOK_SECONDS = 60
"""Between two looks at the alarms."""
ROLLBACK_SECONDS = 60
"""How long an endpoint is RollingBack. AWS needs minutes, to end the new fleet; no number is documented."""

log = logging.getLogger(__name__)


class Watches:
    """What waits in the cloud's time: the deployments of one cloud, as a timer of its clock."""

    def __init__(self, sagemaker: SageMaker):
        self._sagemaker = sagemaker
        self._lock = threading.Lock()
        self._waiting: list[Waits] = []
        self._added = self._closed = False

    def add(self, waiting: Waits) -> None:
        with self._lock:
            if self._closed:
                return
            self._waiting.append(waiting)
            first, self._added = not self._added, True
        if first:
            self._sagemaker.cloud.clock.add_timer(self)
            alarms_of(self._sagemaker.cloud).watchers.append(self.alarm_changed)

    def let_time_pass(self, waiting: Waits) -> None:
        """From here on the cloud's minutes pass at its pace, until nothing waits any more."""
        with self._lock:
            if waiting in self._waiting:
                self._sagemaker.cloud.pace.begin(waiting)

    def remove(self, waiting: Waits) -> None:
        with self._lock:
            self._waiting = [each for each in self._waiting if each is not waiting]
        self._sagemaker.cloud.pace.end(waiting)

    def every(self) -> list[Waits]:
        with self._lock:
            return list(self._waiting)

    def next_due(self) -> datetime | None:
        return min((each.due for each in self.every()), default=None)

    def run_due(self, now: datetime) -> None:
        for waiting in self.every():
            if waiting.due <= now:
                waiting.go_on(now)

    def alarm_changed(self, region: str, name: str, state: str) -> None:
        """An alarm has come to another state: whoever watches it looks now."""
        for waiting in self.every():
            waiting.alarm_changed(region, name, state)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._sagemaker.cloud.clock.remove_timer(self)
        for waiting in self.every():
            self.remove(waiting)


class Waits(ABC):
    """One thing that waits. `due` is when it has something to do next."""

    due: datetime

    @abstractmethod
    def go_on(self, now: datetime) -> None:
        """Does what is due; `due` lies after `now` then, or it waits no more."""

    def alarm_changed(self, region: str, alarm: str, state: str) -> None:
        """An alarm has come to another state."""
        del region, alarm, state


class CapacityWait(Waits):
    """A fleet whose instances AWS does not have: after a while it fails, or starts when they are there again."""

    def __init__(self, sagemaker: SageMaker, due: datetime, then: Callable[[], None]):
        """then: what is to be done when the time has come; called once."""
        self.due, self._watches, self._then = due, sagemaker.watches, then
        self._gone = threading.Lock()
        self._watches.add(self)
        self._watches.let_time_pass(self)

    def go_on(self, now: datetime) -> None:
        if now >= self.due and self._gone.acquire(blocking=False):
            self._watches.remove(self)
            self._then()


class Deployment(Waits):
    """A new fleet that is up, beside an old one that serves."""

    def __init__(
        self,
        sagemaker: SageMaker,
        endpoint: Endpoint,
        fleet: Fleet,
        plan: Plan,
        *,
        started: datetime,
        session: boto3.Session,
        retire: Callable[[Fleet], None],
    ):
        """started: when the call came. session: of the execution role. retire: ends a fleet that serves no more, in a
        thread of its own."""
        self.sagemaker, self.endpoint, self.fleet, self.plan = sagemaker, endpoint, fleet, plan
        self._clock, self._started, self._session, self._retire = sagemaker.cloud.clock, started, session, retire
        self._lock = threading.RLock()
        self._step = -1
        self._until = self._look = self._clock.now()
        self._rolling_back = self._over = False
        self._rang: set[str] = set()
        """Alarms that rang since: one may be OK again before this deployment comes to look at it."""
        self.due = self._until

    def begin(self) -> None:
        """Shifts the first traffic, unless an alarm rings already."""
        with self._lock:
            with self.endpoint.lock:
                # What a failed rollback has left goes now; the old fleet takes its share.
                left, self.endpoint.green = self.endpoint.green, self.fleet
                self.endpoint.green_share, self.endpoint.routed = 0.0, 0
            if left is not None:
                self._retire(left)
            self.sagemaker.watches.add(self)
            self.go_on(self._clock.now())
            # One that waits for nothing is over by now, and has moved no clock.
            self.sagemaker.watches.let_time_pass(self)

    def alarm_changed(self, region: str, alarm: str, state: str) -> None:
        if region == self.endpoint.region and alarm in self.plan.alarms:
            if state == ALARM:
                self._rang.add(alarm)
            self.go_on(self._clock.now())

    def go_on(self, now: datetime) -> None:
        with self._lock:
            if self._over:
                return
            if self.endpoint.ended:
                self._leave()
            elif self._rolling_back:
                if now >= self._until:
                    self._end_rolled_back()
            else:
                self._bake(now)

    def _bake(self, now: datetime) -> None:
        while not self._over:
            reason = self._reason_to_roll_back(now)
            if reason:
                self._roll_back(reason, now)
                return
            if now < self._until:
                self._look = now + timedelta(seconds=LOOK_SECONDS)
                self._set_due()
                return
            self._step += 1
            if self._step == len(self.plan.steps):
                self._end_deployed()
            else:
                self._shift(self.plan.steps[self._step], now)

    def _set_due(self) -> None:
        dues = [self._until]
        if self.plan.alarms and not self._rolling_back:
            dues.append(self._look)
        if self._deadline is not None and not self._rolling_back:
            dues.append(self._deadline)
        self.due = min(dues)

    @property
    def _deadline(self) -> datetime | None:
        seconds = self.plan.maximum_seconds
        return None if seconds is None else self._started + timedelta(seconds=seconds)

    def _shift(self, step: Step, now: datetime) -> None:
        self._until = now + timedelta(seconds=step.wait_seconds)
        with self.endpoint.lock:
            self.endpoint.green_share = step.share
            self.endpoint.modified = now
        self._show(now, "ActivatingTraffic", step)
        if step.wait_seconds:
            self._show(now, "Baking", step)

    def _show(self, now: datetime, stage: str, step: Step | None) -> None:
        with self.endpoint.lock:
            self.endpoint.pending = pending_summary(self.fleet.config, self._started, now, stage, step, self.fleet)
            tell_deployment(self.sagemaker, self.endpoint)

    def _reason_to_roll_back(self, now: datetime) -> str:
        """Why this deployment ends here; empty when it goes on. The wording of all is unconfirmed."""
        if self._deadline is not None and now >= self._deadline:
            return f"The deployment exceeded the maximum execution timeout of {self.plan.maximum_seconds} seconds."
        if not self.plan.alarms:
            return ""
        client: Any = self._session.client("cloudwatch", region_name=self.endpoint.region)
        try:
            found = client.describe_alarms(AlarmNames=list(self.plan.alarms))["MetricAlarms"]
        except ClientError as refusal:
            return f"The auto-rollback alarms could not be read under the execution role: {refusal}"
        ringing = sorted({alarm["AlarmName"] for alarm in found if alarm["StateValue"] == ALARM} | self._rang)
        if ringing:
            return f"The deployment was rolled back: auto-rollback alarm(s) in ALARM state: {', '.join(ringing)}."
        return ""

    def _roll_back(self, reason: str, now: datetime) -> None:
        """All traffic goes back at once. In a rolling deployment the old fleet's instances have ended batch by batch,
        and new ones must be had for the way back."""
        old = self.endpoint.fleet
        if self.plan.rolling and self._step >= 0 and old is not None and self._sold_out(old):
            self._end_stuck(reason)
            return
        self._rolling_back = True
        self._until = now + timedelta(seconds=ROLLBACK_SECONDS)
        with self.endpoint.lock:
            self.endpoint.green_share = 0.0
            self.endpoint.status, self.endpoint.modified = "RollingBack", now
            self.endpoint.failure_reason = reason[:LONGEST_REASON]
            tell_state(self.sagemaker, self.endpoint)
        self._set_due()
        self._show(now, "Deleting", None)

    def _sold_out(self, fleet: Fleet) -> bool:
        types = [variant.config.get("InstanceType") or "" for variant in fleet.variants()]
        return self.sagemaker.cloud.capacity.patience_seconds(types) is not None

    def _end_rolled_back(self) -> None:
        self._end(lambda: setattr(self.endpoint, "status", "InService"), self.fleet)

    def _end_deployed(self) -> None:
        old = self.endpoint.fleet

        def switch() -> None:
            self.endpoint.fleet = self.fleet
            self.endpoint.config_name, self.endpoint.status = self.fleet.config_name, "InService"

        self._end(switch, old)

    def _end_stuck(self, reason: str) -> None:
        """UpdateRollbackFailed: "your endpoint is in service with a mix of the old and new endpoint configurations"
        (API reference, DescribeEndpoint). Both fleets serve on, each with its share."""
        self._leave()
        with self.endpoint.lock:
            self.endpoint.status, self.endpoint.pending = "UpdateRollbackFailed", None
            self.endpoint.failure_reason = f"{reason} The rollback failed: {SOLD_OUT}"[:LONGEST_REASON]
            self.endpoint.modified = self._clock.now()
            tell_end(self.sagemaker, self.endpoint)

    def _end(self, switch: Callable[[], None], retired: Fleet | None) -> None:
        self._leave()
        with self.endpoint.lock:
            if self.endpoint.ended:
                return
            switch()
            self.endpoint.green, self.endpoint.green_share = None, 0.0
            self.endpoint.pending, self.endpoint.modified = None, self._clock.now()
            if retired is not None:
                self._retire(retired)
            tell_end(self.sagemaker, self.endpoint)

    def _leave(self) -> None:
        self._over = True
        self.sagemaker.watches.remove(self)


SOLD_OUT = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)
"""The first sentence is AWS's (aws/deep-learning-containers pull request 6673); the second is that of training jobs."""
