"""Values of CloudWatch metric math, and what operators do with them. The rules: see `metric_math.py`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.rehearsal.cloud.math_syntax import MathError


class NotCarriedMath(MathError):
    """An expression that CloudWatch has and the emulated one does not. The text names what it is."""


@dataclass(frozen=True)
class Series:
    """Points by the second that their period begins at; a second that is not there is a missing point."""

    points: Mapping[int, float]
    period: int
    id: str = ""
    metric: bool = False
    """Whether it is a metric of the request, and no result of an expression."""


Value = float | Series | list[Series]

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": math.pow,
}
_LOGIC: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "AND": lambda left, right: left != 0 and right != 0,
    "OR": lambda left, right: left != 0 or right != 0,
}


def apply(sign: str, left: float, right: float) -> float:
    """An operation on two numbers. NaN where it has no finite result."""
    if math.isnan(left) or math.isnan(right):
        return math.nan
    if sign in _LOGIC:
        return float(_LOGIC[sign](left, right))
    return guarded(lambda: _ARITHMETIC[sign](left, right))


def guarded(compute: Callable[[], float]) -> float:
    """What `compute` gives, or NaN where it divides by zero, overflows or leaves its domain."""
    try:
        return compute()
    except (ArithmeticError, ValueError):
        return math.nan


def series_of(points: Mapping[int, float], like: Series) -> Series:
    """A result with the period of `like`, in order of time, without the points that have no finite value."""
    kept = {second: float(points[second]) for second in sorted(points) if math.isfinite(points[second])}
    return Series(kept, like.period, like.id)


def binary(sign: str, left: Value, right: Value) -> Value:
    """An operation on scalars, on series point by point, on an array with a scalar or a series."""
    if isinstance(left, list) or isinstance(right, list):
        return _over_array(sign, left, right)
    if isinstance(left, Series) and isinstance(right, Series):
        same_period(left, right)
        seconds = {*left.points, *right.points}
        one, other = left.points, right.points
        return series_of({at: apply(sign, one.get(at, 0.0), other.get(at, 0.0)) for at in seconds}, left)
    if isinstance(left, Series):
        assert isinstance(right, int | float)
        return series_of({at: apply(sign, value, right) for at, value in left.points.items()}, left)
    if isinstance(right, Series):
        return series_of({at: apply(sign, left, value) for at, value in right.points.items()}, right)
    return apply(sign, left, right)


def _over_array(sign: str, left: Value, right: Value) -> Value:
    if sign in _LOGIC or (isinstance(left, list) and isinstance(right, list)):
        raise MathError(f"The operator {sign} does not take an array of time series there")
    results: list[Series] = []
    for each in left if isinstance(left, list) else right if isinstance(right, list) else ():
        result = binary(sign, each, right) if isinstance(left, list) else binary(sign, left, each)
        assert isinstance(result, Series)
        results.append(Series(result.points, result.period, each.id))
    return results


def same_period(first: Series, *others: Series) -> int:
    """The period that all have. How CloudWatch joins series of different periods is not documented: not carried."""
    for other in others:
        if other.period != first.period:
            raise NotCarriedMath(f"expressions over periods of {first.period} s and {other.period} s at once")
    return first.period


def listed(value: Value) -> list[Series]:
    """A series or an array as an array."""
    if isinstance(value, int | float):
        raise MathError("A scalar stands where a time series is needed")
    return value if isinstance(value, list) else [value]
