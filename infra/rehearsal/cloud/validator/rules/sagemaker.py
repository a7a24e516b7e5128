"""SageMaker models, endpoint configurations and deployments.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding
from infra.rehearsal.cloud.validator.rules import Params, rule

SERVERLESS_STEP_MB = 1024
CANARY_MOST_PERCENT = 50
LINEAR_PERCENT = (10, 50)
ROLLING_PERCENT = (5, 50)


@rule("sagemaker", "CreateModel")
def model(params: Params, partial: bool) -> Iterator[Finding]:
    """One container or a list of them, each with an image or a model package."""
    primary, several = params.get("PrimaryContainer"), params.get("Containers")
    if primary is not None and several:
        yield Finding("Containers", "and PrimaryContainer exclude each other")
    if primary is None and not several and not partial:
        yield Finding("PrimaryContainer", "or Containers is required")
    containers = [("PrimaryContainer", primary)] if primary is not None else []
    containers += [(f"Containers[{index}]", container) for index, container in enumerate(several or [])]
    for path, container in containers:
        if not partial and not container.get("Image") and not container.get("ModelPackageName"):
            yield Finding(f"{path}.Image", "is required unless ModelPackageName is given")
        if container.get("ModelDataUrl") and container.get("ModelDataSource"):
            yield Finding(f"{path}.ModelDataUrl", "and ModelDataSource exclude each other")


@rule("sagemaker", "CreateEndpointConfig")
def endpoint_config(params: Params, partial: bool) -> Iterator[Finding]:
    """Variants: unique names, one shadow at most and then one production variant, serverless or instances."""
    production = params.get("ProductionVariants") or []
    shadows = params.get("ShadowProductionVariants") or []
    if len(shadows) > 1:
        yield Finding("ShadowProductionVariants", f"has {len(shadows)} variants, at most 1 is allowed")
    if shadows and len(production) > 1:
        yield Finding("ProductionVariants", f"has {len(production)} variants; a shadow needs exactly one")
    if shadows and params.get("AsyncInferenceConfig"):
        yield Finding("ShadowProductionVariants", "cannot stand beside AsyncInferenceConfig")
    names = [variant.get("VariantName") for variant in (*production, *shadows)]
    for name in sorted({str(name) for name in names if name is not None and names.count(name) > 1}):
        yield Finding("ProductionVariants", f"has the variant name {name!r} more than once")
    for member, variants in (("ProductionVariants", production), ("ShadowProductionVariants", shadows)):
        for index, variant in enumerate(variants):
            yield from _variant(f"{member}[{index}]", variant, params, shadows, partial)


def _variant(
    path: str, variant: Mapping[str, Any], params: Params, shadows: list[Any], partial: bool
) -> Iterator[Finding]:
    serverless = variant.get("ServerlessConfig")
    if serverless is None:
        if not partial and params.get("ExecutionRoleArn") is None and variant.get("InstanceType") is None:
            yield Finding(f"{path}.InstanceType", "is required unless ServerlessConfig is given")
        return
    for name in ("InstanceType", "InitialInstanceCount", "AcceleratorType"):
        if variant.get(name) is not None:
            yield Finding(f"{path}.{name}", "cannot stand beside ServerlessConfig")
    if shadows:
        yield Finding(f"{path}.ServerlessConfig", "cannot stand beside a shadow variant")
    if params.get("AsyncInferenceConfig"):
        yield Finding(f"{path}.ServerlessConfig", "cannot stand beside AsyncInferenceConfig")
    memory = serverless.get("MemorySizeInMB")
    if memory is not None and memory % SERVERLESS_STEP_MB:
        yield Finding(
            f"{path}.ServerlessConfig.MemorySizeInMB",
            f"is {memory}; allowed are 1024, 2048, 3072, 4096, 5120 and 6144",
        )
    most, provisioned = serverless.get("MaxConcurrency"), serverless.get("ProvisionedConcurrency")
    if most is not None and provisioned is not None and provisioned > most:
        yield Finding(
            f"{path}.ServerlessConfig.ProvisionedConcurrency", f"is {provisioned}, more than MaxConcurrency ({most})"
        )


@rule("sagemaker", "CreateEndpoint", "UpdateEndpoint")
def deployment(params: Params, partial: bool) -> Iterator[Finding]:
    """Traffic routing: step sizes in percent, and an execution time that outlasts every wait."""
    config = params.get("DeploymentConfig")
    if config is None:
        return
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green is not None and rolling is not None:
        yield Finding("DeploymentConfig", "takes BlueGreenUpdatePolicy or RollingUpdatePolicy, not both")
    if blue_green is not None:
        yield from _blue_green(blue_green, partial)
    if rolling is not None:
        path = "DeploymentConfig.RollingUpdatePolicy.MaximumBatchSize"
        yield from _percent(path, rolling.get("MaximumBatchSize"), *ROLLING_PERCENT)


def _blue_green(policy: Mapping[str, Any], partial: bool) -> Iterator[Finding]:
    base = "DeploymentConfig.BlueGreenUpdatePolicy"
    traffic = policy.get("TrafficRoutingConfiguration") or {}
    path = f"{base}.TrafficRoutingConfiguration"
    kind = traffic.get("Type")
    for wanted, member in (("CANARY", "CanarySize"), ("LINEAR", "LinearStepSize")):
        size = traffic.get(member)
        if kind == wanted and size is None and not partial:
            yield Finding(f"{path}.{member}", f"is required for {wanted}")
        if kind is not None and kind != wanted and size is not None:
            yield Finding(f"{path}.{member}", f"belongs to {wanted}, and Type is {kind}")
    yield from _percent(f"{path}.CanarySize", traffic.get("CanarySize"), 1, CANARY_MOST_PERCENT)
    yield from _percent(f"{path}.LinearStepSize", traffic.get("LinearStepSize"), *LINEAR_PERCENT)
    longest = policy.get("MaximumExecutionTimeoutInSeconds")
    waits = _waits_seconds(policy, traffic)
    if longest is not None and waits is not None and longest <= waits:
        yield Finding(
            f"{base}.MaximumExecutionTimeoutInSeconds",
            f"is {longest} s and the waits alone take {waits} s; it must be longer than all of them together",
        )


def _waits_seconds(policy: Mapping[str, Any], traffic: Mapping[str, Any]) -> int | None:
    """The time that a deployment waits by itself, as far as it is known."""
    wait = traffic.get("WaitIntervalInSeconds") or 0
    steps = 0
    if traffic.get("Type") == "CANARY":
        steps = 1
    elif traffic.get("Type") == "LINEAR":
        step = traffic.get("LinearStepSize") or {}
        if step.get("Type") != "CAPACITY_PERCENT" or not step.get("Value"):
            return None
        steps = math.ceil(100 / step["Value"]) - 1
    return steps * wait + (policy.get("TerminationWaitInSeconds") or 0)


def _percent(path: str, size: Mapping[str, Any] | None, least: int, most: int) -> Iterator[Finding]:
    if size is None or size.get("Type") != "CAPACITY_PERCENT":
        return
    value = size.get("Value")
    if value is not None and not least <= value <= most:
        yield Finding(f"{path}.Value", f"is {value} percent, allowed are {least} to {most}")
