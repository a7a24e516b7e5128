"""The engine's memory: the resources of every stack, on disk after each step.

One JSON file holds all stacks of a rehearsal, each resource in the words of Pulumi's own checkpoint. It is written
whole to a file beside it and renamed, so a reader sees one state or the next, and a run killed at any moment leaves
the last finished step. Steps that finish while a write is under way share the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.results import StateError
from infra.rehearsal.engine.values import (
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_TEXT,
    ResourceReference,
    Secret,
)
from infra.rehearsal.engine.vault import Vault

VERSION = 1


@dataclass
class ResourceState:
    """A resource as it stands. Never changed once made: `dataclasses.replace` makes the next."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: Mapping[str, float] = field(default_factory=dict)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    init_errors: tuple[str, ...] = ()
    deleted_with: str = ""
    import_id: str = ""
    replacement_trigger: Any = None
    external: bool = False
    delete: bool = False
    """Replaced already: the old one waits to be deleted."""
    pending_replacement: bool = False
    """Deleted already: the new one waits to be created."""
    _text: str = field(default="", init=False, compare=False, repr=False)

    @property
    def name(self) -> str:
        return urns.name_of(self.urn)

    def needs(self) -> set[str]:
        """URNs that must outlive this resource."""
        found = {self.parent, self.deleted_with, *self.dependencies}
        for dependencies in self.property_dependencies.values():
            found.update(dependencies)
        if self.provider:
            found.add(urns.split_reference(self.provider)[0])
        found.discard("")
        return found

    def renamed(self, old_urn: str, new_urn: str) -> ResourceState:
        """The same resource with every reference to `old_urn` turned to `new_urn`."""
        if old_urn not in self.needs():
            return self

        def swap(urn: str) -> str:
            return new_urn if urn == old_urn else urn

        provider = self.provider
        if provider:
            provider_urn, provider_id = urns.split_reference(provider)
            provider = f"{swap(provider_urn)}::{provider_id}"
        return replace(
            self,
            parent=swap(self.parent),
            deleted_with=swap(self.deleted_with),
            provider=provider,
            dependencies=tuple(map(swap, self.dependencies)),
            property_dependencies={key: tuple(map(swap, urns_)) for key, urns_ in self.property_dependencies.items()},
        )


# (field, key in the file); a value that equals the field's default is left out
_FIELDS = (
    ("id", "id"),
    ("parent", "parent"),
    ("provider", "provider"),
    ("dependencies", "dependencies"),
    ("property_dependencies", "propertyDependencies"),
    ("protect", "protect"),
    ("retain_on_delete", "retainOnDelete"),
    ("ignore_changes", "ignoreChanges"),
    ("replace_on_changes", "replaceOnChanges"),
    ("additional_secret_outputs", "additionalSecretOutputs"),
    ("aliases", "aliases"),
    ("custom_timeouts", "customTimeouts"),
    ("hooks", "resourceHooks"),
    ("init_errors", "initErrors"),
    ("deleted_with", "deletedWith"),
    ("import_id", "importID"),
    ("external", "external"),
    ("delete", "delete"),
    ("pending_replacement", "pendingReplacement"),
)


class State:
    """The stacks of one rehearsal. Without a path it lives in memory only."""

    def __init__(self, path: Path | None, *, project: str, organization: str):
        self.path = path
        self.project = project
        self.organization = organization
        self._stacks: dict[str, tuple[ResourceState, ...]] = {}
        self._lock = threading.Lock()
        self._writer = threading.Lock()
        self._run = threading.Lock()
        self._asked = self._written = 0
        self._vault = Vault(path.with_name(path.name + ".key")) if path is not None else None
        self.reload()

    def stacks(self) -> list[str]:
        """Names of the stacks that were ever deployed."""
        with self._lock:
            return list(self._stacks)

    def resources(self, stack: str) -> tuple[ResourceState, ...]:
        """The stack's resources, each after what it needs; nothing for an unknown stack."""
        with self._lock:
            return self._stacks.get(stack, ())

    def outputs(self, stack: str) -> dict[str, Any] | None:
        """The stack's exports, secrets still wrapped; None for a stack that was never deployed."""
        with self._lock:
            if stack not in self._stacks:
                return None
            root = next((item for item in self._stacks[stack] if item.type == urns.STACK_TYPE), None)
            return dict(root.outputs) if root else {}

    def reload(self) -> None:
        """Reads the file again: another process may have run since."""
        if self.path is None or not self.path.exists():
            return
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            if document["version"] != VERSION:
                raise StateError(
                    f"{self.path} was written by another version of the rehearsal (format {document['version']}, "
                    f"this one reads {VERSION}): delete it and rehearse anew"
                )
            stacks = {
                name: tuple(self._decode(item) for item in stack["resources"])
                for name, stack in document["stacks"].items()
            }
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise StateError(
                f"{self.path} is not a rehearsal's state ({error}): delete it and rehearse anew"
            ) from error
        with self._lock:
            self._stacks = stacks

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the state for one run, in this process and among processes. StateError when another run has it."""
        busy = f"another run is using {self.path or 'this engine'}: wait until it has ended"
        if not self._run.acquire(blocking=False):
            raise StateError(busy)
        try:
            if self.path is None:
                yield
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock = open(self.path.with_name(self.path.name + ".lock"), "w")  # noqa: SIM115 (closed below, held for the run)
            except OSError as error:
                raise StateError(f"the state can't be kept at {self.path}: {error.strerror}") from error
            with lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StateError(busy) from None
                self.reload()
                yield
        finally:
            self._run.release()

    def save(self, stack: str, snapshot: Callable[[], Sequence[ResourceState]]) -> None:
        """Stores what `snapshot` gives and returns when it is on disk."""
        with self._lock:
            self._stacks[stack] = tuple(snapshot())
            self._asked += 1
            ticket = self._asked
        if self.path is None:
            return
        with self._writer:
            if self._written >= ticket:
                return
            with self._lock:
                stacks, self._written = dict(self._stacks), self._asked
            self._write(self.path, stacks)

    def forget(self, stack: str) -> None:
        """Drops a stack that has no resources left."""
        with self._lock:
            self._stacks.pop(stack, None)
            stacks, self._written = dict(self._stacks), self._asked
        if self.path is not None:
            with self._writer:
                self._write(self.path, stacks)

    def _write(self, path: Path, stacks: Mapping[str, Sequence[ResourceState]]) -> None:
        head = {"version": VERSION, "project": self.project, "organization": self.organization}
        bodies = []
        for name, resources in stacks.items():
            lines = ",\n".join(map(self._encode, resources))
            bodies.append(json.dumps(name) + ': {"resources": [\n' + lines + "\n]}")
        # Put together from texts made once a resource: a run writes the file as often as it finishes a step.
        text = json.dumps(head)[:-1] + ', "stacks": {\n' + ",\n".join(bodies) + "\n}}\n"
        draft = path.with_name(path.name + ".draft")
        try:
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, path)
        except OSError as error:
            raise StateError(f"the state can't be written to {path}: {error.strerror}") from error

    def _encode(self, item: ResourceState) -> str:
        if not item._text:
            record: dict[str, Any] = {"urn": item.urn, "type": item.type, "custom": item.custom}
            for name, key in _FIELDS:
                value = getattr(item, name)
                if value:
                    record[key] = list(value) if isinstance(value, tuple) else value
            record["inputs"] = self._seal(item.inputs)
            record["outputs"] = self._seal(item.outputs)
            if item.replacement_trigger is not None:
                record["replacementTrigger"] = self._seal(item.replacement_trigger)
            item._text = json.dumps(record, sort_keys=True)
        return item._text

    def _decode(self, record: Mapping[str, Any]) -> ResourceState:
        values: dict[str, Any] = {}
        for name, key in _FIELDS:
            if key in record:
                value = record[key]
                if isinstance(value, dict) and name != "custom_timeouts":
                    value = {moment: tuple(names) for moment, names in value.items()}
                values[name] = tuple(value) if isinstance(value, list) else value
        return ResourceState(
            urn=record["urn"],
            type=record["type"],
            custom=record["custom"],
            inputs=self._unseal(record["inputs"]),
            outputs=self._unseal(record["outputs"]),
            replacement_trigger=self._unseal(record.get("replacementTrigger")),
            **values,
        )

    def _seal(self, item: Any) -> Any:
        if isinstance(item, Secret):
            assert self._vault is not None, "only a state with a file is ever encoded"
            return {SIGNATURE: SECRET_SIGNATURE, "ciphertext": self._vault.seal(self._seal(item.value))}
        if isinstance(item, ResourceReference):
            return {SIGNATURE: RESOURCE_SIGNATURE, "urn": item.urn, "id": self._seal(item.id)}
        if item is UNKNOWN:
            return UNKNOWN_TEXT
        if isinstance(item, Mapping):
            return {key: self._seal(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [self._seal(inner) for inner in item]
        return item

    def _unseal(self, item: Any) -> Any:
        if isinstance(item, dict):
            signature = item.get(SIGNATURE)
            if signature == SECRET_SIGNATURE:
                assert self._vault is not None, "only a state with a file is ever decoded"
                return Secret(self._unseal(self._vault.unseal(item["ciphertext"])))
            if signature == RESOURCE_SIGNATURE:
                return ResourceReference(item["urn"], self._unseal(item["id"]))
            return {key: self._unseal(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [self._unseal(inner) for inner in item]
        return UNKNOWN if item == UNKNOWN_TEXT else item
