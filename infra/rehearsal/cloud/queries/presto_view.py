"""Athena's views as Glue holds them: a VIRTUAL_VIEW whose text is `/* Presto View: <base64 of JSON> */`.

The JSON has originalSql, catalog, schema and columns (name and Presto type). Source: Trino,
plugin/trino-hive ViewReaderUtil (encodeViewData, PrestoViewReader).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

PREFIX, SUFFIX = "/* Presto View: ", " */"


@dataclass(frozen=True)
class View:
    """What a view says. `columns` are names in lower case, in order."""

    sql: str
    catalog: str
    schema: str
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()


def decode(text: str) -> View:
    """Reads a view's text. ValueError says what is wrong with it."""
    if not (text.startswith(PREFIX) and text.endswith(SUFFIX)):
        raise ValueError("the text is not /* Presto View: <base64> */")
    try:
        content: Any = json.loads(base64.b64decode(text[len(PREFIX) : -len(SUFFIX)], validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"what stands in the text is no base64 of JSON: {error}") from error
    missing = [name for name in ("originalSql", "columns") if not isinstance(content, dict) or not content.get(name)]
    if missing:
        raise ValueError(f"the JSON has no {' and no '.join(missing)}")
    columns = content["columns"]
    if not all(isinstance(one, dict) and one.get("name") and one.get("type") for one in columns):
        raise ValueError("every entry of columns needs name and type")
    return View(
        str(content["originalSql"]),
        str(content.get("catalog") or "awsdatacatalog").lower(),
        str(content.get("schema") or "").lower(),
        tuple(str(one["name"]).lower() for one in columns),
        tuple(str(one["type"]).lower() for one in columns),
    )


def encode(view: View) -> str:
    """The text of a view, as Athena's CREATE VIEW writes it into ViewOriginalText."""
    columns = [{"name": name, "type": type_} for name, type_ in zip(view.columns, view.types, strict=True)]
    content = {"originalSql": view.sql, "catalog": view.catalog, "schema": view.schema, "columns": columns}
    return f"{PREFIX}{base64.b64encode(json.dumps(content).encode()).decode()}{SUFFIX}"
