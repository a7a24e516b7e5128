"""`stacks/models/<model>.signature.json`: what has been logged of a model so far, as columns of its prediction log.

`mainstage model push` writes it and it is committed. A signature may grow: a new field is a new column, which older
rows have as null. It may not lose a field, give one another type, or treat its personal data otherwise, because the
rows that are there already could no longer be read. Reading the catalog refuses that, before anything is deployed.

No file: nothing has been logged yet, and the signature may still change as it likes. Whoever gives logged rows up on
purpose takes the field out of the file, in the same change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstage_runtime.record import pii_action

from infra.problems import Problem, nearest
from infra.yaml_lines import Location, display_path, dotted

if TYPE_CHECKING:
    from infra.catalog.load import Source
    from infra.catalog.schema import Model
    from infra.catalog.signature import Signature

SCHEMA = 1
SIDES = ("inputs", "outputs")

Logged = dict[str, list[dict[str, str]]]
"""The fields of each side in the order in which they came, each with `name`, `type` and `pii` (keep, hash or drop)."""


def signature_path(root: Path, model: str) -> Path:
    """The file of a model, whether it exists or not."""
    return root / "stacks" / "models" / f"{model}.signature.json"


def signature_problems(root: Path, model: Model, source: Source) -> list[Problem]:
    """What the catalog's signature takes away from what has been logged; nothing while there is no file."""
    path = signature_path(root, model.model)
    if not path.is_file():
        return []
    file = display_path(path, root)
    logged = _read(path)
    if isinstance(logged, str):
        fix = "restore it with `git checkout`, or delete it if nothing of the model has been logged"
        return [Problem(file, 1, "", f"is no record of a signature: {logged}", fix=fix)]
    current = _fields(model.signature)
    problems = []
    for side in SIDES:
        for location, *said in _lost(side, logged[side], current[side], file):
            written_in, line, written = source.place(location)
            problems.append(Problem(written_in, line, dotted(written), *said))
    return problems


def record_signature(root: Path, model: Model) -> Path | None:
    """Adds the signature's new fields to the model's file. Returns the file when it was written, None when all was in
    it already.

    Raises ValueError when the signature takes something away: the catalog refuses that one, so it was changed since.
    """
    path = signature_path(root, model.model)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    logged = _read(path) if before else {side: [] for side in SIDES}
    if isinstance(logged, str):
        raise ValueError(f"{path}: {logged}")
    current = _fields(model.signature)
    for side in SIDES:
        for _, message, *_ in _lost(side, logged[side], current[side], path.name):
            raise ValueError(f"{path}: signature.{side}: {message}")
    after = _text(model.model, {side: _union(logged[side], current[side]) for side in SIDES})
    if after == before:
        return None
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(after, encoding="utf-8", newline="\n")
    beside.replace(path)
    return path


def _fields(signature: Signature) -> Logged:
    found: Logged = {}
    for side in SIDES:
        fields = [field.model_dump() for field in getattr(signature, side)]
        found[side] = [{"name": f["name"], "type": f["type"], "pii": pii_action(f)} for f in fields]
    return found


def _union(logged: list[dict[str, str]], current: list[dict[str, str]]) -> list[dict[str, str]]:
    known = {_column(field) for field in logged}
    return [*logged, *(field for field in current if _column(field) not in known)]


def _column(field: Mapping[str, str]) -> str:
    """Columns of the log do not tell upper from lower case."""
    return field["name"].lower()


def _lost(
    side: str, logged: list[dict[str, str]], current: list[dict[str, str]], file: str
) -> Iterator[tuple[Location, str, str, str, str, str]]:
    """Location, message, got, allowed, nearest and fix for each logged field that the signature would break."""
    by_column = {_column(field): (index, field) for index, field in enumerate(current)}
    for field in logged:
        found = by_column.get(_column(field))
        name = field["name"]
        if found is None:
            message = f"{name} ({field['type']}) is gone, and has been logged ({file})"
            fix = f"keep {name} with required: false; rows that have it stay readable"
            new = [each["name"] for each in current if _column(each) not in {_column(old) for old in logged}]
            yield (
                ("signature", side),
                message,
                "no such field",
                "fields may be added, never removed",
                nearest(name, new),
                fix,
            )
            continue
        index, now = found
        fix = f"leave {name} as it was, and give the new meaning a new name"
        for key, what in (("type", "type"), ("pii", "treatment of personal data")):
            if now[key] != field[key]:
                message = f"{name} has been logged with another {what} ({file})"
                yield ("signature", side, index, key), message, now[key], field[key], "", fix


def _read(path: Path) -> Logged | str:
    """The file's fields, or what is wrong with the file."""
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"no JSON ({error})"
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        return f"its schema is not {SCHEMA}"
    logged: Logged = {}
    for side in SIDES:
        fields = body.get(side)
        if not isinstance(fields, list) or not all(_is_field(field) for field in fields):
            return f"{side} is no list of fields with name, type and pii"
        logged[side] = fields
    return logged


def _is_field(field: Any) -> bool:
    return (
        isinstance(field, dict)
        and set(field) == {"name", "type", "pii"}
        and all(isinstance(value, str) for value in field.values())
    )


def _text(model: str, logged: Logged) -> str:
    """Canonical: a field a line, so that a diff shows fields."""
    sides = []
    for side in SIDES:
        fields = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in logged[side])
        sides.append(f'  "{side}": [\n{fields}\n  ]')
    return f'{{\n  "schema": {SCHEMA},\n  "model": {json.dumps(model)},\n' + ",\n".join(sides) + "\n}\n"
