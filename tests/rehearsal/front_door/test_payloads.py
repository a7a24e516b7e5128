"""What clients send, good and bad: each is answered as documented, and each answer of the front door is logged."""

from __future__ import annotations

import json
import socket
import urllib.parse
from typing import Any

import pytest
from rehearsed import GOOD, MODEL, ROW, Rehearsed, until

KIB = 1024


def with_row(**changes: Any) -> bytes:
    return json.dumps({"instances": [{**ROW, **changes}]}).encode()


def padded(length: int) -> bytes:
    """A request of exactly `length` bytes with a field that the model does not know."""
    empty = with_row(note="")
    return with_row(note="x" * (length - len(empty)))


def error_of(reply: Any) -> dict[str, Any]:
    error = json.loads(reply.body)["error"]
    assert error["request_id"] == reply.request_id
    return error


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 400, "invalid_json", None),
        (b"setosa?", 400, "invalid_json", None),
        (b"\xff\xfe\x00", 400, "invalid_json", None),
        (with_row(petal_width=float("nan")), 400, "invalid_json", None),
        (with_row(petal_width=float("inf")), 400, "invalid_json", None),
        (b"[" * 100_000, 400, "invalid_json", None),
        (b"[]", 400, "invalid_payload", None),
        (b'{"instances": []}', 400, "invalid_payload", "instances"),
        (with_row(petal_width="wide"), 400, "invalid_payload", "instances[0].petal_width"),
        (with_row(petal_width=None), 400, "invalid_payload", "instances[0].petal_width"),
        (with_row(petal_width=True), 400, "invalid_payload", "instances[0].petal_width"),
        (with_row(petal_width=31), 400, "invalid_payload", "instances[0].petal_width"),
        (with_row(petal_widht=1), 400, "invalid_payload", "instances[0].petal_widht"),
        (with_row(**{"цветок 🌸\u0007": 1}), 400, "invalid_payload", "instances[0].цветок 🌸\u0007"),
        (padded(255 * KIB), 400, "invalid_payload", "instances[0].note"),
        (padded(257 * KIB), 413, "body_too_large", None),
        (padded(1024 * KIB), 413, "body_too_large", None),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_a_bad_request_is_answered_with_its_fault_and_logged(
    rehearsed: Rehearsed, body: bytes, status: int, code: str, field: str | None
) -> None:
    reply = rehearsed.ask(body)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    error = error_of(reply)
    assert error["code"] == code
    if field is not None:
        [problem] = error["problems"]
        assert problem["field"] == field
        assert problem["rule"]
    row = rehearsed.record(reply.request_id)
    assert (row["status"], row["error_code"], row["input_bytes"]) == (status, code, len(body))
    assert row["version"] == "unknown"


def test_256_kib_is_still_taken(rehearsed: Rehearsed) -> None:
    """Exactly the limit, in rows that the model knows: white space does not matter to JSON."""
    reply = rehearsed.ask(GOOD + b" " * (256 * KIB - len(GOOD)))
    assert reply.status == 200


@pytest.mark.parametrize("length", [6 * KIB * KIB + 1, 10 * KIB * KIB + 1], ids=["6 MiB", "10 MiB"])
def test_what_is_too_long_for_lambda_or_the_gateway_is_413_too(rehearsed: Rehearsed, length: int) -> None:
    """The gateway's own answer: the request never reaches the function, so there is no id and no record."""
    before = len(rehearsed.in_log())
    reply = rehearsed.ask(padded(length))
    assert (reply.status, reply.request_id) == (413, "")
    assert json.loads(reply.body) == {"message": "Request Entity Too Large"}
    assert len(rehearsed.in_log()) == before


def test_a_prediction_carries_its_id_and_version_and_is_logged_whole(rehearsed: Rehearsed) -> None:
    two = json.dumps({"instances": [ROW, {**ROW, "petal_length": 6.0, "petal_width": 2.2}]}).encode()
    reply = rehearsed.ask(two)
    assert (reply.status, reply.version) == (200, "1")
    predictions = json.loads(reply.body)["predictions"]
    row = rehearsed.record(reply.request_id)
    assert (row["model"], row["environment"], row["version"], row["status"]) == ("iris", "dev", "1", 200)
    assert (row["rows"], row["input_bytes"], row["output_bytes"]) == (2, len(two), len(reply.body))
    assert (row["truncated"], row["replayed"], row["error_code"]) == (False, False, None)
    assert row["input_petal_length"] == "[1.4, 6.0]"
    assert row["output_species"] == f"[{predictions[0]['species']}, {predictions[1]['species']}]"
    assert 0 < row["model_ms"] < row["latency_ms"] < reply.latency_ms
    assert row["at"] <= row["logged_at"]


def test_an_unknown_model_is_404_for_who_may_ask_and_403_for_who_may_not(rehearsed: Rehearsed) -> None:
    known = rehearsed.door.post("/v1/models/nobody/predictions", GOOD)
    assert known.status == 404
    assert error_of(known)["code"] == "model_not_found"
    assert rehearsed.door.post("/v1/models/nobody/predictions", GOOD, signed=False).status == 403


def test_an_awaiting_model_is_503(rehearsed: Rehearsed) -> None:
    reply = rehearsed.door.predict("card-fraud", b'{"instances": [{}]}')
    assert reply.status == 503
    assert error_of(reply)["code"] == "model_awaiting"


def test_unsigned_is_403(rehearsed: Rehearsed) -> None:
    reply = rehearsed.ask(GOOD, signed=False)
    assert (reply.status, json.loads(reply.body)) == (403, {"message": "Forbidden"})


def test_a_slow_model_is_504_at_the_deadline_and_logged(rehearsed: Rehearsed) -> None:
    function = rehearsed.client("lambda").get_function_configuration(FunctionName="dev-iris-front-door")
    variables = function["Environment"]["Variables"]
    change = rehearsed.client("lambda").update_function_configuration
    change(FunctionName="dev-iris-front-door", Environment={"Variables": {**variables, "MAINSTAGE_DEADLINE_MS": "300"}})
    try:
        rehearsed.cloud.faults.add("sagemaker-runtime", "InvokeEndpoint", delay_seconds=1.0, times=1)
        reply = rehearsed.ask()
        assert reply.status == 504
        assert error_of(reply)["code"] == "deadline_exceeded"
        row = rehearsed.record(reply.request_id)
        assert (row["status"], row["error_code"], row["version"]) == (504, "deadline_exceeded", "unknown")
        assert 300 <= row["latency_ms"] < 1000
    finally:
        change(FunctionName="dev-iris-front-door", Environment={"Variables": variables})


def test_a_client_that_hangs_up_breaks_nothing_and_is_logged(rehearsed: Rehearsed) -> None:
    """The request was complete, so it is served and logged; half a request is not."""
    before = set(rehearsed.in_log())
    address = urllib.parse.urlsplit(rehearsed.door.url)
    assert address.hostname
    assert address.port
    path = rehearsed.door.path_of(MODEL)
    headers = rehearsed.door._signed(path, GOOD, {"content-type": "application/json"})
    lines = [f"POST {path} HTTP/1.1", f"host: {address.netloc}", f"content-length: {len(GOOD)}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in ("host", "content-length")]
    request = "\r\n".join([*lines, "", ""]).encode() + GOOD
    for sent in (request, request[:-10], request[:40]):
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(sent)
    until(lambda: set(rehearsed.in_log()) - before or None, "the record of the request that was complete")
    assert len(set(rehearsed.in_log()) - before) == 1
    assert rehearsed.ask().status == 200
