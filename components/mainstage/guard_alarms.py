"""GuardAlarms: what a rollback obeys. Seven metric alarms whose names are fixed from the endpoint's first day.

SageMaker takes a release back when one of them goes into ALARM. Their names never change, because a changed set of
rollback alarms replaces the live endpoint (provider reference, aws:sagemaker/endpoint). `front-door-p99` is fed by the
model's front door (ModelRoute). An alarm that nothing feeds yet, as `drift` without a monitor, is notBreaching, so it
exists from the first version on without ever firing.

They watch the fleet of one endpoint configuration, the one that is being released: by endpoint and variant alone the
old and the new fleet are mixed, and 5 % errors on a canary of 10 % would show as 0.5 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws
from mainstage_runtime.values import number_text

from ._alarm import expression_query, metric_alarm, metric_query
from ._patterns import HTTPS_URL, RESOURCE_NAME, TAG_VALUE, TOPIC_ARN, Pattern
from ._resolve import Reader

METRIC_NAMESPACE = "Mainstage"
"""Namespace of the metrics that Mainstage publishes itself."""

SAGEMAKER_NAMESPACE = "AWS/SageMaker"

GUARDS = ("errors", "p95", "p99", "front-door-p99", "drift", "confidence", "stop")
"""What the seven guards are called. The order is the order in the endpoint's rollback configuration."""

PAGING_GUARDS = ("drift", "confidence")
"""Guards that wake a person. Nobody else tells of these two; of a release that was taken back the watch does, and of a
service that fails its clients the composite of ServiceAlarms (docs/decisions/0010)."""

RUNBOOK_SLUGS: Mapping[str, str] = MappingProxyType(
    {
        "errors": "guard-errors",
        "p95": "guard-latency",
        "p99": "guard-latency",
        "front-door-p99": "guard-front-door-latency",
        "drift": "guard-drift",
        "confidence": "guard-confidence",
        "stop": "guard-stop",
    }
)
"""Runbook of each guard: `<runbook_base_url>/<slug>.md`."""

PERIOD_SECONDS = 60
EVALUATION_PERIODS = 3
DATAPOINTS_TO_ALARM = 2

POSTING_SECONDS = 60
"""How much later than a minute's end alarms see SageMaker's metrics of it. That it is no more is unconfirmed."""

FIRING_SECONDS = PERIOD_SECONDS * (1 + DATAPOINTS_TO_ALARM) + POSTING_SECONDS + 60
"""How long the guards on errors and latency may need to fire: the rest of the minute in which the traffic moves, the
minutes that have to break the promise, until SageMaker has posted the last of them, until CloudWatch looks (every
minute). A bake shorter than that proves nothing."""

_MICROSECONDS = 1000
"""SageMaker publishes ModelLatency in microseconds: a limit in milliseconds is multiplied by this."""


def guard_alarm_names(endpoint_name: str) -> dict[str, str]:
    """The guard alarms' names by guard: fixed by the endpoint's name, whatever is released."""
    return {guard: f"{endpoint_name}-guard-{guard}" for guard in GUARDS}


class EndpointIdentity(TypedDict):
    """Names, ARNs and metric dimensions of an endpoint. Alarms and dashboards take it and never rebuild a name."""

    endpoint_name: str
    """Name of the endpoint; metric dimension `EndpointName`. Known always: the alarms' names follow from it."""
    endpoint_arn: pulumi.Input[str]
    """ARN of the endpoint: what a caller is allowed to invoke."""
    endpoint_config_name: pulumi.Input[str]
    """Name of the configuration that is being released; metric dimension `EndpointConfigName`. `<endpoint>-awaiting`
    while no version is there."""
    variant_name: pulumi.Input[str]
    """Name of the variant that takes the traffic; metric dimension `VariantName`."""
    model_name: pulumi.Input[str]
    """Name of the model in the catalog and the registry."""
    guard_alarm_names: dict[str, str]
    """Names of the guard alarms by guard."""


class SloArgs(TypedDict):
    """What the endpoint promises. The guards fire when a release breaks it."""

    p95_ms: float
    """95 of 100 answers of the model come within this time, in milliseconds, up to 60,000."""
    p99_ms: float
    """99 of 100 answers of the model come within this time, in milliseconds, up to 60,000."""
    error_ratio: float
    """Share of requests that may fail in a minute, above 0 and below 1."""
    minimum_requests: NotRequired[float]
    """Requests in a minute below which the error ratio says nothing. Omitted: 20."""
    front_door_p99_ms: NotRequired[float]
    """99 of 100 answers leave the front door within this time, in milliseconds. Omitted: `p99_ms` and 250."""
    drift_score: NotRequired[float]
    """Population stability index of the worst input against the baseline at which a release is taken back. Omitted:
    0.25, where the literature begins to speak of a major shift."""
    confidence_score: NotRequired[float]
    """Population stability index of the model's confidence against the baseline at which a release is taken back.
    Omitted: 0.25."""


class GuardAlarmsArgs(TypedDict):
    """Arguments of GuardAlarms."""

    identity: EndpointIdentity
    """The endpoint to watch, as SageMakerEndpoint hands it out."""
    slo: SloArgs
    """What the endpoint promises."""
    page_topic_arn: pulumi.Input[str]
    """Topic that wakes a person: `drift` and `confidence` publish there, when they fire and when it is over."""
    ticket_topic_arn: pulumi.Input[str]
    """Topic that waits for the morning: all others publish there. Who is woken for a release that was taken back, or
    for a service that is bad, is told by ReleaseWatch and ServiceAlarms, once."""
    runbook_base_url: str
    """Where the runbooks are read. Each alarm's description ends in `<runbook_base_url>/<slug>.md`."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags for every alarm. Omitted: none but the provider's default tags."""


@dataclass(frozen=True, kw_only=True)
class Slo:
    """A checked `SloArgs`."""

    p95_ms: float
    p99_ms: float
    error_ratio: float
    minimum_requests: int
    front_door_p99_ms: float
    drift_score: float
    confidence_score: float


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    endpoint_name: str
    dimensions: dict[str, pulumi.Input[str]]
    slo: Slo
    page_topic_arn: pulumi.Input[str]
    ticket_topic_arn: pulumi.Input[str]
    runbook_base_url: str
    tags: dict[str, pulumi.Input[str]]


_LONGEST_ANSWER_MS = 60_000
"""A container has to answer within 60 seconds:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html"""

_ALARM_NAME = Pattern(r".+", "a name of the resource, up to 255 characters", maximum=255)


def read_slo(reader: Optional[Reader]) -> Slo:
    """Reads `slo`; the numbers of a missing section are never used, for `finish` raises."""
    if reader is None:
        return Slo(
            p95_ms=1,
            p99_ms=1,
            error_ratio=1,
            minimum_requests=1,
            front_door_p99_ms=1,
            drift_score=1,
            confidence_score=1,
        )
    p95_ms = reader.number("p95_ms", minimum=1, maximum=_LONGEST_ANSWER_MS)
    p99_ms = reader.number("p99_ms", minimum=1, maximum=_LONGEST_ANSWER_MS)
    error_ratio = reader.number("error_ratio", minimum=0, maximum=1)
    if reader.has("error_ratio") and error_ratio in (0, 1):
        reader.refuse("error_ratio", error_ratio, "above 0 and below 1", "0.01 is one failed request in a hundred")
    if reader.has("p95_ms") and p95_ms > p99_ms:
        reader.refuse("p95_ms", p95_ms, f"up to p99_ms ({number_text(p99_ms)})", "lower p95_ms or raise p99_ms")
    return Slo(
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        error_ratio=error_ratio,
        minimum_requests=reader.whole("minimum_requests", minimum=1, default=20),
        front_door_p99_ms=reader.number("front_door_p99_ms", minimum=1, default=p99_ms + 250),
        drift_score=reader.number("drift_score", minimum=0.01, default=0.25),
        confidence_score=reader.number("confidence_score", minimum=0.01, default=0.25),
    )


def _resolve(name: str, args: GuardAlarmsArgs) -> _Resolved:
    reader = Reader("GuardAlarms", name, args, GuardAlarmsArgs)
    identity = reader.section("identity", EndpointIdentity)
    endpoint_name, dimensions = "", {}
    if identity is not None:
        endpoint_name = identity.plain("endpoint_name", RESOURCE_NAME)
        dimensions = {
            "EndpointName": endpoint_name,
            "VariantName": identity.text("variant_name", RESOURCE_NAME),
            "EndpointConfigName": identity.text("endpoint_config_name", RESOURCE_NAME),
        }
        _refuse_other_names(identity, endpoint_name)
    resolved = _Resolved(
        endpoint_name=endpoint_name,
        dimensions=dimensions,
        slo=read_slo(reader.section("slo", SloArgs)),
        page_topic_arn=reader.text("page_topic_arn", TOPIC_ARN),
        ticket_topic_arn=reader.text("ticket_topic_arn", TOPIC_ARN),
        runbook_base_url=reader.plain("runbook_base_url", HTTPS_URL).rstrip("/"),
        tags=reader.text_map("tags", TAG_VALUE, default={}),
    )
    reader.finish()
    return resolved


def _refuse_other_names(identity: Reader, endpoint_name: str) -> None:
    """The names follow from the endpoint's name; others would be another set, and replace the live endpoint."""
    expected = guard_alarm_names(endpoint_name)
    given = identity.text_map("guard_alarm_names", _ALARM_NAME, default=expected)
    if endpoint_name and given != expected:
        allowed = ", ".join(expected.values())
        identity.refuse("guard_alarm_names", given, allowed, "pass the identity of SageMakerEndpoint on unchanged")


def _watched(guard: str, resolved: _Resolved) -> dict[str, Any]:
    """What one guard measures and when it fires. Every setting that has a default in AWS is written out."""
    slo, dimensions = resolved.slo, resolved.dimensions

    def percentile(rank: int, limit_ms: float) -> dict[str, Any]:
        return {
            "namespace": SAGEMAKER_NAMESPACE,
            "metric_name": "ModelLatency",
            "dimensions": dimensions,
            "extended_statistic": f"p{rank}",
            "threshold": limit_ms * _MICROSECONDS,
            "comparison_operator": "GreaterThanThreshold",
            # A percentile of a handful of requests is one slow request: it does not take a release back.
            "evaluate_low_sample_count_percentiles": "ignore",
            **_two_of_three_minutes(),
        }

    def own(metric_name: str, threshold: float, **statistic: str) -> dict[str, Any]:
        return {
            "namespace": METRIC_NAMESPACE,
            "metric_name": metric_name,
            "dimensions": dimensions,
            "threshold": threshold,
            "comparison_operator": "GreaterThanThreshold",
            **statistic,
        }

    if guard == "errors":
        return {
            "metric_queries": _error_ratio(resolved),
            "threshold": slo.error_ratio,
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": EVALUATION_PERIODS,
            "datapoints_to_alarm": DATAPOINTS_TO_ALARM,
        }
    if guard == "p95":
        return percentile(95, slo.p95_ms)
    if guard == "p99":
        return percentile(99, slo.p99_ms)
    if guard == "front-door-p99":
        return (
            own(
                "FrontDoorLatency",
                slo.front_door_p99_ms,
                extended_statistic="p99",
                evaluate_low_sample_count_percentiles="ignore",
            )
            | _two_of_three_minutes()
        )
    if guard == "drift":
        return own("DriftScore", slo.drift_score, statistic="Maximum") | _one_window()
    if guard == "confidence":
        return own("ConfidenceScore", slo.confidence_score, statistic="Maximum") | _one_window()
    # No one publishes this metric: the alarm is raised by SetAlarmState, which is how a person stops a release.
    return own("StopRequested", 0, statistic="Maximum") | _one_window()


def _two_of_three_minutes() -> dict[str, int]:
    return {
        "period": PERIOD_SECONDS,
        "evaluation_periods": EVALUATION_PERIODS,
        "datapoints_to_alarm": DATAPOINTS_TO_ALARM,
    }


def _one_window() -> dict[str, int]:
    return {"period": PERIOD_SECONDS, "evaluation_periods": 1, "datapoints_to_alarm": 1}


def _error_ratio(resolved: _Resolved) -> list[dict[str, Any]]:
    """Failed requests over all requests, and 0 below the minimum of requests.

    InvocationModelErrors counts every request without a 2XX answer, time-outs and lost connections included; a request
    that the container refuses with 4XX is the client's and is taken off.
    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """

    def summed(query_id: str, metric_name: str) -> dict[str, Any]:
        return metric_query(query_id, SAGEMAKER_NAMESPACE, metric_name, resolved.dimensions, PERIOD_SECONDS)

    enough = f"FILL(requests, 0) >= {resolved.slo.minimum_requests}"
    failed = "FILL(model_errors, 0) - FILL(client_errors, 0)"
    return [
        summed("requests", "Invocations"),
        summed("model_errors", "InvocationModelErrors"),
        summed("client_errors", "Invocation4XXErrors"),
        expression_query("error_ratio", f"IF({enough}, ({failed}) / requests, 0)", label="share of failed requests"),
    ]


def _meaning(guard: str, resolved: _Resolved) -> str:
    slo = resolved.slo
    return {
        "errors": f"More than {slo.error_ratio:.3%} of the requests to {resolved.endpoint_name} fail.",
        "p95": f"5 of 100 answers of {resolved.endpoint_name} take longer than {number_text(slo.p95_ms)} ms.",
        "p99": f"1 of 100 answers of {resolved.endpoint_name} takes longer than {number_text(slo.p99_ms)} ms.",
        "front-door-p99": f"1 of 100 answers for {resolved.endpoint_name} leaves the front door later than "
        f"{number_text(slo.front_door_p99_ms)} ms.",
        "drift": f"Inputs of {resolved.endpoint_name} have drifted from the baseline by "
        f"{number_text(slo.drift_score)} or more.",
        "confidence": f"The confidence of {resolved.endpoint_name} has moved from the baseline by "
        f"{number_text(slo.confidence_score)} or more.",
        "stop": f"A person stops the release of {resolved.endpoint_name}. Nothing but SetAlarmState raises this alarm.",
    }[guard]


class GuardAlarms(pulumi.ComponentResource):
    """The seven alarms that take a release back. Names are fixed; what they watch moves with each release."""

    alarm_names: pulumi.Output[list[str]]
    """Names of the seven alarms, in the order of the rollback configuration."""
    alarm_arns: pulumi.Output[list[str]]
    """ARNs of the seven alarms, in the same order."""

    def __init__(self, name: str, args: GuardAlarmsArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:GuardAlarms", name, {}, opts)
        resolved = _resolve(name, args)
        self._alarms = tuple(self._alarm(name, guard, resolved) for guard in GUARDS)
        self.alarm_names = pulumi.Output.all(*(alarm.name for alarm in self._alarms))
        self.alarm_arns = pulumi.Output.all(*(alarm.arn for alarm in self._alarms))
        self.register_outputs({"alarm_names": self.alarm_names, "alarm_arns": self.alarm_arns})

    @property
    def resources(self) -> "tuple[aws.cloudwatch.MetricAlarm, ...]":
        """The alarms, for `depends_on`: an endpoint depends on these and never on the component (a long chain)."""
        return self._alarms

    def _alarm(self, name: str, guard: str, resolved: _Resolved) -> "aws.cloudwatch.MetricAlarm":
        return metric_alarm(
            f"{name}-{guard}",
            alarm_name=guard_alarm_names(resolved.endpoint_name)[guard],
            meaning=_meaning(guard, resolved),
            runbook_url=f"{resolved.runbook_base_url}/{RUNBOOK_SLUGS[guard]}.md",
            tells=[resolved.page_topic_arn if guard in PAGING_GUARDS else resolved.ticket_topic_arn],
            # No traffic, or nothing that feeds the metric yet, is no reason to take a release back.
            watches={**_watched(guard, resolved), "treat_missing_data": "notBreaching"},
            tags=resolved.tags,
            parent=self,
        )
