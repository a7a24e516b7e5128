"""Prefix expressions of S3 object names: !{timestamp:…}, !{firehose:…}, !{partitionKeyFromLambda:…}.

Source: https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

DEFAULT_TIMESTAMP = "yyyy/MM/dd/HH/"
"""Appended to a Prefix without a timestamp expression, unless partition keys name the folders."""
ERROR_TYPE = "error-output-type"
RANDOM = "random-string"
RANDOM_LENGTH = 11
LONGEST = 512
"""Characters of an evaluated prefix."""

_EXPRESSION = re.compile(r"!\{([^:{}]*):([^{}]*)\}")
_LETTERS = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|(.)", re.DOTALL)
_FIELDS: Mapping[str, Callable[[datetime, int], str]] = {
    "y": lambda at, width: f"{at.year % 100:02d}" if width == 2 else f"{at.year:0{width}d}",
    "u": lambda at, width: f"{at.year % 100:02d}" if width == 2 else f"{at.year:0{width}d}",
    "M": lambda at, width: f"{at.month:0{width}d}",
    "d": lambda at, width: f"{at.day:0{width}d}",
    "D": lambda at, width: f"{at.timetuple().tm_yday:0{width}d}",
    "H": lambda at, width: f"{at.hour:0{width}d}",
    "m": lambda at, width: f"{at.minute:0{width}d}",
    "s": lambda at, width: f"{at.second:0{width}d}",
    "S": lambda at, width: f"{at.microsecond:06d}"[:width].ljust(width, "0"),
}
"""Letters of Java's DateTimeFormatter that are carried, all as numbers (MMM and longer would be month names)."""


class PrefixError(ValueError):
    """A prefix that cannot be evaluated; the message says why."""


class MissingKey(PrefixError):
    """A record without a partition key that the prefix names."""


@dataclass(frozen=True)
class Expression:
    namespace: str
    value: str


def expressions(prefix: str) -> list[Expression]:
    """The expressions of a prefix. PrefixError for a "!{" that begins none."""
    found = [Expression(match[1], match[2]) for match in _EXPRESSION.finditer(prefix)]
    if "!{" in _EXPRESSION.sub("", prefix):
        raise PrefixError("has '!{' outside an expression !{namespace:value}")
    return found


def uncarried(prefix: str) -> Iterator[str]:
    """The parts of a prefix that AWS evaluates and this emulation does not."""
    for expression in expressions(prefix):
        if expression.namespace == "partitionKeyFromQuery":
            yield f"!{{partitionKeyFromQuery:{expression.value}}} (inline parsing with jq)"
        if expression.namespace == "timestamp":
            for match in _LETTERS.finditer(expression.value):
                width = len(match[0])
                if match[2] and (match[2] not in _FIELDS or (match[2] == "M" and width > 2)):
                    yield f"the pattern letters {match[0]!r} in !{{timestamp:{expression.value}}}"


def timestamp(pattern: str, at: datetime) -> str:
    """A time in the form of a DateTimeFormatter pattern; text in single quotes is literal, '' is a quote."""

    def shown(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1].replace("''", "'") or "'"
        if match[2]:
            return _FIELDS[match[2]](at, len(match[0]))
        return match[3]

    return _LETTERS.sub(shown, pattern)


def evaluate(
    prefix: str, at: datetime, *, keys: Mapping[str, str] | None = None, error_type: str = "", uid: str = ""
) -> str:
    """The prefix of one object.

    at: the oldest record's arrival, in the stream's time zone. keys: partition keys from the transform. uid: whence the
    random strings come (each place gets another one). PrefixError beyond 512 characters, MissingKey for an absent key.
    """
    place = 0

    def shown(match: re.Match[str]) -> str:
        nonlocal place
        namespace, value = match[1], match[2]
        if namespace == "timestamp":
            return timestamp(value, at)
        if namespace == "partitionKeyFromLambda":
            found = (keys or {}).get(value)
            if not isinstance(found, str) or not found:
                raise MissingKey(f"partitionKeys values must not be null or empty: {value}")
            return found
        if value == ERROR_TYPE:
            return error_type
        place += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uid}{place}"))[:RANDOM_LENGTH]

    evaluated = _EXPRESSION.sub(shown, prefix)
    if len(evaluated) > LONGEST:
        raise PrefixError(f"the evaluated prefix has {len(evaluated)} characters, at most {LONGEST} are allowed")
    return evaluated


def with_default_time(prefix: str) -> str:
    """A Prefix of a stream without partition keys: it gets the hour's folders when it names no time itself."""
    if any(expression.namespace == "timestamp" for expression in expressions(prefix)):
        return prefix
    return f"{prefix}!{{timestamp:{DEFAULT_TIMESTAMP}}}"


def error_prefix(prefix: str, error_output_prefix: str) -> str:
    """Where failed records go; a stream without ErrorOutputPrefix has the type's folder below its Prefix."""
    if error_output_prefix:
        return error_output_prefix
    return f"{prefix}!{{firehose:{ERROR_TYPE}}}/!{{timestamp:{DEFAULT_TIMESTAMP}}}"


def suffix(stream: str, version: str, at: datetime, uid: str, extension: str) -> str:
    """<stream>-<version>-<year>-…-<second>-<uuid><extension>
    (https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html)."""
    return f"{stream}-{version}-{at:%Y-%m-%d-%H-%M-%S}-{uid}{extension}"
