"""Events of format 2.0, answers of functions, limits, and clients that misbehave."""

from __future__ import annotations

import base64
import json
import logging
import socket
import struct
import tempfile
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway_world import BODY, FORBIDDEN, FUNCTION_ARN, PATH, REGION, ROUTE_KEY, SERVER_ERROR, World, wait_until
from waitress.buffers import TempfileBasedBuffer

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.gateway.answer import Answer
from infra.rehearsal.cloud.gateway.listener import Listener

TOO_LARGE = b'{"message":"Request Entity Too Large"}'
MIB = 1024 * 1024


def test_the_event(world: World) -> None:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Cookie": "a=1; b=2",
        "User-Agent": "tests",
        "X-Custom": "Kept As Is",
        "Origin": "https://somewhere.example",
    }
    body = '{"text": "füße \u2603 \\u0000"}'.encode()
    reply = world.send(path=f"{PATH}?a=1&b=x%20y&a=2&c", body=body, headers=headers)
    assert reply.status == 200
    event = world.function.events[-1]
    context = event.pop("requestContext")
    sent = event.pop("headers")
    assert event == {
        "version": "2.0",
        "routeKey": ROUTE_KEY,
        "rawPath": PATH,
        "rawQueryString": "a=1&b=x%20y&a=2&c",
        "cookies": ["a=1", "b=2"],
        "queryStringParameters": {"a": "1,2", "b": "x y", "c": ""},
        "body": body.decode(),
        "isBase64Encoded": False,
    }
    assert sent["x-custom"] == "Kept As Is"
    assert sent["content-length"] == str(len(body))
    assert "cookie" not in sent
    assert sent["x-forwarded-for"] == "127.0.0.1"
    assert context.pop("requestId") == reply.headers["apigw-requestid"]
    assert abs(context.pop("timeEpoch") / 1000 - world.cloud.clock.now().timestamp()) < 10
    assert context.pop("time").endswith(" +0000")
    assert context == {
        "accountId": "111111111111",
        "apiId": world.api_id,
        "domainName": "127.0.0.1",
        "domainPrefix": world.api_id,
        "http": {
            "method": "POST",
            "path": PATH,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "tests",
        },
        "routeKey": ROUTE_KEY,
        "stage": "$default",
    }
    caller = world.function.callers[-1]
    assert (caller.kind, caller.arn) == ("service", "apigateway.amazonaws.com")
    assert (
        caller.context["aws:SourceArn"]
        == f"arn:aws:execute-api:{REGION}:111111111111:{world.api_id}/$default/POST{PATH}"
    )


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        ("application/json", b"{}", True),
        ("application/vnd.api+json", b"{}", True),
        ("text/csv", b"1,2", True),
        ("application/octet-stream", b"\x00\xff", False),
        ("application/x-www-form-urlencoded", b"a=1", False),
        ("image/png", b"\x89PNG", False),
        ("application/json", b"\xff\xfe", False),
    ],
)
def test_bodies_are_text_or_base64_by_their_type(world: World, content_type: str, body: bytes, is_text: bool) -> None:
    assert world.send(body=body, headers={"content-type": content_type}).status == 200
    event = world.function.events[-1]
    assert event["isBase64Encoded"] is not is_text
    assert (event["body"].encode() if is_text else base64.b64decode(event["body"])) == body


def test_no_body_is_no_member(world: World) -> None:
    world.send(body=b"", headers={})
    event = world.function.events[-1]
    assert "body" not in event
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        (
            {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": "{}"},
            201,
            "application/json",
            b"{}",
        ),
        ({"statusCode": "204"}, 204, "text/plain;charset=UTF-8", b""),
        ({"statusCode": 200, "body": "bytes"}, 200, "text/plain;charset=UTF-8", b"bytes"),
        (
            {"statusCode": 200, "body": "/wD/", "isBase64Encoded": True},
            200,
            "text/plain;charset=UTF-8",
            b"\xff\x00\xff",
        ),
        ({"prediction": [0.1]}, 200, "application/json", b'{"prediction": [0.1]}'),
        ("Hello from Lambda!", 200, "application/json", b"Hello from Lambda!"),
        ([1, "ü"], 200, "application/json", '[1, "ü"]'.encode()),
        (None, 200, "application/json", b"null"),
        ({"statusCode": 422, "body": "no"}, 422, "text/plain;charset=UTF-8", b"no"),
    ],
)
def test_answers(world: World, result: Any, status: int, content_type: str, body: bytes) -> None:
    world.function.answer = lambda event: result
    reply = world.send()
    assert (reply.status, reply.headers.get("content-type"), reply.body) == (status, content_type, body)


def test_headers_and_cookies_of_an_answer(world: World) -> None:
    world.function.answer = lambda event: {
        "statusCode": 200,
        "headers": {"X-Model-Version": 7, "x-ok": True, "Connection": "close", "Content-Length": "999", "x-text": "ü"},
        "cookies": ["a=1; HttpOnly", "b=2"],
        "body": "{}",
    }
    reply = world.send()
    assert (reply.headers["x-model-version"], reply.headers["x-ok"]) == ("7", "true")
    assert reply.headers["x-text"].encode("latin-1").decode() == "ü"
    assert (reply.headers["content-length"], reply.headers.get("connection")) == ("2", None)
    assert reply.cookies == ["a=1; HttpOnly", "b=2"]


@pytest.mark.parametrize(
    "result",
    [
        b"no JSON",
        b"",
        {"statusCode": "many"},
        {"statusCode": 99},
        {"statusCode": True},
        {"statusCode": None},
        {"statusCode": 200, "body": {"an": "object"}},
        {"statusCode": 200, "body": "***", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"x": ["list"]}},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"bad name": "x"}},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: stolen"}},
        {"statusCode": 200, "cookies": "a=1"},
    ],
)
def test_what_is_no_answer_is_500(world: World, result: Any) -> None:
    world.function.answer = lambda event: result
    reply = world.send()
    assert (reply.status, reply.body) == (500, SERVER_ERROR)
    assert "set-cookie" not in reply.headers


def test_a_function_that_fails_is_500(world: World) -> None:
    world.function.error = "Unhandled"
    world.function.answer = lambda event: {"errorMessage": "secret text", "errorType": "ValueError"}
    reply = world.send()
    assert (reply.status, reply.body) == (500, SERVER_ERROR)


def test_a_failure_of_the_emulation_is_an_answer_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: dict[str, Any]) -> Any:
        raise RuntimeError("the emulation is broken")

    world.function.answer = broken
    with caplog.at_level(logging.ERROR):
        reply = world.send()
    assert (reply.status, reply.body) == (500, SERVER_ERROR)
    assert "the emulation is broken" in caplog.text


def test_a_head_has_no_body(world: World) -> None:
    world.route("HEAD /health")
    reply = world.send("HEAD", "/health", body=b"")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "2", b"")


def test_a_function_that_takes_too_long_is_503(world: World, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    integration = world.integration(TimeoutInMillis=50)
    world.route("GET /slow", integration)
    world.function.answer = lambda event: release.wait(60) and "late"
    try:
        with caplog.at_level(logging.WARNING):
            reply = world.send("GET", "/slow", body=b"")
        assert (reply.status, reply.body) == (503, b'{"message":"Service Unavailable"}')
        assert f"{FUNCTION_ARN} took longer than 0.05 s" in caplog.text
    finally:
        release.set()
    # Nobody promises that a busy machine answers within those 50 ms.
    world.gateway.update_integration(ApiId=world.api_id, IntegrationId=integration, TimeoutInMillis=30_000)
    world.function.answer = lambda event: "in time"
    assert world.send("GET", "/slow", body=b"").body == b"in time"


def test_who_waits_is_answered_when_the_api_goes(world: World) -> None:
    release, replies = threading.Event(), []
    world.function.answer = lambda event: release.wait(60)
    client = threading.Thread(target=lambda: replies.append(world.send()))
    client.start()
    try:
        wait_until(lambda: bool(world.function.events))
        world.gateway.delete_api(ApiId=world.api_id)
        client.join(30)
        assert [reply.status for reply in replies] == [503]
    finally:
        release.set()


def test_payloads_up_to_the_limits(world: World) -> None:
    """API Gateway takes 10 MB, Lambda an event of 6 MB."""
    text = {"content-type": "text/plain"}
    assert world.send(body=b"x" * (5 * MIB), headers=text).status == 200
    assert len(world.function.events[-1]["body"]) == 5 * MIB
    count = len(world.function.events)
    for size in (6 * MIB, 10 * MIB, 10 * MIB + 1, 11 * MIB):
        reply = world.send(body=b"x" * size, headers=text)
        assert (reply.status, reply.body) == (413, TOO_LARGE), size
        assert len(reply.headers["apigw-requestid"]) == 16
    assert len(world.function.events) == count


def test_the_payload_limit_comes_before_the_route(world: World) -> None:
    world.route("POST /big", AuthorizationType="AWS_IAM")
    assert world.send(path="/big", body=b"x" * 10 * MIB).status == 403
    assert world.send(path="/big", body=b"x" * (10 * MIB + 1)).status == 413


def test_headers_up_to_the_limit(world: World) -> None:
    assert world.send(headers={"x-long": "x" * 9_000}).status == 200
    reply = world.send(headers={"x-long": "x" * 10_240})
    assert (reply.status, json.loads(reply.body)) == (431, {"message": "Request Header Fields Too Large"})
    reply = world.send(headers={"x-long": "x" * 70_000})
    assert (reply.status, json.loads(reply.body)) == (431, {"message": "Request Header Fields Too Large"})
    assert len(reply.headers["apigw-requestid"]) == 16


def test_a_refusal_reaches_a_client_that_is_still_sending(world: World) -> None:
    """The reply is there while the rest of the request is on its way: nothing resets the connection."""
    for _ in range(20):
        connection = _raw(world, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 100_000)
        with connection:
            assert connection.recv(12).endswith(b" 431")
            for _ in range(10):
                connection.sendall(b"x" * 100_000)
            assert _read_to(connection, b"}").endswith(b'{"message":"Request Header Fields Too Large"}')
            assert connection.recv(1) == b""


def test_an_origin_is_ignored_and_a_foreign_host_refused(world: World) -> None:
    assert world.send(headers={"Origin": "https://page.example"}).status == 200
    assert world.send(headers={"Host": f"{world.api_id}.execute-api.{REGION}.amazonaws.com"}).status == 200
    reply = world.send(headers={"Host": "rebound.example"})
    assert (reply.status, reply.body) == (403, FORBIDDEN)


def _raw(world: World, data: bytes) -> socket.socket:
    parts = urlsplit(world.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.sendall(data)
    return connection


def _read_to(connection: socket.socket, end: bytes) -> bytes:
    """What comes until a text; fails at the socket's time-out or its end."""
    answer = b""
    while not answer.endswith(end):
        chunk = connection.recv(4096)
        assert chunk, answer
        answer += chunk
    return answer


def _cut(connection: socket.socket) -> None:
    """A reset, as of a client that died."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _head(length: int) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: text/plain", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_client_that_hangs_up_leaves_nothing_broken(world: World) -> None:
    for _ in range(60):  # more than there are threads
        _cut(_raw(world, _head(1000) + b"half"))
        _cut(_raw(world, b"POST /v1/mod"))
    assert world.function.events == []
    assert world.send().status == 200


def test_what_was_not_read_or_written_to_its_end_is_let_go(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary files of buffers: of a client that hangs up, and of those that are there at the end."""
    files: list[Any] = []

    def newfile(self: TempfileBasedBuffer) -> Any:
        files.append(tempfile.TemporaryFile())  # noqa: SIM115 -- the buffer closes it
        return files[-1]

    monkeypatch.setattr(TempfileBasedBuffer, "newfile", newfile)
    listener = Listener("let-go", lambda request: Answer(200, (), b"y" * (8 * MIB)), cloud.clock.now)
    parts = urlsplit(listener.url)
    gone, half, unread = (socket.create_connection((parts.hostname, parts.port), timeout=30) for _ in range(3))
    with gone, half, unread:
        unread.sendall(_head(0))
        assert unread.recv(100).startswith(b"HTTP/1.1 200")
        for connection in (gone, half):
            connection.sendall(_head(12 * MIB) + b"x" * (11 * MIB))
        wait_until(lambda: len(files) == 3)
        _cut(gone)
        wait_until(lambda: [file.closed for file in files].count(True) == 1)
        listener.close()
    assert [file.closed for file in files] == [True] * 3


def test_a_client_that_hangs_up_before_the_reply_leaves_nothing_broken(world: World) -> None:
    release = threading.Event()
    world.function.answer = lambda event: release.wait(60) and "x" * MIB
    for _ in range(5):
        _cut(_raw(world, _head(len(BODY)) + BODY))
    wait_until(lambda: len(world.function.events) == 5)
    release.set()
    world.function.answer = lambda event: "y" * (4 * MIB)
    for _ in range(5):
        connection = _raw(world, _head(len(BODY)) + BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        _cut(connection)
    assert len(world.send().body) == 4 * MIB


def test_what_is_no_http_is_refused(world: World) -> None:
    connection = _raw(world, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: many\r\n\r\n")
    with connection:
        answer = _read_to(connection, b'{"message":"Bad Request"}')
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert world.send().status == 200


def test_a_connection_is_kept_and_chunks_are_taken(world: World) -> None:
    chunked = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection = _raw(world, f"{chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".encode())
    with connection:
        assert b"200 OK" in _read_to(connection, b"ok")
        connection.sendall(_head(len(BODY)) + BODY)
        assert b"200 OK" in _read_to(connection, b"ok")
    assert [event["body"] for event in world.function.events] == ["abcde", BODY.decode()]
