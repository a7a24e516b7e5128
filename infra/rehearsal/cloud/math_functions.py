"""The functions of CloudWatch metric math. `metric_math.py` says where the rules come from."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from infra.rehearsal.cloud import math_syntax as syntax
from infra.rehearsal.cloud.math_syntax import MathError, Node
from infra.rehearsal.cloud.math_values import NotCarriedMath, Series, Value, guarded, listed, same_period, series_of


class Request(Protocol):
    """What a function may ask of the request that it stands in."""

    @property
    def metrics(self) -> Mapping[str, Series]: ...
    @property
    def period(self) -> int: ...
    @property
    def grid(self) -> Callable[[int], Sequence[int]]: ...
    def evaluate(self, node: Node) -> Value: ...


Arguments = Sequence[Node]
Function = Callable[[Request, Arguments], Value]

UNCARRIED = frozenset(
    {
        "ANOMALY_DETECTION_BAND",
        "DB_PERF_INSIGHTS",
        "INSIGHT_RULE_METRIC",
        "LAMBDA",
        "SEARCH",
        "SERVICE_QUOTA",
    }
)
"""Functions that CloudWatch has and that are refused by name."""


def call(request: Request, name: str, arguments: Arguments) -> Value:
    """The result of a function. MathError for one that does not exist or does not take the arguments."""
    if name in UNCARRIED:
        raise NotCarriedMath(f"the function {name}")
    if name not in _FUNCTIONS:
        raise MathError(f"The function {name} does not exist")
    fewest, most, function = _FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        counts = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise MathError(f"{name} takes {counts} arguments, {len(arguments)} given")
    return function(request, arguments)


# -- one series to another, point by point or along the time ---------------------------------------------------


def _each(change: Callable[[Series], Mapping[int, float]]) -> Function:
    """A function of a series, which an array runs through one by one."""

    def function(request: Request, arguments: Arguments) -> Value:
        value = request.evaluate(arguments[0])
        if isinstance(value, int | float):
            raise MathError("A scalar stands where a time series is needed")
        if isinstance(value, Series):
            return series_of(change(value), value)
        return [series_of(change(each), each) for each in value]

    return function


def _pointwise(compute: Callable[[float], float]) -> Function:
    return _each(lambda series: {at: guarded(lambda v=value: compute(v)) for at, value in series.points.items()})


def _running_sum(series: Series) -> Mapping[int, float]:
    return dict(zip(sorted(series.points), itertools.accumulate(_in_order(series)), strict=True))


def _differences(series: Series) -> Mapping[int, float]:
    """Between each value and the one before it; the first has none."""
    points = sorted(series.points.items())
    return {at: value - before for (_, before), (at, value) in itertools.pairwise(points)}


def _time_differences(series: Series) -> Mapping[int, float]:
    return {at: float(at - before) for before, at in itertools.pairwise(sorted(series.points))}


def _rates(series: Series) -> Mapping[int, float]:
    seconds = _time_differences(series)
    return {at: difference / seconds[at] for at, difference in _differences(series).items()}


def _in_order(series: Series) -> list[float]:
    return [series.points[at] for at in sorted(series.points)]


# -- many values to one ----------------------------------------------------------------------------------------


def _aggregate(compute: Callable[[list[float]], float], *, missing_is_zero: bool = False) -> Function:
    """A scalar of one series, a series of an array. A series without points gives a scalar without a value."""

    def function(request: Request, arguments: Arguments) -> Value:
        value = request.evaluate(arguments[0])
        if isinstance(value, int | float):
            raise MathError("A scalar stands where a time series is needed")
        if isinstance(value, Series):
            return float(compute(_in_order(value))) if value.points else math.nan
        if not value:
            raise MathError("The array holds no time series")
        same_period(*value)
        points = {}
        for at in {at for series in value for at in series.points}:
            found = [series.points[at] for series in value if at in series.points]
            points[at] = compute(found + [0.0] * (len(value) - len(found)) if missing_is_zero else found)
        return Series(series_of(points, value[0]).points, value[0].period)

    return function


_SUM = _aggregate(math.fsum)
_AVG = _aggregate(statistics.fmean, missing_is_zero=True)
_MIN = _aggregate(min)
_MAX = _aggregate(max)
_STDDEV = _aggregate(statistics.pstdev)

# -- missing points, conditions, constants ----------------------------------------------------------------------


def _fill(request: Request, arguments: Arguments) -> Value:
    """FILL with a number, a series, REPEAT (the value before) or LINEAR (between the ends of a gap)."""
    value = request.evaluate(arguments[0])
    if isinstance(value, int | float):
        raise MathError("FILL takes a time series")
    filler: str | Value
    if isinstance(arguments[1], syntax.Word):
        filler = arguments[1].name
        if filler not in ("REPEAT", "LINEAR"):
            raise MathError(f"FILL takes a value, REPEAT or LINEAR, not {filler}")
    else:
        filler = request.evaluate(arguments[1])
        if isinstance(filler, list):
            raise MathError("FILL takes no array as its filler")
    filled = [_filled(each, filler, request.grid(each.period)) for each in listed(value)]
    return filled if isinstance(value, list) else filled[0]


def _filled(series: Series, filler: str | Value, grid: Sequence[int]) -> Series:
    known = series.points
    if filler == "REPEAT":
        points = dict(known)
        for at in grid:
            before = points.get(at - series.period)
            if at not in points and before is not None:
                points[at] = before
        return series_of(points, series)
    if filler == "LINEAR":
        points = dict(known)
        for (start, low), (end, high) in itertools.pairwise(sorted(known.items())):
            for at in grid:
                if start < at < end:
                    points[at] = low + (high - low) * (at - start) / (end - start)
        return series_of(points, series)
    if isinstance(filler, Series):
        return series_of({**{at: filler.points[at] for at in grid if at in filler.points}, **known}, series)
    assert isinstance(filler, int | float)
    return series_of({**dict.fromkeys(grid, filler), **known}, series)


def _if(request: Request, arguments: Arguments) -> Value:
    """IF(condition, then[, else]): for a series of conditions, point by point.

    A true point without a value in `then` is 0; a false one without a value in `else` is dropped (user guide, "Using IF
    expressions"). Arrays are not taken.
    """
    condition, *branches = [request.evaluate(argument) for argument in arguments]
    then, otherwise = branches[0], branches[1] if len(branches) > 1 else None
    if isinstance(condition, list) or isinstance(then, list) or isinstance(otherwise, list):
        raise MathError("IF takes no array of time series")
    if isinstance(condition, int | float):
        chosen = then if condition != 0 else otherwise
        return Series({}, request.period) if chosen is None else chosen
    same_period(condition, *(branch for branch in (then, otherwise) if isinstance(branch, Series)))
    points: dict[int, float] = {}
    for at, holds in condition.points.items():
        branch = then if holds != 0 else otherwise
        if isinstance(branch, int | float):
            points[at] = branch
        elif branch is not None and (at in branch.points or holds != 0):
            points[at] = branch.points.get(at, 0.0)
    return Series(series_of(points, condition).points, condition.period)


def _time_series(request: Request, arguments: Arguments) -> Value:
    scalar = _scalar(request, arguments[0], "TIME_SERIES")
    return series_of(dict.fromkeys(request.grid(request.period), scalar), Series({}, request.period))


def _clock(read: Callable[[datetime], float]) -> Function:
    """A function of the time of every period, whether it has a point or not. In UTC."""

    def function(request: Request, arguments: Arguments) -> Value:
        value = request.evaluate(arguments[0])
        if not isinstance(value, Series):
            raise MathError("The function takes one time series")
        return series_of({at: read(datetime.fromtimestamp(at, UTC)) for at in request.grid(value.period)}, value)

    return function


def _period(request: Request, arguments: Arguments) -> Value:
    named = arguments[0]
    if not isinstance(named, syntax.Reference) or named.id not in request.metrics:
        raise MathError("PERIOD takes the id of a metric, no expression")
    return float(request.metrics[named.id].period)


# -- arrays ------------------------------------------------------------------------------------------------------


def _metrics(request: Request, arguments: Arguments) -> Value:
    """The metrics of the request, or those whose id contains a text. Expressions are none."""
    part = ""
    if arguments:
        if not isinstance(arguments[0], syntax.Text):
            raise MathError("METRICS takes a text")
        part = arguments[0].value
    return [series for name, series in request.metrics.items() if part in name]


def _metric_count(request: Request, arguments: Arguments) -> Value:
    return float(len(_array(request, arguments[0], "METRIC_COUNT")))


def _datapoint_count(request: Request, arguments: Arguments) -> Value:
    value = request.evaluate(arguments[0])
    if isinstance(value, Series):
        return float(len(value.points))
    return _aggregate(lambda found: float(len(found)))(request, arguments)


def _remove_empty(request: Request, arguments: Arguments) -> Value:
    return [series for series in _array(request, arguments[0], "REMOVE_EMPTY") if series.points]


def _place(place: int, name: str) -> Function:
    def function(request: Request, arguments: Arguments) -> Value:
        array = _array(request, arguments[0], name)
        if not array:
            raise MathError(f"{name} of an array that holds no time series")
        return array[place]

    return function


def _slice(request: Request, arguments: Arguments) -> Value:
    array = _array(request, arguments[0], "SLICE")
    ends = [int(_scalar(request, argument, "SLICE")) for argument in arguments[1:]]
    return array[ends[0] :] if len(ends) == 1 else array[ends[0] : ends[1]]


_SORT_BY: Mapping[str, Callable[[list[float]], float]] = {
    "AVG": statistics.fmean,
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
}


def _sort(request: Request, arguments: Arguments) -> Value:
    """SORT(array, AVG | MIN | MAX | SUM, ASC | DESC[, limit]). Series without points come last (unconfirmed)."""
    array = _array(request, arguments[0], "SORT")
    by, order = arguments[1], arguments[2]
    if not isinstance(by, syntax.Word) or by.name not in _SORT_BY:
        raise MathError("SORT sorts by AVG, MIN, MAX or SUM")
    if not isinstance(order, syntax.Word) or order.name not in ("ASC", "DESC"):
        raise MathError("SORT takes ASC or DESC")
    filled = [series for series in array if series.points]
    filled.sort(key=lambda series: _SORT_BY[by.name](_in_order(series)), reverse=order.name == "DESC")
    ordered = filled + [series for series in array if not series.points]
    return ordered if len(arguments) < 4 else ordered[: int(_scalar(request, arguments[3], "SORT"))]


def _array(request: Request, argument: Node, name: str) -> list[Series]:
    value = request.evaluate(argument)
    if not isinstance(value, list):
        raise MathError(f"{name} takes an array of time series")
    return value


def _scalar(request: Request, argument: Node, name: str) -> float:
    value = request.evaluate(argument)
    if not isinstance(value, int | float):
        raise MathError(f"{name} takes a scalar there")
    return value


_FUNCTIONS: Mapping[str, tuple[int, int, Function]] = {
    "ABS": (1, 1, _pointwise(abs)),
    "AVG": (1, 1, _AVG),
    "CEIL": (1, 1, _pointwise(math.ceil)),
    "DATAPOINT_COUNT": (1, 1, _datapoint_count),
    "DATE": (1, 1, _clock(lambda at: at.day)),
    "DAY": (1, 1, _clock(lambda at: at.isoweekday())),
    "DIFF": (1, 1, _each(_differences)),
    "DIFF_TIME": (1, 1, _each(_time_differences)),
    "EPOCH": (1, 1, _clock(lambda at: at.timestamp())),
    "FILL": (2, 2, _fill),
    "FIRST": (1, 1, _place(0, "FIRST")),
    "FLOOR": (1, 1, _pointwise(math.floor)),
    "HOUR": (1, 1, _clock(lambda at: at.hour)),
    "IF": (2, 3, _if),
    "LAST": (1, 1, _place(-1, "LAST")),
    "LOG": (1, 1, _pointwise(math.log)),
    "LOG10": (1, 1, _pointwise(math.log10)),
    "MAX": (1, 1, _MAX),
    "METRICS": (0, 1, _metrics),
    "METRIC_COUNT": (1, 1, _metric_count),
    "MIN": (1, 1, _MIN),
    "MINUTE": (1, 1, _clock(lambda at: at.minute)),
    "MONTH": (1, 1, _clock(lambda at: at.month)),
    "PERIOD": (1, 1, _period),
    "RATE": (1, 1, _each(_rates)),
    "REMOVE_EMPTY": (1, 1, _remove_empty),
    "RUNNING_SUM": (1, 1, _each(_running_sum)),
    "SLICE": (2, 3, _slice),
    "SORT": (3, 4, _sort),
    "STDDEV": (1, 1, _STDDEV),
    "SUM": (1, 1, _SUM),
    "TIME_SERIES": (1, 1, _time_series),
    "YEAR": (1, 1, _clock(lambda at: at.year)),
}
"""Fewest arguments, most arguments, what it does."""
