"""The metric store behind the emulated CloudWatch: every value is kept, so any percentile is exact.

Values lie in buckets of one minute (one second for high resolution), as CloudWatch stores them, by metric and unit.
A metric is a namespace, a name and a set of dimensions; other dimensions are another metric, and nothing is summed over
dimensions (CloudWatch user guide, "Dimensions").
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

POSTING_DELAY_SECONDS: Mapping[str, int] = {"AWS/SageMaker": 60}
"""By namespace: how long after a minute is over alarms see its values. SageMaker posts every minute (developer guide,
"Monitoring SageMaker with CloudWatch"); how much later the values are there is documented nowhere, a minute is
unconfirmed. Readers other than alarms see values at once, so that a report need not wait."""
_MINUTE_SECONDS = 60

SIMPLE_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d{1,10})?)")


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of the emulated cloud, with a time zone."""
        ...


@dataclass(frozen=True, order=True)
class Metric:
    """The identity of a metric."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs in order of name."""

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str] | None = None) -> Metric:
        return cls(namespace, name, tuple(sorted((dimensions or {}).items())))


@dataclass
class Distribution:
    """Values with their counts, and what came as statistic sets (whose values nobody knows)."""

    counts: dict[float, float] = field(default_factory=dict)
    set_count: float = 0.0
    set_sum: float = 0.0
    set_minimum: float = math.inf
    set_maximum: float = -math.inf

    def add(self, value: float, count: float = 1.0) -> None:
        self.counts[value] = self.counts.get(value, 0.0) + count

    def add_set(self, *, count: float, total: float, minimum: float, maximum: float) -> None:
        """Adds a statistic set. With one value, or with equal ends, the values are known after all."""
        if count == 1 or minimum == maximum:
            self.add(minimum, count)
            return
        self.set_count += count
        self.set_sum += total
        self.set_minimum = min(self.set_minimum, minimum)
        self.set_maximum = max(self.set_maximum, maximum)

    def merge(self, other: Distribution) -> None:
        if self.counts:
            for value, count in other.counts.items():
                self.add(value, count)
        else:
            self.counts = other.counts.copy()
        self.set_count += other.set_count
        self.set_sum += other.set_sum
        self.set_minimum = min(self.set_minimum, other.set_minimum)
        self.set_maximum = max(self.set_maximum, other.set_maximum)

    @property
    def sample_count(self) -> float:
        return math.fsum(self.counts.values()) + self.set_count

    def statistic(self, name: str) -> float | None:
        """One statistic by CloudWatch's name. None without values, and for a percentile that cannot be had."""
        samples = self.sample_count
        if samples == 0:
            return None
        if name == "SampleCount":
            return samples
        if name == "Minimum":
            return min(self.set_minimum, min(self.counts, default=math.inf))
        if name == "Maximum":
            return max(self.set_maximum, max(self.counts, default=-math.inf))
        if name in ("Sum", "Average"):
            total = math.fsum(value * count for value, count in self.counts.items()) + self.set_sum
            return total if name == "Sum" else total / samples
        return self.percentile(percentile_of(name))

    def percentile(self, percent: float) -> float | None:
        """The percentile by linear interpolation between the two nearest ranks.

        None when a statistic set or a negative value is among the values: CloudWatch has no percentiles then (user
        guide, "Percentiles"). How CloudWatch interpolates is unconfirmed.
        """
        if self.set_count or not self.counts or min(self.counts) < 0:
            return None
        ordered = sorted(self.counts)
        samples = math.fsum(self.counts.values())
        rank = percent / 100 * (samples - 1)
        below, share = math.floor(rank), rank - math.floor(rank)
        low, high = self._values_at(ordered, samples, below, below + 1)
        return low if share == 0 else low + (high - low) * share

    def _values_at(self, ordered: list[float], samples: float, *ranks: int) -> list[float]:
        """The values at these ranks, which rise; the largest value beyond the last rank."""
        if samples == len(ordered) and max(self.counts.values()) == 1:  # each value once, as latencies are
            return [ordered[min(rank, len(ordered) - 1)] for rank in ranks]
        found: list[float] = []
        seen = 0.0
        for value in ordered:
            seen += self.counts[value]
            while len(found) < len(ranks) and ranks[len(found)] < seen:
                found.append(value)
            if len(found) == len(ranks):
                return found
        return found + [ordered[-1]] * (len(ranks) - len(found))


def percentile_of(statistic: str) -> float:
    """The number in a percentile statistic: "p99.9" gives 99.9. ValueError for anything else, and beyond 0 to 100."""
    found = _PERCENTILE.fullmatch(statistic)
    if found is None or float(found[1]) > 100:
        raise ValueError(f"{statistic!r} is no statistic that is carried: {', '.join(SIMPLE_STATISTICS)} or p0 to p100")
    return float(found[1])


def is_statistic(name: str) -> bool:
    """Whether this store can compute the statistic. Trimmed means, percentile ranks and the like are not carried."""
    if name in SIMPLE_STATISTICS:
        return True
    try:
        percentile_of(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Datapoint:
    """One period of one metric: when it starts, the unit of the values, their distribution."""

    timestamp: datetime
    unit: str
    values: Distribution


_Series = dict[tuple[int, str], Distribution]
"""A metric's buckets by the second that they begin at and their unit."""


class MetricStore:
    """All metrics of the account. `region` keeps the regions apart. Safe for many threads."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()
        self.changes = 0
        """Rises with every value that is put: whoever found nothing need not look again before it does."""
        self.latest = 0
        """The latest second that values were put for; it may lie in the future."""
        self._buckets: dict[tuple[str, Metric], _Series] = {}
        self._known: dict[tuple[str, str, str, tuple[tuple[str, str], ...]], _Series] = {}
        """The same series by what callers give, dimensions in their order: a put finds its series with one look."""

    def put(
        self,
        namespace: str,
        name: str,
        value: float,
        *,
        region: str,
        dimensions: Mapping[str, str] | None = None,
        unit: str = "None",
        count: float = 1.0,
        at: datetime | None = None,
        resolution_seconds: int = 60,
    ) -> None:
        """Adds a value. `at` is now when omitted; `unit` is one of CloudWatch's; `resolution_seconds` is 60 or 1."""
        with self._lock:
            counts = self._bucket(namespace, name, dimensions, region, unit, at, resolution_seconds).counts
            counts[value] = counts.get(value, 0.0) + count

    def put_set(
        self,
        namespace: str,
        name: str,
        *,
        region: str,
        count: float,
        total: float,
        minimum: float,
        maximum: float,
        dimensions: Mapping[str, str] | None = None,
        unit: str = "None",
        at: datetime | None = None,
        resolution_seconds: int = 60,
    ) -> None:
        """Adds a statistic set: count, sum, minimum and maximum of values that are not known one by one."""
        with self._lock:
            bucket = self._bucket(namespace, name, dimensions, region, unit, at, resolution_seconds)
            bucket.add_set(count=count, total=total, minimum=minimum, maximum=maximum)

    def datapoints(
        self,
        metric: Metric,
        *,
        region: str,
        start: datetime,
        end: datetime,
        period_seconds: int,
        unit: str | None = None,
        merge_units: bool = False,
        posted_by: datetime | None = None,
    ) -> list[Datapoint]:
        """The periods that hold values, in order of time. Periods begin at `start`; `start` is inside, `end` is not.

        Values of different units stay apart unless `merge_units`; `unit` takes only that unit's. posted_by: leaves out
        what the metric's service has not posted by then (POSTING_DELAY_SECONDS); None: everything is seen.
        """
        first = aligned(start, period_seconds)
        last = end.timestamp()
        if posted_by is not None and metric.namespace in POSTING_DELAY_SECONDS:
            newest = posted_by.timestamp() - POSTING_DELAY_SECONDS[metric.namespace] - _MINUTE_SECONDS
            last = min(last, newest + 1e-6)
        periods: dict[tuple[int, str], Distribution] = {}
        with self._lock:
            for (second, bucket_unit), bucket in self._buckets.get((region, metric), {}).items():
                if second < first or second >= last or unit not in (None, bucket_unit):
                    continue
                begins = first + (second - first) // period_seconds * period_seconds
                key = (begins, "" if merge_units else bucket_unit)
                periods.setdefault(key, Distribution()).merge(bucket)
        return [
            Datapoint(datetime.fromtimestamp(begins, UTC), period_unit, periods[begins, period_unit])
            for begins, period_unit in sorted(periods)
        ]

    def statistic(
        self,
        namespace: str,
        name: str,
        statistic: str,
        *,
        region: str,
        dimensions: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> float | None:
        """One number over a span of time (all time when omitted), for reports and tests. None without values."""
        total = Distribution()
        with self._lock:
            for (second, _), bucket in self._buckets.get((region, Metric.of(namespace, name, dimensions)), {}).items():
                if (start is None or second >= start.timestamp()) and (end is None or second < end.timestamp()):
                    total.merge(bucket)
        return total.statistic(statistic)

    def metrics(
        self,
        *,
        region: str,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Iterable[tuple[str, str | None]] = (),
        since: datetime | None = None,
    ) -> Iterator[Metric]:
        """The metrics that have values, in order. A dimension filter with None asks only that the dimension exists."""
        wanted = list(dimensions)
        with self._lock:
            known = sorted(
                (metric, max(buckets)[0]) for (where, metric), buckets in self._buckets.items() if where == region
            )
        for metric, latest in known:
            have = dict(metric.dimensions)
            if (
                namespace in (None, metric.namespace)
                and name in (None, metric.name)
                and all(key in have and value in (None, have[key]) for key, value in wanted)
                and (since is None or latest >= since.timestamp() - 60)
            ):
                yield metric

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._buckets.clear()
            self._known.clear()

    def _bucket(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str] | None,
        region: str,
        unit: str,
        at: datetime | None,
        resolution_seconds: int,
    ) -> Distribution:
        self.changes += 1
        second = int((at or self._clock.now()).timestamp())
        second -= second % resolution_seconds
        key = (region, namespace, name, tuple(dimensions.items()) if dimensions else ())
        series = self._known.get(key)
        if series is None:
            series = self._buckets.setdefault((region, Metric.of(namespace, name, dimensions)), {})
            self._known[key] = series
        bucket = series.get((second, unit))
        if bucket is None:
            bucket = series[second, unit] = Distribution()
            self.latest = max(self.latest, second)
        return bucket


def aligned(start: datetime, period_seconds: int) -> int:
    """The start of the first period: the whole minute, or the whole short period below a minute (API reference,
    GetMetricStatistics, StartTime)."""
    second = math.floor(start.timestamp())
    return second - second % min(period_seconds, 60)
