"""Log events as they arrive: judged by the cloud's clock, and metrics out of them (the embedded metric format).

Whatever reaches CloudWatch Logs and carries `_aws.CloudWatchMetrics` becomes metrics; what is malformed is left alone,
as CloudWatch leaves it, but counted. Source: CloudWatch user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

from moto.logs import models

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after, before
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

MOST_DIMENSIONS = 30
MOST_METRICS = 100
MOST_VALUES = 100
_MARK = '"_aws"'


OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)
"""Of an event, beside now: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"""


class _LogClock:
    """Puts moto's Logs on the cloud's clock, or events of a drill that has moved it would be too new."""

    def __init__(self, cloud: Cloud):
        def now() -> datetime:
            return cloud.clock.now().astimezone(UTC).replace(tzinfo=None)

        self._patch = mock.patch.object(models, "utcnow", now)
        self._patch.start()

    def close(self) -> None:
        self._patch.stop()


@before("logs", "CreateLogGroup")
@before("logs", "PutLogEvents")
def on_the_clouds_clock(call: Call) -> None:
    state_of(call.cloud, _LogClock)


@after("logs", "PutLogEvents")
def embedded_metrics(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Extracts from the events that Logs has taken, and says which it has not: moto names the last of each only."""
    events = call.params["logEvents"]
    now = call.cloud.clock.now()
    oldest, newest = ((now + span).timestamp() * 1000 for span in (-OLDEST, NEWEST))
    if output.get("rejectedLogEventsInfo"):
        old = sum(1 for event in events if event["timestamp"] < oldest)
        new = sum(1 for event in events if event["timestamp"] > newest)
        output = {
            **output,
            "rejectedLogEventsInfo": {
                **({"tooOldLogEventEndIndex": old} if old else {}),
                **({"tooNewLogEventStartIndex": len(events) - new} if new else {}),
            },
        }
    for event in events:
        if _MARK in event["message"] and oldest <= event["timestamp"] <= newest:
            extract(call.cloud, call.region, event["message"])
    return output


def extract(cloud: Cloud, region: str, message: str) -> int:
    """Puts the metrics of one log event and returns how many values there were; 0 for an event that is none."""
    try:
        document = json.loads(message)
        metadata = document["_aws"]
        at = datetime.fromtimestamp(metadata["Timestamp"] / 1000, UTC)
        directives = metadata["CloudWatchMetrics"]
        found = [one for directive in directives for one in _values(document, directive)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return 0
    for namespace, name, dimensions, value, unit, resolution in found:
        cloud.metrics.put(
            namespace,
            name,
            value,
            region=region,
            dimensions=dimensions,
            unit=unit,
            at=at,
            resolution_seconds=resolution,
        )
    return len(found)


def _values(
    document: Mapping[str, Any], directive: Mapping[str, Any]
) -> Iterator[tuple[str, str, dict[str, str], float, str, int]]:
    namespace = directive["Namespace"]
    sets = [
        {name: _text(document[name]) for name in names}
        for names in directive.get("Dimensions") or [[]]
        if len(names) <= MOST_DIMENSIONS
    ]
    for metric in directive["Metrics"][:MOST_METRICS]:
        name = metric["Name"]
        given = document.get(name)
        values = given if isinstance(given, list) else [given]
        for value in values[:MOST_VALUES]:
            # A target member that is missing or no number: that metric is not extracted.
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                continue
            for dimensions in sets:
                unit, resolution = metric.get("Unit", "None"), metric.get("StorageResolution", 60)
                yield namespace, name, dimensions, float(value), unit, 1 if resolution == 1 else 60


def _text(value: Any) -> str:
    """A dimension's target must be a string (specification, "Target members")."""
    if not isinstance(value, str) or not value:
        raise TypeError("a dimension's value is no text")
    return value
