"""The body of a dashboard: graphs in rows, made from what is known of the models. No Pulumi resource is made here.

Latency is shown as percentiles, never as an average, and by version; load and use as sums and maxima.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ._log_alarms import LOG_RUNBOOK_SLUGS, log_alarm_names
from ._log_names import LogNames
from ._policy import Text
from .guard_alarms import METRIC_NAMESPACE, RUNBOOK_SLUGS, SAGEMAKER_NAMESPACE
from .prediction_queries import NAMED_QUERIES
from .service_alarms import RELEASE_RUNBOOK, SERVICE_RUNBOOK_SLUGS

WIDTH = 24
"""Columns of a dashboard's grid."""
_HEIGHT = 6
_PERIOD = 60

MOST_WIDGETS = 500
MOST_METRICS_IN_A_WIDGET = 500
MOST_METRICS = 2500
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"""

_MOST_ALARMS = 100
"""Alarms in one widget: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""

Metric = list[Any]
"""A line of a graph: namespace, name, dimension names and values in turn, and a map of how it is drawn."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint's metric dimensions."""

    endpoint_name: str
    variant_name: Text
    guard_alarm_names: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ShownModel:
    """What is shown of a model."""

    model: str
    log: LogNames
    function_name: str
    workgroup_name: str
    endpoint: Optional[Endpoint]
    """None: the model awaits its first version."""
    configurations: Mapping[str, Text] = field(default_factory=dict)
    """Endpoint configuration of each version."""
    alarm_names: Sequence[str] = ()
    """Alarms beside the guards and those of the log."""


@dataclass(frozen=True, kw_only=True)
class ShownApi:
    """The front door's API."""

    api_id: Text
    stage_name: Text


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a dashboard shows: an API with a line a model, or models in full."""

    region: str
    alarm_arn_prefix: str
    runbook_base_url: str
    models: Sequence[ShownModel]
    api: Optional[ShownApi]


def dashboard_body(shown: Shown) -> dict[str, Any]:
    """The body, with Outputs where a dimension is not known yet. The same facts give the same body."""
    rows = _platform_rows(shown, shown.api) if shown.api is not None else _model_rows(shown)
    return {"start": "-PT3H", "periodOverride": "inherit", "widgets": list(_placed(rows))}


def named_metrics(body: Mapping[str, Any]) -> set[tuple[str, str, tuple[tuple[str, Any], ...]]]:
    """Every metric that a body names: namespace, name, dimensions in the order of their names."""
    found = set()
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", ()):
            if isinstance(line[0], str):
                texts = [part for part in line if not isinstance(part, Mapping)]
                found.add((texts[0], texts[1], tuple(sorted(zip(texts[2::2], texts[3::2], strict=True)))))
    return found


def excess(body: Mapping[str, Any]) -> Optional[str]:
    """What of a body CloudWatch would not take; None when it takes all of it."""
    widgets = body["widgets"]
    lines = [len(widget["properties"].get("metrics", ())) for widget in widgets]
    if len(widgets) > MOST_WIDGETS:
        return f"{len(widgets)} widgets; CloudWatch takes {MOST_WIDGETS}"
    if max(lines, default=0) > MOST_METRICS_IN_A_WIDGET:
        return f"{max(lines)} metrics in one graph; CloudWatch takes {MOST_METRICS_IN_A_WIDGET}"
    if sum(lines) > MOST_METRICS:
        return f"{sum(lines)} metrics; CloudWatch takes {MOST_METRICS}"
    return None


# -- rows ------------------------------------------------------------------------------------------------------------


def _platform_rows(shown: Shown, api: ShownApi) -> Iterator[list[dict[str, Any]]]:
    yield [_text(f"# Mainstage: {len(shown.models)} models behind one front door\n\n{_runbooks(shown)}", height=5)]
    if shown.models:
        yield from _alarms(shown, "Alarms", [name for model in shown.models for name in _alarm_names(model)])
    of_api = {"ApiId": api.api_id, "Stage": api.stage_name}
    yield [
        _graph(
            shown,
            "Requests to the front door",
            _line("AWS/ApiGateway", "Count", of_api, "Sum", "requests"),
            _line("AWS/ApiGateway", "4xx", of_api, "Sum", "4XX"),
            _line("AWS/ApiGateway", "5xx", of_api, "Sum", "5XX"),
        ),
        _graph(
            shown,
            "Latency at the front door, ms",
            *(_line("AWS/ApiGateway", "Latency", of_api, rank, rank) for rank in ("p50", "p95", "p99")),
            _line("AWS/ApiGateway", "IntegrationLatency", of_api, "p99", "p99 without the gateway"),
        ),
    ]
    if not shown.models:
        return
    served = [model for model in shown.models if model.endpoint is not None]
    yield [
        _graph(
            shown,
            "Requests by model",
            *(_own("Served", _of_log(model), "Sum", model.model) for model in shown.models),
        ),
        _graph(
            shown,
            "Failed requests (5XX) by model",
            *(_own("Replies5XX", _of_log(model), "Sum", model.model) for model in shown.models),
        ),
    ]
    latency = [
        _own("FrontDoorLatency", {"EndpointName": model.endpoint.endpoint_name}, "p99", model.model)
        for model in served
        if model.endpoint is not None
    ]
    freshness = [
        _line(
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            {"DeliveryStreamName": model.log.stream},
            "Maximum",
            model.model,
        )
        for model in shown.models
    ]
    yield [
        *([_graph(shown, "p99 at the front door by model, ms", *latency)] if latency else []),
        _graph(shown, "Oldest record not yet in the bucket by model, s", *freshness),
    ]


def _model_rows(shown: Shown) -> Iterator[list[dict[str, Any]]]:
    for model in shown.models:
        yield [_text(_heading(shown, model), height=7)]
        yield from _alarms(shown, f"Alarms of {model.model}", _alarm_names(model))
        yield _traffic(shown, model)
        if model.endpoint is not None:
            yield _release(shown, model, model.endpoint)
            yield _latency(shown, model, model.endpoint)
            yield _serving(shown, model.endpoint)
        yield _log_intake(shown, model)
        yield _log_delivery(shown, model)


def _traffic(shown: Shown, model: ShownModel) -> list[dict[str, Any]]:
    of_log, of_function = _of_log(model), {"FunctionName": model.function_name}
    return [
        _graph(
            shown,
            "Requests",
            _own("Served", of_log, "Sum", "requests"),
            _own("Replies4XX", of_log, "Sum", "refused (4XX)"),
            _own("Replies5XX", of_log, "Sum", "failed (5XX)"),
        ),
        _graph(
            shown,
            "Front door's function",
            _line("AWS/Lambda", "ConcurrentExecutions", of_function, "Maximum", "at once"),
            _line("AWS/Lambda", "Errors", of_function, "Sum", "errors"),
            _line("AWS/Lambda", "Throttles", of_function, "Sum", "throttled"),
        ),
    ]


def _release(shown: Shown, model: ShownModel, endpoint: Endpoint) -> list[dict[str, Any]]:
    """A release as it happens: whose the traffic is, and which fleet fails."""
    variant = _of_variant(endpoint)
    fleets = [
        (f"v{version}", {**variant, "EndpointConfigName": name}) for version, name in model.configurations.items()
    ] or [("all", variant)]
    return [
        _graph(
            shown,
            "Traffic by version",
            *(_line(SAGEMAKER_NAMESPACE, "Invocations", fleet, "Sum", label) for label, fleet in fleets),
            stacked=True,
        ),
        _graph(
            shown,
            "Calls without an answer by version",
            *(_line(SAGEMAKER_NAMESPACE, "InvocationModelErrors", fleet, "Sum", label) for label, fleet in fleets),
        ),
    ]


def _latency(shown: Shown, model: ShownModel, endpoint: Endpoint) -> list[dict[str, Any]]:
    at_door = [
        _own(
            "FrontDoorLatency",
            {"EndpointName": endpoint.endpoint_name, "ModelVersion": version},
            rank,
            f"v{version} {rank}",
        )
        for version in model.configurations
        for rank in ("p50", "p99")
    ] or [_own("FrontDoorLatency", {"EndpointName": endpoint.endpoint_name}, rank, rank) for rank in ("p50", "p99")]
    fleets = [
        (f"v{version}", {**_of_variant(endpoint), "EndpointConfigName": name})
        for version, name in model.configurations.items()
    ] or [("all", _of_variant(endpoint))]
    in_model = [
        line
        for number, (label, dimensions) in enumerate(fleets)
        for line in (
            *_milliseconds(f"m{number}a", "ModelLatency", dimensions, "p50", f"{label} p50"),
            *_milliseconds(f"m{number}b", "ModelLatency", dimensions, "p99", f"{label} p99"),
        )
    ]
    return [
        _graph(shown, "Latency at the front door by version, ms", *at_door),
        _graph(
            shown,
            "Latency of the model by version, ms",
            *in_model,
            *_milliseconds("overhead", "OverheadLatency", _of_variant(endpoint), "p99", "SageMaker's overhead p99"),
        ),
    ]


def _serving(shown: Shown, endpoint: Endpoint) -> list[dict[str, Any]]:
    variant = _of_variant(endpoint)
    return [
        _graph(
            shown,
            "Calls of the endpoint",
            _line(SAGEMAKER_NAMESPACE, "Invocations", variant, "Sum", "calls"),
            _line(SAGEMAKER_NAMESPACE, "InvocationModelErrors", variant, "Sum", "without an answer"),
            _line(SAGEMAKER_NAMESPACE, "Invocation4XXErrors", variant, "Sum", "4XX"),
            _line(SAGEMAKER_NAMESPACE, "Invocation5XXErrors", variant, "Sum", "5XX"),
        ),
        _graph(
            shown,
            "Use of the instances, percent",
            *(
                _line("/aws/sagemaker/Endpoints", name, variant, "Maximum", label)
                for name, label in (
                    ("CPUUtilization", "CPU (100 each)"),
                    ("MemoryUtilization", "memory"),
                    ("DiskUtilization", "disk"),
                )
            ),
        ),
    ]


def _log_intake(shown: Shown, model: ShownModel) -> list[dict[str, Any]]:
    of_log = _of_log(model)
    served = [*_own("Served", of_log, "Sum", "served")[:-1], {"stat": "Sum", "id": "served", "visible": False}]
    handed = [
        *_own("HandedOver", of_log, "Sum", "handed over")[:-1],
        {"stat": "Sum", "id": "handed", "label": "handed over"},
    ]
    lost = [{"expression": "FILL(served, 0) - FILL(handed, 0)", "id": "lost", "label": "lost"}]
    return [
        _graph(
            shown,
            "Records of the log",
            served,
            handed,
            lost,
            _own("Spooled", of_log, "Sum", "by the spool"),
            _own("LogFailed", of_log, "Sum", "neither taken"),
        ),
        _graph(
            shown,
            "Transform",
            _own("Accepted", of_log, "Sum", "accepted"),
            _own("Rejected", of_log, "Sum", "rejected"),
            _line("AWS/Lambda", "Errors", {"FunctionName": model.log.transform}, "Sum", "errors"),
        ),
    ]


def _log_delivery(shown: Shown, model: ShownModel) -> list[dict[str, Any]]:
    of_stream = {"DeliveryStreamName": model.log.stream}
    of_spool, of_dead = {"QueueName": model.log.spool}, {"QueueName": model.log.dead_letters}
    return [
        _graph(
            shown,
            "Delivery to the bucket",
            _line("AWS/Firehose", "DeliveryToS3.Records", of_stream, "Sum", "records"),
            _line("AWS/Firehose", "FailedConversion.Records", of_stream, "Sum", "not convertible"),
            _line("AWS/Firehose", "ThrottledRecords", of_stream, "Sum", "throttled"),
            _line("AWS/Firehose", "DeliveryToS3.DataFreshness", of_stream, "Maximum", "oldest, s", axis="right"),
        ),
        _graph(
            shown,
            "Spool",
            _line("AWS/SQS", "ApproximateNumberOfMessagesVisible", of_spool, "Maximum", "waiting"),
            _line("AWS/SQS", "ApproximateNumberOfMessagesVisible", of_dead, "Maximum", "dead letters"),
            _own("Replayed", _of_log(model), "Sum", "replayed"),
            _line("AWS/SQS", "ApproximateAgeOfOldestMessage", of_spool, "Maximum", "oldest, s", axis="right"),
        ),
    ]


# -- texts -----------------------------------------------------------------------------------------------------------


def _heading(shown: Shown, model: ShownModel) -> str:
    served = "awaits its first version" if model.endpoint is None else f"endpoint `{model.endpoint.endpoint_name}`"
    queries = ", ".join(f"`{model.log.log_name}-{slug}`" for slug in NAMED_QUERIES)
    return (
        f"# {model.model}\n\n{served}, log `{model.log.log_name}`\n\n"
        f"Athena, workgroup `{model.workgroup_name}`, saved queries: {queries}\n\n{_runbooks(shown)}"
    )


def _runbooks(shown: Shown) -> str:
    slugs = dict.fromkeys(
        (RELEASE_RUNBOOK, *SERVICE_RUNBOOK_SLUGS.values(), *RUNBOOK_SLUGS.values(), *LOG_RUNBOOK_SLUGS.values())
    )
    return "Runbooks: " + ", ".join(f"[{slug}]({shown.runbook_base_url}/{slug}.md)" for slug in slugs)


def _alarm_names(model: ShownModel) -> list[str]:
    guards = model.endpoint.guard_alarm_names.values() if model.endpoint is not None else ()
    return [*model.alarm_names, *guards, *log_alarm_names(model.log.log_name).values()]


# -- widgets ---------------------------------------------------------------------------------------------------------


def _text(markdown: str, *, height: int) -> dict[str, Any]:
    return {"type": "text", "height": height, "properties": {"markdown": markdown}}


def _alarms(shown: Shown, title: str, names: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """A widget a row, of as many alarms as one takes."""
    for first in range(0, len(names), _MOST_ALARMS):
        arns = [f"{shown.alarm_arn_prefix}{name}" for name in names[first : first + _MOST_ALARMS]]
        yield [{"type": "alarm", "height": 3, "properties": {"title": title, "alarms": arns}}]


def _graph(shown: Shown, title: str, *lines: Metric, stacked: bool = False) -> dict[str, Any]:
    return {
        "type": "metric",
        "height": _HEIGHT,
        "properties": {
            "title": title,
            "region": shown.region,
            "view": "timeSeries",
            "stacked": stacked,
            "period": _PERIOD,
            "metrics": list(lines),
            "yAxis": {"left": {"min": 0, "showUnits": False}, "right": {"min": 0, "showUnits": False}},
        },
    }


def _line(
    namespace: str, name: str, dimensions: Mapping[str, Text], stat: str, label: str, *, axis: str = "left"
) -> Metric:
    drawn = {"stat": stat, "label": label, **({"yAxis": axis} if axis != "left" else {})}
    return [namespace, name, *(part for pair in dimensions.items() for part in pair), drawn]


def _own(name: str, dimensions: Mapping[str, Text], stat: str, label: str) -> Metric:
    return _line(METRIC_NAMESPACE, name, dimensions, stat, label)


def _milliseconds(
    query_id: str, name: str, dimensions: Mapping[str, Text], stat: str, label: str
) -> tuple[Metric, Metric]:
    """SageMaker's latencies are microseconds: the metric itself is hidden, and a thousandth of it drawn."""
    hidden = _line(SAGEMAKER_NAMESPACE, name, dimensions, stat, label)[:-1]
    return (
        [*hidden, {"stat": stat, "id": query_id, "visible": False}],
        [{"expression": f"{query_id} / 1000", "label": label}],
    )


def _of_log(model: ShownModel) -> dict[str, Text]:
    return {"LogName": model.log.log_name}


def _of_variant(endpoint: Endpoint) -> dict[str, Text]:
    return {"EndpointName": endpoint.endpoint_name, "VariantName": endpoint.variant_name}


def _placed(rows: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The widgets with their places: those of a row side by side, as wide as there is room."""
    top = 0
    for row in rows:
        width = WIDTH // len(row)
        for index, widget in enumerate(row):
            yield {"x": index * width, "y": top, "width": width, **widget}
        top += max(widget["height"] for widget in row)
