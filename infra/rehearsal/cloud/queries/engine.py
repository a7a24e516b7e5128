"""DuckDB for one query: a database of its own in memory, which can open nothing but the query's folder.

Before the statement reaches it the door is shut: no extension is loaded, no file outside the folder, no setting can be
changed any more. The statement itself was built from a tree in which every table and every function is known.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from infra.rehearsal.cloud.queries import hive_types, projection, storage
from infra.rehearsal.cloud.queries.catalogue import Catalogue, Partition, Table
from infra.rehearsal.cloud.queries.failures import QueryCancelled, QueryFailure, from_duckdb, not_carried
from infra.rehearsal.cloud.queries.planning import Plan, Scan

MEMORY = "2GB"
THREADS = 2
MOST_PARTITIONS = 1_000_000
LIMIT_REASON = "Bytes scanned limit was exceeded"
"""How Athena words it is unconfirmed."""


@dataclass(frozen=True)
class Column:
    """A column of an answer: its name and DuckDB's type."""

    name: str
    type: str


@dataclass(frozen=True)
class Answer:
    columns: list[Column]
    rows: Iterator[Sequence[Any]]


class Engine:
    """One query's engine. `close` when done. `interrupt` may come from any thread."""

    def __init__(
        self,
        folder: Path,
        cache: storage.Cache,
        s3: Any,
        *,
        cutoff: int | None = None,
        stopped: threading.Event | None = None,
    ):
        """folder: made, and removed at close. cutoff: most bytes the query may scan. stopped: set to end the query."""
        self._folder = folder
        self._cache = cache
        self._s3 = s3
        self._cutoff = cutoff
        self._stopped = stopped or threading.Event()
        self.scanned = 0
        """Bytes so far: of each Parquet file the compressed columns that the statement reads. What Athena adds for
        footers, and what it saves by row group statistics, is not counted."""
        folder.mkdir(parents=True)
        self._connection = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        for setting in (
            f"allowed_directories=['{folder}/']",
            f"temp_directory='{folder}/spill'",
            f"memory_limit='{MEMORY}'",
            f"threads={THREADS}",
            "TimeZone='UTC'",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            self._connection.execute(f"SET {setting}")

    def close(self) -> None:
        self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def interrupt(self) -> None:
        """Interrupts what runs in DuckDB just now, if anything does: whoever stops a query asks until it has ended."""
        with contextlib.suppress(duckdb.Error):
            self._connection.interrupt()

    def check(self) -> None:
        """Raises QueryCancelled when the query was stopped."""
        if self._stopped.is_set():
            raise QueryCancelled

    def answer(self, plan: Plan, catalogue: Catalogue) -> Answer:
        """Runs a plan. Rows come as they are taken."""
        for scan in plan.scans:
            self._load(scan, catalogue)
        self.check()
        shown = self._all(f"DESCRIBE {plan.sql}")
        columns = [Column(name, str(row[1])) for name, row in zip(plan.names, shown, strict=True)]
        # Moments with a time zone leave DuckDB as text: its Python client would want another library for them.
        own = ", ".join(f"c{at}" for at in range(len(columns)))
        taken = ", ".join(
            f"strftime(c{at}, '%Y-%m-%d %H:%M:%S.%g UTC')" if one.type == "TIMESTAMP WITH TIME ZONE" else f"c{at}"
            for at, one in enumerate(columns)
        )
        result = self._run(f"SELECT {taken} FROM ({plan.sql}) AS answer({own})")
        return Answer(columns, self._rows(result))

    def _rows(self, result: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
        while True:
            self.check()
            rows = self._guarded(lambda: result.fetchmany(10_000))
            if not rows:
                return
            yield from rows

    def _all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Every row: an interrupt may come while they are taken, too."""
        return self._guarded(lambda: self._connection.execute(sql, list(parameters)).fetchall())

    def _run(self, sql: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        return self._guarded(lambda: self._connection.execute(sql, list(parameters)))

    def _guarded(self, work: Callable[[], Any]) -> Any:
        self.check()
        try:
            return work()
        except duckdb.InterruptException as error:
            raise QueryCancelled from error
        except duckdb.Error as error:
            self.check()
            raise from_duckdb(error) from error

    # -- loading

    def _load(self, scan: Scan, catalogue: Catalogue) -> None:
        """Fetches what a scan reads and makes its relation."""
        partitions = self._partitions(scan, catalogue)
        found = storage.objects(self._s3, [partition.location for partition in partitions])
        groups: dict[str, tuple[list[str], list[Path]]] = {}
        table, number = scan.table, 0
        for partition in partitions:
            if not found[partition.location]:
                continue  # most of thousands of projected ones
            values = dict(zip(table.partition_keys, partition.values, strict=True))
            folder = self._folder.joinpath(
                scan.name, *(f"{key}={quote(each, safe='')}" for key, each in values.items())
            )
            for item in found[partition.location]:
                self.check()
                path = self._cache.fetch(self._s3, item)
                footer = self._cache.footer(item, path)
                self._count(footer, scan)
                expressions = _columns(item, footer, scan)
                folder.mkdir(parents=True, exist_ok=True)
                own = folder / f"{number}.parquet"
                number += 1
                try:
                    os.link(path, own)
                except OSError:
                    shutil.copyfile(path, own)
                groups.setdefault("\0".join(expressions), (expressions, []))[1].append(own)
        self._run(f"CREATE VIEW {scan.name} AS {self._relation(scan, list(groups.values()))}")

    def _relation(self, scan: Scan, groups: list[tuple[list[str], list[Path]]]) -> str:
        keys = scan.table.partition_keys
        if not groups:
            types = scan.table.all_columns
            columns = [f'CAST(NULL AS {types[name].duckdb}) AS "{name}"' for name in scan.columns]
            return f"SELECT {', '.join(columns) or '1 AS one'} WHERE false"
        hive = ", hive_partitioning=false"
        if keys:
            typed = ", ".join(f"'{name}': {type_.duckdb}" for name, type_ in keys.items())
            hive = f", hive_partitioning=true, hive_types={{{typed}}}"
        selects = []
        for expressions, paths in groups:
            listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
            selects.append(f"SELECT {', '.join(expressions) or '1 AS one'} FROM read_parquet([{listed}]{hive})")
        return " UNION ALL ".join(selects)

    def _count(self, footer: storage.Footer, scan: Scan) -> None:
        self.scanned += sum(footer.bytes.get(name, 0) for name in scan.columns if name in scan.table.columns)
        if self._cutoff is not None and self.scanned > self._cutoff:
            raise QueryCancelled(LIMIT_REASON)

    # -- partitions

    def _partitions(self, scan: Scan, catalogue: Catalogue) -> list[Partition]:
        table = scan.table
        if not table.partition_keys:
            return [Partition((), f"{table.location.rstrip('/')}/")]
        ways = scan.partitions if scan.partitions is not None else ((),)
        if projection.enabled(table.parameters):
            chosen = dict.fromkeys(values for way in ways for values in self._projected(table, way, catalogue))
            places = projection.locations(table.parameters, table.location, list(table.partition_keys), chosen)
            return [Partition(values, place) for values, place in zip(chosen, places, strict=True)]
        registered = {partition.values: partition for partition in catalogue.registered(table)}
        rows = list(registered)
        kept = dict.fromkeys(
            values for way in ways for values in self._kept(table, list(table.partition_keys), rows, way)
        )
        return [registered[values] for values in kept]

    def _projected(self, table: Table, way: Sequence[str], catalogue: Catalogue) -> list[tuple[str, ...]]:
        """Values by column first, each with the predicates on it alone, then all together."""
        columns = list(table.partition_keys)
        axes: list[list[str]] = []
        for name in columns:
            alone = [text for text in way if _names(text, columns) == {name}]
            rows = [(value,) for value in catalogue.projected(table, name)]
            axes.append([values[0] for values in self._kept(table, [name], rows, alone)])
        total = 1
        for axis in axes:
            total *= len(axis)
        if total > MOST_PARTITIONS:
            raise not_carried(f"more than {MOST_PARTITIONS} projected partitions in a query (this one has {total})")
        together = [text for text in way if len(_names(text, columns)) > 1]
        return self._kept(table, columns, list(product(*axes)), together)

    def _kept(
        self, table: Table, columns: list[str], rows: list[tuple[str, ...]], predicates: Sequence[str]
    ) -> list[tuple[str, ...]]:
        if not predicates or not rows:
            return rows
        types = table.partition_keys
        lists = ", ".join(f"unnest(CAST(? AS VARCHAR[])) AS v{at}" for at in range(len(columns)))
        typed = ", ".join(f'CAST(v{at} AS {types[name].duckdb}) AS "{name}"' for at, name in enumerate(columns))
        sql = (
            f"SELECT i FROM (SELECT i, {typed} FROM (SELECT unnest(CAST(? AS BIGINT[])) AS i, {lists})) "
            f"WHERE {' AND '.join(predicates)} ORDER BY i"
        )
        values = [[row[at] for row in rows] for at in range(len(columns))]
        return [rows[row[0]] for row in self._all(sql, [list(range(len(rows))), *values])]


def _names(predicate: str, columns: Sequence[str]) -> set[str]:
    return {name for name in columns if f'"{name}"' in predicate}


def _columns(item: storage.Object, footer: storage.Footer, scan: Scan) -> list[str]:
    """What is selected from one file: declared columns by name; one that the file lacks is NULL.

    QueryFailure HIVE_BAD_DATA when the file's type is not the declared one.
    """
    found = []
    for name in scan.columns:
        declared = scan.table.all_columns[name]
        if name in scan.table.partition_keys:
            found.append(f'"{name}"')
            continue
        stored = footer.types.get(name)
        if stored is None:
            found.append(f'CAST(NULL AS {declared.duckdb}) AS "{name}"')
            continue
        if not hive_types.fits(stored, declared):
            text = (
                f"HIVE_BAD_DATA: Field {name}'s type {hive_types.parquet_name(stored)} in parquet file {item.url} is"
                f" incompatible with type {declared.athena} defined in table schema"
            )
            raise QueryFailure(text)
        own = f'"{footer.names[name]}"'
        plain = _PLAIN.get(str(stored)) == declared.duckdb
        found.append(f'{own} AS "{name}"' if plain else f'CAST({own} AS {declared.duckdb}) AS "{name}"')
    return found


_PLAIN: Mapping[str, str] = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "list<element: double>": "DOUBLE[]",
    "list<element: string>": "VARCHAR[]",
    "list<element: int64>": "BIGINT[]",
}
"""Parquet types (as Arrow names them) that DuckDB reads as this type by itself; any other is cast."""
