"""CloudWatch metric math: the expressions of one request, over series that are given.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html). A value is a scalar, a series
or an array of series. In arithmetic and comparisons of two series a value that one of them lacks counts as 0; a point
that would divide by zero is dropped; so is any other that has no finite value (that last rule is unconfirmed).
Unconfirmed too: that STDDEV is that of the population, that MIN and MAX of an array skip what is missing, and that FILL
with a number fills a series that has no point at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from infra.rehearsal.cloud import math_functions, math_syntax
from infra.rehearsal.cloud.math_syntax import MathError, Node, parse, references
from infra.rehearsal.cloud.math_values import NotCarriedMath, Series, Value, binary, listed

__all__ = ["Expressions", "MathError", "NotCarriedMath", "Series", "ids_in"]

Grid = Callable[[int], Sequence[int]]
"""For a period in seconds: where all periods of the asked span begin, in order."""


class Expressions:
    """expressions: texts by id. metrics: series by id, in the request's order. grid: where periods begin. period: that
    of a series that no metric stands behind (TIME_SERIES).

    MathError for a text that cannot be read; NotCarriedMath for what CloudWatch has and this does not.
    """

    def __init__(self, expressions: Mapping[str, str], metrics: Mapping[str, Series], *, grid: Grid, period: int):
        self.metrics = metrics
        self.grid = grid
        self.period = period
        self._trees = {name: _parsed(text) for name, text in expressions.items()}
        self._values: dict[str, Value] = dict(metrics)
        self._open: list[str] = []

    def series(self, name: str) -> list[Series]:
        """The result of an expression or a metric. MathError for a scalar: AWS takes none as a final result."""
        value = self.value(name)
        if isinstance(value, int | float):
            raise MathError("The final result of an expression must be a time series, this one is a scalar")
        return listed(value)

    def value(self, name: str) -> Value:
        """The value that an id stands for, computed once."""
        if name in self._values:
            return self._values[name]
        if name not in self._trees:
            raise MathError(f"The id {name} is not defined")
        if name in self._open:
            raise MathError(f"The expressions {' -> '.join([*self._open, name])} refer to each other in a circle")
        self._open.append(name)
        self._values[name] = self.evaluate(self._trees[name])
        self._open.pop()
        return self._values[name]

    def evaluate(self, node: Node) -> Value:
        """The value of a part of an expression."""
        match node:
            case math_syntax.Number(value):
                return value
            case math_syntax.Reference(name):
                return self.value(name)
            case math_syntax.Array(items):
                return [series for item in items for series in listed(self.evaluate(item))]
            case math_syntax.Negated(operand):
                return binary("*", -1.0, self.evaluate(operand))
            case math_syntax.Operation(sign, left, right):
                return binary(sign, self.evaluate(left), self.evaluate(right))
            case math_syntax.Call(function, arguments):
                return math_functions.call(self, function, arguments)
            case math_syntax.Text(text) | math_syntax.Word(text):
                raise MathError(f"{text} is no value")


def ids_in(expression: str) -> set[str]:
    """The ids that an expression names."""
    return set(references(_parsed(expression)))


def _parsed(text: str) -> Node:
    if text.lstrip()[:7].upper() == "SELECT ":
        raise NotCarriedMath("Metrics Insights queries")
    return parse(text)
