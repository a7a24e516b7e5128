"""Checks one prediction record, as bytes: one JSON object with the columns of the model's log, each of its type.

A record has some forty values, and looking at each of them in Python costs more than parsing it. So the record of a
request with one row, written as the front door writes it, is recognised as a whole by one regular expression made
from the signature (`usual_record`). It takes nothing that the long way would refuse; whatever it does not take goes
the long way, which alone decides and says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from mainstage_runtime.record import FIELDS, LONGEST_RECORD_BYTES, SCHEMA_VERSION, Column, columns
from mainstage_runtime.redact import dropped_columns, has_personal_inputs, is_pseudonym, pseudonym_columns
from mainstage_runtime.values import is_boolean, is_double, is_integer, is_string

_STAMP = "logged_at"
_MOST_DAYS = 1000

_moment = re.compile(r"20[2-9][0-9]-[0-9]{2}-[0-9]{2} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}").fullmatch
_timestamp = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}").fullmatch
_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_arn = re.compile(r"arn:[!-~]+").fullmatch


class Rejected(ValueError):
    """A record that cannot be logged. The message names column and rule, and holds no value."""


def _is_timestamp(value: Any) -> bool:
    return type(value) is str and _timestamp(value) is not None and _is_day(value[:10])


def _is_day(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


_IS_TYPE = {
    "int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "bigint": is_integer,
    "double": is_double,
    "string": is_string,
    "timestamp": _is_timestamp,
    "boolean": is_boolean,
}


def _fits(glue: str, value: Any) -> bool:
    """Whether a value is of a Glue type. An element of a column may be null, one of a request's own array may not."""
    if not glue.startswith("array<"):
        return _IS_TYPE[glue](value)
    element = glue[len("array<") : -1]
    if type(value) is not list:
        return False
    if element.startswith("array<"):
        inner = _IS_TYPE[element[len("array<") : -1]]
        return all(each is None or (type(each) is list and all(map(inner, each))) for each in value)
    single = _IS_TYPE[element]
    return all(each is None or single(each) for each in value)


def _refuse_constant(word: str) -> Any:
    raise Rejected(f"{word} is no JSON value")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Rejected("a column stands twice")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse_constant).decode


class RecordCheck:
    """The check of one model's records."""

    def __init__(self, signature: Mapping[str, Any], *, model: str, log_name: str) -> None:
        """`log_name` is `<environment>-<model>`: a record of another model or environment is in the wrong log."""
        self._columns = [column for column in columns(signature) if column.name != _STAMP]
        self._required = tuple(field.name for field in FIELDS if field.required and field.name != _STAMP)
        self._known = frozenset(column.name for column in self._columns)
        self._hashed = pseudonym_columns(signature)
        self._dropped = dropped_columns(signature)
        self._personal = has_personal_inputs(signature)
        self._model, self._environment = model, log_name.removesuffix(f"-{model}")
        self._usual = usual_record(
            self._columns, self._hashed, personal=self._personal, model=model, environment=self._environment
        ).fullmatch
        self._days: set[str] = set()

    def check(self, raw: bytes) -> tuple[str, str]:
        """The record's day and hour, its partition. Raises Rejected, whatever the bytes."""
        if len(raw) > LONGEST_RECORD_BYTES:
            raise Rejected(f"longer than {LONGEST_RECORD_BYTES} bytes")
        found = self._usual(raw)
        if found is not None:
            day, hour = found[1].decode("ascii"), found[2].decode("ascii")
            if day in self._days:
                return day, hour
        at = self.check_long(raw)
        if len(self._days) < _MOST_DAYS:
            self._days.add(at[:10])
        return at[:10], at[11:13]

    def check_long(self, raw: bytes) -> str:
        """The record's `at`. Raises Rejected, whatever the bytes."""
        try:
            record = _decode(raw.decode("utf-8"))
        except Rejected:
            raise
        except UnicodeDecodeError:
            raise Rejected("not UTF-8") from None
        except (ValueError, RecursionError):
            raise Rejected("not JSON") from None
        if type(record) is not dict:
            raise Rejected("not an object")
        if _STAMP in record:
            raise Rejected(f"{_STAMP}: stamped already")
        if not record.keys() <= self._known:
            # A name that the table does not have may be personal data itself.
            raise Rejected("a column that the log does not have")
        for name in self._required:
            if record.get(name) is None:
                raise Rejected(f"{name}: missing")
        for column in self._columns:
            value = record.get(column.name)
            if value is not None:
                self._check_column(column, value, record["rows"])
        self._check_fields(record)
        # Half a surrogate pair is no character: nothing that reads Parquet takes it. Only an escape can write one.
        if (b"\\ud" in raw or b"\\uD" in raw) and _has_half(list(record.values())):
            raise Rejected("a text holds half a surrogate pair")
        return record["at"]

    def in_clear(self, raw: bytes) -> bool:
        """Whether a record that was rejected, for whatever reason, holds personal data in clear where it can be told:
        in a column of pseudonyms or of a dropped field. Never raises."""
        try:
            pairs = json.loads(raw, object_pairs_hook=list)
        except (ValueError, RecursionError):
            return False
        return type(pairs) is list and any(
            type(pair) is tuple and self._is_in_clear(str(pair[0]).lower(), pair[1]) for pair in pairs
        )

    def _is_in_clear(self, name: str, value: Any) -> bool:
        elements: list[Any] = value if type(value) is list else [value]
        if name in self._dropped:
            return any(each is not None for each in elements)
        if name == "caller":
            return value is not None and not (type(value) is str and (_arn(value) or is_pseudonym(value)))
        return name in self._hashed and any(
            each is not None and not (type(each) is str and is_pseudonym(each)) for each in elements
        )

    def _check_column(self, column: Column, value: Any, rows: Any) -> None:
        if not _fits(column.type, value):
            raise Rejected(f"{column.name}: not {column.type}")
        if type(value) is list and len(value) != rows:
            raise Rejected(f"{column.name}: not one element a row")
        if column.name in self._hashed:
            elements: list[Any] = value if type(value) is list else [value]
            for each in elements:
                if each is not None and not is_pseudonym(each):
                    raise Rejected(f"{column.name}: personal data that is not hashed")

    def _check_fields(self, record: Mapping[str, Any]) -> None:
        """What more is asked of the fields that every model's records have."""
        if not 1 <= record["schema_version"] <= SCHEMA_VERSION:
            raise Rejected("schema_version: of a newer schema")
        if not record["request_id"]:
            raise Rejected("request_id: empty")
        if record["model"] != self._model or record["environment"] != self._environment:
            raise Rejected("model, environment: of another log")
        if not 100 <= record["status"] <= 599:
            raise Rejected("status: no status of HTTP")
        for name in ("rows", "latency_ms", "model_ms", "input_bytes", "output_bytes"):
            if (record.get(name) or 0) < 0:
                raise Rejected(f"{name}: below 0")
        if not _moment(record["at"]):
            raise Rejected("at: not of this century")
        caller, digest = record.get("caller"), record.get("input_sha256")
        if caller is not None and not _arn(caller) and not is_pseudonym(caller):
            raise Rejected("caller: neither ARN nor pseudonym")
        if digest is not None and self._personal:
            raise Rejected("input_sha256: of personal data")
        if digest is not None and not _sha256(digest):
            raise Rejected("input_sha256: no digest")


def _has_half(value: Any) -> bool:
    if type(value) is str:
        return not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)
    return type(value) is list and any(map(_has_half, value))


_PLAIN = r"[ !#-\[\]-~]*+"
"""Characters of ASCII that stand for themselves in a JSON text."""

_TEXT = rf'"{_PLAIN}(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{{4}}){_PLAIN})*+"'
_WHOLE = r"(?:0|[1-9][0-9]{0,17})"
_DIGITS = r"[0-9a-f]{%d}"
_DAY = "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
"""Month and day, the leap day apart."""

_USUAL_TYPES = {
    "int": r"(?:0|[1-9][0-9]{0,8})",
    "bigint": rf"-?{_WHOLE}",
    "double": rf"-?{_WHOLE}(?:\.[0-9]{{1,20}})?(?:e[-+]?[0-9]{{1,2}})?",
    "string": _TEXT,
    "timestamp": rf'"(?:19|20)[0-9]{{2}}-{_DAY} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{3}}"',
    "boolean": r"(?:true|false)",
}
"""Values as they usually are: a smaller set than what the types take, so that a look at the text is enough."""


def usual_record(
    table: list[Column], hashed: frozenset[str], *, personal: bool, model: str, environment: str
) -> re.Pattern[bytes]:
    """Recognises the record of a request with one row, and gives its day and hour as groups 1 and 2."""
    pseudonym = f'"{_DIGITS % 32}"'
    special = {
        "schema_version": str(SCHEMA_VERSION),
        "request_id": f'(?!""){_TEXT}',
        "at": r'"(20[2-9][0-9]-[0-9]{2}-[0-9]{2}) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}"',
        "environment": re.escape(json.dumps(environment)),
        "model": re.escape(json.dumps(model)),
        "status": "[1-5][0-9]{2}",
        "rows": "1",
        "latency_ms": _USUAL_TYPES["double"].removeprefix("-?"),
        "model_ms": f"(?:null|{_USUAL_TYPES['double'].removeprefix('-?')})",
        "caller": rf'(?:null|"arn:[!#-\[\]-~]++"|{pseudonym})',
        "entity_key": f"(?:null|{pseudonym})",
        "input_bytes": _WHOLE,
        "output_bytes": _WHOLE,
        "input_sha256": "null" if personal else f'(?:null|"{_DIGITS % 64}")',
    }
    required = {field.name for field in FIELDS if field.required}
    parts = []
    for column in table:
        if column.name in special:
            value = special[column.name]
        elif column.type.startswith("array<array<"):
            one = _USUAL_TYPES[column.type[len("array<array<") : -2]]
            value = rf"(?:null|\[(?:null|\[(?:{one}(?:,{one})*+)?\])\])"
        elif column.type.startswith("array<"):
            one = pseudonym if column.name in hashed else _USUAL_TYPES[column.type[len("array<") : -1]]
            value = rf"(?:null|\[(?:null|{one})\])"
        else:
            one = _USUAL_TYPES[column.type]
            value = one if column.name in required else f"(?:null|{one})"
        parts.append(f'"{re.escape(column.name)}":{value}')
    return re.compile(rf"\{{{','.join(parts)}\}}".encode("ascii"))
