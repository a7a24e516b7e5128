"""ServiceAlarms: what a person is told about a service. Nothing here takes a release back; that is GuardAlarms.

One alarm wakes a person, the composite `<endpoint>-page`: clients get less than was promised. Its parts tell nobody by
themselves, so that one incident is one page, however many of them ring. What may become an incident (the instances are
full) waits for the morning.

The parts look at the whole endpoint, both fleets of a release together: metrics without EndpointConfigName. A canary
that its guards take back within minutes is too little to ring here; the watch tells of it (docs/decisions/0010).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from ._alarm import alarm_description, expression_query, metric_alarm, metric_query
from ._burn_rate import BURN_RATES, WINDOWS, burn_queries, burn_threshold
from ._instance_types import vcpus
from ._log_identity import PredictionLogIdentity, read_log_identity
from ._patterns import HTTPS_URL, RESOURCE_NAME, TAG_VALUE, TOPIC_ARN, Pattern
from ._resolve import Reader
from .guard_alarms import METRIC_NAMESPACE, SAGEMAKER_NAMESPACE, EndpointIdentity, Slo, SloArgs, read_slo

INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"

PAGING = (*WINDOWS, "slow", "floor")
"""Parts of the page. `floor` is there where a floor is set."""

TICKETS = ("cpu", "memory", "concurrency")
"""What waits for the morning. `concurrency` is there where a limit is set."""

PAGE = "page"
"""The composite."""

SERVICE_RUNBOOK_SLUGS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(WINDOWS, "service-burn"),
        "slow": "service-slow",
        "floor": "service-floor",
        **dict.fromkeys(TICKETS, "service-saturation"),
        PAGE: "service-page",
    }
)
"""Runbook of each alarm: `<runbook_base_url>/<slug>.md`."""

RELEASE_RUNBOOK = "release-rolled-back"
"""Runbook of a release that was taken back: what the message of an update and the watch's page point to."""

_INSTANCE_TYPE = Pattern(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "an instance type such as ml.m5.large")


class AlarmLimitsArgs(TypedDict):
    """Limits that a promise to clients does not give."""

    requests_per_hour_at_least: NotRequired[float]
    """Fewer requests in an hour page: somebody stopped asking, or cannot. An hour without any counts as too few, so set
    it once clients ask. Omitted: not watched."""
    cpu_percent: NotRequired[float]
    """Use of the processors of the busiest instance that is told, in percent of all its vCPUs, 1 to 100. Omitted:
    85."""
    memory_percent: NotRequired[float]
    """Use of the memory of the busiest instance that is told, in percent, 1 to 100. Omitted: 90."""
    concurrent_requests_per_instance: NotRequired[float]
    """Requests at once on an instance beyond which it is told. Omitted: not watched."""


class ServiceAlarmsArgs(TypedDict):
    """Arguments of ServiceAlarms."""

    identity: EndpointIdentity
    """The endpoint to watch, as SageMakerEndpoint hands it out."""
    slo: SloArgs
    """What clients are promised."""
    instance_type: str
    """What the endpoint runs on, such as `ml.m5.large`: SageMaker adds up the use of an instance's vCPUs."""
    log: NotRequired[PredictionLogIdentity]
    """Its prediction log, as PredictionLog hands it out: what the front door replied counts too. Omitted: what the
    endpoint answered alone."""
    limits: NotRequired[AlarmLimitsArgs]
    """Limits that the promise does not give. Omitted: all left out."""
    page_topic_arn: pulumi.Input[str]
    """Topic that wakes a person: the composite publishes there, when it fires and when it is over."""
    ticket_topic_arn: pulumi.Input[str]
    """Topic that waits for the morning: full instances publish there."""
    runbook_base_url: str
    """Where the runbooks are read. Each alarm's description ends in `<runbook_base_url>/<slug>.md`."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags for every alarm. Omitted: none but the provider's default tags."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """AlarmLimitsArgs with their defaults. None: not watched."""

    requests_per_hour_at_least: Optional[int]
    cpu_percent: float
    memory_percent: float
    concurrent_requests_per_instance: Optional[int]


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    endpoint_name: str
    dimensions: dict[str, pulumi.Input[str]]
    log_name: Optional[str]
    slo: Slo
    vcpus: int
    limits: Limits
    page_topic_arn: pulumi.Input[str]
    ticket_topic_arn: pulumi.Input[str]
    runbook_base_url: str
    tags: dict[str, pulumi.Input[str]]


def read_limits(reader: Optional[Reader]) -> Limits:
    """Reads AlarmLimitsArgs; None is the section left out."""
    if reader is None:
        return Limits(
            requests_per_hour_at_least=None, cpu_percent=85, memory_percent=90, concurrent_requests_per_instance=None
        )
    return Limits(
        requests_per_hour_at_least=reader.optional_whole("requests_per_hour_at_least", minimum=1),
        cpu_percent=reader.number("cpu_percent", minimum=1, maximum=100, default=85),
        memory_percent=reader.number("memory_percent", minimum=1, maximum=100, default=90),
        concurrent_requests_per_instance=reader.optional_whole("concurrent_requests_per_instance", minimum=1),
    )


def service_alarm_names(endpoint_name: str, limits: Limits) -> dict[str, str]:
    """The alarms' names by alarm, the page first: fixed by the endpoint's name."""
    parts = [alarm for alarm in (*PAGING, *TICKETS) if _is_watched(alarm, limits)]
    return {alarm: f"{endpoint_name}-{alarm}" for alarm in (PAGE, *parts)}


def _is_watched(alarm: str, limits: Limits) -> bool:
    if alarm == "floor":
        return limits.requests_per_hour_at_least is not None
    return alarm != "concurrency" or limits.concurrent_requests_per_instance is not None


def _resolve(name: str, args: ServiceAlarmsArgs) -> _Resolved:
    reader = Reader("ServiceAlarms", name, args, ServiceAlarmsArgs)
    identity = reader.section("identity", EndpointIdentity)
    endpoint_name, dimensions = "", {}
    if identity is not None:
        endpoint_name = identity.plain("endpoint_name", RESOURCE_NAME)
        dimensions = {"EndpointName": endpoint_name, "VariantName": identity.text("variant_name", RESOURCE_NAME)}
    instance_type = reader.plain("instance_type", _INSTANCE_TYPE)
    cores = vcpus(instance_type)
    if instance_type and cores is None:
        allowed = "a type whose size tells its vCPUs, such as ml.m5.large"
        reader.refuse("instance_type", instance_type, allowed, "choose a type that SageMaker hosts")
    resolved = _Resolved(
        endpoint_name=endpoint_name,
        dimensions=dimensions,
        log_name=read_log_identity(reader, "log").log_name if reader.has("log") else None,
        slo=read_slo(reader.section("slo", SloArgs)),
        vcpus=cores or 1,
        limits=read_limits(reader.section("limits", AlarmLimitsArgs)),
        page_topic_arn=reader.text("page_topic_arn", TOPIC_ARN),
        ticket_topic_arn=reader.text("ticket_topic_arn", TOPIC_ARN),
        runbook_base_url=reader.plain("runbook_base_url", HTTPS_URL).rstrip("/"),
        tags=reader.text_map("tags", TAG_VALUE, default={}),
    )
    reader.finish()
    return resolved


def page_rule(names: Mapping[str, str]) -> str:
    """When a person is woken: both windows of a pair burn, answers are slow, or there are too few requests.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
    """
    pairs = [" AND ".join(f'ALARM("{names[window.name]}")' for window in rate.windows) for rate in BURN_RATES]
    single = [f'ALARM("{names[alarm]}")' for alarm in ("slow", "floor") if alarm in names]
    return " OR ".join([*(f"({pair})" for pair in pairs), *single])


def _watched(alarm: str, resolved: _Resolved) -> dict[str, Any]:
    """What one alarm measures and when it fires. Every setting that has a default in AWS is written out."""
    if alarm in WINDOWS:
        window, rate = WINDOWS[alarm]
        return {
            "metric_queries": burn_queries(
                resolved.dimensions, resolved.log_name, slo=resolved.slo, period_seconds=window.seconds
            ),
            "threshold": burn_threshold(rate, resolved.slo),
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": 1,
            "datapoints_to_alarm": 1,
            # Nobody asks: nobody is failed.
            "treat_missing_data": "notBreaching",
        }
    if alarm == "slow":
        return _slow(resolved)
    if alarm == "floor":
        return _floor(resolved)
    return _saturation(alarm, resolved)


def _slow(resolved: _Resolved) -> dict[str, Any]:
    """A quarter of an hour, of which every five minutes had too slow a p99. Few requests count: three such windows in a
    row are no chance, and a service with little traffic is promised the same."""
    seen: dict[str, Any] = {
        "namespace": METRIC_NAMESPACE,
        "metric_name": "FrontDoorLatency",
        "dimensions": {"EndpointName": resolved.endpoint_name},
        "threshold": resolved.slo.front_door_p99_ms,
    }
    if resolved.log_name is None:
        seen = {
            "namespace": SAGEMAKER_NAMESPACE,
            "metric_name": "ModelLatency",
            "dimensions": resolved.dimensions,
            # SageMaker publishes microseconds.
            "threshold": resolved.slo.p99_ms * 1000,
        }
    return {
        **seen,
        "extended_statistic": "p99",
        "evaluate_low_sample_count_percentiles": "evaluate",
        "period": 300,
        "evaluation_periods": 3,
        "datapoints_to_alarm": 3,
        "comparison_operator": "GreaterThanThreshold",
        "treat_missing_data": "notBreaching",
    }


def _floor(resolved: _Resolved) -> dict[str, Any]:
    """Requests of an hour. SageMaker publishes nothing of an endpoint that nobody asks: an hour without is filled with
    0, or CloudWatch would look at the two hours before it, which had requests, and stay silent
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html)."""
    return {
        "metric_queries": [
            metric_query("invocations", SAGEMAKER_NAMESPACE, "Invocations", resolved.dimensions, 3600),
            expression_query("requests", "FILL(invocations, 0)", label="requests"),
        ],
        "evaluation_periods": 1,
        "datapoints_to_alarm": 1,
        "threshold": resolved.limits.requests_per_hour_at_least,
        "comparison_operator": "LessThanThreshold",
        # Not even a metric: nobody has ever asked.
        "treat_missing_data": "breaching",
    }


def _saturation(alarm: str, resolved: _Resolved) -> dict[str, Any]:
    """The busiest instance, for ten minutes of fifteen: a rush that autoscaling answers is over by then.

    CPUUtilization is the sum over an instance's cores, 400 for four that are full; MemoryUtilization is 0 to 100
    whatever the instance (https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html). How SageMaker
    counts ConcurrentRequestsPerModel on several instances is unconfirmed; its own autoscaling takes it as an
    instance's.
    """
    limits = resolved.limits
    namespace, metric_name, threshold = {
        "cpu": (INSTANCE_NAMESPACE, "CPUUtilization", limits.cpu_percent * resolved.vcpus),
        "memory": (INSTANCE_NAMESPACE, "MemoryUtilization", limits.memory_percent),
        "concurrency": (SAGEMAKER_NAMESPACE, "ConcurrentRequestsPerModel", limits.concurrent_requests_per_instance),
    }[alarm]
    return {
        "namespace": namespace,
        "metric_name": metric_name,
        "dimensions": resolved.dimensions,
        "statistic": "Maximum",
        "period": 60,
        "evaluation_periods": 15,
        "datapoints_to_alarm": 10,
        "threshold": threshold,
        "comparison_operator": "GreaterThanThreshold",
        # An endpoint that is gone is not full; the page tells of it.
        "treat_missing_data": "notBreaching",
    }


def _meaning(alarm: str, resolved: _Resolved) -> str:
    name, limits = resolved.endpoint_name, resolved.limits
    if alarm in WINDOWS:
        window, rate = WINDOWS[alarm]
        return (
            f"In {window.words}, requests to {name} failed more than {burn_threshold(rate, resolved.slo):g} times as "
            f"often as promised ({resolved.slo.error_ratio:.3%})."
        )
    limit = resolved.slo.p99_ms if resolved.log_name is None else resolved.slo.front_door_p99_ms
    return {
        "slow": f"For 15 minutes more than 1 of 100 answers of {name} took longer than {limit:g} ms.",
        "floor": f"Fewer than {limits.requests_per_hour_at_least} requests reached {name} in an hour.",
        "cpu": f"An instance of {name} uses more than {limits.cpu_percent:g} % of its {resolved.vcpus} vCPUs.",
        "memory": f"An instance of {name} uses more than {limits.memory_percent:g} % of its memory.",
        "concurrency": f"An instance of {name} has more than {limits.concurrent_requests_per_instance} requests at "
        "once.",
        PAGE: f"Clients of {name} get less than they are promised.",
    }[alarm]


def _runbook_url(alarm: str, resolved: _Resolved) -> str:
    return f"{resolved.runbook_base_url}/{SERVICE_RUNBOOK_SLUGS[alarm]}.md"


class ServiceAlarms(pulumi.ComponentResource):
    """What a person is told about a service: one page when clients get less than promised, a ticket when it is full."""

    page_alarm_arn: pulumi.Output[str]
    """ARN of the composite that wakes a person."""
    alarm_names: pulumi.Output[list[str]]
    """Names of all alarms, the one that wakes a person first."""

    def __init__(self, name: str, args: ServiceAlarmsArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:ServiceAlarms", name, {}, opts)
        resolved = _resolve(name, args)
        names = service_alarm_names(resolved.endpoint_name, resolved.limits)
        parts = {alarm: self._part(name, alarm, names, resolved) for alarm in names if alarm != PAGE}
        page = aws.cloudwatch.CompositeAlarm(
            f"{name}-{PAGE}",
            alarm_name=names[PAGE],
            alarm_description=alarm_description(_meaning(PAGE, resolved), _runbook_url(PAGE, resolved)),
            alarm_rule=page_rule(names),
            actions_enabled=True,
            alarm_actions=[resolved.page_topic_arn],
            ok_actions=[resolved.page_topic_arn],
            insufficient_data_actions=[],
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                # CloudWatch takes a rule only of alarms that are there.
                depends_on=[part for alarm, part in parts.items() if alarm in PAGING],
                # The provider replaces one that somebody has muted. Made first, under its own name, the new one would
                # go with the old (infra/rehearsal/provider/rows/composite_alarms.py).
                delete_before_replace=True,
            ),
        )
        self.page_alarm_arn = page.arn
        self.alarm_names = pulumi.Output.from_input(list(names.values()))
        self.register_outputs({"page_alarm_arn": self.page_alarm_arn, "alarm_names": self.alarm_names})

    def _part(
        self, name: str, alarm: str, names: Mapping[str, str], resolved: _Resolved
    ) -> "aws.cloudwatch.MetricAlarm":
        # A part of the page tells nobody: the composite does, once.
        return metric_alarm(
            f"{name}-{alarm}",
            alarm_name=names[alarm],
            meaning=_meaning(alarm, resolved),
            runbook_url=_runbook_url(alarm, resolved),
            tells=[resolved.ticket_topic_arn] if alarm in TICKETS else [],
            watches=_watched(alarm, resolved),
            tags=resolved.tags,
            parent=self,
        )
