"""The live endpoint of a model, as AWS tells of it now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from infra.layers.names import endpoint_name
from infra.registry.target import Target
from infra.releases.words import ReleaseError, named, version_of

ROLLING_BACK = "RollingBack"
CHANGING = ("Creating", "Updating", "SystemUpdating", ROLLING_BACK)
"""States that the endpoint leaves by itself."""
FAILED = "Failed"
"""It serves nobody, and can be deleted and nothing else."""
MIXED = "UpdateRollbackFailed"
"""Old and new fleet both serve, until somebody brings one of them back."""


@dataclass(frozen=True)
class Pending:
    """A deployment under way."""

    configuration: str
    version: int | None
    started: datetime | None
    stages: tuple[str, ...] = ()
    """What DescribeEndpoint says of the new fleet: Creating, ActivatingTraffic, Baking and so on.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantStatus.html"""


@dataclass(frozen=True)
class Live:
    """What DescribeEndpoint says."""

    model: str
    endpoint: str
    status: str
    configuration: str
    """The configuration that serves; during a deployment the one that served before it."""
    version: int | None
    """Its version; None when it is none of ours."""
    variants: tuple[str, ...]
    pending: Pending | None
    rollback_alarms: tuple[str, ...]
    """Alarms that take a deployment back, as the last one was told."""
    last_deployment: Mapping[str, Any]
    failure_reason: str = ""

    @property
    def serves(self) -> str:
        return named(self.endpoint, self.configuration)


def live(target: Target, model: str) -> Live | None:
    """The model's endpoint; None when there is none. Raises ClientError."""
    endpoint = endpoint_name(target.environment, model)
    try:
        told = target.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return None
    return live_of(model, endpoint, told)


def live_of(model: str, endpoint: str, told: Mapping[str, Any]) -> Live:
    """The same from DescribeEndpoint's answer."""
    summary = told.get("PendingDeploymentSummary")
    configuration = told.get("EndpointConfigName", "")
    deployment = told.get("LastDeploymentConfig") or {}
    alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms") or ()
    return Live(
        model=model,
        endpoint=endpoint,
        status=told["EndpointStatus"],
        configuration=configuration,
        version=version_of(endpoint, configuration),
        variants=tuple(each["VariantName"] for each in told.get("ProductionVariants") or ()),
        pending=_pending(endpoint, summary) if summary else None,
        rollback_alarms=tuple(each["AlarmName"] for each in alarms),
        last_deployment=deployment,
        failure_reason=told.get("FailureReason", ""),
    )


def serving(target: Target, model: str) -> Live:
    """The model's endpoint. Raises ReleaseError when there is none."""
    found = live(target, model)
    if found is None:
        raise ReleaseError(f"{model} has no endpoint in {target}: nothing serves there yet")
    return found


def _pending(endpoint: str, summary: Mapping[str, Any]) -> Pending:
    configuration = summary["EndpointConfigName"]
    stages = {
        status["Status"]: None
        for variant in summary.get("ProductionVariants") or ()
        for status in variant.get("VariantStatus") or ()
    }
    at = summary.get("StartTime")
    # botocore gives moments in the time zone of the machine.
    started = None if at is None else at.astimezone(UTC)
    return Pending(configuration, version_of(endpoint, configuration), started, tuple(stages))


def caller(target: Target) -> str:
    """The ARN of the target's credentials: who does this."""
    return target.client("sts").get_caller_identity()["Arn"]
