"""Asynchronous invocations: queued by Lambda, tried again when the function fails or is throttled.

Source: developer guide, "Error handling and retries for asynchronous invocations": two more attempts, a minute and two
minutes later, at most six hours. Waiting goes by the cloud's clock.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from moto.awslambda.utils import get_backend

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.due_queue import DueQueue
from infra.rehearsal.cloud.functions.host import Functions, functions_of
from infra.rehearsal.cloud.functions.measures import NAMESPACE
from infra.rehearsal.cloud.functions.surroundings import ASSUMED_BY
from infra.rehearsal.cloud.overlay.lambda_settings import settings_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

RETRY_SECONDS = (60, 120)
OLDEST_SECONDS = 21_600

log = logging.getLogger(__name__)


class _Event:
    def __init__(self, host: Functions, region: str, name: str, qualifier: str | None, payload: bytes, at: datetime):
        self.host = host
        """Held from the beginning: an attempt that asked for it while the cloud closes would make it anew."""
        self.region = region
        self.name = name
        self.qualifier = qualifier
        self.payload = payload
        self.at = at
        self.attempts = 0


class Events:
    """The queue of one cloud. Thread-safe."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._queue = DueQueue[_Event](cloud.clock, "lambda-events", self._try)

    def add(self, region: str, name: str, qualifier: str | None, payload: bytes) -> None:
        """Takes an event. AwsError ResourceNotFoundException when there is no such function."""
        host = functions_of(self._cloud)
        host.deployment(region, name, qualifier)
        now = self._cloud.clock.now()
        self._queue.push(_Event(host, region, name, qualifier, payload, now), now)

    def is_idle(self) -> bool:
        """Whether no function runs for an event and no event is due; a retry to come does not count."""
        return self._queue.is_idle()

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """True as soon as `is_idle`, False after so many seconds of real time."""
        return self._queue.wait_until_idle(timeout_seconds)

    def close(self) -> None:
        self._queue.close()

    def _try(self, event: _Event) -> None:
        event.attempts += 1
        began, started = self._cloud.clock.now(), time.monotonic()
        try:
            answer = event.host.invoke(event.region, event.name, event.payload, qualifier=event.qualifier)
        except AwsError as refusal:
            if refusal.code == "ResourceNotFoundException":
                return  # deleted meanwhile
            failure = refusal.message
        else:
            if not answer.function_error:
                return
            failure = answer.payload.decode("utf-8", "replace")
        config = self._config(event)
        retries = config.get("MaximumRetryAttempts", len(RETRY_SECONDS))
        oldest = config.get("MaximumEventAgeInSeconds", OLDEST_SECONDS)
        pause = RETRY_SECONDS[min(event.attempts, len(RETRY_SECONDS)) - 1]
        # Not what the clock says now: whoever has seen the failure may have advanced it already.
        due = began + timedelta(seconds=time.monotonic() - started + pause)
        if event.attempts <= retries and (due - event.at).total_seconds() <= oldest:
            self._queue.push(event, due)
            return
        self._bury(event, failure)

    def _config(self, event: _Event) -> dict[str, Any]:
        function: Any = get_backend(self._cloud.account_id, event.region).get_function(event.name, event.qualifier)
        configs = function.event_invoke_config
        return configs[0].config if configs else {}

    def _bury(self, event: _Event, failure: str) -> None:
        """To the dead-letter queue or topic, under the function's role (developer guide, "Dead-letter queues")."""
        target = settings_of(self._cloud, event.region, event.name).dead_letter_target
        if not target:
            return
        deployment = event.host.deployment(event.region, event.name, event.qualifier)
        session = self._cloud.assume_role(deployment.role_arn, service=ASSUMED_BY, session_name=event.name)
        message, attributes = event.payload.decode("utf-8", "replace"), _attributes(failure)
        try:
            if ":sqs:" in target:
                sqs: Any = session.client("sqs", region_name=event.region)
                _, _, _, _, account, name = target.split(":")
                url = f"https://sqs.{event.region}.amazonaws.com/{account}/{name}"
                sqs.send_message(QueueUrl=url, MessageBody=message, MessageAttributes=attributes)
            else:
                sns: Any = session.client("sns", region_name=event.region)
                sns.publish(TopicArn=target, Message=message, MessageAttributes=attributes)
        except ClientError as refusal:
            dimensions = {"FunctionName": event.name}
            self._cloud.metrics.put(
                NAMESPACE, "DeadLetterErrors", 1, region=event.region, dimensions=dimensions, unit="Count"
            )
            log.warning("%s: the dead letter was refused: %s", event.name, refusal)


def _attributes(failure: str) -> dict[str, Any]:
    try:
        message = json.loads(failure).get("errorMessage", failure)
    except (ValueError, AttributeError):
        message = failure
    return {
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": str(message)[:1024] or "unknown"},
    }


def events_of(cloud: Cloud) -> Events:
    """The queue of this cloud's asynchronous invocations."""
    return state_of(cloud, Events)
