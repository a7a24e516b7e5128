"""The default event bus: takes events, finds the rules that they match, and sees to their delivery.

Retries: User Guide, "How EventBridge retries delivering events" (eb-rule-retry-policy.html): at most 24 hours and 185
retries unless the target's retry policy says less, with an exponential back-off whose steps AWS does not tell
(unconfirmed: a second, doubled each time, at most ten minutes, without jitter). Waiting goes by the cloud's clock.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.due_queue import DueQueue
from infra.rehearsal.cloud.events.delivery import Delivery, bury, deliver
from infra.rehearsal.cloud.events.inputs import sent
from infra.rehearsal.cloud.events.rules import Rule, rules_of
from infra.rehearsal.cloud.functions.asynchronous import events_of
from infra.rehearsal.cloud.overlay.answers import stable_uuid
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

NAMESPACE = "AWS/Events"
MOST_RETRIES = 185
OLDEST_SECONDS = 86_400
_LONGEST_PAUSE_SECONDS = 600
CLOSE_SECONDS = 10.0
"""How long the end of the bus waits for deliveries under way."""

log = logging.getLogger(__name__)


class EventBus:
    """The default bus of one cloud, in every region. Thread-safe."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._numbers = itertools.count(1)
        self._queue = DueQueue[Delivery](cloud.clock, "event-bus", self._try)

    def put(
        self,
        *,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str] = (),
        region: str = "",
        time: datetime | None = None,
    ) -> str:
        """Takes an event of a service of the cloud, or of PutEvents, and returns its id.

        The event is matched now, by the rules that stand now; deliveries go on in threads of the bus.
        region: the cloud's when omitted. time: when it happened, by the cloud's clock; now when omitted.
        """
        cloud = self._cloud
        now = cloud.clock.now()
        region = region or cloud.region
        event = {
            "version": "0",
            "id": stable_uuid("event", cloud.seed, next(self._numbers)),
            "detail-type": detail_type,
            "source": source,
            "account": cloud.account_id,
            "time": _stamp(time or now),
            "region": region,
            "resources": list(resources),
            "detail": json.loads(json.dumps(detail)),
        }
        for rule, targets in rules_of(cloud).matching(region, event):
            self._count(rule, region, "MatchedEvents", "TriggeredRules")
            for target in targets:
                text = sent(target, event, rule_arn=rule.arn, now=_stamp(now))
                self._queue.push(Delivery(region, rule.arn, target, text, json.dumps(event), now), now)
        return str(event["id"])

    def wait_until_delivered(self, timeout_seconds: float = 10.0) -> None:
        """Returns when every delivery that is due has ended, and every asynchronous run of a function too.

        What is tried again later, by the cloud's clock, is not waited for. timeout_seconds: of real time; TimeoutError
        after that.
        """
        deadline = time.monotonic() + timeout_seconds
        runs = events_of(self._cloud)
        while not (self._queue.is_idle() and runs.is_idle()):
            left = max(0.0, deadline - time.monotonic())
            if not self._queue.wait_until_idle(left) or not runs.wait_until_idle(left):
                raise TimeoutError(
                    f"events or the functions that they run are still under way after {timeout_seconds:g} s"
                )

    def close(self) -> None:
        """A delivery that is under way ends first, or it would reach what comes into the emptied cloud next."""
        self._queue.close(wait_seconds=CLOSE_SECONDS)

    def _try(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        began, started = self._cloud.clock.now(), time.monotonic()
        refusal = deliver(self._cloud, delivery)
        rule_name = delivery.rule_arn.rpartition("/")[2]
        if refusal is None:
            self._count_named(rule_name, delivery.region, "Invocations")
            return
        policy = delivery.target.get("RetryPolicy") or {}
        pause = min(2 ** (delivery.attempts - 1), _LONGEST_PAUSE_SECONDS)
        due = began + timedelta(seconds=time.monotonic() - started + pause)
        condition = ""
        if refusal.retriable:
            if delivery.attempts > policy.get("MaximumRetryAttempts", MOST_RETRIES):
                condition = "MaximumRetryAttempts"
            elif (due - delivery.at).total_seconds() > policy.get("MaximumEventAgeInSeconds", OLDEST_SECONDS):
                condition = "MaximumEventAgeInSeconds"
            else:
                self._queue.push(delivery, due)
                return
        log.warning("%s: the event did not reach %s: %s", rule_name, delivery.target["Arn"], refusal.message)
        self._count_named(rule_name, delivery.region, "Invocations", "FailedInvocations")
        if (delivery.target.get("DeadLetterConfig") or {}).get("Arn"):
            lost = bury(self._cloud, delivery, refusal, condition)
            told = "InvocationsSentToDlq" if lost is None else "InvocationsFailedToBeSentToDlq"
            self._count_named(rule_name, delivery.region, told)
            if lost is not None:
                log.warning("%s: the dead letter was refused: %s", rule_name, lost.message)

    def _count(self, rule: Rule, region: str, *names: str) -> None:
        self._count_named(rule.name, region, *names)

    def _count_named(self, rule_name: str, region: str, *names: str) -> None:
        """User Guide, "Monitoring Amazon EventBridge" (eb-monitoring.html): counted by rule."""
        for name in names:
            self._cloud.metrics.put(NAMESPACE, name, 1, region=region, dimensions={"RuleName": rule_name}, unit="Count")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bus_of(cloud: Cloud) -> EventBus:
    """The event bus of this cloud."""
    return state_of(cloud, EventBus)
