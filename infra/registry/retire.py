"""Takes a model's versions out of its model package group, so that its catalog file can be removed.

SageMaker deletes a model package group only when it is empty: else it answers ConflictException (the error stands in
the API reference of DeleteModelPackageGroup, its words are unconfirmed). Pulumi knows of the group, not of the versions
that pushes put into it.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from infra.layers.names import endpoint_name, model_package_group_name
from infra.registry.registry import Registry, RegistryError
from infra.registry.target import Target

GUIDE = 'docs/guides/catalog.md, "Retiring a model"'


def listed(target: Target, model: str) -> dict[str, str]:
    """Version by ARN of each model package that stands in the model's group; none when there is no group."""
    client = target.client("sagemaker")
    group = model_package_group_name(target.environment, model)
    try:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        arns = [found["ModelPackageArn"] for page in pages for found in page["ModelPackageSummaryList"]]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return {}
    properties = (client.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties") for arn in arns)
    return {arn: (each or {}).get("mainstage_version", "?") for arn, each in zip(arns, properties, strict=True)}


def check_serves_nothing(target: Target, model: str) -> None:
    """Raises RegistryError while the model has an endpoint."""
    endpoint = endpoint_name(target.environment, model)
    try:
        found = target.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return
    raise RegistryError(
        f"{model} still serves in {target}: endpoint {endpoint} is {found['EndpointStatus']}. In "
        f"stacks/models/{model}.yaml put `awaiting: true` for its version and bring it up ({GUIDE})"
    )


def retire(target: Target, model: str) -> list[str]:
    """Deletes the model's versions from its group; returns their numbers. Archives and cards stay in the bucket.

    Raises RegistryError while the model serves.
    """
    check_serves_nothing(target, model)
    packages = listed(target, model)
    client = target.client("sagemaker")
    for arn in packages:
        client.delete_model_package(ModelPackageName=arn)
    return list(packages.values())


def left_behind(registry: Registry, catalog: set[str]) -> list[str]:
    """What is in the way of removing models that the catalog does not name any more, a line each."""
    return [
        f"stacks/models/{model}.yaml is gone, but the registry lists versions of {model} ({', '.join(versions)}), and "
        f"its group cannot be deleted with them: restore the file and follow {GUIDE}"
        for model in registry.models()
        if model not in catalog and (versions := sorted(listed(registry.target, model).values()))
    ]
