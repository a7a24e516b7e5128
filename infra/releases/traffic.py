"""Which share of the requests each fleet answers during a deployment.

DescribeEndpoint tells the stages of the new fleet and no share of traffic (API_PendingProductionVariantSummary: weights
are those between variants of one fleet), so it is counted: Invocations by EndpointConfigName, in the newest minutes
that CloudWatch has. https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.registry.target import Target
from infra.releases.live import Live, Pending
from infra.releases.words import named

MINUTES = 3
"""How many of the newest minutes are counted."""
_LONGEST = timedelta(hours=24)
"""A query of minutes takes 1,440 points."""


@dataclass(frozen=True)
class Share:
    """What one fleet answers."""

    fleet: str
    """old or new."""
    configuration: str
    version: str
    """In words: version 7."""
    requests: float
    percent: float


def shares(target: Target, found: Live, pending: Pending) -> list[Share]:
    """The shares of the old and the new fleet; empty while nothing was counted. Raises ClientError."""
    if pending.started is None or not found.variants:
        return []
    fleets = {"old": found.configuration, "new": pending.configuration}
    # The times are AWS's own, from the start of the deployment: a runner's clock may be off.
    told = target.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": f"{fleet}{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": "Invocations",
                        "Dimensions": [
                            {"Name": "EndpointName", "Value": found.endpoint},
                            {"Name": "VariantName", "Value": variant},
                            {"Name": "EndpointConfigName", "Value": configuration},
                        ],
                    },
                    "Period": 60,
                    "Stat": "Sum",
                },
            }
            for fleet, configuration in fleets.items()
            for index, variant in enumerate(found.variants)
        ],
        StartTime=pending.started - timedelta(minutes=1),
        EndTime=pending.started + _LONGEST,
    )["MetricDataResults"]
    counted = newest(told)
    total = sum(counted.values())
    if not total:
        return []
    return [
        Share(fleet, name, named(found.endpoint, name), counted[fleet], round(100 * counted[fleet] / total, 1))
        for fleet, name in fleets.items()
    ]


def newest(results: Sequence[Mapping[str, Any]], minutes: int = MINUTES) -> dict[str, float]:
    """Requests by fleet in the newest minutes that any of them has. Pure."""
    points: list[tuple[str, datetime, float]] = [
        ("old" if each["Id"].startswith("old") else "new", at, value)
        for each in results
        for at, value in zip(each["Timestamps"], each["Values"], strict=True)
    ]
    counted = {"old": 0.0, "new": 0.0}
    if points:
        since = max(at for _, at, _ in points) - timedelta(minutes=minutes)
        for fleet, at, value in points:
            counted[fleet] += value if at > since else 0.0
    return counted
