"""A client of the front door: one signed request a prediction, as any client of the platform makes it."""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from infra.layers.names import endpoint_name, front_door_api_name
from infra.registry.target import Target

SERVICE = "execute-api"
TIMEOUT_SECONDS = 35
"""An HTTP API answers within 30 seconds, whatever happens behind it."""


class PredictError(ValueError):
    """A prediction that could not be made; the message says why.

    details: the same in parts, for a script (`error_details`); empty where there was no answer.
    """

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


def error_details(
    code: str,
    message: str,
    *,
    status: int | None = None,
    request_id: str = "",
    problems: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A refusal in parts. status None: the request was not sent. code: empty for the gateway's own refusals."""
    told = {"status": status, "code": code, "message": message, "request_id": request_id}
    return {**told, "problems": list(problems)}


@dataclass(frozen=True)
class Reply:
    """What came back. `latency_ms` is the client's own, from the first byte sent to the last one read."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    latency_ms: float

    @property
    def request_id(self) -> str:
        """Empty when the gateway answered by itself."""
        return self.headers.get("x-request-id", "")

    @property
    def version(self) -> str:
        return self.headers.get("x-model-version", "")


class FrontDoor:
    """The front door of one environment. Thread-safe; connections are kept.

    Signs with the target's credentials (IAM), or sends `token` as a bearer token where the front door takes JWTs.
    """

    def __init__(self, target: Target, *, token: str | None = None, connections: int = 8):
        self.url = front_door_url(target)
        self._region = target.region
        self._token = token
        credentials = target.session.get_credentials()
        if credentials is None and token is None:
            raise PredictError(f"{target}: there are no credentials to sign the request with")
        self._credentials = credentials
        self._signing = threading.Lock()
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, timeout=TIMEOUT_SECONDS)

    def path_of(self, model: str) -> str:
        return path_of(model)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None, *, signed: bool = True) -> Reply:
        """Sends one POST. Raises PredictError when no answer comes."""
        given = {"content-type": "application/json", **(headers or {})}
        if signed:
            given = self._signed(path, body, given)
        started = time.perf_counter()
        try:
            reply = self._pool.request("POST", self.url + path, body=body, headers=given)
        except urllib3.exceptions.HTTPError as error:
            raise PredictError(f"{self.url}{path}: no answer ({error})") from error
        elapsed_ms = (time.perf_counter() - started) * 1000
        return Reply(
            reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.data, elapsed_ms
        )

    def predict(self, model: str, body: bytes) -> Reply:
        """Asks a model for a prediction, whatever the answer is."""
        return self.post(self.path_of(model), body)

    def _signed(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        if self._token is not None:
            return {**headers, "authorization": f"Bearer {self._token}"}
        assert self._credentials is not None
        with self._signing:  # temporary credentials are renewed in here
            frozen = self._credentials.get_frozen_credentials()
        request = AWSRequest("POST", self.url + path, data=body, headers=headers)
        SigV4Auth(frozen, SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())


def path_of(model: str) -> str:
    return f"/v1/models/{model}/predictions"


def front_door_url(target: Target) -> str:
    """The front door's address: of the HTTP API with the environment's name. Raises PredictError."""
    return _api(target)["ApiEndpoint"].rstrip("/")


def model_urls(target: Target, models: Iterable[str]) -> dict[str, str]:
    """Where clients POST requests for each of `models` that the front door has a route to now.

    Empty when there is no front door, or it may not be read.
    """
    try:
        api = _api(target)
        pages = target.client("apigatewayv2").get_paginator("get_routes").paginate(ApiId=api["ApiId"])
        routes = {route["RouteKey"] for page in pages for route in page["Items"]}
    except (PredictError, ClientError):
        return {}
    address = api["ApiEndpoint"].rstrip("/")
    return {model: f"{address}{path_of(model)}" for model in models if f"POST {path_of(model)}" in routes}


def _api(target: Target) -> dict[str, Any]:
    wanted = front_door_api_name(target.environment)
    pages = target.client("apigatewayv2").get_paginator("get_apis").paginate()
    found = [api for page in pages for api in page["Items"] if api["Name"] == wanted]
    if len(found) != 1:
        many = f"{len(found)} HTTP APIs are called {wanted}" if found else f"no HTTP API is called {wanted}"
        raise PredictError(f"{target}: {many}; bring the platform up: {target.bring_up}")
    return found[0]


def ask(target: Target, model: str, body: bytes, *, token: str | None = None) -> dict[str, Any]:
    """One prediction. Returns answer, version, request_id and latency_ms (the client's). Raises PredictError."""
    door = FrontDoor(target, token=token, connections=1)
    reply = door.predict(model, body)
    answer = _decoded(reply.body)
    if reply.status != 200:
        raise _refused(target, model, reply, answer)
    return {
        "answer": answer,
        "version": reply.version,
        "request_id": reply.request_id,
        "latency_ms": round(reply.latency_ms, 2),
    }


def _refused(target: Target, model: str, reply: Reply, answer: Any) -> PredictError:
    """What an error reply says: the documented error, or the gateway's own message."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        said = answer.get("message", answer) if isinstance(answer, dict) else answer
        hint = {
            401: "the front door takes a JWT: give one with --token",
            403: "the credentials may not call this route: their role needs execute-api:Invoke on it",
            429: "the front door's throttle is reached; wait a moment",
        }.get(reply.status, "")
        text = f"{model}: {reply.status} {said}" + (f" ({hint})" if hint else "")
        return PredictError(text, error_details("", str(said), status=reply.status, request_id=reply.request_id))
    lines = [f"{model}: {reply.status} {error.get('code')}: {error.get('message')}"]
    problems = [each for each in error.get("problems") or () if isinstance(each, dict)]
    lines += [f"  {each.get('field')}: {each.get('message') or each.get('rule')}" for each in problems]
    if error.get("code") == "model_error":
        endpoint = endpoint_name(target.environment, model)
        lines += ["The container's last lines:", *(f"  {line}" for line in last_log_lines(target, endpoint))]
    if reply.request_id:
        lines.append(f"request {reply.request_id}: {find_command(target, model, reply.request_id)}")
    return PredictError(
        "\n".join(lines),
        error_details(
            str(error.get("code") or ""),
            str(error.get("message") or ""),
            status=reply.status,
            request_id=reply.request_id,
            problems=problems,
        ),
    )


def find_command(target: Target, model: str, request_id: str) -> str:
    """What a person pastes into a shell to see all that was logged of a request."""
    words = ["mainstage", "predictions", "find", model, request_id]
    if not target.emulated:
        words += ["--target", target.environment, "--profile", str(target.profile)]
    return shlex.join(words)


def last_log_lines(target: Target, endpoint: str, count: int = 8) -> list[str]:
    """The newest lines of an endpoint's container log; what could not be read is said instead."""
    logs, group = target.client("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"
    try:
        streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)
        if not streams["logStreams"]:
            return [f"(none yet in {group})"]
        stream = streams["logStreams"][0]["logStreamName"]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=count, startFromHead=False)
    except ClientError as error:
        return [f"({group} cannot be read: {error})"]
    return [event["message"].rstrip() for event in events["events"]]


def _decoded(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode("utf-8", "replace")
