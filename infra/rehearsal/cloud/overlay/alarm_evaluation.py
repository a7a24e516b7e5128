"""Metric alarms evaluated from metrics: once a minute, every ten seconds for an alarm with a short period.

An alarm is evaluated for the first time a minute after it was put (CloudWatch does not say at which second of a minute
it looks). The datapoints are those of whole periods that are over; periods of a minute and more end at a whole minute,
as the datapoints in AWS's own notifications do. A minute of a service's metric counts from when the service has posted
it (`metrics.POSTING_DELAY_SECONDS`). What is not carried is refused when the alarm is put.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from infra.rehearsal.cloud.alarm_rules import OPERATORS, Rule, Verdict, fewest_samples, judge
from infra.rehearsal.cloud.alarm_words import Period, reason, reason_data
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.metric_math import MathError, NotCarriedMath, Series
from infra.rehearsal.cloud.metric_queries import expressions_of, metric_of, period_of, read
from infra.rehearsal.cloud.metrics import POSTING_DELAY_SECONDS, MetricStore, is_statistic, percentile_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

log = logging.getLogger(__name__)

_CLOCK_FUNCTION = re.compile(r"\b(?:MINUTE|HOUR|DAY|DATE|MONTH|YEAR|EPOCH)\s*\(")
_MINUTE = 60
_SHORT_INTERVAL = 10
_LONGEST_WAIT = 3600.0


Quiet = tuple[int, dict[str, Any], str]
"""The store's count of changes, the alarm's settings, its state."""


class Evaluated(Protocol):
    """An alarm as the evaluator sees it."""

    settings: dict[str, Any]
    state: str
    due: datetime
    quiet: Quiet | None
    """With what nothing was there to see: while all of that is as it was, the next evaluation says the same."""


class Alarms(Protocol):
    """The alarms of a cloud."""

    def every(self) -> list[tuple[str, Evaluated]]:
        """All alarms with their regions, in order of region and name."""
        ...

    def set_state(
        self,
        region: str,
        name: str,
        value: str,
        reason: str,
        reason_data: str,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Sets a state and runs its actions, unless the alarm has other settings than these by now."""
        ...


class Evaluator:
    """Evaluates what is due, in a thread of its own while real time passes, and inside `Clock.advance`."""

    def __init__(self, cloud: Cloud, alarms: Alarms):
        self._cloud = cloud
        self._alarms = alarms
        self._running = threading.RLock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins at the first alarm; from then on it wakes the thread, which looks when it is due next."""
        with self._starting:
            if self._thread is None and not self._closed:
                self._cloud.clock.add_timer(self)
                self._thread = threading.Thread(target=self._run, name="mainstage-alarms", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        with self._starting:
            self._closed = True
        self._cloud.clock.remove_timer(self)
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def next_due(self) -> datetime | None:
        return min((alarm.due for _, alarm in self._alarms.every()), default=None)

    def run_due(self, now: datetime) -> None:
        """Evaluates every alarm that is due. All are tried; what failed is raised together."""
        with self._running:
            due = [(region, alarm) for region, alarm in self._alarms.every() if alarm.due <= now]
            for _, alarm in due:
                step = timedelta(seconds=interval(alarm.settings))
                alarm.due += step * ((now - alarm.due) // step + 1)
            self._evaluate(due, now)
        self._wake.set()

    def evaluate_now(self) -> None:
        """Evaluates every alarm at once, due or not."""
        with self._running:
            self._evaluate(self._alarms.every(), self._cloud.clock.now())

    def _evaluate(self, alarms: Sequence[tuple[str, Evaluated]], now: datetime) -> None:
        failures: list[Exception] = []
        for region, alarm in alarms:
            if self._closed:
                return
            try:
                self._evaluate_one(region, alarm, now)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise ExceptionGroup("alarms could not be evaluated", failures)

    def _evaluate_one(self, region: str, alarm: Evaluated, now: datetime) -> None:
        store, settings = self._cloud.metrics, alarm.settings
        as_it_is: Quiet = store.changes, settings, alarm.state
        if alarm.quiet == as_it_is:
            return
        rule, period = rule_of(settings), seconds_of(settings)
        periods, empty = read_periods(store, settings, region=region, now=now)
        verdict = judge(rule, [each.value for each in periods])
        state = verdict.state
        if verdict.used and _too_few_samples(settings, periods, verdict):
            state = None
        if state is None or state == alarm.state:
            # Nothing there, nothing to come, and this state: the next evaluation says the same.
            end = periods[-1].starts.timestamp() + period
            posted = store.latest + _MINUTE + max(POSTING_DELAY_SECONDS.values()) <= now.timestamp()
            alarm.quiet = as_it_is if empty and posted and store.latest < end else None
            return
        words = reason(rule, verdict, periods, counted=settings.get("DatapointsToAlarm") is not None)
        data = reason_data(rule, verdict, periods, settings, period, now)
        self._alarms.set_state(region, settings["AlarmName"], state, words, data, settings=settings)

    def _run(self) -> None:
        while not self._closed:
            due = self.next_due()
            now = self._cloud.clock.now()
            wait = _LONGEST_WAIT if due is None else (due - now).total_seconds()
            if wait > 0:
                self._wake.wait(min(wait, _LONGEST_WAIT))
                self._wake.clear()
                continue
            try:
                self.run_due(now)
            except Exception:
                log.exception("alarms could not be evaluated")


def interval(settings: Mapping[str, Any]) -> int:
    """Seconds between two evaluations of an alarm with these settings."""
    return _MINUTE if seconds_of(settings) >= _MINUTE else _SHORT_INTERVAL


def seconds_of(settings: Mapping[str, Any]) -> int:
    """The alarm's period in seconds."""
    return period_of(settings["Metrics"]) if settings.get("Metrics") else settings["Period"]


def rule_of(settings: Mapping[str, Any]) -> Rule:
    """What the settings ask of datapoints; DatapointsToAlarm is EvaluationPeriods when left out."""
    return Rule(
        settings["ComparisonOperator"],
        settings["Threshold"],
        settings["EvaluationPeriods"],
        settings.get("DatapointsToAlarm") or settings["EvaluationPeriods"],
        settings.get("TreatMissingData") or "missing",
    )


def read_periods(
    store: MetricStore, settings: Mapping[str, Any], *, region: str, now: datetime
) -> tuple[list[Period], bool]:
    """The periods of the evaluation range that are over at `now`, oldest first, and whether the metrics behind them
    have no value at all, so that only new values can change what is found."""
    period, count = seconds_of(settings), rule_of(settings).range
    last = int(now.timestamp())
    last -= last % min(period, _MINUTE)
    starts = range(last - count * period, last, period)
    span = {"start": datetime.fromtimestamp(starts[0], UTC), "end": datetime.fromtimestamp(last, UTC)}
    samples: Mapping[int, float] = {}
    if settings.get("Metrics"):
        series, empty = _result(store, settings["Metrics"], region=region, posted_by=now, **span)
    else:
        stat = settings.get("ExtendedStatistic") or settings["Statistic"]
        unit = settings.get("Unit")
        found = read(
            store,
            metric_of(settings),
            stat=stat,
            period=period,
            unit=unit,
            region=region,
            start=span["start"],
            end=span["end"],
            posted_by=now,
        )
        series, samples = found.series, found.samples
        empty = not series.points
    periods = [
        Period(datetime.fromtimestamp(start, UTC), series.points.get(start), samples.get(start)) for start in starts
    ]
    return periods, empty


def _result(
    store: MetricStore,
    queries: Sequence[Mapping[str, Any]],
    *,
    region: str,
    start: datetime,
    end: datetime,
    posted_by: datetime,
) -> tuple[Series, bool]:
    """The series that an alarm on metric math watches: the only one that is returned. See `read_periods`."""
    watched = [query["Id"] for query in queries if query.get("ReturnData", True)]
    if len(watched) != 1:
        raise MathError("exactly one query must return data")
    expressions = expressions_of(store, queries, region=region, start=start, end=end, posted_by=posted_by)
    series = expressions.series(watched[0])
    if len(series) != 1:
        raise MathError("an alarm watches exactly one time series")
    told_by_time = any(_CLOCK_FUNCTION.search(query.get("Expression") or "") for query in queries)
    return series[0], not told_by_time and not any(metric.points for metric in expressions.metrics.values())


def _too_few_samples(settings: Mapping[str, Any], periods: Sequence[Period], verdict: Verdict) -> bool:
    """Whether a percentile alarm that ignores few samples has few."""
    if settings.get("EvaluateLowSampleCountPercentile") != "ignore" or not settings.get("ExtendedStatistic"):
        return False
    samples = sum(periods[place].samples or 0.0 for place in verdict.used)
    return samples < fewest_samples(percentile_of(settings["ExtendedStatistic"]))


def check_evaluable(store: MetricStore, settings: Mapping[str, Any], *, region: str, now: datetime) -> None:
    """AwsError for an alarm that AWS would refuse, or that this cloud cannot evaluate."""
    if settings.get("EvaluationCriteria") or settings.get("ThresholdMetricId"):
        what = "EvaluationCriteria" if settings.get("EvaluationCriteria") else "ThresholdMetricId"
        raise AwsError("NotCarried", f"The emulated CloudWatch does not carry alarms with {what}.", 501)
    for member in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if settings.get(member) is None:
            raise AwsError("ValidationError", f"The parameter {member} is required.")
    if settings["ComparisonOperator"] not in OPERATORS:
        raise AwsError(
            "ValidationError", f"{settings['ComparisonOperator']} needs a band of anomaly detection as its threshold."
        )
    metrics = [query["MetricStat"] for query in settings.get("Metrics") or () if query.get("MetricStat")]
    if len({metric["Period"] for metric in metrics}) > 1:
        raise AwsError("ValidationError", "Invalid metrics list: all metrics of an alarm must have the same period")
    for stat in (*(metric["Stat"] for metric in metrics), settings.get("ExtendedStatistic")):
        if stat and not is_statistic(stat):
            raise AwsError("NotCarried", f"The emulated CloudWatch does not carry {stat!r}; use p0 to p100.", 501)
    try:
        read_periods(store, settings, region=region, now=now)
    except NotCarriedMath as refusal:
        raise AwsError("NotCarried", f"The emulated CloudWatch does not carry {refusal}.", 501) from refusal
    except MathError as refusal:
        raise AwsError("ValidationError", f"Invalid metrics list: {refusal}") from refusal
