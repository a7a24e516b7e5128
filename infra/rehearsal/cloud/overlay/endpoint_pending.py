"""PendingDeploymentSummary: how far a deployment has come, as DescribeEndpoint and the events show it.

Messages: SageMaker developer guide, automating-sagemaker-with-eventbridge (the examples of VariantStatus), with the
name of the member that the wait comes from; the guide's own example names TerminationWaitInSeconds for a canary.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infra.rehearsal.cloud.overlay.deployment_plan import Step, instances_with_traffic
from infra.rehearsal.cloud.overlay.endpoint_records import Fleet


def pending_summary(
    config: Mapping[str, Any], started: datetime, now: datetime, stage: str, step: Step | None, fleet: Fleet | None
) -> dict[str, Any]:
    """The summary of a deployment of `config` at one stage: Creating, ActivatingTraffic, Baking or Deleting.

    step: where it stands; None before traffic and in a rollback. fleet: the new fleet, None until it is up.
    """
    variants = []
    for member in config["ProductionVariants"]:
        live = fleet.production.get(member["VariantName"]) if fleet else None
        wanted = live.instance_count if live else member.get("InitialInstanceCount") or 1
        weight = live.weight if live else member.get("InitialVariantWeight", 1.0)
        current = instances_with_traffic(step.share, wanted) if step else 0
        status = {"Status": stage, "StatusMessage": _message(stage, step, current, wanted), "StartTime": now}
        summary: dict[str, Any] = {
            "VariantName": member["VariantName"],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "VariantStatus": [status],
        }
        if "ServerlessConfig" in member:
            summary["DesiredServerlessConfig"] = member["ServerlessConfig"]
        else:
            summary |= {"CurrentInstanceCount": current, "DesiredInstanceCount": wanted}
            if member.get("InstanceType"):
                summary["InstanceType"] = member["InstanceType"]
        if live is not None:
            summary["DeployedImages"] = live.summary()["DeployedImages"]
        variants.append(summary)
    return {"EndpointConfigName": config["EndpointConfigName"], "ProductionVariants": variants, "StartTime": started}


def _message(stage: str, step: Step | None, current: int, wanted: int) -> str:
    if stage == "Creating":
        return f"Launching {wanted} instance(s)."
    if stage == "Deleting" or step is None:
        return f"Terminating {wanted} instance(s)."
    where = f"{step.capacity} capacity of {current} instance(s)"
    if stage == "Baking":
        return f"Baking for {step.wait_seconds} seconds ({step.wait_name}) with traffic enabled on {where}."
    return f"Activating traffic on {where}."
