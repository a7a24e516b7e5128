"""AWS's own images can be pulled from the start; nothing else of a foreign account can."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from mainstage.runtime_presets import PRESETS, image_uri

from infra.rehearsal.cloud.overlay.ecr_images import parse_image

REGISTRY = {"registryId": "141502667606", "repositoryName": "sagemaker-scikit-learn"}


@pytest.fixture
def ecr(cloud):
    return cloud.client("ecr")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_presets_image_is_there(ecr, preset):
    image = parse_image(image_uri(PRESETS[preset], "eu-west-1"))
    assert image is not None
    where = {"registryId": image.registry, "repositoryName": image.repository}
    (found,) = ecr.batch_get_image(**where, imageIds=[image.image_id])["images"]
    assert found["imageId"]["imageTag"] == image.tag
    assert ecr.batch_get_image(**where, imageIds=[{"imageDigest": found["imageId"]["imageDigest"]}])["images"]
    layers = [layer["digest"] for layer in json.loads(found["imageManifest"])["layers"]]
    available = ecr.batch_check_layer_availability(**where, layerDigests=layers)["layers"]
    assert [layer["layerAvailability"] for layer in available] == ["AVAILABLE"] * len(layers)
    assert ecr.get_download_url_for_layer(**where, layerDigest=layers[0])["layerDigest"] == layers[0]


def test_a_missing_tag_is_a_failure_in_a_good_answer(ecr):
    found = ecr.batch_get_image(**REGISTRY, imageIds=[{"imageTag": "0.0"}])
    assert found["images"] == []
    assert found["failures"][0]["failureCode"] == "ImageNotFound"


def test_a_missing_layer(ecr):
    digest = "sha256:" + "0" * 64
    failures = ecr.batch_check_layer_availability(**REGISTRY, layerDigests=[digest])["failures"]
    assert failures[0]["failureCode"] == "MissingLayerDigest"
    with pytest.raises(ClientError) as caught:
        ecr.get_download_url_for_layer(**REGISTRY, layerDigest=digest)
    assert caught.value.response["Error"]["Code"] == "LayersNotFoundException"


@pytest.mark.parametrize(
    "where",
    [
        {"registryId": "222222222222", "repositoryName": "sagemaker-scikit-learn"},
        {"registryId": "141502667606", "repositoryName": "other"},
        {"registryId": "683313688378", "repositoryName": "sagemaker-scikit-learn"},
    ],
)
def test_other_foreign_repositories_refuse(ecr, where):
    with pytest.raises(ClientError) as caught:
        ecr.batch_get_image(**where, imageIds=[{"imageTag": "1.4-2-cpu-py3"}])
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_aws_images_are_for_pulling_only(ecr):
    with pytest.raises(ClientError) as caught:
        ecr.describe_images(**REGISTRY)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com/a/b:1", ("111111111111", "eu-west-1", "a/b", "1", "")),
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com/a", ("111111111111", "eu-west-1", "a", "latest", "")),
        (
            f"111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/a@sha256:{'0' * 64}",
            ("111111111111", "cn-north-1", "a", "", f"sha256:{'0' * 64}"),
        ),
    ],
)
def test_image_names(uri, parts):
    image = parse_image(uri)
    assert image is not None
    assert (image.registry, image.region, image.repository, image.tag, image.digest) == parts


@pytest.mark.parametrize("uri", ["python:3", "111.dkr.ecr.eu-west-1.amazonaws.com/a", ""])
def test_names_that_are_none_of_ecr(uri):
    assert parse_image(uri) is None
