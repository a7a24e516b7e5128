"""Messages moved out of a dead-letter queue (redrive), which moto lacks.

A task makes its calls in the name of whoever started it, as SQS does. Sources: SQS API reference, StartMessageMoveTask,
ListMessageMoveTasks, CancelMessageMoveTask; SQS Developer Guide, "Configure a dead-letter queue redrive" and
"Troubleshoot dead-letter queue redrive issues" (permissions, reasons of a failure). The words of the refusals are
unconfirmed.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.resource_policies import find_queue
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import stable_uuid
from infra.rehearsal.cloud.overlay.sqs_store import queues_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

MOST_PER_SECOND = 500
MOST_LISTED = 10
HIDDEN_SECONDS = 30
"""How long a message that could not be moved stays hidden (unconfirmed)."""


log = logging.getLogger(__name__)


@dataclass
class Task:
    """One redrive. `status` is guarded by the lock of Moves."""

    handle: str
    source_arn: str
    destination_arn: str | None
    per_second: int | None
    to_move: int
    started_ms: int
    moved: int = 0
    status: str = "RUNNING"
    failure: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def shown(self) -> dict[str, Any]:
        """As ListMessageMoveTasks shows it: the handle only while it can be cancelled."""
        entry: dict[str, Any] = {
            "Status": self.status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_ms,
        }
        if self.status == "RUNNING":
            entry["TaskHandle"] = self.handle
        if self.destination_arn is not None:
            entry["DestinationArn"] = self.destination_arn
        if self.per_second is not None:
            entry["MaxNumberOfMessagesPerSecond"] = self.per_second
        if self.failure:
            entry["FailureReason"] = self.failure
        return entry


class Moves:
    """The tasks of one cloud, oldest first."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        # Held from the beginning: a task that asked for them while the cloud is emptied would make them anew.
        self._queues = queues_of(cloud)
        self.lock = threading.Lock()
        self.tasks: list[Task] = []

    def start(self, call: Call, task: Task) -> None:
        """Begins to move. AwsError when the queue has a task already."""
        with self.lock:
            if any(one.source_arn == task.source_arn and one.status in ("RUNNING", "CANCELLING") for one in self.tasks):
                raise _invalid(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a "
                    "given time."
                )
            self.tasks.append(task)
            task.thread = threading.Thread(target=self._run, args=(call, task), name="sqs-move", daemon=True)
            task.thread.start()

    def _run(self, call: Call, task: Task) -> None:
        failure = ""
        try:
            while task.moved < task.to_move and not task.stop.is_set() and self._batch(call, task):
                pass
        except AwsError as refusal:
            failure = refusal.code
        except Exception as error:  # else it would run for ever, and no other could begin
            log.exception("%s: the move failed inside the emulated cloud", task.source_arn)
            failure = f"InternalFailure: {error!r}"
        with self.lock:
            task.failure = failure
            task.status = "FAILED" if failure else "CANCELLED" if task.stop.is_set() else "COMPLETED"

    def _batch(self, call: Call, task: Task) -> bool:
        """Moves up to ten messages. False when none was to be had."""
        source = _url(task.source_arn)
        asked = {
            "QueueUrl": source,
            "MaxNumberOfMessages": min(10, task.to_move - task.moved),
            "VisibilityTimeout": HIDDEN_SECONDS,
            "MessageAttributeNames": ["All"],
        }
        taken = self._call(call, "ReceiveMessage", asked).get("Messages") or []
        for message in taken:
            came_from = self._queues.came_from(call.region, _name(task.source_arn), message["MessageId"])
            destination = task.destination_arn or came_from
            if destination is None:
                raise AwsError("CouldNotDetermineMessageSource", "The message was not moved here by a redrive policy.")
            sent = {"QueueUrl": _url(destination), "MessageBody": message["Body"]}
            if message.get("MessageAttributes"):
                sent["MessageAttributes"] = message["MessageAttributes"]
            self._call(call, "SendMessage", sent)
            self._call(call, "DeleteMessage", {"QueueUrl": source, "ReceiptHandle": message["ReceiptHandle"]})
            with self.lock:
                task.moved += 1
            if task.stop.wait(1 / task.per_second if task.per_second else 0):
                break
        return bool(taken)

    def _call(self, call: Call, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return self._cloud.answer(Call(self._cloud, "sqs", operation, params, call.region, call.principal, UNPARSED))

    def close(self) -> None:
        """Ends the tasks."""
        for task in self.tasks:
            task.stop.set()
        for task in self.tasks:
            if task.thread is not None:
                task.thread.join(5)


@handler("sqs", "StartMessageMoveTask")
def start(call: Call) -> dict[str, Any]:
    """Moves what is visible now: to the queues it came from, or to the one that is asked for."""
    params = call.params
    source = _queue(call, "SourceArn")
    rate = params.get("MaxNumberOfMessagesPerSecond")
    if rate is not None and not 1 <= rate <= MOST_PER_SECOND:
        raise _invalid(
            f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and "
            f"{MOST_PER_SECOND}, if provided."
        )
    if not source_queues(call, params["SourceArn"]):
        raise _invalid("Source queue must be configured as a Dead Letter Queue.")
    destination = params.get("DestinationArn")
    if destination is not None:
        _queue(call, "DestinationArn")
        if destination == params["SourceArn"]:
            raise _invalid("Source queue arn and destination queue arn cannot be the same.")
    if source.fifo_queue:
        raise AwsError("UnsupportedOperation", "The emulated SQS moves messages of standard queues only.", 400)
    moves = state_of(call.cloud, Moves)
    handle = {
        "taskId": stable_uuid(call.cloud.seed, "move", params["SourceArn"], len(moves.tasks)),
        "sourceArn": params["SourceArn"],
    }
    with queues_of(call.cloud).changed:
        visible = len(source.messages)
    task = Task(
        base64.b64encode(json.dumps(handle).encode()).decode(),
        params["SourceArn"],
        destination,
        rate,
        visible,
        int(call.cloud.clock.now().timestamp() * 1000),
    )
    moves.start(call, task)
    return {"TaskHandle": task.handle}


@handler("sqs", "ListMessageMoveTasks")
def listed(call: Call) -> dict[str, Any]:
    """The latest first."""
    _queue(call, "SourceArn")
    most = call.params.get("MaxResults", 1)
    if not 1 <= most <= MOST_LISTED:
        raise _invalid(
            f"Value {most} for parameter MaxResults is invalid. Reason: Must be between 1 and {MOST_LISTED}, if "
            "provided."
        )
    moves = state_of(call.cloud, Moves)
    with moves.lock:
        found = [task.shown() for task in reversed(moves.tasks) if task.source_arn == call.params["SourceArn"]]
    return {"Results": found[:most]}


@handler("sqs", "CancelMessageMoveTask")
def cancel(call: Call) -> dict[str, Any]:
    """What has been moved stays moved."""
    moves = state_of(call.cloud, Moves)
    with moves.lock:
        task = next((one for one in moves.tasks if one.handle == call.params["TaskHandle"]), None)
        if task is None:
            raise AwsError("ResourceNotFoundException", "Task does not exist.", 404)
        if task.status != "RUNNING":
            raise _invalid("Only active tasks can be cancelled.")
        task.status = "CANCELLING"
        task.stop.set()
        return {"ApproximateNumberOfMessagesMoved": task.moved}


def source_queues(call: Call, dead_arn: str) -> list[Any]:
    """The queues whose dead letters go there."""
    queues = queues_of(call.cloud).all(call.region)
    return [one for one in queues if getattr(one.dead_letter_queue, "queue_arn", None) == dead_arn]


def _queue(call: Call, parameter: str) -> Any:
    parts = arns.split(call.params[parameter])
    queue = find_queue(call.params[parameter])
    if parts is None or queue is None or parts.region != call.region:
        text = f"The resource that you specified for the {parameter} parameter doesn't exist."
        raise AwsError("ResourceNotFoundException", text, 404)
    return queue


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]


def _url(arn: str) -> str:
    queue = find_queue(arn)
    if queue is None:
        raise AwsError("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", 400)
    return str(queue.physical_resource_id)


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterValue", text, 400)
