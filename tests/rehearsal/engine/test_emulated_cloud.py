"""The engine with the emulated AWS and its provider: what holds for a small provider holds for the real table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws
import pytest

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.engine import UNKNOWN, Engine, Result, RunFailed
from infra.rehearsal.provider import AwsProvider

ACCOUNT_ID = "111111111111"
REGION = "eu-west-1"
CONFIG = {"pulumi:disable-default-providers": json.dumps(["aws"])}


class Rig:
    def __init__(self, cloud: Cloud, state_file: Path):
        self.cloud = cloud
        self.engine = Engine(provider=AwsProvider(cloud.session, clock=cloud.clock), state_file=state_file)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def up(self, program: Any, **options: Any) -> Result:
        return self.engine.up("platform-dev", program, CONFIG, **options)

    def preview(self, program: Any) -> Result:
        return self.engine.preview("platform-dev", program, CONFIG)


@pytest.fixture
def rig(cloud: Cloud, tmp_path: Path) -> Rig:
    return Rig(cloud, tmp_path / "state.json")


def explicit(**more: Any) -> pulumi.ResourceOptions:
    provider = aws.Provider(
        "here", region=REGION, allowed_account_ids=[ACCOUNT_ID], default_tags={"tags": {"made-by": "a test"}}
    )
    return pulumi.ResourceOptions(provider=provider, **more)


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def program(color: str = "red", *, topic: bool = True) -> Any:
    def body() -> None:
        options = explicit()
        bucket = aws.s3.Bucket("data", tags={"color": color}, opts=options)
        role = aws.iam.Role("runs", assume_role_policy=TRUST, opts=options)
        aws.iam.RolePolicy(
            "reads",
            role=role.name,
            policy=bucket.arn.apply(
                lambda arn: json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/*"}],
                    }
                )
            ),
            opts=options,
        )
        if topic:
            aws.sns.Topic("pager", opts=options)
        pulumi.export("bucket", bucket.bucket)
        pulumi.export("role_arn", role.arn)

    return body


def test_up_makes_what_boto3_then_finds_and_a_second_up_changes_nothing(rig):
    preview = rig.preview(program()).check()
    assert preview.changes["create"] == 6
    assert preview.outputs["role_arn"] is UNKNOWN
    assert rig.client("s3").list_buckets()["Buckets"] == []

    outputs = rig.up(program()).check().outputs
    tags = rig.client("s3").get_bucket_tagging(Bucket=outputs["bucket"])["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"color": "red", "made-by": "a test"}
    assert rig.client("iam").get_role(RoleName=outputs["role_arn"].split("/")[-1])["Role"]["Arn"] == outputs["role_arn"]

    for again in (rig.preview(program()), rig.up(program())):
        assert again.check().changes == {"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 6}


def test_what_was_changed_behind_its_back_is_put_right(rig):
    outputs = rig.up(program()).check().outputs
    rig.client("s3").put_bucket_tagging(
        Bucket=outputs["bucket"], Tagging={"TagSet": [{"Key": "color", "Value": "blue"}]}
    )
    found = rig.engine.refresh("platform-dev").check()
    assert found.changes["update"] == 1
    assert rig.up(program()).check().changes["update"] == 1
    tags = rig.client("s3").get_bucket_tagging(Bucket=outputs["bucket"])["TagSet"]
    assert {"Key": "color", "Value": "red"} in tags


def test_what_was_deleted_behind_its_back_is_made_again(rig):
    topic = rig.up(program()).check().one("aws:sns/topic:Topic").outputs["arn"]
    rig.client("sns").delete_topic(TopicArn=topic)
    result = rig.up(program()).check()
    assert (result.changes["create"], result.changes["refresh"]) == (1, 1)


def test_what_the_program_drops_goes_and_destroy_leaves_nothing(rig):
    rig.up(program()).check()
    assert rig.up(program(topic=False)).check().changes["delete"] == 1
    assert rig.client("sns").list_topics()["Topics"] == []
    rig.engine.destroy("platform-dev").check()
    assert rig.client("s3").list_buckets()["Buckets"] == []
    assert rig.engine.state.stacks() == []


def test_a_refused_call_names_the_resource_and_aws_s_words(rig):
    def body() -> None:
        options = explicit()
        first = aws.s3.Bucket("first", bucket="one-name-only", opts=options)
        aws.s3.BucketPolicy("policy", bucket=first.bucket, policy="{}", opts=options)

    result = rig.up(body)
    assert isinstance(result.error, RunFailed)
    assert "aws:s3/bucketPolicy:BucketPolicy::policy" in result.error.failures[0].urn
    assert rig.client("s3").list_buckets()["Buckets"][0]["Name"] == "one-name-only"
    names = [item.name for item in rig.engine.state.resources("platform-dev")]
    assert "first" in names
    assert "policy" not in names


def test_the_wrong_account_is_refused_before_anything_is_made(rig):
    def body() -> None:
        provider = aws.Provider("elsewhere", region=REGION, allowed_account_ids=["999999999999"])
        aws.s3.Bucket("data", opts=pulumi.ResourceOptions(provider=provider))

    result = rig.up(body)
    assert isinstance(result.error, RunFailed)
    assert ACCOUNT_ID in str(result.error)
    assert rig.client("s3").list_buckets()["Buckets"] == []


def test_a_bad_value_beside_an_unknown_one_fails_in_the_preview(rig):
    def body() -> None:
        options = explicit()
        topic = aws.sns.Topic("pager", opts=options)
        aws.cloudwatch.MetricAlarm(
            "alarm",
            comparison_operator="GreaterThanEver",
            evaluation_periods=1,
            metric_name="Invocations",
            namespace="AWS/SageMaker",
            period=60,
            statistic="Sum",
            threshold=1,
            alarm_actions=[topic.arn],
            opts=options,
        )

    result = rig.preview(body)
    assert isinstance(result.error, RunFailed)
    assert "GreaterThanEver" in str(result.error)


def test_the_provider_works_over_an_endpoint_all_the_same(rig, tmp_path):
    endpoint = rig.cloud.serve()
    keys = {"aws_access_key_id": "AKIAREHEARSALOPERATR", "aws_secret_access_key": "rehearsal", "region_name": REGION}

    class Remote(boto3.Session):
        def client(self, *arguments: Any, **options: Any) -> Any:
            options.setdefault("endpoint_url", endpoint)
            return super().client(*arguments, **options)

    engine = Engine(provider=AwsProvider(lambda: Remote(**keys), clock=rig.cloud.clock))
    assert engine.up("platform-dev", program(), CONFIG).check().changes["create"] == 6
    assert engine.up("platform-dev", program(), CONFIG).check().changes["same"] == 6
