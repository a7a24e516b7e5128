"""Law 6 by the real `pulumi`: what serves stays, in AWS and in the state, while no program declares it any more."""

from __future__ import annotations

from pair import Pair, no_poll_meets_a_rollback_of, serving_version

from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.capacity import OTHER_TYPE, TYPE
from infra.rehearsal.drills.real_pulumi import RealPulumi
from infra.rehearsal.drills.stage import Stage
from infra.rehearsal.drills.world import MODELS


def test_a_release_on_another_instance_type_that_the_provider_calls_done(pair: Pair) -> None:
    """The hook that finds it taken back comes after the engine's step, which has ended well."""
    stage = pair.other
    good, version = stage.serving, serving_version(stage)
    bad = pair.next_version(behaviour=Behaviour())
    stage.register(bad, Behaviour(crashes=True))
    ask(stage, bad, OTHER_TYPE, keep=[version])
    with no_poll_meets_a_rollback_of(stage):
        went = pair.up()
    assert not went.ok
    assert "RollingBack" not in went.told
    assert f"model {stage.model} version {bad} is not what this run leaves on endpoint {stage.endpoint}" in went.told
    assert stage.serving == good
    is_whole(stage)
    # Back to what serves: it is in the state still, and what was left over goes.
    ask(stage, version, TYPE, keep=[])
    went = pair.up()
    assert went.ok, went.told
    assert stage.serving == good
    is_whole(stage)
    left = stage.client("sagemaker").list_endpoint_configs(NameContains=f"{stage.endpoint}-v{bad}-")
    assert left["EndpointConfigs"] == []


def ask(stage: Stage, version: int, instance_type: str, *, keep: list[int]) -> None:
    capacity = {"instance_type": instance_type, "instance_count": 2}
    stage.world.write(stage.model, capacity=capacity, awaiting=None, stable=version, keep=keep)


def is_whole(stage: Stage) -> None:
    """What serves exists in SageMaker with its model, and the state has both."""
    sagemaker = stage.client("sagemaker")
    [variant] = sagemaker.describe_endpoint_config(EndpointConfigName=stage.serving)["ProductionVariants"]
    sagemaker.describe_model(ModelName=variant["ModelName"])
    engines = stage.world.engines
    assert isinstance(engines, RealPulumi)
    ids = {each.get("id") for each in engines.cli.state(MODELS)["deployment"]["resources"]}
    assert {stage.serving, variant["ModelName"]} <= ids
