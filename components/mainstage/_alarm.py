"""One alarm on metrics, as all of ours are made: it says what is wrong, where the runbook is, and tells the same people
when it fires and when it is over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._policy import Text


def metric_alarm(
    name: str,
    *,
    alarm_name: str,
    meaning: str,
    runbook_url: str,
    tells: Sequence[Text],
    watches: Mapping[str, Any],
    tags: Mapping[str, Text],
    parent: pulumi.Resource,
) -> "aws.cloudwatch.MetricAlarm":
    """Makes the alarm `alarm_name`, a resource called `name`.

    tells: ARNs of topics; empty for a part of a composite, which tells of it. watches: what is measured and when it
    fires, every setting that has a default in AWS written out, what missing data means too.
    """
    return aws.cloudwatch.MetricAlarm(
        name,
        name=alarm_name,
        alarm_description=alarm_description(meaning, runbook_url),
        actions_enabled=True,
        alarm_actions=list(tells),
        ok_actions=list(tells),
        insufficient_data_actions=[],
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent),
        **watches,
    )


def alarm_description(meaning: str, runbook_url: str) -> str:
    """What a person reads who is told."""
    return f"{meaning} Runbook: {runbook_url}"


def metric_query(
    query_id: str,
    namespace: str,
    metric_name: str,
    dimensions: Mapping[str, Text],
    period_seconds: int,
    statistic: str = "Sum",
) -> dict[str, Any]:
    """A metric that an expression of the same alarm reads as `query_id`."""
    return {
        "id": query_id,
        "return_data": False,
        "metric": {
            "namespace": namespace,
            "metric_name": metric_name,
            "dimensions": dict(dimensions),
            "period": period_seconds,
            "stat": statistic,
        },
    }


def expression_query(query_id: str, expression: str, *, label: str) -> dict[str, Any]:
    """What the alarm looks at: a time series made of the others."""
    return {"id": query_id, "label": label, "expression": expression, "return_data": True}
