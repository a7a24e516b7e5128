"""Arguments of ModelService: reads them, and turns them into the arguments of the endpoint, the log and the route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from ._account import Account, AccountArgs, read_account, read_tags
from ._autoscaling import AutoscalingArgs
from ._endpoint_args import MOST_VERSION, DataCaptureArgs, EndpointNetworkArgs, SageMakerEndpointArgs
from ._endpoint_args import resolve as resolve_endpoint
from ._front_door_identity import FrontDoorIdentity, read_door
from ._patterns import ARN, BUCKET_NAME, LOG_RETENTION_DAYS, RESOURCE_NAME, TAG_VALUE
from ._policy import Text, join
from ._release_rules import DeploymentArgs
from ._resolve import ComponentArgsError, Reader
from ._signature_args import SignatureArgs, holds_personal_data, read_signature
from .guard_alarms import SloArgs
from .model_registry import archive_key
from .model_route import ModelRouteArgs, read_body_limit, read_deadline, read_pseudonym_key
from .prediction_log import PredictionLogArgs, read_log_sizes
from .runtime_presets import PRESETS, RuntimePreset, container_environment, image_uri, repository_arn
from .service_alarms import AlarmLimitsArgs, Limits, ServiceAlarmsArgs, read_limits

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


class LogStorageArgs(TypedDict):
    """Where predictions are logged, and how."""

    bucket_name: pulumi.Input[str]
    """Bucket of the prediction logs."""
    bucket_arn: pulumi.Input[str]
    """ARN of that bucket."""
    buffer_seconds: NotRequired[float]
    """How long records are gathered before a file is written, in seconds, 60 to 900. Omitted: 60."""
    buffer_mib: NotRequired[float]
    """How many MiB are gathered at most before a file is written, 64 to 128. Omitted: 64."""
    scan_limit_mib: NotRequired[float]
    """How many MiB one query may read, at least 10. Omitted: 10,240."""


class ModelServiceArgs(AccountArgs):
    """Arguments of ModelService."""

    model: str
    """Name of the model: a-z, 0-9 and hyphen."""
    environment_label: str
    """What the model's log, route and functions begin with, and what records say about where they come from: `prod`.
    With the model's name and a hyphen at most 52 characters."""
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
    approval_required: NotRequired[bool]
    """True: a version is released only when somebody else than who pushed it has approved it. Omitted: false."""
    capacity: CapacityArgs
    """What the model runs on."""
    slo: SloArgs
    """What clients are promised: the guards' limits."""
    alarms: NotRequired[AlarmLimitsArgs]
    """Limits of what a person is told beside the promise. Omitted: all left out."""
    signature: SignatureArgs
    """What a request and an answer look like: requests are held against it, and logged in its columns."""
    front_door: FrontDoorIdentity
    """The HTTP API that clients call, as FrontDoor hands it out."""
    deadline_ms: NotRequired[float]
    """Time for an answer, in milliseconds, 100 to 25,000; later it is 504. Omitted: 10,000."""
    maximum_body_kib: NotRequired[float]
    """Longest request body in KiB, 1 to 2,900; a longer one is 413. Omitted: 256."""
    prediction_log: LogStorageArgs
    """Where predictions are logged, and how."""
    pseudonym_key_arn: NotRequired[pulumi.Input[str]]
    """HMAC key that personal data are hashed with. Required when something of the signature is hashed, when it names an
    entity key, or when callers have tokens."""
    capture: NotRequired[DataCaptureArgs]
    """Which requests and answers are kept as they were sent, and where. More than 0 percent is refused with personal
    data in the signature. Omitted: none."""
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
class Resolved:
    """Arguments of what a service is made of."""

    account: Account
    model: str
    log_name: str
    workgroup_name: str
    endpoint: SageMakerEndpointArgs
    log: PredictionLogArgs
    limits: Limits
    """Of what a person is told."""
    alarms: dict[str, Any]
    """Those of the alarms but `identity` and `log`, which the other parts hand out."""
    route: dict[str, Any]
    """Those of the route but `endpoint`, `configurations` and `log`, which the other parts hand out."""
    runbook_base_url: str
    preset: RuntimePreset

    def route_args(self, **handed_out: Any) -> ModelRouteArgs:
        """The route's arguments, with what the other parts hand out."""
        return cast(ModelRouteArgs, self.route | handed_out)

    def alarms_args(self, **handed_out: Any) -> ServiceAlarmsArgs:
        """The alarms' arguments, with what the other parts hand out."""
        return cast(ServiceAlarmsArgs, self.alarms | handed_out)


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
    "approval_required",
    "permissions_boundary_arn",
    "log_retention_days",
    "deletion_protection",
)

# Whom alarms tell, and where their runbooks are.
_TOLD = ("page_topic_arn", "ticket_topic_arn", "runbook_base_url")

# Passed on to the log and the route under the same name.
_COMMON = ("kms_key_arn", "permissions_boundary_arn", "deletion_protection")

LONGEST_LOG_NAME = 52
"""Longest name of a log: `<log name>-predictions` has to be a stream's name, and Firehose takes 64 characters."""

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


def resolve(name: str, args: ModelServiceArgs) -> Resolved:
    """Checks the arguments of a service called `name`. Raises ComponentArgsError with every problem."""
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
    log_name = _read_log_name(reader, model)
    common = {
        **{field: endpoint[field] for field in ("account_id", "region", "partition", "tags")},
        **{field: reader.raw(field) for field in _COMMON if reader.has(field)},
        "model": model,
        "signature": reader.raw("signature"),
        "log_retention_days": reader.whole("log_retention_days", one_of=LOG_RETENTION_DAYS, default=90),
    }
    log = {**common, "log_name": log_name, "workgroup_name": f"mainstage-{log_name}", **_read_log(reader)}
    route = {**common, "route_name": log_name, "environment_label": reader.raw("environment_label")}
    route |= _read_route(reader)
    limits = read_limits(reader.section("alarms", AlarmLimitsArgs))
    alarms = {field: endpoint.get(field) for field in (*_TOLD, "slo", "instance_type", "tags")}
    if reader.has("alarms"):
        alarms["limits"] = reader.raw("alarms")
    _refuse_what_the_endpoint_refuses(reader, f"{name}-endpoint", endpoint)
    reader.finish()
    return Resolved(
        account=account,
        model=model,
        log_name=log_name,
        workgroup_name=log["workgroup_name"],
        endpoint=cast(SageMakerEndpointArgs, endpoint),
        log=cast(PredictionLogArgs, log),
        limits=limits,
        alarms=alarms,
        route=route,
        runbook_base_url=endpoint["runbook_base_url"],
        preset=preset,
    )


def _read_log_name(reader: Reader, model: str) -> str:
    """`<environment_label>-<model>`: the route and the log are called alike."""
    label = reader.plain("environment_label", RESOURCE_NAME)
    name = f"{label}-{model}"
    if len(name) > LONGEST_LOG_NAME:
        allowed = f"with environment_label and a hyphen at most {LONGEST_LOG_NAME} characters"
        reader.refuse("model", model, allowed, f"shorten it by {len(name) - LONGEST_LOG_NAME}")
    return name


def _read_log(reader: Reader) -> dict[str, Any]:
    """What the log takes and nobody else does."""
    section = reader.section("prediction_log", LogStorageArgs)
    topics = {field: reader.raw(field) for field in _TOLD}
    if section is None:
        return topics
    section.text("bucket_name", BUCKET_NAME)
    section.text("bucket_arn", ARN)
    read_log_sizes(section)
    return topics | {field: section.raw(field) for field in LogStorageArgs.__annotations__ if section.has(field)}


def _read_route(reader: Reader) -> dict[str, Any]:
    """What the route takes and nobody else does, and what may not stand beside personal data."""
    signature, door = read_signature(reader, "signature"), read_door(reader, "front_door")
    key = read_pseudonym_key(reader, signature, door)
    capture = reader.raw("capture")
    percent = capture.get("percent") if isinstance(capture, Mapping) else None
    if percent and holds_personal_data(signature):
        allowed = "0: requests would be stored as they are, with the personal data of the signature in them"
        reader.refuse("capture.percent", percent, allowed, "remove capture: the log keeps them without personal data")
    return {
        "front_door": reader.raw("front_door"),
        "deadline_ms": read_deadline(reader),
        "maximum_body_kib": read_body_limit(reader),
        **({} if key is None else {"pseudonym_key_arn": key}),
    }


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
