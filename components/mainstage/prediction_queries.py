"""SQL over the prediction log: every question that the named queries and the operator's tools ask of `predictions`.

Pure functions that return text in Athena's dialect (Trino's SQL). They read the view, which has one row a request, and
name the partition columns `day` and `hour` beside `at`, so that only the hours asked for are read. What a caller gives
is checked and quoted here; nothing else of it reaches the SQL.

Latency is that of answered requests (`status` 200): a refusal is quick and an outage slow, and neither says how
quick the model is. Every time is UTC.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Optional

VIEW = "predictions"
"""The view that every question reads: one row a request."""
TABLE = "records"
"""The table below it, where a record may stand more than once: delivery is at least once."""

LONGEST_SPAN = timedelta(days=366)
MOST_ROWS = 10_000

# Glue folds names to lower case; Athena takes letters, digits and _ in them.
# https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
_DATABASE = re.compile(r"[a-z0-9_]{1,255}")
# An API Gateway request id is base64 (JKJaXmPLvHcESHA=), a Lambda request id a UUID; callers may see either.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_=+/.:-]{1,128}")


class QueryArgumentError(ValueError):
    """A question that cannot be asked: the message names the argument, what it was, and what it may be."""


@dataclass(frozen=True)
class Span:
    """The requests that reached the front door from `start` on and before `end`. Both have a time zone.

    Raises QueryArgumentError for a time without a zone, an empty span, or one of more than 366 days.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            moment = getattr(self, name)
            if moment.tzinfo is None:
                raise QueryArgumentError(f"{name}: {moment.isoformat()} has no time zone; add one, such as UTC")
            object.__setattr__(self, name, moment.astimezone(UTC))
        if self.start >= self.end:
            raise QueryArgumentError(f"start: {_iso(self.start)} is not before the end, {_iso(self.end)}")
        if self.end - self.start > LONGEST_SPAN:
            raise QueryArgumentError(f"start: {_iso(self.start)} is more than {LONGEST_SPAN.days} days before the end")

    @classmethod
    def before(cls, end: datetime, *, hours: float) -> "Span":
        """The `hours` that end at `end`."""
        return cls(end - timedelta(hours=hours), end)

    @classmethod
    def days(cls, first: date, last: date) -> "Span":
        """Whole days, UTC, both included."""
        return cls(_midnight(first), _midnight(last) + timedelta(days=1))


def latency_by_version(database: str, span: Optional[Span] = None) -> str:
    """Latency of answered requests by version, in milliseconds: `version`, `requests`, `p50_ms`, `p95_ms`, `p99_ms`
    (front door, first line to finished reply), `model_p50_ms`, `model_p95_ms`, `model_p99_ms` (the call
    to the endpoint), `first_at`, `last_at`.

    The percentiles are those of `approx_percentile`: near the exact rank, not on it.
    `span` omitted: the 24 hours before the query runs.
    """
    percentiles = [
        f'approx_percentile("{column}", {rank}) AS "{name}"'
        for column, rank, name in (
            ("latency_ms", "0.5", "p50_ms"),
            ("latency_ms", "0.95", "p95_ms"),
            ("latency_ms", "0.99", "p99_ms"),
            ("model_ms", "0.5", "model_p50_ms"),
            ("model_ms", "0.95", "model_p95_ms"),
            ("model_ms", "0.99", "model_p99_ms"),
        )
    ]
    return _lines(
        "SELECT",
        _list('"version"', 'count(*) AS "requests"', *percentiles, *_FIRST_AND_LAST),
        f"FROM {_view(database)}",
        f"WHERE {_within(span)}",
        '  AND "status" = 200',
        'GROUP BY "version"',
        'ORDER BY "requests" DESC, "version"',
    )


def error_samples(database: str, span: Optional[Span] = None, *, each: int = 5) -> str:
    """The newest `each` requests of every kind of error, the most frequent kind first: `status`, `error_code`,
    `occurrences` (of that kind in the span), `at`, `request_id`, `error_field`, `version`, `caller`, `latency_ms`.

    By kind, so that a flood of one error does not hide another. `each` is 1 to 1,000.
    """
    kind = 'PARTITION BY "status", "error_code"'
    shown = ("at", "request_id", "error_field", "version", "caller", "latency_ms")
    named = _quoted(shown)
    return _lines(
        "SELECT",
        _list('"status"', '"error_code"', '"occurrences"', named),
        "FROM (",
        "  SELECT",
        _list(
            '"status"',
            '"error_code"',
            named,
            f'count(*) OVER ({kind}) AS "occurrences"',
            f'row_number() OVER ({kind} ORDER BY "at" DESC, "request_id") AS "sample"',
            indent=4,
        ),
        f"  FROM {_view(database)}",
        f"  WHERE {_within(span, indent=4)}",
        '    AND "status" <> 200',
        ') AS "errors"',
        f'WHERE "sample" <= {_whole("each", each, 1, 1000)}',
        'ORDER BY "occurrences" DESC, "status", "error_code", "at" DESC, "request_id"',
    )


def slow_requests(database: str, span: Optional[Span] = None, *, slower_than_ms: float = 0, limit: int = 100) -> str:
    """The slowest answered requests, slowest first: `latency_ms`, `model_ms`, `at`, `request_id`, `version`, `variant`,
    `rows`, `input_bytes`, `output_bytes`, `caller`.

    slower_than_ms: quicker requests are left out. limit: 1 to 10,000 rows.
    """
    if isinstance(slower_than_ms, bool) or not 0 <= slower_than_ms <= 1e9:
        raise QueryArgumentError(f"slower_than_ms: {slower_than_ms!r} is no number of milliseconds from 0 to 1e9")
    columns = (
        "latency_ms", "model_ms", "at", "request_id", "version", "variant", "rows", "input_bytes", "output_bytes",
        "caller",
    )  # fmt: skip
    return _lines(
        "SELECT",
        _list(_quoted(columns)),
        f"FROM {_view(database)}",
        f"WHERE {_within(span)}",
        '  AND "status" = 200',
        # In scientific notation: 0.5 would be a decimal, not a double.
        f'  AND "latency_ms" >= {float(slower_than_ms):E}',
        'ORDER BY "latency_ms" DESC, "request_id"',
        f"LIMIT {_whole('limit', limit, 1, MOST_ROWS)}",
    )


def find_request(database: str, request_id: str, *, day: Optional[date] = None) -> str:
    """Everything that was logged of one request: no row, or one row with every column.

    day: the day of the request, UTC. With it one day is read; without it the whole log, which the workgroup's scan
    limit may refuse.
    """
    if not isinstance(request_id, str) or _REQUEST_ID.fullmatch(request_id) is None:
        raise QueryArgumentError(
            f"request_id: {request_id!r:.140} is no request id: up to 128 letters, digits and _ = + / . : -, "
            "as in the reply's header x-request-id"
        )
    return _find(database, request_id, None if day is None else _text(_day(day)))


def _find(database: str, request_id: str, day: Optional[str]) -> str:
    conditions = [] if day is None else [f'"day" = {day}']
    conditions.append(f'"request_id" = {_text(request_id)}')
    return _lines("SELECT *", f"FROM {_view(database)}", "WHERE " + "\n  AND ".join(conditions))


def arm_comparison(database: str, span: Optional[Span] = None) -> str:
    """The arms of an experiment beside each other, by version: `arm`, `version`, `requests`, `failed` (status 500 and
    above), `refused` (status 400 to 499), `entities` (different entity keys), and of answered requests `p50_ms`,
    `p95_ms`, `p99_ms`."""
    answered = 'CASE WHEN "status" = 200 THEN "latency_ms" END'
    return _lines(
        "SELECT",
        _list(
            '"arm"',
            '"version"',
            'count(*) AS "requests"',
            *_FAILED_AND_REFUSED,
            'count(DISTINCT "entity_key") AS "entities"',
            f'approx_percentile({answered}, 0.5) AS "p50_ms"',
            f'approx_percentile({answered}, 0.95) AS "p95_ms"',
            f'approx_percentile({answered}, 0.99) AS "p99_ms"',
        ),
        f"FROM {_view(database)}",
        f"WHERE {_within(span)}",
        'GROUP BY "arm", "version"',
        'ORDER BY "arm", "version"',
    )


def requests_by_caller(database: str, span: Optional[Span] = None, *, limit: int = 100) -> str:
    """Who asks how much, the busiest first: `caller`, `requests`, `failed` (status 500 and above), `refused` (status
    400 to 499), `rows`, `first_at`, `last_at`. limit: 1 to 10,000 callers."""
    return _lines(
        "SELECT",
        _list('"caller"', 'count(*) AS "requests"', *_FAILED_AND_REFUSED, 'sum("rows") AS "rows"', *_FIRST_AND_LAST),
        f"FROM {_view(database)}",
        f"WHERE {_within(span)}",
        'GROUP BY "caller"',
        'ORDER BY "requests" DESC, "caller"',
        f"LIMIT {_whole('limit', limit, 1, MOST_ROWS)}",
    )


def view_sql(database: str, columns: tuple[str, ...]) -> str:
    """The SQL of the view: the first copy of each request among the table's records. `columns` are the table's, the
    partition columns included.

    A duplicate lies in the partition of its twin, so the window is partitioned by `day` and `hour` first: a condition
    on them reaches the table, and a query that names an hour reads that hour alone.
    """
    named = _quoted(columns)
    return _lines(
        "SELECT",
        _list(named),
        "FROM (",
        "  SELECT",
        _list(
            named,
            'row_number() OVER (PARTITION BY "day", "hour", "request_id" ORDER BY "logged_at", "replayed") AS "copy"',
            indent=4,
        ),
        f"  FROM {_database(database)}.{_name(TABLE)}",
        ') AS "copies"',
        'WHERE "copy" = 1',
    )


@dataclass(frozen=True)
class NamedQuery:
    """A question that the console offers by name."""

    description: str
    sql: Callable[[str], str]
    """Makes the text for a database: the 24 hours before the query runs."""


NAMED_QUERIES: Mapping[str, NamedQuery] = MappingProxyType(
    {
        "latency-by-version": NamedQuery(
            "Latency percentiles of answered requests by version, last 24 hours", latency_by_version
        ),
        "error-samples": NamedQuery("The newest requests of each kind of error, last 24 hours", error_samples),
        "slow-requests": NamedQuery("The 100 slowest answered requests, last 24 hours", slow_requests),
        "arm-comparison": NamedQuery("Requests, errors and latency by arm and version, last 24 hours", arm_comparison),
        "requests-by-caller": NamedQuery("Who asked how much, last 24 hours", requests_by_caller),
        "find-request": NamedQuery(
            "Everything logged of one request of today; put its id for REQUEST-ID, and its day as '2026-11-21' if it "
            "is another",
            # Not CURRENT_DATE: the log's days are UTC.
            lambda database: _find(database, "REQUEST-ID", _formatted("%Y-%m-%d", hours=0)),
        ),
    }
)
"""The named queries of a workgroup, by the last part of their name."""


_FIRST_AND_LAST = ('min("at") AS "first_at"', 'max("at") AS "last_at"')
_FAILED_AND_REFUSED = (
    'count_if("status" >= 500) AS "failed"',
    'count_if("status" >= 400 AND "status" < 500) AS "refused"',
)


def _within(span: Optional[Span], *, indent: int = 2) -> str:
    """The condition on `day`, `hour` and `at`: by constants, or relative to when the query runs."""
    conditions = _last_day() if span is None else _between(span)
    return f"\n{' ' * indent}AND ".join(conditions)


def _last_day() -> list[str]:
    day, hour = _formatted("%Y-%m-%d", hours=24), _formatted("%H", hours=24)
    return [
        f'"day" >= {day}',
        f'("day" > {day} OR "hour" >= {hour})',
        f"\"at\" >= CAST({_NOW} AS timestamp) - INTERVAL '24' HOUR",
    ]


_NOW = "(current_timestamp AT TIME ZONE 'UTC')"


def _formatted(form: str, *, hours: int) -> str:
    moment = f"CAST({_NOW} AS timestamp)"
    moment += f" - INTERVAL '{hours}' HOUR" if hours else ""
    return f"date_format({moment}, '{form}')"


def _between(span: Span) -> list[str]:
    # The end is not part of the span: an end at midnight reads nothing of the day that begins.
    last = span.end - timedelta(microseconds=1)
    first_day, last_day = _text(_day(span.start)), _text(_day(last))
    first_hour, last_hour = _text(f"{span.start:%H}"), _text(f"{last:%H}")
    if first_day == last_day:
        days = [f'"day" = {first_day}', f'"hour" BETWEEN {first_hour} AND {last_hour}']
    else:
        days = [
            f'"day" BETWEEN {first_day} AND {last_day}',
            f'("day" > {first_day} OR "hour" >= {first_hour})',
            f'("day" < {last_day} OR "hour" <= {last_hour})',
        ]
    return [*days, f'"at" >= {_moment(span.start)}', f'"at" < {_moment(span.end)}']


def _moment(moment: datetime) -> str:
    """A timestamp in milliseconds, as records have it; parts of one round up, which keeps `>=` and `<` exact."""
    up = moment + timedelta(microseconds=-moment.microsecond % 1000)
    return f"TIMESTAMP '{up:%Y-%m-%d %H:%M:%S}.{up.microsecond // 1000:03d}'"


def _day(day: date) -> str:
    if isinstance(day, datetime):
        day = day.astimezone(UTC).date() if day.tzinfo else day.date()
    elif not isinstance(day, date):
        raise QueryArgumentError(f"day: {day!r:.140} is no date")
    return day.isoformat()


def _midnight(day: date) -> datetime:
    return datetime.fromisoformat(_day(day)).replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _whole(name: str, value: int, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise QueryArgumentError(f"{name}: {value!r:.140} is no whole number from {low} to {high}")
    return value


def _database(database: str) -> str:
    if not isinstance(database, str) or _DATABASE.fullmatch(database) is None:
        raise QueryArgumentError(f"database: {database!r:.140} is no name of small letters, digits and _")
    return _name(database)


def _view(database: str) -> str:
    return f"{_database(database)}.{_name(VIEW)}"


def _name(name: str) -> str:
    """A name in double quotes: `at`, `rows` and `hour` are words of the language too."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(map(_name, columns))


def _list(*items: str, indent: int = 2) -> str:
    return ",\n".join(f"{' ' * indent}{item}" for item in items)


def _lines(*lines: str) -> str:
    return "\n".join(lines)
