from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from infra.rehearsal.cloud.overlay.sagemaker_store import in_region, sagemaker_of

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:model/m"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:" + "0" * 64},
        "layers": [],
    }
)


def test_a_model_is_described_as_it_was_created(stage):
    assert stage.model(Tags=[{"Key": "team", "Value": "iris"}]) == ARN
    found = stage.sagemaker.describe_model(ModelName="m")
    assert found["ModelName"] == "m"
    assert found["ModelArn"] == ARN
    assert found["ExecutionRoleArn"] == stage.role_arn
    assert found["EnableNetworkIsolation"] is False
    assert found["PrimaryContainer"]["Image"] == stage.image
    assert found["PrimaryContainer"]["Mode"] == "SingleModel"
    assert found["PrimaryContainer"]["Environment"]["ANSWER"] == "m"
    assert stage.sagemaker.list_tags(ResourceArn=ARN)["Tags"] == [{"Key": "team", "Value": "iris"}]
    assert [model["ModelName"] for model in stage.sagemaker.list_models()["Models"]] == ["m"]


def test_network_isolation_and_vpc_are_kept(stage):
    ec2 = stage.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    wanted = {"Subnets": [subnet], "SecurityGroupIds": [group]}
    stage.model(EnableNetworkIsolation=True, VpcConfig=wanted)
    found = stage.sagemaker.describe_model(ModelName="m")
    assert found["EnableNetworkIsolation"] is True
    assert found["VpcConfig"] == wanted


def test_a_taken_name_is_refused(stage, refused):
    stage.model()
    assert refused(stage.model) == ("ValidationException", f'Cannot create already existing model "{ARN}".')


def test_a_missing_model_is_refused_in_sagemakers_words(stage, refused):
    wanted = ("ValidationException", f'Could not find model "{ARN}".')
    assert refused(stage.sagemaker.describe_model, ModelName="m") == wanted
    assert refused(stage.sagemaker.delete_model, ModelName="m") == wanted


def test_a_deleted_model_is_gone_with_its_tags(stage, refused):
    stage.model(Tags=[{"Key": "team", "Value": "iris"}])
    stage.sagemaker.delete_model(ModelName="m")
    assert refused(stage.sagemaker.describe_model, ModelName="m")[0] == "ValidationException"
    assert refused(stage.sagemaker.list_tags, ResourceArn=ARN)[0] == "ValidationException"


@pytest.mark.parametrize(
    "image",
    [
        "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:0.0-no-such-tag",
        "141502667606.dkr.ecr.eu-west-1.amazonaws.com/no-such-repository:1",
        "683313688378.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/own:1",
    ],
)
def test_an_image_that_is_not_there(stage, refused, image):
    code, message = refused(stage.model, PrimaryContainer={"Image": image})
    assert (code, message) == ("ValidationException", f"Requested image {image} not found.")


def test_an_image_outside_ecr(stage, refused):
    code, message = refused(stage.model, PrimaryContainer={"Image": "docker.io/library/python:3"})
    assert code == "ValidationException"
    assert message == (
        'Using non-ECR image "docker.io/library/python:3" without Vpc repository access mode is not supported.'
    )


def test_data_that_is_not_there(stage, refused):
    """S3 tells a role that may list the bucket; to any other it says 403 and not 404."""
    assert refused(stage.model, url="s3://registry-of-tests/no-such.tar.gz")[1].startswith(
        "Could not access model data"
    )
    stage.allow("s3:GetObject", "s3:ListBucket")
    code, message = refused(stage.model, url="s3://registry-of-tests/no-such.tar.gz")
    assert (code, message) == (
        "ValidationException",
        "Could not find model data at s3://registry-of-tests/no-such.tar.gz.",
    )


def test_data_that_the_role_may_not_read(stage, refused):
    stage.allow("ecr:*")
    code, message = refused(stage.model)
    assert code == "ValidationException"
    assert message.startswith(
        "Could not access model data at s3://registry-of-tests/model.tar.gz. Please ensure that the role "
        f'"{stage.role_arn}" exists and that its trust relationship policy allows the action "sts:AssumeRole"'
    )
    stage.allow("s3:GetObject")
    stage.model()


def test_a_role_that_does_not_trust_sagemaker(stage, refused):
    stage.trust(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    )
    assert refused(stage.model)[1].startswith("Could not access model data at")


def test_the_trust_sees_the_model_as_source(stage, refused):
    def trust(pattern: str) -> dict:
        condition = {"ArnLike": {"aws:SourceArn": pattern}, "StringEquals": {"aws:SourceAccount": "111111111111"}}
        statement = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        return {"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}

    stage.trust(trust("arn:aws:sagemaker:us-east-1:111111111111:*"))
    assert refused(stage.model)[1].startswith("Could not access model data at")
    stage.trust(trust("arn:aws:sagemaker:eu-west-1:111111111111:*"))
    stage.model()


def test_lists_filter_sort_and_page(stage):
    for name in ("b", "a", "other", "c"):
        stage.model(name)
    asked = {"SortBy": "Name", "SortOrder": "Ascending", "MaxResults": 3}
    first = stage.sagemaker.list_models(**asked)
    assert [model["ModelName"] for model in first["Models"]] == ["a", "b", "c"]
    second = stage.sagemaker.list_models(**asked, NextToken=first["NextToken"])
    assert [model["ModelName"] for model in second["Models"]] == ["other"]
    assert "NextToken" not in second
    newest = stage.sagemaker.list_models()["Models"]
    assert [model["ModelName"] for model in newest] == ["c", "other", "a", "b"]
    assert [model["ModelName"] for model in stage.sagemaker.list_models(NameContains="TH")["Models"]] == ["other"]


def test_regions_are_apart(stage):
    stage.model()
    elsewhere = stage.cloud.client("sagemaker", "us-east-1")
    assert elsewhere.list_models()["Models"] == []


def test_own_image_in_ecr_is_found(stage):
    ecr = stage.cloud.client("ecr")
    ecr.create_repository(repositoryName="own")
    ecr.put_image(repositoryName="own", imageTag="1", imageManifest=MANIFEST)
    stage.model(PrimaryContainer={"Image": "111111111111.dkr.ecr.eu-west-1.amazonaws.com/own:1"})
    assert stage.sagemaker.describe_model(ModelName="m")["PrimaryContainer"]["Image"].endswith("/own:1")


def test_a_list_is_given_while_another_thread_makes_a_model(stage):
    """`up` makes models beside each other, and looks for those that are there."""
    stage.model()
    models = sagemaker_of(stage.cloud).models

    class Region(str):
        def __eq__(self, other):
            models[self, f"m{len(models)}"] = {}
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    call: Any = SimpleNamespace(region=Region("eu-west-1"))
    (found,) = in_region(call, models)
    assert found["ModelName"] == "m"
