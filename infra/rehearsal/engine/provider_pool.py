"""The providers of one run: provider resources, and the servicers that they configure."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.provider_calls import (
    CallFailed,
    ConfiguredProvider,
    Servicer,
    Unimplemented,
    call,
    read_diff,
)
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.steps import Diff, compare
from infra.rehearsal.engine.values import UNKNOWN_TEXT, contains_unknown, from_struct, plain, redacted, to_struct


class ProviderResources:
    """Keeps the provider resources themselves (`pulumi:providers:aws`): their inputs are their outputs."""

    def __init__(self, pool: Pool):
        self._pool = pool

    def check(
        self, urn: str, old: ResourceState | None, news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        request = pb.CheckRequest(
            urn=urn,
            name=urns.name_of(urn),
            type=urns.type_of(urn),
            olds=to_struct(old.inputs) if old else None,
            news=to_struct(news),
            randomSeed=seed,
        )
        try:
            answer = call(self._pool.servicer(urn), "CheckConfig", request)
        except Unimplemented:
            return news, []
        return from_struct(answer.inputs), [(failure.property, failure.reason) for failure in answer.failures]

    def diff(self, old: ResourceState, news: dict[str, Any], ignored: tuple[str, ...]) -> Diff:
        request = pb.DiffRequest(
            id=old.id,
            urn=old.urn,
            name=old.name,
            type=old.type,
            olds=to_struct(old.outputs),
            old_inputs=to_struct(old.inputs),
            news=to_struct(news),
            ignoreChanges=ignored,
        )
        try:
            answer = call(self._pool.servicer(old.urn), "DiffConfig", request)
        except Unimplemented:
            return compare(old.inputs, news)
        return read_diff(answer, lambda: compare(old.inputs, news))

    def create(self, new: ResourceState, *, preview: bool) -> tuple[str, dict[str, Any]]:
        # The real engine draws a random id. This one is made of what the provider is, so that runs can be compared.
        what = f"{new.urn} {sorted(redacted(new.inputs).items())}"
        return (UNKNOWN_TEXT if preview else str(uuid.uuid5(uuid.NAMESPACE_OID, what))), dict(new.inputs)

    def update(self, old: ResourceState, new: ResourceState, *, preview: bool) -> dict[str, Any]:
        return dict(new.inputs)

    def delete(self, old: ResourceState) -> None:
        self._pool.drop(f"{old.urn}::{old.id}")

    def read(
        self, urn: str, id_: str, inputs: dict[str, Any], outputs: dict[str, Any], timeout_seconds: float
    ) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        return id_, inputs, outputs


class Pool:
    """The providers of one run, by reference (`<urn>::<id>`)."""

    def __init__(self, servicers: Mapping[str, Servicer | Callable[[], Servicer]]):
        self._servicers = servicers
        self._configured: dict[str, ConfiguredProvider] = {}
        self._own: dict[str, Servicer] = {}
        self._single: dict[str, tuple[str, dict[str, Any]]] = {}
        self._lock = threading.RLock()
        self.resources = ProviderResources(self)

    def servicer(self, urn: str) -> Servicer:
        """The servicer of a provider resource. CallFailed for a package that nothing here serves."""
        package = urns.package_of(urns.type_of(urn))
        if package not in self._servicers and "*" not in self._servicers:
            carried = ", ".join(sorted(self._servicers)) or "none"
            raise CallFailed(f"no provider for package {package!r} in a rehearsal; carried: {carried}")
        with self._lock:
            if urn not in self._own:
                source = self._servicers.get(package) or self._servicers["*"]
                self._own[urn] = source if isinstance(source, ResourceProviderServicer) else source()
            return self._own[urn]

    def configure(self, reference: str, inputs: dict[str, Any]) -> ConfiguredProvider:
        """Configures a provider resource, once for each reference and set of inputs."""
        urn, id_ = urns.split_reference(reference)
        servicer = self.servicer(urn)
        with self._lock:
            self._refuse_shared(urn, inputs)
            provider = ConfiguredProvider(servicer, urn, id_, inputs)
            self._configured[reference] = provider
            return provider

    def _refuse_shared(self, urn: str, inputs: dict[str, Any]) -> None:
        package = urns.package_of(urns.type_of(urn))
        shared = isinstance(self._servicers.get(package), ResourceProviderServicer)
        if not shared or contains_unknown(inputs):
            return
        settings = {key: value for key, value in plain(inputs).items() if key != "version"}
        owner, others = self._single.setdefault(package, (urn, settings))
        if owner != urn and others != settings:
            raise CallFailed(
                f"{urns.name_of(urn)} configures the {package} provider otherwise than {urns.name_of(owner)} does, "
                f"and this engine was given one {package} provider object: give it a function that makes one instead"
            )
        self._single[package] = (owner, settings if owner == urn else others)

    def get(self, reference: str) -> ConfiguredProvider | None:
        """The configured provider, or None when nothing configured it in this run."""
        with self._lock:
            return self._configured.get(reference)

    def drop(self, reference: str) -> None:
        with self._lock:
            self._configured.pop(reference, None)
