"""Rows of a query on a person's screen and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from infra.cli.screen import as_text

_LAST_COLUMN = 11
"""Characters that a narrow table's last column needs; longer values are folded."""


@dataclass(frozen=True)
class Rows:
    """A table where the terminal has room for it; else a table of the `narrow` columns; else each row with one value a
    line, as psql's automatic \\x does."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    narrow: Mapping[str, str] = field(default_factory=dict)
    """Columns that tell enough, and their headings. Times among them are shown without year and milliseconds."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table()
        if _width(console, options, table) <= options.max_width:
            yield table
            return
        if self.narrow and self.narrow.keys() <= set(self.columns):
            others = list(self.narrow)[:-1]
            room = options.max_width - _width(console, options, self._narrow(others)) - 2
            if room >= _LAST_COLUMN:
                yield self._narrow(self.narrow, room)
                left_out = ", ".join(column for column in self.columns if column not in self.narrow)
                yield as_text(f"not shown for want of room: {left_out} (see --json)", "dim")
                return
        for number, row in enumerate(self.rows, start=1):
            if len(self.rows) > 1:
                yield Text(f"row {number}", style="bold")
            yield _lines(self.columns, row)

    def _table(self) -> Table:
        table = Table(box=None, header_style="bold")
        for column in self.columns:
            table.add_column(as_text(column), justify=self._justify(column), overflow="fold")
        for row in self.rows:
            table.add_row(*(shown(row[column]) for column in self.columns))
        return table

    def _narrow(self, columns: Sequence[str] | Mapping[str, str], room: int | None = None) -> Table:
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
        for number, column in enumerate(columns, start=1):
            folds = number == len(self.narrow)
            table.add_column(
                as_text(self.narrow[column]),
                justify=self._justify(column),
                overflow="fold",
                no_wrap=not folds,
                max_width=room if folds else None,
            )
        for row in self.rows:
            table.add_row(*(_shortened(column, row[column]) for column in columns))
        return table

    def _justify(self, column: str) -> Any:
        return "right" if any(isinstance(row[column], int | float) for row in self.rows) else "left"


def _width(console: Console, options: ConsoleOptions, table: Table) -> int:
    return Measurement.get(console, options.update(max_width=10_000), table).maximum


def _lines(columns: Sequence[str], row: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for column in columns:
        table.add_row(as_text(column), shown(row[column]))
    return table


def shown(value: Any) -> Text:
    """A value in a table. Numbers that two decimals would hide, or that are very large, keep six digits."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, float):
        plain = value == 0 or 0.1 <= abs(value) < 1e12
        return Text(f"{value:.2f}" if plain else f"{value:.6g}")
    return as_text(str(value).lower() if isinstance(value, bool) else value)


def _shortened(column: str, value: Any) -> Text:
    return as_text(value[5:19]) if column == "at" and isinstance(value, str) else shown(value)


def as_csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV (RFC 4180) with a header. A null is an empty field, booleans are true and false."""
    written = io.StringIO()
    # Before Python 3.13 the writer quotes no carriage return, and nothing would read the value back.
    plain = csv.writer(written, lineterminator="\n")
    quoted = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in (columns, *([row[column] for column in columns] for row in rows)):
        cells = [_cell(value) for value in row]
        torn = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoted if torn else plain).writerow(cells)
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
