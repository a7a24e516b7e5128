"""Queues and the attributes that are resources of their own: internal/service/sqs/queue.go, attribute_funcs.go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_json, same_policy
from infra.rehearsal.provider.row import (
    Inputs,
    Problem,
    Row,
    Step,
    Tagging,
    between,
    conflicts,
    matches,
    step,
    valid_json,
)
from infra.rehearsal.provider.tags import by_id, optional

_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

# -- aws:sqs/queue:Queue ------------------------------------------------------------------------------------

_ATTRIBUTES = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "delaySeconds": "DelaySeconds",
    "fifoQueue": "FifoQueue",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
_NUMBERS = frozenset(
    {
        "delaySeconds",
        "kmsDataKeyReusePeriodSeconds",
        "maxMessageSize",
        "messageRetentionSeconds",
        "receiveWaitTimeSeconds",
        "visibilityTimeoutSeconds",
    }
)
_FLAGS = frozenset({"contentBasedDeduplication", "fifoQueue", "sqsManagedSseEnabled"})
_FIFO_ONLY = frozenset({"contentBasedDeduplication", "fifoQueue"})
_REUSE_SECONDS = 300


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _create(op: Operation) -> None:
    attributes = {
        member: _text(op.inputs[name])
        for name, member in _ATTRIBUTES.items()
        # False is sent for SQS's own encryption only, where leaving it out means true.
        if op.inputs.get(name) not in (None, "") and (op.inputs[name] is not False or name == "sqsManagedSseEnabled")
    }
    name = op.name_from()
    if op.inputs.get("fifoQueue") and not name.endswith(".fifo"):
        name += ".fifo"
    params = {**optional("Attributes", attributes), **optional("tags", op.wanted_tags())}
    answer = op.retry(
        lambda: op.call("sqs", "CreateQueue", QueueName=name, **params),
        lambda error: error.is_code("AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"),
        "90 s",
    )
    op.created(answer["QueueUrl"])


def _set(op: Operation, attributes: Mapping[str, str]) -> None:
    op.call("sqs", "SetQueueAttributes", QueueUrl=op.id, Attributes=dict(attributes))


def _update(op: Operation) -> None:
    _set(op, {_ATTRIBUTES[name]: _text(op.inputs.get(name)) for name in sorted(op.changed & set(_ATTRIBUTES))})


def _attributes(op: Operation, *names: str) -> dict[str, str] | None:
    answer = op.found(
        lambda: op.call("sqs", "GetQueueAttributes", QueueUrl=op.id, AttributeNames=list(names or ("All",))), *_GONE
    )
    return None if answer is None else answer.get("Attributes", {})


def _read(op: Operation) -> Mapping[str, Any] | None:
    found = _attributes(op)
    if found is None:
        return None
    live: dict[str, Any] = {name: found.get(member) or "" for name, member in _ATTRIBUTES.items()}
    live |= {name: int(live[name]) for name in _NUMBERS if live[name]}
    live |= {name: live[name] == "true" for name in _FLAGS}
    live["kmsDataKeyReusePeriodSeconds"] = live["kmsDataKeyReusePeriodSeconds"] or _REUSE_SECONDS
    tags = op.call("sqs", "ListQueueTags", QueueUrl=op.id).get("Tags")
    return (
        live
        | op.shown_tags(tags or {})
        | {
            "arn": found["QueueArn"],
            "name": op.id.rpartition("/")[2],
            "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
            "url": op.id,
        }
    )


def _delete(op: Operation) -> None:
    op.gone(lambda: op.call("sqs", "DeleteQueue", QueueUrl=op.id), *_GONE)


def _queue_rules(inputs: Inputs) -> Iterable[Problem]:
    if inputs.get("contentBasedDeduplication") and not inputs.get("fifoQueue"):
        yield "contentBasedDeduplication", "content-based deduplication can only be set for FIFO queue"
    name = inputs.get("name")
    if isinstance(name, str) and bool(inputs.get("fifoQueue")) != name.endswith(".fifo") and name.endswith(".fifo"):
        yield "name", f"invalid queue name: {name} (only FIFO queues end with .fifo)"


QUEUE = Row(
    type="aws:sqs/queue:Queue",
    source="sqs/queue.go",
    label="SQS Queue",
    create=_create,
    read=_read,
    delete=_delete,
    steps=(step(_update, *(set(_ATTRIBUTES) - {"fifoQueue"})),),
    name=AutoName(max_length=80),
    force_new=frozenset({"fifoQueue", "name", "namePrefix"}),
    computed=frozenset(
        {
            "deduplicationScope",
            "fifoThroughputLimit",
            "kmsDataKeyReusePeriodSeconds",
            "name",
            "namePrefix",
            "policy",
            "redriveAllowPolicy",
            "redrivePolicy",
            "sqsManagedSseEnabled",
        }
    ),
    defaults={
        "contentBasedDeduplication": False,
        "delaySeconds": 0,
        "fifoQueue": False,
        "maxMessageSize": 1_048_576,
        "messageRetentionSeconds": 345_600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    },
    equal={"policy": same_policy, "redriveAllowPolicy": same_json, "redrivePolicy": same_json},
    never_sent=frozenset({"fifoQueue", "name", "namePrefix"}),
    rules=(
        conflicts("kmsMasterKeyId", "sqsManagedSseEnabled"),
        valid_json("policy", "redriveAllowPolicy", "redrivePolicy"),
        matches(
            "name", r"[0-9A-Za-z_-]{1,80}|[0-9A-Za-z_-]{1,75}\.fifo", "invalid queue name: 1 to 80 of A-Z a-z 0-9 - _"
        ),
        between("delaySeconds", 0, 900),
        between("kmsDataKeyReusePeriodSeconds", 60, 86_400),
        between("maxMessageSize", 1024, 1_048_576),
        between("messageRetentionSeconds", 60, 1_209_600),
        between("visibilityTimeoutSeconds", 0, 43_200),
        _queue_rules,
    ),
    tagging=Tagging(
        put=lambda op, tags: op.call("sqs", "TagQueue", QueueUrl=by_id(op), Tags=dict(tags)),
        remove=lambda op, keys: op.call("sqs", "UntagQueue", QueueUrl=by_id(op), TagKeys=keys),
    ),
    from_id=lambda id: (id, {"name": id.rpartition("/")[2]}),
)

# -- aws:sqs/queuePolicy, redrivePolicy, redriveAllowPolicy -------------------------------------------------


def _attribute_row(type_token: str, label: str, argument: str, member: str, same: Callable[[Any, Any], bool]) -> Row:
    """One attribute of a queue as a resource. Create overwrites what is there; Delete sets it to nothing."""

    def put(op: Operation) -> None:
        url = op.inputs["queueUrl"]
        value = op.inputs[argument]
        op.retry(
            lambda: op.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={member: value}),
            lambda error: error.says("Invalid value for the parameter Policy"),
            "2 min",
        )
        op.created(url)

    def read(op: Operation) -> Mapping[str, Any] | None:
        found = _attributes(op, member)
        if found is None or not found.get(member):
            return None
        return {argument: found[member], "queueUrl": op.id}

    def remove(op: Operation) -> None:
        op.gone(lambda: _set(op, {member: ""}), *_GONE)

    steps: tuple[Step, ...] = (step(put, argument),)
    return Row(
        type=type_token,
        source="sqs/attribute_funcs.go",
        label=label,
        create=put,
        read=read,
        delete=remove,
        steps=steps,
        force_new=frozenset({"queueUrl"}),
        equal={argument: same},
        never_sent=frozenset({"queueUrl"}),
        rules=(valid_json(argument),),
        from_id=lambda id: (id, {"queueUrl": id}),
    )


QUEUE_POLICY = _attribute_row("aws:sqs/queuePolicy:QueuePolicy", "SQS Queue Policy", "policy", "Policy", same_policy)
REDRIVE_POLICY = _attribute_row(
    "aws:sqs/redrivePolicy:RedrivePolicy", "SQS Queue Redrive Policy", "redrivePolicy", "RedrivePolicy", same_json
)
REDRIVE_ALLOW_POLICY = _attribute_row(
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
    "SQS Queue Redrive Allow Policy",
    "redriveAllowPolicy",
    "RedriveAllowPolicy",
    same_json,
)

ROWS = (QUEUE, QUEUE_POLICY, REDRIVE_POLICY, REDRIVE_ALLOW_POLICY)
