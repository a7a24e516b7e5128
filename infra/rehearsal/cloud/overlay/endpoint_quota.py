"""The account's quota of instances for endpoints, asked at CreateEndpoint and UpdateEndpoint.

Both fleets count during an update. The words are SageMaker's (aws/amazon-sagemaker-examples issue 307,
aws-samples/sagemaker-custom-project-templates issue 51).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.deployment_plan import Plan, instances_with_traffic
from infra.rehearsal.cloud.overlay.endpoint_fleet import Retained
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint
from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker


def check_quota(
    sagemaker: SageMaker, region: str, config: Mapping[str, Any], plan: Plan, retained: Mapping[str, Retained]
) -> None:
    """ResourceLimitExceeded when the new fleet is more than the account may have beside what it has."""
    asked: Counter[str] = Counter()
    for variant in (*config["ProductionVariants"], *(config.get("ShadowProductionVariants") or ())):
        if "InstanceType" in variant:
            kept = retained.get(variant["VariantName"], Retained()).instance_count
            count = variant.get("InitialInstanceCount", 1) if kept is None else kept
            # A rolling deployment has one batch beside the old fleet, not a fleet.
            share = plan.steps[0].share if plan.rolling else 1.0
            asked[variant["InstanceType"]] += instances_with_traffic(share, count)
    used: Counter[str] = Counter()
    for endpoint in sagemaker.live_endpoints():
        if endpoint.region == region:
            used.update(_used_by(endpoint))
    over = sagemaker.cloud.capacity.over(used, asked)
    if over is not None:
        instance_type, quota = over
        raise AwsError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{instance_type} for endpoint usage' is {quota} Instances, with current "
            f"utilization of {used[instance_type]} Instances and a request delta of {asked[instance_type]} Instances. "
            "Please contact AWS support to request an increase for this limit.",
        )


def _used_by(endpoint: Endpoint) -> Counter[str]:
    """Instances by type: what runs, and what a deployment that is under way is bringing up."""
    used: Counter[str] = Counter()
    with endpoint.lock:
        for fleet in endpoint.fleets():
            for variant in fleet.variants():
                if not variant.serverless:
                    used[variant.config["InstanceType"]] += variant.instance_count
        if endpoint.pending and endpoint.green is None:
            for summary in endpoint.pending["ProductionVariants"]:
                if "InstanceType" in summary:
                    used[summary["InstanceType"]] += summary["DesiredInstanceCount"]
    return used
