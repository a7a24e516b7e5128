"""A provider that keeps nothing and answers plausibly: for tests of what a program registers.

The outputs of a type are read from its class in the Pulumi SDK of its package. Inputs come back as they are; in a
preview every other output is unknown, as with the real provider; otherwise ARNs look like ARNs, ids like ids, URLs
like URLs.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, get_origin

from google.protobuf import empty_pb2
from pulumi import _types
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.steps import compare
from infra.rehearsal.engine.values import UNKNOWN, from_struct, plain, to_struct

ACCOUNT_ID = "123456789012"
REGION = "eu-west-1"

Answer = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Outputs, or a function from (plain) inputs to outputs. The key "id" sets the id."""

INVOKES: Mapping[str, Answer] = MappingProxyType(
    {
        "aws:index/getCallerIdentity:getCallerIdentity": {
            "id": ACCOUNT_ID,
            "accountId": ACCOUNT_ID,
            "arn": f"arn:aws:iam::{ACCOUNT_ID}:user/rehearsal",
            "userId": "AIDAREHEARSAL",
        },
        "aws:index/getRegion:getRegion": {
            "id": REGION,
            "name": REGION,
            "region": REGION,
            "description": "Europe (Ireland)",
            "endpoint": f"ec2.{REGION}.amazonaws.com",
        },
        "aws:index/getPartition:getPartition": {
            "id": "aws",
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "reverseDnsPrefix": "com.amazonaws",
        },
    }
)


class Answers(ResourceProviderServicer):
    """Answers for every package. `resources` and `invokes` override by type and by token."""

    def __init__(self, resources: Mapping[str, Answer] | None = None, invokes: Mapping[str, Answer] | None = None):
        self._resources = resources or {}
        self._invokes = {**INVOKES, **(invokes or {})}

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="0.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_UNKNOWN)

    def Configure(self, request: Any, context: Any) -> Any:
        return pb.ConfigureResponse(acceptSecrets=True, acceptResources=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        diff = compare(from_struct(request.old_inputs), from_struct(request.news))
        changes = pb.DiffResponse.DIFF_SOME if diff.changed else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(changes=changes, diffs=diff.keys)

    def Create(self, request: Any, context: Any) -> Any:
        inputs = from_struct(request.properties)
        id_, outputs = self._answer(request.urn, inputs, preview=request.preview)
        return pb.CreateResponse(id="" if request.preview else id_, properties=to_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        merged = {**from_struct(request.olds), **from_struct(request.news)}
        return pb.UpdateResponse(properties=to_struct(merged))

    def Read(self, request: Any, context: Any) -> Any:
        inputs = from_struct(request.inputs)
        _, outputs = self._answer(request.urn, inputs, preview=False)
        return pb.ReadResponse(id=request.id, inputs=to_struct(inputs), properties=to_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        arguments = from_struct(request.args)
        answer = self._invokes.get(request.tok)
        if answer is None:
            known = ", ".join(sorted(self._invokes))
            raise LookupError(f"no answer for the function {request.tok}: give one in `invokes`; there are: {known}")
        response = pb.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(_call(answer, plain(arguments))))
        return response

    def _answer(self, urn: str, inputs: dict[str, Any], *, preview: bool) -> tuple[str, dict[str, Any]]:
        type_, name = urns.type_of(urn), urns.name_of(urn)
        computed = {key: kind for key, kind in outputs_of(type_).items() if key not in inputs}
        if preview:
            return "", {**inputs, **{key: UNKNOWN for key in computed}}
        own = dict(_call(self._resources.get(type_, {}), plain(inputs)))
        physical = _physical_name(type_, name, inputs)
        id_ = str(own.pop("id", physical))
        made = {
            key: _plausible(key, kind, type_, name, id_, inputs)
            for key, kind in computed.items()
            if (type_, key) not in _optional(type_)
        }
        return id_, {**inputs, **made, **own}


def _call(answer: Answer, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return answer(inputs) if callable(answer) else answer


@cache
def _class_of(type_: str) -> Any:
    package, module, class_name = type_.split(":")
    module = module.split("/")[0]
    try:
        library = importlib.import_module(f"pulumi_{package}")
    except ImportError:
        return None
    if module != "index":
        library = getattr(library, module, None) or getattr(library, f"{module}_", None)
    return getattr(library, class_name, None)


@cache
def outputs_of(type_: str) -> Mapping[str, Any]:
    """Names and types of a resource's outputs; none for a type whose SDK isn't there."""
    found = _class_of(type_)
    return MappingProxyType({} if found is None else dict(_types.resource_types(found)))


@cache
def _optional(type_: str) -> frozenset[tuple[str, str]]:
    found = _class_of(type_)
    names = _types.resource_py_to_pulumi_names(found)
    return frozenset(
        (type_, pulumi_name)
        for python_name, pulumi_name in names.items()
        if "Optional" in str(getattr(found, python_name).fget.__annotations__.get("return"))
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


_NAMED_BY = ("name", "bucket", "functionName", "clusterName", "alias", "modelPackageGroupName")


def _physical_name(type_: str, name: str, inputs: Mapping[str, Any]) -> str:
    outputs = outputs_of(type_)
    for key in _NAMED_BY:
        if isinstance(value := plain(inputs.get(key)), str):
            return value
    for key in _NAMED_BY:
        if key in outputs:
            return f"{name}-{_digest(type_, name)[:7]}"
    return f"{type_.rsplit(':', 1)[-1].lower()}-{_digest(type_, name)[:12]}"


def _plausible(key: str, kind: Any, type_: str, name: str, id_: str, inputs: Mapping[str, Any]) -> Any:
    if key == "tagsAll":
        return inputs.get("tags", {})
    if key in _NAMED_BY:
        return id_
    if key == "region":
        return REGION
    if kind is bool:
        return False
    if kind is int or kind is float:
        return 0
    if kind is not str:
        return [] if get_origin(kind) is not None and "Sequence" in str(kind) else {}
    service, resource = type_.split(":")[1].split("/")[0], type_.rsplit(":", 1)[-1].lower()
    if key == "arn":
        return _arn(service, resource, id_)
    if key.endswith("Arn"):
        return _arn(service, key.removesuffix("Arn").lower(), id_)
    if key == "repositoryUrl":
        return f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/{id_}"
    if key in ("ownerId", "accountId", "registryId"):
        return ACCOUNT_ID
    if key.lower().endswith(("url", "endpoint")):
        return f"https://{id_}.{service}.{REGION}.amazonaws.com"
    if key.endswith("Id"):
        return (
            id_ if key.removesuffix("Id").lower() == resource else f"{key.removesuffix('Id')}-{_digest(id_, key)[:12]}"
        )
    return f"{name}-{key}"


def _arn(service: str, resource: str, id_: str) -> str:
    if service == "s3":
        return f"arn:aws:s3:::{id_}"
    if service == "iam":
        return f"arn:aws:iam::{ACCOUNT_ID}:{resource}/{id_}"
    if service in ("sns", "sqs"):
        return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{id_}"
    if resource == "loggroup":
        return f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{id_}"
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}/{id_}"
