"""Builds the prediction record of one served request. See record.py for its fields.

Whatever the model answered, a record comes out: an answer that does not fit the signature's outputs is logged with
null outputs. Personal data is dropped or hashed here, before the record exists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainstage_runtime.record import (
    FIELDS,
    LONGEST_RECORD_BYTES,
    SCHEMA_VERSION,
    UNKNOWN_VERSION,
    input_column,
    output_column,
    pii_action,
)
from mainstage_runtime.redact import Pseudonyms, canonical, has_personal_inputs
from mainstage_runtime.values import IS_TYPE, element_type, moment_text, record_timestamp

_LONGEST_TEXT = 2048
"""Characters of a text that a caller has a hand in: an ARN takes no more."""


@dataclass(slots=True)
class Served:
    """One request and its reply, as far as either came."""

    request_id: str
    at_ms: int
    """When the request came, in milliseconds since 1970."""
    body: bytes = b""
    rows: Sequence[Mapping[str, Any]] | None = None
    """The request's rows, once they fit the signature."""
    row_count: int = 0
    status: int = 500
    error_code: str | None = None
    error_field: str | None = None
    version: str = UNKNOWN_VERSION
    variant: str | None = None
    answer: bytes | None = None
    latency_ms: float = 0.0
    model_ms: float | None = None
    caller_arn: str | None = None
    caller_subject: str | None = None
    """Subject of the caller's token: personal data."""


Values = Callable[[Sequence[Mapping[str, Any]]], list[Any] | None]


class RecordWriter:
    """Builds the records of one model."""

    def __init__(
        self, signature: Mapping[str, Any], *, environment: str, model: str, endpoint_name: str, pseudonyms: Pseudonyms
    ) -> None:
        self._environment, self._model, self._endpoint_name = environment, model, endpoint_name
        self._pseudonyms = pseudonyms
        self._personal = has_personal_inputs(signature)
        self._inputs = self._columns(signature["inputs"], input_column)
        self._outputs = self._columns(signature["outputs"], output_column)
        self._output_names = [field["name"] for field in signature["outputs"]]
        key = signature.get("entity_key")
        self._entity: tuple[str, str] | None = next(
            ((each["name"], each["type"]) for each in signature["inputs"] if each["name"] == key), None
        )

    def write(self, served: Served) -> bytes:
        """The record as one JSON object, at most LONGEST_RECORD_BYTES long."""
        record = self.record(served)
        written = _written(record)
        if len(written) > LONGEST_RECORD_BYTES:
            for column, _ in (*self._inputs, *self._outputs):
                record[column] = None
            record["truncated"] = True
            written = _written(record)
        return written

    def record(self, served: Served) -> dict[str, Any]:
        """The record, every column but `logged_at`, in the order of the table."""
        rows, answer = served.rows, served.answer
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "request_id": _cut(served.request_id),
            "at": moment_text(served.at_ms),
            "environment": self._environment,
            "model": self._model,
            "version": served.version,
            "endpoint_name": self._endpoint_name,
            "variant": served.variant,
            "arm": "stable",
            "status": served.status,
            "error_code": served.error_code,
            "error_field": _cut(served.error_field),
            "rows": len(rows) if rows is not None else served.row_count,
            "latency_ms": round(served.latency_ms, 3),
            "model_ms": None if served.model_ms is None else round(served.model_ms, 3),
            "caller": self._caller(served),
            "entity_key": self._entity_key(rows),
            "input_bytes": len(served.body),
            "input_sha256": None if self._personal else hashlib.sha256(served.body).hexdigest(),
            "output_bytes": len(answer) if answer is not None else 0,
            "truncated": False,
            "replayed": False,
        }
        for column, values in self._inputs:
            record[column] = None if rows is None else values(rows)
        answers = None if rows is None or answer is None else self._answers(answer, len(rows))
        for column, values in self._outputs:
            record[column] = None if answers is None else values(answers)
        return record

    def _caller(self, served: Served) -> str | None:
        arn = served.caller_arn
        if arn:
            # In another form the transform would refuse the record.
            known = arn.startswith("arn:") and arn.isascii() and arn.isprintable() and " " not in arn
            return _cut(arn) if known else None
        return self._pseudonyms.of(served.caller_subject) if served.caller_subject else None

    def _entity_key(self, rows: Sequence[Mapping[str, Any]] | None) -> str | None:
        if self._entity is None or not rows:
            return None
        name, kind = self._entity
        value = rows[0].get(name)
        return None if value is None else self._pseudonyms.of(canonical(kind, value))

    def _answers(self, answer: bytes, count: int) -> list[Mapping[str, Any]] | None:
        """One mapping a row out of the model's answer; None when it has another form.

        Known are {"predictions": [...]} and a bare list; their elements are objects, or single values when the model
        has one output.
        """
        try:
            told = json.loads(answer)
        except (ValueError, RecursionError):
            return None
        rows = told.get("predictions") if type(told) is dict else told
        if type(rows) is not list or len(rows) != count:
            return None
        if all(type(row) is dict for row in rows):
            return rows
        if len(self._output_names) == 1 and not any(type(row) is dict for row in rows):
            return [{self._output_names[0]: row} for row in rows]
        return None

    def _columns(
        self, fields: Sequence[Mapping[str, Any]], named: Callable[[str], str]
    ) -> tuple[tuple[str, Values], ...]:
        return tuple((named(field["name"]), self._values(field)) for field in fields if pii_action(field) != "drop")

    def _values(self, field: Mapping[str, Any]) -> Values:
        """How a field's column is read from the rows. None, the whole column, when a value is not of its type."""
        name, kind = field["name"], field["type"]
        inner = element_type(kind)
        is_type = IS_TYPE[inner or kind]
        form = _form(kind, pii_action(field) == "hash", self._pseudonyms)

        def values(rows: Sequence[Mapping[str, Any]]) -> list[Any] | None:
            column = []
            for row in rows:
                value = row.get(name)
                if value is None or value != value:  # NaN: some containers write one
                    column.append(None)
                elif (type(value) is list and all(map(is_type, value))) if inner else is_type(value):
                    column.append(value if form is None else form(value))
                else:
                    return None
            return column

        return values


def _form(kind: str, hashed: bool, pseudonyms: Pseudonyms) -> Callable[[Any], Any] | None:
    """What becomes of a value in the record; None: it stays as it is."""
    if hashed:
        return lambda value: pseudonyms.of(canonical(kind, value))
    if kind == "timestamp":
        return record_timestamp
    if kind == "array<timestamp>":
        return lambda value: [record_timestamp(each) for each in value]
    return None


def _cut(text: Any) -> Any:
    return text[:_LONGEST_TEXT] if text is not None else None


def _written(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    if "\\ud" in text:
        # Half a surrogate pair, which a model may answer, is no character and cannot be stored.
        clean = json.dumps(record, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text = json.dumps(json.loads(clean), separators=(",", ":"))
    return text.encode("ascii")


COLUMNS_OF_EVERY_RECORD = tuple(field.name for field in FIELDS if field.name != "logged_at")
"""What `record` begins with, in its order."""
