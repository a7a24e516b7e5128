"""What counts as a value of a signature's type. The request check, the record and the transform read it alike.

A number is a finite double or a whole number of 64 bits: what a column of the log can hold. JSON itself has no limits,
and Python reads none into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from types import MappingProxyType
from typing import Any

SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1

_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def is_integer(value: Any) -> bool:
    return type(value) is int and SMALLEST_INTEGER <= value <= LARGEST_INTEGER


def is_double(value: Any) -> bool:
    return isfinite(value) if type(value) is float else is_integer(value)


def is_string(value: Any) -> bool:
    return type(value) is str


def is_boolean(value: Any) -> bool:
    return type(value) is bool


def is_timestamp(value: Any) -> bool:
    return type(value) is str and record_timestamp(value) is not None


IS_TYPE: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "double": is_double,
        "integer": is_integer,
        "string": is_string,
        "boolean": is_boolean,
        "timestamp": is_timestamp,
    }
)
"""The check of each single type of a signature. A null is no value of any type."""


def element_type(kind: str) -> str | None:
    """The type of an array's elements; None for a single type."""
    return kind[len("array<") : -1] if kind.startswith("array<") else None


def record_timestamp(text: str) -> str | None:
    """A timestamp as records write it, `2026-11-21 14:23:21.123` in UTC; None when the text is none.

    Taken is ISO 8601: a day, or day and time, with an offset or Z. Without an offset it is UTC. What is finer than a
    millisecond is cut off.
    """
    if _TIMESTAMP.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):  # no such day or hour, or outside the years 1 to 9999
        return None
    return moment.isoformat(sep=" ", timespec="milliseconds")


def number_text(number: float) -> str:
    """A number as JSON has it, every digit of it; one without a fraction without its `.0`."""
    exact = abs(number) <= 2**53 and number == int(number)
    return str(int(number)) if exact else repr(number)


def moment_text(epoch_ms: int) -> str:
    """A moment as records write it."""
    seconds, milliseconds = divmod(epoch_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).strftime('%Y-%m-%d %H:%M:%S')}.{milliseconds:03d}"
