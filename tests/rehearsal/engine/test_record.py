"""`record`: what component tests stand on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.rehearsal.engine import UNKNOWN, record, recording_engine


def program() -> None:
    key = aws.kms.Key("key", enable_key_rotation=True)
    bucket = aws.s3.Bucket("data", tags={"owner": "me"})
    role = aws.iam.Role("role", name="runs", assume_role_policy="{}")
    repository = aws.ecr.Repository("images", encryption_configurations=[{"kms_key": key.arn}])
    topic = aws.sns.Topic("pager", kms_master_key_id=key.id)
    pulumi.export("arns", [key.arn, bucket.arn, role.arn, repository.arn, topic.arn])
    pulumi.export("url", repository.repository_url)
    pulumi.export("names", [bucket.bucket, role.name, role.id])
    pulumi.export("tags", bucket.tags_all)


def test_computed_outputs_look_like_what_they_are():
    outputs = record(program).check().outputs
    key_arn, bucket_arn, role_arn, repository_arn, topic_arn = outputs["arns"]
    assert key_arn.startswith("arn:aws:kms:eu-west-1:123456789012:key/key-")
    assert bucket_arn.startswith("arn:aws:s3:::data-")
    assert role_arn == "arn:aws:iam::123456789012:role/runs"
    assert repository_arn.startswith("arn:aws:ecr:eu-west-1:123456789012:repository/images-")
    assert topic_arn.startswith("arn:aws:sns:eu-west-1:123456789012:pager-")
    assert outputs["url"].startswith("123456789012.dkr.ecr.eu-west-1.amazonaws.com/images-")
    assert outputs["names"][1:] == ["runs", "runs"]
    assert outputs["tags"] == {"owner": "me"}


def test_two_recordings_are_the_same():
    first, second = record(program), record(program)
    assert first.outputs == second.outputs
    assert sorted(map(repr, first.resources)) == sorted(map(repr, second.resources))


def test_in_a_preview_what_is_computed_is_unknown_and_what_is_given_is_not():
    result = record(program, preview=True).check()
    assert result.outputs["arns"] == [UNKNOWN] * 5
    assert result.named("images").inputs == {"encryptionConfigurations": [{"kmsKey": UNKNOWN}]}
    assert result.named("data").inputs == {"tags": {"owner": "me"}}


def test_outputs_that_may_be_absent_are_absent():
    seen: list[Any] = []

    def body() -> None:
        aws.kms.Key("key").policy.apply(seen.append)
        aws.kms.Key("other").custom_key_store_id.apply(seen.append)

    record(body).check()
    assert seen[-1] is None or None in seen


def test_stack_outputs_are_what_a_reference_finds():
    def body() -> None:
        other = pulumi.StackReference("organization/mainstage/platform-dev")
        pulumi.export("vpc", other.require_output("vpc_id"))
        pulumi.export("token", other.require_output("token"))

    result = record(
        body,
        "models-dev",
        stack_outputs={"platform-dev": {"vpc_id": "vpc-1", "token": "t"}},
        secret_outputs={"platform-dev": ["token"]},
    ).check()
    assert result.outputs == {"vpc": "vpc-1", "token": "t"}
    assert result.secret_outputs == ("token",)
    missing = record(body, "models-dev", stack_outputs={})
    assert 'unknown stack "organization/mainstage/platform-dev"' in str(missing.error)


FAILS = """
import gc
import pulumi
from infra.rehearsal.engine import record

def body():
    other = pulumi.StackReference("organization/mainstage/platform-dev")
    pulumi.export("vpc", other.require_output("vpc_id"))

assert record(body, "models-dev", stack_outputs={}).error is not None
gc.collect()
"""


def test_what_a_failed_program_leaves_behind_is_collected_in_silence():
    """In a process of its own: pytest has its own say in what is warned of."""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", FAILS], capture_output=True, text=True, check=True)
    assert "never awaited" not in done.stderr


def test_answers_can_be_given():
    def body() -> None:
        vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")
        pulumi.export("vpc", [vpc.id, vpc.main_route_table_id])
        pulumi.export("zones", aws.get_availability_zones_output().names)

    result = record(
        body,
        answers={"aws:ec2/vpc:Vpc": lambda inputs: {"id": f"vpc-{inputs['cidrBlock']}", "mainRouteTableId": "rtb-1"}},
        invokes={"aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["a", "b"], "zoneIds": []}},
    ).check()
    assert result.outputs == {"vpc": ["vpc-10.0.0.0/16", "rtb-1"], "zones": ["a", "b"]}


def test_the_usual_functions_are_answered_and_others_are_named():
    def body() -> None:
        pulumi.export("account", aws.get_caller_identity_output().account_id)
        pulumi.export("partition", aws.get_partition_output().dns_suffix)

    assert record(body).check().outputs == {"account": "123456789012", "partition": "amazonaws.com"}
    error = str(record(lambda: aws.get_availability_zones_output() and None).error)
    assert "no answer for the function aws:index/getAvailabilityZones:getAvailabilityZones" in error


def test_other_packages_and_unknown_types_are_echoed():
    def body() -> None:
        resource = pulumi.CustomResource("other:index:Thing", "x", {"size": 1, "made": None})
        pulumi.export("id", resource.id)

    assert record(body).check().outputs["id"].startswith("thing-")


def test_a_component_may_be_recorded_twice_over_the_same_state():
    engine = recording_engine()
    assert engine.up("dev", program, {}).check().changes["create"] == 6
    again = engine.up("dev", program, {}).check()
    assert (again.changes["same"], again.changes["create"], again.changes["update"]) == (6, 0, 0)


def test_what_is_asked_for_wrongly_is_named():
    result = record(program).check()
    with pytest.raises(LookupError, match="0 resources are named 'absent'; registered: key, data"):
        result.named("absent")
    with pytest.raises(LookupError, match="0 resources are aws:s3/bucket:Bucket::other"):
        result.one("aws:s3/bucket:Bucket", "other")
