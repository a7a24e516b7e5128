"""The call of a function, as the service API Gateway: its own principal, so that the function's policy decides.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html (apigateway.amazonaws.com with the ARN of
the route as aws:SourceArn), "Quotas for HTTP APIs" (time-out 50 ms to 30 s). The source ARN has the request's method
and the route's path as its key spells it, variables in braces, and "$default" for the default route (what the console
allows when it makes a route).
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import TimeoutError as WaitedTooLong
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.gateway.answer import Answer, Refused, internal_error, of_result, too_large, unavailable
from infra.rehearsal.cloud.gateway.deployment import Route
from infra.rehearsal.cloud.gateway.workers import Closed, Workers

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

SERVICE = "apigateway.amazonaws.com"
MAXIMUM_EVENT_BYTES = 6 * 1024 * 1024
"""Lambda's synchronous payload (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
_BUSY = {"TooManyRequestsException", "ServiceException", "EC2ThrottledException"}

log = logging.getLogger(__name__)


NOT_ALLOWED = (
    "The IAM role configured on the integration or API Gateway doesn't have permissions to call the integration. Check"
    " the permissions and try again."
)
"""$context.integrationErrorMessage of a function whose policy does not admit the API (developer guide, "Troubleshooting
issues with HTTP API Lambda integrations"). The other messages are unconfirmed."""


def invoke(
    cloud: Cloud,
    workers: Workers,
    route: Route,
    event: dict[str, Any],
    *,
    source_arn: str,
    account_id: str,
    notes: dict[str, Any],
) -> Answer:
    """The function's answer. Refused when there is none: 413, 500, 503. notes: gets $context variables."""
    payload = json.dumps(event, ensure_ascii=False).encode()
    if len(payload) > MAXIMUM_EVENT_BYTES:
        raise _failed(too_large(), route, notes, f"the event has {len(payload)} bytes")
    principal = Principal(
        kind="service",
        arn=SERVICE,
        account_id=account_id,
        context={"aws:SourceArn": source_arn, "aws:SourceAccount": account_id},
    )
    try:
        output = workers.submit(lambda: _invoked(cloud, principal, route, payload)).result(route.timeout_seconds)
    except WaitedTooLong:
        why = f"{route.function_arn} took longer than {route.timeout_seconds:g} s"
        raise _failed(unavailable(), route, notes, why) from None
    except Closed:
        raise unavailable() from None
    except AwsError as refusal:
        why = NOT_ALLOWED if refusal.code == "AccessDeniedException" else str(refusal)
        log.info("%s: %s", route.key, refusal)
        if refusal.status == 413:
            raise _failed(too_large(), route, notes, why) from None
        # A function that is throttled is answered 503 (unconfirmed).
        answer = unavailable() if refusal.code in _BUSY else internal_error()
        raise _failed(answer, route, notes, why) from None
    notes["integration.status"] = notes["integrationStatus"] = output.get("StatusCode", 200)
    if output.get("FunctionError"):
        why = f"{route.function_arn} failed: {_bytes(output.get('Payload'))[:300].decode('utf-8', 'replace')}"
        raise _failed(internal_error(), route, notes, why)
    try:
        answer = of_result(_bytes(output.get("Payload")))
    except Refused as refused:
        raise _failed(refused, route, notes, f"{route.function_arn} answered what is no answer of format 2.0") from None
    notes["integration.integrationStatus"] = answer.status
    return answer


def _failed(refused: Refused, route: Route, notes: dict[str, Any], why: str) -> Refused:
    log.warning("%s: %s", route.key, why)
    notes["integrationErrorMessage"] = notes["integration.error"] = why
    return refused


def _invoked(cloud: Cloud, principal: Principal, route: Route, payload: bytes) -> dict[str, Any]:
    # By the door and not by a client of boto3, whose signing and parsing cost more than all the rest of a request.
    region = route.function_arn.split(":")[3]
    params = {"FunctionName": route.function_arn, "InvocationType": "RequestResponse", "Payload": payload}
    return cloud.answer(Call(cloud, "lambda", "Invoke", params, region, principal, UNPARSED))


def _bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else payload.read() if hasattr(payload, "read") else b"null"
