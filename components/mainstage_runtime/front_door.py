"""The front door of one model: takes a request from API Gateway, checks it, asks the model, replies, and leaves the
prediction record to be logged after the reply.

Nothing about logging can fail a prediction or hold it up: metrics never raise, and the record is built, redacted and
handed over off the reply's path (deferred.py). In Lambda everything that can be made once is made while this module is
imported, which is the Init phase; elsewhere it is made at the first request.
"""

from __future__ import annotations

import base64
import binascii
import os
import time
from collections.abc import Mapping
from typing import Any, Protocol

from mainstage_runtime import clients, emf, replies
from mainstage_runtime.deferred import Deferred
from mainstage_runtime.endpoint import Endpoint, EndpointError, ModelAnswer
from mainstage_runtime.hand_over import HandOver
from mainstage_runtime.payload import InvalidJson, InvalidPayload, PayloadCheck
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.record import UNKNOWN_VERSION
from mainstage_runtime.redact import Pseudonyms, derived_key
from mainstage_runtime.settings import FrontDoorSettings, deployed_signature

_LONGEST_REQUEST_ID = 256
_JSON = "application/json"


class Asks(Protocol):
    """What asks the model."""

    def ask(self, body: bytes) -> ModelAnswer: ...


class Leaves(Protocol):
    """What takes the record to be logged."""

    def leave(self, work: Served | None) -> bool: ...


class _Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, code: str, message: str, problems: tuple[Mapping[str, Any], ...] = ()) -> None:
        super().__init__(message)
        self.code, self.problems = code, problems


class FrontDoor:
    """The handler's work, with what it needs."""

    def __init__(
        self,
        settings: FrontDoorSettings,
        signature: Mapping[str, Any],
        *,
        endpoint: Asks | None,
        deferred: Leaves,
        hand_over: HandOver,
    ) -> None:
        """`endpoint` is None while the model awaits its first version."""
        self._settings, self._endpoint, self._deferred, self._hand_over = settings, endpoint, deferred, hand_over
        self._check = PayloadCheck(signature)

    def handle(self, event: Any, context: Any) -> replies.Reply:
        """Replies to whatever event comes; never raises."""
        started = time.perf_counter()
        served = Served(request_id=_request_id(event, context), at_ms=time.time_ns() // 1_000_000)
        try:
            reply = self._reply(event, served)
        except _Refused as refused:
            served.error_code = refused.code
            reply = replies.error(refused.code, str(refused), served.request_id, refused.problems)
        except Exception as error:
            # The type alone: the message may hold a value of the request.
            emf.note("internal_error", request_id=served.request_id, error=type(error).__name__)
            served.error_code = "internal_error"
            reply = replies.error("internal_error", "the front door failed", served.request_id)
        served.status = reply["statusCode"]
        served.latency_ms = (time.perf_counter() - started) * 1000
        self._measure(served)
        if not self._deferred.leave(served):
            self._hand_over.lost(served, "too many records wait")
        return reply

    def _reply(self, event: Any, served: Served) -> replies.Reply:
        _take_caller(event, served)
        self._take_body(event, served)
        try:
            rows = self._check.rows(served.body)
        except InvalidJson as error:
            raise _Refused("invalid_json", str(error)) from None
        except InvalidPayload as error:
            served.row_count = error.rows
            served.error_field = error.problems[0].place or None if error.problems else None
            problems = tuple(problem.as_json() for problem in error.problems)
            raise _Refused("invalid_payload", str(error), problems) from None
        served.rows, served.row_count = rows, len(rows)
        if self._endpoint is None:
            raise _Refused(
                "model_awaiting", f"{self._settings.model} awaits its first version in {self._settings.environment}"
            )
        answer = self._ask(self._endpoint, served)
        if len(answer.body) > replies.LONGEST_ANSWER_BYTES:
            raise _Refused(
                "model_error",
                f"the model's answer is longer than {replies.LONGEST_ANSWER_BYTES} bytes; send fewer rows",
            )
        served.answer = answer.body
        return replies.prediction(served.request_id, answer.version, answer.body, answer.content_type)

    def _ask(self, endpoint: Asks, served: Served) -> ModelAnswer:
        asked = time.perf_counter()
        try:
            answer = endpoint.ask(served.body)
        except EndpointError as error:
            emf.note("model_not_answered", request_id=served.request_id, code=error.code, reason=error.reason)
            raise _Refused(error.code, str(error)) from None
        finally:
            served.model_ms = (time.perf_counter() - asked) * 1000
        served.version, served.variant = answer.version, answer.variant
        return answer

    def _take_body(self, event: Any, served: Served) -> None:
        """The request's bytes, once their length and their type are known to be taken."""
        body, limit = event.get("body") or "", self._settings.maximum_body_bytes
        if event.get("isBase64Encoded"):
            try:
                served.body = base64.b64decode(body, validate=True)
            except (binascii.Error, ValueError):
                raise _Refused("invalid_json", "the body is marked as base64 and is none") from None
        else:
            served.body = body.encode("utf-8", "surrogatepass")
        if len(served.body) > limit:
            raise _Refused("body_too_large", f"the body has {len(served.body)} bytes; {limit} are taken")
        headers = event.get("headers") or {}
        content_type = headers.get("content-type") or _JSON
        if content_type.partition(";")[0].strip().lower() != _JSON:
            shown = content_type[:100]
            raise _Refused("unsupported_media_type", f"Content-Type {shown!r} is not taken; send {_JSON}")
        coding = headers.get("content-encoding") or "identity"
        if coding.strip().lower() != "identity":
            raise _Refused(
                "unsupported_media_type", f"Content-Encoding {coding[:100]!r} is not taken; send the body as it is"
            )

    def _measure(self, served: Served) -> None:
        """Counts the request and its latency. Before the reply goes, so that a process that dies has counted it."""
        try:
            counted: dict[str, float] = {"Served": 1}
            if served.status >= 400:
                counted["Replies5XX" if served.status >= 500 else "Replies4XX"] = 1
            settings = self._settings
            measured: list[tuple[Mapping[str, float], list[Mapping[str, str]]]] = [
                (counted, [{"LogName": settings.log_name}])
            ]
            # Only what asked the model: refusals take no time, and many of them would hide a slow model.
            if served.model_ms is not None:
                endpoint = {"EndpointName": settings.endpoint_name}
                sets: list[Mapping[str, str]] = [endpoint, {**endpoint, "ModelVersion": served.version}]
                configuration = settings.configurations.get(served.version)
                if configuration and served.variant:
                    sets.append(
                        {**endpoint, "VariantName": served.variant, "EndpointConfigName": configuration},
                    )
                measured.append(({"FrontDoorLatency": round(served.latency_ms, 3)}, sets))
            emf.publish(served.at_ms, measured, request_id=served.request_id, status=served.status)
        except Exception:
            return


def _request_id(event: Any, context: Any) -> str:
    """API Gateway's id of the request, else Lambda's."""
    try:
        found = event["requestContext"]["requestId"]
    except (KeyError, TypeError):
        found = None
    if not (type(found) is str and found):
        found = getattr(context, "aws_request_id", None)
    return found[:_LONGEST_REQUEST_ID] if type(found) is str and found else UNKNOWN_VERSION


def _take_caller(event: Any, served: Served) -> None:
    """Who asks, as the gateway's authorizer found: an IAM identity's ARN or a token's subject."""
    authorizer = event["requestContext"].get("authorizer") or {}
    if arn := (authorizer.get("iam") or {}).get("userArn"):
        served.caller_arn = str(arn)
    elif subject := ((authorizer.get("jwt") or {}).get("claims") or {}).get("sub"):
        served.caller_subject = str(subject)


def front_door(environ: Mapping[str, str], signature: Mapping[str, Any]) -> FrontDoor:
    """A front door as it is deployed. Raises KeyError or ValueError when its environment is wrong."""
    settings = FrontDoorSettings.read(environ)
    key_arn = settings.pseudonym_key_arn
    kms = clients.client("kms", attempts=1) if key_arn else None
    pseudonyms = Pseudonyms((lambda: derived_key(kms, key_arn)) if key_arn else None)
    endpoint = None
    if settings.endpoint_name:
        seconds = settings.deadline_ms / 1000
        runtime = clients.client(
            "sagemaker-runtime", connect_seconds=min(1.0, seconds), read_seconds=seconds, attempts=1
        )
        endpoint = Endpoint(runtime, settings.endpoint_name, settings.deadline_ms)
    writer = RecordWriter(
        signature,
        environment=settings.environment,
        model=settings.model,
        endpoint_name=settings.endpoint_name,
        pseudonyms=pseudonyms,
    )
    once: dict[str, Any] = {"read_seconds": clients.HAND_OVER_READ_SECONDS, "attempts": 1}
    hand_over = HandOver(
        writer,
        pseudonyms,
        log_name=settings.log_name,
        stream_name=settings.stream_name,
        spool_url=settings.spool_url,
        firehose=clients.client("firehose", **once),
        sqs=clients.client("sqs", **once),
    )
    # A failure is noted with each record; the first request is not kept waiting for a second try.
    pseudonyms.prepare()
    deferred = Deferred(
        hand_over,
        runtime_api=environ.get("AWS_LAMBDA_RUNTIME_API"),
        handler_seconds=settings.deadline_ms / 1000 + 2,  # the connection, and checking and writing of long bodies
    )
    return FrontDoor(settings, signature, endpoint=endpoint, deferred=deferred, hand_over=hand_over)


_deployed: FrontDoor | None = None


def handler(event: Any, context: Any) -> replies.Reply:
    """What Lambda calls."""
    global _deployed
    if _deployed is None:
        _deployed = front_door(os.environ, deployed_signature())
    return _deployed.handle(event, context)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # Lambda's Init phase
    _deployed = front_door(os.environ, deployed_signature())
