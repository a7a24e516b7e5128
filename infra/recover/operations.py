"""What a killed `pulumi up` left under way, as the exported state records it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CREATING = "creating"
_PROVIDER = "pulumi:providers:"


@dataclass(frozen=True)
class Operation:
    """One entry of `pending_operations`."""

    kind: str
    """creating, updating, deleting, reading, importing."""
    resource: Mapping[str, Any] = field(hash=False, repr=False)
    """As it would stand in the state: urn, type, inputs, parent, provider, dependencies; no id, no outputs."""
    default_tags: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """The tags that its provider puts on everything."""

    @property
    def urn(self) -> str:
        return self.resource["urn"]

    @property
    def type(self) -> str:
        return self.resource["type"]

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def inputs(self) -> Mapping[str, Any]:
        return self.resource.get("inputs") or {}

    @property
    def in_aws(self) -> bool:
        """Whether there may be something of it in AWS: components, stacks and providers are Pulumi's own."""
        return bool(self.resource.get("custom")) and not self.type.startswith("pulumi:")

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


def resources_of(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources of an exported state; none where nothing was ever brought up."""
    return (state.get("deployment") or {}).get("resources") or []


def operations_of(state: Mapping[str, Any]) -> list[Operation]:
    """The pending operations of an exported state, in its order, each once."""
    tags = {urn: default_tags(provider) for urn, provider in _providers(state)}
    found: dict[tuple[str, str], Operation] = {}
    for entry in (state.get("deployment") or {}).get("pending_operations") or []:
        resource = entry["resource"]
        provider = str(resource.get("provider", "")).rpartition("::")[0]
        # An update that failed keeps the operations that an earlier one left.
        found[entry["type"], resource["urn"]] = Operation(entry["type"], resource, tags.get(provider, {}))
    return list(found.values())


def _providers(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in resources_of(state):
        if str(resource["type"]).startswith(_PROVIDER):
            yield resource["urn"], resource.get("inputs") or {}


def default_tags(provider: Mapping[str, Any]) -> dict[str, str]:
    """The default tags among a provider's inputs, where nested values are JSON texts."""
    given = provider.get("defaultTags")
    if isinstance(given, str):
        given = json.loads(given)
    return dict((given or {}).get("tags") or {}) if isinstance(given, Mapping) else {}


def stack_tags(state: Mapping[str, Any]) -> dict[str, str]:
    """The default tags of the stack's provider."""
    return next((tags for _, provider in _providers(state) if (tags := default_tags(provider))), {})


def accounts_of(state: Mapping[str, Any]) -> frozenset[str]:
    """The account ids that the stack's providers allow; empty where they do not say."""
    allowed: set[str] = set()
    for _, provider in _providers(state):
        given = provider.get("allowedAccountIds")
        allowed.update(json.loads(given) if isinstance(given, str) else given or ())
    return frozenset(allowed)


def ids_of(state: Mapping[str, Any], type_token: str, urn: str | None = None) -> frozenset[str]:
    """The ids of a type that the state knows already. urn: only under this one."""
    return frozenset(
        str(each["id"])
        for each in resources_of(state)
        if each["type"] == type_token and each.get("id") and urn in (None, each["urn"])
    )
