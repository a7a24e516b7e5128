"""The poller of a queue's event source mapping: receives under the function's role, invokes, deletes what went well.

Source: Lambda developer guide, "Using Lambda with Amazon SQS", "Handling errors for an SQS event source". Batches run
beside each other, at most five of a mapping (Lambda begins with five), or MaximumConcurrency. What a batch leaves
undeleted becomes visible again when the queue's visibility time-out is over; the batching window is real time.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from moto.awslambda.utils import get_backend

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.functions.deployment import Deployment
from infra.rehearsal.cloud.functions.host import Functions, functions_of
from infra.rehearsal.cloud.functions.surroundings import ASSUMED_BY
from infra.rehearsal.cloud.iam.resource_policies import find_queue
from infra.rehearsal.cloud.overlay.sqs_store import Queues, queues_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

MOST_BATCHES = 5
MOST_EVENT_BYTES = 6_291_456
_PAUSE_SECONDS = 0.05
_REFUSED_PAUSE_SECONDS = 1.0
_RECEIVED_AT_ONCE = 10
_END_SECONDS = 5.0

log = logging.getLogger(__name__)


class Poller:
    """One thread for a mapping, and one more for each batch under way. The mapping is read anew for each batch."""

    def __init__(self, cloud: Cloud, host: Functions, queues: Queues, region: str, uuid: str):
        self._cloud = cloud
        self._host = host
        self._queues = queues
        self._region = region
        self._uuid = uuid
        self._stop = threading.Event()
        self._slots = threading.Condition()
        self._running = 0
        self.problem = ""
        """Why the last poll could not be made; empty when it could."""
        self._thread = threading.Thread(target=self._run, name=f"lambda-poller-{uuid[:8]}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes no more messages. Batches under way go on to their end."""
        self._stop.set()

    def join(self) -> None:
        """Waits for the batches under way too: one would delete messages in the emptied cloud. Their invocations have
        been ended with the host of functions."""
        if self._thread is not threading.current_thread():
            self._thread.join()
        with self._slots:
            self._slots.wait_for(lambda: not self._running, _END_SECONDS)

    def _mapping(self) -> Any | None:
        return get_backend(self._cloud.account_id, self._region).get_event_source_mapping(self._uuid)

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = _PAUSE_SECONDS
            try:
                if self._poll():
                    pause = 0.0
            except (ClientError, AwsError) as refusal:
                # On AWS too a poller whose role was changed goes on trying.
                self.problem = str(refusal)
                pause = _REFUSED_PAUSE_SECONDS
                log.debug("event source mapping %s: %s", self._uuid, refusal)
            except Exception:
                log.exception("event source mapping %s failed inside the emulated cloud", self._uuid)
                pause = _REFUSED_PAUSE_SECONDS
            self._stop.wait(pause)

    def _poll(self) -> bool:
        """One batch, when there are messages and a slot. Whether there was one."""
        mapping = self._mapping()
        if mapping is None or not mapping.enabled:
            return False
        queue = find_queue(mapping.event_source_arn)
        # Looked at before it is asked: an idle mapping would fill the journal with empty receives.
        if queue is None or not queue.messages:
            return False
        limit = (mapping.scaling_config or {}).get("MaximumConcurrency") or MOST_BATCHES
        with self._slots:
            if self._running >= limit:
                self._slots.wait(_PAUSE_SECONDS)
                return False
        deployment = self._host.deployment(self._region, mapping.function_arn)
        sqs = self._sqs(deployment)
        messages = self._gather(sqs, queue, mapping)
        self.problem = ""
        if not messages:
            return False
        with self._slots:
            self._running += 1
        batch = _Batch(self._host, deployment, mapping.event_source_arn, queue.physical_resource_id, messages)
        partial = "ReportBatchItemFailures" in (mapping.function_response_types or ())
        threading.Thread(target=self._serve, args=(batch, sqs, partial), name="lambda-batch", daemon=True).start()
        return True

    def _sqs(self, deployment: Deployment) -> Any:
        session = self._cloud.assume_role(deployment.role_arn, service=ASSUMED_BY, session_name=deployment.name)
        return session.client("sqs", region_name=self._region)

    def _gather(self, sqs: Any, queue: Any, mapping: Any) -> list[dict[str, Any]]:
        """Messages until the batch is full, the window is over or, without a window, the queue is empty."""
        deadline = time.monotonic() + (mapping.max_batch_window or 0)
        found: list[dict[str, Any]] = []
        size = 0
        while len(found) < mapping.batch_size and size < MOST_EVENT_BYTES // 2 and not self._stop.is_set():
            fresh = sqs.receive_message(
                QueueUrl=queue.physical_resource_id,
                MaxNumberOfMessages=min(_RECEIVED_AT_ONCE, mapping.batch_size - len(found)),
                WaitTimeSeconds=0,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            found += fresh
            size += sum(len(message["Body"]) for message in fresh)
            left = deadline - time.monotonic()
            if not fresh:
                if left <= 0:
                    break
                with self._queues.changed:
                    self._queues.wait(left)
        return found

    def _serve(self, batch: _Batch, sqs: Any, partial: bool) -> None:
        try:
            batch.run(sqs, partial)
        except (ClientError, AwsError) as refusal:
            self.problem = str(refusal)
            log.debug("event source mapping %s: %s", self._uuid, refusal)
        except Exception:
            log.exception("event source mapping %s failed inside the emulated cloud", self._uuid)
        finally:
            with self._slots:
                self._running -= 1
                self._slots.notify()


class _Batch:
    def __init__(
        self, host: Functions, deployment: Deployment, queue_arn: str, queue_url: str, messages: list[dict[str, Any]]
    ):
        self._host = host
        self._deployment = deployment
        self._queue_url = queue_url
        self._messages = messages
        self._event = {"Records": [_record(message, queue_arn, deployment.region) for message in messages]}

    def run(self, sqs: Any, partial: bool) -> None:
        deployment = self._deployment
        payload = json.dumps(self._event, ensure_ascii=False).encode("utf-8", "surrogatepass")
        answer = self._host.invoke(deployment.region, deployment.arn, payload)
        if answer.function_error:
            return
        failed = (
            failed_items(answer.payload, {message["MessageId"] for message in self._messages}) if partial else set()
        )
        if failed is None:
            return
        done = [message for message in self._messages if message["MessageId"] not in failed]
        for start in range(0, len(done), _RECEIVED_AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(done[start : start + _RECEIVED_AT_ONCE])
            ]
            sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)


def failed_items(payload: bytes, known: set[str]) -> set[str] | None:
    """The message ids of batchItemFailures; None when the whole batch counts as failed.

    Developer guide, "Success and failure conditions": an empty or missing list is a success; an answer that is no JSON,
    an empty or missing itemIdentifier, or one that is not in the batch fails all.
    """
    try:
        answer = json.loads(payload)
    except ValueError:
        return None
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in failures}
    except (TypeError, KeyError):
        return None
    return named if named <= known else None


def _record(message: dict[str, Any], queue_arn: str, region: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(attribute) for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }


def _attribute(attribute: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": attribute["DataType"]}
    if "StringValue" in attribute:
        shown["stringValue"] = attribute["StringValue"]
    if "BinaryValue" in attribute:
        shown["binaryValue"] = base64.b64encode(attribute["BinaryValue"]).decode()
    return shown


class Pollers:
    """The pollers of one cloud, by mapping."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        # Held from the beginning: a poller that asked for them while the cloud closes would make them anew.
        self._host = functions_of(cloud)
        self._queues = queues_of(cloud)
        self._lock = threading.Lock()
        self._pollers: dict[str, Poller] = {}

    def start(self, region: str, uuid: str) -> None:
        with self._lock:
            self._pollers[uuid] = Poller(self._cloud, self._host, self._queues, region, uuid)

    def stop(self, uuid: str) -> None:
        with self._lock:
            poller = self._pollers.pop(uuid, None)
        if poller is not None:
            poller.stop()

    def problem(self, uuid: str) -> str:
        """Why a mapping could not poll or delete the last time; empty when it could."""
        with self._lock:
            poller = self._pollers.get(uuid)
        return poller.problem if poller is not None else ""

    def close(self) -> None:
        with self._lock:
            pollers, self._pollers = list(self._pollers.values()), {}
        for poller in pollers:
            poller.stop()
        for poller in pollers:
            poller.join()


def pollers_of(cloud: Cloud) -> Pollers:
    """The pollers of this cloud."""
    return state_of(cloud, Pollers)
