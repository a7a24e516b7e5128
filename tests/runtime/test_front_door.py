"""The front door's handler against small real servers: each reply, its record, its metrics."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mainstage_runtime import emf, replies
from mainstage_runtime.endpoint import Endpoint, ModelAnswer, version_of
from mainstage_runtime.front_door import FrontDoor
from mainstage_runtime.hand_over import HandOver
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.record_check import RecordCheck
from mainstage_runtime.redact import Pseudonyms, derived_key
from mainstage_runtime.settings import FrontDoorSettings
from runtime_stub import FRONT_DOOR_ENVIRONMENT, Answer, Aws, aws_error, prediction

ROW = {"months": 5, "plan": "basic"}
SECRET = "Jane~Doe~1970"

Client = Callable[..., Any]
Build = Callable[..., FrontDoor]


class AtOnce:
    """Does what the handler leaves, at once: the record and its metrics are there when the handler returns."""

    def __init__(self, do: Callable[[Served], None]) -> None:
        self._do = do

    def leave(self, work: Served | None) -> bool:
        if work is not None:
            self._do(work)
        return True


@pytest.fixture
def build(client: Client, plain_signature: dict[str, Any]) -> Build:
    """A front door over the stub's services. Keywords change the environment (MAINSTAGE_ apart) or `signature`."""

    def built(*, signature: dict[str, Any] | None = None, deferred: Any = None, **environment: str) -> FrontDoor:
        found = signature or plain_signature
        environ = FRONT_DOOR_ENVIRONMENT | {f"MAINSTAGE_{name}": value for name, value in environment.items()}
        parts = FrontDoorSettings.read(environ)
        kms, key = client("kms"), "arn:aws:kms:eu-west-1:111111111111:key/1"
        pseudonyms = Pseudonyms(lambda: derived_key(kms, key))
        writer = RecordWriter(
            found,
            environment=parts.environment,
            model=parts.model,
            endpoint_name=parts.endpoint_name,
            pseudonyms=pseudonyms,
        )
        hand_over = HandOver(
            writer,
            pseudonyms,
            log_name=parts.log_name,
            stream_name=parts.stream_name,
            spool_url=parts.spool_url,
            firehose=client("firehose", attempts=1),
            sqs=client("sqs", attempts=1),
        )
        seconds = parts.deadline_ms / 1000
        runtime = client("sagemaker-runtime", connect_seconds=seconds, read_seconds=seconds, attempts=1)
        endpoint = Endpoint(runtime, parts.endpoint_name, parts.deadline_ms) if parts.endpoint_name else None
        return FrontDoor(parts, found, endpoint=endpoint, deferred=deferred or AtOnce(hand_over), hand_over=hand_over)

    return built


def event(body: Any = None, *, headers: dict[str, str] | None = None, **authorizer: Any) -> dict[str, Any]:
    """What API Gateway sends, payload format 2.0."""
    sent = {"instances": [ROW]} if body is None else body
    encoded = isinstance(sent, bytes)
    return {
        "version": "2.0",
        "headers": {"content-type": "application/json"} if headers is None else headers,
        "requestContext": {"requestId": "id-1", **({"authorizer": authorizer} if authorizer else {})},
        "body": base64.b64encode(sent).decode() if encoded else json.dumps(sent),
        "isBase64Encoded": encoded,
    }


def told(reply: replies.Reply) -> dict[str, Any]:
    body = json.loads(reply["body"])["error"]
    assert body["request_id"] == reply["headers"]["x-request-id"]
    assert reply["headers"]["content-type"] == "application/json"
    assert replies.STATUS[body["code"]] == reply["statusCode"]
    return body


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(each) for each in capsys.readouterr().out.splitlines()]


def test_a_prediction_is_answered_logged_and_counted(
    build: Build, stub: Aws, capsys: pytest.CaptureFixture[str], plain_signature: dict[str, Any]
) -> None:
    arn = "arn:aws:iam::111111111111:user/client"
    before = time.time_ns() // 1_000_000
    reply = build().handle(event(iam={"userArn": arn}), None)
    answer = '{"predictions": [{"label": "yes", "score": 0.5}]}'
    assert reply == {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "x-request-id": "id-1", "x-model-version": "7"},
        "body": answer,
        "isBase64Encoded": False,
    }
    assert stub.sent("InvokeEndpoint") == [json.dumps({"instances": [ROW]}).encode()]
    [record] = stub.records()
    assert {name: record[name] for name in ("request_id", "version", "variant", "status", "caller", "rows")} == {
        "request_id": "id-1", "version": "7", "variant": "AllTraffic", "status": 200, "caller": arn, "rows": 1,
    }  # fmt: skip
    assert record["output_bytes"] == len(answer)
    assert 0 < record["model_ms"] <= record["latency_ms"]
    raw = base64.b64decode(stub.sent("PutRecord")[0]["Record"]["Data"])
    RecordCheck(plain_signature, model="churn", log_name="dev-churn").check(raw)

    served, handed = lines(capsys)
    assert (served["Served"], served["LogName"], served["status"]) == (1, "dev-churn", 200)
    assert served["FrontDoorLatency"] == record["latency_ms"]
    assert served["_aws"]["CloudWatchMetrics"] == [
        {"Namespace": "Mainstage", "Dimensions": [["LogName"]], "Metrics": [{"Name": "Served", "Unit": "Count"}]},
        {
            "Namespace": "Mainstage",
            "Dimensions": [
                ["EndpointName"],
                ["EndpointName", "ModelVersion"],
                ["EndpointName", "VariantName", "EndpointConfigName"],
            ],
            "Metrics": [{"Name": "FrontDoorLatency", "Unit": "Milliseconds"}],
        },
    ]
    dimensions = ("EndpointName", "ModelVersion", "VariantName", "EndpointConfigName")
    assert [served[name] for name in dimensions] == ["dev-churn", "7", "AllTraffic", "dev-churn-v7-abc"]
    assert (handed["HandedOver"], handed["LogName"]) == (1, "dev-churn")
    assert "Spooled" not in handed
    # Both in the request's own minute.
    assert before <= served["_aws"]["Timestamp"] == handed["_aws"]["Timestamp"] <= time.time_ns() // 1_000_000


def test_a_version_that_is_not_declared_has_no_configuration(
    build: Build, stub: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    for version, header in ((None, "unknown"), ("8", "8")):
        stub.answers["InvokeEndpoint"] = lambda body, version=version: prediction([{}], version=version)
        assert build().handle(event(), None)["headers"]["x-model-version"] == header
        line = lines(capsys)[0]
        assert (line["ModelVersion"], "EndpointConfigName" in line) == (header, False)


@pytest.mark.parametrize("encoded", [True, False])
def test_a_body_in_base64_and_one_as_text_are_one(build: Build, stub: Aws, encoded: bool) -> None:
    body = json.dumps({"instances": [{"months": 5, "plan": "☃ \u0000 \U0001f600"}]}, ensure_ascii=False)
    sent = event(body.encode()) if encoded else {**event(), "body": body}
    assert build().handle(sent, None)["statusCode"] == 200
    assert stub.sent("InvokeEndpoint") == [body.encode()]
    assert stub.records()[0]["input_plan"] == ["☃ \u0000 \U0001f600"]


@pytest.mark.parametrize("headers", [{}, {"content-type": "Application/JSON; charset=utf-8"}, {"content-type": ""}])
def test_content_types_that_are_taken(build: Build, headers: dict[str, str]) -> None:
    assert build().handle(event(headers=headers), None)["statusCode"] == 200


REFUSALS = [
    (event(b""), "invalid_json", "the body is empty"),
    (event(b"{"), "invalid_json", "not JSON"),
    (event(b"\xff"), "invalid_json", "UTF-8"),
    (event(b"[" * 4000), "invalid_json", "nested too deeply"),
    (event(b'{"instances": [{"months": NaN}]}'), "invalid_json", "NaN"),
    ({**event(), "body": "%%%", "isBase64Encoded": True}, "invalid_json", "base64"),
    ({**event(), "body": None}, "invalid_json", "the body is empty"),
    (event([]), "invalid_payload", "a request is an object"),
    (event({"instances": [{"months": "x", "plan": None}]}), "invalid_payload", "1 value does not fit"),
    (event(b" " * 4097), "body_too_large", "the body has 4097 bytes; 4096 are taken"),
    ({**event(), "body": "☃" * 1366}, "body_too_large", "the body has 4098 bytes"),
    (event(headers={"content-type": "text/csv"}), "unsupported_media_type", "send application/json"),
    (event(headers={"content-encoding": "gzip"}), "unsupported_media_type", "gzip"),
]


@pytest.mark.parametrize(("sent", "code", "message"), REFUSALS)
def test_a_refusal_is_told_logged_and_counted(
    build: Build, stub: Aws, capsys: pytest.CaptureFixture[str], sent: Any, code: str, message: str
) -> None:
    reply = build().handle(sent, None)
    error = told(reply)
    assert error["code"] == code
    assert message in error["message"]
    assert "x-model-version" not in reply["headers"]
    assert stub.sent("InvokeEndpoint") == []
    [record] = stub.records()
    assert (record["status"], record["error_code"], record["version"]) == (replies.STATUS[code], code, "unknown")
    assert (record["model_ms"], record["input_months"], record["output_label"]) == (None, None, None)
    served, handed = lines(capsys)
    assert (served["Served"], served["Replies4XX"], handed["HandedOver"]) == (1, 1, 1)
    assert "FrontDoorLatency" not in served


def test_a_body_at_the_limit_is_taken(build: Build) -> None:
    text = json.dumps({"instances": [ROW]})
    assert build().handle({**event(), "body": text.ljust(4096)}, None)["statusCode"] == 200


def test_a_payload_that_does_not_fit_names_field_value_and_rule(build: Build, stub: Aws) -> None:
    error = told(build().handle(event({"instances": [ROW, {"months": 2.5, "paln": "x"}]}), None))
    assert [(each["field"], each["value"], each["rule"]) for each in error["problems"]] == [
        ("instances[1].paln", "x", "known field"),
        ("instances[1].months", 2.5, "type integer"),
    ]
    [record] = stub.records()
    assert (record["error_field"], record["rows"]) == ("instances[1]", 2)


def test_a_model_that_awaits_its_first_version(build: Build, stub: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    front_door = build(ENDPOINT_NAME="")
    error = told(front_door.handle(event(), None))
    assert (error["code"], error["message"]) == ("model_awaiting", "churn awaits its first version in dev")
    [record] = stub.records()
    assert (record["endpoint_name"], record["input_months"], record["rows"]) == ("", [5], 1)
    served, _ = lines(capsys)
    assert (served["Replies5XX"], "FrontDoorLatency" in served) == (1, False)
    assert told(front_door.handle(event({"instances": []}), None))["code"] == "invalid_payload"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (aws_error("ModelError", 424, OriginalStatusCode=500, OriginalMessage=SECRET), "model_error"),
        (aws_error("ThrottlingException", 400), "model_unavailable"),
        (aws_error("ServiceUnavailable", 503), "model_unavailable"),
        (aws_error("ModelNotReadyException", 429), "model_unavailable"),
        (aws_error("ValidationError", 400), "model_unavailable"),
        (aws_error("InternalFailure", 500), "model_unavailable"),
        (aws_error("AccessDeniedException", 403), "internal_error"),
        ((200, {"Content-Type": "application/json"}, b"x" * (replies.LONGEST_ANSWER_BYTES + 1)), "model_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_endpoint_that_does_not_answer(
    build: Build, stub: Aws, capsys: pytest.CaptureFixture[str], answer: Answer, code: str
) -> None:
    stub.answers["InvokeEndpoint"] = lambda body: answer
    reply = build().handle(event(), None)
    assert told(reply)["code"] == code
    assert len(stub.sent("InvokeEndpoint")) == 1, "nothing is asked twice"
    [record] = stub.records()
    assert (record["error_code"], record["input_months"], record["output_label"]) == (code, [5], None)
    assert record["model_ms"] > 0
    out = capsys.readouterr().out
    assert SECRET not in out + json.dumps(reply)
    assert '"FrontDoorLatency"' in out


def test_the_deadline_holds(build: Build, stub: Aws) -> None:
    over = threading.Event()

    def slow(body: bytes) -> Answer:
        over.wait(5)
        return prediction([{}])

    stub.answers["InvokeEndpoint"] = slow
    error = told(build(DEADLINE_MS="50").handle(event(), None))
    over.set()
    assert (error["code"], error["message"]) == ("deadline_exceeded", "the model gave no answer within 50 ms")
    assert 50 <= stub.records()[0]["model_ms"] < 2000
    assert len(stub.sent("InvokeEndpoint")) == 1


def test_an_endpoint_that_cannot_be_reached(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert told(build().handle(event(), None))["code"] == "model_unavailable"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a,b\n1,2", "text/csv"),
        (b"", "application/json"),
        (b'{"predictions": [NaN]}', "application/json"),
        (b"\xff\x00\xfe", "application/octet-stream"),
        (b'"' + b"\\n" * 600_000 + b'"', "application/json"),
    ],
)
def test_an_answer_of_any_form_is_returned_unchanged(build: Build, stub: Aws, body: bytes, content_type: str) -> None:
    stub.answers["InvokeEndpoint"] = lambda sent: (200, {"Content-Type": content_type}, body)
    reply = build().handle(event(), None)
    sent = base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()
    assert (reply["statusCode"], sent, reply["headers"]["content-type"]) == (200, body, content_type)
    [record] = stub.records()
    assert (record["status"], record["output_bytes"], record["output_label"]) == (200, len(body), None)


# Nothing about logging fails a prediction.


def test_firehose_down_the_spool_takes_it(build: Build, stub: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    stub.answers["PutRecord"] = lambda sent: aws_error("ServiceUnavailableException", 503)
    assert build().handle(event(), None)["statusCode"] == 200
    [message] = stub.sent("SendMessage")
    assert message["QueueUrl"] == FRONT_DOOR_ENVIRONMENT["MAINSTAGE_SPOOL_URL"]
    record = json.loads(message["MessageBody"])
    assert (record["request_id"], record["replayed"]) == ("id-1", False)
    _, note, handed = lines(capsys)
    assert note == {"event": "spooled", "request_id": "id-1", "stream": "ServiceUnavailableException"}
    assert (handed["HandedOver"], handed["Spooled"]) == (1, 1)


def test_both_down_the_loss_is_counted(build: Build, stub: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    stub.answers["PutRecord"] = stub.answers["SendMessage"] = lambda sent: aws_error("InternalFailure", 500)
    assert build().handle(event(), None)["statusCode"] == 200
    served, note, lost = lines(capsys)
    assert (served["Served"], lost["LogFailed"]) == (1, 1)
    assert (note["event"], "HandedOver" in lost) == ("record_lost", False)
    assert served["_aws"]["Timestamp"] == lost["_aws"]["Timestamp"]


def test_a_record_that_cannot_be_built_is_counted(
    build: Build, stub: Aws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Any, served: Served) -> bytes:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(RecordWriter, "write", fails)
    assert build().handle(event(), None)["statusCode"] == 200
    out = capsys.readouterr().out
    assert '"LogFailed":1' in out
    assert '"record":"ZeroDivisionError"' in out
    assert SECRET not in out


def test_a_queue_that_is_full_is_counted(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    front_door = build(deferred=SimpleNamespace(leave=lambda served: False))
    assert front_door.handle(event(), None)["statusCode"] == 200
    assert [line for line in lines(capsys) if "LogFailed" in line]


def test_an_output_that_is_closed_fails_nothing(build: Build, stub: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(text: str) -> None:
        raise OSError("closed")

    monkeypatch.setattr(emf, "write", fails)
    assert build().handle(event(), None)["statusCode"] == 200
    assert len(stub.records()) == 1


def test_kms_down_nothing_in_clear_and_the_key_comes_later(
    build: Build, stub: Aws, signature: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"customer": SECRET, "Phone": SECRET, "age": 41, "months": 5, "spend": None, "plan": "basic"}
    stub.answers["GenerateMac"] = lambda sent: aws_error("KMSInternalException", 500)
    assert build(signature=signature).handle(event({"instances": [row]}), None)["statusCode"] == 200
    assert (stub.records()[0]["entity_key"], stub.records()[0]["input_customer"]) == (None, [None])
    [note] = [line for line in lines(capsys) if line.get("event") == "no_pseudonyms"]
    assert note["error"] == "KMSInternalException"
    del stub.answers["GenerateMac"]
    build(signature=signature).handle(event({"instances": [row]}), None)
    assert len(stub.records()[1]["entity_key"]) == 32
    [first, *_] = stub.sent("GenerateMac")
    assert base64.b64decode(first["Message"]) == b"mainstage-pseudonym-v1"
    assert first["MacAlgorithm"] == "HMAC_SHA_256"


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"customer": SECRET, "Phone": SECRET, "age": 41, "months": 5, "spend": 1, "plan": "basic"}, 200),
        ({"customer": SECRET, "Phone": SECRET, "age": SECRET, "months": SECRET, SECRET: 1}, 400),
        ({"customer": SECRET, "Phone": [SECRET], "age": 41, "months": 5, "spend": 1, "plan": "basic"}, 400),
    ],
)
def test_personal_data_is_in_no_record_no_spool_and_no_output(
    build: Build,
    stub: Aws,
    signature: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    row: dict[str, Any],
    status: int,
    spooled: bool,
) -> None:
    stub.answers["InvokeEndpoint"] = lambda body: prediction([{"label": "a", "score": 1, "name": SECRET}])
    if spooled:
        stub.answers["PutRecord"] = lambda sent: aws_error("InternalFailure", 500)
    sent = event({"instances": [row]}, jwt={"claims": {"sub": SECRET}, "scopes": None})
    assert build(signature=signature).handle(sent, None)["statusCode"] == status
    stored = [json.dumps(record) for record in stub.records()]
    stored += [message["MessageBody"] for message in stub.sent("SendMessage")]
    assert len(stored) == (3 if spooled else 1), "Firehose, once more, and the queue"
    assert not [text for text in (*stored, capsys.readouterr().out) if SECRET in text]
    assert len(json.loads(stored[0])["caller"]) == 32


# Whatever comes.


@pytest.mark.parametrize(
    "sent", [None, 5, "x", [], {}, {"requestContext": None}, {**event(), "body": 5}, {**event(), "headers": 5}]
)
def test_an_event_that_is_none_of_the_gateways(build: Build, sent: Any) -> None:
    reply = build().handle(sent, SimpleNamespace(aws_request_id="lambda-1"))
    assert told(reply)["code"] in ("internal_error", "invalid_json")
    assert reply["headers"]["x-request-id"] in ("lambda-1", "id-1")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=60) | st.sampled_from([b"\xed\xa0\x80", b"\x00", b"{}", b"[[]]"]), text=st.text())
def test_no_body_breaks_it(plain_signature: dict[str, Any], body: bytes, text: str) -> None:
    kept: list[Served] = []
    asks: Any = SimpleNamespace(ask=lambda body: ModelAnswer(b"", "application/json", "7", "A"))
    keeps: Any = SimpleNamespace(leave=lambda served: kept.append(served) or True)
    hand_over: Any = None
    front_door = FrontDoor(
        FrontDoorSettings.read(FRONT_DOOR_ENVIRONMENT),
        plain_signature,
        endpoint=asks,
        deferred=keeps,
        hand_over=hand_over,
    )
    assert front_door.handle(event(body), None)["statusCode"] == 400
    assert front_door.handle({**event(), "body": text}, None)["statusCode"] == 400
    check = RecordCheck(plain_signature, model="churn", log_name="dev-churn")
    writer = RecordWriter(
        plain_signature, environment="dev", model="churn", endpoint_name="", pseudonyms=Pseudonyms(None)
    )
    for served in kept:
        check.check(writer.write(served))


@pytest.mark.parametrize(
    ("attributes", "version"),
    [
        ("mainstage-version=7", "7"),
        ("trace=1;mainstage-version=12", "12"),
        ("trace=1, mainstage-version=12 ", "12"),
        ("", "unknown"),
        ("mainstage-version=", "unknown"),
        ("mainstage-version=x", "unknown"),
        ("mainstage-version=²", "unknown"),
        ("mainstage-version=" + "9" * 19, "unknown"),
        ("x-mainstage-version=7", "unknown"),
    ],
)
def test_the_version_out_of_the_attributes(attributes: str, version: str) -> None:
    assert version_of(attributes) == version
