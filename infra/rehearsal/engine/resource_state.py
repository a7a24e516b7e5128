"""A resource as the engine remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from infra.rehearsal.engine import urns


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
