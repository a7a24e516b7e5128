"""Firehose's transform: checks each prediction record, refuses personal data in clear, stamps `logged_at`.

Firehose hands over a batch and gets one answer a record: `Ok` with the record and its partition keys, or
`ProcessingFailed`, which puts the record as it came under the error prefix, or `Dropped`, which leaves nothing of it
(https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-status-model.html). Dropped is a record that holds
personal data in clear: the front door writes none, and what is under the error prefix is stored too. Nothing here
raises for a record: an exception would bring the whole batch back, until Firehose gives all of it up.

A good record is not written anew: the stamp is spliced into its bytes, which end in a newline then.
"""

from __future__ import annotations

import os
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any

from mainstage_runtime import emf
from mainstage_runtime.record_check import RecordCheck, Rejected
from mainstage_runtime.settings import deployed_signature
from mainstage_runtime.values import moment_text

_MOST_REASONS = 5


class Transform:
    """The transform of one model's log."""

    def __init__(self, signature: Mapping[str, Any], *, model: str, log_name: str) -> None:
        check = RecordCheck(signature, model=model, log_name=log_name)
        self._check, self._in_clear = check.check, check.in_clear
        self._log_name = log_name

    def handle(self, event: Any) -> dict[str, Any]:
        """Answers a batch, record by record, in its order."""
        now_ms = time.time_ns() // 1_000_000
        stamp = f',"logged_at":"{moment_text(now_ms)}"}}\n'.encode("ascii")
        answers: list[dict[str, Any]] = []
        reasons: dict[str, int] = {}
        rejected = 0
        for record in event["records"]:
            raw = b""
            try:
                raw = a2b_base64(record["data"]).strip(b" \t\r\n")
                day, hour = self._check(raw)
                answers.append(
                    {
                        "recordId": record["recordId"],
                        "result": "Ok",
                        "data": b2a_base64(raw[:-1] + stamp, newline=False).decode("ascii"),
                        "metadata": {"partitionKeys": {"day": day, "hour": hour}},
                    }
                )
            except Exception as error:
                rejected += 1
                # Only a Rejected is known to hold no value of a record.
                reason = str(error) if isinstance(error, Rejected) else type(error).__name__
                if reason in reasons or len(reasons) < _MOST_REASONS:
                    reasons[reason] = reasons.get(reason, 0) + 1
                # Without `data`: what Firehose keeps is the record as it came.
                result = "Dropped" if self._in_clear(raw) else "ProcessingFailed"
                answers.append({"recordId": record["recordId"], "result": result})
        counted = {"Accepted": len(answers) - rejected, "Rejected": rejected}
        emf.publish(now_ms, [(counted, [{"LogName": self._log_name}])], **({"reasons": reasons} if reasons else {}))
        return {"records": answers}


_deployed: Transform | None = None


def _start() -> Transform:
    return Transform(
        deployed_signature(), model=os.environ["MAINSTAGE_MODEL"], log_name=os.environ["MAINSTAGE_LOG_NAME"]
    )


def handler(event: Any, context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    global _deployed
    if _deployed is None:
        _deployed = _start()
    return _deployed.handle(event)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # Lambda's Init phase
    _deployed = _start()
