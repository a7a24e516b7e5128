"""The one function that every call passes: parse, faults, validate, authorise, references, then overlay, store or moto.

Clients of this process and clients of any other process over loopback HTTP end in the same `Door.handle`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud import journal, overlay, references, replies, validator, wire
from infra.rehearsal.cloud.api import AwsError, Call, HttpRequest, HttpResponse
from infra.rehearsal.cloud.iam.authorise import authorise
from infra.rehearsal.cloud.moto_backend import MotoBackend, build_request, not_carried
from infra.rehearsal.cloud.store import Store

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

log = logging.getLogger(__name__)

UNPARSED = HttpRequest("POST", "", {}, b"")
"""The request of a call that was made inside the cloud: whoever needs the bytes builds them from the parameters."""


@dataclass(frozen=True)
class _Answer:
    """An answer in one of its two forms: bytes as moto wrote them, or an output that is still to be written."""

    by: str
    output: dict[str, Any] | None = None
    response: HttpResponse | None = None


class Door:
    """The door of one cloud. Thread-safe."""

    def __init__(self, cloud: Cloud, moto: MotoBackend, store: Store):
        self._cloud = cloud
        self._moto = moto
        self._store = store

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answers one request. Never raises: whatever goes wrong is an error in the protocol of the operation."""
        started = time.perf_counter()
        try:
            reading = wire.read(request)
        except wire.NotUnderstood as refusal:
            self._note(started, refusal.service, refusal.operation, "", "", {}, refusal.error.code, "door")
            return replies.write_error(refusal.protocol, refusal.error, service=refusal.service, method=request.method)
        operation = reading.operation
        principal_arn, answered_by, outcome = "", "door", "ok"
        try:
            principal = self._cloud.principals.of(reading.scope.access_key_id)
            principal_arn = principal.arn
            call = Call(
                self._cloud,
                operation.service,
                operation.name,
                reading.params,
                reading.scope.region,
                principal,
                reading.request,
            )
            self._admit(call)
            answered_by = self.carried_by(call.service, call.operation) or "door"
            answer = self._answer(call, operation)
            response = answer.response or replies.write_result(operation, answer.output or {})
            if response.status >= replies.FIRST_ERROR_STATUS:
                outcome = replies.error_code(operation, response)
            else:
                self._cloud.faults.meet(call, answered=True)
        except AwsError as error:
            outcome = error.code
            response = self._refusal(operation, error, request)
        except Exception as error:
            # A client must see a failure of the emulation as AWS would show one of its own, not as a broken connection.
            log.exception("%s.%s failed inside the emulated cloud", operation.service, operation.name)
            outcome = "InternalFailure"
            text = f"{operation.service}.{operation.name} failed inside the emulated cloud ({answered_by}): {error!r}"
            response = self._refusal(operation, AwsError(outcome, text, 500), request)
        self._note(
            started,
            operation.service,
            operation.name,
            reading.scope.region,
            principal_arn,
            reading.params,
            outcome,
            answered_by,
        )
        if request.method == "HEAD" and response.body:
            # HTTP has no body here. A client of this process must not see more than one over HTTP does.
            return HttpResponse(response.status, response.headers, b"")
        return response

    def answer(self, call: Call) -> dict[str, Any]:
        """Runs a call that was made inside the cloud: everything that `handle` does after parsing. Raises AwsError."""
        operation = wire.operation_named(call.service, call.operation)
        started = time.perf_counter()
        outcome, answered_by = "ok", "door"
        try:
            self._admit(call)
            answered_by = self.carried_by(call.service, call.operation) or "door"
            answer = self._answer(call, operation)
            output = answer.output
            if output is None:
                assert answer.response is not None
                output = replies.read_response(operation, answer.response)
            self._cloud.faults.meet(call, answered=True)
            return output
        except AwsError as error:
            outcome = error.code
            raise
        finally:
            self._note(
                started,
                call.service,
                call.operation,
                call.region,
                call.principal.arn,
                call.params,
                outcome,
                answered_by,
            )

    def to_moto(self, call: Call) -> dict[str, Any]:
        """moto's answer to a call, parsed. Raises AwsError when moto answers an error.

        The request goes as it came; one that has no bytes yet (`UNPARSED`) is built from the parameters.
        """
        operation = wire.operation_named(call.service, call.operation)
        if call.request.url:
            operation = wire.read(call.request).operation
        return replies.read_response(operation, self._forward(call, operation))

    def carried_by(self, service: str, operation: str) -> str | None:
        """Who answers an operation: "overlay", "store", "moto", or None when nobody does."""
        if overlay.find(service, operation).handler is not None:
            return "overlay"
        if self._store.carries(service, operation):
            return "store"
        return "moto" if self._moto.carries(service, operation) else None

    def _admit(self, call: Call) -> None:
        self._cloud.faults.meet(call)
        findings = validator.validate(call.service, call.operation, call.params)
        if findings:
            raise validator.refusal(call.service, call.operation, findings)
        authorise(call)
        references.check(call)
        with _own_calls():
            for before in overlay.find(call.service, call.operation).befores:
                before(call)

    def _answer(self, call: Call, operation: wire.Operation) -> _Answer:
        handlers = overlay.find(call.service, call.operation)
        by = self.carried_by(call.service, call.operation)
        if by is None:
            raise not_carried(call.service, call.operation, "neither overlay, store nor moto has it")
        if by == "moto" and not handlers.afters:
            response = self._forward(call, operation)
            if response.status < replies.FIRST_ERROR_STATUS:
                self._store.forget(call)
            return _Answer(by, response=response)
        if by == "overlay":
            assert handlers.handler is not None
            with _own_calls():
                output = handlers.handler(call)
            self._store.forget(call)
        elif by == "store":
            output = self._store.answer(call)
        else:
            output = replies.read_response(operation, self._forward(call, operation))
            self._store.forget(call)
        with _own_calls():
            for after in handlers.afters:
                output = after(call, output)
        return _Answer(by, output=output)

    def _forward(self, call: Call, operation: wire.Operation) -> HttpResponse:
        endpoint_url = self._cloud.client(call.service, call.region).meta.endpoint_url
        request = call.request
        if not request.url:
            request = build_request(operation, call.params, endpoint_url, call.region)
        return self._moto.forward(operation, request, call, endpoint_url)

    def _refusal(self, operation: wire.Operation, error: AwsError, request: HttpRequest) -> HttpResponse:
        return replies.write_error(operation.protocol, error, service=operation.service, method=request.method)

    def _note(
        self,
        started: float,
        service: str,
        operation: str,
        region: str,
        principal_arn: str,
        params: dict[str, Any],
        outcome: str,
        answered_by: str,
    ) -> None:
        self._cloud.journal.add(
            journal.Entry(
                time=self._cloud.clock.now(),
                service=service,
                operation=operation,
                region=region,
                principal=principal_arn,
                params=journal.identifiers(params),
                outcome=outcome,
                answered_by=answered_by,
                ms=(time.perf_counter() - started) * 1000,
            )
        )


@contextmanager
def _own_calls() -> Iterator[None]:
    """Overlay code makes calls of its own. When one is refused and the code lets that pass, that is the answer."""
    try:
        yield
    except ClientError as refusal:
        raise replies.aws_error_of(refusal) from refusal
