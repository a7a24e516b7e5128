"""One query from its text to the objects in its output location, with the caller's rights."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.queries import results, storage
from infra.rehearsal.cloud.queries.catalogue import Catalogue
from infra.rehearsal.cloud.queries.engine import Engine
from infra.rehearsal.cloud.queries.failures import QueryFailure
from infra.rehearsal.cloud.queries.planning import plan
from infra.rehearsal.cloud.queries.presto_view import View
from infra.rehearsal.cloud.queries.statement import Select, Show, Statement


@dataclass
class Run:
    """What one run needs, and what it found out so far; read by others while it goes on."""

    statement: Statement
    database: str
    output_location: str
    """s3://bucket/key of the answer: ends in .csv, or .txt for SHOW and DESCRIBE."""
    encryption: Mapping[str, str]
    """Arguments of PutObject."""
    folder: Path
    cache: storage.Cache
    now: datetime
    cutoff: int | None
    scanned: int = 0
    planning_seconds: float = 0.0
    engine_seconds: float = 0.0
    writing_seconds: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set by whoever stops the query."""
    interrupt: Callable[[], None] | None = field(default=None, repr=False)
    """Ends what runs in the engine at this moment."""

    def go(self, session: Any, region: str) -> None:
        """Runs to the end. Raises QueryFailure or QueryCancelled; only a query that succeeds writes objects."""
        s3 = session.client("s3", region_name=region)
        catalogue = Catalogue(session.client("glue", region_name=region), self.now)
        if isinstance(self.statement, Show):
            _, rows = shown(self.statement, self.database, catalogue)
            self._put(s3, self.output_location, ("\n".join("\t".join(row) for row in rows) + "\n").encode())
            return
        self._select(self.statement, s3, catalogue)

    def _select(self, statement: Select, s3: Any, catalogue: Catalogue) -> None:
        started = time.perf_counter()
        made = plan(statement, catalogue, self.database, self.now)
        self.planning_seconds = time.perf_counter() - started
        started = time.perf_counter()
        engine = Engine(self.folder, self.cache, s3, cutoff=self.cutoff, stopped=self.stopped)
        try:
            self.interrupt = engine.interrupt
            answer = engine.answer(made, catalogue)
            body = b"".join(results.write_csv(answer.columns, answer.rows))
            self.engine_seconds = time.perf_counter() - started
            engine.check()
        finally:
            self.scanned = engine.scanned
            self.interrupt = None
            engine.close()
        started = time.perf_counter()
        self._put(s3, self.output_location, body)
        self._put(s3, f"{self.output_location}.metadata", results.write_metadata(answer.columns))
        self.writing_seconds = time.perf_counter() - started

    def _put(self, s3: Any, url: str, body: bytes) -> None:
        bucket, key = storage.split(url)
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=body, **self.encryption)
        except ClientError as error:
            detail = error.response.get("Error", {})
            raise QueryFailure(
                f"Access denied when writing output to url: {url} . Please ensure you are allowed to access the S3"
                " bucket. If you are encrypting query results with KMS key, please ensure you are allowed to access"
                f" your KMS key ({detail.get('Code')}: {detail.get('Message')})"
                if detail.get("Code") == "AccessDenied"
                else f"Unable to write output to url: {url} ({detail.get('Code')}: {detail.get('Message')})"
            ) from error


def shown(statement: Show, database: str, catalogue: Catalogue) -> tuple[list[str], list[Sequence[str]]]:
    """Column names and rows of SHOW DATABASES, SHOW TABLES and DESCRIBE."""
    if statement.what == "databases":
        return ["database_name"], [[name] for name in catalogue.databases()]
    schema = (statement.database or database).lower()
    if statement.what == "tables":
        return ["tab_name"], [[table["Name"]] for table in catalogue.tables(schema)]
    found = catalogue.find(schema, statement.table)
    names = ["col_name", "data_type", "comment"]
    if isinstance(found, View):
        return names, [[name, type_, ""] for name, type_ in zip(found.columns, found.types, strict=True)]
    return names, [
        [name, re.sub(r"^varchar$", "string", type_.athena), ""] for name, type_ in found.all_columns.items()
    ]
