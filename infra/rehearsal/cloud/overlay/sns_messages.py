"""SNS: what was published is kept, for reports and tests, in `cloud.messages`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after


@dataclass(frozen=True)
class Message:
    """One message that a topic took."""

    topic_arn: str
    subject: str
    message: str
    time: datetime
    """By the cloud's clock."""
    principal: str
    """ARN of the publisher, or the service's name."""


@after("sns", "Publish")
def keep_message(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    topic = call.params.get("TopicArn") or call.params.get("TargetArn") or ""
    if topic:
        call.cloud.messages.append(
            Message(
                topic,
                call.params.get("Subject") or "",
                call.params["Message"],
                call.cloud.clock.now(),
                call.principal.arn,
            )
        )
    return output
