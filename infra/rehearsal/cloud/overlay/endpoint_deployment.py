"""A deployment of an endpoint: a fleet is brought up, in a thread of its own, and takes over.

The first fleet serves at once. A later one comes up beside the one that serves and takes over in the steps of its
deployment configuration (`endpoint_guardrails.py`). A fleet that does not come up leaves the old one serving.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.deployment_plan import Plan, plan_of
from infra.rehearsal.cloud.overlay.endpoint_events import tell_deployment, tell_end, tell_state
from infra.rehearsal.cloud.overlay.endpoint_fleet import (
    LONGEST_REASON,
    FleetFailed,
    Retained,
    bring_up,
    role_session,
    take_down,
)
from infra.rehearsal.cloud.overlay.endpoint_guardrails import SOLD_OUT, CapacityWait, Deployment
from infra.rehearsal.cloud.overlay.endpoint_pending import pending_summary
from infra.rehearsal.cloud.overlay.endpoint_records import END_WAIT_SECONDS, Endpoint, Fleet

if TYPE_CHECKING:
    import boto3

    from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker

log = logging.getLogger(__name__)


def deploy(
    sagemaker: SageMaker,
    endpoint: Endpoint,
    config: Mapping[str, Any],
    deployment_config: Mapping[str, Any] | None,
    retained: Mapping[str, Retained],
) -> None:
    """Starts the deployment and returns. The endpoint is Creating or Updating until it ends. Its lock is held."""
    now = sagemaker.cloud.clock.now()
    endpoint.last_deployment_config = deployment_config
    endpoint.failure_reason = ""
    endpoint.pending = pending_summary(config, now, now, "Creating", None, None)
    start = _Start(sagemaker, endpoint, config, plan_of(deployment_config, config["ProductionVariants"]), retained)
    endpoint.run(start.run)


class _Start:
    """A fleet on its way up, and what becomes of it."""

    def __init__(
        self,
        sagemaker: SageMaker,
        endpoint: Endpoint,
        config: Mapping[str, Any],
        plan: Plan,
        retained: Mapping[str, Retained],
    ):
        self.sagemaker, self.endpoint, self.config, self.plan = sagemaker, endpoint, config, plan
        self.retained = retained
        self.started = sagemaker.cloud.clock.now()

    def run(self) -> None:
        tell_state(self.sagemaker, self.endpoint)
        tell_deployment(self.sagemaker, self.endpoint)
        patience = self._patience_seconds()
        if patience is None:
            self._guarded(self._bring_up)
            return
        if patience == 0:
            self._guarded(self._after_patience)
            return
        due = self.started + timedelta(seconds=patience)
        CapacityWait(self.sagemaker, due, lambda: self.endpoint.run(lambda: self._guarded(self._after_patience)))

    def _patience_seconds(self) -> float | None:
        types = [variant.get("InstanceType") or "" for variant in self.config["ProductionVariants"]]
        return self.sagemaker.cloud.capacity.patience_seconds(types)

    def _after_patience(self) -> None:
        if self.endpoint.ended:
            return
        if self._patience_seconds() is not None:
            raise FleetFailed(SOLD_OUT)
        self._bring_up()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except FleetFailed as failure:
            self._end_failed(str(failure))
        except Exception as failure:
            log.exception("deployment of endpoint %s failed inside the emulated cloud", self.endpoint.name)
            self._end_failed(f"The emulated cloud failed: {failure!r}")

    def _bring_up(self) -> None:
        session = _check_alarms(self.sagemaker, self.endpoint, self.config, self.plan.alarms)
        fleet = bring_up(self.sagemaker, self.endpoint, self.config, self.retained)
        with self.endpoint.lock:
            ended, first = self.endpoint.ended, self.endpoint.fleet is None
            if first and not ended:
                self.endpoint.fleet, self.endpoint.status = fleet, "InService"
                self.endpoint.pending, self.endpoint.modified = None, self.sagemaker.cloud.clock.now()
                tell_end(self.sagemaker, self.endpoint)
        if ended:
            take_down(self.sagemaker.cloud, self.endpoint, fleet, give_back=False)
        elif not first:
            Deployment(
                self.sagemaker,
                self.endpoint,
                fleet,
                self.plan,
                started=self.started,
                session=session,
                retire=lambda old: _retire(self.sagemaker, self.endpoint, old),
            ).begin()

    def _end_failed(self, reason: str) -> None:
        """An endpoint that served before serves on, with the reason beside it; a new one is Failed."""
        with self.endpoint.lock:
            self.endpoint.failure_reason = reason[:LONGEST_REASON]
            self.endpoint.status = "Failed" if self.endpoint.fleet is None else "InService"
            self.endpoint.pending, self.endpoint.modified = None, self.sagemaker.cloud.clock.now()
            tell_end(self.sagemaker, self.endpoint)


def _check_alarms(
    sagemaker: SageMaker, endpoint: Endpoint, config: Mapping[str, Any], alarms: tuple[str, ...]
) -> boto3.Session:
    """The rollback alarms must be there, as the execution role sees them (developer guide, deployment guardrails: the
    role needs cloudwatch:DescribeAlarms). The wording of both reasons is unconfirmed. Returns the role's session."""
    session = role_session(sagemaker, endpoint, config, config["ProductionVariants"][0].get("ModelName", ""))
    if not alarms:
        return session
    client: Any = session.client("cloudwatch", region_name=endpoint.region)
    try:
        found = client.describe_alarms(AlarmNames=list(alarms))
    except ClientError as refusal:
        raise FleetFailed(
            f"The auto-rollback alarms could not be read under the execution role: {refusal}"
        ) from refusal
    missing = sorted(set(alarms) - {alarm["AlarmName"] for alarm in found["MetricAlarms"]})
    if missing:
        raise FleetFailed(f"Could not find the auto-rollback alarms: {', '.join(missing)}.")
    return session


def _retire(sagemaker: SageMaker, endpoint: Endpoint, fleet: Fleet) -> None:
    endpoint.run(lambda: take_down(sagemaker.cloud, endpoint, fleet, give_back=True))


def delete(sagemaker: SageMaker, endpoint: Endpoint, forget: Callable[[], None]) -> None:
    """Takes the endpoint down and then calls `forget`. Describe answers Deleting until then."""
    endpoint.status = "Deleting"

    def run() -> None:
        tell_state(sagemaker, endpoint)
        try:
            with endpoint.lock:
                fleets = endpoint.fleets()
                endpoint.fleet = endpoint.green = None
            for fleet in fleets:
                take_down(sagemaker.cloud, endpoint, fleet, give_back=True)
            endpoint.wait(END_WAIT_SECONDS)
        except Exception:
            log.exception("the end of endpoint %s failed inside the emulated cloud", endpoint.name)
        finally:
            forget()

    endpoint.run(run)
