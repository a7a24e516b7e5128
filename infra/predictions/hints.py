"""What a failed query most likely meant."""

from __future__ import annotations

import re

from mainstage_runtime.record import PARTITION_KEYS, columns, input_column, output_column, pii_action

from infra.catalog.signature import Signature
from infra.problems import nearest

# Athena's words for a name that is no column of what the query reads.
_NO_COLUMN = re.compile(r"COLUMN_NOT_FOUND: .*?Column '([^']+)' cannot be resolved", re.DOTALL)


def column_hint(refusal: str, signature: Signature) -> str:
    """The column that was meant, where a query failed because it named none: "" or a sentence.

    A field of the signature is logged as `input_<field>` or `output_<field>`; one that is dropped is not logged.
    """
    found = _NO_COLUMN.search(refusal)
    if found is None:
        return ""
    word = found[1].rsplit(".", 1)[-1].strip('"').lower()
    form = signature.model_dump(mode="json", exclude_defaults=True)
    known = [column.name for column in columns(form)] + [key.name for key in PARTITION_KEYS]
    dropped = [
        field["name"]
        for side in ("inputs", "outputs")
        for field in form[side]
        if pii_action(field) == "drop" and word in (field["name"].lower(), f"{side[:-1]}_{field['name'].lower()}")
    ]
    if dropped:
        return f"{dropped[0]} is personal data that the signature drops: it is not logged"
    meant = [column for column in (input_column(word), output_column(word)) if column in known]
    if not meant and (near := nearest(word, known)):
        meant = [near]
    if meant:
        return f"did you mean {' or '.join(meant)}?"
    return "the log's columns: docs/guides/prediction-record.md, and input_<field> and output_<field> of a signature"
