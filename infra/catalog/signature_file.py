"""`stacks/models/<model>.signature.json`: what is logged of a model, as columns of its prediction log.

`mainstage catalog record` and `mainstage model push` write it, and it is committed. A signature may grow: a new field
is a new column, which older rows have as null. It may not lose a field, give one another type, or treat its personal
data otherwise, because the rows that are there already could no longer be read. Reading the catalog refuses that,
before anything is deployed.

What is deployed is logged: a model that is only declared is asked too, and its refusals are logged with what the
request held. So every field has to be in the file before it is deployed (`check_recorded`, infra/catalog/recorded.py);
until then it may change as it likes. Whoever gives logged rows up on purpose edits the file, in the same change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mainstage_runtime.record import column_type, pii_action

from infra.catalog.signature import FieldType
from infra.problems import Problem, nearest, shown
from infra.yaml_lines import Location, display_path, dotted

if TYPE_CHECKING:
    from infra.catalog.load import Source
    from infra.catalog.schema import Model
    from infra.catalog.signature import Signature

SCHEMA = 1
SIDES = ("inputs", "outputs")
TYPES: tuple[str, ...] = get_args(FieldType)
ACTIONS = ("keep", "hash", "drop")
"""What is done to a field before it is logged, the mildest first."""
IN_THE_CATALOG = {"keep": "false", "hash": "true or hash", "drop": "drop"}
GUIDE = 'docs/guides/catalog.md, "When a signature changes"'

Logged = dict[str, list[dict[str, str]]]
"""The fields of each side in the order in which they came, each with `name`, `type` and `pii` (keep, hash or drop)."""


class SignatureFileError(ValueError):
    """The file cannot be read, or a signature does not fit it. `why` without the file, and where in it."""

    def __init__(self, path: Path, why: str, field: str = "", got: str = "", allowed: str = "") -> None:
        super().__init__(f"{path}: {field}: {why}" if field else f"{path}: {why}")
        self.why, self.field, self.got, self.allowed = why, field, got, allowed


def signature_path(root: Path, model: str) -> Path:
    """The file of a model, whether it exists or not."""
    return root / "stacks" / "models" / f"{model}.signature.json"


def signature_problems(root: Path, model: Model, source: Source) -> list[Problem]:
    """What the catalog's signature takes away from what has been logged; nothing while there is no file."""
    path = signature_path(root, model.model)
    if not path.is_file():
        return []
    file = display_path(path, root)
    try:
        logged = _read(path, model.model)
    except SignatureFileError as broken:
        fix = "restore it with `git checkout`, or delete it if nothing of the model has been logged"
        message = f"is no record of a signature: {broken.why}"
        return [Problem(file, 1, broken.field, message, broken.got, broken.allowed, fix=fix)]
    current = _fields(model.signature)
    problems = []
    for side in SIDES:
        for location, *said in _lost(side, logged[side], current[side], file):
            written_in, line, written = source.place(location)
            problems.append(Problem(written_in, line, dotted(written), *said))
    return problems


def unrecorded(root: Path, model: Model) -> dict[str, list[tuple[int, str]]] | None:
    """Index and name of each field that the file does not hold, by side; sides without one are left out.

    None: there is no file. Raises SignatureFileError for a broken one.
    """
    path = signature_path(root, model.model)
    if not path.is_file():
        return None
    logged, current = _read(path, model.model), _fields(model.signature)
    found: dict[str, list[tuple[int, str]]] = {}
    for side in SIDES:
        known = {_column(field) for field in logged[side]}
        if new := [(index, field["name"]) for index, field in enumerate(current[side]) if _column(field) not in known]:
            found[side] = new
    return found


def record_signature(root: Path, model: Model) -> Path | None:
    """Adds the signature's new fields to the model's file. Returns the file when it was written, None when all was in
    it already.

    Raises SignatureFileError when the file is broken or the signature takes something away: the catalog refuses both,
    so one of the two was changed since.
    """
    path = signature_path(root, model.model)
    exists = path.is_file()
    logged = _read(path, model.model) if exists else {side: [] for side in SIDES}
    current = _fields(model.signature)
    for side in SIDES:
        for _, message, *_ in _lost(side, logged[side], current[side], path.name):
            raise SignatureFileError(path, message, f"signature.{side}")
    after = _text(model.model, {side: _union(logged[side], current[side]) for side in SIDES})
    if exists and path.read_bytes() == after.encode():
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
        if now["type"] != field["type"]:
            message = f"{name} has been logged with another type ({file})"
            fix = f"leave {name} as it was, and give the new meaning a new name"
            yield ("signature", side, index, "type"), message, now["type"], field["type"], "", fix
        if now["pii"] != field["pii"]:
            message = f"{name} has been logged with another treatment of personal data ({file})"
            was, said = IN_THE_CATALOG[field["pii"]], IN_THE_CATALOG[now["pii"]]
            yield ("signature", side, index, "pii"), message, said, was, "", _other_treatment(field, now, file)


def _other_treatment(was: Mapping[str, str], now: Mapping[str, str], file: str) -> str:
    """How to go on when personal data is to be treated otherwise than it has been logged."""
    name, stays = was["name"], f"leave pii: {IN_THE_CATALOG[was['pii']]}"
    if ACTIONS.index(now["pii"]) < ACTIONS.index(was["pii"]):
        return f"{stays}; what is to be logged with less protection needs a new name"
    if now["pii"] == "hash" and column_type(was) != column_type(now):
        return f"write pii: drop: a hash is a text, which the column of {name} ({was['type']}) cannot hold"
    return (
        f'to protect {name} from now on, write "pii": "{now["pii"]}" in its line of {file} in the same change; '
        f"what was logged so far stays as it is: {GUIDE}"
    )


def _read(path: Path, model: str) -> Logged:
    """The file's fields. Raises SignatureFileError: what somebody wrote into it may be anything."""
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        raise SignatureFileError(path, f"no JSON ({error})") from None
    if not isinstance(body, dict):
        raise SignatureFileError(path, "no mapping", got=shown(body), allowed="schema, model, inputs, outputs")
    for key, wanted in (("schema", SCHEMA), ("model", model)):
        if body.get(key) != wanted:
            raise SignatureFileError(path, f"its {key} is another one", key, shown(body.get(key)), str(wanted))
    return {side: _fields_in(path, side, body.get(side)) for side in SIDES}


def _fields_in(path: Path, side: str, fields: Any) -> list[dict[str, str]]:
    if not isinstance(fields, list):
        raise SignatureFileError(path, "no list of fields", side, shown(fields), "a list of name, type and pii")
    seen: set[str] = set()
    for index, field in enumerate(fields):
        place = f"{side}[{index}]"
        if not isinstance(field, dict) or set(field) != {"name", "type", "pii"}:
            raise SignatureFileError(path, "no field", place, shown(field), "name, type and pii")
        for key, allowed in (("type", TYPES), ("pii", ACTIONS)):
            if field[key] not in allowed:
                raise SignatureFileError(path, f"no {key}", f"{place}.{key}", shown(field[key]), ", ".join(allowed))
        if not isinstance(field["name"], str) or not field["name"] or _column(field) in seen:
            raise SignatureFileError(
                path, "no name of its own", f"{place}.name", shown(field["name"]), "each column once"
            )
        seen.add(_column(field))
    return fields


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice is what is left of a merge; the second would hide the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _text(model: str, logged: Logged) -> str:
    """Canonical: a field a line, so that a diff shows fields."""
    sides = []
    for side in SIDES:
        fields = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in logged[side])
        sides.append(f'  "{side}": [\n{fields}\n  ]')
    return f'{{\n  "schema": {SCHEMA},\n  "model": {json.dumps(model)},\n' + ",\n".join(sides) + "\n}\n"
