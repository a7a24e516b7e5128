"""`mainstage predict`: through the front door, signed or with a token, checked first, and what each refusal says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cli import TARGET, Ended, runner

Run = Callable[..., Ended]

BODY = '{"instances": [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]}'
ANSWER = {"predictions": [{"species": "größer", "confidence": 0.9}]}
PATH = "/v1/models/iris/predictions"


class Door:
    """A front door on loopback that answers as it is told, and what it was asked."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, {"x-request-id": "r-1", "x-model-version": "7"}, json.dumps(ANSWER)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                door.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(door.status)
                for name, value in door.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(door.body.encode())))
                self.end_headers()
                self.wfile.write(door.body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.apis = [
            {"Name": "mainstage-prod", "ApiEndpoint": "http://127.0.0.1:1"},
            {"Name": "mainstage-dev", "ApiEndpoint": f"http://127.0.0.1:{self.server.server_port}"},
        ]

    def get_paginator(self, operation: str) -> Door:
        assert operation == "get_apis"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        yield from ({"Items": [api]} for api in self.apis)

    def refuses(self, status: int, **error: Any) -> None:
        self.status, self.body = status, json.dumps({"error": {"request_id": "r-1", **error}})

    def gateway_refuses(self, status: int, message: str) -> None:
        self.status, self.headers, self.body = status, {}, json.dumps({"message": message})


class Logs:
    """The endpoint's container log."""

    def describe_log_streams(self, **given: Any) -> dict[str, Any]:
        assert given["logGroupName"] == "/aws/sagemaker/Endpoints/dev-iris"
        return {"logStreams": [{"logStreamName": "stable/i-1"}]}

    def get_log_events(self, **given: Any) -> dict[str, Any]:
        return {"events": [{"message": "RuntimeError: weights are torn\n"}]}


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    thread = Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], door: Door) -> Run:
    return runner(monkeypatch, capsys, {"apigatewayv2": door, "logs": Logs()})


def test_a_signed_request_goes_to_this_environments_front_door(run: Run, door: Door) -> None:
    ended = run("predict", "iris", BODY)
    assert (ended.code, ended.err) == (0, "")
    target, answer, told = ended.out.splitlines()
    assert target == f"target: {TARGET}"
    assert json.loads(answer) == ANSWER
    assert "größer" in answer
    assert told.startswith("version 7, ")
    assert told.endswith(" ms, request r-1")
    [(path, headers, body)] = door.asked
    assert (path, body, headers["content-type"]) == (PATH, BODY.encode(), "application/json")
    scope = f"{TARGET.access_key_id}/{headers['x-amz-date'][:8]}/eu-west-1/execute-api/aws4_request"
    assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=")


def test_a_token_is_sent_instead_of_a_signature(run: Run, door: Door) -> None:
    ended = run("predict", "iris", BODY, "--token", "a.b.c", "--json")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert 0 < told.pop("latency_ms") < 30_000
    assert told == {"answer": ANSWER, "version": "7", "request_id": "r-1"}
    [(_, headers, _)] = door.asked
    assert headers["authorization"] == "Bearer a.b.c"
    assert not any(name.startswith("x-amz-") for name in headers)


def test_the_request_comes_from_a_file_or_standard_input(
    run: Run, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "row.json").write_text(BODY)
    monkeypatch.setattr("sys.stdin", io.StringIO(BODY))
    assert run("predict", "iris", f"@{tmp_path / 'row.json'}").code == 0
    assert run("predict", "iris", "-").code == 0
    assert [body for _, _, body in door.asked] == [BODY.encode()] * 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"instances": [{"sepal_length": "tall"}]}', 'instances[0].sepal_length: "tall" is no double'),
        ('{"rows": []}', "instances"),
    ],
)
def test_what_does_not_fit_is_not_sent_unless_it_has_to_be(run: Run, door: Door, data: str, message: str) -> None:
    ended = run("predict", "iris", data)
    assert ended.code == 1
    assert ended.err.startswith("error: the request does not fit the signature of iris:\n")
    assert message in ended.err
    assert door.asked == []
    door.refuses(400, code="invalid_payload", message="no", problems=[{"field": "instances[0].x", "rule": "is no x"}])
    ended = run("predict", "iris", data, "--no-check")
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "error: iris: 400 invalid_payload: no",
        "  instances[0].x: is no x",
        "request r-1: mainstage predictions find iris r-1",
    ]
    assert [body for _, _, body in door.asked] == [data.encode()]


@pytest.mark.parametrize("data", ["{", "NaN,", "@nowhere.json", ""])
def test_what_is_no_json_is_never_sent(run: Run, door: Door, data: str) -> None:
    for options in ((), ("--no-check",)):
        ended = run("predict", "iris", data, *options)
        assert ended.code == 1
        assert "is not JSON" in ended.err or "nowhere.json: no such file" in ended.err
    assert door.asked == []


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (401, "Unauthorized", "the front door takes a JWT: give one with --token"),
        (403, "Forbidden", "the credentials may not call this route: their role needs execute-api:Invoke on it"),
        (429, "Too Many Requests", "the front door's throttle is reached; wait a moment"),
    ],
)
def test_the_gateways_own_refusals_say_what_to_do(run: Run, door: Door, status: int, message: str, hint: str) -> None:
    door.gateway_refuses(status, message)
    ended = run("predict", "iris", BODY)
    assert (ended.code, ended.err) == (1, f"error: iris: {status} {message} ({hint})\n")
    in_json = run("predict", "iris", BODY, "--json")
    assert json.loads(in_json.out) == {
        "error": f"iris: {status} {message} ({hint})",
        "status": status,
        "code": "",
        "message": message,
        "request_id": "",
        "problems": [],
    }


def test_a_model_that_fails_shows_its_containers_last_lines(run: Run, door: Door) -> None:
    door.refuses(502, code="model_error", message="the model answered 500")
    ended = run("predict", "iris", BODY)
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "error: iris: 502 model_error: the model answered 500",
        "The container's last lines:",
        "  RuntimeError: weights are torn",
        "request r-1: mainstage predictions find iris r-1",
    ]


def test_a_front_door_that_is_not_there(run: Run, door: Door) -> None:
    door.apis[1]["ApiEndpoint"] = "http://127.0.0.1:1"
    ended = run("predict", "iris", BODY)
    assert ended.code == 1
    assert ended.err.startswith(f"error: http://127.0.0.1:1{PATH}: no answer (")
    assert "Traceback" not in ended.err
    del door.apis[1]
    assert run("predict", "iris", BODY).err == (
        f"error: {TARGET}: no HTTP API is called mainstage-dev; bring the platform up: mainstage up --env dev\n"
    )


def test_a_model_that_awaits_or_that_nobody_knows_is_not_asked(run: Run, door: Door) -> None:
    ended = run("predict", "card-fraud", "{}")
    assert ended.code == 1
    assert ended.err.startswith("error: card-fraud awaits its first version in dev: mainstage model push card-fraud")
    assert "model 'nobody' is not in the catalog" in run("predict", "nobody", "{}").err
    assert door.asked == []


def test_what_aws_refuses_is_one_line(run: Run, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetApis")

    monkeypatch.setattr(door, "get_paginator", denied)
    ended = run("predict", "iris", BODY)
    assert (ended.code, ended.err) == (
        1,
        "error: An error occurred (AccessDeniedException) when calling the GetApis operation: no\n",
    )


HOSTILE = "\x1b]52;c;eA==\x07\x9b2J\u202e"


@pytest.mark.parametrize(
    "predictions", [[True, False], [None], ["a [red]b"], ["[/b]"], [[1, 2]], [":bug:"], ["[link=http://x]y"], ["尺寸"]]
)
def test_an_answer_is_shown_as_it_came(run: Run, door: Door, predictions: list[Any]) -> None:
    door.body = json.dumps({"predictions": predictions})
    ended = run("predict", "iris", BODY)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1] == json.dumps({"predictions": predictions}, ensure_ascii=False)
    assert json.loads(run("predict", "iris", BODY, "--json").out)["answer"] == {"predictions": predictions}


def test_nothing_of_an_answer_or_an_error_reaches_the_terminal_as_a_command(run: Run, door: Door) -> None:
    door.body = json.dumps({"predictions": [HOSTILE]}, ensure_ascii=False)
    told = run("predict", "iris", BODY).out + run("predict", "iris", BODY, "--json").out
    assert not {*HOSTILE[:1], "\x07", "\x9b", "\u202e"} & set(told)
    assert "\\u009b2J\\u202e" in told
    door.refuses(502, code="model_error", message=f"[/b]{HOSTILE}")
    ended = run("predict", "iris", BODY)
    assert ended.err.splitlines()[0] == r"error: iris: 502 model_error: [/b]\x1b]52;c;eA==\x07\x9b2J\u202e"
    assert json.loads(run("predict", "iris", BODY, "--json").out)["message"] == f"[/b]{HOSTILE}"


def test_an_answer_that_is_no_text_a_terminal_knows(run: Run, door: Door) -> None:
    door.body = '{"predictions": ["\\ud800", NaN]}'
    ended = run("predict", "iris", BODY)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1] == r'{"predictions": ["\ud800", "NaN"]}'
    in_json = json.loads(run("predict", "iris", BODY, "--json").out, parse_constant=pytest.fail)
    assert in_json["answer"] == {"predictions": ["\ud800", "NaN"]}


def test_the_hint_of_an_error_can_be_pasted(run: Run, door: Door) -> None:
    door.refuses(500, code="internal_error", message="no")
    for given, pasted in (("-Kh1aQEPDoEEP9w=", "-Kh1aQEPDoEEP9w="), ("a b;rm", "'a b;rm'")):
        door.headers["x-request-id"] = given
        ended = run("predict", "iris", BODY)
        assert ended.err.splitlines()[-1] == f"request {given}: mainstage predictions find iris {pasted}"
    del door.headers["x-request-id"]
    assert run("predict", "iris", BODY).err == "error: iris: 500 internal_error: no\n"


def test_a_script_reads_the_parts_of_an_error(run: Run, door: Door) -> None:
    problem = {"field": "instances[0].x", "value": "tall", "rule": "is no double"}
    door.refuses(400, code="invalid_payload", message="no", problems=[problem])
    ended = run("predict", "iris", BODY, "--json")
    assert (ended.code, json.loads(ended.out)) == (
        1,
        {
            "error": "iris: 400 invalid_payload: no\n  instances[0].x: is no double\n"
            "request r-1: mainstage predictions find iris r-1",
            "status": 400,
            "code": "invalid_payload",
            "message": "no",
            "request_id": "r-1",
            "problems": [problem],
        },
    )


def test_a_number_below_zero_is_a_request_and_no_option(run: Run, door: Door) -> None:
    assert run("predict", "iris", "-5", "--no-check").code == 0
    assert [body for _, _, body in door.asked] == [b"-5"]
