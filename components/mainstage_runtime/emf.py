"""Metrics and notes, one JSON object a line on standard output: Lambda ships it, CloudWatch reads the metrics out.

Embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Nothing here raises: a metric that cannot be written is lost, a prediction is not. A note never holds a value of a
request.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "Mainstage"

_UNITS = {"FrontDoorLatency": "Milliseconds"}
_lock = threading.Lock()


def line(
    at_ms: int, measured: Sequence[tuple[Mapping[str, float], Sequence[Mapping[str, str]]]], **properties: Any
) -> str:
    """One line that reports metrics of the moment `at_ms` (milliseconds since 1970). Each element of `measured` is
    metrics by name with the sets of dimensions to report them under. A dimension has one value within a line.

    `properties` are fields that can be searched in the log.
    """
    members: dict[str, Any] = {}
    directives = []
    for metrics, dimension_sets in measured:
        for dimensions in dimension_sets:
            members.update(dimensions)
        members.update(metrics)
        directives.append(
            {
                "Namespace": NAMESPACE,
                "Dimensions": [list(dimensions) for dimensions in dimension_sets],
                "Metrics": [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in metrics],
            }
        )
    return json.dumps(
        {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": directives}, **members, **properties},
        separators=(",", ":"),
    )


def publish(
    at_ms: int, measured: Sequence[tuple[Mapping[str, float], Sequence[Mapping[str, str]]]], **properties: Any
) -> None:
    """Writes such a line. Never raises."""
    try:
        write(line(at_ms, measured, **properties))
    except Exception:
        return


def note(event: str, **properties: Any) -> None:
    """Writes a line that reports no metric: what happened, with names and numbers. Never raises."""
    try:
        write(json.dumps({"event": event, **properties}, separators=(",", ":"), default=str))
    except Exception:
        return


def error_name(error: Exception) -> str:
    """What a note calls an error: the code that AWS answered with, else the error's type. Never its message, which may
    hold a value of a request."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code or type(error).__name__)


def write(text: str) -> None:
    # One call a line: the front door's two threads must not mix theirs.
    with _lock:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
