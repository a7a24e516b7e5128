"""Drills of instances: more of them than the files say, others, none to be had."""

from __future__ import annotations

from typing import Any

from infra.rehearsal.drills.assertions import always
from infra.rehearsal.drills.bad_canaries import never_came_up
from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.drill import Drill, DrillFailed, Protection
from infra.rehearsal.drills.protections import made_into, without_refusal, without_verdict
from infra.rehearsal.drills.stage import Stage, expect

SCALED: dict[str, Any] = {"minimum": 2, "maximum": 6, "invocations_per_instance_per_minute": 100_000}
PROTECTION = "mainstage:deletion_protection"
TYPE, OTHER_TYPE, THIRD_TYPE = "ml.m5.large", "ml.c5.large", "ml.m5.xlarge"


def instances(stage: Stage) -> int:
    return sum(each["DesiredInstanceCount"] for each in stage.live().get("ProductionVariants", ()))


def scaled_out(stage: Stage) -> None:
    capacity = {"instance_type": TYPE, "instance_count": 2, "autoscaling": SCALED}
    old = stage.begin(capacity=capacity)
    stage.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=stage.endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "stable", "DesiredInstanceCount": 4}],
    )
    stage.timeline.mark("the load has scaled the endpoint out to 4 instances")
    went = stage.release(2)
    expect(went, not went.ok, f"a release began with fewer instances than were live; {instances(stage)} are now")
    expect(instances(stage), instances(stage) == 4, "4 instances had to stay")
    stage.world.write(stage.model, capacity={**capacity, "instance_count": 4}, awaiting=None, stable=2, keep=[1])
    stage.timeline.mark("the catalog asks for 4 instances for this release")
    went = stage.up()
    expect(went, went.ok, f"with as many instances as are live it was not released: {went.told}")
    expect(instances(stage), instances(stage) == 4, "4 instances had to serve")
    always(stage, 2, old=old)


def other_instance_type(stage: Stage) -> None:
    capacity = {"instance_type": TYPE, "instance_count": 2, "autoscaling": SCALED}
    # What staging and prod have: a configuration that the files do not declare any more stays in AWS.
    stage.config = {PROTECTION: "true"}
    old = stage.begin(capacity=capacity)
    stage.register(2)
    stage.world.write(
        stage.model, capacity={**capacity, "instance_type": OTHER_TYPE}, awaiting=None, stable=2, keep=[1]
    )
    stage.timeline.mark(f"the catalog asks for version 2 on {OTHER_TYPE}")
    went = stage.up()
    expect(went, went.ok, f"another instance type was not released: {went.told}")
    scales(stage, "after the release")
    stage.register(3, Behaviour(crashes=True))
    third = {**capacity, "instance_type": THIRD_TYPE}
    stage.world.write(stage.model, capacity=third, awaiting=None, stable=3, keep=[1, 2])
    stage.timeline.mark(f"the catalog asks for version 3 on {THIRD_TYPE}")
    went = stage.up()
    expect(went, not went.ok, "a version that never came up ended 0")
    scales(stage, "after a release that failed")
    expect(went := stage.release(4, keep=(1, 2)), went.ok, f"the version that mends it was not released: {went.told}")
    stage.config = {}
    always(stage, 4, old=old)


def scales(stage: Stage, when: str) -> None:
    """Application Auto Scaling has the variant, and its policy."""
    scaling = stage.client("application-autoscaling")
    resource = f"endpoint/{stage.endpoint}/variant/stable"
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])["ScalableTargets"]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)["ScalingPolicies"]
    if len(targets) != 1 or len(policies) != 1:
        raise DrillFailed(f"{when} the variant has {len(targets)} scalable targets and {len(policies)} policies")


def finds_no_instances(stage: Stage, reason: str) -> None:
    """A release of version 2 while there are none to be had; there are again afterwards."""
    try:
        never_came_up(stage.release(2), reason)
        stage.minutes(1)
    finally:
        stage.world.cloud.capacity.restore(TYPE)


def quota(stage: Stage) -> None:
    old = stage.begin()
    stage.world.cloud.capacity.limit(TYPE, 3)
    stage.timeline.mark(f"the account's quota is 3 {TYPE}")
    finds_no_instances(stage, "ResourceLimitExceeded")
    stage.timeline.mark("the quota is raised")
    always(stage, 2, old=old)


def sold_out(stage: Stage) -> None:
    old = stage.begin()
    stage.world.cloud.capacity.exhaust(TYPE, after_seconds=180)
    stage.timeline.mark(f"AWS has no more {TYPE}, and says so after minutes")
    finds_no_instances(stage, "InsufficientInstanceCapacity")
    stage.ask_for(1)
    always(stage, 1, old=old)


DRILLS = (
    Drill(
        "scaled-out",
        "A release while the endpoint is scaled out",
        "A release never begins with fewer instances than are live: it is refused until the files have as many.",
        Protection("live instances are counted before an update", without_refusal("fewer")),
        scaled_out,
    ),
    Drill(
        "other-instance-type",
        "Another instance type under autoscaling",
        "Autoscaling is taken off for the release and is on again after it, also when the release fails.",
        Protection(
            "autoscaling is registered again",
            made_into("mainstage._release_scaling:put_back", lambda *_given, **_named: None),
        ),
        other_instance_type,
    ),
    Drill(
        "quota",
        "The quota has no room for a second fleet",
        "SageMaker refuses at once: nothing changes for clients, and up says what serves and what to do.",
        Protection(
            "one message for every way that a release fails",
            made_into("mainstage._release_verdict:told", lambda *_given, **_named: "the update failed"),
        ),
        quota,
    ),
    Drill(
        "sold-out",
        "AWS has no instances, and says so after minutes",
        "The old version serves on, and up ends with an error although the provider calls the update done.",
        Protection("the live endpoint is read back after the update", without_verdict),
        sold_out,
    ),
)
