"""SNS topics: attributes that moto takes and does not give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_DROPPED = ("SignatureVersion", "TracingConfig")


class Attributes:
    """What moto drops of a topic, by ARN."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.by_topic: dict[str, dict[str, str]] = {}

    def close(self) -> None:
        """Nothing runs here."""


@after("sns", "CreateTopic")
def keep_attributes(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    asked = call.params.get("Attributes") or {}
    _kept(call, output["TopicArn"]).update({name: asked[name] for name in _DROPPED if name in asked})
    return output


@after("sns", "SetTopicAttributes")
def keep_attribute(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    name = call.params["AttributeName"]
    if name in _DROPPED:
        _kept(call, call.params["TopicArn"])[name] = call.params.get("AttributeValue", "")
    return output


@after("sns", "GetTopicAttributes")
def give_attributes(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return {**output, "Attributes": {**output["Attributes"], **_kept(call, call.params["TopicArn"])}}


@after("sns", "DeleteTopic")
def forget(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    state_of(call.cloud, Attributes).by_topic.pop(call.params["TopicArn"], None)
    return output


def _kept(call: Call, topic_arn: str) -> dict[str, str]:
    return state_of(call.cloud, Attributes).by_topic.setdefault(topic_arn, {})
