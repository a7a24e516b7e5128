"""How a release takes over the traffic, and which wishes AWS would refuse or, worse, quietly not follow.

Sources: API_BlueGreenUpdatePolicy, API_TrafficRoutingConfig and API_RollingUpdatePolicy of the SageMaker API
reference; the
developer guide's deployment-guardrails-*; hashicorp/terraform-provider-aws internal/service/sagemaker/endpoint.go.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, Optional, TypedDict

import pulumi_aws as aws

from ._resolve import Reader
from .guard_alarms import FIRING_SECONDS

STRATEGIES = ("canary", "linear", "rolling", "all_at_once")
"""`canary`: a share first, then all. `linear`: share by share. `rolling`: instances in batches, no second fleet.
`all_at_once`: a second fleet takes all traffic; the first is kept through the bake."""

PERCENT_RANGES = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}

MOST_BAKE_MINUTES = 60
"""SageMaker takes waits up to 3,600 seconds."""

DRAIN_SECONDS = 120
"""How long the old fleet is kept after the last share has moved, for answers that are under way."""

PROVIDER_WAIT_SECONDS = 3600
"""The provider stops waiting for an endpoint after 60 minutes and calls the update failed, whatever becomes of it."""

FLEET_START_SECONDS = 600
"""What a new fleet may need to start before its first wait: image pull, archive download, health checks."""

# SageMaker takes 600 to 28,800 seconds; the provider refuses more than 14,400.
_SHORTEST_EXECUTION_SECONDS, _LONGEST_EXECUTION_SECONDS = 600, 14_400


class DeploymentArgs(TypedDict):
    """How a new version takes over the traffic."""

    strategy: str
    """`canary`, `linear`, `rolling` or `all_at_once`."""
    percent: NotRequired[float]
    """Share moved in one step: canary 1 to 50, linear 10 to 50, rolling 5 to 50. Refused with `all_at_once`, required
    otherwise."""
    bake_minutes: NotRequired[float]
    """How long the guards watch each step, in minutes, 0 to 60. Omitted: 10. With `all_at_once`, 0 means no watch."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A checked `DeploymentArgs`."""

    strategy: str = "all_at_once"
    percent: int = 100
    bake_minutes: int = 10

    @property
    def steps(self) -> int:
        """How often the traffic moves, each time followed by a bake."""
        return {"canary": 1, "all_at_once": 1}.get(self.strategy) or math.ceil(100 / max(self.percent, 1))

    @property
    def execution_seconds(self) -> int:
        """How long the deployment may take before SageMaker ends it."""
        return min(max(_SHORTEST_EXECUTION_SECONDS, self.wait_seconds + 3600), _LONGEST_EXECUTION_SECONDS)

    @property
    def wait_seconds(self) -> int:
        """All waits together."""
        drain = 0 if self.strategy in ("all_at_once", "rolling") else DRAIN_SECONDS
        return self.steps * self.bake_minutes * 60 + drain

    def peak_instances(self, instances: int) -> int:
        """Most instances at once: a release keeps both fleets, a rolling one only a batch more."""
        if self.strategy == "rolling":
            return instances + max(1, math.ceil(instances * self.percent / 100))
        return 2 * instances

    def block(self, alarm_names: Sequence[str]) -> "aws.sagemaker.EndpointDeploymentConfigArgsDict":
        """The endpoint's `deployment_config`, the same alarms in it from the first day."""
        execution, bake_seconds = self.execution_seconds, self.bake_minutes * 60
        block: aws.sagemaker.EndpointDeploymentConfigArgsDict = {
            "auto_rollback_configuration": {"alarms": [{"alarm_name": alarm_name} for alarm_name in alarm_names]}
        }
        if self.strategy == "rolling":
            block["rolling_update_policy"] = {
                "maximum_batch_size": {"type": "CAPACITY_PERCENT", "value": self.percent},
                "wait_interval_in_seconds": bake_seconds,
                "maximum_execution_timeout_in_seconds": execution,
            }
            return block
        # All at once has no steps to wait between: the guards watch while the old fleet is kept.
        at_once = self.strategy == "all_at_once"
        routing: aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyTrafficRoutingConfigurationArgsDict = {
            "type": self.strategy.upper(),
            "wait_interval_in_seconds": 0 if at_once else bake_seconds,
        }
        if self.strategy == "canary":
            routing["canary_size"] = {"type": "CAPACITY_PERCENT", "value": self.percent}
        elif self.strategy == "linear":
            routing["linear_step_size"] = {"type": "CAPACITY_PERCENT", "value": self.percent}
        block["blue_green_update_policy"] = {
            "traffic_routing_configuration": routing,
            "termination_wait_in_seconds": bake_seconds if at_once else DRAIN_SECONDS,
            "maximum_execution_timeout_in_seconds": execution,
        }
        return block


def read_deployment(reader: Optional[Reader]) -> Deployment:
    """Reads `deployment`. Omitted: all at once with a bake of 10 minutes."""
    if reader is None:
        return Deployment()
    wrong_so_far = len(reader.problems)
    strategy = reader.choice("strategy", STRATEGIES)
    if len(reader.problems) > wrong_so_far:
        # What the other fields mean depends on it: their problems would be noise.
        return Deployment()
    bake_minutes = reader.whole("bake_minutes", minimum=0, maximum=MOST_BAKE_MINUTES, default=10)
    if strategy == "all_at_once":
        if reader.has("percent"):
            reader.refuse("percent", reader.raw("percent"), "nothing with all_at_once", "remove percent")
        return Deployment(strategy=strategy, bake_minutes=bake_minutes)
    low, high = PERCENT_RANGES[strategy]
    percent = reader.whole("percent", minimum=low, maximum=high)
    deployment = Deployment(strategy=strategy, percent=percent, bake_minutes=bake_minutes)
    longest = PROVIDER_WAIT_SECONDS - FLEET_START_SECONDS
    if deployment.wait_seconds > longest:
        reader.refuse(
            "bake_minutes",
            bake_minutes,
            f"waits of up to {longest // 60} minutes in all, because the provider gives up after 60; "
            f"{strategy} with {percent} % waits {deployment.steps} times, {deployment.wait_seconds // 60} minutes",
            "lower bake_minutes, or raise percent",
        )
    return deployment


def refuse_unsafe(reader: Reader, deployment: Deployment, *, instance_type: str, instance_count: int) -> None:
    """Refuses what cannot work with this fleet."""
    strategy = deployment.strategy
    bake_seconds = deployment.bake_minutes * 60
    unwatched = strategy == "all_at_once" and bake_seconds == 0
    if bake_seconds < FIRING_SECONDS and not unwatched:
        reader.refuse(
            "deployment.bake_minutes",
            deployment.bake_minutes,
            f"at least {FIRING_SECONDS // 60}: that is how long the guards on errors and latency need to fire",
            "raise bake_minutes, or choose all_at_once with bake_minutes 0 to release without a watch",
        )
    if strategy != "all_at_once" and instance_count < 2:
        reader.refuse(
            "deployment.strategy",
            strategy,
            f"all_at_once, with {instance_count} instance: a fleet is split by whole instances, so {strategy} would "
            "move everything at once",
            "raise instance_count to 2, or choose all_at_once",
        )
    if instance_type.startswith("ml.inf1.") and strategy != "all_at_once":
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        reader.refuse(
            "deployment.strategy",
            strategy,
            "all_at_once on ml.inf1: SageMaker falls back to it there without a word",
            "choose all_at_once, or another instance type",
        )
    if instance_type.startswith("ml.inf1.") and not unwatched and strategy == "all_at_once":
        # The same page: "all at once traffic shifting and no final baking period".
        reader.refuse(
            "deployment.bake_minutes",
            deployment.bake_minutes,
            "0 on ml.inf1: SageMaker keeps no old fleet there to go back to, whatever is asked for",
            "give bake_minutes 0 to release without a watch, or choose another instance type",
        )
