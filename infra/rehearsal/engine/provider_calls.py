"""Calls a resource provider as the engine does: the protobuf messages of the Pulumi provider protocol, in process.

Marshalling follows pkg/resource/plugin/provider_plugin.go of pulumi/pulumi: secrets are sent wrapped only to a
provider that takes them, and otherwise the mark is put back on outputs of the same name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.steps import Diff, compare
from infra.rehearsal.engine.values import (
    contains_unknown,
    from_struct,
    mark_like,
    plain,
    to_struct,
)

Servicer = ResourceProviderServicer


class CallFailed(Exception):
    """A provider's refusal; the text is the provider's."""


class Unimplemented(CallFailed):
    """The provider has no such method."""


class HalfMade(CallFailed):
    """The provider raised an error that carries what exists all the same: id, properties, inputs, reasons."""


class PartlyDone(CallFailed):
    """A create, update or read that left the resource there but not as asked."""

    def __init__(self, id_: str, inputs: dict[str, Any], outputs: dict[str, Any], reasons: list[str]):
        super().__init__("\n".join(reasons))
        self.id = id_
        self.inputs = inputs
        self.outputs = outputs
        self.reasons = tuple(reasons)

    @property
    def as_hooks_get_it(self) -> str:
        """The text in the real engine's form (plugin.InitError, a list of hashicorp/go-multierror)."""
        many = "1 error" if len(self.reasons) == 1 else f"{len(self.reasons)} errors"
        return f"{many} occurred:\n" + "".join(f"\t* {reason}\n" for reason in self.reasons) + "\n"


class InProcessContext:
    """What a gRPC servicer expects beside the request: it may abort with a status and a text."""

    def __init__(self) -> None:
        self.code: Any = None
        self.details_text = ""

    def abort(self, code: Any, details: str) -> NoReturn:
        raise CallFailed(details)

    def set_code(self, code: Any) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details_text = details


def call(servicer: Servicer, method: str, request: Any) -> Any:
    """Calls one method of a provider. CallFailed has the provider's text, and what else went wrong says what it was."""
    try:
        return getattr(servicer, method)(request, InProcessContext())
    except CallFailed:
        raise
    except NotImplementedError as error:
        raise Unimplemented(f"the provider has no {method}") from error
    except Exception as error:
        if hasattr(error, "reasons") and hasattr(error, "properties"):
            raise HalfMade(str(error)) from error
        # A provider's own errors speak for themselves; a Python error is a fault in the provider and is named.
        own = type(error).__module__ != "builtins"
        raise CallFailed(str(error) if own else f"{type(error).__name__}: {error}") from error


class Provider(Protocol):
    """What the deployment asks of whatever keeps a resource."""

    def check(
        self, urn: str, old: ResourceState | None, news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]: ...

    def diff(self, old: ResourceState, news: dict[str, Any], ignored: tuple[str, ...]) -> Diff: ...

    def create(self, new: ResourceState, *, preview: bool) -> tuple[str, dict[str, Any]]: ...

    def update(self, old: ResourceState, new: ResourceState, *, preview: bool) -> dict[str, Any]: ...

    def delete(self, old: ResourceState) -> None: ...

    def read(
        self, urn: str, id_: str, inputs: dict[str, Any], outputs: dict[str, Any], timeout_seconds: float
    ) -> tuple[str, dict[str, Any] | None, dict[str, Any]]: ...


class ConfiguredProvider:
    """One provider resource: a servicer together with its configuration."""

    def __init__(self, servicer: Servicer, urn: str, id_: str, inputs: dict[str, Any]):
        self.servicer = servicer
        self.urn = urn
        self.package = urns.package_of(urns.type_of(urn))
        self.known = not contains_unknown(inputs)
        self.accept_secrets = self.accept_references = self.supports_preview = False
        if self.known:
            self._configure(id_, inputs)

    def _configure(self, id_: str, inputs: dict[str, Any]) -> None:
        settings = {key: value for key, value in inputs.items() if key not in ("version", "pluginDownloadURL")}
        variables = {
            f"{self.package}:config:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in plain(settings).items()
        }
        answer = self._call(
            "Configure",
            pb.ConfigureRequest(
                variables=variables,
                args=to_struct(settings),
                acceptSecrets=True,
                acceptResources=True,
                sends_old_inputs=True,
                sends_old_inputs_to_delete=True,
                id=id_,
                urn=self.urn,
                name=urns.name_of(self.urn),
                type=urns.type_of(self.urn),
            ),
        )
        self.accept_secrets = answer.acceptSecrets
        self.accept_references = answer.acceptResources
        self.supports_preview = answer.supportsPreview

    def check(
        self, urn: str, old: ResourceState | None, news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if not self.known:
            return news, []
        answer = self._call(
            "Check",
            pb.CheckRequest(
                urn=urn,
                name=urns.name_of(urn),
                type=urns.type_of(urn),
                olds=self._struct(old.inputs) if old else None,
                old_outputs=self._struct(old.outputs) if old else None,
                news=self._struct(news),
                randomSeed=seed,
            ),
        )
        return self._read(answer.inputs, news), [(failure.property, failure.reason) for failure in answer.failures]

    def diff(self, old: ResourceState, news: dict[str, Any], ignored: tuple[str, ...]) -> Diff:
        if not self.known:
            return compare(old.inputs, news)
        answer = self._call(
            "Diff",
            pb.DiffRequest(
                id=old.id,
                urn=old.urn,
                name=old.name,
                type=old.type,
                olds=self._struct(old.outputs),
                old_inputs=self._struct(old.inputs),
                news=self._struct(news),
                ignoreChanges=ignored,
            ),
        )
        return read_diff(answer, lambda: compare(old.inputs, news))

    def create(self, new: ResourceState, *, preview: bool) -> tuple[str, dict[str, Any]]:
        if preview and not (self.known and self.supports_preview):
            return "", {}
        request = pb.CreateRequest(
            urn=new.urn,
            name=new.name,
            type=new.type,
            properties=self._struct(new.inputs),
            timeout=new.custom_timeouts.get("create", 0),
            preview=preview,
        )
        answer = self._call("Create", request, new.inputs)
        if not preview and not answer.id:
            raise CallFailed("provider did not return an ID from Create")
        return ("" if preview else answer.id), self._read(answer.properties, new.inputs)

    def update(self, old: ResourceState, new: ResourceState, *, preview: bool) -> dict[str, Any]:
        if preview and not (self.known and self.supports_preview):
            return dict(new.inputs)
        request = pb.UpdateRequest(
            id=old.id,
            urn=new.urn,
            name=new.name,
            type=new.type,
            olds=self._struct(old.outputs),
            old_inputs=self._struct(old.inputs),
            news=self._struct(new.inputs),
            timeout=new.custom_timeouts.get("update", 0),
            ignoreChanges=new.ignore_changes,
            preview=preview,
        )
        return self._read(self._call("Update", request, new.inputs).properties, new.inputs)

    def delete(self, old: ResourceState) -> None:
        self._call(
            "Delete",
            pb.DeleteRequest(
                id=old.id,
                urn=old.urn,
                name=old.name,
                type=old.type,
                properties=self._struct(old.outputs),
                old_inputs=self._struct(old.inputs),
                timeout=old.custom_timeouts.get("delete", 0),
            ),
        )

    def read(
        self, urn: str, id_: str, inputs: dict[str, Any], outputs: dict[str, Any], timeout_seconds: float
    ) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        answer = self._call(
            "Read",
            pb.ReadRequest(
                id=id_,
                urn=urn,
                name=urns.name_of(urn),
                type=urns.type_of(urn),
                inputs=self._struct(inputs),
                properties=self._struct(outputs),
                timeout=timeout_seconds,
            ),
            inputs,
        )
        found = self._read(answer.inputs, inputs) if answer.HasField("inputs") else None
        return answer.id, found, self._read(answer.properties, outputs)

    def invoke(
        self, token: str, arguments: dict[str, Any], *, preview: bool
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Calls a function. The result's failures are (property, reason)."""
        request = pb.InvokeRequest(tok=token, args=to_struct(arguments, keep_secrets=False), preview=preview)
        answer = self._call("Invoke", request)
        return from_struct(getattr(answer, "return")), [(item.property, item.reason) for item in answer.failures]

    def _struct(self, properties: Mapping[str, Any]) -> struct_pb2.Struct:
        return to_struct(properties, keep_secrets=self.accept_secrets, keep_references=self.accept_references)

    def _read(self, struct: struct_pb2.Struct, like: Mapping[str, Any]) -> dict[str, Any]:
        properties = from_struct(struct)
        return properties if self.accept_secrets else mark_like(properties, like)

    def _call(self, method: str, request: Any, inputs: Mapping[str, Any] | None = None) -> Any:
        try:
            return call(self.servicer, method, request)
        except HalfMade as error:
            raise self._partly_done(error.__cause__, inputs or {}) from error.__cause__

    def _partly_done(self, error: Any, inputs: Mapping[str, Any]) -> PartlyDone:
        def read(properties: Any) -> dict[str, Any]:
            struct = properties if isinstance(properties, struct_pb2.Struct) else to_struct(properties)
            return self._read(struct, inputs)

        return PartlyDone(error.id, read(getattr(error, "inputs", {})), read(error.properties), list(error.reasons))


def read_diff(answer: pb.DiffResponse, own: Callable[[], Diff]) -> Diff:
    """Reads a provider's answer; `own` compares when the provider can't tell."""
    detailed = dict(answer.detailedDiff)
    replacing = {
        pb.PropertyDiff.Kind.ADD_REPLACE,
        pb.PropertyDiff.Kind.DELETE_REPLACE,
        pb.PropertyDiff.Kind.UPDATE_REPLACE,
    }
    if answer.changes == pb.DiffResponse.DIFF_UNKNOWN and not answer.replaces:
        return own()
    roots = [path.split(".", 1)[0].split("[", 1)[0] for path in detailed]
    replaces = [
        *answer.replaces,
        *(root for root, item in zip(roots, detailed.values(), strict=True) if item.kind in replacing),
    ]
    changed = answer.changes == pb.DiffResponse.DIFF_SOME or bool(replaces)
    return Diff(
        changed=changed,
        keys=tuple(dict.fromkeys([*answer.diffs, *roots, *answer.replaces])) if changed else (),
        replace_keys=tuple(dict.fromkeys(replaces)),
        paths=tuple(detailed) if changed else (),
        delete_before_replace=answer.deleteBeforeReplace,
    )


def seed_for(urn: str, previous_id: str = "") -> bytes:
    """The seed for automatic names: the same for the same resource, another for its replacement."""
    return hashlib.sha256(f"{urn}|{previous_id}".encode()).digest()
