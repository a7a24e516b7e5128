"""A signature that grows: old rows stay readable beside new ones, and nothing that serves is touched. What would make
them unreadable is refused before anything is deployed.

One rehearsal of a small model of its own; the tests go from its first signature to its second and on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rehearsed import Rehearsed, until
from served import checkout, mainstage
from tenancy import Tenancy

from infra.catalog import CatalogError, load_catalog, record_signature
from infra.catalog.signature_file import signature_path
from infra.front_door import FrontDoor, Reply
from infra.predictions import athena
from infra.rehearsal.cloud.journal import Entry
from infra.rehearsal.cloud.overlay.firehose_delivery import flush
from infra.rehearsal.rehearse import Options, Rehearsal, RehearsalError
from infra.rehearsal.report import StackReport

MODEL, LOG, DATABASE = "loan", "dev-loan", "mainstage_dev_loan"

FIRST = """\
model: loan
owner: ml-platform
runtime: sklearn-1.4-2
signature:
  inputs:
    - {name: amount, type: double}
    - {name: tax_number, type: string, pii: drop, required: false}
  outputs:
    - {name: granted, type: boolean}
stable: 1
capacity: {instance_type: ml.m5.large}
"""
SECOND = FIRST.replace(
    "  outputs:\n",
    "    - {name: months, type: integer, required: false, nullable: true}\n"
    "    - {name: email, type: string, pii: hash, required: false}\n"
    "  outputs:\n"
    "    - {name: score, type: double}\n",
)

INFERENCE = '''\
"""Has answered with a score all along; the signature learns of it later."""

import json


def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    return json.loads(body)["instances"]


def predict_fn(rows, model):
    return [{"granted": row["amount"] < 100, "score": row["amount"] / (row.get("months") or 1)} for row in rows]


def output_fn(predictions, accept):
    return json.dumps({"predictions": predictions}), "application/json"
'''


@pytest.fixture(scope="module")
def rehearsed(tenancy: Tenancy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    cloud = tenancy.empty()
    root = checkout(tmp_path_factory.mktemp("checkout"))
    for path in (root / "stacks" / "models").iterdir():
        path.unlink()
    declare(root, FIRST)
    record_signature(root, load_catalog(root, "dev").models[MODEL])
    (root / "models" / MODEL).mkdir(parents=True)
    (root / "models" / MODEL / "inference.py").write_text(INFERENCE)
    with Rehearsal(Options(root, predictions=2), cloud=cloud) as rehearsal:
        assert rehearsal.run().problems == []
        rehearsal.publish()
        yield Rehearsed(rehearsal, FrontDoor(rehearsal.target))
    tenancy.empty()


def asked(rehearsed: Rehearsed) -> list[Entry]:
    """The operator's calls so far; what the parts of the log do meanwhile is not among them."""
    operator = rehearsed.cloud.principals.operator.arn
    return [entry for entry in rehearsed.cloud.journal.entries() if entry.principal == operator]


def declare(root: Path, text: str) -> None:
    (root / "stacks" / "models" / "loan.yaml").write_text(text)


def up(rehearsed: Rehearsed) -> StackReport:
    """Applies the model files again; the models layer's changes."""
    rehearsal = rehearsed.rehearsal
    rehearsal._up("models", load_catalog(rehearsal.root, "dev"))
    return rehearsal.report.stacks[-1]


def quiet(done: StackReport) -> bool:
    """Nothing was done."""
    return done.changes.keys() <= {"same", "read"}


def command(rehearsed: Rehearsed, *words: str) -> tuple[str, dict[str, Any]]:
    """Runs `mainstage`. Returns what it said, and the signature file."""
    root = rehearsed.rehearsal.root
    done = mainstage(root, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr, json.loads(signature_path(root, MODEL).read_text())


def record(rehearsed: Rehearsed) -> Path | None:
    """What `catalog record` and `model push` do to the file."""
    root = rehearsed.rehearsal.root
    return record_signature(root, load_catalog(root, "dev").models[MODEL])


def ask(rehearsed: Rehearsed, **row: Any) -> Reply:
    body = json.dumps({"instances": [row]}).encode()
    return rehearsed.door.post(f"/v1/models/{MODEL}/predictions", body)


def rows(rehearsed: Rehearsed, ids: list[str], source: str = "predictions") -> list[dict[str, Any]]:
    """Every column of these requests, in their order, once all are in the log."""

    def found() -> list[dict[str, Any]] | None:
        flush(rehearsed.cloud)
        told = athena.run(rehearsed.rehearsal.target, MODEL, f"SELECT * FROM {source}").rows
        by_id = {row["request_id"]: row for row in told}
        return [by_id[each] for each in ids] if set(ids) <= set(by_id) else None

    return until(found, f"{len(ids)} requests in the log")


def made(rehearsed: Rehearsed) -> dict[str, Any]:
    """When each thing was made that a growing signature may not make anew; and when the endpoint was last touched."""
    client = rehearsed.client
    endpoint = client("sagemaker").describe_endpoint(EndpointName=LOG)
    stream = client("firehose").describe_delivery_stream(DeliveryStreamName=f"{LOG}-predictions")
    tables = client("glue").get_tables(DatabaseName=DATABASE)["TableList"]
    return {
        "endpoint": (endpoint["EndpointConfigName"], endpoint["CreationTime"], endpoint["LastModifiedTime"]),
        "stream": stream["DeliveryStreamDescription"]["CreateTimestamp"],
        **{each["Name"]: each["CreateTime"] for each in tables},
    }


@contextmanager
def traffic(rehearsed: Rehearsed) -> Iterator[list[Reply]]:
    """Asks one request after the other until the block ends; gives the replies."""
    replies: list[Reply] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            replies.append(ask(rehearsed, amount=float(len(replies))))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield replies
        finally:
            over.set()
        running.result()


def columns(rehearsed: Rehearsed, table: str) -> list[str]:
    found = rehearsed.client("glue").get_table(DatabaseName=DATABASE, Name=table)["Table"]
    return [each["Name"] for each in found["StorageDescriptor"]["Columns"]]


def test_a_push_and_catalog_record_write_the_file_once(rehearsed: Rehearsed) -> None:
    path = signature_path(rehearsed.rehearsal.root, MODEL)
    path.unlink()
    said, logged = command(rehearsed, "model", "push", MODEL, f"models/{MODEL}")
    assert "wrote stacks/models/loan.signature.json" in said
    assert logged == {
        "schema": 1,
        "model": "loan",
        "inputs": [
            {"name": "amount", "type": "double", "pii": "keep"},
            {"name": "tax_number", "type": "string", "pii": "drop"},
        ],
        "outputs": [{"name": "granted", "type": "boolean", "pii": "keep"}],
    }
    before = path.stat()
    assert command(rehearsed, "catalog", "record", MODEL) == ("every field is recorded already\n", logged)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    path.unlink()
    said, again = command(rehearsed, "catalog", "record", MODEL)
    assert "wrote stacks/models/loan.signature.json: commit it" in said
    assert again == logged


@dataclass
class Growth:
    """What was before the signature grew, and what `up` did."""

    old: list[Reply]
    before: dict[str, Any]
    columns: list[str]
    meanwhile: list[Reply]
    """Replies to requests that were sent all the while."""
    done: StackReport
    calls: list[str]
    """What was changed, in its order."""
    unrecorded: str
    """What `up` said before the new fields were recorded; it called nothing."""


@pytest.fixture(scope="module")
def grown(rehearsed: Rehearsed) -> Growth:
    """Predictions under the first signature, then the second one deployed."""
    old = [ask(rehearsed, amount=50.0), ask(rehearsed, amount=500, tax_number="1")]
    assert [reply.status for reply in old] == [200, 200]
    assert ask(rehearsed, amount=1.0, months=3).status == 400
    found = rows(rehearsed, [reply.request_id for reply in old])
    assert [row["output_granted"] for row in found] == ["[true]", "[false]"]
    before, old_columns = made(rehearsed), columns(rehearsed, "records")
    entries = len(asked(rehearsed))
    declare(rehearsed.rehearsal.root, SECOND)
    unrecorded = mainstage(rehearsed.rehearsal.root, "up", "--env", "dev")
    assert len(asked(rehearsed)) == entries
    assert unrecorded.returncode == 1
    record(rehearsed)
    with traffic(rehearsed) as meanwhile:
        done = up(rehearsed)
    calls = [
        " ".join([each.operation, *each.params.values()])
        for each in asked(rehearsed)[entries:]
        if each.operation in ("UpdateTable", "UpdateFunctionCode")
    ]
    return Growth(old, before, old_columns, meanwhile, done, calls, unrecorded.stderr)


@pytest.fixture
def recorded(rehearsed: Rehearsed, grown: Growth) -> Path:
    """The file with both signatures in it."""
    return signature_path(rehearsed.rehearsal.root, MODEL)


def test_what_is_not_recorded_is_not_deployed(grown: Growth) -> None:
    """Else it would be logged, and could be given another type afterwards."""
    for name, place in (("months", "inputs[2]"), ("email", "inputs[3]"), ("score", "outputs[0]")):
        assert f"signature.{place}.name: {name} is logged once deployed" in grown.unrecorded
    assert "fix: mainstage catalog record loan, and commit stacks/models/loan.signature.json" in grown.unrecorded


def test_a_signature_grows_in_place(rehearsed: Rehearsed, grown: Growth) -> None:
    assert grown.done.changes.get("replace", 0) == grown.done.changes.get("delete", 0) == 0
    assert grown.done.changes.get("update", 0) > 0
    assert made(rehearsed) == grown.before
    assert {"records", "predictions"} < grown.before.keys()
    for table in ("records", "predictions"):
        now = columns(rehearsed, table)
        assert {"input_months", "input_email", "output_score"} <= set(now)
        assert set(grown.columns) <= set(now)
    assert quiet(up(rehearsed))


def test_nobody_gets_what_he_does_not_know_yet_while_it_grows(rehearsed: Rehearsed, grown: Growth) -> None:
    """The front door after the table and the transform. Whoever asked meanwhile was answered and is logged."""
    table, transform, front_door = (
        next(index for index, call in enumerate(grown.calls) if call.startswith(start))
        for start in ("UpdateTable", f"UpdateFunctionCode {LOG}-transform", f"UpdateFunctionCode {LOG}-front-door")
    )
    assert max(table, transform) < front_door
    assert {reply.status for reply in grown.meanwhile} == {200}
    ids = [reply.request_id for reply in grown.meanwhile]
    assert len(rows(rehearsed, ids)) == len(ids) > 3
    assert rehearsed.metric("Mainstage", "Rejected", LogName=LOG) == 0


def test_old_rows_stay_readable_beside_new_ones(rehearsed: Rehearsed, grown: Growth) -> None:
    new = [
        ask(rehearsed, amount=50.0),
        ask(rehearsed, amount=60.0, months=3, email="zoe@example.org"),
        ask(rehearsed, amount=70.0, months=None),
    ]
    assert [reply.status for reply in new] == [200, 200, 200]
    ids = [reply.request_id for reply in (*grown.old, *new)]
    for source in ("records", "predictions"):
        found = rows(rehearsed, ids, source)
        assert [row["input_amount"] for row in found] == ["[50.0]", "[500.0]", "[50.0]", "[60.0]", "[70.0]"]
        assert [row["output_granted"] for row in found] == ["[true]", "[false]", "[true]", "[true]", "[true]"]
        # Not logged then; logged and left out; there.
        assert [row["input_months"] for row in found] == [None, None, "[null]", "[3]", "[null]"]
        assert [row["output_score"] for row in found] == [None, None, "[50.0]", "[20.0]", "[70.0]"]
        assert [row["input_email"] is None for row in found] == [True, True, False, False, False]
        assert len(found[3]["input_email"]) == 34
        assert {row["version"] for row in found} == {"1"}


def test_the_file_has_what_is_new(rehearsed: Rehearsed, recorded: Path) -> None:
    assert record(rehearsed) is None
    logged = json.loads(recorded.read_text())
    assert [field["name"] for field in logged["inputs"]] == ["amount", "tax_number", "months", "email"]
    assert [(field["name"], field["pii"]) for field in logged["outputs"]] == [("granted", "keep"), ("score", "keep")]


REFUSED = {
    "removed": ("    - {name: amount, type: double}\n", "", "amount (double) is gone", "no such field"),
    "an output removed": ("    - {name: score, type: double}\n", "", "score (double) is gone", "no such field"),
    "renamed": ("name: amount,", "name: amount_eur,", "amount (double) is gone", "did you mean amount_eur?"),
    "retyped": ("amount, type: double", "amount, type: string", "another type", "got string; allowed: double"),
    "an array": ("months, type: integer", "months, type: array<integer>", "another type", "allowed: integer"),
    "drop to clear": (", pii: drop", "", "another treatment of personal data", "got false; allowed: drop"),
    "hash to drop": ("pii: hash", "pii: drop", "another treatment of personal data", "got drop; allowed: true or hash"),
}


@pytest.mark.parametrize(("old", "new", "said", "detail"), REFUSED.values(), ids=REFUSED)
def test_what_would_make_rows_unreadable_is_refused_before_anything_is_deployed(
    rehearsed: Rehearsed, recorded: Path, old: str, new: str, said: str, detail: str
) -> None:
    root = rehearsed.rehearsal.root
    calls = len(asked(rehearsed))
    assert SECOND.count(old) == 1
    declare(root, SECOND.replace(old, new))
    try:
        with pytest.raises(CatalogError) as refused:
            up(rehearsed)
    finally:
        declare(root, SECOND)
    [problem] = refused.value.problems
    text = str(problem)
    assert text.startswith("stacks/models/loan.yaml:")
    for part in (said, detail, "(stacks/models/loan.signature.json)", "; allowed: ", "; fix: "):
        assert part in text
    assert len(asked(rehearsed)) == calls


def test_the_command_refuses_it_too(rehearsed: Rehearsed, recorded: Path) -> None:
    root = rehearsed.rehearsal.root
    before = recorded.read_bytes()
    declare(root, SECOND.replace("amount, type: double", "amount, type: string"))
    try:
        done = mainstage(root, "up", "--env", "dev")
    finally:
        declare(root, SECOND)
    assert done.returncode == 1
    assert "amount has been logged with another type" in done.stderr
    assert "Traceback" not in done.stderr
    assert recorded.read_bytes() == before


DAMAGED = {
    "empty": b"",
    "cut": b"{",
    "in conflict": b"<<<<<<< HEAD\n{}\n=======\n",
    "of another model": b'{"schema": 1, "model": "iris", "inputs": [], "outputs": []}',
    "edited by hand": b'{"schema": 1, "model": "loan", "inputs": [{"name": "amount"}], "outputs": []}',
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_and_names_itself(rehearsed: Rehearsed, recorded: Path, damage: bytes) -> None:
    path = recorded
    before = path.read_bytes()
    path.write_bytes(damage)
    try:
        with pytest.raises(CatalogError) as refused:
            up(rehearsed)
    finally:
        path.write_bytes(before)
    [problem] = refused.value.problems
    assert str(problem).startswith("stacks/models/loan.signature.json:1: ")
    assert "is no record of a signature: " in str(problem)
    assert "git checkout" in str(problem)


def test_without_the_file_nothing_goes(rehearsed: Rehearsed, recorded: Path) -> None:
    before = recorded.read_bytes()
    recorded.unlink()
    try:
        with pytest.raises(RehearsalError, match=r"loan\.yaml:4: signature: .* mainstage catalog record loan"):
            up(rehearsed)
    finally:
        recorded.write_bytes(before)
    assert quiet(up(rehearsed))


def test_a_field_is_protected_later(rehearsed: Rehearsed, recorded: Path) -> None:
    """With its line in the file, on purpose: a text hashed, a number dropped. What was logged before stays in clear."""
    root = rehearsed.rehearsal.root
    third = SECOND.replace(
        "    - {name: email", "    - {name: iban, type: string, required: false}\n    - {name: email"
    )
    declare(root, third)
    record(rehearsed)
    up(rehearsed)
    old = ask(rehearsed, amount=50.0, iban="DE1", months=2)
    rows(rehearsed, [old.request_id])
    protected = third.replace("iban, type: string", "iban, type: string, pii: hash").replace(
        "months, type: integer", "months, type: integer, pii: drop"
    )
    declare(root, protected)
    with pytest.raises(CatalogError, match="to protect iban from now on"):
        up(rehearsed)
    text = recorded.read_text()
    for name, kind, treatment in (("iban", "string", "hash"), ("months", "integer", "drop")):
        line = f'{{"name": "{name}", "type": "{kind}", "pii": "keep"}}'
        assert line in text
        text = text.replace(line, line.replace("keep", treatment))
    recorded.write_text(text)
    up(rehearsed)
    new = ask(rehearsed, amount=60.0, iban="DE1", months=2)
    assert [old.status, new.status] == [200, 200]
    for source in ("records", "predictions"):
        was, now = rows(rehearsed, [old.request_id, new.request_id], source)
        assert was["input_iban"] == "[DE1]"
        assert len(now["input_iban"]) == 34
        assert "input_months" not in now
