"""Application Auto Scaling: scalable targets and policies, with the two alarms of a target tracking policy.

Kept here whole: moto stores targets of things that do not exist and policies of targets that were never registered.
Nothing is scaled: the alarms are evaluated, and that their scaling action was not executed stands in their history.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import arn, page, partition_of, picked, stable_uuid
from infra.rehearsal.cloud.overlay.cloudwatch_alarms import alarms_of
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of
from infra.rehearsal.cloud.overlay.scaling_alarms import tracking_alarms
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

VARIANT_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_NOT_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}
Key = tuple[str, str, str, str]
"""Region, service namespace, resource id, scalable dimension."""


class Scaling:
    """Targets and their policies."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.targets: dict[Key, dict[str, Any]] = {}
        self.policies: dict[tuple[Key, str], dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def close(self) -> None:
        """Nothing runs here."""


def scaling_of(cloud: Cloud) -> Scaling:
    return state_of(cloud, Scaling)


def is_registered(cloud: Cloud, region: str, resource_id: str) -> bool:
    """Whether a SageMaker variant is a scalable target."""
    return (region, "sagemaker", resource_id, VARIANT_DIMENSION) in scaling_of(cloud).targets


@handler("application-autoscaling", "RegisterScalableTarget")
def register_scalable_target(call: Call) -> dict[str, Any]:
    """Registers a variant that exists, or changes the members that are given. Both capacities are needed at first."""
    scaling, asked, key = scaling_of(call.cloud), call.params, _key(call)
    _check_resource(call)
    with scaling.lock:
        target = scaling.targets.get(key)
        if target is None:
            missing = [member for member in ("MinCapacity", "MaxCapacity") if asked.get(member) is None]
            if missing:
                raise AwsError(
                    "ValidationException", f"{' and '.join(missing)} must be specified to register a scalable target."
                )  # wording unconfirmed
            target = {
                **picked(asked, ("ServiceNamespace", "ResourceId", "ScalableDimension")),
                "RoleARN": _service_role(call),
                "CreationTime": call.cloud.clock.now(),
                "SuspendedState": dict(_NOT_SUSPENDED),
                "ScalableTargetARN": arn(call, f"scalable-target/{stable_uuid(*key).replace('-', '')}"),
            }
        changed = {**target, **picked(asked, ("MinCapacity", "MaxCapacity"))}
        changed["SuspendedState"] = {**target["SuspendedState"], **(asked.get("SuspendedState") or {})}
        if changed["MinCapacity"] > changed["MaxCapacity"]:
            raise AwsError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
        scaling.targets[key] = changed
        scaling.tags.setdefault(changed["ScalableTargetARN"], {}).update(asked.get("Tags") or {})
    return {"ScalableTargetARN": changed["ScalableTargetARN"]}


@handler("application-autoscaling", "DescribeScalableTargets")
def describe_scalable_targets(call: Call) -> dict[str, Any]:
    asked = call.params
    wanted = asked.get("ResourceIds") or []
    found = [
        target for key, target in _matching(call, scaling_of(call.cloud).targets) if not wanted or key[2] in wanted
    ]
    targets, token = page(
        found, asked.get("NextToken"), asked.get("MaxResults") or 50, error="InvalidNextTokenException"
    )
    return {"ScalableTargets": targets, **({"NextToken": token} if token else {})}


@handler("application-autoscaling", "DeregisterScalableTarget")
def deregister_scalable_target(call: Call) -> dict[str, Any]:
    """Deregistering takes the target's policies, and with them their alarms (API reference)."""
    scaling, key = scaling_of(call.cloud), _key(call)
    with scaling.lock:
        target = scaling.targets.pop(key, None)
        if target is None:
            raise _no_target(call, "found")
        scaling.tags.pop(target["ScalableTargetARN"], None)
        for policy_key in [policy_key for policy_key in scaling.policies if policy_key[0] == key]:
            _drop_alarms(call, scaling.policies.pop(policy_key))
    return {}


@handler("application-autoscaling", "PutScalingPolicy")
def put_scaling_policy(call: Call) -> dict[str, Any]:
    """Makes or changes a policy of a registered target. A target tracking policy makes two alarms and keeps their
    names."""
    scaling, asked, key = scaling_of(call.cloud), call.params, _key(call)
    name = asked["PolicyName"]
    with scaling.lock:
        if key not in scaling.targets:
            raise _no_target(call, "registered", code="ObjectNotFoundException")
        old = scaling.policies.get((key, name))
        policy: dict[str, Any] = {
            **(
                old or {"PolicyARN": _policy_arn(call, key, name), "CreationTime": call.cloud.clock.now(), "Alarms": []}
            ),
            **picked(asked, ("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension")),
            "PolicyType": asked.get("PolicyType") or (old or {}).get("PolicyType", "StepScaling"),
        }
        configuration = {
            "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
            "StepScaling": "StepScalingPolicyConfiguration",
        }.get(policy["PolicyType"])
        if configuration is None:
            raise AwsError(
                "NotCarried", f"Policy type {policy['PolicyType']} is not carried by the emulated cloud", 501
            )
        if asked.get(configuration):
            policy = {member: value for member, value in policy.items() if not member.endswith("PolicyConfiguration")}
            policy[configuration] = copy.deepcopy(asked[configuration])
        if configuration not in policy:
            raise AwsError(
                "ValidationException", f"{configuration} is required for a policy of type {policy['PolicyType']}."
            )  # wording unconfirmed
        _drop_alarms(call, policy)
        policy["Alarms"] = _make_alarms(call, policy)
        scaling.policies[key, name] = policy
    return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}


@handler("application-autoscaling", "DescribeScalingPolicies")
def describe_scaling_policies(call: Call) -> dict[str, Any]:
    asked = call.params
    names = asked.get("PolicyNames") or []
    policies = scaling_of(call.cloud).policies
    by_key = {(*key, name): policy for (key, name), policy in list(policies.items())}
    found = [
        policy
        for key, policy in _matching(call, by_key)
        if asked.get("ResourceId") in (None, key[2]) and (not names or policy["PolicyName"] in names)
    ]
    entries, token = page(
        found, asked.get("NextToken"), asked.get("MaxResults") or 10, error="InvalidNextTokenException"
    )
    return {"ScalingPolicies": entries, **({"NextToken": token} if token else {})}


@handler("application-autoscaling", "DeleteScalingPolicy")
def delete_scaling_policy(call: Call) -> dict[str, Any]:
    scaling, key, name = scaling_of(call.cloud), _key(call), call.params["PolicyName"]
    with scaling.lock:
        policy = scaling.policies.pop((key, name), None)
        if policy is None:
            raise AwsError(
                "ObjectNotFoundException", f"No scaling policy found for {_described(call)}, policy name: {name}"
            )
        _drop_alarms(call, policy)
    return {}


@handler("application-autoscaling", "TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    _tags(call).update(call.params["Tags"])
    return {}


@handler("application-autoscaling", "UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    tags = _tags(call)
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@handler("application-autoscaling", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    return {"Tags": dict(_tags(call))}


def _tags(call: Call) -> dict[str, str]:
    wanted = call.params["ResourceARN"]
    tags = scaling_of(call.cloud).tags.get(wanted)
    if tags is None:
        raise AwsError("ResourceNotFoundException", f"The resource {wanted} does not exist.")
    return tags


def _key(call: Call) -> Key:
    asked = call.params
    return call.region, asked["ServiceNamespace"], asked["ResourceId"], asked["ScalableDimension"]


def _matching(call: Call, table: Mapping[Any, dict[str, Any]]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The entries of the call's region, namespace and dimension, in order. Others may change the table meanwhile."""
    asked = call.params
    for key, entry in sorted(list(table.items()), key=lambda each: each[0]):
        if key[:2] == (call.region, asked["ServiceNamespace"]) and asked.get("ScalableDimension") in (None, key[3]):
            yield key, entry


def _check_resource(call: Call) -> None:
    """The target must be a variant that serves. Other services are not carried. The wordings are unconfirmed."""
    asked = call.params
    if asked["ServiceNamespace"] != "sagemaker" or asked["ScalableDimension"] != VARIANT_DIMENSION:
        raise AwsError(
            "NotCarried",
            f"Scalable targets of {asked['ServiceNamespace']} ({asked['ScalableDimension']}) are not carried by the "
            f"emulated cloud; sagemaker with {VARIANT_DIMENSION} is",
            501,
        )
    # The validator has seen to the form: endpoint/NAME/variant/NAME.
    _, name, _, variant = asked["ResourceId"].split("/")
    endpoint = sagemaker_of(call.cloud).endpoints.get((call.region, name))
    if endpoint is None:
        raise AwsError("ValidationException", f"SageMaker endpoint doesn't exist: {asked['ResourceId']}")
    if endpoint.fleet is None or variant not in endpoint.fleet.production:
        raise AwsError("ValidationException", f"SageMaker variant doesn't exist: {asked['ResourceId']}")


def _no_target(call: Call, participle: str, code: str = "ObjectNotFoundException") -> AwsError:
    return AwsError(code, f"No scalable target {participle} for {_described(call)}")


def _described(call: Call) -> str:
    asked = call.params
    return (
        f"service namespace: {asked['ServiceNamespace']}, resource ID: {asked['ResourceId']}, scalable dimension: "
        f"{asked['ScalableDimension']}"
    )


def _service_role(call: Call) -> str:
    """The service-linked role: it comes back whatever role is given (user guide, "Service-linked roles")."""
    return (
        f"arn:{partition_of(call.region)}:iam::{call.account_id}:role/aws-service-role/sagemaker.application-autoscaling."
        "amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )


def _policy_arn(call: Call, key: Key, name: str) -> str:
    resource = f"scalingPolicy:{stable_uuid(*key, name)}:resource/{key[1]}/{key[2]}:policyName/{name}"
    return arn(call, resource, "autoscaling")


def _make_alarms(call: Call, policy: Mapping[str, Any]) -> list[dict[str, str]]:
    made = []
    for settings in tracking_alarms(policy):
        alarm_arn = arn(call, f"alarm:{settings['AlarmName']}", "cloudwatch")
        alarms_of(call.cloud).put(call.region, alarm_arn, settings, {})
        made.append({"AlarmName": settings["AlarmName"], "AlarmARN": alarm_arn})
    return made


def _drop_alarms(call: Call, policy: Mapping[str, Any]) -> None:
    alarms = alarms_of(call.cloud)
    for entry in policy["Alarms"]:
        if alarms.get(call.region, entry["AlarmName"]) is not None:
            alarms.delete(call.region, entry["AlarmName"])
