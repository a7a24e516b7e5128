"""Asks an endpoint for a prediction and reads which version answered."""

from __future__ import annotations

import json
import time
from typing import Any

from botocore.exceptions import ClientError


class PredictError(ValueError):
    """A prediction that could not be made; the message says why."""


def ask(runtime: Any, endpoint: str, body: bytes, variant: str | None = None) -> dict[str, Any]:
    """Invokes the endpoint. Returns answer, variant, version and latency_ms (the client's). Raises PredictError."""
    started = time.perf_counter()
    try:
        reply = runtime.invoke_endpoint(
            EndpointName=endpoint,
            Body=body,
            ContentType="application/json",
            Accept="application/json",
            **({"TargetVariant": variant} if variant else {}),
        )
        answer = reply["Body"].read()
    except ClientError as error:
        raise PredictError(f"{endpoint}: {error.response['Error']['Message']}") from error
    return {
        "answer": _decoded(answer),
        "version": version_of(reply.get("CustomAttributes", "")),
        "variant": reply["InvokedProductionVariant"],
        "latency_ms": round((time.perf_counter() - started) * 1000, 2),
    }


def version_of(custom_attributes: str) -> int | str:
    """The version that the model process reports (design §6.4), or "unknown"."""
    for part in custom_attributes.split(","):
        name, _, value = part.strip().partition("=")
        if name == "mainstage-version" and value.isdigit():
            return int(value)
    return "unknown"


def _decoded(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode("utf-8", "replace")
