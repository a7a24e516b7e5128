"""A resource as a rule sees it: plain values, whoever shows it (the engine, a state file, a recorded graph)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

DEVELOPMENT, STAGING, PRODUCTION = "dev", "staging", "prod"


class Unknown:
    """A value that only an `up` will know. A rule says nothing about it: the `up` judges it."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __deepcopy__(self, memo: object) -> Unknown:
        return self  # there is one, and it is compared with `is`

    def __bool__(self) -> bool:
        raise TypeError("an unknown value is neither true nor false: compare it with UNKNOWN first")


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Resource:
    """One resource. `properties` has camelCase keys, secrets unwrapped, UNKNOWN where a value is not known yet."""

    urn: str
    type: str
    name: str
    properties: Mapping[str, Any]
    protect: bool = False
    provider: Mapping[str, Any] = field(default_factory=dict)
    """The inputs of its provider."""
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URNs of the resources whose outputs stand in a property, by property. Only known of a whole stack."""

    @property
    def stack(self) -> str:
        return stack_of(self.urn)

    @property
    def environment(self) -> str:
        return environment_of(self.stack)

    @property
    def is_development(self) -> bool:
        return self.environment == DEVELOPMENT

    def get(self, *path: str | int) -> Any:
        """The value at a path; None where nothing is, UNKNOWN where it or what it lies in is not known yet."""
        return get(self.properties, *path)

    @cached_property
    def has_unknowns(self) -> bool:
        return any(value is UNKNOWN for value in _leaves(self.properties))


@dataclass(frozen=True)
class Stack:
    """All resources of one stack."""

    name: str
    resources: tuple[Resource, ...]

    @property
    def environment(self) -> str:
        return environment_of(self.name)

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources if kind_of(resource.type) in types]

    @cached_property
    def has_unknowns(self) -> bool:
        return any(resource.has_unknowns for resource in self.resources)


def kind_of(type_: str) -> str:
    """The type that rules name: `aws:s3/bucketV2:BucketV2` is an old name of `aws:s3/bucket:Bucket`, and so on."""
    if type_.startswith("aws:s3/") and type_.endswith("V2"):
        return type_.replace("V2", "")
    return type_


def stack_of(urn: str) -> str:
    """The stack in `urn:pulumi:<stack>::<project>::<types>::<name>`."""
    return urn.removeprefix("urn:pulumi:").partition("::")[0]


def environment_of(stack: str) -> str:
    """dev, staging or prod: what follows the last dash. What is none of them is judged as prod: a rule is not
    escaped by a new name."""
    last = stack.rpartition("-")[2]
    return last if last in (DEVELOPMENT, STAGING) else PRODUCTION


def get(value: Any, *path: str | int) -> Any:
    """As Resource.get, from any value."""
    for key in path:
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(key, int):
            value = value[key] if isinstance(value, Sequence) and -len(value) <= key < len(value) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value


def items(value: Any) -> list[Any]:
    """The entries of a list; of a single value, itself; of nothing or an unknown list, none."""
    if value is None or value is UNKNOWN:
        return []
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        return [value]
    return list(value)


def document(value: Any) -> Any:
    """A JSON document given as text or as a map. UNKNOWN stays; what is no JSON is None."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
