"""Scalable targets and policies: internal/service/appautoscaling/target.go, policy.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, conflicts, one_of, step
from infra.rehearsal.provider.tags import by_arn, mapped_tagging, optional
from infra.rehearsal.provider.translate import Call

SERVICE = "application-autoscaling"
_GONE = ("ObjectNotFoundException",)
_KEYS = ("resourceId", "scalableDimension", "serviceNamespace")


def _keys(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name[0].upper() + name[1:]: values[name] for name in _KEYS}


# -- aws:appautoscaling/target:Target ----------------------------------------------------------------------

_REGISTER = Call(
    SERVICE,
    "RegisterScalableTarget",
    only=frozenset({"maxCapacity", "minCapacity", "roleArn", "suspendedState", *_KEYS}),
)


def _register(op: Operation) -> None:
    """A SageMaker variant that does not exist yet is not retried: depend on the endpoint."""
    tags = {} if op.id else optional("Tags", op.wanted_tags())
    op.retry(
        lambda: op.send(_REGISTER, **tags),
        lambda error: error.says("Unable to assume IAM role", "ECS service doesn't exist"),
        "2 min",
    )
    op.created(op.inputs["resourceId"])


def _target(op: Operation) -> Any | None:
    asked = {**op.state, **op.inputs}
    answer = op.call(
        SERVICE,
        "DescribeScalableTargets",
        ServiceNamespace=asked["serviceNamespace"],
        ResourceIds=[asked["resourceId"]],
        ScalableDimension=asked["scalableDimension"],
    )
    return answer["ScalableTargets"][0] if answer["ScalableTargets"] else None


def _read_target(op: Operation) -> Mapping[str, Any] | None:
    target = _target(op)
    if target is None:
        return None
    live = op.described(SERVICE, "DescribeScalableTargets", "ScalableTargets", target)
    arn = target.get("ScalableTargetARN")
    tags = op.call(SERVICE, "ListTagsForResource", ResourceARN=arn).get("Tags") if arn else None
    return live | op.shown_tags(tags or {}) | {"arn": arn}


def _deregister(op: Operation) -> None:
    """The service deletes the policies and scheduled actions of the target with it."""
    if op.gone(lambda: op.call(SERVICE, "DeregisterScalableTarget", **_keys(op.state)), *_GONE):
        return
    op.wait(
        lambda: "gone" if _target(op) is None else "found",
        pending={"found"},
        target={"gone"},
        timeout_seconds=300,
        what=f"Application AutoScaling Target ({op.id}) delete",
    )


def _target_from_id(id: str) -> tuple[str, Mapping[str, Any]]:
    namespace, _, rest = id.partition("/")
    resource, _, dimension = rest.rpartition("/")
    return resource, {"serviceNamespace": namespace, "resourceId": resource, "scalableDimension": dimension}


TARGET = Row(
    type="aws:appautoscaling/target:Target",
    source="appautoscaling/target.go",
    label="Application AutoScaling Target",
    create=_register,
    read=_read_target,
    delete=_deregister,
    calls=(_REGISTER,),
    steps=(step(_register, "maxCapacity", "minCapacity", "roleArn", "suspendedState"),),
    force_new=frozenset(_KEYS),
    # The service-linked role comes back for a role that was left out.
    computed=frozenset({"roleArn", "suspendedState"}),
    from_id=_target_from_id,
    tagging=mapped_tagging(SERVICE, "ResourceARN", by_arn),
)

# -- aws:appautoscaling/policy:Policy -----------------------------------------------------------------------

_CONFIGURATIONS = (
    "predictiveScalingPolicyConfiguration",
    "stepScalingPolicyConfiguration",
    "targetTrackingScalingPolicyConfiguration",
)
_TRACKING = "targetTrackingScalingPolicyConfiguration"
_PUT = Call(
    SERVICE,
    "PutScalingPolicy",
    rules={"name": "PolicyName"},
    only=frozenset({"name", "policyType", "stepScalingPolicyConfiguration", _TRACKING, *_KEYS}),
)


def _put(op: Operation) -> None:
    op.retry(
        lambda: op.send(_PUT),
        lambda error: error.is_code("ObjectNotFoundException", "FailedResourceAccessException"),
        "2 min",
    )
    op.created(op.inputs["name"])


def _policy(op: Operation) -> Any | None:
    asked = {**op.state, **op.inputs}
    answer = op.call(
        SERVICE,
        "DescribeScalingPolicies",
        PolicyNames=[op.id],
        **_keys(asked),
    )
    return answer["ScalingPolicies"][0] if answer["ScalingPolicies"] else None


def _read_policy(op: Operation) -> Mapping[str, Any] | None:
    policy = _policy(op)
    if policy is None:
        return None
    live = op.described(SERVICE, "DescribeScalingPolicies", "ScalingPolicies", policy, {"name": "PolicyName"})
    return live | {
        "alarmArns": [alarm["AlarmARN"] for alarm in policy.get("Alarms") or []],
        "arn": policy["PolicyARN"],
    }


def _delete_policy(op: Operation) -> None:
    if _policy(op) is not None:
        op.gone(
            lambda: op.call(SERVICE, "DeleteScalingPolicy", PolicyName=op.id, **_keys(op.state)),
            *_GONE,
        )


def _policy_from_id(id: str) -> tuple[str, Mapping[str, Any]]:
    rest, _, name = id.rpartition("/")
    _, keys = _target_from_id(rest)
    return name, {**keys, "name": name}


def _policy_rules(inputs: Inputs) -> Iterable[Problem]:
    tracking = inputs.get(_TRACKING)
    if isinstance(tracking, Mapping):
        yield from (
            (f"{_TRACKING}.{path}", reason)
            for path, reason in conflicts("customizedMetricSpecification", "predefinedMetricSpecification")(tracking)
        )


POLICY = Row(
    type="aws:appautoscaling/policy:Policy",
    source="appautoscaling/policy.go",
    label="Application AutoScaling Policy",
    create=_put,
    read=_read_policy,
    delete=_delete_policy,
    calls=(_PUT,),
    steps=(step(_put, "policyType", *_CONFIGURATIONS),),
    name=AutoName(),
    force_new=frozenset({"name", *_KEYS}),
    # StepScaling is the default: a target-tracking policy must say its type.
    defaults={"policyType": "StepScaling", f"{_TRACKING}.disableScaleIn": False},
    recomputed={"alarmArns": frozenset({"policyType", *_CONFIGURATIONS})},
    rules=(one_of("policyType", "StepScaling", "TargetTrackingScaling", "PredictiveScaling"), _policy_rules),
    from_id=_policy_from_id,
)

ROWS = (TARGET, POLICY)
