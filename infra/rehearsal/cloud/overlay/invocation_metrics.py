"""The metrics that SageMaker publishes for each call (developer guide, "SageMaker endpoint invocation metrics")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.rehearsal.cloud.model_host import HostAnswer
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Fleet, Variant

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

NAMESPACE = "AWS/SageMaker"
MICROSECONDS = "Microseconds"


def publish_invocation(
    cloud: Cloud, endpoint: Endpoint, fleet: Fleet, variant: Variant, answer: HostAnswer, overhead_us: int
) -> None:
    """Publishes one call, under both dimension sets: by endpoint and variant, and by the configuration beside them,
    which tells the new fleet from the old one during an update. Errors send 1 or 0 with every call; latencies are
    microseconds; concurrent requests are those that the variant is answering, this one among them (SageMaker posts them
    by the second, also without a call; that they come by configuration as well is unconfirmed).
    """
    failed = answer.status >= 400
    values: list[tuple[str, float, str]] = [
        ("Invocations", 1, "None"),
        ("Invocation4XXErrors", int(400 <= answer.status < 500), "None"),
        ("Invocation5XXErrors", int(answer.status >= 500), "None"),
        ("InvocationModelErrors", int(failed), "None"),
        ("ModelLatency", answer.latency_us, MICROSECONDS),
        ("OverheadLatency", overhead_us, MICROSECONDS),
        ("ConcurrentRequestsPerModel", variant.calls.count, "None"),
    ]
    if not variant.serverless:
        values.append(("InvocationsPerInstance", 1 / max(1, variant.instance_count), "None"))
    by_variant = {"EndpointName": endpoint.name, "VariantName": variant.name}
    at = cloud.clock.now()
    for dimensions in (by_variant, {**by_variant, "EndpointConfigName": fleet.config_name}):
        for name, value, unit in values:
            cloud.metrics.put(NAMESPACE, name, value, region=endpoint.region, dimensions=dimensions, unit=unit, at=at)
