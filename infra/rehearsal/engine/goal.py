"""What the program asks for, read from the SDK's requests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.rehearsal.engine.hooks import MOMENTS
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Options
from infra.rehearsal.engine.steps import duration_seconds
from infra.rehearsal.engine.urns import Alias
from infra.rehearsal.engine.values import ARCHIVE_SIGNATURE, ASSET_SIGNATURE, SIGNATURE, Secret, from_struct, from_value


@dataclass(frozen=True)
class Goal:
    """One registration."""

    type: str
    name: str
    custom: bool
    inputs: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool | None = None
    retain_on_delete: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    delete_before_replace: bool | None = None
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    custom_timeouts: Mapping[str, float] = field(default_factory=dict)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    replacement_trigger: Any = None
    import_id: str = ""
    version: str = ""

    def state(self, urn: str, inputs: dict[str, Any], aliases: tuple[str, ...]) -> ResourceState:
        """The resource's next state, before it has an id and outputs."""
        return ResourceState(
            urn=urn,
            type=self.type,
            custom=self.custom,
            inputs=inputs,
            parent=self.parent,
            provider=self.provider,
            dependencies=self.dependencies,
            property_dependencies=self.property_dependencies,
            protect=bool(self.protect),
            retain_on_delete=bool(self.retain_on_delete),
            ignore_changes=self.ignore_changes,
            replace_on_changes=self.replace_on_changes,
            additional_secret_outputs=self.additional_secret_outputs,
            aliases=aliases,
            custom_timeouts=self.custom_timeouts,
            hooks=self.hooks,
            deleted_with=self.deleted_with,
            import_id=self.import_id,
            replacement_trigger=self.replacement_trigger,
        )

    def options(self, aliases: tuple[str, ...]) -> Options:
        """The same, for whoever reads the result of a run."""
        return Options(
            protect=bool(self.protect),
            retain_on_delete=bool(self.retain_on_delete),
            ignore_changes=self.ignore_changes,
            delete_before_replace=self.delete_before_replace,
            replace_on_changes=self.replace_on_changes,
            depends_on=self.dependencies,
            property_dependencies=self.property_dependencies,
            aliases=aliases,
            hooks=self.hooks,
            custom_timeouts=self.custom_timeouts,
            provider=self.provider,
            additional_secret_outputs=self.additional_secret_outputs,
            deleted_with=self.deleted_with,
            import_id=self.import_id,
            version=self.version,
        )


def from_registration(request: Any) -> Goal:
    """Reads a RegisterResourceRequest. ValueError for a custom timeout that is no duration."""
    timeouts = {
        name: duration_seconds(text)
        for name in ("create", "update", "delete", "read")
        if (text := getattr(request.customTimeouts, name))
    }
    hooks = {moment: tuple(names) for moment in MOMENTS if (names := getattr(request.hooks, moment))}
    trigger = from_value(request.replacement_trigger) if request.HasField("replacement_trigger") else None
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=with_hashes(from_struct(request.object)),
        parent=request.parent,
        provider=request.provider,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            key: tuple(sorted(item.urns)) for key, item in sorted(request.propertyDependencies.items()) if item.urns
        },
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=tuple(map(_alias, request.aliases)),
        custom_timeouts=timeouts,
        hooks=hooks,
        deleted_with=request.deletedWith,
        replace_with=tuple(request.replace_with),
        replacement_trigger=trigger,
        import_id=request.importId,
        version=request.version,
    )


def from_read(request: Any) -> Goal:
    """Reads a ReadResourceRequest; its id travels beside it."""
    return Goal(
        type=request.type,
        name=request.name,
        custom=True,
        inputs=with_hashes(from_struct(request.properties)),
        parent=request.parent,
        provider=request.provider,
        dependencies=tuple(sorted(request.dependencies)),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        version=request.version,
    )


def _alias(alias: Any) -> Alias:
    if alias.WhichOneof("alias") == "urn":
        return Alias(urn=alias.urn)
    spec = alias.spec
    return Alias(
        name=spec.name,
        type=spec.type,
        stack=spec.stack,
        project=spec.project,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
    )


def with_hashes(item: Any) -> Any:
    """Gives every asset and archive the SHA-256 of its content, as the engine does, so that a changed file is a change.

    A relative path counts from the working directory. FileNotFoundError names a file that isn't there.
    """
    if isinstance(item, Secret):
        return Secret(with_hashes(item.value))
    if isinstance(item, list):
        return [with_hashes(inner) for inner in item]
    if not isinstance(item, dict):
        return item
    if item.get(SIGNATURE) in (ASSET_SIGNATURE, ARCHIVE_SIGNATURE) and "hash" not in item:
        digest = hashlib.sha256()
        _feed(digest, item)
        return {**item, "hash": digest.hexdigest()}
    return {key: with_hashes(inner) for key, inner in item.items()}


def _feed(digest: Any, item: Mapping[str, Any]) -> None:
    if "text" in item:
        digest.update(str(item["text"]).encode())
    elif "path" in item:
        path = Path(item["path"])
        if not path.exists():
            raise FileNotFoundError(f"the program names an asset that isn't there: {path.resolve()}")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(b"" if file == path else str(file.relative_to(path)).encode() + b"\0")
                digest.update(file.read_bytes())
    elif "assets" in item:
        for name in sorted(item["assets"]):
            digest.update(name.encode() + b"\0")
            _feed(digest, item["assets"][name])
    else:
        digest.update(str(item.get("uri", "")).encode())
