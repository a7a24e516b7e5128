"""Topics and their policies: internal/service/sns/topic.go, topic_policy.go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_json, same_policy
from infra.rehearsal.provider.row import Inputs, Problem, Row, Step, matches, one_of, step, valid_json
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call

_GONE = ("NotFound", "NotFoundException")

# -- aws:sns/topic:Topic ------------------------------------------------------------------------------------

_CREATE = Call("sns", "CreateTopic", only=frozenset({"name"}))
_AT_CREATE = {"contentBasedDeduplication": "ContentBasedDeduplication", "fifoTopic": "FifoTopic"}
_ATTRIBUTES = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deliveryPolicy": "DeliveryPolicy",
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _create_topic(op: Operation) -> None:
    attributes = {member: _text(op.inputs[name]) for name, member in _AT_CREATE.items() if op.inputs.get(name)}
    # An upsert: a topic of that name that exists already is adopted.
    answer = op.send(
        _CREATE,
        Name=op.name_from(),
        **optional("Attributes", attributes),
        **optional("Tags", tag_list(op.wanted_tags())),
    )
    op.created(answer["TopicArn"])
    for name, member in _ATTRIBUTES.items():
        if name not in _AT_CREATE and op.inputs.get(name):
            _set(op, member, op.inputs[name])


def _set(op: Operation, member: str, value: Any) -> None:
    op.retry(
        lambda: op.call("sns", "SetTopicAttributes", TopicArn=op.id, AttributeName=member, AttributeValue=_text(value)),
        lambda error: error.is_code("InvalidParameter", "AuthorizationError"),
        "2 min",
    )


def _attributes(op: Operation) -> Mapping[str, str] | None:
    answer = op.found(lambda: op.call("sns", "GetTopicAttributes", TopicArn=op.id), *_GONE)
    return None if answer is None else answer["Attributes"]


def _read_topic(op: Operation) -> Mapping[str, Any] | None:
    attributes = _attributes(op)
    if attributes is None:
        return None
    live: dict[str, Any] = {name: attributes.get(member) or "" for name, member in _ATTRIBUTES.items()}
    live["signatureVersion"] = int(live["signatureVersion"]) if live["signatureVersion"] else None
    tags = op.call("sns", "ListTagsForResource", ResourceArn=op.id).get("Tags")
    return (
        live
        | op.shown_tags(tag_map(tags))
        | {
            "arn": op.id,
            "beginningArchiveTime": attributes.get("BeginningArchiveTime") or "",
            "contentBasedDeduplication": attributes.get("ContentBasedDeduplication") == "true",
            "fifoTopic": attributes.get("FifoTopic") == "true",
            "name": op.id.rpartition(":")[2],
            "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
            "owner": attributes.get("Owner") or op.account.account_id,
        }
    )


def _delete_topic(op: Operation) -> None:
    op.gone(lambda: op.call("sns", "DeleteTopic", TopicArn=op.id), *_GONE)


def _attribute_step(name: str, member: str) -> Step:
    return step(lambda op: _set(op, member, op.inputs.get(name)), name)


def _topic_rules(inputs: Inputs) -> Iterable[Problem]:
    if inputs.get("contentBasedDeduplication") and not inputs.get("fifoTopic"):
        yield "contentBasedDeduplication", "contentBasedDeduplication can only be set for FIFO topics"


TOPIC = Row(
    type="aws:sns/topic:Topic",
    source="sns/topic.go",
    label="SNS Topic",
    create=_create_topic,
    read=_read_topic,
    delete=_delete_topic,
    calls=(_CREATE,),
    steps=tuple(_attribute_step(name, member) for name, member in _ATTRIBUTES.items()),
    name=AutoName(max_length=256),
    force_new=frozenset({"fifoTopic", "name", "namePrefix"}),
    computed=frozenset({"fifoThroughputScope", "name", "namePrefix", "policy", "signatureVersion", "tracingConfig"}),
    defaults={"contentBasedDeduplication": False, "fifoTopic": False},
    equal={"policy": same_policy, "deliveryPolicy": same_json},
    never_sent=frozenset({"fifoTopic", "namePrefix"}),
    rules=(
        valid_json("policy", "deliveryPolicy"),
        matches("name", r"[A-Za-z0-9_-]{1,256}(\.fifo)?", "name takes letters, digits, - and _"),
        one_of("tracingConfig", "PassThrough", "Active"),
        one_of("signatureVersion", 1, 2),
        _topic_rules,
    ),
    tagging=listed_tagging("sns", "TagResource", "UntagResource", "ResourceArn", by_arn),
)

# -- aws:sns/topicPolicy:TopicPolicy ------------------------------------------------------------------------


def _put_policy(op: Operation) -> None:
    op.created(op.inputs["arn"])
    _set(op, "Policy", op.inputs["policy"])


def _read_policy(op: Operation) -> Mapping[str, Any] | None:
    attributes = _attributes(op)
    if attributes is None or not attributes.get("Policy"):
        return None
    owner = attributes.get("Owner") or op.account.account_id
    return {"arn": op.id, "owner": owner, "policy": attributes["Policy"]}


def default_policy(arn: str, owner: str) -> str:
    """The policy that Delete puts back: only the owner's own principals may publish, so service alarms fall silent."""
    actions = (
        "AddPermission DeleteTopic GetTopicAttributes ListSubscriptionsByTopic Publish RemovePermission"
        " SetTopicAttributes Subscribe"
    )
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions.split()],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": owner}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


def _delete_policy(op: Operation) -> None:
    owner = op.state.get("owner") or op.account.account_id
    try:
        _set(op, "Policy", default_policy(op.id, str(owner)))
    except ApiError as error:
        if not error.is_code(*_GONE):
            raise


TOPIC_POLICY = Row(
    type="aws:sns/topicPolicy:TopicPolicy",
    source="sns/topic_policy.go",
    label="SNS Topic Policy",
    create=_put_policy,
    read=_read_policy,
    delete=_delete_policy,
    steps=(step(_put_policy, "policy"),),
    force_new=frozenset({"arn"}),
    equal={"policy": same_policy},
    never_sent=frozenset({"arn"}),
    rules=(valid_json("policy"),),
)

ROWS = (TOPIC, TOPIC_POLICY)
