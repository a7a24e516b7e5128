"""The signature that is logged: recorded before it is deployed, and never taken back by a later catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.catalog import CatalogError, check_recorded, load_catalog, record_signature
from infra.catalog.signature_file import signature_path

CARD = """\
model: card
owner: ml-platform
runtime: sklearn-1.4-2
signature:
  inputs:
    - {name: token, type: string, pii: true}
    - {name: Amount, type: double}
  outputs:
    - {name: fraud, type: boolean}
awaiting: true
capacity: {instance_type: ml.m5.large}
"""

LOGGED = """\
{
  "schema": 1,
  "model": "card",
  "inputs": [
    {"name": "token", "type": "string", "pii": "hash"},
    {"name": "Amount", "type": "double", "pii": "keep"}
  ],
  "outputs": [
    {"name": "fraud", "type": "boolean", "pii": "keep"}
  ]
}
"""

Declare = Callable[[str], None]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Writes the model file; the committed signature lies beside it once it was pushed."""
    (tmp_path / "stacks" / "models").mkdir(parents=True)

    def write(text: str) -> None:
        (tmp_path / "stacks" / "models" / "card.yaml").write_text(text)

    write(CARD)
    return write


def pushed(root: Path) -> Path | None:
    return record_signature(root, load_catalog(root, "dev").models["card"])


def problems(root: Path, environment: str = "dev") -> list[str]:
    with pytest.raises(CatalogError) as refused:
        load_catalog(root, environment)
    return [str(problem) for problem in refused.value.problems]


def test_the_first_push_writes_what_is_logged(tmp_path: Path, declare: Declare) -> None:
    assert pushed(tmp_path) == signature_path(tmp_path, "card")
    assert signature_path(tmp_path, "card").read_text() == LOGGED
    assert json.loads(LOGGED)["model"] == "card"
    assert sorted(path.name for path in (tmp_path / "stacks" / "models").iterdir()) == [
        "card.signature.json",
        "card.yaml",
    ]


def test_a_push_of_the_same_signature_leaves_the_file_alone(tmp_path: Path, declare: Declare) -> None:
    pushed(tmp_path)
    path = signature_path(tmp_path, "card")
    before = path.stat()
    assert pushed(tmp_path) is None
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_nothing_is_refused_before_anything_was_logged(tmp_path: Path, declare: Declare) -> None:
    declare(CARD.replace("type: double", "type: integer"))
    assert list(load_catalog(tmp_path, "prod").models) == ["card"]


def test_a_signature_may_grow_and_the_file_grows_with_the_next_push(tmp_path: Path, declare: Declare) -> None:
    pushed(tmp_path)
    grown = CARD.replace("    - {name: token", "    - {name: country, type: string, pii: drop}\n    - {name: token")
    declare(
        grown.replace("{name: fraud, type: boolean}", "{name: fraud, type: boolean}\n    - {name: score, type: double}")
    )
    assert signature_path(tmp_path, "card").read_text() == LOGGED
    assert pushed(tmp_path) is not None
    now = json.loads(signature_path(tmp_path, "card").read_text())
    # In the order in which they came, wherever they stand in the catalog.
    assert [field["name"] for field in now["inputs"]] == ["token", "Amount", "country"]
    assert now["inputs"][2] == {"name": "country", "type": "string", "pii": "drop"}
    assert [field["name"] for field in now["outputs"]] == ["fraud", "score"]


def test_what_is_no_column_may_change(tmp_path: Path, declare: Declare) -> None:
    pushed(tmp_path)
    amount = "{name: amount, type: double, required: false, nullable: true, minimum: 0, description: in euros}"
    declare(CARD.replace("{name: Amount, type: double}", amount).replace("pii: true", "pii: hash"))
    assert pushed(tmp_path) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "    - {name: Amount, type: double}\n",
            "",
            "stacks/models/card.yaml:5: signature.inputs: Amount (double) is gone, and has been logged "
            "(stacks/models/card.signature.json); got no such field; allowed: fields may be added, never removed; "
            "fix: keep Amount with required: false; rows that have it stay readable",
        ),
        (
            "Amount, type: double",
            "amount_eur, type: double",
            "stacks/models/card.yaml:5: signature.inputs: Amount (double) is gone, and has been logged "
            "(stacks/models/card.signature.json); got no such field; did you mean amount_eur?; allowed: fields may be "
            "added, never removed; fix: keep Amount with required: false; rows that have it stay readable",
        ),
        (
            "Amount, type: double",
            "Amount, type: integer",
            "stacks/models/card.yaml:7: signature.inputs[1].type: Amount has been logged with another type "
            "(stacks/models/card.signature.json); got integer; allowed: double; fix: leave Amount as it was, and give "
            "the new meaning a new name",
        ),
        (
            "Amount, type: double",
            "Amount, type: array<double>",
            "stacks/models/card.yaml:7: signature.inputs[1].type: Amount has been logged with another type "
            "(stacks/models/card.signature.json); got array<double>; allowed: double; fix: leave Amount as it was, and "
            "give the new meaning a new name",
        ),
        (
            "Amount, type: double",
            "Amount, type: double, pii: drop",
            "stacks/models/card.yaml:7: signature.inputs[1].pii: Amount has been logged with another treatment of "
            "personal data (stacks/models/card.signature.json); got drop; allowed: false; fix: to protect Amount from "
            'now on, write "pii": "drop" in its line of stacks/models/card.signature.json in the same change; what '
            'was logged so far stays as it is: docs/guides/catalog.md, "When a signature changes"',
        ),
        (
            "Amount, type: double",
            "Amount, type: double, pii: true",
            "stacks/models/card.yaml:7: signature.inputs[1].pii: Amount has been logged with another treatment of "
            "personal data (stacks/models/card.signature.json); got true or hash; allowed: false; fix: write pii: "
            "drop: a hash is a text, which the column of Amount (double) cannot hold",
        ),
        (
            "type: string, pii: true",
            "type: string, pii: drop",
            "stacks/models/card.yaml:6: signature.inputs[0].pii: token has been logged with another treatment of "
            "personal data (stacks/models/card.signature.json); got drop; allowed: true or hash; fix: to protect token "
            'from now on, write "pii": "drop" in its line of stacks/models/card.signature.json in the same change; '
            'what was logged so far stays as it is: docs/guides/catalog.md, "When a signature changes"',
        ),
        (
            "type: string, pii: true",
            "type: string",
            "stacks/models/card.yaml:6: signature.inputs[0].pii: token has been logged with another treatment of "
            "personal data (stacks/models/card.signature.json); got false; allowed: true or hash; fix: leave pii: true "
            "or hash; what is to be logged with less protection needs a new name",
        ),
        (
            "fraud, type: boolean",
            "fraud, type: string",
            "stacks/models/card.yaml:9: signature.outputs[0].type: fraud has been logged with another type "
            "(stacks/models/card.signature.json); got string; allowed: boolean; fix: leave fraud as it was, and give "
            "the new meaning a new name",
        ),
    ],
)
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_what_was_logged_is_never_taken_back(
    tmp_path: Path, declare: Declare, environment: str, old: str, new: str, said: str
) -> None:
    pushed(tmp_path)
    declare(CARD.replace(old, new))
    assert problems(tmp_path, environment) == [said]


def test_every_break_is_told_at_once_and_nothing_is_written(tmp_path: Path, declare: Declare) -> None:
    model = load_catalog(tmp_path, "dev").models["card"]
    pushed(tmp_path)
    declare(CARD.replace("Amount, type: double", "Amount, type: integer, pii: true").replace("token", "key"))
    assert len(problems(tmp_path)) == 3
    signature_path(tmp_path, "card").write_text(LOGGED.replace("double", "timestamp"))
    with pytest.raises(
        ValueError, match=r"card\.signature\.json: signature\.inputs: Amount has been logged with another"
    ):
        record_signature(tmp_path, model)
    assert signature_path(tmp_path, "card").read_text() == LOGGED.replace("double", "timestamp")


@pytest.mark.parametrize(("was", "now"), [("false", "hash"), ("false", "drop"), ("hash", "drop")])
def test_protecting_a_field_later_takes_its_line_in_the_file(
    tmp_path: Path, declare: Declare, was: str, now: str
) -> None:
    declare(CARD.replace("pii: true", f"pii: {was}"))
    path = pushed(tmp_path)
    assert path
    declare(CARD.replace("pii: true", f"pii: {now}"))
    assert len(problems(tmp_path)) == 1
    path.write_text(path.read_text().replace(f'"pii": "{ACTION[was]}"', f'"pii": "{now}"', 1))
    catalog = load_catalog(tmp_path, "dev")
    check_recorded(tmp_path, catalog)
    assert record_signature(tmp_path, catalog.models["card"]) is None


ACTION = {"false": "keep", "hash": "hash"}
"""The catalog's word and the file's."""


def unrecorded(root: Path, environment: str = "dev") -> list[str]:
    with pytest.raises(CatalogError) as refused:
        check_recorded(root, load_catalog(root, environment))
    return [str(problem) for problem in refused.value.problems]


RECORD = "fix: mainstage catalog record card, and commit stacks/models/card.signature.json"


@pytest.mark.parametrize("serves", ["awaiting: true", "stable: 1"])
def test_what_is_deployed_is_recorded_first(tmp_path: Path, declare: Declare, serves: str) -> None:
    """An awaiting model's log stands too, with the requests that it refused."""
    declare(CARD.replace("awaiting: true", serves))
    assert unrecorded(tmp_path) == [
        "stacks/models/card.yaml:4: signature: once deployed its fields are logged, and "
        f"stacks/models/card.signature.json is not there to remember them; {RECORD}"
    ]
    pushed(tmp_path)
    check_recorded(tmp_path, load_catalog(tmp_path, "dev"))
    grown = CARD.replace(
        "  outputs:\n", "    - {name: months, type: integer}\n  outputs:\n    - {name: Score, type: double}\n"
    )
    declare(grown.replace("awaiting: true", serves))
    assert unrecorded(tmp_path, "prod") == [
        "stacks/models/card.yaml:8: signature.inputs[2].name: months is logged once deployed, and not in "
        f"stacks/models/card.signature.json yet; {RECORD}",
        "stacks/models/card.yaml:10: signature.outputs[0].name: Score is logged once deployed, and not in "
        f"stacks/models/card.signature.json yet; {RECORD}",
    ]
    pushed(tmp_path)
    check_recorded(tmp_path, load_catalog(tmp_path, "prod"))
    # And so what was logged in between is known.
    declare(grown.replace("months, type: integer", "months, type: string"))
    assert len(problems(tmp_path)) == 1


def test_a_file_that_broke_since_is_named(tmp_path: Path, declare: Declare) -> None:
    catalog = load_catalog(tmp_path, "dev")
    signature_path(tmp_path, "card").write_text("{")
    with pytest.raises(CatalogError, match=r"card\.signature\.json:1: is no record of a signature: no JSON"):
        check_recorded(tmp_path, catalog)


BROKEN = "stacks/models/card.signature.json:1: "
RESTORE = "; fix: restore it with `git checkout`, or delete it if nothing of the model has been logged"
FIELD = '{"name": "token", "type": "string", "pii": "hash"}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no record of a signature: no JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[]", "is no record of a signature: no mapping; got []; allowed: schema, model, inputs, outputs"),
        (
            LOGGED.replace('"schema": 1', '"schema": 2'),
            "schema: is no record of a signature: its schema is another one; got 2; allowed: 1",
        ),
        (
            LOGGED.replace('"card"', '"cart"'),
            'model: is no record of a signature: its model is another one; got "cart"; allowed: card',
        ),
        (
            LOGGED.replace('"outputs"', '"output"'),
            "outputs: is no record of a signature: no list of fields; got nothing; allowed: a list of name, type and "
            "pii",
        ),
        (
            LOGGED.replace(FIELD, "5"),
            "inputs[0]: is no record of a signature: no field; got 5; allowed: name, type and pii",
        ),
        (
            LOGGED.replace('"hash"', "true"),
            "inputs[0].pii: is no record of a signature: no pii; got true; allowed: keep, hash, drop",
        ),
        (
            LOGGED.replace('"boolean"', '"money"'),
            'outputs[0].type: is no record of a signature: no type; got "money"; allowed: double, integer, string, '
            "boolean, timestamp, array<double>, array<integer>, array<string>, array<boolean>, array<timestamp>",
        ),
        (
            LOGGED.replace('"Amount"', '"Token"'),
            'inputs[1].name: is no record of a signature: no name of its own; got "Token"; allowed: each column once',
        ),
        (
            LOGGED.replace('"outputs"', '"inputs"'),
            "is no record of a signature: no JSON (a key stands twice)",
        ),
    ],
)
def test_a_broken_file_is_refused_and_not_overwritten(tmp_path: Path, declare: Declare, text: str, said: str) -> None:
    model = load_catalog(tmp_path, "dev").models["card"]
    signature_path(tmp_path, "card").write_text(text)
    assert problems(tmp_path) == [f"{BROKEN}{said}{RESTORE}"]
    with pytest.raises(ValueError, match=r"card\.signature\.json: "):
        record_signature(tmp_path, model)
    assert signature_path(tmp_path, "card").read_text() == text


def test_bytes_that_are_no_text_are_refused_too(tmp_path: Path, declare: Declare) -> None:
    signature_path(tmp_path, "card").write_bytes(b"\xff\xfe{")
    [problem] = problems(tmp_path)
    assert problem.startswith(f"{BROKEN}is no record of a signature: no JSON ('utf-8' codec can't decode")
    signature_path(tmp_path, "card").write_text("[" * 100_000)
    [problem] = problems(tmp_path)
    assert problem.startswith(f"{BROKEN}is no record of a signature: no JSON (")


def test_line_endings_of_another_system_are_no_change_of_the_signature(tmp_path: Path, declare: Declare) -> None:
    """A push puts them right."""
    pushed(tmp_path)
    path = signature_path(tmp_path, "card")
    path.write_bytes(LOGGED.replace("\n", "\r\n").encode())
    assert list(load_catalog(tmp_path, "prod").models) == ["card"]
    assert pushed(tmp_path) == path
    assert path.read_bytes() == LOGGED.encode()


def test_only_commands_write_it(root: Path) -> None:
    """A rehearsal registers versions too, and never writes into the checkout; drills write into a folder of their
    own."""
    users = {
        path.relative_to(root).as_posix()
        for path in (root / "infra").rglob("*.py")
        if "record_signature(" in path.read_text(encoding="utf-8")
    }
    assert users == {
        "infra/catalog/signature_file.py",
        "infra/cli/catalog.py",
        "infra/cli/model.py",
        "infra/rehearsal/drills/world.py",
    }


def test_the_shipped_models_hold_to_what_is_committed(root: Path) -> None:
    committed = sorted((root / "stacks" / "models").glob("*.signature.json"))
    assert [path.name for path in committed] == ["card-fraud.signature.json", "iris.signature.json"]
    for environment in ("dev", "staging", "prod"):
        check_recorded(root, load_catalog(root, environment))
