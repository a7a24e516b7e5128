"""A driver that calls the emulated provider as an engine does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import provider_pb2 as pb

from infra.rehearsal.provider import AwsProvider

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ACCOUNT_ID = "111111111111"
REGION = "eu-west-1"


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(values)
    return message


def urn_of(type_token: str, name: str) -> str:
    return f"urn:pulumi:platform-dev::mainstage::{type_token}::{name}"


class CheckFailed(Exception):
    """Check refused: {property path: reason}."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        super().__init__(json.dumps(dict(failures)))
        self.failures = dict(failures)


@dataclass
class Resource:
    """A resource as the engine's state holds it."""

    type: str
    name: str
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def urn(self) -> str:
        return urn_of(self.type, self.name)


@dataclass
class Driver:
    provider: AwsProvider

    def check(
        self, type_token: str, name: str, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> Any:
        request = pb.CheckRequest(
            urn=urn_of(type_token, name),
            news=struct(inputs),
            olds=struct(olds or {}),
            randomSeed=b"seed-" + name.encode(),
        )
        answer = self.provider.Check(request, None)
        if answer.failures:
            raise CheckFailed({failure.property: failure.reason for failure in answer.failures})
        return MessageToDict(answer.inputs)

    def create(self, type_token: str, name: str, /, **inputs: Any) -> Resource:
        checked = self.check(type_token, name, inputs)
        request = pb.CreateRequest(urn=urn_of(type_token, name), properties=struct(checked))
        answer = self.provider.Create(request, None)
        return Resource(type_token, name, answer.id, checked, MessageToDict(answer.properties))

    def preview(self, type_token: str, name: str, /, **inputs: Any) -> dict[str, Any]:
        checked = self.check(type_token, name, inputs)
        request = pb.CreateRequest(urn=urn_of(type_token, name), properties=struct(checked), preview=True)
        return MessageToDict(self.provider.Create(request, None).properties)

    def read(self, resource: Resource) -> Resource | None:
        """A refresh."""
        answer = self.provider.Read(
            pb.ReadRequest(
                id=resource.id,
                urn=resource.urn,
                properties=struct(resource.outputs),
                inputs=struct(resource.inputs),
            ),
            None,
        )
        if not answer.id:
            return None
        inputs, outputs = MessageToDict(answer.inputs), MessageToDict(answer.properties)
        return Resource(resource.type, resource.name, answer.id, inputs, outputs)

    def imported(self, type_token: str, name: str, id: str) -> Resource | None:
        answer = self.provider.Read(pb.ReadRequest(id=id, urn=urn_of(type_token, name)), None)
        if not answer.id:
            return None
        return Resource(type_token, name, answer.id, MessageToDict(answer.inputs), MessageToDict(answer.properties))

    def diff(self, resource: Resource, /, ignore: tuple[str, ...] = (), **inputs: Any) -> pb.DiffResponse:
        checked = self.check(resource.type, resource.name, inputs, resource.inputs)
        return self.provider.Diff(
            pb.DiffRequest(
                id=resource.id,
                urn=resource.urn,
                olds=struct(resource.outputs),
                old_inputs=struct(resource.inputs),
                news=struct(checked),
                ignoreChanges=ignore,
            ),
            None,
        )

    def changed(self, resource: Resource, /, **inputs: Any) -> dict[str, bool]:
        """{property path: whether it replaces} of what would change."""
        answer = self.diff(resource, **inputs)
        replace = {pb.PropertyDiff.ADD_REPLACE, pb.PropertyDiff.DELETE_REPLACE, pb.PropertyDiff.UPDATE_REPLACE}
        return {path: one.kind in replace for path, one in answer.detailedDiff.items()}

    def update(self, resource: Resource, /, preview: bool = False, **inputs: Any) -> Resource:
        checked = self.check(resource.type, resource.name, inputs, resource.inputs)
        answer = self.provider.Update(
            pb.UpdateRequest(
                id=resource.id,
                urn=resource.urn,
                olds=struct(resource.outputs),
                old_inputs=struct(resource.inputs),
                news=struct(checked),
                preview=preview,
            ),
            None,
        )
        return Resource(resource.type, resource.name, resource.id, checked, MessageToDict(answer.properties))

    def delete(self, resource: Resource) -> None:
        self.provider.Delete(
            pb.DeleteRequest(
                id=resource.id,
                urn=resource.urn,
                properties=struct(resource.outputs),
                old_inputs=struct(resource.inputs),
            ),
            None,
        )


def configured(cloud: Cloud, *, propagation_seconds: float = 0.2, **arguments: str) -> Driver:
    provider = AwsProvider(
        cloud.session, clock=cloud.clock, wait_poll_seconds=0.01, propagation_seconds=propagation_seconds
    )
    values = {"region": REGION, **arguments}
    provider.Configure(pb.ConfigureRequest(args=struct(values), acceptSecrets=True), None)
    return Driver(provider)


def trust(service: str) -> str:
    """A trust policy for one AWS service."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(*actions: str, resource: str = "*") -> str:
    """A policy that allows actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
