"""SageMaker Model: create (with the checks that SageMaker makes under the role), describe, list, delete."""

from __future__ import annotations

import copy
from typing import Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import arn, listed, picked, tags_of
from infra.rehearsal.cloud.overlay.ecr_images import image_exists, parse_image
from infra.rehearsal.cloud.overlay.model_data import BadLocation, data_url, parse_location
from infra.rehearsal.cloud.overlay.sagemaker_store import check_new, in_region, not_found, sagemaker_of

PRINCIPAL = "sagemaker.amazonaws.com"
_DESCRIBED = (
    "ModelName",
    "PrimaryContainer",
    "Containers",
    "InferenceExecutionConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "CreationTime",
    "ModelArn",
    "EnableNetworkIsolation",
)


@handler("sagemaker", "CreateModel")
def create_model(call: Call) -> dict[str, Any]:
    """Registers a model after the checks that CreateModel makes: a name that is free, an image that is there, and model
    data that the role can read. The data is read again when a fleet starts."""
    sagemaker, asked = sagemaker_of(call.cloud), call.params
    name = asked["ModelName"]
    with sagemaker.lock:
        model_arn = check_new(call, sagemaker.models, name, "model", "model")
    containers = asked.get("Containers") or []
    if not asked.get("ExecutionRoleArn"):
        raise AwsError("ValidationException", "ExecutionRoleArn is required.")  # wording unconfirmed
    for container in containers or [asked["PrimaryContainer"]]:
        _check_image(call, container)
        _check_data(call, container, model_arn)
    record = copy.deepcopy(asked)
    tags = tags_of(record.pop("Tags", None))
    record |= {"ModelArn": model_arn, "CreationTime": call.cloud.clock.now()}
    record.setdefault("EnableNetworkIsolation", False)
    for container in record.get("Containers") or [record["PrimaryContainer"]]:
        container.setdefault("Mode", "SingleModel")
    with sagemaker.lock:
        check_new(call, sagemaker.models, name, "model", "model")
        sagemaker.models[call.region, name] = record
        sagemaker.tags[model_arn] = tags
    return {"ModelArn": model_arn}


def _check_image(call: Call, container: dict[str, Any]) -> None:
    """The two texts are CreateModel's: an image outside ECR (aws/sagemaker-python-sdk pull request 4700), an image that
    is not there (aws-samples/easy-amazon-sagemaker-deployments issue 4)."""
    uri = container.get("Image")
    if not uri:
        raise AwsError(
            "NotCarried",
            "CreateModel without Image (from a ModelPackageName) is not carried by the emulated cloud",
            501,
        )
    image = parse_image(uri)
    if image is None:
        if container.get("ImageConfig", {}).get("RepositoryAccessMode") == "Vpc":
            return
        raise AwsError(
            "ValidationException", f'Using non-ECR image "{uri}" without Vpc repository access mode is not supported.'
        )
    if not image_exists(call.cloud, image):
        raise AwsError("ValidationException", f"Requested image {uri} not found.")


def _check_data(call: Call, container: dict[str, Any], model_arn: str) -> None:
    """Reads the head of the model data under the execution role (philschmid/llm-sagemaker-sample issue 2: the text)."""
    try:
        url = data_url(container)
        location = parse_location(url) if url else None
    except BadLocation as bad:
        raise AwsError("ValidationException", str(bad)) from None
    if location is None:
        return
    role = call.params["ExecutionRoleArn"]
    try:
        session = call.cloud.assume_role(
            role, service=PRINCIPAL, session_name="SageMaker-CreateModel", source_arn=model_arn
        )
        session.client("s3", region_name=call.region).head_object(Bucket=location.bucket, Key=location.key)
    except (AwsError, ClientError) as refusal:
        if isinstance(refusal, ClientError) and refusal.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            raise AwsError("ValidationException", f"Could not find model data at {url}.") from None
        raise AwsError(
            "ValidationException",
            f'Could not access model data at {url}. Please ensure that the role "{role}" exists and that its trust '
            f'relationship policy allows the action "sts:AssumeRole" for the service principal "{PRINCIPAL}". Also '
            f'ensure that the role has "s3:GetObject" permissions and that the object is located in {call.region}. If '
            "your Model uses multiple models or uncompressed models, please ensure that the role has "
            f'"s3:ListBucket" permission. Cause: {refusal}',
        ) from refusal


@handler("sagemaker", "DescribeModel")
def describe_model(call: Call) -> dict[str, Any]:
    return picked(_model(call), _DESCRIBED)


@handler("sagemaker", "ListModels")
def list_models(call: Call) -> dict[str, Any]:
    return listed(
        call,
        in_region(call, sagemaker_of(call.cloud).models),
        name="ModelName",
        member="Models",
        summary=lambda record: picked(record, ("ModelName", "ModelArn", "CreationTime")),
        sort_keys={"CreationTime": "CreationTime", "Name": "ModelName"},
    )


@handler("sagemaker", "DeleteModel")
def delete_model(call: Call) -> dict[str, Any]:
    """Deletes the entry alone. Nothing asks whether a configuration names it; what is serving goes on (API
    reference)."""
    record = _model(call)
    sagemaker = sagemaker_of(call.cloud)
    with sagemaker.lock:
        sagemaker.models.pop((call.region, record["ModelName"]), None)
        sagemaker.tags.pop(record["ModelArn"], None)
    return {}


def _model(call: Call) -> dict[str, Any]:
    name = call.params["ModelName"]
    record = sagemaker_of(call.cloud).models.get((call.region, name))
    if record is None:
        raise not_found("model", arn(call, f"model/{name}"))
    return record
