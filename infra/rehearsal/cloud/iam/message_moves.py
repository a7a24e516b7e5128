"""What the redrive of a dead-letter queue needs: several permissions at once.

Source: SQS Developer Guide, "Troubleshoot dead-letter queue redrive issues". That the destination is asked about when a
redrive begins, rather than at its first message, is unconfirmed.
"""

from __future__ import annotations

import base64
import json

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam.need import Need


def message_move(call: Call) -> list[Need]:
    """For StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask."""
    params = call.params
    dead = params.get("SourceArn") or _moved_from(params.get("TaskHandle", "")) or "*"
    moving = () if call.operation == "ListMessageMoveTasks" else ("ReceiveMessage", "DeleteMessage")
    needs = [Need(f"sqs:{name}", dead) for name in (call.operation, *moving, "GetQueueAttributes")]
    return [*needs, *([Need("sqs:SendMessage", params["DestinationArn"])] if "DestinationArn" in params else [])]


def _moved_from(handle: str) -> str:
    """The dead-letter queue's ARN in a task's handle."""
    try:
        return str(json.loads(base64.b64decode(handle, validate=True))["sourceArn"])
    except (ValueError, KeyError, TypeError):
        return ""
