"""Alarms of the release watch itself. While it is blind nobody is woken for a release that was taken back, so what it
could not deal with, and what never reached it, wakes a person; what it tries again waits for the morning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pulumi
import pulumi_aws as aws

from ._alarm import expression_query, metric_alarm, metric_query
from ._policy import Text

WATCH_ALARMS = ("dead-letters", "lost", "errors")
"""What the alarms are called: `<watch name>-<alarm>`."""

WATCH_RUNBOOK_SLUGS: Mapping[str, str] = MappingProxyType(dict.fromkeys(WATCH_ALARMS, "release-watch"))
"""Runbook of each alarm: `<runbook_base_url>/<slug>.md`."""

_PAGES = ("dead-letters", "lost")
_MINUTE = 60
_FIVE_MINUTES = 300


@dataclass(frozen=True, kw_only=True)
class WatchedWatch:
    """What the alarms watch, and whom they tell."""

    watch_name: str
    function_name: str
    rule_name: str
    dead_name: str
    page_topic_arn: Text
    ticket_topic_arn: Text
    runbook_base_url: str
    tags: Mapping[str, Text]


def watch_alarm_names(watch_name: str) -> dict[str, str]:
    """The alarms' names by alarm."""
    return {alarm: f"{watch_name}-{alarm}" for alarm in WATCH_ALARMS}


def make_watch_alarms(
    name: str, watched: WatchedWatch, *, parent: pulumi.Resource
) -> "tuple[aws.cloudwatch.MetricAlarm, ...]":
    """Makes `<name>-<alarm>` for each alarm."""
    return tuple(_alarm(name, alarm, watched, parent) for alarm in WATCH_ALARMS)


def _alarm(name: str, alarm: str, watched: WatchedWatch, parent: pulumi.Resource) -> "aws.cloudwatch.MetricAlarm":
    return metric_alarm(
        f"{name}-{alarm}",
        alarm_name=watch_alarm_names(watched.watch_name)[alarm],
        meaning=_meaning(alarm, watched),
        runbook_url=f"{watched.runbook_base_url}/{WATCH_RUNBOOK_SLUGS[alarm]}.md",
        tells=[watched.page_topic_arn if alarm in _PAGES else watched.ticket_topic_arn],
        watches={
            **_watches(alarm, watched),
            # All these metrics are silent while no endpoint changes.
            "treat_missing_data": "notBreaching",
            "threshold": 0,
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": 1,
            "datapoints_to_alarm": 1,
        },
        tags=watched.tags,
        parent=parent,
    )


def _watches(alarm: str, watched: WatchedWatch) -> dict[str, Any]:
    function, rule = {"FunctionName": watched.function_name}, {"RuleName": watched.rule_name}
    if alarm == "dead-letters":
        return {
            "namespace": "AWS/SQS",
            "metric_name": "ApproximateNumberOfMessagesVisible",
            "dimensions": {"QueueName": watched.dead_name},
            "statistic": "Maximum",
            "period": _MINUTE,
        }
    if alarm == "lost":
        # An event that EventBridge could not hand to the function, and one that Lambda could not lay with the dead.
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html,
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        return _sum_of(
            metric_query("undelivered", "AWS/Events", "FailedInvocations", rule, _MINUTE),
            metric_query("unburied", "AWS/Lambda", "DeadLetterErrors", function, _MINUTE),
            label="events that are gone",
        )
    return _sum_of(
        metric_query("failed", "AWS/Lambda", "Errors", function, _FIVE_MINUTES),
        metric_query("throttled", "AWS/Lambda", "Throttles", function, _FIVE_MINUTES),
        label="runs that failed or could not begin",
    )


def _sum_of(*queries: dict[str, Any], label: str) -> dict[str, Any]:
    expression = " + ".join(f"FILL({query['id']}, 0)" for query in queries)
    return {"metric_queries": [*queries, expression_query("all", expression, label=label)]}


def _meaning(alarm: str, watched: WatchedWatch) -> str:
    return {
        "dead-letters": f"The release watch {watched.watch_name} failed three times on an event: a page "
        "may be missing.",
        "lost": f"An event of an endpoint never reached the release watch {watched.watch_name} and is gone: a page may "
        "be missing.",
        "errors": f"Runs of the release watch {watched.watch_name} fail or are throttled; Lambda tries them again.",
    }[alarm]
