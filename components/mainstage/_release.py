"""The AWS side of one release: its Model and EndpointConfiguration, named by version and content.

Both are new resources for every release and never replaced in place (a live endpoint may use them). Their names carry a
fingerprint of their own inputs, never of the archive: the archive of a version cannot change.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import pulumi
import pulumi_aws as aws

from ._names import release_name
from ._policy import Text
from ._release_kinds import CONFIGURATION, MODEL, Kind

HEALTH_CHECK_SECONDS = 300
"""How long a container may take to load its model, and an archive to be downloaded, 60 to 3,600."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One version as it is served."""

    version: int
    image_uri: str
    model_data_url: Text
    container_environment: Mapping[str, Text]


Hooks = Callable[[Kind, str, Release], pulumi.ResourceHookBinding]
"""The hooks of a release's Model or EndpointConfiguration with this logical name."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the names of every release of an endpoint follow from, beside the release itself."""

    endpoint_name: str
    variant_name: str
    instance_type: str
    instance_count: int
    network_isolation: bool
    subnet_ids: Optional[pulumi.Input[Sequence[Text]]]
    security_group_id: Optional[Text]
    kms_key_arn: Text
    capture: Optional["Capture"]


@dataclass(frozen=True, kw_only=True)
class Fleet(Shape):
    """What every release of an endpoint has in common."""

    name: str
    """Name of the component: the beginning of its children's logical names."""
    parent: pulumi.Resource
    retain: bool
    role_arn: Text
    depends_on: Sequence[pulumi.Resource]
    tags: Mapping[str, Text]


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Checked data capture."""

    s3_uri: Text
    percent: int


@dataclass(frozen=True)
class Declared:
    """The names that a release has in SageMaker, and its configuration."""

    model_name: str
    config_name: str
    configuration: "aws.sagemaker.EndpointConfiguration"


# Instance families with local storage take no volume key; their disks are encrypted by hardware.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html, KmsKeyId
_LOCAL_STORAGE = re.compile(
    r"ml\.([a-z]+\d+[a-z]*d[n]?|i\d\w*|g4dn|g5|g6e?|g6f|gr6f?|g7e?|p4de?|p5(en|e)?|p6(-b\d+)?|trn\d\w*)\..+"
)


def volume_key(instance_type: str, kms_key_arn: Text) -> Optional[Text]:
    """The key of the instances' storage volumes; None where CreateEndpointConfig would refuse one."""
    return None if _LOCAL_STORAGE.fullmatch(instance_type) else kms_key_arn


def declare(fleet: Fleet, release: Release, *, hooks: Hooks) -> Declared:
    """Declares the Model and the EndpointConfiguration of a release."""

    def opts(kind: Kind, logical_name: str, *needs: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=fleet.parent,
            depends_on=[*fleet.depends_on, *needs],
            # Not protected, or leaving `keep` could never remove it. Kept in AWS when the program drops it: whatever
            # becomes of the state, the live endpoint may use this one.
            retain_on_delete=fleet.retain,
            hooks=hooks(kind, logical_name, release),
        )

    model_inputs = _model_inputs(fleet, release)
    model_name = release_name(fleet.endpoint_name, release.version, model_inputs)
    suffix = model_name.removeprefix(f"{fleet.endpoint_name}-")
    logical_model_name = f"{fleet.name}-model-{suffix}"
    model = aws.sagemaker.Model(
        logical_model_name,
        name=model_name,
        execution_role_arn=fleet.role_arn,
        tags=dict(fleet.tags),
        opts=opts(MODEL, logical_model_name),
        **model_inputs,
    )
    config_inputs = _config_inputs(fleet, model_name)
    config_name = release_name(fleet.endpoint_name, release.version, config_inputs)
    logical_config_name = f"{fleet.name}-config-{config_name.removeprefix(f'{fleet.endpoint_name}-')}"
    configuration = aws.sagemaker.EndpointConfiguration(
        logical_config_name,
        name=config_name,
        tags=dict(fleet.tags),
        # By a dependency and not by the model's output: a required input that does not come, because the model was
        # refused, would end the run for every other model too (docs/guides/drift.md).
        opts=opts(CONFIGURATION, logical_config_name, model),
        **config_inputs,
    )
    return Declared(model_name, config_name, configuration)


def config_name_of(fleet: Shape, release: Release) -> str:
    """The name that `declare` gives to the release's configuration."""
    model_name = release_name(fleet.endpoint_name, release.version, _model_inputs(fleet, release))
    return release_name(fleet.endpoint_name, release.version, _config_inputs(fleet, model_name))


def _model_inputs(fleet: Shape, release: Release) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "enable_network_isolation": fleet.network_isolation,
        "primary_container": {
            "image": release.image_uri,
            "mode": "SingleModel",
            "model_data_url": release.model_data_url,
            "environment": dict(release.container_environment),
        },
    }
    if fleet.subnet_ids is not None:
        inputs["vpc_config"] = {"subnets": fleet.subnet_ids, "security_group_ids": [fleet.security_group_id]}
    return inputs


def _config_inputs(fleet: Shape, model_name: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "production_variants": [
            {
                # Left out, the provider makes a random name for each configuration: no release could take over.
                "variant_name": fleet.variant_name,
                "model_name": model_name,
                "instance_type": fleet.instance_type,
                "initial_instance_count": fleet.instance_count,
                "initial_variant_weight": 1.0,
                "enable_ssm_access": False,
                "container_startup_health_check_timeout_in_seconds": HEALTH_CHECK_SECONDS,
                "model_data_download_timeout_in_seconds": HEALTH_CHECK_SECONDS,
            }
        ],
    }
    key = volume_key(fleet.instance_type, fleet.kms_key_arn)
    if key is not None:
        inputs["kms_key_arn"] = key
    if fleet.capture is not None:
        inputs["data_capture_config"] = {
            # Left out, it is sent as false and nothing is captured.
            "enable_capture": True,
            "initial_sampling_percentage": fleet.capture.percent,
            "destination_s3_uri": fleet.capture.s3_uri,
            "kms_key_id": fleet.kms_key_arn,
            "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
            # What is not listed here is captured as base64.
            "capture_content_type_header": {
                "csv_content_types": ["text/csv"],
                "json_content_types": ["application/json"],
            },
        }
    return inputs
