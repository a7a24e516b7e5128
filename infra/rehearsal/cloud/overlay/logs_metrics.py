"""Metrics out of log events: CloudWatch's embedded metric format.

Whatever reaches CloudWatch Logs and carries `_aws.CloudWatchMetrics` becomes metrics; what is malformed is left alone,
as CloudWatch leaves it, but counted. Source: CloudWatch user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

MOST_DIMENSIONS = 30
MOST_METRICS = 100
MOST_VALUES = 100
_MARK = '"_aws"'


@after("logs", "PutLogEvents")
def embedded_metrics(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Extracts from the events that Logs has taken."""
    rejected = output.get("rejectedLogEventsInfo") or {}
    first = rejected.get("tooOldLogEventEndIndex", 0)
    end = rejected.get("tooNewLogEventStartIndex")
    for event in call.params["logEvents"][first:end]:
        message = event["message"]
        if _MARK in message:
            extract(call.cloud, call.region, message)
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
