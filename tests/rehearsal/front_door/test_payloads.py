"""What clients send, good and bad: each is answered as docs/guides/predictions-api.md says, and each answer of the
front door is logged."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import urllib.parse
from typing import Any, NamedTuple

import pytest
from mainstage.model_route import MOST_BODY_KIB
from mainstage_runtime.replies import STATUS
from rehearsed import GOOD, MODEL, ROW, Rehearsed, until

from infra.front_door import Reply
from infra.rehearsal.cloud.api import AwsError

KIB = 1024
MIB = 1024 * KIB
BEYOND_LAMBDA = 6 * MIB + 1
BEYOND_THE_GATEWAY = 10 * MIB + 1
UNKNOWN_FIELD = "no such field; the model takes sepal_length, sepal_width, petal_length, petal_width"
SHAPE = 'a request is an object with a list of rows: {"instances": [{field: value}, ...]}'
ODD = "цветок 🌸\u0007"
CARD = {
    "card_token": "tok-4711",
    "amount_eur": 12.5,
    "merchant_category": "grocery",
    "requested_at": "2026-11-21T14:23:21Z",
    "seconds_since_last_payment": None,
    "card_present": True,
}


def with_row(**changes: Any) -> bytes:
    return json.dumps({"instances": [{**ROW, **changes}]}).encode()


def padded(length: int) -> bytes:
    """A request of exactly `length` bytes with a field that the model does not know."""
    empty = with_row(note="")
    return with_row(note="x" * (length - len(empty)))


class Bad(NamedTuple):
    """A request that the front door refuses, and everything that it answers."""

    name: str
    body: bytes
    code: str
    message: str
    field: str = ""
    value: Any = None
    rule: str = ""
    said: str = ""
    logged_field: str | None = None
    """The record's error_field: a name that the signature does not know is not logged."""


def value_problem(name: str, body: bytes, value: Any, rule: str, said: str, field: str = "petal_width") -> Bad:
    place = f"instances[0].{field}"
    return Bad(name, body, "invalid_payload", ONE, place, value, rule, said, place)


def unknown_field(name: str, body: bytes, field: str, value: Any, said: str = UNKNOWN_FIELD) -> Bad:
    place = f"instances[0].{field}"
    return Bad(name, body, "invalid_payload", ONE, place, value, "known field", said, "instances[0]")


ONE = "1 value does not fit the model's signature"
CUT = "x" * 56 + "..."
"""A long text in a reply, quotation mark included: 60 characters."""

BAD = [
    Bad("empty", b"", "invalid_json", "not JSON: the body is empty"),
    Bad("white space", b" \r\n", "invalid_json", "not JSON: the body is empty"),
    Bad("a word", b"setosa?", "invalid_json", "not JSON: Expecting value: line 1 column 1 (char 0)"),
    Bad("cut off", GOOD[:-1], "invalid_json", "not JSON: Expecting ',' delimiter: line 1 column 99 (char 98)"),
    Bad("no UTF-8", b"\xff\xfe\x00", "invalid_json", "not JSON: byte 0 is no UTF-8"),
    Bad("latin-1", '{"instances": "Köln"}'.encode("latin-1"), "invalid_json", "not JSON: byte 16 is no UTF-8"),
    Bad(
        "NaN",
        with_row(petal_width=float("nan")),
        "invalid_json",
        "not JSON: NaN is no JSON value; send null for a missing number",
    ),
    Bad(
        "Infinity",
        with_row(petal_width=float("inf")),
        "invalid_json",
        "not JSON: Infinity is no JSON value; send null for a missing number",
    ),
    Bad(
        "-Infinity",
        with_row(petal_width=float("-inf")),
        "invalid_json",
        "not JSON: -Infinity is no JSON value; send null for a missing number",
    ),
    Bad(
        "a field that stands twice",
        with_row().replace(b'"petal_width"', b'"sepal_width": "x", "petal_width"'),
        "invalid_json",
        'not JSON that is taken: "sepal_width" stands twice in one object',
    ),
    Bad("deep lists", b"[" * 100_000, "invalid_json", "not JSON that can be read: nested too deeply"),
    Bad("deep objects", b'{"a":' * 40_000, "invalid_json", "not JSON that can be read: nested too deeply"),
    Bad(
        "a number without end",
        b'{"instances": [{"petal_width": ' + b"9" * 5000 + b"}]}",
        "invalid_json",
        "not JSON that can be read: a number of thousands of digits",
    ),
    Bad("a list", b"[]", "invalid_payload", SHAPE, "", "[]", "list of rows", SHAPE),
    Bad("null", b"null", "invalid_payload", SHAPE, "", None, "list of rows", SHAPE),
    Bad("no instances", b"{}", "invalid_payload", SHAPE, "instances", None, "list of rows", SHAPE, "instances"),
    Bad(
        "no rows",
        b'{"instances": []}',
        "invalid_payload",
        "instances is empty: send at least one row",
        "instances",
        "[]",
        "at least one row",
        "instances is empty: send at least one row",
        "instances",
    ),
    Bad(
        "a row that is a list",
        b'{"instances": [[5.1, 3.5]]}',
        "invalid_payload",
        ONE,
        "instances[0]",
        "[5.1, 3.5]",
        "object",
        "[5.1, 3.5] instead of an object of field names and values",
        "instances[0]",
    ),
    Bad(
        "a member too many",
        b'{"instances": [{}], "parameters": {"k": 1}}',
        "invalid_payload",
        ONE,
        "parameters",
        '{"k": 1}',
        "known field",
        "no such field; a request has nothing but instances",
    ),
    value_problem("a text", with_row(petal_width="wide"), "wide", "type double", '"wide" is no double'),
    value_problem("null in a row", with_row(petal_width=None), None, "no null", "null, but a value is needed (double)"),
    value_problem("true", with_row(petal_width=True), True, "type double", "true is no double"),
    value_problem("a nested value", with_row(petal_width=[1]), "[1]", "type double", "[1] is no double"),
    value_problem("too much", with_row(petal_width=31), 31, "maximum 30", "31 is above the maximum, 30"),
    value_problem("too little", with_row(petal_width=-0.5), -0.5, "minimum 0", "-0.5 is below the minimum, 0"),
    value_problem(
        "beyond a double", with_row().replace(b"0.2", b"1e999"), "Infinity", "type double", "Infinity is no double"
    ),
    value_problem(
        "a field left out", with_row().replace(b', "petal_width": 0.2', b""), None, "required", "missing (double)"
    ),
    value_problem(
        "unicode and control characters",
        with_row(petal_width=ODD),
        ODD,
        "type double",
        '"цветок 🌸\\u0007" is no double',
    ),
    unknown_field("misspelt", with_row(petal_widht=1), "petal_widht", 1, "no such field; did you mean petal_width?"),
    unknown_field("an unknown field of unicode", with_row(**{ODD: 1}), ODD, 1),
    unknown_field("a NUL in a name", with_row(**{"\0": "\0"}), "\0", "\0"),
    unknown_field("255 KiB", padded(255 * KIB), "note", f'"{CUT}'),
    unknown_field("256 KiB", padded(256 * KIB), "note", f'"{CUT}'),
    *(
        Bad(name, padded(length), "body_too_large", f"the body has {length} bytes; 262144 are taken")
        for name, length in {
            "256 KiB and 1": 256 * KIB + 1,
            "257 KiB": 257 * KIB,
            "1 MiB": MIB,
            "5 MiB": 5 * MIB,
        }.items()
    ),
]


def error_of(reply: Reply) -> dict[str, Any]:
    """The error of a reply that has the documented form, without the request's id."""
    assert reply.headers["content-type"] == "application/json"
    assert reply.version == ""
    error = json.loads(reply.body)["error"]
    assert error.pop("request_id") == reply.request_id
    return error


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_bad_request_is_answered_with_its_fault(rehearsed: Rehearsed, bad: Bad) -> None:
    reply = rehearsed.ask(bad.body)
    wanted: dict[str, Any] = {"code": bad.code, "message": bad.message}
    if bad.rule:
        wanted["problems"] = [{"field": bad.field, "value": bad.value, "rule": bad.rule, "message": bad.said}]
    assert (reply.status, error_of(reply)) == (STATUS[bad.code], wanted)


def test_every_bad_request_is_logged(rehearsed: Rehearsed) -> None:
    wanted = {
        rehearsed.ask(bad.body).request_id: (STATUS[bad.code], bad.code, bad.logged_field, len(bad.body), "unknown")
        for bad in BAD
    }
    rehearsed.wait_for_log(wanted)
    rows = rehearsed.sql("SELECT * FROM predictions")
    logged = {
        row["request_id"]: tuple(
            row[name] for name in ("status", "error_code", "error_field", "input_bytes", "version")
        )
        for row in rows
        if row["request_id"] in wanted
    }
    assert logged == wanted
    assert len(rows) == len({row["request_id"] for row in rows})


def test_ten_problems_are_told_and_all_are_counted(rehearsed: Rehearsed) -> None:
    reply = rehearsed.ask(json.dumps({"instances": [{**ROW, "petal_width": -1}] * 11}).encode())
    error = error_of(reply)
    assert (reply.status, error["message"]) == (400, "11 values do not fit the model's signature")
    assert [problem["field"] for problem in error["problems"]] == [f"instances[{n}].petal_width" for n in range(10)]


@pytest.mark.parametrize("length", [255 * KIB, 256 * KIB])
def test_what_is_as_long_as_the_limit_is_taken(rehearsed: Rehearsed, length: int) -> None:
    """In rows that the model knows: white space does not matter to JSON."""
    reply = rehearsed.ask(GOOD + b" " * (length - len(GOOD)))
    assert (reply.status, reply.version) == (200, "1")


def test_a_payload_of_thousands_of_rows(rehearsed: Rehearsed) -> None:
    reply = rehearsed.ask(json.dumps({"instances": [ROW] * 2500}).encode())
    assert (reply.status, len(json.loads(reply.body)["predictions"])) == (200, 2500)
    row = rehearsed.record(reply.request_id)
    assert (row["rows"], row["truncated"], row["input_petal_width"].count("0.2")) == (2500, False, 2500)


def test_the_longest_body_that_may_be_set_comes_through_whatever_is_in_it(rehearsed: Rehearsed) -> None:
    """Each of its quotes and backslashes is two bytes of the event: so the front door itself answers."""
    length = MOST_BODY_KIB * KIB
    lambdas = rehearsed.client("lambda")
    own = lambdas.get_function_configuration(FunctionName="dev-iris-front-door")["Environment"]["Variables"]
    more = {**own, "MAINSTAGE_MAXIMUM_BODY_BYTES": str(length)}
    body = b'["' + b'\\"' * ((length - 4) // 2) + b'"]'
    assert len(body) == length
    lambdas.update_function_configuration(FunctionName="dev-iris-front-door", Environment={"Variables": more})
    try:
        taken, longer = rehearsed.ask(body), rehearsed.ask(body + b" ")
    finally:
        lambdas.update_function_configuration(FunctionName="dev-iris-front-door", Environment={"Variables": own})
    assert (taken.status, error_of(taken)["code"]) == (400, "invalid_payload")
    assert (longer.status, error_of(longer)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("length", [BEYOND_LAMBDA, BEYOND_THE_GATEWAY], ids=["6 MiB", "10 MiB"])
def test_what_is_too_long_for_lambda_or_the_gateway_is_413_too(rehearsed: Rehearsed, length: int) -> None:
    """The gateway's own answer: the request never reaches the function, so there is no id and no record."""
    reply = rehearsed.ask(padded(length))
    assert (reply.status, reply.request_id) == (413, "")
    assert json.loads(reply.body) == {"message": "Request Entity Too Large"}
    [after] = rehearsed.served()
    rehearsed.wait_for_log([after])
    assert rehearsed.sql(f"SELECT request_id FROM predictions WHERE input_bytes = {length}") == []


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


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"content-type": "text/csv"}, "Content-Type 'text/csv' is not taken; send application/json"),
        ({"content-encoding": "gzip"}, "Content-Encoding 'gzip' is not taken; send the body as it is"),
    ],
)
def test_another_type_or_a_compressed_body_is_415(rehearsed: Rehearsed, headers: dict[str, str], message: str) -> None:
    reply = rehearsed.ask(GOOD, headers=headers)
    assert (reply.status, error_of(reply)) == (415, {"code": "unsupported_media_type", "message": message})


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_by_other_spellings_is_taken(rehearsed: Rehearsed, content_type: str) -> None:
    assert rehearsed.ask(GOOD, headers={"content-type": content_type}).status == 200


def test_an_unknown_model_is_404_for_who_may_ask_and_403_for_who_may_not(rehearsed: Rehearsed) -> None:
    known = rehearsed.door.post("/v1/models/nobody/predictions", GOOD)
    assert known.status == 404
    assert error_of(known)["code"] == "model_not_found"
    unsigned = rehearsed.door.post("/v1/models/nobody/predictions", GOOD, signed=False)
    assert (unsigned.status, json.loads(unsigned.body)) == (403, {"message": "Forbidden"})


def test_an_awaiting_model_is_503_for_what_it_would_take_and_400_for_the_rest(rehearsed: Rehearsed) -> None:
    reply = rehearsed.door.predict("card-fraud", json.dumps({"instances": [CARD]}).encode())
    message = "card-fraud awaits its first version in dev"
    assert (reply.status, error_of(reply)) == (503, {"code": "model_awaiting", "message": message})
    other = rehearsed.door.predict("card-fraud", b'{"instances": [{}]}')
    assert (other.status, len(error_of(other)["problems"])) == (400, 5)
    short = rehearsed.door.predict("card-fraud", json.dumps({"instances": [CARD]}).encode() + b" " * 64 * KIB)
    assert (short.status, error_of(short)["code"]) == (413, "body_too_large")


def test_unsigned_is_403(rehearsed: Rehearsed) -> None:
    reply = rehearsed.ask(GOOD, signed=False)
    assert (reply.status, json.loads(reply.body)) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (
            AwsError("ModelError", "Received server error (500) from primary", 424, OriginalStatusCode=500),
            502,
            "model_error",
            "the model failed with status 500; its container's log says why",
        ),
        (
            AwsError("ThrottlingException", "Rate exceeded", 400),
            503,
            "model_unavailable",
            "the model takes no requests now; try again",
        ),
        (
            AwsError("AccessDeniedException", "not authorized", 403),
            500,
            "internal_error",
            "the front door could not ask the model",
        ),
    ],
    ids=["model error", "throttled", "may not ask"],
)
def test_what_sagemaker_refuses_is_answered_and_logged(
    rehearsed: Rehearsed, error: AwsError, status: int, code: str, message: str
) -> None:
    rehearsed.cloud.faults.add("sagemaker-runtime", "InvokeEndpoint", error, times=1)
    reply = rehearsed.ask()
    assert (reply.status, error_of(reply)) == (status, {"code": code, "message": message})
    row = rehearsed.record(reply.request_id)
    assert (row["status"], row["error_code"], row["version"], row["rows"]) == (status, code, "unknown", 1)
    assert row["input_petal_width"] == "[0.2]"
    assert rehearsed.ask().status == 200


def test_a_slow_model_is_504_at_the_deadline_and_logged(rehearsed: Rehearsed) -> None:
    function = rehearsed.client("lambda").get_function_configuration(FunctionName="dev-iris-front-door")
    variables = function["Environment"]["Variables"]
    change = rehearsed.client("lambda").update_function_configuration
    change(FunctionName="dev-iris-front-door", Environment={"Variables": {**variables, "MAINSTAGE_DEADLINE_MS": "300"}})
    answers = threading.Event()
    try:
        rehearsed.cloud.faults.add("sagemaker-runtime", "InvokeEndpoint", until=answers, times=1)
        reply = rehearsed.ask()
        message = "the model gave no answer within 300 ms"
        assert (reply.status, error_of(reply)) == (504, {"code": "deadline_exceeded", "message": message})
        row = rehearsed.record(reply.request_id)
        assert (row["status"], row["error_code"], row["version"]) == (504, "deadline_exceeded", "unknown")
        # However busy the machine is: far from the ten seconds that are the deadline else.
        assert 300 <= row["latency_ms"] < 5000
    finally:
        answers.set()
        change(FunctionName="dev-iris-front-door", Environment={"Variables": variables})
    assert rehearsed.ask().status == 200


def raw_request(rehearsed: Rehearsed, body: bytes = GOOD) -> tuple[tuple[str, int], bytes]:
    """Where the front door listens, and a signed request as it goes over the wire."""
    address = urllib.parse.urlsplit(rehearsed.door.url)
    assert address.hostname
    assert address.port
    path = rehearsed.door.path_of(MODEL)
    headers = rehearsed.door._signed(path, body, {"content-type": "application/json"})
    lines = [f"POST {path} HTTP/1.1", f"host: {address.netloc}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in ("host", "content-length")]
    return (address.hostname, address.port), "\r\n".join([*lines, "", ""]).encode() + body


def test_a_client_that_hangs_up_breaks_nothing_and_is_logged(rehearsed: Rehearsed) -> None:
    """The request was complete, so it is served and logged; half a request is not."""
    served = rehearsed.log_metric("Served")
    before = set(rehearsed.wait_for_log(rehearsed.served()))
    address, request = raw_request(rehearsed)
    for sent in (request[:40], request[:-10], request):
        with socket.create_connection(address) as client:
            client.sendall(sent)
    # No reply told its id. The record of an earlier request may come now, by the spool: its id is known.
    [mine] = until(
        lambda: set(rehearsed.in_log()) - before - set(rehearsed.ids) or None,
        "the record of the request that was complete",
    )
    assert rehearsed.record(mine)["status"] == 200
    assert rehearsed.ask().status == 200
    assert rehearsed.log_metric("Served") == served + 3


def test_a_client_that_dribbles_is_served_and_its_slowness_is_not_the_models(rehearsed: Rehearsed) -> None:
    """The gateway hands a request on when it has all of it."""
    address, request = raw_request(rehearsed)
    started = time.perf_counter()
    with socket.create_connection(address) as client:
        for at in range(0, len(request), len(request) // 8):
            client.sendall(request[at : at + len(request) // 8])
            assert rehearsed.ask().status == 200  # others are served meanwhile
            time.sleep(0.05)
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    took_ms = (time.perf_counter() - started) * 1000
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["predictions"][0]["species"] == "setosa"
    [request_id] = re.findall(rb"(?im)^x-request-id: (\S+)", head)
    assert rehearsed.record(request_id.decode())["latency_ms"] < took_ms - 8 * 50
