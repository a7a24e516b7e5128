"""Partition projection: partitions that follow from the table's properties, without an entry in Glue.

Sources: Athena User Guide, "Set up partition projection" and "Supported types for partition projection".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from infra.rehearsal.cloud.queries.failures import QueryFailure, not_carried

MOST_VALUES = 200_000
"""Values that one projected column may have here; Athena's own limit is not documented."""

_JAVA = {"yyyy": "%Y", "uuuu": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_UNITS = {"YEARS": 12, "MONTHS": 1}
_SECONDS = {"WEEKS": 604_800, "DAYS": 86_400, "HOURS": 3_600, "MINUTES": 60, "SECONDS": 1}
_NOW = re.compile(r"NOW(?:\s*([+-])\s*(\d+)\s*(YEARS?|MONTHS?|WEEKS?|DAYS?|HOURS?|MINUTES?|SECONDS?))?", re.I)


def enabled(parameters: Mapping[str, str]) -> bool:
    return parameters.get("projection.enabled", "").lower() == "true"


def values(parameters: Mapping[str, str], column: str, now: datetime) -> list[str]:
    """Every value of a projected column, in order, as it stands in paths. QueryFailure for settings that are wrong."""
    kind = parameters.get(f"projection.{column}.type", "").lower()
    settings = {
        key.removeprefix(f"projection.{column}."): value
        for key, value in parameters.items()
        if key.startswith(f"projection.{column}.")
    }
    if kind == "injected":
        raise not_carried(f"the injected projection of partition column {column}")
    make = {"enum": _enum, "integer": _integer, "date": _date}.get(kind)
    if make is None:
        raise _wrong(column, f"projection.{column}.type is {kind or 'missing'}; allowed: enum, integer, date, injected")
    found: list[str] = []
    for value in make(column, settings, now.replace(tzinfo=None)):
        if len(found) >= MOST_VALUES:
            raise not_carried(f"more than {MOST_VALUES} values of the projected partition column {column}")
        found.append(value)
    return found


def _enum(column: str, settings: Mapping[str, str], now: datetime) -> Iterator[str]:
    given = settings.get("values")
    if not given:
        raise _wrong(column, f"projection.{column}.values is missing")
    yield from (value.strip() for value in given.split(","))


def _integer(column: str, settings: Mapping[str, str], now: datetime) -> Iterator[str]:
    low, high = _range(column, settings)
    digits, interval = int(settings.get("digits", 0)), int(settings.get("interval", 1))
    try:
        first, last = int(low), int(high)
    except ValueError as error:
        raise _wrong(column, f"projection.{column}.range is {low},{high}; two integers are needed") from error
    if interval < 1:
        raise _wrong(column, f"projection.{column}.interval is {interval}; at least 1 is needed")
    yield from (f"{number:0{digits}d}" for number in range(first, last + 1, interval))


def _date(column: str, settings: Mapping[str, str], now: datetime) -> Iterator[str]:
    low, high = _range(column, settings)
    pattern = settings.get("format")
    if not pattern:
        raise _wrong(column, f"projection.{column}.format is missing")
    form = _strftime(column, pattern)
    unit = settings.get("interval.unit", "").upper() or _default_unit(column, pattern)
    step = int(settings.get("interval", 1))
    if step < 1 or unit not in (*_UNITS, *_SECONDS):
        raise _wrong(column, f"projection.{column}.interval is {step} {unit}; write a count and DAYS, HOURS, …")
    at, last = _moment(column, low, form, now), _moment(column, high, form, now)
    # A range's relative end is a moment inside a day; values stand for whole units of the format.
    at, last = datetime.strptime(at.strftime(form), form), datetime.strptime(last.strftime(form), form)
    while at <= last:
        yield at.strftime(form)
        at = _added(at, step, unit)


def _default_unit(column: str, pattern: str) -> str:
    """At a precision of days or months the unit may be left out: DAYS or MONTHS, with an interval of 1."""
    if any(token in pattern for token in ("HH", "mm", "ss")):
        raise _wrong(column, f"projection.{column}.interval.unit is missing; a format finer than days needs it")
    return "DAYS" if "dd" in pattern else "MONTHS" if "MM" in pattern else "YEARS"


def _strftime(column: str, pattern: str) -> str:
    out, at = "", 0
    while at < len(pattern):
        token = next((token for token in _JAVA if pattern.startswith(token, at)), "")
        if token:
            out, at = out + _JAVA[token], at + len(token)
        elif pattern[at] == "'":
            end = pattern.index("'", at + 1) if "'" in pattern[at + 1 :] else len(pattern)
            out, at = out + pattern[at + 1 : end], end + 1
        elif pattern[at].isalpha():
            raise not_carried(f"the letter {pattern[at]!r} in projection.{column}.format {pattern!r}")
        else:
            out, at = out + pattern[at].replace("%", "%%"), at + 1
    return out


def _moment(column: str, text: str, form: str, now: datetime) -> datetime:
    relative = _NOW.fullmatch(text.strip())
    if relative is None:
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError as error:
            raise _wrong(column, f"projection.{column}.range has {text!r}, which is not of the format") from error
    if not relative[2]:
        return now
    count = int(relative[2]) * (-1 if relative[1] == "-" else 1)
    return _added(now, count, relative[3].upper().rstrip("S") + "S")


def _added(at: datetime, count: int, unit: str) -> datetime:
    if unit in _SECONDS:
        return at + timedelta(seconds=count * _SECONDS[unit])
    months = at.year * 12 + at.month - 1 + count * _UNITS[unit]
    return at.replace(year=months // 12, month=months % 12 + 1, day=min(at.day, 28))


def _range(column: str, settings: Mapping[str, str]) -> tuple[str, str]:
    parts = [part.strip() for part in settings.get("range", "").split(",")]
    if len(parts) != 2 or not all(parts):
        raise _wrong(column, f"projection.{column}.range is {settings.get('range', 'missing')}; write LOW,HIGH")
    return parts[0], parts[1]


def _wrong(column: str, text: str) -> QueryFailure:
    """The lead is Athena's; the sentence is unconfirmed."""
    return QueryFailure(f"INVALID_TABLE_PROPERTY: Invalid partition projection of column {column}: {text}")


def locations(
    parameters: Mapping[str, str], table_location: str, names: Sequence[str], partitions: Iterable[Sequence[str]]
) -> Iterator[str]:
    """Where the objects of projected partitions lie: by storage.location.template, else `<location>/<key>=<value>/`.

    partitions: values of the partition columns `names`, in their order.
    """
    template = parameters.get("storage.location.template")
    if template is None:
        template = f"{table_location.rstrip('/')}/" + "/".join(f"{name}=${{{name}}}" for name in names)
    for name in names:
        if f"${{{name}}}" not in template:
            raise QueryFailure(
                f"INVALID_TABLE_PROPERTY: storage.location.template {template} does not name partition column {name}"
            )
    # Taken apart once, text and column by turns: a table has thousands of projected partitions.
    first, *rest = re.split(rf"\$\{{({'|'.join(map(re.escape, names))})\}}", template.removesuffix("/") + "/")
    parts = [(names.index(name), text) for name, text in zip(rest[::2], rest[1::2], strict=True)]
    for values in partitions:
        yield first + "".join([values[at] + text for at, text in parts])
