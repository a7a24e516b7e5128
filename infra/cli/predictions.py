"""`mainstage predictions`: questions to the prediction log."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from infra.cli import common
from infra.cli.arguments import AnyArgument
from infra.cli.model import model_named
from infra.cli.output import emit, fail, note, on_a_terminal, say, working
from infra.cli.rows import Rows, as_csv_text
from infra.cli.screen import as_text, visible

app = typer.Typer(
    help="Ask the prediction log: every prediction with its input, output, latency and version. A record can be asked "
    "for two to three minutes after its reply.",
    no_args_is_help=True,
)

WHEN = "a record can be asked for two to three minutes after its reply"

NameArgument = Annotated[str, typer.Argument(help="The model.", show_default=False)]
HoursOption = Annotated[
    float, typer.Option("--hours", min=0.01, max=8760, help="How far to look back from now. Default: 24.")
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")]

LATENCY_NARROW = {
    "version": "version",
    "requests": "requests",
    "p50_ms": "p50_ms",
    "p95_ms": "p95_ms",
    "p99_ms": "p99_ms",
    "model_p50_ms": "model p50",
    "model_p95_ms": "model p95",
    "model_p99_ms": "model p99",
}
ERRORS_NARROW = {
    "status": "status",
    "error_code": "error_code",
    "occurrences": "count",
    "at": "at (UTC)",
    "request_id": "request_id",
    "error_field": "error_field",
}


@app.command("query", cls=AnyArgument)
def query(
    name: NameArgument,
    sql: Annotated[str, typer.Argument(help="A SELECT over the view `predictions`; @FILE, or - for standard input.")],
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_csv: CsvOption = False,
    as_json: common.JsonOption = False,
) -> None:
    """Run your own SQL (Athena's dialect) over a model's log.

    Name the day to read little: mainstage predictions query iris "SELECT version, count(*) AS n FROM predictions
    WHERE day = '2026-01-31' GROUP BY version"
    """
    statement = _sql(sql)
    _ask(name, lambda _: statement, target, profile, as_csv=as_csv, as_json=as_json)


@app.command("find", cls=AnyArgument)
def find(
    name: NameArgument,
    request_id: Annotated[str, typer.Argument(help="The reply's header x-request-id.", show_default=False)],
    day: Annotated[
        str | None, typer.Option(help="Day of the request, UTC, such as 2026-01-31. Reads that day alone.")
    ] = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_csv: CsvOption = False,
    as_json: common.JsonOption = False,
) -> None:
    """Show everything that was logged of one request. Exits with 1 when there is no such request."""
    from mainstage.prediction_queries import find_request

    on = None if day is None else _day(day)
    answer = _ask(
        name,
        lambda database: find_request(database, request_id, day=on),
        target,
        profile,
        as_csv=as_csv,
        as_json=as_json,
        quiet_when_empty=True,
    )
    if not answer.rows:
        where = f"on {day}" if day else "in the log"
        fail(f"{name}: no request {request_id} {where}; {WHEN}")
        raise typer.Exit(1)


@app.command("latency")
def latency(
    name: NameArgument,
    hours: HoursOption = 24,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_csv: CsvOption = False,
    as_json: common.JsonOption = False,
) -> None:
    """Show latency percentiles by version: of the front door, and of the call to the model."""
    from mainstage.prediction_queries import latency_by_version

    span = _last(hours)
    answer = _ask(
        name,
        lambda base: latency_by_version(base, span),
        target,
        profile,
        as_csv=as_csv,
        as_json=as_json,
        narrow=LATENCY_NARROW,
    )
    _say_nothing_found(answer, f"{name}: no answered request", hours)


@app.command("errors")
def errors(
    name: NameArgument,
    hours: HoursOption = 24,
    each: Annotated[int, typer.Option(min=1, max=1000, help="Newest requests to show of each kind of error.")] = 5,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_csv: CsvOption = False,
    as_json: common.JsonOption = False,
) -> None:
    """Show the newest requests of every kind of error."""
    from mainstage.prediction_queries import error_samples

    span = _last(hours)
    answer = _ask(
        name,
        lambda base: error_samples(base, span, each=each),
        target,
        profile,
        as_csv=as_csv,
        as_json=as_json,
        narrow=ERRORS_NARROW,
    )
    _say_nothing_found(answer, f"{name}: no error", hours)


def _ask(
    name: str,
    sql_of: Any,
    target: str | None,
    profile: str | None,
    *,
    as_csv: bool,
    as_json: bool,
    quiet_when_empty: bool = False,
    narrow: Mapping[str, str] | None = None,
) -> Any:
    from infra.layers.names import database_name
    from infra.predictions import athena
    from infra.predictions.hints import column_hint

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other")
    where = common.target(target, profile, as_json=as_json or as_csv)
    model = model_named(name, where.environment)
    try:
        with working(f"asking the log of {name}"):
            answer = athena.run(where, name, sql_of(database_name(where.environment, name)))
    except athena.QueryError as error:
        if hint := column_hint(str(error), model.signature):
            raise athena.QueryError(f"{error}\n{hint}") from error
        raise
    if as_csv:
        text = as_csv_text(answer.columns, answer.rows)
        sys.stdout.write(visible(text) if on_a_terminal() else text)
    elif answer.rows or as_json or not quiet_when_empty:
        emit(_told(answer) if as_json else answer, as_json=as_json, render=lambda told: _render(told, narrow or {}))
    _say_renamed(answer, as_json=as_json or as_csv)
    return answer


def _told(answer: Any) -> dict[str, Any]:
    return {
        "columns": list(answer.columns),
        "rows": list(answer.rows),
        "scanned_bytes": answer.scanned_bytes,
        "seconds": answer.seconds,
        "query_execution_id": answer.query_execution_id,
    }


def _say_renamed(answer: Any, *, as_json: bool) -> None:
    for name, others in answer.renamed.items():
        note(f"several columns are called {name}; the others are shown as {', '.join(others)}", as_json=as_json)


def _render(answer: Any, narrow: Mapping[str, str]) -> Group:
    """`narrow` is of a question that is ours: of no rows its columns say nothing."""
    count = len(answer.rows)
    rows = f"{count:,} row{'s' if count != 1 else ''}"
    cost = as_text(f"{rows}, {answer.scanned_bytes:,} bytes scanned, {answer.seconds:.2f} s", "dim")
    return Group(Rows(answer.columns, answer.rows, narrow), cost) if count or not narrow else Group(cost)


def _say_nothing_found(answer: Any, what: str, hours: float) -> None:
    if not answer.rows:
        say(f"{what} is logged in the last {hours:g} hours; {WHEN}", "dim", as_json=True)


def _last(hours: float) -> Any:
    from mainstage.prediction_queries import Span

    return Span.before(datetime.now(UTC), hours=hours)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-01-31", param_hint="--day") from None


def _sql(given: str) -> str:
    """The statement that was given, by whichever way. Raises BadParameter when there is none."""
    sql = _read_sql(given)
    if not sql.strip():
        raise typer.BadParameter(
            "there is no SQL; such as: SELECT version, count(*) AS n FROM predictions GROUP BY version",
            param_hint="SQL",
        )
    return sql


def _read_sql(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise typer.BadParameter(f"{given[1:]} cannot be read: {why}", param_hint="SQL") from None
