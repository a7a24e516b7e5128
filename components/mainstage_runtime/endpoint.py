"""The call to the model's endpoint: one answer, or an error that the front door replies with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from mainstage_runtime.record import UNKNOWN_VERSION

_VERSION_ATTRIBUTE = "mainstage-version"
_LONGEST_VERSION = 18
"""Digits."""

_UNAVAILABLE = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ModelNotReadyException",
    "InternalFailure",
    "InternalDependencyException",
    "InternalServerException",
    # "Endpoint ... not found", and one that is not in service.
    "ValidationError",
    "ValidationException",
}
"""Error codes of InvokeEndpoint that say: not now.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
"""


class ModelAnswer(NamedTuple):
    body: bytes
    content_type: str
    version: str
    """Of the process that answered, or `unknown`."""
    variant: str | None


class EndpointError(Exception):
    """No answer. `code` is that of the error reply; the message holds nothing of the request or of the container."""

    def __init__(self, code: str, message: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        """The error of the call, for the function's log."""


class Endpoint:
    """An endpoint, asked through a client whose time-outs are the deadline and that repeats nothing by itself."""

    def __init__(
        self, client: Any, endpoint_name: str, deadline_ms: int, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        from botocore import exceptions

        self._client, self._name, self._deadline_ms, self._clock = client, endpoint_name, deadline_ms, clock
        self._errors = exceptions

    def ask(self, body: bytes) -> ModelAnswer:
        """Raises EndpointError for whatever is no answer.

        A connection that was closed while the function slept is opened again once, when the first try failed at once:
        so the deadline holds.
        """
        started = self._clock()
        try:
            return self._ask(body)
        except (self._errors.ConnectionClosedError, self._errors.EndpointConnectionError) as error:
            if (self._clock() - started) * 1000 > self._deadline_ms / 20:
                raise self._told(error) from error
        except Exception as error:
            raise self._told(error) from error
        try:
            return self._ask(body)
        except Exception as error:
            raise self._told(error) from error

    def _ask(self, body: bytes) -> ModelAnswer:
        reply = self._client.invoke_endpoint(
            EndpointName=self._name, Body=body, ContentType="application/json", Accept="application/json"
        )
        return ModelAnswer(
            reply["Body"].read(),
            reply.get("ContentType") or "application/json",
            version_of(reply.get("CustomAttributes") or ""),
            reply.get("InvokedProductionVariant"),
        )

    def _told(self, error: Exception) -> EndpointError:
        known = self._errors
        if isinstance(error, known.ReadTimeoutError | known.ConnectTimeoutError):
            return EndpointError(
                "deadline_exceeded", f"the model gave no answer within {self._deadline_ms} ms", type(error).__name__
            )
        if isinstance(error, known.ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            if code == "ModelError":
                status = error.response.get("OriginalStatusCode")
                told = f"the model failed{f' with status {status}' if status else ''}; its container's log says why"
                return EndpointError("model_error", told, f"ModelError {status}")
            if code in _UNAVAILABLE:
                return EndpointError("model_unavailable", "the model takes no requests now; try again", code)
            return EndpointError("internal_error", "the front door could not ask the model", code)
        # No connection, or one that broke off.
        if isinstance(error, known.HTTPClientError | known.ConnectionError | known.IncompleteReadError):
            return EndpointError("model_unavailable", "the model could not be reached; try again", type(error).__name__)
        return EndpointError("internal_error", "the front door could not ask the model", type(error).__name__)


def version_of(custom_attributes: str) -> str:
    """The version that the model's process reports (mainstage_runtime/entrypoint.py), or `unknown`.

    Attributes of the container's own may stand before it, parted by `;` or `,`.
    """
    for part in custom_attributes.replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        if name == _VERSION_ATTRIBUTE and value.isascii() and value.isdigit() and len(value) <= _LONGEST_VERSION:
            return value
    return UNKNOWN_VERSION
