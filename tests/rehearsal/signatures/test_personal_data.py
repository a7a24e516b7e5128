"""Personal data is hashed or dropped before anything is stored; callers that come with tokens are pseudonyms too.

One rehearsal of an environment whose front door takes JWTs, with a model most of whose fields are personal. Values that
nothing else holds are sent; then every store is searched for them.
"""

from __future__ import annotations

import hmac
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rehearsed import Rehearsed, kill_9, until
from served import checkout, mainstage
from stored import Piece, pieces
from tenancy import Tenancy

from infra.catalog import load_catalog, record_signature
from infra.front_door import FrontDoor, PredictError, Reply
from infra.front_door import ask as predict
from infra.predictions import athena
from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.firehose_delivery import flush
from infra.rehearsal.rehearse import Options, Rehearsal

MODEL, LOG = "people", "dev-people"
ISSUER, AUDIENCE = "https://login.example.com/tenant", "predictions"
KEY_ALIAS = "alias/mainstage-dev-pseudonyms"
DOWN = AwsError("ServiceUnavailableException", "The service is unavailable.", 503)

CATALOG = """\
model: people
owner: ml-platform
runtime: sklearn-1.4-2
signature:
  inputs:
    - {name: Email, type: string, pii: true}
    - {name: phones, type: array<string>, pii: hash, required: false}
    - {name: salary, type: double, pii: hash, required: false, nullable: true}
    - {name: address, type: string, pii: drop, required: false}
    - {name: tax_number, type: integer, pii: drop, required: false}
    - {name: customer, type: string, pii: hash, required: false}
    - {name: note, type: string}
  outputs:
    - {name: nickname, type: string, pii: hash}
    - {name: letter, type: string, pii: drop}
    - {name: score, type: double}
  entity_key: customer
stable: 1
capacity: {instance_type: ml.m5.large}
"""

INFERENCE = '''\
"""Answers with what it was told, or fails with it."""

import json


def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    return json.loads(body)["instances"]


def predict_fn(rows, model):
    if rows[0]["note"] == "fail":
        raise ValueError(rows[0]["Email"])
    if rows[0]["note"] == "odd":
        return [{"nickname": 5, "letter": rows[0]["Email"], "score": rows[0]["Email"]} for row in rows]
    return [{"nickname": "nick-" + row["Email"], "letter": "Dear " + row["Email"], "score": 0.5} for row in rows]


def output_fn(predictions, accept):
    return json.dumps({"predictions": predictions}), "application/json"
'''


@pytest.fixture(scope="module")
def rehearsed(tenancy: Tenancy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    cloud = tenancy.empty()
    root = checkout(tmp_path_factory.mktemp("checkout"))
    for path in (root / "stacks" / "models").iterdir():
        path.unlink()
    (root / "stacks" / "models" / "people.yaml").write_text(CATALOG)
    record_signature(root, load_catalog(root, "dev").models[MODEL])
    (root / "models" / MODEL).mkdir(parents=True)
    (root / "models" / MODEL / "inference.py").write_text(INFERENCE)
    platform = root / "stacks" / "Pulumi.platform-dev.yaml"
    settings = platform.read_text()
    assert settings.count("    auth: iam\n") == 1
    jwt = f"    auth: jwt\n    jwt: {{issuer: '{ISSUER}', audiences: [{AUDIENCE}, others]}}\n"
    platform.write_text(settings.replace("    auth: iam\n", jwt))
    with Rehearsal(Options(root, predictions=3), cloud=cloud) as rehearsal:
        rehearsal.run()
        yield Rehearsed(rehearsal, door_of(rehearsal, "someone"))
    tenancy.empty()


def door_of(rehearsal: Rehearsal, subject: str) -> FrontDoor:
    assert rehearsal.clients.issuer is not None
    return FrontDoor(rehearsal.target, token=rehearsal.clients.issuer.token(subject=subject))


_numbers = itertools.count(1)


class Person:
    """A row whose personal values stand nowhere else."""

    def __init__(self, note: str = "fine") -> None:
        number = next(_numbers)
        self.email = f"zoë.{number:03}-k7q2x@example.org"
        self.phones = [f"+49 30 5550{number:04}71", f"+49 30 5551{number:04}82"]
        self.salary = 83_000.0 + number + 0.123457
        self.address = f"Unter den Linden q8w{number:04}z, 10117 Berlin"
        self.tax_number = 987_650_000_000 + number
        self.customer = f"customer-x9v{number:04}-jj"
        self.row: dict[str, Any] = {
            "Email": self.email,
            "phones": self.phones,
            "salary": self.salary,
            "address": self.address,
            "tax_number": self.tax_number,
            "customer": self.customer,
            "note": note,
        }

    @property
    def secrets(self) -> list[str]:
        return [self.email, *self.phones, repr(self.salary), self.address, str(self.tax_number), self.customer]


def ask(rehearsed: Rehearsed, *rows: dict[str, Any], door: FrontDoor | None = None) -> Reply:
    body = json.dumps({"instances": list(rows)}, ensure_ascii=False).encode()
    return (door or rehearsed.door).post(f"/v1/models/{MODEL}/predictions", body)


def wait_for(rehearsed: Rehearsed, ids: list[str]) -> None:
    """Returns when the log has every id."""

    def complete() -> bool | None:
        flush(rehearsed.cloud)
        rows = athena.run(rehearsed.rehearsal.target, MODEL, "SELECT request_id FROM predictions").rows
        return set(ids) <= {row["request_id"] for row in rows} or None

    until(complete, f"{len(ids)} requests in the log")


def record(rehearsed: Rehearsed, request_id: str) -> dict[str, Any]:
    """The request's row of the view, once it is there."""
    wait_for(rehearsed, [request_id])
    sql = f"SELECT * FROM predictions WHERE request_id = '{request_id}'"
    [row] = athena.run(rehearsed.rehearsal.target, MODEL, sql).rows
    return row


def pseudonym(rehearsed: Rehearsed, text: str, key: str = KEY_ALIAS) -> str:
    """What the documentation says that stands for a value: HMAC-SHA256 with the derived key, 32 digits of it."""
    kms = rehearsed.client("kms")
    mac = kms.generate_mac(KeyId=key, Message=b"mainstage-pseudonym-v1", MacAlgorithm="HMAC_SHA_256")["Mac"]
    return hmac.digest(mac, text.encode(), "sha256").hex()[:32]


@contextmanager
def spool_only(rehearsed: Rehearsed) -> Iterator[list[str]]:
    """Firehose is down; gives the messages that are sent to the spool meanwhile."""
    bodies: list[str] = []

    def watch(call: Any) -> bool:
        bodies.append(call.params["MessageBody"])
        return False

    down = rehearsed.cloud.faults.add("firehose", "PutRecord", DOWN)
    watched = rehearsed.cloud.faults.add("sqs", "SendMessage", DOWN, match=watch)
    try:
        yield bodies
    finally:
        down.remove()
        watched.remove()


def stores_with(found: list[Piece], value: str) -> set[str]:
    return {f"{piece.store} {piece.place}" for piece in found if piece.holds(value)}


def test_the_environment_was_rehearsed_with_tokens(rehearsed: Rehearsed) -> None:
    report = rehearsed.rehearsal.report
    assert report.problems == []
    kinds = report.traffic[0].by_kind
    assert {kind: dict(kinds[kind]) for kind in ("good", "unsigned", "wrong audience", "expired", "stranger")} == {
        "good": {200: 3},
        "unsigned": {401: 1},
        "wrong audience": {401: 1},
        "expired": {401: 1},
        "stranger": {401: 1},
    }
    [played] = [line for line in report.as_dict()["emulated"] if ISSUER in line]
    assert played.startswith("the issuer of tokens")


def test_the_printed_commands_work_as_printed(rehearsed: Rehearsed) -> None:
    rehearsed.rehearsal.publish()
    root, report = rehearsed.rehearsal.root, rehearsed.rehearsal.report
    words = report.try_it.split("'")
    assert words[0] == "mainstage predict people "
    done = mainstage(root, "predict", MODEL, words[1], *words[2].split())
    assert done.returncode == 0, done.stderr
    assert "version 1" in done.stdout
    with pytest.raises(PredictError, match=r"401 Unauthorized \(the front door takes a JWT: give one with --token\)"):
        predict(rehearsed.rehearsal.target, MODEL, words[1].encode())
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    answer = subprocess.run(["bash", "-c", f"{report.curl} --fail -s"], capture_output=True, text=True, timeout=30)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["predictions"][0]["score"] == 0.5


def test_a_pseudonym_is_the_keyed_hash_and_the_same_for_the_same_value(rehearsed: Rehearsed) -> None:
    first, other = Person(), Person()
    door = door_of(rehearsed.rehearsal, "ann@example.org")
    replies = [ask(rehearsed, first.row, other.row), ask(rehearsed, first.row, door=door)]
    assert [reply.status for reply in replies] == [200, 200]
    rows = [record(rehearsed, reply.request_id) for reply in replies]
    digest = pseudonym(rehearsed, first.email)
    assert rows[0]["input_email"] == f"[{digest}, {pseudonym(rehearsed, other.email)}]"
    assert rows[1]["input_email"] == f"[{digest}]"
    assert rows[1]["output_nickname"] == f"[{pseudonym(rehearsed, 'nick-' + first.email)}]"
    assert rows[1]["input_salary"] == f"[{pseudonym(rehearsed, repr(first.salary))}]"
    assert rows[1]["input_phones"] == f"[{pseudonym(rehearsed, json.dumps(first.phones))}]"
    assert {row["entity_key"] for row in rows} == {pseudonym(rehearsed, first.customer)}
    assert rows[1]["input_customer"] == f"[{pseudonym(rehearsed, first.customer)}]"
    assert [row["caller"] for row in rows] == [pseudonym(rehearsed, each) for each in ("someone", "ann@example.org")]
    assert {row["input_sha256"] for row in rows} == {None}
    dropped = {"input_address", "input_tax_number", "output_letter"}
    assert not dropped & set(rows[0])
    assert (rows[1]["input_note"], rows[1]["output_score"]) == ("[fine]", "[0.5]")


def test_pseudonyms_differ_between_environments(rehearsed: Rehearsed) -> None:
    """Another environment has a key of its own, which is in another account."""
    another = rehearsed.client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    key = another["KeyMetadata"]["KeyId"]
    assert pseudonym(rehearsed, "zoë", key) != pseudonym(rehearsed, "zoë")


def test_nothing_personal_is_stored_anywhere(rehearsed: Rehearsed) -> None:
    subject = "subject-w3e8r-kim@example.org"
    door = door_of(rehearsed.rehearsal, subject)
    people = {name: Person(name) for name in ("fine", "odd", "wrong", "twice", "unknown", "broken", "long", "query")}
    marker = "in-clear-h5t9y"
    clear = Person(marker)
    path = f"/v1/models/{MODEL}/predictions"
    statuses: dict[str, int] = {}
    ids = []

    def took(name: str, reply: Reply) -> None:
        statuses[name] = reply.status
        ids.append(reply.request_id)

    took("clear", ask(rehearsed, clear.row, door=door))
    took("fine", ask(rehearsed, people["fine"].row, door=door))
    took("odd", ask(rehearsed, people["odd"].row, door=door))
    wrong = people["wrong"]
    took("wrong", ask(rehearsed, {**wrong.row, "phones": wrong.email, "salary": [wrong.salary]}, door=door))
    took("missing", ask(rehearsed, {"Email": people["twice"].email}, people["twice"].row, door=door))
    took("unknown", ask(rehearsed, {**people["unknown"].row, "surname": people["unknown"].email}, door=door))
    cut = json.dumps({"instances": [people["broken"].row]}, ensure_ascii=False).encode()[:-1]
    took("broken", door.post(path, cut))
    took("long", ask(rehearsed, {**people["long"].row, "note": "x" * 300_000}, door=door))
    query = json.dumps({"instances": [people["query"].row]}).encode()
    took("query", door.post(f"{path}?email={people['query'].customer}", query))
    assert statuses == {
        "clear": 200,
        "fine": 200,
        "odd": 200,
        "wrong": 400,
        "missing": 400,
        "unknown": 400,
        "broken": 400,
        "long": 413,
        "query": 200,
    }
    wait_for(rehearsed, ids)
    for source in ("predictions", "records"):
        athena.run(rehearsed.rehearsal.target, MODEL, f"SELECT * FROM {source}")

    found = list(pieces(rehearsed.rehearsal))
    # The search finds what was not hidden, in each kind of store that holds records.
    held = stores_with(found, marker)
    assert {place.split()[0] for place in held} >= {"disk", "bucket"}
    assert any(f"/queries/{LOG}/" in place for place in held)
    assert any(f"/records/{LOG}/" in place for place in held)
    leaks = {
        secret: stores
        for person in (clear, *people.values())
        for secret in person.secrets
        if (stores := stores_with(found, secret))
    }
    assert leaks == {}
    assert stores_with(found, subject) == set()
    # Nor the token, which lets everybody in who finds it.
    assert rehearsed.rehearsal.clients.token
    signature = rehearsed.rehearsal.clients.token.split(".")[2]
    assert stores_with(found, signature) == set()


def test_nor_when_firehose_is_down_or_both_are(rehearsed: Rehearsed) -> None:
    person = Person()
    with spool_only(rehearsed) as bodies:
        reply = ask(rehearsed, person.row)
        assert reply.status == 200
        until(lambda: bodies or None, "a message in the spool")
    assert person.email not in bodies[0]
    assert pseudonym(rehearsed, person.email) in bodies[0]
    row = record(rehearsed, reply.request_id)
    assert (row["replayed"], row["input_email"]) == (True, f"[{pseudonym(rehearsed, person.email)}]")
    lost = Person()
    planted = [rehearsed.cloud.faults.add(*call, DOWN) for call in (("firehose", "PutRecord"), ("sqs", "SendMessage"))]
    failed = rehearsed.metric("Mainstage", "LogFailed", LogName=LOG)
    assert ask(rehearsed, lost.row).status == 200
    until(lambda: rehearsed.metric("Mainstage", "LogFailed", LogName=LOG) > failed or None, "a record that was lost")
    for fault in planted:
        fault.remove()
    found = list(pieces(rehearsed.rehearsal))
    assert [stores_with(found, secret) for each in (person, lost) for secret in each.secrets] == [set()] * 14


def test_what_a_model_prints_of_a_request_stays_in_its_own_log(rehearsed: Rehearsed) -> None:
    """The container's log is the author's; nothing of it goes any further."""
    person = Person("fail")
    reply = ask(rehearsed, person.row)
    assert reply.status == 502
    assert person.email.encode() not in reply.body
    assert record(rehearsed, reply.request_id)["error_code"] == "model_error"
    found = list(pieces(rehearsed.rehearsal))
    told = {place for place in stores_with(found, person.email) if not place.startswith("disk ")}
    assert told == {f"log /aws/sagemaker/Endpoints/{LOG}"}


def test_a_record_with_personal_data_in_clear_is_counted_and_stored_nowhere(rehearsed: Rehearsed) -> None:
    """Something other than the front door writes it. Not under the error prefix either, where other records that
    cannot be read are kept as they came."""
    with spool_only(rehearsed) as bodies:
        assert ask(rehearsed, Person().row).status == 200
        until(lambda: bodies or None, "a message in the spool")
    good = json.loads(bodies[0])
    person = Person()
    in_clear = [
        {"input_email": [person.email]},
        {"input_address": [person.address]},
        {"output_letter": [person.email]},
        {"entity_key": person.customer},
        {"caller": person.email},
        {"input_salary": [person.salary], "request_id": None},
        {"Input_Email": [person.email]},
    ]
    kept = {"model": "not-this-one-c5v7b"}
    poison = [{**good, "request_id": "poison", **changed} for changed in (*in_clear, kept)]
    rejected = rehearsed.metric("Mainstage", "Rejected", LogName=LOG)
    for each in poison:
        data = json.dumps(each).encode()
        rehearsed.client("firehose").put_record(DeliveryStreamName=f"{LOG}-predictions", Record={"Data": data})

    def counted() -> bool | None:
        flush(rehearsed.cloud)
        return rehearsed.metric("Mainstage", "Rejected", LogName=LOG) == rejected + len(poison) or None

    until(counted, "the records rejected")
    found = list(pieces(rehearsed.rehearsal))
    [place] = [each for each in stores_with(found, kept["model"]) if each.startswith("bucket ")]
    assert f"/rejected/{LOG}/" in place
    # Firehose holds what it was given until it is delivered: here on disk, in AWS where nobody looks.
    stored = [piece for piece in found if piece.store != "disk"]
    assert [stores_with(stored, secret) for secret in person.secrets] == [set()] * len(person.secrets)


def test_without_the_key_nothing_stands_for_the_values(rehearsed: Rehearsed) -> None:
    person = Person()
    fault = rehearsed.cloud.faults.add("kms", "GenerateMac", AwsError("KMSInternalException", "failed", 500))
    killed = functions.pids(rehearsed.cloud, f"{LOG}-front-door")
    kill_9(killed)
    # That a process has died may be noticed with its next request only.
    replies = [ask(rehearsed, person.row) for _ in range(len(killed) + 1)]
    assert replies[-1].status == 200
    row = record(rehearsed, replies[-1].request_id)
    assert (row["input_email"], row["entity_key"], row["caller"]) == ("[null]", None, None)
    assert fault.hits >= 1
    fault.remove()
    assert stores_with(list(pieces(rehearsed.rehearsal)), person.email) == set()
