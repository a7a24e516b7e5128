"""What holds for every row: a quiet second up, complete outputs, names that exist, a clean delete."""

from __future__ import annotations

import pytest
from infra.rehearsal.provider import UNKNOWN
from infra.rehearsal.provider.rows import ROWS
from provider_driver import CheckFailed, Driver
from provider_world import SAMPLES, World

LIVE = {
    "aws:sagemaker/endpoint:Endpoint",
    "aws:appautoscaling/target:Target",
    "aws:appautoscaling/policy:Policy",
}
"""Need an endpoint that serves: test_endpoints.py."""

OUTPUTS_AWS_LEAVES_EMPTY = {
    "aws:ec2/eip:Eip": {"privateDns", "privateIp"},
    "aws:s3/bucket:Bucket": {"websiteDomain", "websiteEndpoint"},
    "aws:s3/bucketObjectv2:BucketObjectv2": {
        "checksumCrc32",
        "checksumCrc32c",
        "checksumCrc64nvme",
        "checksumSha1",
        "checksumSha256",
    },
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": set(),
}


def test_every_row_has_a_sample() -> None:
    assert set(SAMPLES) | LIVE == set(ROWS)


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_second_up_is_quiet_after_create_and_after_refresh(type_token: str, engine: Driver, world: World) -> None:
    inputs = SAMPLES[type_token](world)
    made = engine.create(type_token, "sample", **inputs)
    assert engine.changed(made, **inputs) == {}
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.inputs == made.inputs
    assert refreshed.outputs == made.outputs
    assert engine.changed(refreshed, **inputs) == {}


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_all_outputs_of_the_sdk_are_given(type_token: str, engine: Driver, world: World) -> None:
    made = engine.create(type_token, "sample", **SAMPLES[type_token](world))
    missing = ROWS[type_token].schema.output_only - set(made.outputs)
    assert missing == OUTPUTS_AWS_LEAVES_EMPTY.get(type_token, set())


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_preview_knows_arguments_and_leaves_the_rest_unknown(type_token: str, engine: Driver, world: World) -> None:
    inputs = SAMPLES[type_token](world)
    planned = engine.preview(type_token, "sample", **inputs)
    row = ROWS[type_token]
    for name in row.schema.output_only - {"tagsAll", "region"}:
        assert planned[name] == UNKNOWN, name
    for name, value in inputs.items():
        assert planned[name] == value or name in {"rules", "productionVariants", "primaryContainer"}


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_deleted_is_gone_and_a_second_delete_is_done(type_token: str, engine: Driver, world: World) -> None:
    made = engine.create(type_token, "sample", **SAMPLES[type_token](world))
    engine.delete(made)
    if type_token != "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":  # lives and dies with its VPC
        if type_token != "aws:sns/topicPolicy:TopicPolicy":  # the default policy is back
            if type_token != "aws:s3/bucketVersioning:BucketVersioning":  # suspended, never off
                assert engine.read(made) is None
    engine.delete(made)


@pytest.mark.parametrize("type_token", sorted(ROWS))
def test_paths_of_the_row_exist_in_the_sdk(type_token: str) -> None:
    row = ROWS[type_token]
    paths = (
        row.force_new
        | row.in_place
        | row.nothing
        | row.computed
        | row.sets
        | row.state_only
        | row.never_sent
        | row.checked_late
        | set(row.defaults)
        | set(row.equal)
        | set(row.replaces_when)
        | {name for step in row.steps for name in step.inputs}
    ) - {"*"}
    for path in paths:
        members = row.schema.outputs
        for part in path.split("."):
            assert part in members, f"{type_token} {path}"
            one = members[part]
            inner = one.element if one.kind == "list" and one.element else one
            members = inner.members


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_an_argument_that_does_not_exist_is_named(type_token: str, engine: Driver, world: World) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check(type_token, "sample", {**SAMPLES[type_token](world), "definitelyNot": 1})
    assert "definitelyNot" in caught.value.failures


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_every_argument_of_the_sdk_is_taken_or_refused_by_name(type_token: str, engine: Driver, world: World) -> None:
    """Nothing is dropped in silence: an argument has a rule (create, step, state) or Check names it."""
    row = ROWS[type_token]
    sample = SAMPLES[type_token](world)
    handled = (
        {name for step in row.steps for name in step.inputs}
        | row.state_only
        | row.never_sent
        | row.nothing
        | {"region", "tags"}
    )
    for call in row.calls:
        assert call.only is not None
        handled |= call.only
    for name, wanted in row.schema.inputs.items():
        if name in handled or name in sample:
            continue
        value = {"string": "x", "integer": 1, "number": 1, "boolean": True, "list": [], "map": {"a": "b"}}
        with pytest.raises(CheckFailed) as caught:
            engine.check(type_token, "sample", {**sample, name: value.get(wanted.kind, {})})
        assert any(path.split(".")[0].split("[")[0] == name for path in caught.value.failures), name
