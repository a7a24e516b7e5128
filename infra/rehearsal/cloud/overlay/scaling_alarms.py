"""The two alarms that a target tracking policy makes: one that scales out, one that scales in.

Shapes as Application Auto Scaling makes them for a SageMaker variant: out after 3 minutes above the target, in after
15 minutes below 90 % of it (developer guide of SageMaker, endpoint-auto-scaling; the factor 0.9 is that of the
service's own alarms, not documented).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.answers import stable_uuid

MINUTES_OUT = 3
MINUTES_IN = 15
IN_FACTOR = 0.9
_PREDEFINED = {
    "SageMakerVariantInvocationsPerInstance": ("AWS/SageMaker", "InvocationsPerInstance", "Sum", 60),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        "AWS/SageMaker",
        "ConcurrentRequestsPerModel",
        "Maximum",
        10,
    ),
}


def tracking_alarms(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings of the policy's alarms; none for a step policy, whose alarms a person makes."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        return []
    target = tracking["TargetValue"]
    sides = [("AlarmHigh", "GreaterThanThreshold", target, MINUTES_OUT)]
    if not tracking.get("DisableScaleIn"):
        sides.append(("AlarmLow", "LessThanThreshold", target * IN_FACTOR, MINUTES_IN))
    metric = _metric(policy, tracking)
    return [
        {
            **metric,
            "AlarmName": f"TargetTracking-{policy['ResourceId']}-{side}-{stable_uuid(policy['PolicyARN'], side)}",
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
            "ActionsEnabled": True,
            "AlarmActions": [policy["PolicyARN"]],
            "ComparisonOperator": operator,
            "Threshold": threshold,
            "EvaluationPeriods": periods,
        }
        for side, operator, threshold, periods in sides
    ]


def _metric(policy: Mapping[str, Any], tracking: Mapping[str, Any]) -> dict[str, Any]:
    custom = tracking.get("CustomizedMetricSpecification")
    if custom is not None:
        if custom.get("Metrics"):
            raise AwsError("NotCarried", "Metric math in a scaling policy is not carried by the emulated cloud", 501)
        return {
            "Namespace": custom["Namespace"],
            "MetricName": custom["MetricName"],
            "Statistic": custom["Statistic"],
            "Period": 60,
            "Dimensions": [dict(entry) for entry in custom.get("Dimensions", ())],
        }
    kind = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if kind not in _PREDEFINED:
        raise AwsError(
            "ValidationException",
            f"PredefinedMetricType {kind} is not one that the emulated cloud carries for a variant: "
            f"{', '.join(sorted(_PREDEFINED))}",
        )
    namespace, name, statistic, period = _PREDEFINED[kind]
    _, endpoint, _, variant = policy["ResourceId"].split("/")
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Statistic": statistic,
        "Period": period,
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
    }
