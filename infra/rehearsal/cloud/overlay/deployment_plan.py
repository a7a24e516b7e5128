"""What a deployment configuration asks for: the steps that traffic takes to the new fleet, and how long each one bakes.

Pure. Source: SageMaker developer guide, deployment-guardrails-blue-green-{all-at-once,canary,linear}, -rolling and
-exclusions (https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TERMINATION_WAIT = "TerminationWaitInSeconds"
INTERVAL_WAIT = "WaitIntervalInSeconds"
_UNGUARDED_TYPES = ("ml.inf1.",)
"""Endpoints that fall back to all at once, with nothing watched (-exclusions). Marketplace containers do so too; the
emulated cloud has none. Serverless ones too: guardrails "only apply to Asynchronous inference and Real-time inference"
(deployment-guardrails). An older page also named data capture, KMS keys and network isolation; today's does not."""


@dataclass(frozen=True)
class Step:
    """One shift of traffic and the bake after it."""

    share: float
    """Of the endpoint's requests, how many the new fleet gets from here on: above 0, up to 1."""
    wait_seconds: int
    wait_name: str = INTERVAL_WAIT
    """Which member of the deployment configuration the wait comes from; VariantStatus names it."""
    capacity: str = "full"
    """What VariantStatus calls the capacity that has traffic: canary, batch or full (batch: unconfirmed)."""


@dataclass(frozen=True)
class Plan:
    """A whole deployment of a new fleet beside an old one."""

    steps: tuple[Step, ...]
    alarms: tuple[str, ...] = ()
    """Names of the alarms that end it."""
    maximum_seconds: int | None = None
    rolling: bool = False
    """The old fleet's instances end batch by batch, so that a rollback needs new ones."""


def plan_of(deployment: Mapping[str, Any] | None, variants: Sequence[Mapping[str, Any]]) -> Plan:
    """The plan of a DeploymentConfig; None is blue/green, all at once, nothing watched.

    variants: the production variants of the configuration that is deployed, for sizes in instances.
    """
    deployment = deployment or {}
    if any(
        "ServerlessConfig" in variant or (variant.get("InstanceType") or "").startswith(_UNGUARDED_TYPES)
        for variant in variants
    ):
        return Plan((Step(1.0, 0, TERMINATION_WAIT),))
    alarms = tuple(each["AlarmName"] for each in (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms", ()))
    count = sum(variant.get("InitialInstanceCount") or 1 for variant in variants)
    rolling = deployment.get("RollingUpdatePolicy")
    if rolling:
        return Plan(_rolling(rolling, count), alarms, rolling.get("MaximumExecutionTimeoutInSeconds"), rolling=True)
    policy = deployment.get("BlueGreenUpdatePolicy") or {}
    return Plan(_blue_green(policy, count), alarms, policy.get("MaximumExecutionTimeoutInSeconds"))


def refusal_of(deployment: Mapping[str, Any] | None, variants: Sequence[Mapping[str, Any]], live: Sequence[str]) -> str:
    """Why an update with this DeploymentConfig cannot be; empty when it can. live: names of the variants that serve.

    The rules are -exclusions'; that SageMaker refuses the call, and its words, are unconfirmed.
    """
    if not deployment:
        return ""
    names = [variant["VariantName"] for variant in variants]
    if set(names) != set(live):
        return (
            f"The variants of the new endpoint configuration ({', '.join(names)}) must have the names of those that "
            f"serve ({', '.join(live)})."
        )
    if deployment.get("RollingUpdatePolicy") and (
        len(names) > 1 or any("ServerlessConfig" in variant for variant in variants)
    ):
        return "RollingUpdatePolicy is not supported for serverless endpoints and for endpoints with several variants."
    return ""


def _blue_green(policy: Mapping[str, Any], count: int) -> tuple[Step, ...]:
    """The last step bakes for the termination wait, at whose end the old fleet goes."""
    traffic = policy.get("TrafficRoutingConfiguration") or {}
    wait = traffic.get("WaitIntervalInSeconds") or 0
    last = Step(1.0, policy.get("TerminationWaitInSeconds") or 0, TERMINATION_WAIT)
    if traffic.get("Type") == "CANARY":
        return (Step(_share(traffic["CanarySize"], count), wait, INTERVAL_WAIT, "canary"), last)
    if traffic.get("Type") == "LINEAR":
        return (*_until_full(_share(traffic["LinearStepSize"], count), wait, "canary"), last)
    return (last,)


def _rolling(policy: Mapping[str, Any], count: int) -> tuple[Step, ...]:
    """Every batch bakes, the last one too: "the baking period, during which SageMaker monitors alarms for each batch"
    (API reference, RollingUpdatePolicy)."""
    wait = policy["WaitIntervalInSeconds"]
    batch = _share(policy["MaximumBatchSize"], count)
    return (*_until_full(batch, wait, "batch"), Step(1.0, wait))


def _until_full(share: float, wait: int, capacity: str) -> tuple[Step, ...]:
    """Steps of one size, without the one that is full."""
    steps = math.ceil(round(1 / share, 6))
    return tuple(Step(round(share * number, 6), wait, INTERVAL_WAIT, capacity) for number in range(1, steps))


def _share(size: Mapping[str, Any], count: int) -> float:
    """A capacity as a share of traffic. That a percentage which is no whole number of instances still moves just that
    percentage of the requests is unconfirmed."""
    if size["Type"] == "INSTANCE_COUNT":
        return min(1.0, size["Value"] / max(1, count))
    return size["Value"] / 100


def instances_with_traffic(share: float, count: int) -> int:
    """How many of a variant's instances have traffic at a share of it."""
    return math.ceil(round(share * count, 6))
