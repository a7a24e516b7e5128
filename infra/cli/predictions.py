"""`mainstage predictions`: questions to the prediction log."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from infra.cli import common
from infra.cli.model import model_named
from infra.cli.output import emit, fail, to_json, working

app = typer.Typer(
    help="Ask the prediction log: every prediction with its input, output, latency and version. A record can be asked "
    "for about a minute after its reply.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help="The model.", show_default=False)]
HoursOption = Annotated[
    float, typer.Option("--hours", min=0.01, max=8760, help="How far to look back from now. Default: 24.")
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")]


@app.command("query")
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
    _ask(name, lambda _: _read_sql(sql), target, profile, as_csv=as_csv, as_json=as_json)


@app.command("find")
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
        fail(f"{name}: no request {request_id} {where}; a record can be asked for about a minute after its reply")
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
    _ask(name, lambda base: latency_by_version(base, span), target, profile, as_csv=as_csv, as_json=as_json)


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
    _ask(name, lambda base: error_samples(base, span, each=each), target, profile, as_csv=as_csv, as_json=as_json)


def _ask(
    name: str,
    sql_of: Any,
    target: str | None,
    profile: str | None,
    *,
    as_csv: bool,
    as_json: bool,
    quiet_when_empty: bool = False,
) -> Any:
    from infra.layers.names import database_name
    from infra.predictions import athena

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other")
    where = common.target(target, profile, as_json=as_json or as_csv)
    model_named(name, where.environment)
    with working(f"asking the log of {name}"):
        answer = athena.run(where, name, sql_of(database_name(where.environment, name)))
    if as_csv:
        sys.stdout.write(as_csv_text(answer.columns, answer.rows))
    elif answer.rows or as_json or not quiet_when_empty:
        emit(_told(answer) if as_json else answer, as_json=as_json, render=_render)
    return answer


def _told(answer: Any) -> dict[str, Any]:
    return {
        "columns": list(answer.columns),
        "rows": list(answer.rows),
        "scanned_bytes": answer.scanned_bytes,
        "seconds": answer.seconds,
        "query_execution_id": answer.query_execution_id,
    }


def as_csv_text(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV (RFC 4180) with a header. A null is an empty field, booleans are true and false."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


@dataclass(frozen=True)
class _Rows:
    """A table where the terminal has room for it; else each row with one value a line, as psql's automatic \\x does."""

    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table()
        if Measurement.get(console, options.update(max_width=10_000), table).maximum <= options.max_width:
            yield table
            return
        for number, row in enumerate(self.rows, start=1):
            if len(self.rows) > 1:
                yield Text(f"row {number}", style="bold")
            yield _lines(self.columns, row)

    def _table(self) -> Table:
        table = Table(box=None, header_style="bold")
        for column in self.columns:
            numbers = any(isinstance(row[column], int | float) for row in self.rows)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(_shown(row[column]) for column in self.columns))
        return table


def _render(answer: Any) -> Group:
    count = len(answer.rows)
    rows = f"{count:,} row{'s' if count != 1 else ''}"
    cost = f"[dim]{rows}, {answer.scanned_bytes:,} bytes scanned, {answer.seconds:.2f} s[/dim]"
    return Group(_Rows(answer.columns, answer.rows), cost)


def _lines(columns: Sequence[str], row: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for column in columns:
        table.add_row(column, _shown(row[column]))
    return table


def _shown(value: Any) -> Any:
    if value is None:
        return Text("-", style="dim")
    return Text(
        f"{value:.2f}" if isinstance(value, float) else to_json(value) if isinstance(value, bool) else str(value)
    )


def _last(hours: float) -> Any:
    from mainstage.prediction_queries import Span

    return Span.before(datetime.now(UTC), hours=hours)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-01-31", param_hint="--day") from None


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
