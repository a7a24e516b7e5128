"""What a stack file may say. One model a layer; descriptions are the reference (docs/guides/settings.md is made from
them)."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from infra.problems import nearest
from infra.sections import Finding, Section
from infra.settings.regions import REGIONS

Layer = Literal["platform", "models"]
Environment = Literal["dev", "staging", "prod"]
LAYERS: tuple[str, ...] = get_args(Layer)
ENVIRONMENTS: tuple[str, ...] = get_args(Environment)

# What the committed stack files name until somebody puts an account of their own. No such account is a customer's.
PLACEHOLDER_ACCOUNT_IDS = ("111111111111", "222222222222", "333333333333")

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # fmt: skip

# Interface endpoints that the platform can make, by the short name that follows com.amazonaws.<region>.
InterfaceEndpoint = Literal[
    "ecr.api", "ecr.dkr", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "sts", "kms", "sns"
]

# A VPC takes /16 to /28 (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html); the Network component
# divides no less than a /23 into zones.
_LARGEST_VPC, _SMALLEST_VPC = 16, 23
_MAXIMUM_TAGS = 30  # AWS takes 50 a resource; the rest is for the provider's own and the components'
_KEY_ARN = r"^arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]{36}$"
_ARN_POLICY = r"arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:policy/[A-Za-z0-9_+=,.@/-]+"

ResourceId = Annotated[str, Field(pattern=r"^[a-z]+-[0-9a-f]{8,17}$")]
SubnetIds = Annotated[tuple[ResourceId, ...], Field(strict=False, min_length=2)]


class LayerSettings(Section):
    """What both layers' stack files say."""

    release: str = Field(
        pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.-]+)?$",
        description=(
            "the blueprint release this stack is pinned to, such as 0.1.0. A checkout of another release refuses to run"
        ),
    )
    account_id: str = Field(
        pattern=r"^[0-9]{12}$",
        description=(
            'the AWS account, twelve digits in quotes, such as "111111111111". Calls to any other account are refused'
        ),
    )
    region: str = Field(description="the AWS region, such as eu-west-1. Everything of the environment stands in it")
    owner: str = Field(
        min_length=1,
        max_length=128,
        description="the team that answers for this environment, as a tag on every resource",
    )
    cost_center: str = Field(
        min_length=1, max_length=128, description="who pays, as a tag on every resource (mainstage:cost-center)"
    )
    tags: dict[str, str] = Field(
        default_factory=dict, description="further tags for every resource, a mapping of text to text. Default: none"
    )
    log_retention_days: RetentionDays = Field(
        description="how long log groups keep entries, in days. One of the numbers CloudWatch Logs takes"
    )
    deletion_protection: bool = Field(
        default=True,
        description="true or false: whether what holds data refuses to be deleted. Default: true. False only in dev",
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        region = values.get("region")
        if region is not None and region not in REGIONS:
            near = nearest(region, REGIONS)
            allowed = "a region such as eu-west-1" if near else ", ".join(REGIONS)
            yield Finding(("region",), "no region in which SageMaker hosts endpoints", allowed, near)
        yield from _tag_rules(values.get("tags", {}))


def _tag_rules(tags: Mapping[str, str]) -> Iterator[Finding]:
    if len(tags) > _MAXIMUM_TAGS:
        yield Finding(("tags",), f"{len(tags)} tags", f"up to {_MAXIMUM_TAGS}", fix="remove some")
    for key, value in tags.items():
        yield from tag_findings(("tags", key), key, value)


def tag_findings(location: tuple[str | int, ...], key: str, value: str) -> Iterator[Finding]:
    """AWS's rules for one tag (https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html)
    and ours."""
    allowed = "letters, digits, spaces and _ . : / = + - @"
    if not key or len(key) > 128 or not re.fullmatch(r"[\w .:/=+@-]+", key):
        yield Finding(location, "the key is no tag key", f"1 to 128 characters: {allowed}")
    elif key.lower().startswith(("aws:", "mainstage:")):
        yield Finding(location, f"the prefix {key.split(':')[0]}: is reserved", fix="use a key of your own")
    if len(value) > 256 or not re.fullmatch(r"[\w .:/=+@-]*", value):
        yield Finding(location, "the value is no tag value", f"up to 256 characters: {allowed}")


class ExistingNetwork(Section):
    """A VPC that is there already. Nothing is made in it; models run in its private subnets."""

    vpc_id: ResourceId = Field(description="the VPC's id, such as vpc-0123456789abcdef0")
    cidr_block: str = Field(description="the VPC's address block, such as 10.20.0.0/16")
    private_subnet_ids: SubnetIds = Field(description="at least two private subnets in different zones, a list of ids")
    s3_prefix_list_id: ResourceId = Field(
        description=(
            "the prefix list of S3 in the region, such as pl-6da54004. The subnets' route tables "
            "need its gateway endpoint"
        )
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        if "cidr_block" in values:
            yield from _cidr_findings(values["cidr_block"])


class NetworkSettings(Section):
    """The network that models run in: made (cidr_block and availability_zones), or adopted (existing)."""

    cidr_block: str | None = Field(
        default=None,
        description="the VPC's address block, /16 to /23, such as 10.20.0.0/16. Needed unless existing is given",
    )
    availability_zones: Annotated[tuple[str, ...], Field(strict=False)] | None = Field(
        default=None,
        description=(
            "two to six zones of the region, a list such as [eu-west-1a, eu-west-1b]. Needed unless existing is given"
        ),
    )
    nat: Literal["none", "one", "per_zone"] = Field(
        default="none",
        description=(
            "NAT gateways: none, one or per_zone. Default: none, for models reach AWS through "
            "endpoints and nothing else"
        ),
    )
    interface_endpoints: Annotated[tuple[InterfaceEndpoint, ...], Field(strict=False)] = Field(
        default=("ecr.api", "ecr.dkr", "logs", "monitoring"),
        description="AWS services reached inside the network, a list of short names. Each costs per zone and hour. "
        "Default: ecr.api, ecr.dkr, logs, monitoring",
    )
    flow_log_retention_days: RetentionDays | None = Field(
        default=None, description="how long flow logs are kept, in days. Default: null, no flow logs"
    )
    existing: ExistingNetwork | None = Field(
        default=None, description="a mapping that names a network to adopt. Default: make one"
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        cidr_block, zones = values.get("cidr_block"), values.get("availability_zones")
        if values.get("existing") is not None:
            for name in ("cidr_block", "availability_zones", "flow_log_retention_days"):
                if values.get(name) is not None:
                    yield Finding((name,), "has no meaning beside existing", fix=f"remove {name} or existing")
            return
        if "existing" not in values:  # there, and wrong in itself
            return
        for name in ("cidr_block", "availability_zones"):
            if name in values and values[name] is None:
                yield Finding((name,), "missing", fix=f"add {name}, or adopt a network with existing")
        if cidr_block is not None:
            yield from _cidr_findings(cidr_block)
        if zones is not None:
            yield from _zone_findings(zones)


def _cidr_findings(cidr_block: str) -> Iterator[Finding]:
    here = ("cidr_block",)
    try:
        block = ipaddress.IPv4Network(cidr_block)
    except ValueError as error:
        fix = ""
        if "host bits" in str(error):
            fix = f"write {ipaddress.IPv4Network(cidr_block, strict=False)}"
        yield Finding(here, "not an IPv4 block", "such as 10.20.0.0/16", fix=fix)
        return
    if not _LARGEST_VPC <= block.prefixlen <= _SMALLEST_VPC:
        yield Finding(here, f"a VPC cannot be a /{block.prefixlen}", f"/{_LARGEST_VPC} to /{_SMALLEST_VPC}")
    elif not block.is_private:
        yield Finding(here, "not a private block", "inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")


def _zone_findings(zones: tuple[str, ...]) -> Iterator[Finding]:
    here = ("availability_zones",)
    if not 2 <= len(zones) <= 6:
        yield Finding(
            here, f"{len(zones)} zones", "two to six", fix="an endpoint with instances in one zone falls with that zone"
        )
    if len(set(zones)) != len(zones):
        yield Finding(here, "a zone stands twice", fix="name each zone once")


class RegistrySettings(Section):
    """The bucket that holds model archives."""

    noncurrent_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="how long overwritten or deleted objects stay recoverable, in days, 1 to 3650. Default: 90",
    )


class CaptureSettings(Section):
    """The bucket that holds captured requests and answers."""

    retention_days: int = Field(ge=1, le=3650, description="how long captured predictions are kept, in days, 1 to 3650")


class JwtSettings(Section):
    """Whose tokens the front door takes."""

    issuer: str = Field(
        pattern=r"^https://[^\s]+$",
        description="the issuer of the tokens, an https URL, letter for letter as in their claim iss",
    )
    audiences: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=50)] = Field(
        description="whom the tokens are for, a list of at least one: a token's claim aud or client_id has to be in it"
    )


class FrontDoorSettings(Section):
    """The HTTP API that clients call."""

    auth: Literal["iam", "jwt", "none"] = Field(
        default="iam",
        description=(
            "how callers prove who they are: iam (signed requests), jwt (tokens) or none (only in dev). Default: iam"
        ),
    )
    jwt: JwtSettings | None = Field(
        default=None, description="a mapping: whose tokens are taken. Needed with auth: jwt"
    )
    throttle_requests_per_second: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="requests a second that one model takes, 1 to 10000; the others are answered 429. Default: 1000",
    )
    throttle_burst: int = Field(
        default=2000, ge=1, le=5_000, description="requests that one model takes at once, 1 to 5000. Default: 2000"
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        auth = values.get("auth")
        if "jwt" not in values or auth is None:
            return
        if auth == "jwt" and values["jwt"] is None:
            yield Finding(("jwt",), "missing, auth: jwt needs it", fix="add jwt with issuer and audiences")
        if auth != "jwt" and values["jwt"] is not None:
            yield Finding(("jwt",), f"has no meaning with auth: {auth}", fix="write auth: jwt, or remove jwt")


class PredictionsSettings(Section):
    """The bucket that holds the prediction logs."""

    retention_days: int = Field(
        ge=1, le=3650, description="how long logged predictions are kept, in days, 1 to 3650. Older ones are deleted"
    )


class PlatformSettings(LayerSettings):
    """The platform layer: network, key, registry, pager."""

    layer: Literal["platform"] = Field(default="platform", exclude=True, description="from the stack's name")
    environment: Environment = Field(exclude=True, description="from the stack's name")
    network: NetworkSettings = Field(description="a mapping: the network that models run in")
    registry: RegistrySettings = Field(
        default_factory=RegistrySettings, description="a mapping: the bucket of model archives. Default: all defaults"
    )
    capture: CaptureSettings = Field(description="a mapping: the bucket of captured predictions")
    front_door: FrontDoorSettings = Field(
        default_factory=FrontDoorSettings,
        description="a mapping: the HTTP API that clients call. Default: all defaults",
    )
    predictions: PredictionsSettings = Field(description="a mapping: the bucket of the prediction logs")
    existing_kms_key_arn: str | None = Field(
        default=None,
        pattern=_KEY_ARN,
        description=(
            "the ARN of a customer key that is there already, whose policy lets CloudWatch, logs "
            "and SNS use it. Default: make one"
        ),
    )
    existing_pseudonym_key_arn: str | None = Field(
        default=None,
        pattern=_KEY_ARN,
        description=(
            "the ARN of an HMAC_256 key that is there already, which personal data are hashed with. Default: make one"
        ),
    )
    existing_permissions_boundary_arn: str | None = Field(
        default=None, pattern=f"^{_ARN_POLICY}$",
        description="the ARN of a policy that bounds every role made here. Default: make one",
    )  # fmt: skip

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        yield from super().rules(values)
        yield from _protection_findings(values)
        yield from _auth_findings(values)
        region, network = values.get("region"), values.get("network")
        if region in REGIONS and network is not None:
            for index, zone in enumerate(network.availability_zones or ()):
                if not re.fullmatch(re.escape(region) + "[a-z]", zone):
                    here = ("network", "availability_zones", index)
                    yield Finding(
                        here,
                        f"not a zone of {region}",
                        f"{region}a, {region}b, …",
                        nearest(zone, (f"{region}{z}" for z in "abcdef")),
                    )
        for name in ("existing_kms_key_arn", "existing_pseudonym_key_arn", "existing_permissions_boundary_arn"):
            arn, account_id = values.get(name), values.get("account_id")
            if arn and account_id and arn.split(":")[4] != account_id:
                yield Finding(
                    (name,), "lies in another account", f"account {account_id}", fix="use one of this account"
                )


class Limits(Section):
    """What a model file of this environment may ask for. The ceiling is the cost cap."""

    minimum_instances: int = Field(
        default=1, ge=1, le=100, description="fewest instances an endpoint may have, 1 to 100. Default: 1"
    )
    maximum_instances: int = Field(
        ge=1, le=100, description="most instances an endpoint may have, autoscaling counted, 1 to 100"
    )
    instance_types: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = Field(
        description='instance types that may be used, a list of names or patterns such as "ml.m5.*"'
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        low, high = values.get("minimum_instances"), values.get("maximum_instances")
        if low is not None and high is not None and low > high:
            yield Finding(
                ("minimum_instances",), f"is above maximum_instances ({high})", f"up to {high}", fix="lower it"
            )
        for index, pattern in enumerate(values.get("instance_types", ())):
            if not pattern.startswith("ml."):
                yield Finding(
                    ("instance_types", index),
                    "not a SageMaker instance type",
                    'names and patterns that begin with "ml."',
                )

    def allows_instance_type(self, instance_type: str) -> bool:
        return any(fnmatch.fnmatchcase(instance_type, pattern) for pattern in self.instance_types)


class PredictionLogSettings(Section):
    """How predictions are logged, and how much a query may read."""

    buffer_seconds: int = Field(
        default=60,
        ge=60,
        le=900,
        description=(
            "how long predictions are gathered before they are written, in seconds, 60 to 900. A query sees them after "
            "up to one and a half times as long and the minute that Firehose gathers for the transform: two to three "
            "minutes with the default. Longer means larger files and cheaper queries. Default: 60"
        ),
    )
    scan_limit_mib: int = Field(
        default=10_240,
        ge=10,
        le=7_000_000,
        description=(
            "how many MiB one query of the log may read, at least 10: the cost cap of a query. Default: 10240"
        ),
    )


class ApprovalSettings(Section):
    """Who lets a version be released."""

    required: bool = Field(
        default=False,
        description=(
            "true or false: whether a version is released only after somebody else than who pushed it has approved it "
            "(mainstage model approve). Default: false"
        ),
    )


class ModelsSettings(LayerSettings):
    """The models layer: endpoints and what hangs on them."""

    layer: Literal["models"] = Field(default="models", exclude=True, description="from the stack's name")
    environment: Environment = Field(exclude=True, description="from the stack's name")
    runbook_base_url: str = Field(
        pattern=r"^https://[^\s]+[^/\s]$",
        description="where runbooks are read, an https URL without a slash at the end. Alarms link <url>/<name>.md",
    )
    capture_percent: int = Field(
        ge=0, le=100, description="share of requests captured when a model file does not say, in percent, 0 to 100"
    )
    limits: Limits = Field(description="a mapping: what model files may ask for in this environment")
    prediction_log: PredictionLogSettings = Field(
        default_factory=PredictionLogSettings,
        description="a mapping: how predictions are logged and queried. Default: all defaults",
    )
    approval: ApprovalSettings = Field(
        default_factory=ApprovalSettings,
        description="a mapping: who lets a version be released. Default: nobody is asked",
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        yield from super().rules(values)
        yield from _protection_findings(values)


def _protection_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    if values.get("deletion_protection") is False and values.get("environment") not in ("dev", None):
        message = f"cannot be switched off in {values['environment']}"
        yield Finding(("deletion_protection",), message, "true; false only in dev", fix="remove the line")


def _auth_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    front_door, environment = values.get("front_door"), values.get("environment")
    if front_door is not None and front_door.auth == "none" and environment not in ("dev", None):
        message = f"everybody on the internet could call the models of {environment}"
        yield Finding(("front_door", "auth"), message, "iam or jwt; none only in dev", fix="remove the line: iam")
