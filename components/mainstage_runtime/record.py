"""The prediction record: what is logged of one prediction, field by field. One schema for all who write or read it.

The front door writes a record as one JSON object, the transform Lambda checks it, Firehose turns it into Parquet, and
the Glue table's columns are `columns(signature)`. A record is flat: its keys are the table's column names.

A request may ask for several rows. Inputs and outputs are arrays, one element a row, in the order of the request:
`input_<field>` and `output_<field>`, in lower case, for Glue does not tell upper from lower. Timestamps are written as
`2026-11-21 14:23:21.123`, UTC: the one form that Firehose's conversion reads without being told
(https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion-concepts.html).

The schema only grows. A field is never renamed, removed or given another type: old records must stay readable.
Standard library only: this file runs inside AWS too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 1
"""Version of the fields below. It rises with each field that is added; readers take every version up to their own."""

UNKNOWN_VERSION = "unknown"
"""The version of an answer whose container cannot report one, and of a request that no container answered."""

LONGEST_RECORD_BYTES = 900 * 1024
"""Longest record. Firehose takes 1,000 KiB and SQS 1 MiB; the rest is for the stamp and for base64's envelope.
https://docs.aws.amazon.com/firehose/latest/dev/limits.html"""


@dataclass(frozen=True)
class Field:
    """One field of every record. `type` is the Glue column's."""

    name: str
    type: str
    description: str
    required: bool = True
    """False: may be null or left out."""


FIELDS = (
    Field("schema_version", "int", "version of this schema that the record was written with"),
    Field("request_id", "string", "id of the request, the same as in the reply's header x-request-id; unique"),
    Field("at", "timestamp", "when the front door got the request, UTC, with milliseconds"),
    Field("environment", "string", "dev, staging or prod"),
    Field("model", "string", "name of the model in the catalog"),
    Field("version", "string", "version of the process that answered; unknown when nothing answered or it cannot say"),
    Field("endpoint_name", "string", "endpoint that was asked; empty while the model awaits its first version", False),
    Field("variant", "string", "variant that answered, as SageMaker names it; null when nothing answered", False),
    Field("arm", "string", "arm of the experiment, or stable"),
    Field("status", "int", "HTTP status of the reply: 200, or that of the error"),
    Field("error_code", "string", "code of the error reply, such as invalid_payload; null for a prediction", False),
    Field("error_field", "string", "first field that the error is about, such as instances[0].age", False),
    Field("rows", "int", "rows that the request asked for; 0 when the request could not be read"),
    Field("latency_ms", "double", "milliseconds from the front door's first line to the finished reply"),
    Field("model_ms", "double", "milliseconds that the call to the endpoint took; null when there was none", False),
    Field("caller", "string", "who asked: ARN of the IAM identity, or the keyed hash of a token's subject", False),
    Field(
        "entity_key", "string", "keyed hash of the first row's entity key; null when the signature names none", False
    ),
    Field("input_bytes", "bigint", "length of the request's body in bytes"),
    Field(
        "input_sha256", "string", "SHA-256 of the request's body, hexadecimal; null when it holds personal data", False
    ),
    Field("output_bytes", "bigint", "length of the model's answer in bytes; 0 when there was none"),
    Field(
        "truncated", "boolean", "true: inputs and outputs were too long to log and are left out, sizes and hash remain"
    ),
    Field("replayed", "boolean", "true: the record came through the spool queue"),
    Field("logged_at", "timestamp", "when the transform took the record, UTC, with milliseconds; it stamps this"),
)
"""The fields of every record, in the order of the table's columns. The signature's columns follow them."""

PARTITION_KEYS = (
    Field("day", "string", "day of `at`, UTC, as 2026-11-21; a query that names it reads that day alone"),
    Field("hour", "string", "hour of `at`, UTC, 00 to 23"),
)
"""Partitions. They follow from `at`, never from when a record arrived, so that a duplicate lies beside its twin."""

_COLUMN_TYPES = {
    "double": "double",
    "integer": "bigint",
    "string": "string",
    "boolean": "boolean",
    "timestamp": "timestamp",
}


@dataclass(frozen=True)
class Column:
    """A column of the log's table. `type` is a Glue type."""

    name: str
    type: str
    comment: str


def input_column(field_name: str) -> str:
    return f"input_{field_name.lower()}"


def output_column(field_name: str) -> str:
    return f"output_{field_name.lower()}"


_NAMED = {"inputs": input_column, "outputs": output_column}
_OF_EVERY_RECORD = frozenset(field.name for field in (*FIELDS, *PARTITION_KEYS))


def taken_column(side: str, field_name: str) -> str:
    """The column that a field of `inputs` or `outputs` would share with every record, as `input_bytes`; empty when its
    column is its own. A log with a column twice cannot be written."""
    column = _NAMED[side](field_name)
    return column if column in _OF_EVERY_RECORD else ""


def pii_action(field: Mapping[str, Any]) -> str:
    """What happens to a field before anything is stored: "keep", "hash" (the default of personal data) or "drop"."""
    marked = field.get("pii") or False
    if marked is True:
        return "hash"
    return marked or "keep"


def column_type(field: Mapping[str, Any]) -> str:
    """Glue type of a signature field's column: an array with one element a row."""
    if pii_action(field) == "hash":
        return "array<string>"
    kind = field["type"]
    if kind.startswith("array<"):
        return f"array<array<{_COLUMN_TYPES[kind[len('array<') : -1]]}>>"
    return f"array<{_COLUMN_TYPES[kind]}>"


def columns(signature: Mapping[str, Any]) -> list[Column]:
    """Every column of a model's log, partitions apart. `signature` has the form of a catalog file's: `inputs` and
    `outputs`, each a list of fields with `name`, `type` and maybe `description` and `pii`."""
    fixed = [Column(field.name, field.type, field.description) for field in FIELDS]
    for side, named in _NAMED.items():
        fixed += [
            Column(named(field["name"]), column_type(field), field.get("description") or "")
            for field in signature[side]
            if pii_action(field) != "drop"
        ]
    return fixed
