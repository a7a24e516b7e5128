"""A model's signature as an argument: what a request and an answer look like, field by field.

`read_signature` gives it in the form that the runtime's functions and the prediction log read: the `signature` of
`mainstage.json`, defaults left out, so that equal signatures give equal archives.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from mainstage_runtime.record import taken_column
from mainstage_runtime.values import number_text

from ._patterns import Pattern
from ._resolve import Reader, nearest

SCALAR_TYPES = ("double", "integer", "string", "boolean", "timestamp")
FIELD_TYPES = (*SCALAR_TYPES, *(f"array<{scalar}>" for scalar in SCALAR_TYPES))
"""Types of a field."""

PII_ACTIONS = ("hash", "drop")
"""What may happen to personal data before anything is stored: a keyed hash stands for it, or nothing does."""

_FIELD_NAME = Pattern(
    r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and _, not beginning with a digit", maximum=63
)
_DESCRIPTION = Pattern(r"(?s:.*)", "a text of up to 1024 characters", maximum=1024)
_CATEGORY = Pattern(r"(?s:.*)", "a text of up to 1024 characters", maximum=1024)
_LARGEST_EXACT = 2**53
"""Up to here every whole number is the same number as a float."""


class SignatureFieldArgs(TypedDict):
    """One field of a request or an answer."""

    name: str
    """Name of the field: letters, digits and _, at most 63. It becomes a column of the prediction log: an input is not
    called bytes or sha256 and an output not bytes, because every record has such columns."""
    type: str
    """`double`, `integer`, `string`, `boolean` or `timestamp`, or `array<…>` of one of them."""
    description: NotRequired[str]
    """What the field means, with its unit: the column's comment. Omitted: nothing."""
    required: NotRequired[bool]
    """Whether a request must have it. Omitted: true."""
    nullable: NotRequired[bool]
    """Whether the value may be null. Omitted: false."""
    minimum: NotRequired[float]
    """Smallest value that is taken; numbers only. Omitted: no limit."""
    maximum: NotRequired[float]
    """Largest value that is taken; numbers only. Omitted: no limit."""
    categories: NotRequired[list[str]]
    """Texts that the model was trained on; texts only. Others are answered too. Omitted: any text."""
    pii: NotRequired[str]
    """Marks personal data and says what is stored of it: `hash` (a keyed hash) or `drop` (nothing). Omitted: it is no
    personal data, and is stored as it is."""


class SignatureArgs(TypedDict):
    """What a request and an answer of a model look like."""

    inputs: list[SignatureFieldArgs]
    """Fields of a request, at least one."""
    outputs: list[SignatureFieldArgs]
    """Fields of an answer, at least one."""
    confidence: NotRequired[str]
    """Output that says how sure the model is, of type double. Omitted: none."""
    entity_key: NotRequired[str]
    """Input that says whom a request is about, of type string or integer. Its keyed hash is logged. Omitted: none."""


def read_signature(reader: Reader, field: str) -> dict[str, Any]:
    """Reads an argument of type `SignatureArgs`: `{"inputs": [...], "outputs": [...], "confidence", "entity_key"}`,
    plain values only, defaults left out. What is wrong is the reader's; the answer then means nothing.
    """
    section = reader.section(field, SignatureArgs)
    if section is None:
        return {"inputs": [], "outputs": []}
    sides = {side: _fields(section, side) for side in ("inputs", "outputs")}
    signature: dict[str, Any] = dict(sides)
    for name, side, types in (("confidence", "outputs", ("double",)), ("entity_key", "inputs", ("string", "integer"))):
        if section.has(name):
            wanted = section.plain(name, _FIELD_NAME)
            _refers(section, name, wanted, sides[side], types)
            signature[name] = wanted
    key = signature.get("entity_key")
    if any(each["name"] == key and each.get("pii") == "drop" for each in sides["inputs"]):
        allowed = "an input that is not dropped: of the entity key a keyed hash is stored"
        section.refuse("entity_key", key, allowed, f"write pii: hash for {key}, or leave entity_key out")
    return signature


def hashes_personal_data(signature: dict[str, Any]) -> bool:
    """Whether something of the signature is logged as a keyed hash: a field marked so, or the entity key."""
    fields = [*signature["inputs"], *signature["outputs"]]
    return "entity_key" in signature or any(field.get("pii") == "hash" for field in fields)


def holds_personal_data(signature: dict[str, Any]) -> bool:
    """Whether a field is marked as personal data."""
    return any("pii" in field for field in (*signature["inputs"], *signature["outputs"]))


def _fields(section: Reader, side: str) -> list[dict[str, Any]]:
    readers = section.sections(side, SignatureFieldArgs)
    if section.has(side) and not readers:
        section.refuse(side, section.raw(side), "a list of at least one field", "add a field")
    fields = [_field(reader) for reader in readers]
    seen: set[str] = set()
    for index, field in enumerate(fields):
        # Columns of the prediction log do not tell upper from lower case.
        name = field["name"].lower()
        if name and name in seen:
            allowed = "each name once, upper and lower case taken as one"
            section.refuse(f"{side}[{index}].name", field["name"], allowed, "rename one of the two")
        elif name and (taken := taken_column(side, name)):
            allowed = f"another name: every record has the column {taken} already"
            section.refuse(f"{side}[{index}].name", field["name"], allowed, "rename the field")
        seen.add(name)
    return fields


def _field(reader: Reader) -> dict[str, Any]:
    kind = reader.choice("type", FIELD_TYPES)
    field: dict[str, Any] = {"name": reader.plain("name", _FIELD_NAME), "type": kind}
    if description := reader.plain("description", _DESCRIPTION, default=""):
        field["description"] = description
    if not reader.flag("required", default=True):
        field["required"] = False
    if reader.flag("nullable", default=False):
        field["nullable"] = True
    field |= _limits(reader, kind)
    if reader.has("categories"):
        if kind not in ("string", "array<string>"):
            reader.refuse("categories", reader.raw("categories"), "only with the type string", "remove categories")
        field["categories"] = list(reader.plain_list("categories", _CATEGORY, minimum=1))
    if reader.has("pii"):
        field["pii"] = reader.choice("pii", PII_ACTIONS)
    return field


def _limits(reader: Reader, kind: str) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for name in ("minimum", "maximum"):
        if not reader.has(name):
            continue
        if kind not in ("double", "integer", "array<double>", "array<integer>"):
            reader.refuse(name, reader.raw(name), "only with the types double and integer", f"remove {name}")
        # 3 and 3.0 are one number, whichever language sent it, and give one archive.
        number = reader.number(name)
        limits[name] = int(number) if number.is_integer() and abs(number) <= _LARGEST_EXACT else number
    if len(limits) == 2 and limits["minimum"] > limits["maximum"]:
        reader.refuse(
            "minimum", limits["minimum"], f"up to maximum ({number_text(limits['maximum'])})", "exchange the two"
        )
    return limits


def _refers(section: Reader, name: str, wanted: str, fields: Sequence[dict[str, Any]], types: tuple[str, ...]) -> None:
    """Refuses a name that is no field of one of the types."""
    known = [field["name"] for field in fields if field["type"] in types]
    if wanted and wanted not in known:
        close = nearest(wanted, known)
        fix = f'write "{close}"' if close else f"name a field of type {' or '.join(types)}"
        section.refuse(name, wanted, ", ".join(known) or f"no field is of type {' or '.join(types)}", fix)
