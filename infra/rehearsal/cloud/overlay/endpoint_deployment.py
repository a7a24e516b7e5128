"""A deployment of an endpoint, in a thread of its own: the first fleet, an update, the end.

An update is blue/green and all at once: the new fleet comes up, the endpoint switches, the old fleet ends after its
last answer. A fleet that does not come up leaves the old one serving. Traffic shifting, bake times and alarms that
take a release back are not carried; the deployment configuration is kept and answered, and its alarms must exist.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.endpoint_fleet import (
    LONGEST_REASON,
    FleetFailed,
    Retained,
    bring_up,
    role_session,
    take_down,
)
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint

if TYPE_CHECKING:
    from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker

log = logging.getLogger(__name__)


def deploy(
    sagemaker: SageMaker,
    endpoint: Endpoint,
    config: Mapping[str, Any],
    deployment_config: Mapping[str, Any] | None,
    retained: Mapping[str, Retained],
) -> None:
    """Starts the deployment and returns. The endpoint is Creating or Updating until it ends."""
    now = sagemaker.cloud.clock.now()
    endpoint.last_deployment_config = deployment_config
    endpoint.failure_reason = ""
    if endpoint.fleet is not None:
        endpoint.pending = {
            "EndpointConfigName": config["EndpointConfigName"],
            "ProductionVariants": [{"VariantName": variant["VariantName"]} for variant in config["ProductionVariants"]],
            "StartTime": now,
        }
    _in_thread(endpoint, lambda: _deploy(sagemaker, endpoint, config, deployment_config or {}, retained))


def _deploy(
    sagemaker: SageMaker,
    endpoint: Endpoint,
    config: Mapping[str, Any],
    deployment_config: Mapping[str, Any],
    retained: Mapping[str, Retained],
) -> None:
    try:
        _check_alarms(sagemaker, endpoint, config, deployment_config)
        fleet = bring_up(sagemaker, endpoint, config, retained)
    except FleetFailed as failure:
        _end_failed(sagemaker, endpoint, str(failure))
        return
    except Exception as failure:
        log.exception("deployment of endpoint %s failed inside the emulated cloud", endpoint.name)
        _end_failed(sagemaker, endpoint, f"The emulated cloud failed: {failure!r}")
        return
    with endpoint.lock:
        ended = endpoint.ended
        if not ended:
            old, endpoint.fleet = endpoint.fleet, fleet
            endpoint.config_name, endpoint.status = config["EndpointConfigName"], "InService"
            endpoint.pending, endpoint.modified = None, sagemaker.cloud.clock.now()
        else:
            old = fleet
    if old is not None:
        take_down(sagemaker.cloud, endpoint, old, give_back=not ended)


def _end_failed(sagemaker: SageMaker, endpoint: Endpoint, reason: str) -> None:
    """An endpoint that served before serves on, with the reason beside it; a new one is Failed."""
    with endpoint.lock:
        endpoint.failure_reason = reason[:LONGEST_REASON]
        endpoint.status = "Failed" if endpoint.fleet is None else "InService"
        endpoint.pending, endpoint.modified = None, sagemaker.cloud.clock.now()


def _check_alarms(
    sagemaker: SageMaker, endpoint: Endpoint, config: Mapping[str, Any], deployment_config: Mapping[str, Any]
) -> None:
    """The rollback alarms must be there, as the execution role sees them (developer guide, deployment guardrails: the
    role needs cloudwatch:DescribeAlarms). The wording of both reasons is unconfirmed."""
    alarms = deployment_config.get("AutoRollbackConfiguration", {}).get("Alarms") or ()
    names = [alarm["AlarmName"] for alarm in alarms]
    if not names:
        return
    session = role_session(sagemaker, endpoint, config, config["ProductionVariants"][0].get("ModelName", ""))
    try:
        found = session.client("cloudwatch", region_name=endpoint.region).describe_alarms(AlarmNames=names)
    except ClientError as refusal:
        raise FleetFailed(
            f"The auto-rollback alarms could not be read under the execution role: {refusal}"
        ) from refusal
    missing = sorted(set(names) - {alarm["AlarmName"] for alarm in found["MetricAlarms"]})
    if missing:
        raise FleetFailed(f"Could not find the auto-rollback alarms: {', '.join(missing)}.")


def delete(sagemaker: SageMaker, endpoint: Endpoint, forget: Callable[[], None]) -> None:
    """Takes the endpoint down and then calls `forget`. Describe answers Deleting until then."""
    endpoint.status = "Deleting"

    def run() -> None:
        try:
            with endpoint.lock:
                fleet, endpoint.fleet = endpoint.fleet, None
            if fleet is not None:
                take_down(sagemaker.cloud, endpoint, fleet, give_back=True)
        except Exception:
            log.exception("the end of endpoint %s failed inside the emulated cloud", endpoint.name)
        finally:
            forget()

    _in_thread(endpoint, run)


def _in_thread(endpoint: Endpoint, run: Callable[[], None]) -> None:
    endpoint.thread = threading.Thread(target=run, name=f"mainstage-endpoint-{endpoint.name}", daemon=True)
    endpoint.thread.start()
