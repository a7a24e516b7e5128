"""What the runtime's functions talk to, as small real HTTP servers on loopback: four AWS services, and Lambda's Runtime
and Extensions APIs with a process that speaks them. Enough to test the functions as they are deployed; the emulated
cloud is another matter, and tested elsewhere."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mainstage_runtime

PACKAGE = Path(mainstage_runtime.__file__).parent

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}

Answer = tuple[int, Mapping[str, str], bytes]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    answering: Callable[[str, str, Mapping[str, str], bytes], Answer]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, answer = type(self).answering(
            self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    do_GET = do_POST = _serve

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client went away
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def served(answering: Callable[[str, str, Mapping[str, str], bytes], Answer]) -> Iterator[str]:
    """A server on loopback; gives its `host:port`."""
    handler = type("Handler", (_Handler,), {"answering": staticmethod(answering)})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def aws_error(code: str, status: int = 400, **members: Any) -> Answer:
    body = json.dumps({"__type": code, "message": code, "Message": code, **members}).encode()
    return status, {"x-amzn-ErrorType": code, "Content-Type": "application/json"}, body


def aws_ok(**members: Any) -> Answer:
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(members).encode()


@dataclass
class Aws:
    """Firehose, SQS, KMS and SageMaker's runtime. Each operation answers well until `answers` has another way."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Operation and what it was sent: SageMaker's body, others' JSON."""
    answers: dict[str, Callable[[Any], Answer]] = field(default_factory=dict)
    mac: bytes = b"k" * 32
    address: str = ""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if path.endswith("/invocations"):
            operation, sent = "InvokeEndpoint", body
        else:
            operation, sent = headers.get("x-amz-target", "").rpartition(".")[2], json.loads(body)
        self.calls.append((operation, sent))
        answer = self.answers.get(operation) or getattr(self, f"_{operation}", None)
        return answer(sent) if answer else aws_error("UnknownOperationException")

    def sent(self, operation: str) -> list[Any]:
        return [sent for name, sent in self.calls if name == operation]

    def records(self) -> list[dict[str, Any]]:
        """The records that PutRecord was sent."""
        return [json.loads(base64.b64decode(sent["Record"]["Data"])) for sent in self.sent("PutRecord")]

    def _InvokeEndpoint(self, body: bytes) -> Answer:
        rows = len(json.loads(body)["instances"])
        return prediction([{"label": "yes", "score": 0.5}] * rows)

    def _PutRecord(self, sent: Any) -> Answer:
        return aws_ok(RecordId="1")

    def _PutRecordBatch(self, sent: Any) -> Answer:
        return aws_ok(FailedPutCount=0, RequestResponses=[{"RecordId": "1"} for _ in sent["Records"]])

    def _SendMessage(self, sent: Any) -> Answer:
        return aws_ok(MessageId="1")

    def _GenerateMac(self, sent: Any) -> Answer:
        return aws_ok(Mac=base64.b64encode(self.mac).decode(), MacAlgorithm=sent["MacAlgorithm"], KeyId=sent["KeyId"])


def prediction(answer: Any, *, version: str | None = "7", variant: str = "AllTraffic") -> Answer:
    """A container's answer as InvokeEndpoint hands it on."""
    headers = {"Content-Type": "application/json", "x-Amzn-Invoked-Production-Variant": variant}
    if version:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = f"mainstage-version={version}"
    body = answer if isinstance(answer, bytes) else json.dumps({"predictions": answer}).encode()
    return 200, headers, body


@contextmanager
def aws() -> Iterator[Aws]:
    stub = Aws()
    with served(stub.answer) as address:
        stub.address = f"http://{address}"
        yield stub


FRONT_DOOR_ENVIRONMENT = {
    "MAINSTAGE_ENVIRONMENT": "dev",
    "MAINSTAGE_MODEL": "churn",
    "MAINSTAGE_ENDPOINT_NAME": "dev-churn",
    "MAINSTAGE_LOG_NAME": "dev-churn",
    "MAINSTAGE_STREAM_NAME": "dev-churn-predictions",
    "MAINSTAGE_SPOOL_URL": "https://sqs.eu-west-1.amazonaws.com/111111111111/dev-churn-spool",
    "MAINSTAGE_DEADLINE_MS": "5000",
    "MAINSTAGE_MAXIMUM_BODY_BYTES": "4096",
    "MAINSTAGE_CONFIGURATIONS": '{"7": "dev-churn-v7-abc"}',
}

_BOOTSTRAP = """
import http.client, importlib, json, os, sys, types
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
module, _, name = os.environ["_HANDLER"].rpartition(".")
handler = getattr(importlib.import_module(module), name)
connection = http.client.HTTPConnection(api)
while True:
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = connection.getresponse()
    event, request_id = json.loads(reply.read()), reply.getheader("Lambda-Runtime-Aws-Request-Id")
    answer = json.dumps(handler(event, types.SimpleNamespace(aws_request_id=request_id)))
    connection.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", body=answer.encode())
    connection.getresponse().read()
"""


class Lambda:
    """One environment: the Runtime API, the Extensions API, and when each side asks for the next event."""

    def __init__(self, *, extensions: bool) -> None:
        self._extensions = extensions
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._for_extension: queue.Queue[bytes] = queue.Queue()
        self._replies: queue.Queue[tuple[float, Any]] = queue.Queue()
        self._next = threading.Condition()
        self._asked = {"runtime": 0, "extension": 0}
        self.registered: list[tuple[str | None, Any]] = []
        self.loses_the_extension = False
        """True: the next answer to the extension is no event."""
        self.stdout = ""
        self.process: subprocess.Popen[bytes] | None = None

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if path == "/2020-01-01/extension/register":
            if not self._extensions:
                return 403, {}, b"{}"
            self.registered.append((headers.get("lambda-extension-name"), json.loads(body)))
            return 200, {"Lambda-Extension-Identifier": "id-1"}, b"{}"
        if path == "/2020-01-01/extension/event/next":
            self._tell("extension")
            event = self._for_extension.get()
            return (500, {}, b"{}") if self.loses_the_extension else (200, {}, event)
        if path == "/2018-06-01/runtime/invocation/next":
            self._tell("runtime")
            request_id, event = self._events.get()
            return 200, {"Lambda-Runtime-Aws-Request-Id": request_id}, event
        self._replies.put((time.perf_counter(), json.loads(body)))
        return 202, {}, b"{}"

    def _tell(self, side: str) -> None:
        with self._next:
            self._asked[side] += 1
            self._next.notify_all()

    def wait_idle(self, seconds: float = 20.0) -> None:
        """Waits until all sides ask for the next event, which is when Lambda freezes the environment."""
        with self._next:
            if not self._next.wait_for(self._idle, seconds):
                raise TimeoutError(f"the environment did not come to rest: {self._asked}")

    def _idle(self) -> bool:
        return bool(self._asked["runtime"] and (self._asked["extension"] or not self.registered))

    def invoke(self, event: Any, request_id: str = "lambda-1") -> tuple[float, Any]:
        """One invocation of an idle environment. Returns seconds until the reply was posted, and the reply."""
        self.wait_idle()
        with self._next:
            self._asked = dict.fromkeys(self._asked, 0)
        started = time.perf_counter()
        if self.registered:
            deadline = int((time.time() + 30) * 1000)
            told = {"eventType": "INVOKE", "requestId": request_id, "deadlineMs": deadline}
            self._for_extension.put(json.dumps(told).encode())
        self._events.put((request_id, json.dumps(event).encode()))
        ended, reply = self._replies.get(timeout=20)
        return ended - started, reply


@contextmanager
def deployed(
    handler: str,
    folder: Path,
    environment: Mapping[str, str],
    signature: Mapping[str, Any] | None,
    *,
    extensions: bool = True,
) -> Iterator[Lambda]:
    """A function as it is deployed: the package and its `mainstage.json` in a folder of their own, in a process of its
    own. `stdout` of what is given is complete when the block has ended."""
    shutil.copytree(PACKAGE, folder / "mainstage_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    if signature is not None:
        (folder / "mainstage.json").write_text(json.dumps({"signature": signature}))
    (folder / "bootstrap.py").write_text(_BOOTSTRAP)
    stub = Lambda(extensions=extensions)
    # A file: a pipe that nobody reads would stop the function.
    with served(stub.answer) as address, (folder / "stdout").open("w+", encoding="utf-8") as stdout:
        process = stub.process = subprocess.Popen(
            [sys.executable, str(folder / "bootstrap.py")],
            env={
                **CREDENTIALS,
                **environment,
                "PATH": os.environ["PATH"],
                "AWS_LAMBDA_RUNTIME_API": address,
                "_HANDLER": handler,
            },
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )
        try:
            yield stub
        finally:
            process.kill()
            process.wait()
            stdout.seek(0)
            stub.stdout = stdout.read()
            # What still waits for an event is let go.
            stub._events.put(("", b"{}"))
            stub._for_extension.put(b"{}")
