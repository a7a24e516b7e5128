"""IAM where models are served: AWS's own images, and the key of an endpoint's volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstage.runtime_presets import image_uri, preset_named

Refused = Callable[..., tuple[str, str]]


def test_an_aws_image_is_pulled_with_the_identitys_permission(account: Any, refused: Refused) -> None:
    uri = image_uri(preset_named("sklearn-1.4-2"), account.region)
    registry, (repository, tag) = uri.partition(".")[0], uri.partition("/")[2].split(":")
    client = account.acting().client("ecr")
    asked = {"registryId": registry, "repositoryName": repository, "imageIds": [{"imageTag": tag}]}
    code, message = refused(client.batch_get_image, **asked)
    assert code == "AccessDeniedException"
    assert f"arn:aws:ecr:{account.region}:{registry}:repository/{repository}" in message
    assert message.endswith("because no identity-based policy allows the ecr:BatchGetImage action")
    account.grant(account.allow("ecr:BatchGetImage"))
    assert client.batch_get_image(**asked)["images"]


def test_another_accounts_repository_stays_closed(account: Any, refused: Refused) -> None:
    client = account.acting(account.allow("ecr:*")).client("ecr")
    asked = {"registryId": "999999999999", "repositoryName": "models", "imageIds": [{"imageTag": "1"}]}
    assert refused(client.batch_get_image, **asked)[1].endswith(
        "because no resource-based policy allows the ecr:BatchGetImage action"
    )


def test_an_endpoint_with_a_key_needs_a_grant_from_its_caller(account: Any, refused: Refused) -> None:
    key = account.make_key()
    role = account.role(account.allow(["s3:*", "ecr:*"]), name="execution")
    sagemaker = account.cloud.client("sagemaker")
    image = image_uri(preset_named("sklearn-1.4-2"), account.region)
    account.make_bucket()
    account.s3.put_object(Bucket=account.bucket, Key="m.tar.gz", Body=b"")
    container = {"Image": image, "ModelDataUrl": f"s3://{account.bucket}/m.tar.gz"}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant], KmsKeyId=key)
    client = account.acting(account.allow("sagemaker:*")).client("sagemaker")
    code, message = refused(client.create_endpoint, EndpointName="e", EndpointConfigName="c")
    assert code == "AccessDeniedException"
    assert f"kms:CreateGrant on resource: {key}" in message
