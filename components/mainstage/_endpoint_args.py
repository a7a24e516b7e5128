"""The arguments of SageMakerEndpoint, and what they resolve to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NotRequired, Optional, TypedDict

import pulumi

from ._account import Account, AccountArgs, read_account, read_boundary, read_tags
from ._autoscaling import MOST_INSTANCES, Autoscaling, AutoscalingArgs, read_autoscaling
from ._names import LONGEST_RELEASE_SUFFIX
from ._patterns import ARN, HTTPS_URL, KEY_ARN, LOG_RETENTION_DAYS, RESOURCE_NAME, TOPIC_ARN, Pattern
from ._policy import Text, join
from ._release import Capture, Release
from ._release_rules import Deployment, DeploymentArgs, read_deployment, refuse_unsafe
from ._resolve import Reader
from .guard_alarms import SloArgs, read_slo
from .network import CIDR, PREFIX_LIST_ID, SUBNET_ID, VPC_ID

MOST_VERSION = 99_999

_ENDPOINT_NAME = Pattern(
    RESOURCE_NAME.expression,
    f"a name of a-z, 0-9 and hyphen, at most {63 - LONGEST_RELEASE_SUFFIX} characters, because the version and a "
    "fingerprint are added to it and SageMaker takes 63",
    maximum=63 - LONGEST_RELEASE_SUFFIX,
)
_IMAGE = Pattern(r"[\S]+", "the URI of a container image", maximum=255)
_ARCHIVE = Pattern(r"(s3|https)://[^/]+/.+", "the URI of a model.tar.gz: s3://bucket/key", maximum=1024)
_S3_FOLDER = Pattern(r"s3://[a-z0-9.-]+(/.*)?", "a place in S3: s3://bucket/prefix", maximum=512)
_PREFIX = Pattern(r"[A-Za-z0-9!_.()/-]+/", "a key prefix that ends in /, for example models/iris/", maximum=512)
_ENVIRONMENT = Pattern(r"[\s\S]*", "a text of up to 1,024 characters", maximum=1024)
_INSTANCE_TYPE = Pattern(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "a SageMaker instance type such as ml.m5.large", maximum=64)

# What people ask for and do not find, and why.
_NOT_CARRIED: Mapping[str, str] = MappingProxyType(
    {
        "asynchronous": "remove it: asynchronous endpoints publish neither Invocations nor OverheadLatency, so the "
        "guards would see nothing, and SageMaker takes no shadow beside them",
        "containers": "give one image_uri: SageMaker takes neither a shadow nor guardrails on several containers",
        "inference_components": "remove it: pulumi-aws 7.51 does not carry inference components",
        "scale_to_zero": "remove it: it needs inference components, which pulumi-aws 7.51 does not carry",
        "serverless": "give instance_type and instance_count: SageMaker takes neither canary, linear nor rolling "
        "releases, no VPC and no shadow on serverless endpoints",
        "shadow": "remove it: a shadow mirrors a stable release and is a ShadowTest, never a setting of the endpoint; "
        "SageMaker takes one, beside exactly one production variant",
        "alarms": "remove it: the set of guard alarms is fixed from the first day, for another set replaces the live "
        "endpoint",
        "model_package_name": "give image_uri and model_data_url: a Marketplace container has no guardrails in "
        "SageMaker, which releases it all at once and unwatched, without a word",
        "monitor": "remove it: a monitor reads the prediction log, and is given that log, not the endpoint",
    }
)


class EndpointNetworkArgs(TypedDict):
    """The network that the model runs in, as Network hands it out."""

    vpc_id: pulumi.Input[str]
    """Id of the VPC."""
    cidr_block: pulumi.Input[str]
    """Address block of the VPC: the model reaches interface endpoints in it, and nothing else but S3."""
    subnet_ids: pulumi.Input[list[str]]
    """Private subnets, in at least two zones. Their route tables need a way to S3."""
    s3_prefix_list_id: pulumi.Input[str]
    """Prefix list of S3 in the region."""


class DataCaptureArgs(TypedDict):
    """Which requests and answers SageMaker keeps."""

    s3_uri: pulumi.Input[str]
    """Where they go: `s3://bucket/prefix`. SageMaker adds endpoint, variant and hour."""
    bucket_arn: pulumi.Input[str]
    """ARN of that bucket. Its objects are encrypted with the endpoint's `kms_key_arn`."""
    percent: float
    """Share of requests that is captured, in percent, 0 to 100. 0 switches it off."""


class KeptReleaseArgs(TypedDict):
    """An earlier release that stays declared, so that it is never deleted under a live endpoint."""

    version: float
    """The version, 1 to 99,999."""
    image_uri: str
    """Its container image."""
    model_data_url: pulumi.Input[str]
    """Its archive."""
    container_environment: NotRequired[dict[str, pulumi.Input[str]]]
    """Its container's environment. Omitted: empty."""
    variant_name: NotRequired[str]
    """Its variant's name; another than the endpoint's is refused. Omitted: the endpoint's."""


class SageMakerEndpointArgs(AccountArgs):
    """Arguments of SageMakerEndpoint."""

    model_name: str
    """Name of the model in the catalog and the registry."""
    endpoint_name: NotRequired[str]
    """Name of the endpoint in SageMaker, up to 47 characters. Omitted: the component's name."""
    awaiting: NotRequired[bool]
    """True: no version serves yet. Role, log group and guards are made; `version`, `image_uri`, `model_data_url`,
    `container_environment` and `keep` are refused. Omitted: false."""
    version: NotRequired[float]
    """Version that serves all traffic, 1 to 99,999. Required unless `awaiting`."""
    image_uri: NotRequired[str]
    """Container image of the version. Required unless `awaiting`."""
    model_data_url: NotRequired[pulumi.Input[str]]
    """Archive of the version: `s3://bucket/key`. Required unless `awaiting`."""
    container_environment: NotRequired[dict[str, pulumi.Input[str]]]
    """Environment of the version's container. Omitted: empty."""
    keep: NotRequired[list[KeptReleaseArgs]]
    """Earlier releases that stay declared, at most five. Omitted: none."""
    variant_name: NotRequired[str]
    """Name of the variant that takes the traffic. It never changes: guardrails need the same name in the old and the
    new fleet. Omitted: `stable`."""
    registry_bucket_arn: pulumi.Input[str]
    """Bucket that the archives lie in. The history of the endpoint's releases is kept there too, under `releases/`, by
    whoever runs `up`."""
    registry_prefix: NotRequired[str]
    """Where in the bucket they lie; the role reads nothing else. Omitted: `models/<model_name>/`."""
    repository_arns: list[pulumi.Input[str]]
    """Repositories that images may be pulled from."""
    kms_key_arn: pulumi.Input[str]
    """Key of the archives, the logs, the instances' volumes and what is captured."""
    network: NotRequired[EndpointNetworkArgs]
    """Network that the model runs in. Omitted: SageMaker's own, outside any VPC of yours."""
    network_isolation: NotRequired[bool]
    """True: the container can open no connection at all; SageMaker itself still fetches the archive. Omitted: true."""
    instance_type: str
    """Instance type, for example `ml.m5.large`."""
    instance_count: NotRequired[float]
    """Instances to start with, 1 to 100. Omitted: 1, or autoscaling's minimum."""
    autoscaling: NotRequired[AutoscalingArgs]
    """How instances follow the load. Omitted: the number stays as it is."""
    data_capture: NotRequired[DataCaptureArgs]
    """Which requests and answers are kept. Omitted: none."""
    deployment: NotRequired[DeploymentArgs]
    """How a new version takes over. Omitted: all at once, the old fleet kept for 10 minutes."""
    approval_required: NotRequired[bool]
    """True: a version is made only when `approval.json` beside its archive names that archive and comes from another
    identity than the push. Asked when `up` makes the model, never in a preview. Omitted: false."""
    slo: SloArgs
    """What the endpoint promises: the guards' limits."""
    page_topic_arn: pulumi.Input[str]
    """Topic that wakes a person."""
    ticket_topic_arn: pulumi.Input[str]
    """Topic that waits for the morning."""
    runbook_base_url: str
    """Where the runbooks are read."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """Permissions boundary of the execution role. Omitted: none."""
    log_retention_days: NotRequired[float]
    """Days that the container's logs are kept, one of the numbers that CloudWatch Logs takes. Omitted: 90."""
    deletion_protection: NotRequired[bool]
    """True: the endpoint and its logs are neither deleted nor replaced, and what it may still use survives the stack.
    Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Network:
    vpc_id: Text
    cidr_block: Text
    subnet_ids: pulumi.Input[Sequence[Text]]
    s3_prefix_list_id: Text


@dataclass(frozen=True, kw_only=True)
class Resolved:
    account: Account
    endpoint_name: str
    model_name: str
    variant_name: str
    release: Optional[Release]
    keep: tuple[Release, ...]
    registry_bucket_arn: Text
    registry_objects: Text
    repository_arns: Sequence[Text]
    kms_key_arn: Text
    network: Optional[_Network]
    network_isolation: bool
    instance_type: str
    instance_count: int
    autoscaling: Optional[Autoscaling]
    capture: Optional[Capture]
    capture_objects: Optional[Text]
    deployment: Deployment
    approval_required: bool
    minimum_requests: int
    page_topic_arn: Text
    ticket_topic_arn: Text
    runbook_base_url: str
    permissions_boundary_arn: Optional[Text]
    log_retention_days: int
    deletion_protection: bool
    tags: dict[str, Text]

    @property
    def log_group_name(self) -> str:
        """SageMaker writes there and nowhere else; it would make the group itself, unencrypted and for ever."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint_name}"


def resolve(name: str, args: SageMakerEndpointArgs) -> Resolved:
    reader = Reader("SageMakerEndpoint", name, args, SageMakerEndpointArgs, explained=_NOT_CARRIED)
    account = read_account(reader)
    endpoint_name = reader.plain("endpoint_name", _ENDPOINT_NAME, default=name)
    model_name = reader.plain("model_name", RESOURCE_NAME)
    variant_name = reader.plain("variant_name", RESOURCE_NAME, default="stable")
    release = _read_release(reader)
    autoscaling = read_autoscaling(reader.section("autoscaling", AutoscalingArgs))
    instance_type = reader.plain("instance_type", _INSTANCE_TYPE)
    instance_count = _read_instance_count(reader, autoscaling)
    deployment = read_deployment(reader.section("deployment", DeploymentArgs))
    refuse_unsafe(reader, deployment, instance_type=instance_type, instance_count=instance_count)
    slo = read_slo(reader.section("slo", SloArgs))
    capture, capture_objects = _read_capture(reader, endpoint_name)
    bucket_arn = reader.text("registry_bucket_arn", ARN)
    prefix = reader.plain("registry_prefix", _PREFIX, default=f"models/{model_name}/")
    repository_arns = reader.text_list("repository_arns", ARN, minimum=1)
    resolved = Resolved(
        account=account,
        endpoint_name=endpoint_name,
        model_name=model_name,
        variant_name=variant_name,
        release=release,
        keep=_read_keep(reader, release, variant_name),
        registry_bucket_arn=bucket_arn,
        registry_objects=join(bucket_arn, "/", prefix, "*"),
        repository_arns=repository_arns if isinstance(repository_arns, Sequence) else (),
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        network=_read_network(reader),
        network_isolation=reader.flag("network_isolation", default=True),
        instance_type=instance_type,
        instance_count=instance_count,
        autoscaling=autoscaling,
        capture=capture,
        capture_objects=capture_objects,
        deployment=deployment,
        approval_required=reader.flag("approval_required", default=False),
        minimum_requests=slo.minimum_requests,
        page_topic_arn=reader.text("page_topic_arn", TOPIC_ARN),
        ticket_topic_arn=reader.text("ticket_topic_arn", TOPIC_ARN),
        runbook_base_url=reader.plain("runbook_base_url", HTTPS_URL),
        permissions_boundary_arn=read_boundary(reader),
        log_retention_days=reader.whole("log_retention_days", one_of=LOG_RETENTION_DAYS, default=90),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


_OF_A_VERSION = ("version", "image_uri", "model_data_url", "container_environment", "keep")


def _read_release(reader: Reader) -> Optional[Release]:
    if reader.flag("awaiting", default=False):
        for field in _OF_A_VERSION:
            if reader.has(field):
                reader.refuse(field, reader.raw(field), "nothing while awaiting", f"remove {field} or awaiting")
        return None
    return _release(reader)


def _release(reader: Reader) -> Release:
    return Release(
        version=reader.whole("version", minimum=1, maximum=MOST_VERSION),
        image_uri=reader.plain("image_uri", _IMAGE),
        model_data_url=reader.text("model_data_url", _ARCHIVE),
        container_environment=reader.text_map("container_environment", _ENVIRONMENT, default={}),
    )


def _read_keep(reader: Reader, release: Optional[Release], variant_name: str) -> tuple[Release, ...]:
    if release is None:
        return ()
    kept: list[Release] = []
    for index, section in enumerate(reader.sections("keep", KeptReleaseArgs, maximum=5)):
        earlier = _release(section)
        if earlier.version == release.version:
            reader.refuse(f"keep[{index}].version", earlier.version, "earlier versions", "remove it: it is served")
        elif earlier.version in (other.version for other in kept):
            reader.refuse(f"keep[{index}].version", earlier.version, "each version once", "remove one of the two")
        name = section.plain("variant_name", RESOURCE_NAME, default=variant_name)
        if name != variant_name:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
            reader.refuse(
                f"keep[{index}].variant_name",
                name,
                f"{variant_name}: guardrails need the same variant name in the old and the new fleet",
                f"give both releases the name {name}, or make another endpoint",
            )
        kept.append(earlier)
    return tuple(kept)


def _read_instance_count(reader: Reader, autoscaling: Optional[Autoscaling]) -> int:
    default = autoscaling.minimum if autoscaling else 1
    count = reader.whole("instance_count", minimum=1, maximum=MOST_INSTANCES, default=default)
    if autoscaling is not None and not autoscaling.minimum <= count <= autoscaling.maximum:
        allowed = f"{autoscaling.minimum} to {autoscaling.maximum}, autoscaling's minimum and maximum"
        reader.refuse("instance_count", count, allowed, "bring it between the two, or leave it out")
    return count


def _read_network(reader: Reader) -> Optional[_Network]:
    section = reader.section("network", EndpointNetworkArgs)
    if section is None:
        return None
    return _Network(
        vpc_id=section.text("vpc_id", VPC_ID),
        cidr_block=section.text("cidr_block", CIDR),
        subnet_ids=section.text_list("subnet_ids", SUBNET_ID, minimum=2, maximum=16),
        s3_prefix_list_id=section.text("s3_prefix_list_id", PREFIX_LIST_ID),
    )


def _read_capture(reader: Reader, endpoint_name: str) -> tuple[Optional[Capture], Optional[Text]]:
    section = reader.section("data_capture", DataCaptureArgs)
    if section is None:
        return None, None
    s3_uri = section.text("s3_uri", _S3_FOLDER)
    bucket_arn = section.text("bucket_arn", ARN)
    percent = section.whole("percent", minimum=0, maximum=100)
    if percent == 0:
        return None, None
    if isinstance(s3_uri, str):
        folder: Text = _folder(s3_uri)
    else:
        folder = pulumi.Output.from_input(s3_uri).apply(_folder)
    return Capture(s3_uri=s3_uri, percent=percent), join(bucket_arn, "/", folder, endpoint_name, "/*")


def _folder(s3_uri: str) -> str:
    """`a/b/` of `s3://bucket/a/b`; nothing for the bucket itself."""
    path = s3_uri.removeprefix("s3://").partition("/")[2].strip("/")
    return f"{path}/" if path else ""
