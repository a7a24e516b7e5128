"""The graph of a release, as a file a stack: what the stack's state holds right after an `up` of that release.

A line is a resource. What an upgrade is judged by is kept: URN, id, arguments, outputs, protection. Left out is what
follows from something else (an output that equals the argument of its name), and what a plan does not read
(dependencies, hooks). An archive is its hash. What AWS chose is masked (masking.py), so that recording a release twice
gives the same text.

Beside the graphs lie the stack and model files that the release was recorded with: an upgrade changes the blueprint,
not a team's settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.urns import STACK_TYPE, is_default_provider, is_provider, type_of
from infra.rehearsal.engine.values import contains_secret, contains_unknown, plain
from infra.rehearsal.provider.values import ARCHIVE, ASSET, SIGNATURE
from infra.settings import ENVIRONMENTS, LAYERS
from infra.upgrade.masking import Masks

FOLDER = Path("tests") / "upgrade" / "releases"
STACKS = tuple(f"{layer}-{environment}" for environment in ENVIRONMENTS for layer in LAYERS)
"""Every stack, platforms before the models that stand on them."""
_PROJECT = "mainstage"
_FLAGS = (("protect", "protect"), ("retain", "retain_on_delete"), ("external", "external"))
_LEFT_OUT = frozenset(
    {
        "createDate",
        "deploymentId",
        "dnsEntries",
        "inlinePolicies",
        "lastModified",
        "managedPolicyArns",
        "networkInterfaceIds",
        "policyId",
        "revisionId",
        "uniqueId",
    }
)
"""Outputs that nothing is made of and no argument is compared with: the program leaves those of a role to AWS."""


class RecordedError(ValueError):
    """A recorded release that cannot be read, or a state that cannot be recorded; the message says what to do."""


@dataclass(frozen=True)
class Release:
    """One recorded release. `folder` has graphs/<stack>.json and stacks/, as the checkout of the release had them."""

    version: str
    folder: Path

    def graph(self, stack: str) -> Path:
        return self.folder / "graphs" / f"{stack}.json"


def releases(root: Path) -> list[Release]:
    """The recorded releases of a checkout, the oldest first. RecordedError for a folder that is named otherwise."""
    found = []
    for folder in sorted((root / FOLDER).iterdir()):
        if not re.fullmatch(r"v\d+\.\d+\.\d+", folder.name):
            raise RecordedError(f"{folder}: a recorded release is named vX.Y.Z; remove the folder or rename it")
        found.append(Release(folder.name.removeprefix("v"), folder))
    return sorted(found, key=lambda release: tuple(map(int, release.version.split("."))))


def record_stacks(states: Mapping[str, Sequence[ResourceState]]) -> dict[str, str]:
    """The graph files of the stacks of one environment, by stack. RecordedError for a secret or an unknown value."""
    records = {stack: [_record(item) for item in items if _kept(item)] for stack, items in states.items()}
    masks = Masks([record for each in records.values() for record in each])
    return {stack: _text(stack, [masks.apply(record) for record in each]) for stack, each in records.items()}


def _kept(item: ResourceState) -> bool:
    return not item.delete and not is_default_provider(item.urn)


def _record(item: ResourceState) -> dict[str, Any]:
    if contains_secret([item.inputs, item.outputs]):
        raise RecordedError(
            f"{item.urn} holds a secret: a committed graph must not; leave the property out of the state"
        )
    if contains_unknown([item.inputs, item.outputs]):
        raise RecordedError(f"{item.urn} holds a value that is not known: record after an up, never after a preview")
    return {
        "urn": item.urn,
        "type": item.type,
        "component": not item.custom,
        "id": item.id,
        "parent": item.parent,
        "provider": item.provider,
        **{name: getattr(item, attribute) for name, attribute in _FLAGS},
        "inputs": _hashed(item.inputs),
        "outputs": _hashed(plain(item.outputs)),
    }


def _hashed(value: Any) -> Any:
    """The value with archives and assets as their hashes, without what is None."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) in (ARCHIVE, ASSET):
            return {SIGNATURE: value[SIGNATURE], "hash": value["hash"]}
        return {key: _hashed(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_hashed(inner) for inner in value]
    return value


def _default_tags(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The tags that the stack's provider puts on everything."""
    found = (record["inputs"].get("defaultTags") for record in records if is_provider(record["type"]))
    return next((json.loads(text).get("tags", {}) for text in found if text), {})


def _short(record: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Without what follows from something else."""
    inputs, outputs = record["inputs"], record["outputs"]
    tagged = outputs.get("tagsAll") == {**tags, **inputs.get("tags", {})}
    short = {
        "name": _local(record["urn"]),
        "component": record["component"],
        "id": record["id"],
        "parent": _local(record["parent"]),
        "provider": _local(record["provider"]),
        **{name: record[name] for name, _ in _FLAGS},
        "inputs": inputs,
        "outputs": {
            key: value
            for key, value in outputs.items()
            if (key not in inputs or inputs[key] != value)
            and not (record["type"].startswith("aws:") and key in _LEFT_OUT)
            and not (tagged and key == "tagsAll")
        },
        "tagged": tagged,
        "unset": [key for key in inputs if not key.startswith("__") and key not in outputs],
    }
    if record["component"]:
        del short["unset"]
    return {key: value for key, value in short.items() if value or key == "name"}


def _local(urn: str) -> str:
    """`<types>::<name>`, and for a provider reference its id behind that."""
    return urn.split("::", 2)[2] if urn else ""


def _text(stack: str, records: Sequence[Mapping[str, Any]]) -> str:
    tags = _default_tags(records)
    short = sorted((_short(record, tags) for record in records), key=lambda record: record["name"])
    lines = [json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")) for record in short]
    head = json.dumps({"stack": stack, "tags": tags}, ensure_ascii=False)
    return head[:-1] + ', "resources": [\n' + ",\n".join(lines) + "\n]}\n"


def read_stack(release: Release, stack: str) -> list[ResourceState]:
    """The stack's resources as they stood, each after its parent. RecordedError when the file is none."""
    path = release.graph(stack)
    ordered: dict[str, ResourceState] = {}

    def put(item: ResourceState) -> None:
        for needed in (item.parent, item.provider.rpartition("::")[0]):
            if needed and needed not in ordered:
                put(read[_local(needed)])
        ordered.setdefault(item.urn, item)

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        read = {record["name"]: _state(stack, record, document["tags"]) for record in document["resources"]}
        for item in read.values():
            put(item)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordedError(f"{path} is no recorded graph ({error!r}): restore it from git") from error
    return list(ordered.values())


def _state(stack: str, record: Mapping[str, Any], tags: Mapping[str, str]) -> ResourceState:
    prefix = f"urn:pulumi:{stack}::{_PROJECT}::"
    urn, inputs = prefix + record["name"], record.get("inputs", {})
    component = record.get("component", False)
    unset = record.get("unset", ())
    inputs, outputs = _readable(inputs), _readable(record.get("outputs", {}))
    shared = {} if component else {key: value for key, value in inputs.items() if key not in unset}
    if record.get("tagged"):
        shared["tagsAll"] = {**tags, **inputs.get("tags", {})}
    return ResourceState(
        urn=urn,
        type=type_of(urn),
        custom=not component,
        id=record.get("id", ""),
        inputs=inputs,
        outputs={**{key: value for key, value in shared.items() if key != "__defaults"}, **outputs},
        parent=prefix + record["parent"] if record.get("parent") else "",
        provider=prefix + record["provider"] if record.get("provider") else "",
        **{attribute: record.get(name, False) for name, attribute in _FLAGS},
    )


def _readable(value: Any) -> Any:
    """The value with archives and assets as the engine takes them: of the recorded hash, and empty."""
    if isinstance(value, Mapping):
        empty = {ARCHIVE: {"assets": {}}, ASSET: {"text": ""}}.get(value.get(SIGNATURE, ""), {})
        return {key: _readable(inner) for key, inner in value.items()} | empty
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    return value


def stack_outputs(resources: Iterable[ResourceState]) -> dict[str, Any]:
    """What a recorded stack exports."""
    return next((dict(item.outputs) for item in resources if item.type == STACK_TYPE), {})
