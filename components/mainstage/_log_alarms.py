"""Alarms of a prediction log: what was lost, what was refused, what is late. Each has its runbook.

Only lost predictions wake a person: everything else lies somewhere (in the stream, the spool, the dead letters or among
the rejects) and waits for the morning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pulumi
import pulumi_aws as aws

from ._alarm import expression_query, metric_alarm, metric_query
from ._log_stream import TRANSFORM_TIMEOUT_SECONDS
from ._policy import Text
from .guard_alarms import METRIC_NAMESPACE

LOG_ALARMS = ("loss", "rejected", "transform-errors", "delivery-late", "spool-waiting", "spool-dead")
"""What the alarms of a log are called: `<log name>-log-<alarm>`."""

LOG_RUNBOOK_SLUGS: Mapping[str, str] = MappingProxyType(
    {
        "loss": "log-loss",
        "rejected": "log-rejected",
        "transform-errors": "log-transform-errors",
        "delivery-late": "log-delivery-late",
        "spool-waiting": "log-spool-waiting",
        "spool-dead": "log-spool-dead",
    }
)
"""Runbook of each alarm: `<runbook_base_url>/<slug>.md`."""

_PAGES = ("loss",)

LOSS_MINUTES = 5
"""Minutes that the loss alarm looks back on. A lost prediction is counted in the minute of its request, and a request
may take half a minute: by then its minute is over."""

LOSS_DATAPOINTS = 2
"""Of these minutes so many have to show a loss: the newest alone may show a record that is under way."""

LATE_SECONDS = 900
"""How much later than the buffer's interval a record may be delivered: the time-outs and tries of one failure."""

LATE_MINUTES, LATE_OF_MINUTES = 10, 15
"""For how many minutes, of how many, records have to be that late before it is told."""

WAITING_SECONDS = 1800
"""How long a record may wait in the spool: what Firehose refuses for a moment is replayed in minutes."""

_MINUTE = 60
_FIVE_MINUTES = 300


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the alarms watch, and whom they tell."""

    log_name: str
    stream_name: str
    transform_name: str
    spool_name: str
    dead_name: str
    buffer_seconds: int
    page_topic_arn: Text
    ticket_topic_arn: Text
    runbook_base_url: str
    tags: Mapping[str, Text]


def log_alarm_names(log_name: str) -> dict[str, str]:
    """The alarms' names by alarm."""
    return {alarm: f"{log_name}-log-{alarm}" for alarm in LOG_ALARMS}


def make_log_alarms(
    name: str, watched: Watched, *, parent: pulumi.Resource
) -> "tuple[aws.cloudwatch.MetricAlarm, ...]":
    """Makes `<name>-log-<alarm>` for each alarm."""
    return tuple(_alarm(name, alarm, watched, parent) for alarm in LOG_ALARMS)


def _alarm(name: str, alarm: str, watched: Watched, parent: pulumi.Resource) -> "aws.cloudwatch.MetricAlarm":
    return metric_alarm(
        f"{name}-log-{alarm}",
        alarm_name=log_alarm_names(watched.log_name)[alarm],
        meaning=_meaning(alarm, watched),
        runbook_url=f"{watched.runbook_base_url}/{LOG_RUNBOOK_SLUGS[alarm]}.md",
        tells=[watched.page_topic_arn if alarm in _PAGES else watched.ticket_topic_arn],
        # Every one of these metrics is silent when there is no traffic.
        watches={**_watches(alarm, watched), "treat_missing_data": "notBreaching"},
        tags=watched.tags,
        parent=parent,
    )


def _watches(alarm: str, watched: Watched) -> dict[str, Any]:
    """What one alarm measures and when it fires. Every setting that has a default in AWS is written out."""
    if alarm == "loss":
        return _loss(watched)
    if alarm == "rejected":
        return _rejected(watched)
    if alarm == "transform-errors":
        return _transform_errors(watched)
    if alarm == "delivery-late":
        limit = watched.buffer_seconds + LATE_SECONDS
        return _one(
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            {"DeliveryStreamName": watched.stream_name},
            "Maximum",
            above=limit,
            # By the minute, as Firehose publishes: the few periods of a longer one would each hold the end of an outage
            # and the quiet after it, and a stream with little traffic would ring again and again.
            period=_MINUTE,
            datapoints=LATE_MINUTES,
            of=LATE_OF_MINUTES,
        )
    if alarm == "spool-waiting":
        return _one(
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            {"QueueName": watched.spool_name},
            "Maximum",
            above=WAITING_SECONDS,
            period=_FIVE_MINUTES,
        )
    return _one(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": watched.dead_name},
        "Maximum",
        above=0,
        period=_FIVE_MINUTES,
    )


def _one(
    namespace: str,
    metric_name: str,
    dimensions: dict[str, str],
    statistic: str,
    *,
    above: float,
    period: int,
    datapoints: int = 1,
    of: int = 1,
) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "metric_name": metric_name,
        "dimensions": dimensions,
        "statistic": statistic,
        "period": period,
        "evaluation_periods": of,
        "datapoints_to_alarm": datapoints,
        "threshold": above,
        "comparison_operator": "GreaterThanThreshold",
    }


def _loss(watched: Watched) -> dict[str, Any]:
    """Served minus handed over, by the minute of the request: both metrics carry that minute, so that they meet in it.

    FILL: a minute in which nothing was handed over has no value of that metric, and would not be compared. RUNNING_SUM:
    what was lost shows in its minute and in each later one that is looked at; what is under way at the end of a minute
    shows in that minute alone, and only until it is handed over. So two minutes have to show it. An alarm takes any
    expression that gives one time series
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html); no page of AWS shows
    one with RUNNING_SUM (unconfirmed). How many minutes more than LOSS_MINUTES CloudWatch reads, it does not say: that
    much later the alarm is over.
    """
    dimensions = {"LogName": watched.log_name}
    return {
        "metric_queries": [
            metric_query("served", METRIC_NAMESPACE, "Served", dimensions, _MINUTE),
            metric_query("handed_over", METRIC_NAMESPACE, "HandedOver", dimensions, _MINUTE),
            expression_query(
                "lost",
                "RUNNING_SUM(FILL(served, 0) - FILL(handed_over, 0))",
                label="served predictions that no one took, so far",
            ),
        ],
        "threshold": 0,
        "comparison_operator": "GreaterThanThreshold",
        "evaluation_periods": LOSS_MINUTES,
        "datapoints_to_alarm": LOSS_DATAPOINTS,
    }


def _transform_errors(watched: Watched) -> dict[str, Any]:
    """Runs of the transform that failed, that Lambda throttled, and those that Firehose could not have at all.

    A throttled invocation is no error (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html), and
    of a function that is gone, or that Firehose may not invoke, Lambda counts nothing: then only Firehose's
    ExecuteProcessing.Success tells, successful invocations by all invocations
    (https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html). That an attempt which
    never reached the function counts there as one without success is unconfirmed.
    """
    function = {"FunctionName": watched.transform_name}
    stream = {"DeliveryStreamName": watched.stream_name}
    return {
        "metric_queries": [
            metric_query("errors", "AWS/Lambda", "Errors", function, _FIVE_MINUTES),
            metric_query("throttled", "AWS/Lambda", "Throttles", function, _FIVE_MINUTES),
            metric_query("succeeded", "AWS/Firehose", "ExecuteProcessing.Success", stream, _FIVE_MINUTES, "Minimum"),
            expression_query(
                "failed",
                "FILL(errors, 0) + FILL(throttled, 0) + 1 - FILL(succeeded, 1)",
                label="failed runs of the transform",
            ),
        ],
        "threshold": 0,
        "comparison_operator": "GreaterThanThreshold",
        "evaluation_periods": 1,
        "datapoints_to_alarm": 1,
    }


def _rejected(watched: Watched) -> dict[str, Any]:
    """Records that the transform refused, and those that Firehose could not turn into Parquet.

    https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
    """
    return {
        "metric_queries": [
            metric_query("refused", METRIC_NAMESPACE, "Rejected", {"LogName": watched.log_name}, _FIVE_MINUTES),
            metric_query(
                "unconverted",
                "AWS/Firehose",
                "FailedConversion.Records",
                {"DeliveryStreamName": watched.stream_name},
                _FIVE_MINUTES,
            ),
            expression_query(
                "rejected", "FILL(refused, 0) + FILL(unconverted, 0)", label="records that are not in the table"
            ),
        ],
        "threshold": 0,
        "comparison_operator": "GreaterThanThreshold",
        "evaluation_periods": 1,
        "datapoints_to_alarm": 1,
    }


def _meaning(alarm: str, watched: Watched) -> str:
    return {
        "loss": f"Predictions of {watched.log_name} were served and are in no log: neither Firehose nor the spool has "
        "them.",
        "rejected": f"Prediction records of {watched.log_name} were refused and lie among the rejects.",
        "transform-errors": f"The transform of {watched.log_name} fails, cannot be invoked or "
        f"takes longer than {TRANSFORM_TIMEOUT_SECONDS} s: records go to the rejects.",
        "delivery-late": f"Prediction records of {watched.log_name} are older than "
        f"{watched.buffer_seconds + LATE_SECONDS} s and not yet in the bucket.",
        "spool-waiting": f"Prediction records of {watched.log_name} have waited in the spool for more than "
        f"{WAITING_SECONDS // 60} minutes.",
        "spool-dead": f"Prediction records of {watched.log_name} could not be replayed and lie in the dead-letter "
        "queue, which forgets them after 14 days.",
    }[alarm]
