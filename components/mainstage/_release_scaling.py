"""Autoscaling around a release that changes the instance type.

SageMaker refuses to change the instance type of a variant that Application Auto Scaling has registered: deregister,
update, register. https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html
Deregistering deletes the scaling policies too (Application Auto Scaling API reference, DeregisterScalableTarget). What
stands in the state is put back as it was declared, tags included, so that the next refresh finds nothing changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ._autoscaling import DIMENSION, METRIC, NAMESPACE, POLICY_TYPE, Autoscaling, policy_name, resource_id
from ._release_plan import ReleasePlan


@dataclass(frozen=True)
class Lifted:
    """A scalable target that was taken off for a release."""

    tags: Mapping[str, str]


def lift(scaling: Any, sagemaker: Any, plan: ReleasePlan, live_configuration: str) -> Optional[Lifted]:
    """Deregisters the variant when the release changes its instance type. None: there was nothing to do."""
    target = {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id(plan.endpoint, plan.variant),
        "ScalableDimension": DIMENSION,
    }
    found = scaling.describe_scalable_targets(
        ServiceNamespace=NAMESPACE, ResourceIds=[target["ResourceId"]], ScalableDimension=DIMENSION
    )["ScalableTargets"]
    if not found:
        return None
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=live_configuration)["ProductionVariants"]
    live_types = {variant["VariantName"]: variant.get("InstanceType") for variant in variants}
    if live_types.get(plan.variant) == plan.instance_type:
        return None
    arn = found[0].get("ScalableTargetARN")
    tags = scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] if arn else {}
    scaling.deregister_scalable_target(**target)
    return Lifted(dict(tags))


def put_back(scaling: Any, plan: ReleasePlan, autoscaling: Autoscaling, lifted: Lifted) -> None:
    """Registers the variant and its policy again, as the component declares them."""
    target = {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id(plan.endpoint, plan.variant),
        "ScalableDimension": DIMENSION,
    }
    tags = {"Tags": dict(lifted.tags)} if lifted.tags else {}
    scaling.register_scalable_target(**target, MinCapacity=autoscaling.minimum, MaxCapacity=autoscaling.maximum, **tags)
    scaling.put_scaling_policy(
        **target,
        PolicyName=policy_name(plan.endpoint, plan.variant),
        PolicyType=POLICY_TYPE,
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": autoscaling.target_value,
            "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
            "ScaleInCooldown": autoscaling.scale_in_cooldown_seconds,
            "ScaleOutCooldown": autoscaling.scale_out_cooldown_seconds,
            "DisableScaleIn": False,
        },
    )
