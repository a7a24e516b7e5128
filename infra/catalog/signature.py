"""The signature of a model: what a request and an answer look like."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from mainstage_runtime.record import taken_column
from mainstage_runtime.values import number_text
from pydantic import Field

from infra.problems import nearest
from infra.sections import Finding, Section

FieldType = Literal[
    "double", "integer", "string", "boolean", "timestamp",
    "array<double>", "array<integer>", "array<string>", "array<boolean>", "array<timestamp>",
]  # fmt: skip

_NUMERIC = ("double", "integer", "array<double>", "array<integer>")
_TEXT = ("string", "array<string>")
_NAME_OF_FIELD = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"


class SignatureField(Section):
    """One field of a request or an answer."""

    name: str = Field(
        pattern=_NAME_OF_FIELD,
        description=(
            "the field's name, letters, digits and _, first no digit, at most 63. It becomes a "
            "column of the prediction log: an input is not called bytes or sha256 and an output not bytes, because "
            "every record has such columns"
        ),
    )
    type: FieldType = Field(description="double, integer, string, boolean or timestamp, or array<…> of one of them")
    description: str = Field(default="", description="what the field means, with its unit. Default: nothing")
    required: bool = Field(default=True, description="true or false: whether a request must have it. Default: true")
    nullable: bool = Field(default=False, description="true or false: whether the value may be null. Default: false")
    minimum: float | None = Field(
        default=None, description="the smallest value that makes sense, a number. Default: no limit"
    )
    maximum: float | None = Field(
        default=None, description="the largest value that makes sense, a number. Default: no limit"
    )
    categories: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None,
        description="the texts that the model was trained on, a list. Others are answered too. Default: any text",
    )
    pii: Literal[True, False, "hash", "drop"] = Field(
        default=False,
        description=(
            "whether it is personal data, and what is logged of it: true or hash (a keyed hash stands for it), drop "
            "(nothing), or false. Default: false"
        ),
    )

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        kind = values.get("type")
        low, high, categories = values.get("minimum"), values.get("maximum"), values.get("categories")
        for name, limit in (("minimum", low), ("maximum", high)):
            if limit is None:
                continue
            if not math.isfinite(limit):
                yield Finding((name,), "is no finite number", "a number", fix="remove it: without it there is no limit")
            elif kind is not None and kind not in _NUMERIC:
                yield Finding(
                    (name,), f"has no meaning for the type {kind}", "only double and integer", fix=f"remove {name}"
                )
            elif kind in ("integer", "array<integer>") and limit != int(limit):
                yield Finding((name,), "is no whole number, as the type integer asks", "a whole number")
        if low is not None and high is not None and low > high:
            yield Finding(
                ("minimum",),
                f"is above maximum ({number_text(high)})",
                f"up to {number_text(high)}",
                fix="exchange the two",
            )
        if categories is not None:
            if kind is not None and kind not in _TEXT:
                fix = "remove categories, or make the type string"
                yield Finding(("categories",), f"have no meaning for the type {kind}", "only string", fix=fix)
            for index, twice in repeated(categories):
                yield Finding(("categories", index), f"{twice} stands twice", fix="remove one of the two")


class Signature(Section):
    """What a request and an answer look like."""

    inputs: Annotated[tuple[SignatureField, ...], Field(strict=False, min_length=1)] = Field(
        description="the fields of a request, a list of at least one"
    )
    outputs: Annotated[tuple[SignatureField, ...], Field(strict=False, min_length=1)] = Field(
        description="the fields of an answer, a list of at least one"
    )
    confidence: str | None = Field(
        default=None,
        description="the output that says how sure the model is, the name of an output of type double. Default: none",
    )
    entity_key: str | None = Field(
        default=None, description="the input that says whom a request is about, the name of an input. Default: none"
    )

    @property
    def personal(self) -> tuple[str, ...]:
        """Names of the fields that are marked as personal data."""
        return tuple(field.name for field in (*self.inputs, *self.outputs) if field.pii)

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        for side in ("inputs", "outputs"):
            # Columns of the prediction log do not tell upper from lower case.
            names = [field.name.lower() for field in values.get(side, ())]
            for index, twice in repeated(names):
                message = f"{side} has {twice} twice, upper and lower case taken as one"
                yield Finding((side, index, "name"), message, fix="rename one of the two")
            for index, name in enumerate(names):
                if taken := taken_column(side, name):
                    message = f"every record of the log has the column {taken} already"
                    yield Finding((side, index, "name"), message, fix="rename the field")
        yield from _refers(values, "confidence", "outputs", types=("double",))
        yield from _refers(values, "entity_key", "inputs", types=("string", "integer"))
        key = values.get("entity_key")
        if any(field.name == key and field.pii == "drop" for field in values.get("inputs", ())):
            message = f"nothing of {key} may be stored (pii: drop), and of the entity key a keyed hash is"
            yield Finding(("entity_key",), message, fix="write pii: hash, or remove entity_key")


def _refers(values: Mapping[str, Any], name: str, side: str, *, types: tuple[str, ...]) -> Iterator[Finding]:
    """A field that names one of the inputs or outputs."""
    wanted = values.get(name)
    if wanted is None or side not in values:
        return
    known = {field.name: field for field in values[side]}
    allowed = ", ".join(field.name for field in known.values() if field.type in types) or f"no {side[:-1]} fits"
    if wanted not in known:
        yield Finding((name,), f"is none of the {side}", allowed, nearest(wanted, known))
    elif known[wanted].type not in types:
        message = f"the {side[:-1]} {wanted} is of type {known[wanted].type}"
        yield Finding((name,), message, f"one of type {' or '.join(types)}: {allowed}")


def repeated(items: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Index and value of each item that stood earlier in the list."""
    seen: Counter[str] = Counter()
    for index, item in enumerate(items):
        seen[item] += 1
        if seen[item] > 1:
            yield index, item
