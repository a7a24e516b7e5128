"""Instances that follow the load of a variant."""

from dataclasses import dataclass
from typing import NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from ._resolve import Reader

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
POLICY_TYPE = "TargetTrackingScaling"
METRIC = "SageMakerVariantInvocationsPerInstance"
"""Requests to one instance in a minute."""

MOST_INSTANCES = 100
_MOST_COOLDOWN_SECONDS = 86_400


class AutoscalingArgs(TypedDict):
    """Instances follow the load."""

    minimum: float
    """Fewest instances, 1 or more."""
    maximum: float
    """Most instances, up to 100."""
    invocations_per_instance_per_minute: float
    """Load at which an instance is full, in requests a minute. Measure it: about 70 % of what one bears."""
    scale_in_cooldown_seconds: NotRequired[float]
    """Rest after instances were removed, in seconds, 0 to 86,400. Omitted: 300."""
    scale_out_cooldown_seconds: NotRequired[float]
    """Rest after instances were added, in seconds, 0 to 86,400. Omitted: 60."""


@dataclass(frozen=True, kw_only=True)
class Autoscaling:
    """A checked `AutoscalingArgs`."""

    minimum: int
    maximum: int
    target_value: float
    scale_in_cooldown_seconds: int
    scale_out_cooldown_seconds: int


def read_autoscaling(reader: Optional[Reader]) -> Optional[Autoscaling]:
    """Reads `autoscaling`. Omitted: a fixed number of instances."""
    if reader is None:
        return None
    if reader.raw("minimum") == 0:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
        reader.refuse(
            "minimum",
            0,
            "1 or more: scaling to zero works with inference components only, which pulumi-aws 7.51 does not carry",
            "give 1",
        )
        minimum = 1
    else:
        minimum = reader.whole("minimum", minimum=1, maximum=MOST_INSTANCES)
    maximum = reader.whole("maximum", minimum=1, maximum=MOST_INSTANCES)
    if reader.has("minimum") and reader.has("maximum") and minimum > maximum:
        reader.refuse("minimum", minimum, f"up to maximum ({maximum})", "exchange the two")
    return Autoscaling(
        minimum=minimum,
        maximum=maximum,
        target_value=reader.number("invocations_per_instance_per_minute", minimum=0.01),
        scale_in_cooldown_seconds=reader.whole(
            "scale_in_cooldown_seconds", minimum=0, maximum=_MOST_COOLDOWN_SECONDS, default=300
        ),
        scale_out_cooldown_seconds=reader.whole(
            "scale_out_cooldown_seconds", minimum=0, maximum=_MOST_COOLDOWN_SECONDS, default=60
        ),
    )


def resource_id(endpoint_name: str, variant: str) -> str:
    """A variant as Application Auto Scaling calls it."""
    return f"endpoint/{endpoint_name}/variant/{variant}"


def policy_name(endpoint_name: str, variant: str) -> str:
    """Name of a variant's scaling policy."""
    return f"{endpoint_name}-{variant}-invocations"


def autoscale(
    name: str, scaling: Autoscaling, *, parent: pulumi.Resource, endpoint: "aws.sagemaker.Endpoint", variant: str
) -> None:
    """Registers the variant and gives it a policy. Both come after the endpoint: a variant that is not there yet is
    refused, and the provider does not try again."""
    target = aws.appautoscaling.Target(
        f"{name}-scaling-target",
        service_namespace=NAMESPACE,
        scalable_dimension=DIMENSION,
        resource_id=endpoint.name.apply(lambda endpoint_name: resource_id(endpoint_name, variant)),
        min_capacity=scaling.minimum,
        max_capacity=scaling.maximum,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    aws.appautoscaling.Policy(
        f"{name}-scaling-policy",
        name=endpoint.name.apply(lambda endpoint_name: policy_name(endpoint_name, variant)),
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        # Left out, it is StepScaling.
        policy_type=POLICY_TYPE,
        target_tracking_scaling_policy_configuration={
            "predefined_metric_specification": {
                "predefined_metric_type": METRIC,
            },
            "target_value": scaling.target_value,
            "scale_in_cooldown": scaling.scale_in_cooldown_seconds,
            "scale_out_cooldown": scaling.scale_out_cooldown_seconds,
            "disable_scale_in": False,
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
