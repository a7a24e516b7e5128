"""The words of CloudWatch's state reasons, and the data beside them, as alarm notifications of AWS show them.

Sources: notifications and DescribeAlarms answers that users have published, as "Threshold Crossed: 1 out of the last 1
datapoints [5.0 (21/11/26 14:20:00)] was greater than or equal to the threshold (1.0) (minimum 1 datapoint for OK
-> ALARM transition).". AWS does not document them. Unconfirmed: that recentDatapoints is in order of time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from infra.rehearsal.cloud.alarm_rules import ALARM, INSUFFICIENT_DATA, Rule, Verdict

_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


@dataclass(frozen=True)
class Period:
    """One period of the evaluation range."""

    starts: datetime
    value: float | None = None
    samples: float | None = None


def reason(rule: Rule, verdict: Verdict, periods: Sequence[Period], *, counted: bool) -> str:
    """Why the alarm has the verdict's state. `counted`: DatapointsToAlarm was given, so the words count M and N."""
    if verdict.state == INSUFFICIENT_DATA:
        return f"Insufficient Data: {_count(verdict.filled, 'datapoint')} {_was(verdict.filled)} unknown."
    rings = verdict.state == ALARM
    points = [periods[place] for place in verdict.used]
    telling = [point for point in points if point.value is not None and rule.breaches(point.value) == rings]
    listed = ", ".join(f"{number(point.value or 0.0)} ({point.starts:%d/%m/%y %H:%M:%S})" for point in telling)
    relation = f"{_was(len(telling))}{'' if rings else ' not'} {_WORDS[rule.operator]} the threshold"
    stands_in = verdict.filled and rule.missing in ("breaching", "notBreaching")
    if stands_in:
        return f"Threshold Crossed: {_received(rule, points, telling, listed, relation)} and {_treated(rule, verdict)}."
    if not counted:
        count = _count(len(telling), "datapoint")
        return f"Threshold Crossed: {count} [{listed}] {relation} ({number(rule.threshold)})."
    least = rule.to_alarm if rings else rule.periods - rule.to_alarm + 1
    change = "OK -> ALARM" if rings else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(telling)} out of the last {rule.periods} datapoints [{listed}] {relation}"
        f" ({number(rule.threshold)}) (minimum {_count(least, 'datapoint')} for {change} transition)."
    )


def _received(rule: Rule, points: Sequence[Period], telling: Sequence[Period], listed: str, relation: str) -> str:
    if telling:
        return f"{_count(len(telling), 'datapoint')} [{listed}] {relation} ({number(rule.threshold)})"
    received = _count(len(points), "datapoint") if points else "no datapoints"
    return f"{received} {'was' if len(points) == 1 else 'were'} received for {_count(rule.periods, 'period')}"


def _treated(rule: Rule, verdict: Verdict) -> str:
    kind = "Breaching" if rule.missing == "breaching" else "NonBreaching"
    return f"{_count(verdict.filled, 'missing datapoint')} {_was(verdict.filled)} treated as [{kind}]"


def reason_data(
    rule: Rule, verdict: Verdict, periods: Sequence[Period], settings: Mapping[str, Any], period: int, asked: datetime
) -> str:
    """StateReasonData: JSON with the datapoints that were evaluated, newest first, missing ones without a value."""
    used = [periods[place] for place in verdict.used]
    gaps = [each for each in reversed(periods) if each.value is None][: verdict.filled]
    shown = sorted([*used, *gaps], key=lambda each: each.starts, reverse=True)
    statistic = settings.get("ExtendedStatistic") or settings.get("Statistic")
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": stamp(asked),
        **({"startDate": stamp(used[-1].starts)} if used else {}),
        **({"unit": settings["Unit"]} if settings.get("Unit") else {}),
        **({"statistic": statistic} if statistic else {}),
        "period": period,
        "recentDatapoints": [each.value for each in reversed(used)],
        "threshold": rule.threshold,
        "evaluatedDatapoints": [
            {
                "timestamp": stamp(each.starts),
                **({} if each.samples is None else {"sampleCount": each.samples}),
                **({} if each.value is None else {"value": each.value}),
            }
            for each in shown
        ],
    }
    return json.dumps(data, separators=(",", ":"))


def number(value: float) -> str:
    """A number as Java writes a double, which is how CloudWatch's texts have them: 5.0, 0.002, 1.0E7."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    shown = "".join(map(str, digits))
    return f"{'-' * sign}{shown[0]}.{shown[1:] or '0'}E{len(shown) - 1 + int(exponent)}"


def stamp(when: datetime) -> str:
    """A time as CloudWatch's JSON writes it: 2026-11-21T14:20:00.000+0000."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}+0000"


def _count(amount: int, noun: str) -> str:
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def _was(amount: int) -> str:
    return "was" if amount == 1 else "were"
