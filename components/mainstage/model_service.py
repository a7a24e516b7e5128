"""ModelService: the face that a model's catalog file maps to.

It knows what a person says (a model, its versions, a runtime preset, promises) and turns it into a back end that serves
it: SageMaker for now. It chooses the image, finds the archive in the registry, and wires endpoint, logs and guards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NotRequired, Optional, TypedDict, cast

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._autoscaling import AutoscalingArgs
from ._endpoint_args import MOST_VERSION, DataCaptureArgs, EndpointNetworkArgs, SageMakerEndpointArgs
from ._endpoint_args import resolve as resolve_endpoint
from ._patterns import ARN, BUCKET_NAME, RESOURCE_NAME, TAG_VALUE
from ._policy import Text, join
from ._release_rules import DeploymentArgs
from ._resolve import ComponentArgsError, Reader
from .guard_alarms import EndpointIdentity, SloArgs
from .model_registry import archive_key
from .runtime_presets import PRESETS, RuntimePreset, container_environment, image_uri, repository_arn
from .sagemaker_endpoint import SageMakerEndpoint

BACKENDS = ("sagemaker",)
"""Back ends that this release of the library carries."""


class KeptVersionArgs(TypedDict):
    """An earlier version that stays declared."""

    version: float
    """The version, 1 to 99,999."""
    runtime: NotRequired[str]
    """Runtime preset that it was made for. Omitted: the service's."""


class CapacityArgs(TypedDict):
    """What the model runs on."""

    instance_type: str
    """Instance type, for example `ml.m5.large`."""
    instance_count: NotRequired[float]
    """Instances to start with, 1 to 100. Omitted: 1, or autoscaling's minimum."""
    autoscaling: NotRequired[AutoscalingArgs]
    """How instances follow the load. Omitted: the number stays as it is."""


class ModelServiceArgs(AccountArgs):
    """Arguments of ModelService."""

    model: str
    """Name of the model: a-z, 0-9 and hyphen."""
    owner: NotRequired[str]
    """Who answers for the model; a tag on every resource. Omitted: no such tag."""
    backend: NotRequired[str]
    """Where the model runs: `sagemaker`. Omitted: `sagemaker`."""
    runtime: str
    """Runtime preset that serves it, for example `sklearn-1.4-2`. It chooses the image."""
    awaiting: NotRequired[bool]
    """True: no version serves yet. `stable` and `keep` are refused. Omitted: false."""
    stable: NotRequired[float]
    """Version that serves all traffic, 1 to 99,999. Required unless `awaiting`."""
    keep: NotRequired[list[KeptVersionArgs]]
    """Earlier versions that stay declared, at most five. Omitted: none."""
    rollout: NotRequired[DeploymentArgs]
    """How a new version takes over. Omitted: all at once, the old fleet kept for 10 minutes."""
    capacity: CapacityArgs
    """What the model runs on."""
    slo: SloArgs
    """What clients are promised: the guards' limits."""
    capture: NotRequired[DataCaptureArgs]
    """Which requests and answers are kept, and where. Omitted: none."""
    endpoint_name: NotRequired[str]
    """Name of the endpoint, up to 47 characters, unique in account and region. Omitted: the model's name."""
    registry_bucket_name: pulumi.Input[str]
    """Bucket of the model registry."""
    registry_bucket_arn: pulumi.Input[str]
    """ARN of that bucket."""
    repository_arns: NotRequired[list[pulumi.Input[str]]]
    """Repositories that may be pulled from beside that of the runtime preset. Omitted: none."""
    kms_key_arn: pulumi.Input[str]
    """Key of archives, logs, volumes and what is captured."""
    network: NotRequired[EndpointNetworkArgs]
    """Network that the model runs in. Omitted: SageMaker's own."""
    network_isolation: NotRequired[bool]
    """True: the container can open no connection at all. Omitted: true."""
    page_topic_arn: pulumi.Input[str]
    """Topic that wakes a person."""
    ticket_topic_arn: pulumi.Input[str]
    """Topic that waits for the morning."""
    runbook_base_url: str
    """Where the runbooks are read."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """Permissions boundary of the roles. Omitted: none."""
    log_retention_days: NotRequired[float]
    """Days that logs are kept. Omitted: 90."""
    deletion_protection: NotRequired[bool]
    """True: what holds data or serves is neither deleted nor replaced. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    endpoint: SageMakerEndpointArgs
    preset: RuntimePreset


# Passed on to the endpoint under the same name, and checked there.
_PASSED_ON = (
    "registry_bucket_arn",
    "kms_key_arn",
    "network",
    "network_isolation",
    "slo",
    "page_topic_arn",
    "ticket_topic_arn",
    "runbook_base_url",
    "permissions_boundary_arn",
    "log_retention_days",
    "deletion_protection",
)

# The endpoint's word for each of ours, to give its problems back in the words that were written.
_OURS_BY_THEIRS = {
    "model_name": "model",
    "version": "stable",
    "deployment": "rollout",
    "data_capture": "capture",
    "instance_type": "capacity.instance_type",
    "instance_count": "capacity.instance_count",
    "autoscaling": "capacity.autoscaling",
}


def _resolve(name: str, args: ModelServiceArgs) -> _Resolved:
    reader = Reader("ModelService", name, args, ModelServiceArgs)
    account = read_account(reader)
    model = reader.plain("model", RESOURCE_NAME)
    if reader.raw("backend") == "kubernetes":
        allowed = "sagemaker: this release of the library carries no Kubernetes back end"
        reader.refuse("backend", "kubernetes", allowed, "write sagemaker, or leave backend out")
    else:
        reader.choice("backend", BACKENDS, default="sagemaker")
    preset = PRESETS[reader.choice("runtime", tuple(PRESETS))]
    tags = {**read_tags(reader), "mainstage:model": model}
    if reader.has("owner"):
        tags["mainstage:owner"] = reader.text("owner", TAG_VALUE)
    endpoint: dict[str, Any] = {
        "account_id": account.account_id,
        "region": account.region,
        "partition": account.partition,
        "tags": tags,
        "model_name": model,
        "endpoint_name": reader.plain("endpoint_name", RESOURCE_NAME, default=model),
        **{field: reader.raw(field) for field in _PASSED_ON if reader.has(field)},
        **{theirs: reader.raw(ours) for theirs, ours in _OURS_BY_THEIRS.items() if reader.has(ours) and theirs != ours},
    }
    _read_capacity(reader, endpoint)
    presets = _read_versions(reader, account, model, preset, endpoint)
    repositories = reader.text_list("repository_arns", ARN, default=[])
    endpoint["repository_arns"] = [
        *sorted({repository_arn(used, account.region) for used in presets if account.region in used.registry_accounts}),
        *(repositories if isinstance(repositories, Sequence) else ()),
    ]
    _refuse_what_the_endpoint_refuses(reader, f"{name}-endpoint", endpoint)
    reader.finish()
    return _Resolved(endpoint=cast(SageMakerEndpointArgs, endpoint), preset=preset)


def _read_capacity(reader: Reader, endpoint: dict[str, Any]) -> None:
    capacity = reader.section("capacity", CapacityArgs)
    if capacity is not None:
        endpoint |= {field: capacity.raw(field) for field in CapacityArgs.__annotations__ if capacity.has(field)}


def _read_versions(
    reader: Reader, account: Account, model: str, preset: RuntimePreset, endpoint: dict[str, Any]
) -> list[RuntimePreset]:
    """Fills in what is served and kept. Returns the presets in use."""
    bucket = reader.text("registry_bucket_name", BUCKET_NAME)
    image = _image(reader, "runtime", preset, account.region)
    if reader.flag("awaiting", default=False):
        for field in ("stable", "keep"):
            if reader.has(field):
                reader.refuse(field, reader.raw(field), "nothing while awaiting", f"remove {field} or awaiting")
        endpoint["awaiting"] = True
        endpoint.pop("version", None)
        return [preset]
    version = reader.whole("stable", minimum=1, maximum=MOST_VERSION)
    endpoint |= _release(version, preset, image, model, bucket)
    presets, kept = [preset], []
    for index, section in enumerate(reader.sections("keep", KeptVersionArgs, maximum=5)):
        earlier = PRESETS[section.choice("runtime", tuple(PRESETS), default=preset.name)]
        earlier_image = _image(reader, f"keep[{index}].runtime", earlier, account.region)
        number = section.whole("version", minimum=1, maximum=MOST_VERSION)
        kept.append(_release(number, earlier, earlier_image, model, bucket))
        presets.append(earlier)
    if kept:
        endpoint["keep"] = kept
    return presets


def _release(version: int, preset: RuntimePreset, image: str, model: str, bucket: Text) -> dict[str, Any]:
    return {
        "version": version,
        "image_uri": image,
        "model_data_url": join("s3://", bucket, "/", archive_key(model, version)),
        "container_environment": container_environment(preset, version),
    }


def _image(reader: Reader, field: str, preset: RuntimePreset, region: str) -> str:
    try:
        return image_uri(preset, region)
    except ValueError as error:
        if region:
            reader.refuse(field, preset.name, str(error), "choose another preset or region")
        return ""


def _refuse_what_the_endpoint_refuses(reader: Reader, name: str, endpoint: dict[str, Any]) -> None:
    """Adds the endpoint's problems in the words of these arguments, but for fields that are refused already."""
    refused = {problem.field.partition("[")[0].partition(".")[0] for problem in reader.problems}
    try:
        resolve_endpoint(name, cast(SageMakerEndpointArgs, endpoint))
    except ComponentArgsError as error:
        for problem in error.problems:
            first, dot, rest = problem.field.partition(".")
            ours = _OURS_BY_THEIRS.get(first, first) + dot + rest
            known = ours.partition("[")[0].partition(".")[0] in ModelServiceArgs.__annotations__
            if known and ours.partition("[")[0].partition(".")[0] not in refused:
                reader.add(replace(problem, field=ours))


class ModelService(pulumi.ComponentResource):
    """A model as a catalog file describes it, served by a back end."""

    endpoint_name: pulumi.Output[str]
    """Name of the endpoint."""
    endpoint_arn: pulumi.Output[str]
    """ARN of the endpoint."""
    endpoint_config_name: pulumi.Output[str]
    """Name of the configuration that is asked for."""
    peak_instance_count: pulumi.Output[float]
    """Most instances at once, both fleets of a release counted."""
    reports_version: pulumi.Output[bool]
    """Whether an answer says which version gave it. False: the runtime preset's image cannot pass it on, and the
    version is recorded as unknown."""
    identity: EndpointIdentity
    """Names, ARNs and metric dimensions for alarms, dashboards and callers."""

    def __init__(self, name: str, args: ModelServiceArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:ModelService", name, {}, opts)
        resolved = _resolve(name, args)
        self._endpoint = SageMakerEndpoint(
            f"{name}-endpoint", resolved.endpoint, opts=pulumi.ResourceOptions(parent=self)
        )
        self.endpoint_name = self._endpoint.endpoint_name
        self.endpoint_arn = self._endpoint.endpoint_arn
        self.endpoint_config_name = self._endpoint.endpoint_config_name
        self.peak_instance_count = self._endpoint.peak_instance_count
        self.reports_version = pulumi.Output.from_input(resolved.preset.reports_version)
        self.identity = self._endpoint.identity
        self.register_outputs(
            {
                "endpoint_name": self.endpoint_name,
                "endpoint_arn": self.endpoint_arn,
                "endpoint_config_name": self.endpoint_config_name,
                "peak_instance_count": self.peak_instance_count,
                "reports_version": self.reports_version,
                "identity": self.identity,
            }
        )

    def grant_invoke(self, role_name: pulumi.Input[str], *, grantee: str = "caller") -> "aws.iam.RolePolicy":
        """Lets a role invoke this model and nothing else. `grantee` names the caller, once for each grant."""
        return self._endpoint.grant_invoke(role_name, grantee=grantee)
