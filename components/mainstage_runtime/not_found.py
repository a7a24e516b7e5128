"""Replies to every request that no model's route takes: 404, with a body that names what was asked."""

from __future__ import annotations

from typing import Any

from mainstage_runtime import replies

_LONGEST_SHOWN = 200


def handler(event: Any, context: Any) -> replies.Reply:
    """What Lambda calls. Never raises."""
    try:
        about = event["requestContext"]
        request_id = str(about["requestId"])
        asked = f"{about['http']['method']} {about['http']['path']}"
    except (KeyError, TypeError):
        request_id, asked = str(getattr(context, "aws_request_id", "unknown")), "that"
    shown = asked if len(asked) <= _LONGEST_SHOWN else f"{asked[: _LONGEST_SHOWN - 3]}..."
    return replies.error(
        "model_not_found",
        f"no model answers {shown}; a prediction is asked for by POST /v1/models/<model>/predictions",
        request_id,
    )
