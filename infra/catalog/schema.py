"""What a model file may say. Descriptions are the reference (docs/guides/catalog.md and the JSON Schema are made from
them)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from mainstage.guard_alarms import FIRING_SECONDS
from mainstage.model_route import LONGEST_DEADLINE_MS, MOST_BODY_KIB
from mainstage.runtime_presets import PRESETS
from mainstage_runtime.values import number_text
from pydantic import BeforeValidator, Field

from infra.catalog.names import MAXIMUM_MODEL_NAME, MAXIMUM_VERSION, MODEL_NAME_PATTERN
from infra.catalog.signature import Signature, repeated
from infra.problems import nearest
from infra.sections import Finding, Section
from infra.settings.schema import tag_findings

# A container has to answer within 60 s:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
_LONGEST_ANSWER_MS = 60_000


@cache
def instance_types() -> tuple[str, ...]:
    """Instance types that SageMaker hosts, as botocore's model lists them (a test compares)."""
    return tuple(files("infra.catalog").joinpath("instance_types.txt").read_text(encoding="utf-8").split())


Version = Annotated[int, Field(ge=1, le=MAXIMUM_VERSION)]


class KeptVersion(Section):
    """An earlier version that stays declared, so that going back to it needs nothing built."""

    version: Version = Field(description=f"the version, a whole number, 1 to {MAXIMUM_VERSION}")
    runtime: str | None = Field(
        default=None, description="the runtime preset it was made for. Default: the file's runtime"
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        yield from _preset_findings(values.get("runtime"))


def _number_as_kept(value: Any) -> Any:
    """`keep: [6]` says the same as `keep: [{version: 6}]`."""
    return value if isinstance(value, Mapping) else {"version": value}


Keep = Annotated[
    tuple[Annotated[KeptVersion, BeforeValidator(_number_as_kept)], ...],
    Field(strict=False, max_length=5),
]


def _preset_findings(runtime: str | None) -> Iterator[Finding]:
    if runtime is not None and runtime not in PRESETS:
        yield Finding(("runtime",), "no such runtime preset", ", ".join(PRESETS), nearest(runtime, PRESETS))


class Rollout(Section):
    """How a new version takes over the traffic."""

    strategy: Literal["canary", "linear", "rolling", "all_at_once"] = Field(
        description=(
            "canary (a share first, then all), linear (share by share), rolling (instances in batches) or all_at_once"
        )
    )
    percent: int | None = Field(
        default=None,
        description=(
            "the share moved in one step, in percent: canary 1 to 50, linear 10 to 50, rolling 5 "
            "to 50; not with all_at_once"
        ),
    )
    bake_minutes: int = Field(
        default=10,
        ge=0,
        le=60,
        description=(
            f"how long each step is watched by the guard alarms, in minutes, {FIRING_SECONDS // 60} (what they may "
            "need to fire) to 60; 0, with all_at_once, releases without a watch. Default: 10"
        ),
    )

    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html,
    # API_RollingUpdatePolicy.html
    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        strategy = values.get("strategy")
        if strategy is None or "percent" not in values:
            return
        percent = values["percent"]
        if strategy == "all_at_once":
            if percent is not None:
                yield Finding(
                    ("percent",), "has no meaning with all_at_once", fix="remove percent, or choose another strategy"
                )
            return
        low, high = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}[strategy]
        if percent is None:
            yield Finding(("percent",), f"missing, {strategy} needs it", f"{low} to {high}", fix="add percent")
        elif not low <= percent <= high:
            yield Finding(("percent",), f"outside what SageMaker takes for {strategy}", f"{low} to {high}")


class Autoscaling(Section):
    """Instances follow the load."""

    minimum: int = Field(ge=1, le=100, description="fewest instances, 1 to 100")
    maximum: int = Field(ge=1, le=100, description="most instances, 1 to 100")
    invocations_per_instance_per_minute: float = Field(
        gt=0,
        le=1_000_000,
        description=(
            "the load at which one instance is full, in requests a minute. Measure it: about 70 % of what one bears"
        ),
    )
    scale_in_cooldown_seconds: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="rest after instances were removed, in seconds, 0 to 86400. Default: 300",
    )
    scale_out_cooldown_seconds: int = Field(
        default=60, ge=0, le=86_400, description="rest after instances were added, in seconds, 0 to 86400. Default: 60"
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        low, high = values.get("minimum"), values.get("maximum")
        if low is not None and high is not None and low > high:
            yield Finding(("minimum",), f"is above maximum ({high})", f"up to {high}", fix="exchange the two")


class Capacity(Section):
    """What the model runs on."""

    instance_type: str = Field(
        description="the SageMaker instance type, such as ml.m5.large. The environment's limits apply"
    )
    instance_count: int = Field(
        default=1,
        ge=1,
        le=100,
        description="how many instances, 1 to 100. Default: 1. With autoscaling: how many to begin with",
    )
    autoscaling: Autoscaling | None = Field(
        default=None, description="a mapping: how instances follow the load. Default: null, a fixed number"
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        instance_type = values.get("instance_type")
        if instance_type is not None and instance_type not in instance_types():
            near = nearest(instance_type, instance_types())
            yield Finding(
                ("instance_type",), "no instance type that SageMaker hosts", "a type such as ml.m5.large", near
            )
        count, scaling = values.get("instance_count"), values.get("autoscaling")
        if count is not None and scaling is not None and not scaling.minimum <= count <= scaling.maximum:
            allowed = f"{scaling.minimum} to {scaling.maximum}"
            yield Finding(("instance_count",), "lies outside autoscaling's minimum and maximum", allowed)


class Slo(Section):
    """What clients are promised. The guard alarms take these limits: a release that breaks them is taken back."""

    p95_ms: float = Field(
        default=500,
        gt=0,
        le=_LONGEST_ANSWER_MS,
        description="95 of 100 answers come within, in milliseconds, up to 60000. Default: 500",
    )
    p99_ms: float = Field(
        default=1000,
        gt=0,
        le=_LONGEST_ANSWER_MS,
        description="99 of 100 answers come within, in milliseconds, up to 60000. Default: 1000",
    )
    error_ratio: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="the share of requests that may fail, above 0 and below 1. Default: 0.01, one in a hundred",
    )
    minimum_requests: int = Field(
        default=20,
        ge=1,
        le=1_000_000,
        description=(
            "requests below which the share that failed says nothing: in a minute for the guards, in a window for the "
            "page. A release that got fewer in every minute is called unproven. Default: 20"
        ),
    )
    front_door_p99_ms: float | None = Field(
        default=None,
        gt=0,
        le=_LONGEST_ANSWER_MS,
        description=(
            "99 of 100 answers leave the front door within, in milliseconds, up to 60000. Not below p99_ms. "
            "Default: p99_ms and 250"
        ),
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        p95, p99 = values.get("p95_ms"), values.get("p99_ms")
        if p95 is not None and p99 is not None and p95 > p99:
            yield Finding(
                ("p95_ms",),
                f"is above p99_ms ({number_text(p99)})",
                f"up to {number_text(p99)}",
                fix="lower p95_ms or raise p99_ms",
            )
        door = values.get("front_door_p99_ms")
        if door is not None and p99 is not None and door < p99:
            yield Finding(
                ("front_door_p99_ms",),
                f"is below p99_ms ({number_text(p99)}), and the front door waits for the model",
                f"{number_text(p99)} or more",
                fix="raise it, or lower p99_ms",
            )


class Alarms(Section):
    """What a person is told, where the promise to clients gives no limit."""

    requests_per_hour_at_least: int | None = Field(
        default=None,
        ge=1,
        description=(
            "fewer requests in an hour wake a person: clients stopped asking, or cannot ask. An hour without any is "
            "too few, so set it once clients ask. Default: null, not watched"
        ),
    )
    cpu_percent: float = Field(
        default=85,
        ge=1,
        le=100,
        description=(
            "a ticket when the busiest instance uses more of its processors for ten minutes, in percent of all its "
            "vCPUs, 1 to 100. Default: 85"
        ),
    )
    memory_percent: float = Field(
        default=90,
        ge=1,
        le=100,
        description=(
            "a ticket when the busiest instance uses more of its memory for ten minutes, in percent, 1 to 100. "
            "Default: 90"
        ),
    )
    concurrent_requests_per_instance: int | None = Field(
        default=None,
        ge=1,
        description=("a ticket when an instance has more requests at once for ten minutes. Default: null, not watched"),
    )


class FrontDoor(Section):
    """What clients may ask of the front door."""

    deadline_ms: int = Field(
        default=10_000,
        ge=100,
        description=(
            f"how long an answer may take, in milliseconds, 100 to {LONGEST_DEADLINE_MS}; later it is 504. "
            "Not below slo.p99_ms. Default: 10000"
        ),
    )
    maximum_body_kib: int = Field(
        default=256,
        ge=1,
        description=f"the longest request body, in KiB, 1 to {MOST_BODY_KIB}; a longer one is 413. Default: 256",
    )

    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html,
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        if values.get("deadline_ms", 0) > LONGEST_DEADLINE_MS:
            message = "an HTTP API gives up after 30 seconds, a cold start's 5 among it, though a container may take 60"
            fix = "lower it; what needs longer has to be asked asynchronously"
            yield Finding(("deadline_ms",), message, f"100 to {LONGEST_DEADLINE_MS}", fix=fix)
        if values.get("maximum_body_kib", 0) > MOST_BODY_KIB:
            message = "Lambda takes 6 MB, and a quote in the body counts twice"
            fix = "send fewer rows in a request, or a reference to the data"
            yield Finding(("maximum_body_kib",), message, f"1 to {MOST_BODY_KIB}", fix=fix)


class Capture(Section):
    """Which requests and answers are kept, as they were sent."""

    percent: int = Field(
        ge=0,
        le=100,
        description=(
            "the share of requests captured, in percent, 0 to 100. Only 0 with personal data in the signature: what is "
            "captured is neither hashed nor dropped"
        ),
    )


Tags = Annotated[dict[str, str], Field(max_length=10)]


class EnvironmentOverlay(Section):
    """What one environment has otherwise than the file's main part. Mappings are merged, all else is replaced, null
    takes a value away."""

    awaiting: bool | None = Field(
        default=None, description="true: no version serves here yet. Takes away the main part's stable"
    )
    stable: Version | None = Field(
        default=None, description="the version that serves here. Takes away the main part's awaiting"
    )
    keep: Keep | None = Field(
        default=None, description="earlier versions that stay declared here, a list. Replaces the main part's"
    )
    rollout: Rollout | None = Field(
        default=None, description="how a new version takes over here, a mapping. Replaces the main part's whole"
    )
    capacity: dict[str, Any] | None = Field(
        default=None, description="what the model runs on here, a mapping. Merged with the main part's"
    )
    slo: dict[str, Any] | None = Field(
        default=None, description="what clients are promised here, a mapping. Merged with the main part's"
    )
    alarms: dict[str, Any] | None = Field(
        default=None, description="what a person is told here, a mapping. Merged with the main part's"
    )
    front_door: dict[str, Any] | None = Field(
        default=None, description="what clients may ask here, a mapping. Merged with the main part's"
    )
    capture: Capture | None = Field(default=None, description="which requests are kept here, a mapping")
    tags: Tags | None = Field(
        default=None, description="tags of this environment, a mapping. Merged with the main part's"
    )


class Model(Section):
    """A model as one environment serves it."""

    model: str = Field(
        pattern=MODEL_NAME_PATTERN,
        max_length=MAXIMUM_MODEL_NAME,
        description="the model's name, the same as the file's: small letters, digits and single hyphens, "
        f"first a letter, at most {MAXIMUM_MODEL_NAME}",
    )
    owner: str = Field(min_length=1, max_length=128, description="who answers for the model, a person or team")
    description: str = Field(
        default="", max_length=1024, description="what the model is for, at most 1024 characters. Default: nothing"
    )
    backend: Literal["sagemaker"] = Field(
        default="sagemaker", description="where it runs: sagemaker. Default: sagemaker"
    )
    runtime: str = Field(
        description="the runtime preset that serves it, such as sklearn-1.4-2. It chooses the image",
        json_schema_extra={"enum": list(PRESETS)},
    )
    signature: Signature = Field(description="a mapping: what a request and an answer look like")
    awaiting: bool = Field(
        default=False, description="true: declared, but no version serves yet. Instead of stable. Default: false"
    )
    stable: Version | None = Field(
        default=None,
        description=f"the version that serves all traffic, a whole number, 1 to {MAXIMUM_VERSION}. Instead of awaiting",
    )
    keep: Keep = Field(
        default=(), description="earlier versions that stay declared, a list of at most five versions. Default: none"
    )
    rollout: Rollout = Field(
        default=Rollout(strategy="all_at_once"),
        description="a mapping: how a new version takes over. Default: all_at_once with a bake of 10 minutes",
    )
    capacity: Capacity = Field(description="a mapping: what the model runs on")
    slo: Slo = Field(default=Slo(), description="a mapping: what clients are promised. Default: all defaults")
    alarms: Alarms = Field(
        default=Alarms(),
        description="a mapping: what a person is told beside broken promises. Default: all defaults",
    )
    front_door: FrontDoor = Field(
        default=FrontDoor(), description="a mapping: what clients may ask. Default: all defaults"
    )
    capture: Capture | None = Field(
        default=None,
        description=(
            "a mapping: which requests are kept. Default: what the environment's settings say, and none with personal "
            "data in the signature"
        ),
    )
    tags: Tags = Field(
        default_factory=dict,
        description="further tags for the model's resources, a mapping of at most ten. Default: none",
    )

    @property
    def keep_versions(self) -> tuple[int, ...]:
        """The numbers of the versions kept."""
        return tuple(kept.version for kept in self.keep)

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        yield from _preset_findings(values.get("runtime"))
        yield from _version_findings(values)
        yield from _canary_findings(values)
        yield from _deadline_findings(values)
        yield from _capture_findings(values)
        for key, value in values.get("tags", {}).items():
            yield from tag_findings(("tags", key), key, value)


def _version_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    if "awaiting" in values and "stable" in values:
        if values["awaiting"] and values["stable"] is not None:
            fix = "remove awaiting to serve the version, or stable to serve none yet"
            yield Finding(("stable",), "stands beside awaiting", "one of the two", fix=fix)
        elif not values["awaiting"] and values["stable"] is None:
            fix = "add stable with a registered version, or awaiting: true until there is one"
            yield Finding(("stable",), "neither stable nor awaiting stands here", "one of the two", fix=fix)
    kept = values.get("keep", ())
    for index, version in repeated([str(item.version) for item in kept]):
        yield Finding(("keep", index), f"version {version} stands twice", fix="remove one of the two")
    for index, item in enumerate(kept):
        if item.version == values.get("stable"):
            yield Finding(
                ("keep", index), f"version {item.version} is stable already", "earlier versions", fix="remove it"
            )
    if kept and values.get("awaiting") and values.get("stable") is None:
        yield Finding(("keep",), "has no meaning while awaiting", fix="remove keep")


def _canary_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """The fleet is split by instances: one instance cannot be split (design 6.6)."""
    rollout, capacity = values.get("rollout"), values.get("capacity")
    if rollout is None or capacity is None or capacity.instance_count > 1:
        return
    if rollout.strategy != "all_at_once":
        message = (
            f"{rollout.strategy} needs at least two instances, capacity.instance_count is {capacity.instance_count}"
        )
        fix = "raise capacity.instance_count to 2, or choose all_at_once"
        yield Finding(("rollout", "strategy"), message, "all_at_once, with one instance", fix=fix)


def _deadline_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """The front door gives up before the promise is broken: no guard could ever see it."""
    slo, front_door = values.get("slo"), values.get("front_door")
    if slo is not None and front_door is not None and front_door.deadline_ms < slo.p99_ms:
        message = f"is below slo.p99_ms ({number_text(slo.p99_ms)}): answers that keep the promise would be given up"
        fix = "raise the deadline or lower the promise"
        allowed = f"{number_text(slo.p99_ms)} to {LONGEST_DEADLINE_MS}"
        if slo.p99_ms > LONGEST_DEADLINE_MS:
            allowed = f"up to {LONGEST_DEADLINE_MS}, and slo.p99_ms not above it"
        yield Finding(("front_door", "deadline_ms"), message, allowed, fix=fix)
    late = slo.front_door_p99_ms if slo is not None else None
    if front_door is not None and late is not None and late >= front_door.deadline_ms:
        deadline = front_door.deadline_ms
        message = f"is not below front_door.deadline_ms ({deadline}): no answer leaves later, so no alarm rings"
        fix = "lower it, or raise front_door.deadline_ms"
        yield Finding(("slo", "front_door_p99_ms"), message, f"below {deadline}", fix=fix)


def _capture_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """SageMaker captures bodies as they are: hashing or dropping a field in the log would be for nothing."""
    signature, capture = values.get("signature"), values.get("capture")
    if signature is not None and capture is not None and capture.percent > 0 and signature.personal:
        message = f"requests would be stored as they are, with personal data in them ({', '.join(signature.personal)})"
        fix = "remove capture: the prediction log keeps them without personal data"
        yield Finding(("capture", "percent"), message, "0", fix=fix)
