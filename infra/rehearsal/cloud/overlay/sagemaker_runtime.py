"""InvokeEndpoint: choice of the variant, the call to the model host, errors, metrics, capture, shadow copies."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.model_host import HostAnswer
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.data_capture import Exchange
from infra.rehearsal.cloud.overlay.endpoint_fleet import LONGEST_CALL_SECONDS
from infra.rehearsal.cloud.overlay.endpoint_logs import ship_log
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Fleet, Variant
from infra.rehearsal.cloud.overlay.invocation_metrics import publish_invocation
from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker, sagemaker_of

DEFAULT_TYPE = "application/octet-stream"
"""Sent on where the caller names no type. Unconfirmed."""
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


@handler("sagemaker-runtime", "InvokeEndpoint")
def invoke_endpoint(call: Call) -> dict[str, Any]:
    """Calls the model. ValidationError without an endpoint in service; ModelError with what the container answered.

    The body's limit is the service model's, held by the validator.
    """
    started = time.perf_counter_ns()
    sagemaker, asked = sagemaker_of(call.cloud), call.params
    endpoint, fleet, variant = _claim(call, sagemaker)
    try:
        _mirror(call, sagemaker, endpoint, fleet, variant)
        request = asked.get("Body") or b""
        request_type = asked.get("ContentType") or DEFAULT_TYPE
        answer = variant.host.invoke(
            request,
            content_type=request_type,
            accept=asked.get("Accept") or "*/*",
            custom_attributes=asked.get("CustomAttributes") or "",
            timeout_seconds=LONGEST_CALL_SECONDS,
        )
        overhead_us = max(0, (time.perf_counter_ns() - started) // 1000 - answer.latency_us)
        publish_invocation(call.cloud, endpoint, fleet, variant, answer, overhead_us)
        if answer.status >= 400:
            # The lines that explain the error are in the log before the caller goes to look there.
            ship_log(call.cloud, endpoint, variant)
            raise _model_error(call, endpoint, answer)
        _capture(call, variant, request, request_type, answer)
    finally:
        variant.calls.leave()
    output = {"Body": answer.body, "ContentType": answer.content_type, "InvokedProductionVariant": variant.name}
    if answer.custom_attributes:
        output["CustomAttributes"] = answer.custom_attributes
    return output


def _claim(call: Call, sagemaker: SageMaker) -> tuple[Endpoint, Fleet, Variant]:
    """The endpoint and the variant that takes the call, which counts as in flight from here on.

    An endpoint that is not in service yet is "not found" to the runtime too (unconfirmed); one that is updating serves.
    """
    name = call.params["EndpointName"]
    endpoint = sagemaker.endpoints.get((call.region, name))
    if endpoint is None:
        raise _validation_error(f"Endpoint {name} of account {call.account_id} not found.")
    _check_unsupported(call, name)
    with endpoint.lock:
        fleet = endpoint.next_fleet()
        if fleet is None:
            raise _validation_error(f"Endpoint {name} of account {call.account_id} not found.")
        variant = _chosen(call, sagemaker, endpoint, fleet)
        variant.calls.enter()
    return endpoint, fleet, variant


def _check_unsupported(call: Call, name: str) -> None:
    """TargetModel's refusal is SageMaker's (aws/amazon-sagemaker-examples issue 1026); the others' wording is
    unconfirmed."""
    asked = call.params
    if asked.get("TargetModel"):
        raise _validation_error(
            f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
        )
    if asked.get("TargetContainerHostname"):
        raise _validation_error(f"Endpoint {name} is not a multi-container endpoint with direct invocation.")
    if asked.get("InferenceComponentName"):
        raise _validation_error(f"Endpoint {name} has no inference components.")


def _chosen(call: Call, sagemaker: SageMaker, endpoint: Endpoint, fleet: Fleet) -> Variant:
    """TargetVariant, whatever its weight; otherwise a draw by weight. Wording of both refusals: unconfirmed."""
    target = call.params.get("TargetVariant")
    if target:
        if target not in fleet.production:
            raise _validation_error(f"Variant {target} not found for endpoint {endpoint.name}.")
        return fleet.production[target]
    chosen = draw({name: variant.weight for name, variant in fleet.production.items()}, sagemaker.random)
    if chosen is None:
        raise _validation_error(f"Endpoint {endpoint.name} has no variant with a weight above 0; give TargetVariant.")
    return fleet.production[chosen]


def draw(weights: Mapping[str, float], source: random.Random) -> str | None:
    """A name with the probability of its weight in the sum; one of weight 0 never; None when all are 0."""
    total = sum(weights.values())
    if total <= 0:
        return None
    point = source.random() * total
    chosen = None
    for name, weight in weights.items():
        if weight <= 0:
            continue
        chosen = name
        point -= weight
        if point < 0:
            break
    return chosen


def _model_error(call: Call, endpoint: Endpoint, answer: HostAnswer) -> AwsError:
    """The text is SageMaker's: "Received client error (400) from primary with message ..."."""
    status, message = answer.status, answer.body.decode("utf-8", errors="replace")
    if status == 504 and answer.latency_us >= LONGEST_CALL_SECONDS * 1_000_000:
        status, message = 0, TIMED_OUT
    kind = "client" if 400 <= status < 500 else "server"
    console = f"https://{call.region}.console.aws.amazon.com/cloudwatch/home?region={call.region}"
    return AwsError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See {console}'
        f"#logEventViewer:group={endpoint.log_group} in account {call.account_id} for more information.",
        424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=endpoint.log_group_arn,
    )


def _capture(call: Call, variant: Variant, request: bytes, request_type: str, answer: HostAnswer) -> None:
    if variant.capture is not None:
        variant.capture.add(
            Exchange(
                request=request,
                request_type=request_type,
                answer=answer.body,
                answer_type=answer.content_type,
                at=call.cloud.clock.now(),
                inference_id=call.params.get("InferenceId") or "",
            )
        )


@dataclass(frozen=True)
class _Copy:
    """A request on its way to a shadow variant. Its answer goes to the capture and to metrics, never to the caller."""

    call: Call
    endpoint: Endpoint
    fleet: Fleet
    variant: Variant

    def send(self) -> None:
        asked = self.call.params
        request, request_type = asked.get("Body") or b"", asked.get("ContentType") or DEFAULT_TYPE
        try:
            answer = self.variant.host.invoke(
                request,
                content_type=request_type,
                accept=asked.get("Accept") or "*/*",
                custom_attributes=asked.get("CustomAttributes") or "",
                timeout_seconds=LONGEST_CALL_SECONDS,
            )
            publish_invocation(self.call.cloud, self.endpoint, self.fleet, self.variant, answer, 0)
            if answer.status < 400:
                _capture(self.call, self.variant, request, request_type, answer)
        finally:
            self.variant.calls.leave()


def _mirror(call: Call, sagemaker: SageMaker, endpoint: Endpoint, fleet: Fleet, variant: Variant) -> None:
    """Sends copies to the shadow variants, for the share that their weight has of the production variant's (API
    reference, CreateEndpointConfig, ShadowProductionVariants)."""
    for shadow in fleet.shadow.values():
        if variant.weight <= 0 or sagemaker.random.random() * variant.weight >= shadow.weight:
            continue
        shadow.calls.enter()
        copy = _Copy(call, endpoint, fleet, shadow)
        with contextlib.ExitStack() as undo:
            undo.callback(shadow.calls.leave)
            threading.Thread(target=copy.send, name=f"mainstage-shadow-{endpoint.name}", daemon=True).start()
            undo.pop_all()


def _validation_error(message: str) -> AwsError:
    return AwsError("ValidationError", message)
