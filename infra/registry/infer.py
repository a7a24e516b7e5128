"""Reads a sample of rows and says what a signature for them looks like: names, types, missing values."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstage_runtime.record import taken_column

MAX_ROWS = 10_000
"""Rows of a sample that are read; what comes later is not looked at."""

MAX_CATEGORIES = 20
_MISSING_TEXT = {"", "na", "n/a", "nan", "null", "none"}
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class SampleError(ValueError):
    """A sample that cannot be read; the message names file, line, what was found and the fix."""


@dataclass(frozen=True)
class Field:
    """One field of a signature. `nullable` says that the sample has rows without a value for it."""

    name: str
    type: str
    """double, integer, string, boolean or timestamp."""
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inferred:
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    example: Mapping[str, Any]
    """The first row's inputs, as JSON values."""
    rows: int


def infer(path: Path, targets: Sequence[str] = ()) -> Inferred:
    """Infers a signature from `path` (.jsonl, .json lines, or .csv with a header).

    `targets` are the columns that the model answers with; every other column is an input. Raises SampleError with the
    file and line of what it could not read.
    """
    rows = list(_read(path))
    if not rows:
        raise SampleError(f"{path}: no rows; a sample needs at least one row with the model's input fields")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if missing := [target for target in targets if target not in names]:
        raise SampleError(f"{path}: no column {missing[0]!r} for --answer; the sample has: {', '.join(names)}")
    if bad := [name for name in names if not _FIELD_NAME.fullmatch(name)]:
        raise SampleError(
            f"{path}: column {bad[0]!r} cannot be a field name; allowed are letters, digits and _ "
            "(first no digit, at most 63); rename the column"
        )
    for side, name in (("outputs" if each in targets else "inputs", each) for each in names):
        if taken := taken_column(side, name):
            raise SampleError(
                f"{path}: column {name!r} cannot be a field's name: every record of the prediction log has the column "
                f"{taken} already; rename the column"
            )
    fields = {name: _field(name, [row.get(name) for row in rows]) for name in names}
    inputs = tuple(field for name, field in fields.items() if name not in targets)
    if not inputs:
        raise SampleError(f"{path}: every column is an --answer; at least one input column must remain")
    example_row = next((row for row in rows if all(row.get(field.name) is not None for field in inputs)), rows[0])
    return Inferred(
        inputs=inputs,
        outputs=tuple(fields[name] for name in targets),
        example={field.name: _as_json(example_row.get(field.name), field.type) for field in inputs},
        rows=len(rows),
    )


def _read(path: Path) -> Iterable[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SampleError(f"{path}: no such file") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise SampleError(f"{path}: not a text file in UTF-8 ({error})") from None
    return _read_csv(path, text) if path.suffix.lower() == ".csv" else _read_jsonl(path, text)


def _read_jsonl(path: Path, text: str) -> Iterable[dict[str, Any]]:
    rows = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise SampleError(f"{path}:{number}: not JSON ({error}); one JSON object a line is expected") from None
        if not isinstance(row, dict):
            raise SampleError(f"{path}:{number}: {type(row).__name__} instead of an object of field names and values")
        for name, value in row.items():
            if isinstance(value, dict | list):
                raise SampleError(
                    f"{path}:{number}: field {name!r} is nested; a signature's fields are single values: flatten it"
                )
            if isinstance(value, float) and math.isinf(value):
                raise SampleError(f"{path}:{number}: field {name!r} is infinite; JSON has no such number: leave it out")
        yield {name: None if _is_nan(value) else value for name, value in row.items()}
        rows += 1
        if rows >= MAX_ROWS:
            return


def _read_csv(path: Path, text: str) -> Iterable[dict[str, Any]]:
    try:
        reader = csv.reader(text.splitlines(), strict=True)
        header = next(reader, None)
        if not header:
            raise SampleError(f"{path}: empty; the first line must name the columns")
        if twice := [name for name in header if header.count(name) > 1]:
            raise SampleError(f"{path}:1: column {twice[0]!r} stands twice in the header")
        for number, values in enumerate(reader, 2):
            if not values:
                continue
            if len(values) != len(header):
                raise SampleError(f"{path}:{number}: {len(values)} values for {len(header)} columns")
            yield {
                name: None if value.strip().lower() in _MISSING_TEXT else value.strip()
                for name, value in zip(header, values, strict=True)
            }
            if number > MAX_ROWS:
                return
    except csv.Error as error:
        raise SampleError(f"{path}: not CSV ({error})") from None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _field(name: str, values: Sequence[Any]) -> Field:
    present = [value for value in values if value is not None]
    nullable = len(present) < len(values)
    kind = _type(present)
    if kind in ("double", "integer"):
        return Field(name, kind, nullable)
    if kind == "string":
        distinct = sorted({str(value) for value in present})
        # A few values that come again and again are categories; free text and identifiers are not.
        if (
            len(present) >= 5 * len(distinct)
            and len(distinct) <= MAX_CATEGORIES
            and all(len(v) <= 64 for v in distinct)
        ):
            return Field(name, kind, nullable, categories=tuple(distinct))
    return Field(name, kind, nullable)


def _type(values: Sequence[Any]) -> str:
    if not values:
        return "string"
    for kind, test in (
        ("boolean", _is_boolean),
        ("integer", _is_integer),
        ("double", _is_double),
        ("timestamp", _is_timestamp),
    ):
        if all(test(value) for value in values):
            return kind
    return "string"


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and _INTEGER.fullmatch(value) is not None)


def _is_double(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        # "007" is an identifier: as a number it would lose its zeros.
        return _NUMBER.fullmatch(value) is not None and not re.match(r"[+-]?0[0-9]", value)
    return isinstance(value, int | float)


def _is_timestamp(value: Any) -> bool:
    return isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None


def _as_json(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "boolean":
        return value if isinstance(value, bool) else value.lower() == "true"
    if kind == "integer":
        return int(value)
    return float(value) if kind == "double" else str(value)
