"""How a metric alarm comes to its state: M of N datapoints, and what is done about missing ones.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html), whose two tables are
tests. Nothing here reads a metric.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
MISSING = ("missing", "ignore", "breaching", "notBreaching")
_EXTRA_PERIODS = 2
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
OPERATORS = tuple(_COMPARISONS)
"""The comparisons that are carried; those with a band belong to anomaly detection."""


@dataclass(frozen=True)
class Rule:
    """What an alarm asks of its datapoints."""

    operator: str
    threshold: float
    periods: int
    """Evaluation periods: N."""
    to_alarm: int
    """Datapoints to alarm: M."""
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        return _COMPARISONS[self.operator](value, self.threshold)

    @property
    def range(self) -> int:
        """How many periods are looked at. The guide's example reads 5 for 3; for others it gives no number, so that
        two more than N is unconfirmed."""
        return self.periods + _EXTRA_PERIODS


@dataclass(frozen=True)
class Verdict:
    """What an evaluation says. Positions count from the oldest period of the range, 0."""

    state: str | None
    """None: the alarm keeps its state."""
    used: tuple[int, ...]
    """Positions of the datapoints that were evaluated, newest first."""
    filled: int
    """How many missing datapoints stood in beside them."""


def judge(rule: Rule, values: Sequence[float | None]) -> Verdict:
    """The verdict on the datapoints of the evaluation range, oldest first; None is a missing one."""
    real = tuple(place for place in reversed(range(len(values))) if values[place] is not None)
    used = real[: rule.periods]
    breaching = [place for place in used if rule.breaches(_value(values, place))]
    filled = rule.periods - len(used)
    if filled == 0 or rule.missing in ("breaching", "notBreaching"):
        against = len(breaching) + (filled if rule.missing == "breaching" else 0)
        return Verdict(ALARM if against >= rule.to_alarm else OK, used, filled)
    return Verdict(_of_what_is_there(rule, len(values), used, breaching), used, filled)


def _of_what_is_there(rule: Rule, length: int, used: Sequence[int], breaching: Sequence[int]) -> str | None:
    """The state when too few datapoints exist and missing ones stand for nothing."""
    if not used:
        return INSUFFICIENT_DATA if rule.missing == "missing" else None
    if len(breaching) >= rule.to_alarm:
        return ALARM
    if len(breaching) < len(used):
        return OK
    # All that is there breaches, and it is less than M ("Avoiding premature transitions to alarm state"): with the
    # oldest at least M periods old the alarm rings, else it waits. That it keeps its state then is unconfirmed.
    return ALARM if rule.missing == "missing" and length - min(breaching) >= rule.to_alarm else None


def _value(values: Sequence[float | None], place: int) -> float:
    value = values[place]
    assert value is not None
    return value


def fewest_samples(percent: float) -> float:
    """Below how many samples a percentile says little (user guide, "Percentile-based CloudWatch alarms and low data
    samples"): 10 / (1 - percentile) from the median on, 10 / percentile below it. 0 for p0 and p100."""
    rest = 100 - percent if percent >= 50 else percent
    return round(1000 / rest, 6) if rest else 0
