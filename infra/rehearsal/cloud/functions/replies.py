"""What the Runtime and Extensions APIs say: events for extensions, refusals; and how Lambda words a runtime's end."""

from __future__ import annotations

import json
import signal
import uuid

from infra.rehearsal.cloud.functions.invocation import Invocation
from infra.rehearsal.cloud.functions.messages import Request, answer


def event(invocation: Invocation, deadline_ms: int, trace: str) -> bytes:
    body = {
        "eventType": "INVOKE",
        "deadlineMs": deadline_ms,
        "requestId": invocation.request_id,
        "invokedFunctionArn": invocation.arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": trace},
    }
    return answer(200, json.dumps(body).encode(), {"Lambda-Extension-Event-Identifier": str(uuid.uuid4())})


def refused(status: int, kind: str, message: str) -> bytes:
    return answer(status, json.dumps({"errorMessage": message, "errorType": kind}).encode())


def unknown_extension(request: Request) -> bytes:
    if not request.headers.get("lambda-extension-identifier"):
        return refused(403, "Extension.MissingHeader", "Missing Lambda-Extension-Identifier header")
    return refused(403, "Extension.UnknownExtensionIdentifier", "Unknown extension")


def exit_text(code: int) -> str:
    """As Lambda words the end of a runtime: aws/aws-lambda-runtime-interface-emulator, internal/lambda/rapid."""
    if code == 0:
        return "Runtime exited without providing a reason"
    if code < 0:
        return f"Runtime exited with error: signal: {signal.strsignal(-code) or -code}".lower().replace(
            "runtime", "Runtime"
        )
    return f"Runtime exited with error: exit status {code}"
