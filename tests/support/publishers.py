"""Which metrics the resources of a program publish, from AWS's documents by hand, and which its watchers name.

A metric is a namespace, a name and its dimensions as pairs in the order of their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mainstage._dashboard_body import named_metrics
from readback import Asked

Metric = tuple[str, str, tuple[tuple[str, str], ...]]

_API = ("4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency")
_LAMBDA = ("ConcurrentExecutions", "DeadLetterErrors", "Duration", "Errors", "Invocations", "Throttles")
_EVENTS = (
    "FailedInvocations",
    "Invocations",
    "InvocationsFailedToBeSentToDlq",
    "InvocationsSentToDlq",
    "MatchedEvents",
    "TriggeredRules",
)
"""EventBridge User Guide, "Monitoring Amazon EventBridge" (eb-monitoring.html)."""
_SQS = ("ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent")
_FIREHOSE = (
    "BackupToS3.Records",
    "DeliveryToS3.DataFreshness",
    "DeliveryToS3.Records",
    "DeliveryToS3.Success",
    "ExecuteProcessing.Success",
    "FailedConversion.Records",
    "IncomingRecords",
    "SucceedConversion.Records",
    "ThrottledRecords",
)
_SAGEMAKER = (
    "ConcurrentRequestsPerModel",
    "Invocation4XXErrors",
    "Invocation5XXErrors",
    "InvocationModelErrors",
    "Invocations",
    "InvocationsPerInstance",
    "ModelLatency",
    "OverheadLatency",
)
_INSTANCES = ("CPUUtilization", "DiskUtilization", "MemoryUtilization")
_BY_LOG = {
    "mainstage_runtime.front_door.handler": (
        "HandedOver",
        "LogFailed",
        "Replies4XX",
        "Replies5XX",
        "Served",
        "Spooled",
    ),
    "mainstage_runtime.transform.handler": ("Accepted", "Rejected"),
    "mainstage_runtime.replay.handler": ("Replayed",),
    "mainstage_runtime.not_found.handler": (),
    "mainstage_runtime.release_watch.handler": (),
}
"""What each function reports of its log, in the embedded metric format (docs/guides/predictions-api.md)."""


def published_by(resources: Sequence[Asked]) -> set[Metric]:
    """Every metric that these resources publish when everything that can happen to them happens."""
    configurations = {each.inputs["name"]: each.inputs for each in _of(resources, "EndpointConfiguration")}
    groups = {each.resource.id for each in _of(resources, "LogGroup")}
    found: set[Metric] = set()
    for stage in _of(resources, "Stage"):
        found |= _all("AWS/ApiGateway", _API, {"ApiId": stage.inputs["apiId"], "Stage": stage.inputs["name"]})
    for stream in _of(resources, "FirehoseDeliveryStream"):
        found |= _all("AWS/Firehose", _FIREHOSE, {"DeliveryStreamName": stream.inputs["name"]})
    for rule in _of(resources, "EventRule"):
        found |= _all("AWS/Events", _EVENTS, {"RuleName": rule.inputs["name"]})
    for queue in _of(resources, "Queue"):
        found |= _all("AWS/SQS", _SQS, {"QueueName": queue.inputs["name"]})
    for endpoint in _of(resources, "sagemaker/endpoint:Endpoint"):
        name, configuration = endpoint.inputs["name"], configurations[endpoint.inputs["endpointConfigName"]]
        for variant in configuration["productionVariants"]:
            own = {"EndpointName": name, "VariantName": variant["variantName"]}
            found |= _all("AWS/SageMaker", _SAGEMAKER, own)
            found |= _all("AWS/SageMaker", _SAGEMAKER, {**own, "EndpointConfigName": configuration["name"]})
            found |= _all("/aws/sagemaker/Endpoints", _INSTANCES, own)
            found |= _all("Mainstage", ("FrontDoorLatency",), {**own, "EndpointConfigName": configuration["name"]})
    for function in _of(resources, "lambda/function:Function"):
        found |= _all("AWS/Lambda", _LAMBDA, {"FunctionName": function.inputs["name"]})
        # Reported through its log: without the group nobody reads it.
        if function.inputs["loggingConfig"]["logGroup"] in groups:
            found |= set(_reported(function))
    return found


def _reported(function: Asked) -> Iterator[Metric]:
    environment = (function.inputs.get("environment") or {}).get("variables") or {}
    names = _BY_LOG[function.inputs["handler"]]
    if names:
        yield from _all("Mainstage", names, {"LogName": environment["MAINSTAGE_LOG_NAME"]})
    if endpoint := environment.get("MAINSTAGE_ENDPOINT_NAME"):
        versions = json.loads(environment["MAINSTAGE_CONFIGURATIONS"])
        yield _metric("Mainstage", "FrontDoorLatency", {"EndpointName": endpoint})
        for version in versions:
            yield _metric("Mainstage", "FrontDoorLatency", {"EndpointName": endpoint, "ModelVersion": version})


def named_by_dashboards(resources: Iterable[Asked]) -> dict[str, set[Metric]]:
    """The metrics of each dashboard by its name."""
    return {
        each.inputs["dashboardName"]: named_metrics(json.loads(each.inputs["dashboardBody"]))
        for each in _of(resources, "Dashboard")
    }


def named_by_alarms(resources: Iterable[Asked]) -> dict[str, set[Metric]]:
    """The metrics of each alarm by its name."""
    return {each.inputs["name"]: set(_watched(each.inputs)) for each in _of(resources, "MetricAlarm")}


def _watched(alarm: Mapping[str, Any]) -> Iterator[Metric]:
    for each in (alarm, *(query["metric"] for query in alarm.get("metricQueries") or () if query.get("metric"))):
        if each.get("metricName"):
            yield _metric(each["namespace"], each["metricName"], each.get("dimensions") or {})


def listed(cloudwatch: Any) -> set[Metric]:
    """Every metric that CloudWatch holds."""
    pages = cloudwatch.get_paginator("list_metrics").paginate()
    return {
        _metric(each["Namespace"], each["MetricName"], {pair["Name"]: pair["Value"] for pair in each["Dimensions"]})
        for page in pages
        for each in page["Metrics"]
    }


def _metric(namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
    return namespace, name, tuple(sorted(dimensions.items()))


def _all(namespace: str, names: Iterable[str], dimensions: Mapping[str, str]) -> set[Metric]:
    return {_metric(namespace, name, dimensions) for name in names}


def _of(resources: Iterable[Asked], type_: str) -> list[Asked]:
    return [each for each in resources if each.type.endswith(f":{type_}")]
