"""Model package groups, models, endpoint configurations: internal/service/sagemaker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName, unique_suffix
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import ALL, Inputs, Problem, Row, between, conflicts, matches
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call

_NAME = r"[0-9A-Za-z](-*[0-9A-Za-z]){0,62}"
_NAME_MEANING = "takes 1 to 63 letters, digits and hyphens, not starting with a hyphen"

TAGGING = listed_tagging("sagemaker", "AddTags", "DeleteTags", "ResourceArn", by_arn)


def live_tags(op: Operation, arn: str) -> dict[str, Any]:
    return op.shown_tags(tag_map(op.call("sagemaker", "ListTags", ResourceArn=arn).get("Tags")))


def create_tags(op: Operation) -> dict[str, Any]:
    return optional("Tags", tag_list(op.wanted_tags()))


# -- aws:sagemaker/modelPackageGroup:ModelPackageGroup -----------------------------------------------------

_CREATE_GROUP = Call(
    "sagemaker",
    "CreateModelPackageGroup",
    only=frozenset({"modelPackageGroupDescription", "modelPackageGroupName"}),
)


def _group(op: Operation) -> dict[str, Any] | None:
    return op.found(
        lambda: op.call("sagemaker", "DescribeModelPackageGroup", ModelPackageGroupName=op.id),
        says=("does not exist",),
    )


def _create_group(op: Operation) -> None:
    op.send(_CREATE_GROUP, **create_tags(op))
    op.created(op.inputs["modelPackageGroupName"])
    op.wait(
        lambda: (_group(op) or {"ModelPackageGroupStatus": "missing"})["ModelPackageGroupStatus"],
        pending={"Pending", "InProgress"},
        target={"Completed"},
        timeout_seconds=600,
        what=f"SageMaker Model Package Group ({op.id}) create",
    )


def _read_group(op: Operation) -> Mapping[str, Any] | None:
    group = _group(op)
    if group is None:
        return None
    live = op.described("sagemaker", "DescribeModelPackageGroup", "", group)
    return live | live_tags(op, group["ModelPackageGroupArn"]) | {"arn": group["ModelPackageGroupArn"]}


def _delete_group(op: Operation) -> None:
    """Refused by the service while the group holds versions: they are nobody's children here."""
    if op.gone(
        lambda: op.call("sagemaker", "DeleteModelPackageGroup", ModelPackageGroupName=op.id),
        says=("does not exist",),
    ):
        return
    op.wait(
        lambda: (_group(op) or {"ModelPackageGroupStatus": "gone"})["ModelPackageGroupStatus"],
        pending={"Deleting", "Completed"},
        target={"gone"},
        timeout_seconds=600,
        what=f"SageMaker Model Package Group ({op.id}) delete",
    )


MODEL_PACKAGE_GROUP = Row(
    type="aws:sagemaker/modelPackageGroup:ModelPackageGroup",
    source="sagemaker/model_package_group.go",
    label="SageMaker Model Package Group",
    create=_create_group,
    read=_read_group,
    delete=_delete_group,
    calls=(_CREATE_GROUP,),
    force_new=frozenset({"modelPackageGroupDescription", "modelPackageGroupName"}),
    rules=(matches("modelPackageGroupName", _NAME, f"modelPackageGroupName {_NAME_MEANING}"),),
    tagging=TAGGING,
)

# -- aws:sagemaker/model:Model ------------------------------------------------------------------------------

_MODEL_RULES = {
    "name": "ModelName",
    "containers.modelDataSource.s3DataSources": "S3DataSource",
    "primaryContainer.modelDataSource.s3DataSources": "S3DataSource",
    "containers.additionalModelDataSources.s3DataSources": "S3DataSource",
    "primaryContainer.additionalModelDataSources.s3DataSources": "S3DataSource",
}
_CREATE_MODEL = Call(
    "sagemaker",
    "CreateModel",
    rules=_MODEL_RULES,
    only=frozenset(
        {
            "containers",
            "enableNetworkIsolation",
            "executionRoleArn",
            "inferenceExecutionConfig",
            "name",
            "primaryContainer",
            "vpcConfig",
        }
    ),
)


def _create_model(op: Operation) -> None:
    # Meant for IAM propagation, the retry takes any ValidationException: a wrong image or a missing archive fails late.
    op.retry(
        lambda: op.send(_CREATE_MODEL, **create_tags(op)),
        lambda error: error.is_code("ValidationException"),
        "2 min",
    )
    op.created(op.inputs["name"])


def _read_model(op: Operation) -> Mapping[str, Any] | None:
    # Any ValidationException is taken for "gone".
    model = op.found(
        lambda: op.call("sagemaker", "DescribeModel", ModelName=op.id), "ValidationException", "ResourceNotFound"
    )
    if model is None:
        return None
    live = op.described("sagemaker", "DescribeModel", "", model, _MODEL_RULES)
    live.setdefault("enableNetworkIsolation", False)
    return live | live_tags(op, model["ModelArn"]) | {"arn": model["ModelArn"]}


def _delete_model(op: Operation) -> None:
    op.retry(
        lambda: op.gone(lambda: op.call("sagemaker", "DeleteModel", ModelName=op.id), says=("Could not find model",)),
        lambda error: error.is_code("ResourceNotFound"),
        "5 min",
    )


def _container_rules(inputs: Inputs) -> Iterable[Problem]:
    blocks = [("primaryContainer", inputs.get("primaryContainer"))]
    blocks += [(f"containers[{index}]", one) for index, one in enumerate(inputs.get("containers") or [])]
    for where, block in blocks:
        if not isinstance(block, Mapping):
            continue
        for key, value in (block.get("environment") or {}).items():
            if not key.replace("_", "a").isalnum() or not key.isascii():
                yield f"{where}.environment.{key}", "environment keys take letters, digits and _"
            if len(key) > 1024 or len(str(value)) > 1024:
                yield f"{where}.environment.{key}", "keys and values take at most 1,024 characters"


MODEL = Row(
    type="aws:sagemaker/model:Model",
    source="sagemaker/model.go",
    label="SageMaker Model",
    create=_create_model,
    read=_read_model,
    delete=_delete_model,
    calls=(_CREATE_MODEL,),
    name=AutoName(max_length=63),
    force_new=frozenset({ALL}),
    # The block is flagged, the field is not: a changed mode plans an update that calls nothing.
    in_place=frozenset({"inferenceExecutionConfig.mode"}),
    nothing=frozenset({"inferenceExecutionConfig.mode", "inferenceExecutionConfig"}),
    computed=frozenset({"inferenceExecutionConfig", "name"}),
    defaults={"containers.mode": "SingleModel", "primaryContainer.mode": "SingleModel"},
    sets=frozenset({"vpcConfig.securityGroupIds", "vpcConfig.subnets"}),
    rules=(
        matches("name", _NAME, f"name {_NAME_MEANING}"),
        matches(
            "primaryContainer.modelDataUrl", r"(https|s3)://\S{1,1016}", "modelDataUrl must be an https:// or s3:// URL"
        ),
        matches("containers.modelDataUrl", r"(https|s3)://\S{1,1016}", "modelDataUrl must be an https:// or s3:// URL"),
        _container_rules,
    ),
    tagging=TAGGING,
)

# -- aws:sagemaker/endpointConfiguration:EndpointConfiguration ----------------------------------------------

_CONFIG_RULES = {
    "name": "EndpointConfigName",
    "kmsKeyArn": "KmsKeyId",
    "productionVariants.routingConfigs": "RoutingConfig",
    "shadowProductionVariants.routingConfigs": "RoutingConfig",
}
_CREATE_CONFIG = Call(
    "sagemaker",
    "CreateEndpointConfig",
    rules=_CONFIG_RULES,
    only=frozenset(
        {
            "asyncInferenceConfig",
            "dataCaptureConfig",
            "executionRoleArn",
            "kmsKeyArn",
            "name",
            "productionVariants",
            "shadowProductionVariants",
        }
    ),
)
_VARIANT_LISTS = ("ProductionVariants", "ShadowProductionVariants")


def _create_config(op: Operation) -> None:
    params = op.params(_CREATE_CONFIG)
    name = op.name_from()
    for variant in [one for member in _VARIANT_LISTS for one in params.get(member) or []]:
        variant.setdefault("VariantName", "terraform-" + unique_suffix())
        if not variant.get("ModelName"):  # inference components: weight and SSM access are not sent
            variant.pop("InitialVariantWeight", None)
            variant.pop("EnableSSMAccess", None)
    op.call("sagemaker", "CreateEndpointConfig", **{**params, "EndpointConfigName": name}, **create_tags(op))
    op.created(name)


def _read_config(op: Operation) -> Mapping[str, Any] | None:
    config = op.found(
        lambda: op.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=op.id),
        says=("Could not find endpoint configuration",),
    )
    if config is None:
        return None
    live = op.described("sagemaker", "DescribeEndpointConfig", "", config, _CONFIG_RULES)
    arn = config["EndpointConfigArn"]
    prefix = op.inputs.get("namePrefix") or op.state.get("namePrefix") or ""
    return live | live_tags(op, arn) | {"arn": arn, "namePrefix": prefix}


def _delete_config(op: Operation) -> None:
    """Asks nobody: a configuration that a live endpoint uses goes too."""
    op.gone(
        lambda: op.call("sagemaker", "DeleteEndpointConfig", EndpointConfigName=op.id),
        says=("Could not find endpoint configuration",),
    )


def _variant_rules(inputs: Inputs) -> Iterable[Problem]:
    for name in ("productionVariants", "shadowProductionVariants"):
        variants = inputs.get(name) or []
        if len(variants) > 10:
            yield name, f"{name} takes at most 10 variants, got {len(variants)}"
    if not inputs.get("productionVariants"):
        yield "productionVariants", "at least one production variant is needed"


def _serverless_rules(inputs: Inputs) -> Iterable[Problem]:
    for name in ("productionVariants", "shadowProductionVariants"):
        for index, variant in enumerate(inputs.get(name) or []):
            config = variant.get("serverlessConfig") if isinstance(variant, Mapping) else None
            size = config.get("memorySizeInMb") if isinstance(config, Mapping) else None
            if isinstance(size, int) and size not in range(1024, 6145, 1024):
                where = f"{name}[{index}].serverlessConfig.memorySizeInMb"
                yield where, f"memory takes 1024 to 6144 in steps of 1024, got {size}"


def _variants(*paths: str) -> frozenset[str]:
    return frozenset(f"{name}.{path}" for name in ("productionVariants", "shadowProductionVariants") for path in paths)


ENDPOINT_CONFIGURATION = Row(
    type="aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    source="sagemaker/endpoint_configuration.go",
    label="SageMaker Endpoint Configuration",
    create=_create_config,
    read=_read_config,
    delete=_delete_config,
    calls=(_CREATE_CONFIG,),
    name=AutoName(max_length=63),
    force_new=frozenset({ALL}),
    # A filled default of volumeSizeInGb is computed for production variants only.
    computed=frozenset({"name", "namePrefix", "productionVariants.volumeSizeInGb"}) | _variants("variantName"),
    # Zero values are sent: capture without enableCapture captures nothing, a client block without a limit sends 0.
    defaults={
        "dataCaptureConfig.enableCapture": False,
        "productionVariants.initialVariantWeight": 1,
        "shadowProductionVariants.initialVariantWeight": 1,
        "productionVariants.enableSsmAccess": False,
        "shadowProductionVariants.enableSsmAccess": False,
        "productionVariants.managedInstanceScaling.minInstanceCount": 0,
        "shadowProductionVariants.managedInstanceScaling.minInstanceCount": 0,
        "asyncInferenceConfig.clientConfig.maxConcurrentInvocationsPerInstance": 0,
    },
    never_sent=frozenset({"namePrefix"}),
    rules=(
        conflicts("name", "namePrefix"),
        matches("name", _NAME, f"name {_NAME_MEANING}"),
        matches(
            "namePrefix",
            r"[0-9A-Za-z](-*[0-9A-Za-z-]){0,36}",
            "namePrefix takes at most 37 letters, digits and hyphens",
        ),
        _variant_rules,
        _serverless_rules,
        *(
            between(f"{name}.{path}", low, high)
            for name in ("productionVariants", "shadowProductionVariants")
            for path, low, high in (
                ("containerStartupHealthCheckTimeoutInSeconds", 60, 3600),
                ("modelDataDownloadTimeoutInSeconds", 60, 3600),
                ("serverlessConfig.maxConcurrency", 1, 200),
                ("volumeSizeInGb", 1, 512),
            )
        ),
        between("dataCaptureConfig.initialSamplingPercentage", 0, 100),
    ),
    tagging=TAGGING,
)

ROWS = (MODEL_PACKAGE_GROUP, MODEL, ENDPOINT_CONFIGURATION)
