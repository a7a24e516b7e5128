"""How fast the promise is broken: burn rates in pairs of windows.

The SRE workbook's "multiwindow, multi-burn-rate alerts" (https://sre.google/workbook/alerting-on-slos/, section 6 and
table 5-8). A burn rate of 1 spends the error budget of 30 days in 30 days. A page is due when 2 % of it went in an hour
(14.4 times as fast), or 5 % in six hours (6 times); the short window, a twelfth of the long one, must show it too, so
that the alarm is over soon after the incident is. The workbook's third pair, three days at a rate of 1, is left out:
one datapoint of CloudWatch spans a day at most.

All metrics of one alarm have one period, so each window is an alarm and a composite joins them. A window slides: an
alarm is evaluated every minute whatever its period, over the periods that end then
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-cloudwatch-alarm-evaluationwindow.html;
a period of an hour and more may span seven days:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Optional

from ._alarm import expression_query, metric_query
from ._policy import Text
from .guard_alarms import METRIC_NAMESPACE, SAGEMAKER_NAMESPACE, Slo


@dataclass(frozen=True)
class Window:
    """A span that is looked back on."""

    name: str
    seconds: int
    words: str


@dataclass(frozen=True)
class BurnRate:
    """How many times faster than promised, seen in both windows."""

    rate: float
    windows: tuple[Window, Window]
    """The long one and the short one."""


BURN_RATES = (
    BurnRate(14.4, (Window("burn-1h", 3600, "an hour"), Window("burn-5m", 300, "five minutes"))),
    BurnRate(6.0, (Window("burn-6h", 21_600, "six hours"), Window("burn-30m", 1800, "half an hour"))),
)

WINDOWS: Mapping[str, tuple[Window, float]] = MappingProxyType(
    {window.name: (window, burn.rate) for burn in BURN_RATES for window in burn.windows}
)
"""Each window with its rate, by the alarm's name."""

_HIGHEST_RATIO = 0.9
"""Share of failed requests that always rings: of a promise so loose that more would be asked, nothing would ever."""


def burn_threshold(rate: float, slo: Slo) -> float:
    """The burn rate that rings."""
    return min(rate, round(_HIGHEST_RATIO / slo.error_ratio, 6))


def burn_queries(
    dimensions: Mapping[str, Text], log_name: Optional[str], *, slo: Slo, period_seconds: int
) -> list[dict[str, Any]]:
    """The burn rate of one window, 0 where it has fewer requests than `slo.minimum_requests`.

    Both sides are asked, and the one that shows more counts: a reply past its deadline is a success of the endpoint, a
    function that may not ask is no request of it, and who asks past the front door is no reply of it. 4XX are the
    client's.
    """

    def summed(query_id: str, namespace: str, name: str, of: Mapping[str, Text]) -> dict[str, Any]:
        return metric_query(query_id, namespace, name, of, period_seconds)

    def computed(query_id: str, expression: str) -> dict[str, Any]:
        return {"id": query_id, "label": query_id, "expression": expression, "return_data": False}

    queries = [
        summed("invocations", SAGEMAKER_NAMESPACE, "Invocations", dimensions),
        summed("model_errors", SAGEMAKER_NAMESPACE, "InvocationModelErrors", dimensions),
        summed("client_errors", SAGEMAKER_NAMESPACE, "Invocation4XXErrors", dimensions),
        computed("unanswered", "FILL(model_errors, 0) - FILL(client_errors, 0)"),
    ]
    asked, failed = "FILL(invocations, 0)", "unanswered"
    if log_name is not None:
        of_log = {"LogName": log_name}
        queries += [
            summed("served", METRIC_NAMESPACE, "Served", of_log),
            summed("replies_5xx", METRIC_NAMESPACE, "Replies5XX", of_log),
            computed("asked", "IF(FILL(served, 0) > FILL(invocations, 0), FILL(served, 0), FILL(invocations, 0))"),
            computed("failed", "IF(FILL(replies_5xx, 0) > unanswered, FILL(replies_5xx, 0), unanswered)"),
        ]
        asked, failed = "asked", "failed"
    # What is divided by is never 0: CloudWatch drops such a point.
    enough = f"{asked} >= {slo.minimum_requests}"
    ratio = f"IF({enough}, {failed}, 0) / IF({enough}, {asked}, 1)"
    expression = f"{ratio} / {slo.error_ratio:.10g}"
    return [*queries, expression_query("burn_rate", expression, label="times as often as promised")]
