"""What Lambda publishes of each invocation (developer guide, "Types of metrics for Lambda functions").

By FunctionName, and by FunctionName and Resource (the function, or "function:version"). The timestamp is the time of
the call ("reflects when the function was invoked").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.rehearsal.cloud.functions.deployment import Deployment
from infra.rehearsal.cloud.functions.invocation import Invocation

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

NAMESPACE = "AWS/Lambda"


def publish_invocation(
    cloud: Cloud,
    deployment: Deployment,
    invocation: Invocation,
    concurrent: int,
    *,
    duration_ms: float | None = None,
    failed: bool = False,
) -> None:
    """One invocation that ran. failed: also when its caller had a good answer before.

    duration_ms: until runtime and extensions were done, as it is billed; None when it never began.
    """
    values: list[tuple[str, float, str]] = [
        ("Invocations", 1, "Count"),
        ("Errors", int(failed or bool(invocation.function_error)), "Count"),
        ("Throttles", 0, "Count"),
        ("ConcurrentExecutions", concurrent, "Count"),
    ]
    if duration_ms is not None:
        values.append(("Duration", duration_ms, "Milliseconds"))
        if invocation.replied:
            after_ms = max(0.0, duration_ms - (invocation.replied - invocation.started) * 1000)
            values.append(("PostRuntimeExtensionsDuration", after_ms, "Milliseconds"))
    for name, value, unit in values:
        _put(cloud, deployment, name, value, unit, invocation)


def publish_throttle(cloud: Cloud, deployment: Deployment) -> None:
    """An invocation that was refused; Lambda counts it as no invocation and no error."""
    _put(cloud, deployment, "Throttles", 1, "Count", None)


def _put(
    cloud: Cloud, deployment: Deployment, name: str, value: float, unit: str, invocation: Invocation | None
) -> None:
    resource = deployment.name if deployment.version == "$LATEST" else f"{deployment.name}:{deployment.version}"
    at = invocation.at if invocation is not None else None
    for dimensions in (
        {"FunctionName": deployment.name},
        {"FunctionName": deployment.name, "Resource": resource},
    ):
        cloud.metrics.put(NAMESPACE, name, value, region=deployment.region, dimensions=dimensions, unit=unit, at=at)
