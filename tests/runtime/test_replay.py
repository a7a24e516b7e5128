"""Replay of the spool into Firehose, and the reply to what no route takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage_runtime import not_found
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.record_check import RecordCheck
from mainstage_runtime.redact import Pseudonyms
from mainstage_runtime.replay import LONGEST_BATCH, LONGEST_BATCH_BYTES, Replay, batches, marked
from runtime_stub import Aws, aws_error, aws_ok

Client = Callable[..., Any]


def replay(client: Client) -> Replay:
    return Replay(client("firehose", attempts=1), log_name="dev-churn", stream_name="dev-churn-predictions")


def event(*bodies: Any) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


def failed(answer: dict[str, Any]) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def test_what_is_spooled_goes_to_firehose_marked(
    client: Client, stub: Aws, plain_signature: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    writer = RecordWriter(
        plain_signature, environment="dev", model="churn", endpoint_name="dev-churn", pseudonyms=Pseudonyms(None)
    )
    spooled = writer.write(Served("id-1", 1_795_271_001_123, status=200, rows=[{"months": 5, "plan": "☃"}]))
    assert replay(client).handle(event(spooled.decode())) == {"batchItemFailures": []}
    [sent] = stub.sent("PutRecordBatch")
    assert sent["DeliveryStreamName"] == "dev-churn-predictions"
    data = base64.b64decode(sent["Records"][0]["Data"])
    assert json.loads(data) == {**json.loads(spooled), "replayed": True}
    RecordCheck(plain_signature, model="churn", log_name="dev-churn").check(data)
    line = json.loads(capsys.readouterr().out)
    assert (line["Replayed"], line["ReplayFailed"], line["LogName"]) == (1, 0, "dev-churn")


def test_what_firehose_does_not_take_comes_again(client: Client, stub: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    def partly(sent: Any) -> Any:
        told: list[dict[str, str]] = [{"RecordId": "1"} for _ in sent["Records"]]
        told[1] = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow down"}
        return aws_ok(FailedPutCount=1, RequestResponses=told)

    stub.answers["PutRecordBatch"] = partly
    assert failed(replay(client).handle(event("{}", "{}", "{}"))) == ["m1"]
    note, line = map(json.loads, capsys.readouterr().out.splitlines())
    assert note == {"event": "replay_failed", "error": "ServiceUnavailableException", "records": 1}
    assert (line["Replayed"], line["ReplayFailed"]) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (aws_error("AccessDeniedException", 400), "AccessDeniedException"),
        (aws_ok(FailedPutCount=0, RequestResponses=[]), "an answer of another length"),
    ],
)
def test_a_batch_that_is_not_taken_comes_again_whole(
    client: Client, stub: Aws, capsys: pytest.CaptureFixture[str], answer: Any, named: str
) -> None:
    """The runbooks send whoever looks for the reason to this note."""
    stub.answers["PutRecordBatch"] = lambda sent: answer
    assert failed(replay(client).handle(event("{}", "{}"))) == ["m0", "m1"]
    note, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert (note["event"], note["error"]) == ("replay_failed", named)


def test_one_batch_fails_and_the_others_do_not(client: Client, stub: Aws) -> None:
    def second_fails(sent: Any) -> Any:
        if len(stub.sent("PutRecordBatch")) == 2:
            return aws_error("InternalFailure", 500)
        return aws_ok(FailedPutCount=0, RequestResponses=[{"RecordId": "1"} for _ in sent["Records"]])

    stub.answers["PutRecordBatch"] = second_fails
    long = json.dumps({"plan": "x" * 1_500_000})
    assert failed(replay(client).handle(event(*[long] * 5))) == ["m2", "m3"]
    assert [len(sent["Records"]) for sent in stub.sent("PutRecordBatch")] == [2, 2, 1]


@pytest.mark.parametrize("body", ["", "{", "[1]", "☃", "[" * 100_000, "9" * 5000])
def test_what_is_no_record_goes_on_as_it_is(client: Client, stub: Aws, body: str) -> None:
    assert failed(replay(client).handle(event(body))) == []
    [sent] = stub.sent("PutRecordBatch")
    assert base64.b64decode(sent["Records"][0]["Data"]) == body.encode()


def test_an_empty_batch(client: Client, stub: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(client).handle(event()) == {"batchItemFailures": []}
    assert (stub.calls, capsys.readouterr().out) == ([], "")


@given(st.text(max_size=40))
def test_no_text_breaks_it(body: str) -> None:
    assert type(marked(body)) is bytes


@given(st.lists(st.sampled_from([1, 1000, 900_000, LONGEST_BATCH_BYTES, LONGEST_BATCH_BYTES + 1]), max_size=40))
def test_batches_keep_the_order_and_the_limits(lengths: list[int]) -> None:
    class Sized(bytes):
        length = 0

        def __len__(self) -> int:
            return self.length

    messages = []
    for number, length in enumerate(lengths):
        record = Sized()
        record.length = length
        messages.append((str(number), record))
    made = list(batches(messages))
    assert [message for batch in made for message in batch] == messages
    for batch in made:
        assert len(batch) == 1 or sum(len(record) for _, record in batch) <= LONGEST_BATCH_BYTES


def test_a_batch_has_500_records_at_most() -> None:
    assert [len(batch) for batch in batches([("m", b"x")] * 1201)] == [LONGEST_BATCH, LONGEST_BATCH, 201]


@pytest.mark.parametrize(
    ("sent", "request_id", "asked"),
    [
        ({"requestContext": {"requestId": "id-1", "http": {"method": "GET", "path": "/v1/x"}}}, "id-1", "GET /v1/x"),
        ({}, "lambda-1", "that"),
        (None, "lambda-1", "that"),
        (
            {"requestContext": {"requestId": "id-1", "http": {"method": "POST", "path": "/" + "x" * 1000}}},
            "id-1",
            "POST /" + "x" * 191 + "...",
        ),
    ],
)
def test_what_no_route_takes_is_404(sent: Any, request_id: str, asked: str) -> None:
    reply = not_found.handler(sent, SimpleNamespace(aws_request_id="lambda-1"))
    assert (reply["statusCode"], reply["headers"]["x-request-id"]) == (404, request_id)
    assert json.loads(reply["body"])["error"] == {
        "code": "model_not_found",
        "message": f"no model answers {asked}; a prediction is asked for by POST /v1/models/<model>/predictions",
        "request_id": request_id,
    }
