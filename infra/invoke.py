"""Asks an endpoint for a prediction and reads which version answered."""

from __future__ import annotations

import json
import time
from typing import Any

from botocore.exceptions import ClientError

from infra.registry.target import Target


class PredictError(ValueError):
    """A prediction that could not be made; the message says why."""


def ask(target: Target, endpoint: str, body: bytes, variant: str | None = None) -> dict[str, Any]:
    """Invokes the endpoint. Returns answer, variant, version and latency_ms (the client's). Raises PredictError."""
    runtime = target.client("sagemaker-runtime")
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
        told = [f"{endpoint}: {error.response['Error']['Message']}"]
        if error.response["Error"]["Code"] == "ModelError":
            told += ["The container's last lines:", *(f"  {line}" for line in last_log_lines(target, endpoint))]
        raise PredictError("\n".join(told)) from error
    return {
        "answer": _decoded(answer),
        "version": version_of(reply.get("CustomAttributes", "")),
        "variant": reply["InvokedProductionVariant"],
        "latency_ms": round((time.perf_counter() - started) * 1000, 2),
    }


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
