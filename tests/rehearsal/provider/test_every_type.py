"""What holds for every row: a quiet second up, complete outputs, names that exist, a clean delete."""

from __future__ import annotations

import pytest
from provider_driver import CheckFailed, Driver
from provider_world import SAMPLES, World

from infra.rehearsal.provider import UNKNOWN, ProviderError
from infra.rehearsal.provider.rows import ROWS

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


SURVIVES_DELETE = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",  # lives and dies with its VPC
    "aws:sns/topicPolicy:TopicPolicy",  # the default policy is back
    "aws:s3/bucketVersioning:BucketVersioning",  # suspended, never off
}


GONE_IS_AN_ERROR = {
    "aws:athena/namedQuery:NamedQuery": "does not exist",
    "aws:athena/workgroup:Workgroup": "is not found",
    "aws:cloudwatch/dashboard:Dashboard": "ResourceNotFound",
}
"""The real provider's Delete forgives nothing there (athena/named_query.go, athena/workgroup.go,
cloudwatch/dashboard.go)."""


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_quiet_second_up_complete_outputs_clean_delete(type_token: str, engine: Driver, world: World) -> None:
    inputs = SAMPLES[type_token](world)
    made = engine.create(type_token, "sample", **inputs)
    assert engine.changed(made, **inputs) == {}
    missing = ROWS[type_token].schema.output_only - set(made.outputs)
    assert missing == OUTPUTS_AWS_LEAVES_EMPTY.get(type_token, set())

    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.inputs == made.inputs
    assert refreshed.outputs == made.outputs
    assert engine.changed(refreshed, **inputs) == {}

    engine.delete(made)
    assert (engine.read(made) is not None) == (type_token in SURVIVES_DELETE)
    if type_token in GONE_IS_AN_ERROR:
        with pytest.raises(ProviderError, match=GONE_IS_AN_ERROR[type_token]):
            engine.delete(made)
    else:
        engine.delete(made)  # gone already is done


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_preview_and_what_check_refuses(type_token: str, engine: Driver, world: World) -> None:
    """Preview: arguments known, the rest unknown. Check: nothing is dropped in silence; each argument of the SDK has a
    rule (create, step, state) or is refused by name."""
    row, sample = ROWS[type_token], SAMPLES[type_token](world)
    planned = engine.preview(type_token, "sample", **sample)
    for name in row.schema.output_only - {"tagsAll", "region"}:
        assert planned[name] == UNKNOWN, name
    for name, value in sample.items():
        assert planned[name] == value or name in {"rules", "productionVariants", "primaryContainer"}

    with pytest.raises(CheckFailed) as caught:
        engine.check(type_token, "sample", {**sample, "definitelyNot": 1})
    assert "definitelyNot" in caught.value.failures

    handled = {name for step in row.steps for name in step.inputs} | {"region", "tags"}
    handled |= row.state_only | row.never_sent | row.nothing
    handled = handled.union(*(call.only or () for call in row.calls))
    values = {"string": "x", "integer": 1, "number": 1, "boolean": True, "list": [], "map": {"a": "b"}}
    for name, wanted in row.schema.inputs.items():
        if name not in handled and name not in sample:
            with pytest.raises(CheckFailed) as caught:
                engine.check(type_token, "sample", {**sample, name: values.get(wanted.kind, {})})
            assert any(path.split(".")[0].split("[")[0] == name for path in caught.value.failures), name


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
